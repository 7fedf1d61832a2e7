"""Stimulus of the units and what golden says comes of it, as the words that go through a unit's ports."""

from dataclasses import dataclass, field

import numpy as np

from host.compiler import Plan
from host.constants import NeuronConstants, UpdateConstants
from host.network import Layer, Network
from host.packing import pack_spikes, rows_to_words
from host.partition import Partition, Stage, even_cuts
from host.settings import NeuronSettings
from host.stage_plan import StagePlan
from hw.config import CoreConfig
from hw.engines.loss import table_address
from hw.errors import TridentError
from hw.layouts import FAN, JOB, WORD, Space
from hw.skeleton.payloads import Payloads
from hw.skeleton.queue import neuron_item
from sim.golden.backward import backward
from sim.golden.format import decode, encode, fmt_parameters, value_dtype
from sim.golden.forward import forward
from sim.golden.loss import loss_errors
from sim.golden.neuron import neuron
from sim.golden.neuron_grad import neuron_grad
from sim.golden.reduce import reduce
from sim.golden.update import update
from sim.golden.weight_grad import weight_grad


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
        image = (1, 1, channels[0])
        return Network(image, (Layer("linear", image, channels[1]), Layer("linear", (1, 1, channels[1]), channels[2])))
    y, x = (int(n) for n in rng.integers(2, 5, 2))
    first = Layer("conv", (y, x, channels[0]), min(channels[1], 5), 1, 1, 0)
    if kind == "flat":
        return Network(first.in_shape, (first, Layer("linear", (1, 1, y * x * first.out_channels), channels[2])))
    kernel = int(rng.integers(1, 8))
    least = max(0, -((min(y, x) - kernel) // 2))
    padding = int(rng.integers(least, min(kernel, least + 3)))
    second = Layer("conv", first.out_shape, min(channels[2], 5), kernel, int(rng.integers(1, 3)), padding,
                   bool(rng.integers(0, 4)))  # fmt: skip
    return Network(first.in_shape, (first, second))


class Maker:
    """Draw cases of one configuration; every method returns one :class:`Case` for the second layer of a network."""

    def __init__(self, cfg: CoreConfig, rng, settings: NeuronSettings | None = None):
        self.cfg, self.rng = cfg, rng
        self.fmt, self.parameters, self.dtype = cfg.format, fmt_parameters(cfg.format), value_dtype(cfg.format)
        settings = settings or NeuronSettings(reset=cfg.reset, surrogate=cfg.surrogate)
        self.constants = NeuronConstants.of(settings, self.fmt)
        self.updates = UpdateConstants.of(0.9, float(2.0 ** rng.integers(-12, 2) * rng.uniform(1, 2)), self.fmt)
        self.network = random_network(rng, cfg)
        self.plan = Plan(self.network, cfg).plans[0]
        self.below, self.placed = self.plan.layers
        self.layer = self.placed.layer
        self.density = float(rng.choice([0.0, 0.05, 0.2, 0.5, 0.9, 1.0]))
        self.sample = int(rng.integers(0, self.plan.spike_slots))

    # Values
    def _values(self, shape, scale=1.0) -> np.ndarray:
        """Values of the format, a few of them zero or subnormal."""
        values = self.rng.normal(size=shape) * scale
        values *= self.rng.choice([1, 1, 1, 1, 0, 2.0 ** (1 - self.fmt.bias) / scale], size=shape)
        return decode(encode(values, self.fmt), self.fmt).astype(self.dtype)

    def _spikes(self, shape) -> np.ndarray:
        return (self.rng.random(shape) < self.density).astype(np.uint8)

    def _bits(self, values) -> np.ndarray:
        return encode(values, self.fmt)

    def _constant(self, name: str):
        return self.dtype(decode(getattr(self.constants, name), self.fmt))

    # Where values lie
    def _job(self, kind: str, number: int = 1) -> dict[str, int]:
        """The fields of a job of the plan."""
        return self.plan.jobs(self.constants, self.updates)[self.plan.job(kind, number)]

    def _case(self, job: dict[str, int], **operands: int) -> Case:
        layer, cfg = self.layer, self.cfg
        what = f"{layer}, {cfg.lanes} lanes, {cfg.timesteps} timesteps, density {self.density}"
        return Case(what, runs=[{"job": _join(JOB.pack(**job)), **operands}])

    def _split(self) -> int:
        """Put the layer on a core of its own, above a layer on several cores; returns one of those by chance."""
        channels = self.below.layer.out_channels
        for cores in (*range(int(self.rng.integers(1, FAN + 1)), 1, -1), 1):
            try:
                cuts = even_cuts(channels, cores, self.cfg.lanes)
                stages = Stage(0, 0, tuple(cuts)), Stage(1, 1, (0, self.layer.out_channels))
                owner = int(self.rng.integers(0, cores))
                partition = Partition(1, stages)
                self.owner = StagePlan(self.network, partition, 0, owner, self.cfg, 1)
                self.plan = StagePlan(self.network, partition, 1, 0, self.cfg, 1)
                self.sample, (self.placed,) = 0, self.plan.layers
                self._job("owner", owner)
                return owner
            except TridentError:  # fewer channels or accumulators than this needs
                continue
        raise ValueError(f"{self.layer} does not fit two cores")

    def _image(self, base: int, values: np.ndarray) -> dict[int, int]:
        """Spike words of an image (y, x, T, c)."""
        words = pack_spikes(values.transpose(2, 0, 1, 3)[None], self.cfg)[0]
        return {base + n: _join(word) for n, word in enumerate(words)}

    def _rows(self, base: int, values: np.ndarray) -> dict[int, int]:
        """Rows per word and timestep of an image (y, x, T, c) of values."""
        lanes, width, steps = self.cfg.lanes, self.cfg.width, self.cfg.timesteps
        y, x, _, channels = values.shape
        padded = np.zeros((y, x, steps, -(-channels // lanes) * lanes), np.int64)
        padded[..., :channels] = self._bits(values)
        rows = padded.reshape(y, x, steps, -1, lanes).transpose(0, 1, 3, 2, 4).reshape(-1, steps, lanes)
        return {
            (base + word) << self.cfg.step_bits | t: _row(rows[word, t], width)
            for word in range(len(rows)) for t in range(steps)
        }  # fmt: skip

    def _weights(self, values: np.ndarray, biases: np.ndarray) -> dict[int, int]:
        rows = self.placed.weights.pack(self._bits(values).astype(np.uint32), self._bits(biases).astype(np.uint32))
        first = self.placed.tile * self.cfg.lanes
        return {first + n: _join(row) for n, row in enumerate(rows_to_words(rows, self.cfg))}

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

    def _stream(self, values: np.ndarray, engine: str, job: dict, mapped: bool = False, owner: int | None = None):
        """An image (y, x, T, c) as it drains: tiles of positions and groups, each timestep by timestep; a list of
        payloads, masks and places.

        mapped: the channels are those of a flattened image, as memory holds them; owner: only what belongs to this core
        of the stage before.
        """
        cfg, lanes, steps = self.cfg, self.cfg.lanes, self.cfg.timesteps
        bits = self._bits(values).astype(object)
        if mapped:
            spread = np.zeros((1, 1, steps, self.placed.weights.blocks * lanes), object)
            spread[..., self.placed.weights.in_channels] = bits
            bits = spread
        if owner is not None:
            first = self.owner.layers[0].first
            end = first + -(-self.owner.layers[0].layer.out_channels // lanes) * lanes
            pixels = np.prod(self.placed.image[:2]) if mapped else 1
            parts = bits.reshape(*bits.shape[:3], pixels, -1)[..., first:end]
            bits = parts.reshape(*bits.shape[:3], -1)
        height, width, _, channels = bits.shape
        groups = -(-channels // lanes)
        padded = np.zeros((height, width, steps, groups * lanes), object)
        padded[..., :channels] = bits
        shape = neuron_item(Payloads(cfg, engine))
        order = range(steps - 1, -1, -1) if engine == "backward" else range(steps)
        result = []
        words, pass_groups = job["words"], job["pass_groups"]
        for y, x, group in np.ndindex(height, -(-width // words), -(-groups // pass_groups)):
            xs = range(x * words, min((x + 1) * words, width))
            gs = range(group * pass_groups, min((group + 1) * pass_groups, groups))
            for t in order:
                for item, (g, at) in enumerate((g, at) for g in gs for at in xs):
                    row = _row(padded[y, at, t, g * lanes : (g + 1) * lanes], cfg.width)
                    tag = {"address": (y * width + at) * groups + g, "item": item, "step": t}
                    payload, mask = _payload(shape, row, tag)
                    result.append((payload, mask, f"y {y}, x {at}, channels from {g * lanes}, timestep {t}"))
        return result

    # Units
    def forward(self) -> Case:
        layer = self.layer
        spikes = self._spikes((*layer.in_shape[:2], self.cfg.timesteps, layer.in_shape[2]))
        weights, biases = self._values(layer.weight_shape), self._values(layer.out_channels) * layer.bias
        x = np.empty((*layer.out_shape[:2], self.cfg.timesteps, layer.out_channels), self.dtype)
        fault = forward(spikes, weights, biases, layer.bias, layer.kernel, layer.stride, layer.padding, x,
                        self.parameters)  # fmt: skip
        base = self.placed.inputs.at(self.sample)
        job = self._job("forward")
        case = self._case(job | {"src": base})
        case.memories = {Space.WEIGHTS: self._weights(weights, biases), Space.SPIKES: self._spread(base, spikes)}
        case.outputs, case.fault = self._stream(x, "forward", job), fault
        return case

    def _spread(self, base: int, spikes: np.ndarray) -> dict[int, int]:
        """Spikes of the layer's input: a flattened image lies in memory as the image."""
        image = (*self.placed.image[:2], self.cfg.timesteps, self.placed.image[2])
        if self.layer.kind == "linear":
            y, x, steps, channels = image
            spikes = spikes.reshape(steps, y, x, channels).transpose(1, 2, 0, 3)
        return self._image(base, spikes)

    def backward(self) -> Case:
        """To the layer below on this core, or to its part on another core, perhaps with what comes from a third."""
        owner = self._split() if self.rng.integers(0, 2) else None
        layer, steps = self.layer, self.cfg.timesteps
        weights = self._values(layer.weight_shape)
        shape = (*layer.out_shape[:2], steps, layer.out_channels)
        errors = self._values(shape, 16.0) * self._spikes(shape)
        e = np.empty((*layer.in_shape[:2], steps, layer.in_shape[2]), self.dtype)
        columns = np.ascontiguousarray(weights.transpose(0, 2, 1))
        fault = backward(errors, columns, layer.kernel, layer.stride, layer.padding, e, self.cfg.multiplier_subnormals,
                         self.parameters)  # fmt: skip
        base, mapped = self.placed.errors.at(self.sample), layer.kind == "linear"
        job = self._job("backward") if owner is None else self._job("owner", owner)
        take = owner is not None and bool(self.rng.integers(0, 2))
        case = self._case(job | {"src": base, "take": int(take)})
        if take:
            before = self._values(e.shape, 8.0)
            case.inputs = [_rows_of(self.cfg, item) for item in self._stream(before, "backward", job, mapped, owner)]
            reduce(e.reshape(-1), before.reshape(-1), self.parameters)
        case.memories = {
            Space.WEIGHTS: self._weights(weights, np.zeros(layer.out_channels)),
            Space.ERRORS: self._rows(base, errors),
            Space.ERROR_MASKS: self._image(base, (errors != 0).astype(np.uint8)),
        }
        case.outputs, case.fault = self._stream(e, "backward", job, mapped, owner), fault
        return case

    def receive(self) -> Case:
        """Rows of errors in the order in which :meth:`backward` has them leave, with the same tags."""
        owner = self._split()
        sent, below = self._job("owner", owner), self.owner
        layer = self.layer
        e = self._values((*layer.in_shape[:2], self.cfg.timesteps, layer.in_shape[2]), 16.0)
        stream = self._stream(e, "backward", sent, layer.kind == "linear", owner)
        job = below.jobs(self.constants, self.updates)[below.job("errors")]
        case = self._case(job)
        case.inputs = [_rows_of(self.cfg, item) for item in stream]
        case.outputs = stream
        return case

    def reduce(self) -> Case:
        """Gradients of every row of weights, with or without those of the replica before."""
        layer, take = self.layer, bool(self.rng.integers(0, 4))
        arrays = [
            [self._values(layer.weight_shape, 8.0) + 0.0, self._values(layer.out_channels, 8.0) * layer.bias + 0.0]
            for _ in range(2)
        ]
        before, own = (self._weights(*pair) for pair in arrays)
        for theirs, ours in zip(*arrays, strict=True):
            if take:
                reduce(ours.reshape(-1), theirs.reshape(-1), self.parameters)
        after = self._weights(*arrays[1])
        case = self._case({"tile": self.placed.tile, "count": self.placed.weights.rows, "take": int(take)})
        case.memories = {Space.GRADIENTS: own}
        case.inputs = list(before.values()) if take else []
        places = self._weight_places(after)
        case.after = {Space.GRADIENTS: places}
        shape = neuron_item(Payloads(self.cfg, "weight_grad"))
        for value, mask, place in places.values():
            payload, full = _payload(shape, value, {})
            case.outputs.append((payload, full if mask else 0, place))
        case.fault = take and not all(np.isfinite(array).all() for array in arrays[1])
        return case

    def weight_grad(self) -> Case:
        layer, steps = self.layer, self.cfg.timesteps
        spikes = self._spikes((*layer.in_shape[:2], steps, layer.in_shape[2]))
        shape = (*layer.out_shape[:2], steps, layer.out_channels)
        errors = self._values(shape, 4.0) * (self.rng.random(shape) < 0.7)
        gradients, biases = self._values(layer.weight_shape, 8.0), self._values(layer.out_channels, 8.0) * layer.bias
        gradients, biases = gradients + 0.0, biases + 0.0  # a gradient is never -0: sums start from +0
        before = self._weights(gradients, biases)
        fault = weight_grad(spikes, errors, gradients, biases, layer.bias, layer.kernel, layer.stride, layer.padding,
                            self.parameters)  # fmt: skip
        src, aux = self.placed.inputs.at(self.sample), self.placed.errors.at(self.sample)
        case = self._case(self._job("weight_grad") | {"src": src, "aux": aux})
        case.memories = {
            Space.SPIKES: self._spread(src, spikes), Space.ERRORS: self._rows(aux, errors), Space.GRADIENTS: before,
        }  # fmt: skip
        case.after = {Space.GRADIENTS: self._weight_places(self._weights(gradients, biases))}
        case.fault = fault
        return case

    def neuron(self) -> Case:
        y, x, channels = self.layer.out_shape
        shape = (y, x, self.cfg.timesteps, channels)
        # Many sums are whole quarters, so that potentials meet the threshold and the limits of the surrogate exactly
        quarters = self.rng.integers(-8, 9, shape).astype(self.dtype) / 4
        sums = np.where(self.rng.random(shape) < 0.5, quarters, self._values(shape))
        potentials = np.empty(shape, self.dtype)
        spikes, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        blocks = [array.reshape(y * x, self.cfg.timesteps, channels) for array in (sums, spikes, masks, potentials)]
        constants = [self._constant(name) for name in ("leak", "threshold", "low", "high")]
        fault = neuron(blocks[0], *constants, self.cfg.reset == "soft", self.cfg.multiplier_subnormals, *blocks[1:],
                       self.parameters)  # fmt: skip
        base, groups, width = self.placed.spikes.at(self.sample), self.placed.weights.groups, x
        job = self._job("forward")
        case = self._case(job | {"dst": base})
        case.inputs = [payload for payload, *_ in self._stream(sums, "forward", job)]
        valid = np.zeros((y, x, self.cfg.timesteps, groups * self.cfg.lanes), np.uint8)
        valid[..., :channels] = 1
        counted = self._image(base, valid)
        for space, bits in ((Space.SPIKES, spikes), (Space.MASKS, masks)):
            placed = self._places(self._image(base, bits), base, groups, width)
            case.after[space] = {at: (value, counted[at], place) for at, (value, _, place) in placed.items()}
        if self.cfg.surrogate == "triangle":
            rows, bits = self._rows(base, potentials), self.cfg.step_bits
            case.after[Space.POTENTIALS] = self._places(rows, base, groups, width, bits)
        case.fault = fault
        return case

    def neuron_grad(self) -> Case:
        y, x, channels = self.below.layer.out_shape
        steps = self.cfg.timesteps
        shape = (y, x, steps, channels)
        e, potentials, d = self._values(shape, 16.0), self._values(shape), np.empty(shape, self.dtype)
        spikes, masks = self._spikes(shape), (self.rng.random(shape) < 0.6).astype(np.uint8)
        blocks = [array.reshape(y * x, steps, channels) for array in (e, spikes, masks, potentials)]
        fault = neuron_grad(
            *blocks, *(self._constant(name) for name in ("leak", "threshold", "slope")),
            self.cfg.surrogate == "triangle", self.cfg.reset == "soft", self.cfg.multiplier_subnormals,
            d.reshape(y * x, steps, channels), self.parameters,
        )  # fmt: skip
        aux, dst = self.below.spikes.at(self.sample), self.below.errors.at(self.sample)
        job = self._job("backward")
        case = self._case(job | {"aux": aux, "dst": dst})
        mapped = self.layer.kind == "linear"
        if mapped:
            e = np.ascontiguousarray(e.transpose(2, 0, 1, 3).reshape(1, 1, steps, -1))
        case.inputs = [payload for payload, *_ in self._stream(e, "backward", job, mapped)]
        case.memories = {Space.SPIKES: self._image(aux, spikes), Space.MASKS: self._image(aux, masks)}
        if self.cfg.surrogate == "triangle":
            case.memories[Space.POTENTIALS] = self._rows(aux, potentials)
        groups, bits = self.below.weights.groups, self.cfg.step_bits
        case.after = {
            Space.ERRORS: self._places(self._rows(dst, d), dst, groups, x, bits),
            Space.ERROR_MASKS: self._places(self._image(dst, (d != 0).astype(np.uint8)), dst, groups, x),
        }
        case.fault = fault
        return case

    def loss(self) -> Case:
        steps, classes = self.cfg.timesteps, int(self.rng.integers(1, 3 * self.cfg.lanes + 2))
        self.network = Network((1, 1, 2), (Layer("linear", (1, 1, 2), 3), Layer("linear", (1, 1, 3), classes)))
        self.plan = Plan(self.network, self.cfg).plans[0]
        self.below, self.placed = self.plan.layers
        self.layer = self.placed.layer
        label = int(self.rng.integers(0, classes))
        spikes = self._spikes((1, 1, steps, classes))
        table = self._bits(self._values((2, steps + 1)))  # any loss
        base = self.placed.spikes.at(self.sample)
        case = self._case(self._job("errors", 0) | {"aux": base}, label=label)
        case.memories = {
            Space.SPIKES: self._image(base, spikes),
            Space.LOSS_TABLE: {
                table_address(self.cfg, count, target): int(table[int(target), count])
                for target in (False, True) for count in range(steps + 1)
            },
        }  # fmt: skip
        errors = decode(loss_errors(spikes[0], label, table), self.fmt)[None]
        rows = self._rows(0, errors)
        shape = neuron_item(Payloads(self.cfg, "backward"))
        for group in range(self.placed.weights.groups):
            for t in range(steps - 1, -1, -1):
                row = rows[group << self.cfg.step_bits | t]
                payload, mask = _payload(shape, row, {"address": group, "step": t})
                case.outputs.append((payload, mask, f"classes from {group * self.cfg.lanes}, timestep {t}"))
        return case

    def update(self) -> Case:
        layer, shape = self.layer, self.layer.weight_shape
        skip = bool(self.rng.integers(0, 4) == 0)
        arrays = [[self._values(s, scale) for s in (shape, layer.out_channels)] for scale in (1.0, 2.0, 4.0)]
        if not layer.bias:
            for _, biases in arrays:
                biases[:] = 0
        spaces = (Space.WEIGHTS, Space.MOMENTUM, Space.GRADIENTS)
        case = self._case(self._job("update"), skip=skip)
        if layer.bias:
            case.runs += self._case(self._job("update_bias"), skip=skip).runs
        case.memories = {s: self._weights(*values) for s, values in zip(spaces, arrays, strict=True)}
        momentum, minus_rate = (
            self.dtype(decode(value, self.fmt)) for value in (self.updates.momentum, self.updates.minus_rate)
        )
        for part in range(1 + layer.bias):
            weights, momenta, gradients = (values[part].reshape(-1) for values in arrays)
            if skip:
                gradients[:] = 0
            else:
                case.fault |= update(weights, momenta, gradients, momentum, minus_rate, self.updates.scale,
                                     self.cfg.multiplier_subnormals, self.parameters)  # fmt: skip
        case.after = {
            s: self._weight_places(self._weights(*values)) for s, values in zip(spaces, arrays, strict=True)
        }
        return case


def _join(pieces) -> int:
    """32-bit pieces, lowest first, as one number."""
    return sum(int(piece) << WORD * n for n, piece in enumerate(pieces))


def _row(lanes, width: int) -> int:
    return sum(int(value) << width * n for n, value in enumerate(lanes))


def _payload(shape, row: int, tag: dict[str, int]) -> tuple[int, int]:
    """A row with its tag, and a mask of the bits that are given."""
    ones = {name: (1 << shape["tag"].shape[name].width) - 1 for name in tag}
    full = {"row": (1 << shape["row"].width) - 1, "tag": ones}
    value, mask = (shape.const(init).as_value().value for init in ({"row": row, "tag": tag}, full))
    return value, mask


def _rows_of(cfg: CoreConfig, item: tuple[int, int, str]) -> int:
    """The row of a drained item, without its tag: what travels to another core."""
    return item[0] & (1 << cfg.row_bits) - 1
