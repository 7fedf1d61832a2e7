"""Cores of many configurations, networks for them, and training steps that are compared with golden."""

from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import numpy as np

from tests.cocotb.placing import updates_of
from trident.host.compile.chip_plan import ChipPlan
from trident.host.mapping.activity import measure
from trident.host.mapping.cost import CostModel
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.planes import Planes
from trident.hw.lib.streams import random_stalls
from trident.sim.golden.constants import UpdateConstants
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.builder import Builder
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network, edges
from trident.snn.network.nodes import INPUT, Norm
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

TRIANGLE = {"reset": "soft", "surrogate": "triangle", "timesteps": 5, "multiplier_subnormals": True}
SYNAPTIC = {
    "charge": "synaptic", "reset": "soft-after-leak", "surrogate": "sigmoid", "detach": False, "loss": "softmax",
    "optimiser": "adam-decay",
}  # fmt: skip
DECAYING = {
    "charge": "lif-decay-input", "surrogate": "superspike", "optimiser": "nesterov-decay", "loss": "softmax",
    "gradient_bits": 40,
}  # fmt: skip
PRUNED = {"optimiser": "sgd-prune"}
PRUNED_ADAM = {"optimiser": "adamw-decay-prune", "loss": "softmax", "gradient_bits": 40}
CHUNKS = {
    "chunks": 3, "gradient_bits": 40, "jobs": 128, "program_words": 128, "spike_words": 4096, "error_words": 2048,
    "surrogate": "triangle", "carry_words": 256,
}  # fmt: skip
READOUT = {
    "others": "lif/mean,lif/last,lif/max,synaptic/soft/triangle,if/none/atan/attached", "loss": "membrane",
    "optimiser": "adam", "surrogate": "atan",
}  # fmt: skip
PLANES = {"planes": True, "others": "lif/hard/rectangle/still"}
POOL = {"pool": 2}
WALKS = {
    "walks": 8, "jobs": 256, "program_words": 256, "spike_words": 8192, "error_words": 2048, "weight_rows": 2048,
}  # fmt: skip
STANDARD = {"standardise": True}
NORM = WALKS | {"batch_norm": True, "sum_words": 4096, "program_words": 1024, "spike_words": 16384, "error_words": 8192}
SHORT = {"short_paths": True, "prefetch_jobs": False}
BF16 = {"exp": 8, "frac": 7, "words": 1, "prefetch_jobs": False, "timesteps": 1}


@cache
def core_of(preset: str, stalls: int | None = None, **changes) -> tuple[VerilatedChip, CoreConfig]:
    """One simulation per configuration, used by many tests one after another."""
    cfg = CoreConfig.preset(preset, **changes)
    with random_stalls(stalls) if stalls is not None else nullcontext():
        return VerilatedChip(cfg), cfg


def check(bench: StepBench, rng, text: str) -> int:
    """Train two minibatches and infer one; returns the spikes that came out. Raises AssertionError with the first
    difference from golden."""
    fired = 0
    for density in (0.2, 0.7):
        mismatch, found = train(bench, rng, 5, density)
        assert mismatch is None, f"{text}: {mismatch}"
        fired += int(found.counts.sum())
    assert bench.infer(batch_of(bench, rng, 3, 0.4)[0])[0] is None
    return fired


def check_minibatches(bench: StepBench, rng, samples: int, densities: tuple[float, ...]):
    """Train minibatches of so many samples and infer a few. Raises AssertionError with the network and the first
    difference from golden."""
    for density in densities:
        mismatch, _ = bench.step(*batch_of(bench, rng, samples, density), constants_of(bench, samples), 256)
        assert mismatch is None, f"{bench.network}: {mismatch}"
    mismatch, _ = bench.infer(batch_of(bench, rng, 4, 0.4)[0])
    assert mismatch is None, f"{bench.network}: {mismatch}"


