"""Values and where they lie: what the cases of every unit are made of."""

from dataclasses import dataclass, field

import numpy as np

from trident.bench.training.gradients import OPTIMIZERS
from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.core_plan import CorePlan
from trident.host.compile.packing import pack_spikes, rows_to_words
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import drained_item, neuron_item
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import FAN, JOB
from trident.hw.isa.spaces import Space
from trident.hw.isa.vector_program import Program
from trident.hw.isa.words import WORD
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition, Stage, even_cuts
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings


@dataclass
class Case:
    """One run of a unit.

    memories: by space, element number -> element, written before the start; runs: values of the operand ports, one
    start each; inputs: payloads of the stream in; outputs: payloads of the stream out in order, with a mask of the bits
    that count and the value's place in words; after: by space, element -> (value, mask, place); fault: whether golden
    found an infinity or a NaN.
    """

    what: str
    memories: dict[Space, dict[int, int]] = field(default_factory=dict)
    runs: list[dict[str, int]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[tuple[int, int, str]] = field(default_factory=list)
    after: dict[Space, dict[int, tuple[int, int, str]]] = field(default_factory=dict)
    fault: bool = False


def random_network(rng, cfg: CoreConfig, kind: str | None = None) -> Network:
    """Two small layers whose second is linear or a convolution with any kernel, stride and padding."""
    kind = kind or rng.choice(["linear", "flat", "conv"])
    channels = [int(rng.integers(1, 2 * cfg.lanes + 2)) for _ in range(3)]
    if kind == "linear":
        return Network.parse("-".join(map(str, channels)))
    y, x = (int(n) for n in rng.integers(2, 5, 2))
    build = Builder((y, x, channels[0]))
    build.add("conv", channels=min(channels[1], 5), kernel=1)
    build.add("neuron")
    if kind == "flat":
        build.add("flatten")
        build.add("linear", outputs=channels[2])
        build.add("neuron")
        return build.network()
    if cfg.kernels:
        build.add("conv", channels=min(channels[2], 5), **any_kernel(rng, y, x), bias=bool(rng.integers(0, 4)))
        build.add("neuron")
        return build.network()
    kernel = int(rng.integers(1, 8))
    least = max(0, -((min(y, x) - kernel) // 2))
    padding = int(rng.integers(least, min(kernel, least + 3)))
    build.add("conv", channels=min(channels[2], 5), kernel=kernel, stride=int(rng.integers(1, 3)), padding=padding,
              bias=bool(rng.integers(0, 4)))  # fmt: skip
    build.add("neuron")
    return build.network()


def any_kernel(rng, y: int, x: int) -> dict[str, tuple[int, int]]:
    """Fields of a convolution of an image, each of its axes by itself: sizes up to 11, strides up to 4, dilation."""
    axes = []
    for side in (y, x):
        while True:
            size, stride = int(rng.integers(1, 12 if rng.random() < 0.2 else 5)), int(rng.integers(1, 5))
            dilation = int(rng.integers(1, 5)) if size > 1 else int(rng.integers(1, 17))
            reach = dilation * (size - 1)
            least = max(0, -((side - reach - 1) // 2))
            if least <= min(reach, 31):
                break
        axes.append((size, stride, int(rng.integers(least, min(reach, 31, least + 3) + 1)), dilation))
    return dict(zip(("kernel", "stride", "padding", "dilation"), zip(*axes, strict=True), strict=True))


OPTIMISED = {
    TrainSettings(**options).optimiser: options
    for plain in OPTIMIZERS for options in (plain, plain | {"prune": 0.25})
}  # fmt: skip
"""Settings that make a core's optimiser."""


def updates_of(cfg: CoreConfig, samples: int, loss_scale: float, update: int = 1) -> UpdateConstants:
    """Constants of a core's optimiser for its update with this number, at a usual learning rate."""
    train = TrainSettings(batch=samples, beta2=0.97, **OPTIMISED[cfg.optimiser])
    rate = 0.5 if train.optimizer == "sgd" else 0.01
    return UpdateConstants.round(train.numbers(rate, loss_scale, update), samples, cfg.format)


class Placing:
    """A random network of two layers on a core, random values for its second layer, and where they lie."""

    def __init__(self, cfg: CoreConfig, rng, settings: NeuronSettings | None = None):
        self.cfg, self.rng = cfg, rng
        self.fmt, self.sums = cfg.format, Sums(cfg.format, cfg.fixed)
        self.gradient_sums = Sums(cfg.format, cfg.fixed_of("weight_grad"))
        self.dtype = self.sums.dtype
        self.settings = settings or NeuronSettings.of(cfg)
        self.constants = NeuronConstants.of(self.settings, self.fmt)
        rate = float(2.0 ** rng.integers(-4, 10) * rng.uniform(1, 2))
        train = TrainSettings(batch=16, beta2=0.97, **OPTIMISED[cfg.optimiser])
        self.updates = UpdateConstants.round(train.numbers(rate, 256, int(rng.integers(1, 2000))), 1, self.fmt)
        self.network = random_network(rng, cfg)
        self.plan = ChipPlan(self.network, cfg).plans[0]
        self.below, self.placed = self.plan.layers
        self.layer = self.placed.layer
        self.wild = bool(rng.random() < 0.3)
        self.density = float(rng.choice([0.0, 0.05, 0.2, 0.5, 0.9, 1.0]))
        self.sample = int(rng.integers(0, self.plan.spike_slots))

    # Values
    def _values(self, shape, scale=1.0) -> np.ndarray:
        """Values of the format, a few of them zero or subnormal; in a wild case a few are large or no numbers."""
        values = self.rng.normal(size=shape) * scale
        values *= self.rng.choice([1, 1, 1, 1, 0, 2.0 ** (1 - self.fmt.bias) / scale], size=shape)
        if self.wild:
            large = self.rng.choice([np.inf, np.nan, 2.0**13, -(2.0**15), 65504.0], size=shape)
            values = np.where(self.rng.random(shape) < 0.02, large, values)
        return to_values(to_bits(values, self.fmt), self.fmt).astype(self.dtype)

    def _gradients(self, shape) -> np.ndarray:
        """What a sum may have left: exact, or values that can be added to again, of which none is -0."""
        if self.cfg.exact:
            return self._exact(shape, self.gradient_sums)
        return self.sums.accumulate(self._values(shape, 8.0), np.zeros(shape))[0]

    def _exact(self, shape, sums: Sums) -> np.ndarray:
        """Exact sums of any size, up to a quarter of what there is room for."""
        bits = self.rng.integers(0, sums.fixed.bits - 2, size=shape)
        return sums.of_bits(self.rng.integers(-(1 << bits), 1 << bits))

    def _spikes(self, shape) -> np.ndarray:
        return (self.rng.random(shape) < self.density).astype(np.uint8)

    def _bits(self, values) -> np.ndarray:
        return to_bits(values, self.fmt)

    def _run(self, program: Program, constants: dict, *arrays: np.ndarray) -> np.ndarray:
        """Run a program in golden; where there is a fault."""
        return run_program(program, self.sums, self.cfg.multiplier_subnormals, constants, *arrays)

    def _gradient_rows(self, values: np.ndarray, biases: np.ndarray) -> dict[int, int]:
        """Gradients as their memory holds them."""
        if not self.cfg.exact:
            return self._weights(values, biases)
        rows = self.placed.weights.pack(*map(self.gradient_sums.bits, (values, biases)))
        bits = self.cfg.gradient_bits
        first = self.placed.tile * self.cfg.lanes
        return {first + n: row_of((int(v) % (1 << bits) for v in row), bits) for n, row in enumerate(rows)}

    # Where values lie
    def _job(self, kind: str, number: int = 1) -> dict[str, int]:
        """The fields of a job of the plan."""
        return self.plan.jobs(self.constants, self.updates)[self.plan.job(kind, number)]

    def _case(self, job: dict[str, int], **operands: int) -> Case:
        layer, cfg = self.layer, self.cfg
        what = f"{layer}, {cfg.lanes} lanes, {cfg.timesteps} timesteps, density {self.density}"
        return Case(what, runs=[{"job": join_words(JOB.pack(**job)), **operands}])

    def _split(self) -> int:
        """Put the layer on a core of its own, above a layer on several cores; returns one of those by chance."""
        channels = self.below.layer.out_channels
        for cores in (*range(int(self.rng.integers(1, FAN + 1)), 1, -1), 1):
            try:
                cuts = even_cuts(channels, cores, self.cfg.lanes)
                stages = Stage(0, 0, tuple(cuts)), Stage(1, 1, (0, self.layer.out_channels))
                owner = int(self.rng.integers(0, cores))
                partition = Partition(1, stages)
                self.owner = CorePlan(self.network, partition, 0, owner, self.cfg, 1)
                self.plan = CorePlan(self.network, partition, 1, 0, self.cfg, 1)
                self.sample, (self.placed,) = 0, self.plan.layers
                self._job("owner", owner)
                return owner
            except TridentError:  # fewer channels or accumulators than this needs
                continue
        raise ValueError(f"{self.layer} does not fit two cores")

    def _image(self, base: int, values: np.ndarray) -> dict[int, int]:
        """Spike words of an image (y, x, T, c)."""
        words = pack_spikes(values.transpose(2, 0, 1, 3)[None], self.cfg)[0]
        return {base + n: join_words(word) for n, word in enumerate(words)}

    def _rows(self, base: int, values: np.ndarray) -> dict[int, int]:
        """Rows per word and timestep of an image (y, x, T, c) of values."""
        lanes, width, steps = self.cfg.lanes, self.cfg.width, self.cfg.timesteps
        y, x, _, channels = values.shape
        padded = np.zeros((y, x, steps, -(-channels // lanes) * lanes), np.int64)
        padded[..., :channels] = self._bits(values)
        rows = padded.reshape(y, x, steps, -1, lanes).transpose(0, 1, 3, 2, 4).reshape(-1, steps, lanes)
        return {
            (base + word) << self.cfg.step_bits | t: row_of(rows[word, t], width)
            for word in range(len(rows)) for t in range(steps)
        }  # fmt: skip

    def _weights(self, values: np.ndarray, biases: np.ndarray) -> dict[int, int]:
        rows = self.placed.weights.pack(self._bits(values).astype(np.uint32), self._bits(biases).astype(np.uint32))
        first = self.placed.tile * self.cfg.lanes
        return {first + n: join_words(row) for n, row in enumerate(rows_to_words(rows, self.cfg))}

    def _places(self, elements: dict[int, int], base: int, blocks: int, width: int, step_bits: int = 0) -> dict:
        """Elements of an image with their places in words, for a report."""
        result = {}
        for address, value in elements.items():
            word, step = address >> step_bits, address & ((1 << step_bits) - 1)
            pixel, block = divmod(word - base, blocks)
            place = f"y {pixel // width}, x {pixel % width}, channels from {block * self.cfg.lanes}"
            result[address] = (value, -1, place + (f", timestep {step}" if step_bits else ""))
        return result

    def _weight_places(self, elements: dict[int, int]) -> dict:
        lanes, weights = self.cfg.lanes, self.placed.weights
        result = {}
        for n, (address, value) in enumerate(elements.items()):
            tile, lane = divmod(n, lanes)
            block, group = divmod(tile, weights.groups)
            tap, block = divmod(block, weights.blocks)
            name = "bias" if tap == self.layer.taps else f"tap {tap}, in {block * lanes + lane}"
            # Of a tile of biases, one row is in use
            mask = 0 if tap == self.layer.taps and lane else -1
            result[address] = (value, mask, f"{name}, out from {group * lanes}")
        return result

    def _stream(
        self, values: np.ndarray, engine: str, job: dict, mapped: bool = False, owner: int | None = None,
        drained: bool = False, exact: bool = False,
    ):  # fmt: skip
        """An image (y, x, T, c) as it drains: tiles of positions and groups, each timestep by timestep; a list of
        payloads, masks and places.

        mapped: the channels are those of a flattened image, as memory holds them; owner: only what belongs to this core
        of the stage before; drained: as rows leave an engine; exact: the values are sums that leave in parts.
        """
        cfg, lanes, steps = self.cfg, self.cfg.lanes, self.cfg.timesteps
        bits = (self.sums.bits(values) % (1 << cfg.sum_bits) if exact else self._bits(values)).astype(object)
        if mapped:
            spread = np.zeros((1, 1, steps, self.placed.weights.blocks * lanes), object)
            spread[..., self.placed.weights.in_channels] = bits
            bits = spread
        if owner is not None:
            first = self.owner.layers[0].first
            end = first + -(-self.owner.layers[0].layer.out_channels // lanes) * lanes
            pixels = np.prod(self.layer.image[:2]) if mapped else 1
            parts = bits.reshape(*bits.shape[:3], pixels, -1)[..., first:end]
            bits = parts.reshape(*bits.shape[:3], -1)
        height, width, _, channels = bits.shape
        groups = -(-channels // lanes)
        padded = np.zeros((height, width, steps, groups * lanes), object)
        padded[..., :channels] = bits
        shape = (drained_item if drained else neuron_item)(Payloads(cfg, engine))
        order = range(steps - 1, -1, -1) if engine == "backward" else range(steps)
        result = []
        words, pass_groups = job["words"], job["pass_groups"]
        for y, x, group in np.ndindex(height, -(-width // words), -(-groups // pass_groups)):
            xs = range(x * words, min((x + 1) * words, width))
            gs = range(group * pass_groups, min((group + 1) * pass_groups, groups))
            for t in order:
                for item, (g, at) in enumerate((g, at) for g in gs for at in xs):
                    row = parts_of(padded[y, at, t, g * lanes : (g + 1) * lanes], cfg)
                    tag = {"address": (y * width + at) * groups + g, "item": item, "step": t}
                    payload, mask = payload_of(shape, row, tag)
                    result.append((payload, mask, f"y {y}, x {at}, channels from {g * lanes}, timestep {t}"))
        return result


def join_words(pieces) -> int:
    """32-bit pieces, lowest first, as one number."""
    return sum(int(piece) << WORD * n for n, piece in enumerate(pieces))


def row_of(lanes, width: int) -> int:
    return sum(int(value) << width * n for n, value in enumerate(lanes))


def parts_of(lanes, cfg: CoreConfig) -> int:
    """A row in parts: the lowest bits of all lanes, then the next ones; of floats the first part is all there is."""
    mask = (1 << cfg.width) - 1
    parts = ((int(value) >> n * cfg.width & mask for value in lanes) for n in range(cfg.sum_rows))
    return sum(row_of(part, cfg.width) << n * cfg.row_bits for n, part in enumerate(parts))


def payload_of(shape, row: int, tag: dict[str, int]) -> tuple[int, int]:
    """A row with its tag, and a mask of the bits that are given."""
    ones = {name: (1 << shape["tag"].shape[name].width) - 1 for name in tag}
    full = {"row": (1 << shape["row"].width) - 1, "tag": ones}
    value, mask = (shape.const(init).as_value().value for init in ({"row": row, "tag": tag}, full))
    return value, mask


def rows_of(cfg: CoreConfig, item: tuple[int, int, str], parts: int = 1) -> int:
    """The row of an item, or its row of so many parts, without its tag: what travels to another core."""
    return item[0] & (1 << parts * cfg.row_bits) - 1
