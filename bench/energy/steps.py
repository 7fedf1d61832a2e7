"""Energy by the RTL's counters: a layer of a spiking ResNet-18 at several shares of zeros, and whole training steps."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from trident.bench.chip.single import ENGINES, SingleEngine
from trident.bench.energy.imagenet import networks, reference_efficiency, tool_efficiency, tool_networks
from trident.bench.training.runs import trained_step
from trident.host.energy.chip import OWN, REFERENCE, core_counts
from trident.host.energy.energy import Energy, layer_macs
from trident.host.energy.reference import PASSES, DenseLayer, efficiency
from trident.host.energy.table import DEFAULT, EnergyTable
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.isa.config import CoreConfig
from trident.snn.network.defaults import DEEP
from trident.snn.network.kernel import Kernel
from trident.snn.network.network import Network

# The second layer is one of S-ResNet18 on ImageNet; what is around it only makes a network of it
NETWORK = "28x28x8-128c1-64c3-8c7s2-8c7s2-10"
CORE = {"lanes": 16, "timesteps": 4, "words": 8, "accumulators": 64, "weight_rows": 16384, "spike_words": 16384,
        "error_words": 16384, "program_words": 128, "jobs": 64}  # fmt: skip
ZEROS = (0, 50, 80, 90)
# pJ per dense multiply-accumulate that the reference's model has for the layer, without zeros
PUBLISHED = {"forward": 1.49, "backward": 2.70, "weight_grad": 1.15}
BOUNDS = {0: 1.1, 80: 0.5}  # of that
TRAINING_BOUND = 2.1  # TFLOPS/W, twice the reference's headline
ENERGY_BOUNDS = {
    re.escape(f"energy.s-resnet18.128x64.{engine}.pj_per_mac.zeros{zeros}"): share * published
    for engine, published in PUBLISHED.items() for zeros, share in BOUNDS.items()
} | {r"energy\.training\.tflops_per_watt": TRAINING_BOUND}  # fmt: skip
SEEDS = (0, 1, 2)
# The deep network with standardised weights; the residual one, with a norm
DEEP_RUN = {"net": DEEP.net, "norm": "ws", "neuron": DEEP.neuron, "core": {"lanes": 8, "words": 8, "accumulators": 64}}
RESNET_CORE = {"lanes": 16, "words": 8, "accumulators": 64}


def measure_energy(only: str) -> Iterator[Figure]:
    """pJ per dense multiply-accumulate of the layer, with the accumulators of the reference and with the core's own,
    what the reference's model says of whole networks, and TFLOPS/W of training steps on trained weights, of the deep
    and of the residual network."""
    if any(f"energy.s-resnet18.128x64.{engine}".startswith(only) or only.startswith("energy.s-") for engine in ENGINES):
        yield from _layer()
    if "energy.reference".startswith(only) or only.startswith("energy.reference"):
        yield from _reference()
    if "energy.training".startswith(only) or only.startswith("energy.training"):
        yield from _training()


def _layer() -> Iterator[Figure]:
    table = EnergyTable.load(DEFAULT)
    cfg = CoreConfig.preset("SMALL", **CORE)
    network = Network.parse(NETWORK, bias=False)
    unit = SingleEngine(network, cfg)
    macs = layer_macs(network.layers[1], cfg.timesteps)
    for zeros in ZEROS:
        unit.fill(1 - zeros / 100, zeros=True)
        for engine in ENGINES:
            counters = Counter(unit.run(engine).counters)
            for name, convention in {"": REFERENCE, ".own": OWN}.items():
                energy = table.total(core_counts(counters, cfg, convention)[engine]) / macs[engine]
                figure = f"energy.s-resnet18.128x64.{engine}.pj_per_mac.zeros{zeros}{name}"
                yield Figure(figure, "pJ", energy, "lower", ENERGY_BOUNDS.get(re.escape(figure)))
    unit.close()
    dense = DenseLayer(128, 64, 28, 28, Kernel.square(3), cfg.timesteps)
    for engine in ENGINES:
        energy = table.total(PASSES[engine](dense)) / dense.macs
        yield Figure(f"energy.s-resnet18.128x64.{engine}.pj_per_mac.reference", "pJ", energy, "lower")


def _reference() -> Iterator[Figure]:
    table = EnergyTable.load(DEFAULT)
    for way, (found, measure) in {
        "spikingjelly": (networks(), reference_efficiency), "tool": (tool_networks(), tool_efficiency),
    }.items():  # fmt: skip
        for name, stages in found.items():
            for everything in (False, True):
                parts = "energy.reference", name, way, "with" if everything else "without"
                yield Figure(".".join(parts), "TFLOPS/W", measure(stages, table, everything), "higher")


def _training() -> Iterator[Figure]:
    table = EnergyTable.load(DEFAULT)

    def step(**run) -> Energy:
        spec = RunSpec.make(**run)
        return Energy.of(*trained_step(spec), spec.network, spec.cfg, table)

    found = [step(**DEEP_RUN, train=DEEP.train | {"seed": seed}) for seed in SEEDS]
    yield from _step_figures("energy.training", found, TRAINING_BOUND)
    for norm in ("ws", "bn"):
        yield from _step_figures(f"energy.training.resnet.{norm}", [step(net="resnet", norm=norm, core=RESNET_CORE)])


def _step_figures(name: str, found: list[Energy], bound: float | None = None) -> Iterator[Figure]:
    """Figures of training steps that differ in their seed: means, and the least TFLOPS/W."""

    def mean(value: Callable[[Energy], float]) -> float:
        return sum(map(value, found)) / len(found)

    yield Figure(f"{name}.tflops_per_watt", "TFLOPS/W", mean(lambda e: e.dense_equivalent), "higher", bound)
    if len(found) > 1:
        yield Figure(f"{name}.least.tflops_per_watt", "TFLOPS/W", min(e.dense_equivalent for e in found), "higher")
    yield Figure(f"{name}.effective.tflops_per_watt", "TFLOPS/W", mean(lambda e: e.effective), "higher")
    value = mean(lambda e: efficiency(e.macs, e.reference))
    yield Figure(f"{name}.reference_convention.tflops_per_watt", "TFLOPS/W", value, "higher")
    yield Figure(f"{name}.nj_per_sample", "nJ", mean(lambda e: e.total / 1e3), "lower")
    for part in found[0].parts:
        share = mean(lambda e, part=part: sum(e.parts[part].values()) / e.macs)
        yield Figure(f"{name}.{part}.pj_per_mac", "pJ", share, "lower")