def bench_of(
    network: str, preset: str = "TINY", stalls: int | None = None, seed: int = 0, bias: bool = True, **changes
) -> StepBench:  # fmt: skip
    """A network of random neurons, and values if the core has planes, on a core of the preset with some changes."""
    core, cfg = core_of(preset, stalls, **changes)
    mixed, settings = _mixed(Network.parse(network, bias), cfg, seed), NeuronSettings.of(cfg)
    if cfg.learns:
        mixed = with_leaks(mixed, settings)
    if cfg.planes:
        mixed = replace(mixed, planes=_random_planes(np.random.default_rng(seed), cfg))
    if cfg.standardise:
        mixed = _standardised(mixed, seed)
    return StepBench(mixed, settings, cfg, core, seed)


def _random_planes(rng, cfg: CoreConfig) -> Planes:
    """Of up to so many bits as a spike word has timesteps, the last place mostly near 2**-8."""
    bits = int(rng.integers(1, min(cfg.timesteps, 8) + 1))
    return Planes(bits, int(rng.integers(-8, min(9 - bits, -3 if rng.random() < 0.7 else 8))), bool(rng.integers(2)))


def _mixed(network: Network, cfg: CoreConfig, seed: int) -> Network:
    """The network with neurons of the core's at random."""
    rng, nodes = np.random.default_rng(seed), list(network.nodes)
    kinds = [kind for kind in cfg.neurons if not (kind.readout or kind.still)]
    for n, node in enumerate(nodes):
        if node.kind == "neuron" and len(kinds) > 1:
            kind = kinds[rng.integers(len(kinds))]
            nodes[n] = replace(
                node, neuron=kind.charge, reset=kind.reset, surrogate=kind.surrogate, detach=kind.detach,
                threshold=float(rng.uniform(0.3, 0.7)), learn_threshold="channel" if kind.threshold else None,
            )  # fmt: skip
    return replace(network, nodes=tuple(nodes))


def _standardised(network: Network, seed: int) -> Network:
    """The network with standardised weights, of most layers that can have them."""
    rng, wide = np.random.default_rng(seed), {layer.node for layer in network.layers if layer.fan_in > 1}
    own = {name: {"standardise": True, "epsilon": float(2.0 ** rng.uniform(-13, 2))} for name in wide}
    nodes = (replace(n, **own[n.name]) if n.name in wide and rng.random() < 0.8 else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes))


def normed(network: Network, seed: int) -> Network:
    """The network with a batch norm behind its first conv or linear node and behind most others."""
    rng, nodes, moved = np.random.default_rng(seed), [], {}
    for node in network.nodes:
        if node.inputs[0].node in moved:
            node = replace(node, inputs=edges(moved[node.inputs[0].node]))
        nodes.append(node)
        if node.kind in ("conv", "linear") and (not moved or rng.random() < 0.7):
            name = moved[node.name] = f"norm_{node.name}"
            nodes.append(Norm(
                name, edges(node.name), epsilon=float(2.0 ** rng.uniform(-13, 0)), momentum=float(rng.uniform(0.01, 1)),
                scale=float(rng.uniform(0.2, 1.5)),
            ))  # fmt: skip
    return replace(network, nodes=tuple(nodes))


def batch_of(bench: StepBench, rng, samples: int, density: float):
    """Random samples, of which the share ``density`` of the bits is set, and their labels."""
    shape = (samples, bench.cfg.steps, *bench.network.sample_shape)
    spikes = (rng.random(shape) < density).astype(np.uint8)
    if bench.network.planes and bench.network.planes.still:
        spikes[:, bench.network.planes.bits :] = 0
    return spikes, rng.integers(0, bench.network.classes, samples)


def constants_of(bench: StepBench, samples: int, loss_scale: float = 256) -> UpdateConstants:
    return updates_of(bench.cfg, samples, loss_scale)


def train(bench: StepBench, rng, samples: int = 5, density: float = 0.3, loss_scale: float = 256):
    """A training step on random samples: the first difference from golden, and what the run returned."""
    spikes, labels = batch_of(bench, rng, samples, density)
    return bench.step(spikes, labels, constants_of(bench, samples), loss_scale)


def pooled_network(rng, channels: int, size: int) -> str:
    """A convolution whose spikes are pooled, perhaps another one, and a linear layer; the last pooled image is square
    where a linear layer reads it."""
    more = rng.random() < 0.5
    y, x = (size * int(n) for n in (rng.integers(1, 4, 2) if more else [rng.integers(1, 4)] * 2))
    kernel = (1, 3, 5)[rng.integers(3)]
    parts = [f"{y}x{x}x{rng.integers(1, 3)}", f"{rng.integers(1, 6)}c{kernel}", f"mp{size}"]
    if more:
        parts.append(f"{rng.integers(1, 4)}c{(1, 3)[rng.integers(2)]}")
    return "-".join([*parts, str(rng.integers(2, channels))])


def random_network(rng, channels: int) -> str:
    """Up to three layers behind a vector or an image; only what fits a TINY core."""
    parts, image = [], rng.random() < 0.6
    if image:
        y, x = rng.integers(2, 5, 2)
        parts.append(f"{y}x{x}x{rng.integers(1, 3)}")
        kernel, stride = rng.integers(1, 12), rng.integers(1, 3)
        least = max(0, -((min(y, x) - kernel) // 2))  # padding, for the kernel to fit
        padding = rng.integers(least, min(kernel, least + 2))
        parts.append(f"{rng.integers(1, 3)}c{kernel}s{stride}p{padding}")
    else:
        parts.append(str(rng.integers(1, channels)))
        parts.append(str(rng.integers(1, channels)))
    return "-".join([*parts, str(rng.integers(2, channels))])


def branching_network(rng, cfg: CoreConfig) -> Network:
    """Convolutions of small images whose spikes are added, read by several and pooled; behind them a mean of all pixels
    or a vector of them, and one or two linear layers. Values that change with time where the core has planes."""
    side = int(rng.choice([2, 4] if cfg.pool == 1 else [4, 8]))
    build, planes = Builder((side, side, int(rng.integers(1, 3)))), None
    if cfg.planes and rng.random() < 0.6:
        planes = Planes(int(rng.integers(1, 4)), int(rng.integers(-4, 1)), bool(rng.integers(2)), still=False)
    kinds = [kind for kind in cfg.neurons if not (kind.readout or kind.still or kind.pooled or kind.averaged)]

    def layer(kind: str, source: str, **fields) -> str:
        build.add(kind, source, **fields)
        own = kinds[rng.integers(len(kinds))]
        return build.add(
            "neuron", neuron=own.charge, reset=own.reset, surrogate=own.surrogate, detach=own.detach,
            threshold=float(rng.uniform(0.2, 0.5)),
        )  # fmt: skip

    def conv(source: str, channels: int, stride: int = 1) -> str:
        kernel = int(rng.choice([1, 3]))
        fields = {"kernel": kernel, "stride": stride, "padding": kernel // 2, "bias": bool(rng.integers(2))}
        return layer("conv", source, channels=channels, **fields)

    channels = int(rng.integers(1, 4))
    now = conv(INPUT, channels)
    if cfg.pool > 1:
        now = build.add("pool", now, method=str(rng.choice(["max", "average", "sum"])), size=cfg.pool)
        side //= cfg.pool
    for _ in range(int(rng.integers(1, 3))):
        stride = 2 if side > 2 and rng.random() < 0.5 else 1
        wanted = channels if stride == 1 and rng.random() < 0.5 else int(rng.integers(1, 5))
        branch = conv(conv(now, int(rng.integers(1, 4)), stride), wanted)
        same = stride == 1 and wanted == channels
        now = build.add("add", branch, now if same else conv(now, wanted, stride))
        channels, side = wanted, -(-side // stride)
    if side > 1 and side & (side - 1) == 0 and rng.random() < 0.6:
        now = build.add("pool", now, method="average", size=side)
    elif side > 1:
        now = build.add("flatten", now)
    if rng.random() < 0.4:
        now = layer("linear", now, outputs=int(rng.integers(2, 5)))
    layer("linear", now, outputs=int(rng.integers(2, 7)), bias=bool(rng.integers(2)))
    network = replace(build.network(), planes=planes)
    return _standardised(network, int(rng.integers(1 << 16))) if cfg.standardise else network


def check_networks(networks: tuple[str, ...], stalls: int | None, **changes) -> int:
    """Train networks one after another on one core of TINY, with norms or real values where it has those; returns the
    spikes that came out."""
    core, cfg = core_of("TINY", stalls, **changes)
    rng, fired = np.random.default_rng(4), 0
    for number, text in enumerate(networks):
        network = Network.parse(text)
        if cfg.batch_norm:
            network = normed(network, number)
        if cfg.planes:
            network = replace(network, planes=Planes(3, -2, True))
        fired += check(StepBench(network, NeuronSettings.of(cfg), cfg, core, number, minibatch=5), rng, text)
    return fired


def check_words(text: str, **changes):
    """Raises AssertionError unless the mapper forecasts as many words of spikes as a plan takes."""
    cfg, network = CoreConfig.preset("TINY", **changes), Network.parse(text)
    (plan,) = ChipPlan(network, cfg).plans
    spikes = (np.random.default_rng(0).random((1, cfg.steps, *network.in_shape)) < 0.5).astype(np.uint8)
    cost = CostModel(network, cfg, measure(network, cfg, NeuronSettings.of(cfg), spikes, np.zeros(1, int)))
    words = [cost.words(layer.number, 0, layer.out_channels) for layer in network.layers]
    assert plan.spike_words == plan.spike_slots * (words[0].input_words + sum(own.spike_words for own in words))


def check_cycles(text: str, within: float, **changes):
    """Raises AssertionError unless the mapper forecasts a sample's cycles in each engine, within a share of them."""
    core, cfg = core_of("TINY", None, **changes)
    bench, rng = StepBench(Network.parse(text), NeuronSettings.of(cfg), cfg, core), np.random.default_rng(0)
    spikes, labels = batch_of(bench, rng, 1, 0.4)
    bench.session.set_constants(constants_of(bench, 1), bench.golden.loss_constants(256))
    core.record()
    bench.session.run(spikes, labels, train=True)
    taken = dict.fromkeys(("forward", "backward", "weight_grad"), 0)
    for _, queue, start, end in core.intervals():
        taken[queue] = taken.get(queue, 0) + end - start
    core.record(0)
    cost = CostModel(bench.network, cfg, measure(bench.network, cfg, NeuronSettings.of(cfg), spikes, labels))
    layers = bench.network.layers
    whole = [(layer.number, 0, layer.out_channels) for layer in layers]
    found = {
        "forward": sum(cost.forward(*own) for own in whole) + sum(cost.fire(n) for n, *_ in whole if layers[n].window),
        "backward": sum(cost.backward(layer.number) for layer in layers[:-1]),
        "weight_grad": sum(cost.weight_grad(*own) for own in whole),
    }
    for engine, cycles in found.items():
        assert abs(cycles - taken[engine]) <= within * taken[engine], f"{engine}: {cycles}, not {taken[engine]}"


def check_chip(text: str, partition: str, width: int, height: int, **changes):
    """Raises AssertionError where a step of a network on several cores is not golden's, or nothing fires."""
    cfg, network, mesh = CoreConfig.preset("TINY", **changes), Network.parse(text), MeshConfig(width, height)
    chip = VerilatedChip(cfg, mesh)
    parted = Partition.parse(partition, network, cfg.lanes)
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, chip, 0, mesh, parted)
    mismatch, found = train(bench, np.random.default_rng(4), 6, 0.7)
    chip.close()
    assert mismatch is None and found.counts.sum() > 0
