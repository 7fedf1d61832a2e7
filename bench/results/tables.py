"""The tables of README.md and the pages under docs, each from the figures by their names."""

import re

from trident.bench.chip.engines import BITS, NETWORKS, SPIKES, ZEROS
from trident.bench.chip.fpga import BOARD, WORK
from trident.bench.chip.single import ENGINES
from trident.bench.energy.gates import GATES
from trident.bench.energy.imagenet import PUBLISHED
from trident.bench.energy.steps import ZEROS as LAYER_ZEROS
from trident.bench.mapping.placement import PIPELINE_BOUNDS
from trident.bench.record import Measured
from trident.bench.results.shown import EMPTY, bound_text, markdown, marked, row_of, show
from trident.bench.training.federated import BOUNDS as FEDERATED_BOUNDS
from trident.bench.training.federated import WORKERS as FLOWER_WORKERS
from trident.bench.training.rounding import LAYERS, SAMPLES, SEEDS, SETTINGS, WAYS, WIDTH
from trident.boards.asic.measure import UNITS
from trident.host.mapping.placement import PLACERS, Placing
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.isa.planes import PLANES

TITLES = {
    "train.digits.test_accuracy": "test accuracy, digits, trained on the RTL",
    "train.digits.weights_differing": "weights and momenta that differ from golden",
    "train.digits.epochs": "epochs of that run",
    "train.digits.adam.test_accuracy": "the same network with Adam and cross-entropy",
    "train.digits.adam.bits_differing": "weights and moments that differ from golden",
    "train.digits.t100.test_accuracy": "the same network, an epoch of 100 timesteps, synaptic neurons, a readout",
    "train.digits.t100.bits_differing": "weights and moments that differ from golden",
    "train.vowels.test_accuracy": "nine speakers by a vowel, a recurrent layer and a readout, trained by golden",
    "train.vowels.bits_differing": "weights and moments that differ from golden after an epoch on the RTL",
    "vector.neurons": "combinations of neuron, reset, surrogate, loss and optimiser compared with PyTorch",
    "vector.neurons.worst_error": "largest relative difference of a gradient or a step, in float64",
    "coverage.models": "of 55 public models, those that can be trained as published",
    "coverage.models_near": "those that lack only what has a near substitute",
    "core.step.overlap_ratio": "cycles of a training step ÷ busy cycles of its longest engine",
    "core.step.cycles_per_sample": "cycles per training sample, update included",
    "core.bn.cycles_ratio": "cycles of a training step of the residual network, batch norm ÷ standardised weights",
    "sim.core8.cycles_per_second": "simulated cycles per second, 8 lanes, golden model and Python included",
    "golden.digits.epoch_seconds": "one epoch of digits in the golden trainer",
    "chip.generate_seconds": "generating the Verilog of 20 cores",
    "chip.speedup20": "cycles per sample of one core ÷ those of 20 cores, same network and memories",
    "sim.chip20.cycles_per_second": "simulated cycles per second, 20 cores of the preset FPGA",
    "chip.deep.cycles_per_sample": "cycles per sample, deep network on 20 cores, update included",
    "map.prediction_error": "predicted cycles per sample of that network are off by",
    "map.balance": "largest core's work ÷ mean, deep network",
    "map.balance.resnet18": "largest core's work, or memory, ÷ mean, S-ResNet18 on 64 cores",
    "map.balance.vgg16": "the same, S-VGG16",
    "map.placement_ratio": "flits × hops of the placement ÷ mean of random placements",
    "map.zigzag_ratio": "flits × hops of the placement ÷ zigzag",
    "map.random_cycles": "cycles per sample with a random placement ÷ those of that network's own",
    "map.deep.gap": "flits × hops above a good placement, deep network, mean of eight seeds",
    "map.qap.gap.n50": "cost above the best known, instances of QAPLIB of up to 50 places",
    "map.qap.gap.n100": "the same, 51 to 100 places",
    "map.pipeline.8": "flits × hops of pipelines on 8x8 ÷ those of annealing as it was before",
    "map.pipeline.16": "the same on 16x16 ÷ zigzag",
    "map.pipeline.32": "the same on 32x32 ÷ zigzag",
    "noc.5x4.zero_load_cycles_per_hop": "network, cycles per hop without load",
    "noc.5x4.saturation.fpga": "network 5x4, saturation in flits per core and cycle, preset FPGA",
    "noc.5x4.saturation.fast": "the same, preset FAST",
    "noc.router.luts": "router of the preset FPGA, LUT4 of an ECP5",
    "link.upload.digits": "host link at 3 Mbaud, upload of digits, share of the line's rate",
    "link.upload.mnist": "the same, mnist",
    "federated.iid.below_central": "five federated workers, ten rounds, split iid: accuracy below central training",
    "federated.dirichlet.below_central": "the same, split dirichlet:0.3",
    "fpga.fast.samples_per_second.digits": "one fast core on the ULX3S 85F, digits, cycles counted, link included",
    "fpga.fast.samples_per_second.digits.chip_alone": "the same, the chip alone",
    "fpga.mesh20.samples_per_second.digits": "20 cores on the ULX3S 85F, digits, cycles counted, link included",
    "fpga.mesh20.samples_per_second.mnist": "the same, mnist",
    "cpu.spikingjelly.samples_per_second.digits": "SpikingJelly on this processor, digits",
    "cpu.spikingjelly.samples_per_second.mnist": "the same, mnist",
}

# What the README shows of them
CHOSEN = (
    "train.digits.test_accuracy", "train.digits.weights_differing", "core.step.overlap_ratio",
    "sim.core8.cycles_per_second", "chip.speedup20", "sim.chip20.cycles_per_second", "chip.generate_seconds",
    "fpga.fast.samples_per_second.digits",
)  # fmt: skip


def headline(figures: dict[str, Figure]) -> str:
    """One sentence: what was trained, how well, and how many bits differ from golden."""
    names = ("train.digits.test_accuracy", "train.digits.weights_differing", "train.digits.epochs")
    if any(name not in figures for name in names):
        return EMPTY
    accuracy, differing, epochs = (figures[name].value for name in names)
    spec = RunSpec.make()
    return (
        f"**{100 * accuracy:.1f} % of scikit-learn's test digits after {epochs:.0f} epochs of FP16 training on the RTL "
        f"of one core; of {2 * spec.network.weights:,} weights and momenta, {differing:,.0f} differ from the golden "
        f"model.**"
    )


def chosen(figures: dict[str, Figure]) -> str:
    """The table of the README."""
    rows = []
    for name in CHOSEN:
        rows += row_of(figures, TITLES[name], name)
    return markdown(["figure", "measured", "bound"], rows) or EMPTY


def summary(figures: dict[str, Figure]) -> str:
    """One row per figure that has a title, busy fractions and savings by engine."""
    rows = []
    for name, title in TITLES.items():
        rows += row_of(figures, title, name)
    for cols in (1, 4):
        for network in NETWORKS:
            for engine in ENGINES:
                title = f"busy, {engine}, {network}, {cols} column{'s' * (cols > 1)}"
                rows += row_of(figures, title, f"core.{engine}.{network}.cols{cols}.busy")
    for network in NETWORKS:
        for engine in ("forward", "weight_grad"):
            rows += row_of(figures, f"busy, {engine}, {network}, real values", f"core.planes.{engine}.{network}.busy")
    for network in NETWORKS:
        for engine in ENGINES:
            name = f"core.{engine}.{'' if network == 'linear' else 'conv.'}zeros90.saving"
            rows += row_of(figures, f"cycles at 0 % zeros ÷ cycles at 90 %, {engine}, {network}", name)
    return markdown(["figure", "measured", "bound"], rows) or EMPTY


def sparsity(figures: dict[str, Figure]) -> str:
    """Cycles of each engine against the share of zeros."""
    rows = []
    for network in NETWORKS:
        for engine in ENGINES:
            prefix = f"core.{engine}.{'' if network == 'linear' else 'conv.'}zeros"
            found = [figures.get(f"{prefix}{percent}.cycles") for percent in ZEROS]
            if any(found):
                rows.append([f"{engine}, {network}", *(show(f.value, f.unit) if f else "" for f in found)])
    return markdown(["cycles", *(f"{percent} % zeros" for percent in ZEROS)], rows) or EMPTY


def noc(figures: dict[str, Figure]) -> str:
    """What the network alone was measured to do."""
    rows = [
        [f"`{f.name}`", f"{f.value:,.6g} {f.unit}", bound_text(f)]
        for f in figures.values() if f.name.startswith("noc.")
    ]  # fmt: skip
    return markdown(["figure", "measured", "bound"], rows) or EMPTY


def rounding(figures: dict[str, Figure]) -> str:
    """How far gradients are off with exact sums and with sums in FP16."""
    rows = []
    for setting, (subnormals, loss_scale) in SETTINGS.items():
        for name, title in WAYS.items():
            values = [figures.get(f"gradients.deep16.{setting}.{name}.error_{of}") for of in ("mean", "worst")]
            if all(values):
                kept = "kept" if subnormals else "flushed"
                rows.append([title, kept, f"{loss_scale:g}", *(f"{100 * figure.value:.3f} %" for figure in values)])
    what = f"{LAYERS} linear layers of {WIDTH}, {SAMPLES} samples of 8 timesteps, {SEEDS} seeds"
    return markdown([f"sums ({what})", "subnormal products", "loss scale", "mean", "worst layer"], rows) or EMPTY


def training_speed(figures: dict[str, Figure]) -> str:
    """Samples per second of a board's chip and of SpikingJelly."""
    rows = []
    for data, work in WORK.items():
        pattern = rf"(?:fpga\.(\w+)|cpu\.(spikingjelly))\.samples_per_second\.{data}"
        for name, figure in figures.items():
            if match := re.fullmatch(pattern, name):
                who = f"{BOARD} {match[1]}, cycles counted" if match[1] else "SpikingJelly, this processor"
                rows.append([f"{data}, `{work.net}`, batch {work.batch}: {who}", f"{figure.value:,.0f}"])
    return markdown(["what is trained", "samples/s"], rows) or EMPTY


def federated(figures: dict[str, Figure]) -> str:
    """What federated runs reach, and what Flower costs."""
    rows = row_of(figures, "central training: test accuracy", "federated.central.test_accuracy")
    for split in FEDERATED_BOUNDS:
        name = f"federated.{split.partition(':')[0]}"
        rows += row_of(figures, f"five workers, ten rounds, `{split}`: test accuracy", f"{name}.test_accuracy")
        rows += row_of(figures, "below central", f"{name}.below_central")
    who = f"a round of {FLOWER_WORKERS} tiny chips"
    rows += row_of(figures, f"{who} in one process", "federated.flower.round_in_process")
    rows += row_of(figures, f"{who} with Flower on loopback", "federated.flower.round")
    rows += row_of(figures, "cost of Flower", "federated.flower.cost")
    return markdown(["figure", "measured", "bound"], rows) or EMPTY


def energy_layer(figures: dict[str, Figure]) -> str:
    """pJ per dense multiply-accumulate of a layer, by pass and share of zeros."""
    rows = []
    for engine in ENGINES:
        prefix = f"energy.s-resnet18.128x64.{engine}.pj_per_mac"
        for title, end in {"accumulators of the reference": "", "own accumulators": ".own"}.items():
            found = [figures.get(f"{prefix}.zeros{percent}{end}") for percent in LAYER_ZEROS]
            if any(found):
                found.append(figures.get(f"{prefix}.reference"))
                rows.append([f"{engine}, {title}", *(marked(f) for f in found)])
    return markdown(["pJ", *(f"{percent} % zeros" for percent in LAYER_ZEROS), "reference"], rows) or EMPTY


def energy_reference(figures: dict[str, Figure]) -> str:
    """TFLOPS/W of whole networks by the reference's model, beside what is published."""
    rows = []
    for name, published in PUBLISHED.items():
        for parts, what in zip(("without", "with"), published, strict=True):
            found = [figures.get(f"energy.reference.{name}.{way}.{parts}") for way in ("spikingjelly", "tool")]
            if all(found):
                title = f"{name}, {parts} norm and Adam"
                rows.append([title, *(f"{figure.value:.3f}" for figure in found if figure), f"{what:.3f}"])
    columns = ["TFLOPS/W", "as SpikingJelly has it", "as the authors' tool has it", "published"]
    return markdown(columns, rows) or EMPTY


def energy_training(figures: dict[str, Figure]) -> str:
    """TFLOPS/W of a training step, and what its parts take."""
    rows = []
    networks = {"resnet.ws": "residual, standardised weights", "resnet.bn": "residual, batch norm"}
    for figure in figures.values():
        what = figure.name.removeprefix("energy.training.")
        if what != figure.name:
            key = next((key for key in networks if what.startswith(f"{key}.")), "")
            name = what.removeprefix(f"{key}.").replace(".", ", ").replace("_", " ")
            rows.append([f"{networks.get(key, 'deep')}: {name}", f"{figure.value:.3g}", bound_text(figure)])
    return markdown(["figure", "measured", "bound"], rows) or EMPTY


def gates(figures: dict[str, Figure]) -> str:
    """Area and energy of units in standard cells."""
    rows = []
    for unit in UNITS:
        found = [figures.get(f"energy.gates.{unit}.{name}") for name in GATES]
        if any(found):
            rows.append([unit, *("" if figure is None else _three_digits(figure.value) for figure in found)])
    return markdown(["unit", *GATES.values()], rows) or EMPTY


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def placement(figures: dict[str, Figure]) -> str:
    """What the default placer and the learned one reach."""
    return _under(figures, r"map\.(qap|deep\.gap|pipeline\.\d+(\.seconds)?$|learned|training|random_cycles)")


def placers(figures: dict[str, Figure]) -> str:
    """What each placer makes of the deep network and of pipelines."""
    rows = []
    for name in PLACERS:
        gap = figures.get("map.deep.gap" if name == Placing.placer else f"map.deep.{name}.gap")
        found = [figures.get(f"map.pipeline.{side}.{name}.of_zigzag") for side in PIPELINE_BOUNDS]
        if gap and all(found):
            ratios = [f"{figure.value:.3f}" for figure in found if figure]
            rows.append([f"`{name}`", show(gap.value, gap.unit), *ratios])
    return markdown(["placer", "deep network", *(f"{side}x{side}" for side in PIPELINE_BOUNDS)], rows) or EMPTY


def latency(figures: dict[str, Figure]) -> str:
    """What placements are worth in cycles."""
    return _under(figures, r"map\.latency\.")


def balance(figures: dict[str, Figure]) -> str:
    """How evenly large networks are cut."""
    return _under(figures, r"map\.balance\.")


def _under(figures: dict[str, Figure], names: str) -> str:
    """The figures whose names begin so, with their bounds."""
    rows = [
        [f"`{f.name}`", show(f.value, f.unit), bound_text(f)] for f in figures.values() if re.match(names, f.name)
    ]  # fmt: skip
    return markdown(["figure", "measured", "bound"], rows) or EMPTY


def everything(figures: dict[str, Figure], records: dict[str, Measured]) -> str:
    """Every figure under its name."""
    rows = [
        [f"`{f.name}`", f"{f.value:,.6g}", f.unit, bound_text(f), f"{records[f.name].day} {records[f.name].commit}"]
        for f in figures.values()
    ]  # fmt: skip
    return markdown(["figure", "value", "unit", "bound", "measured"], rows) or EMPTY


def setting(figures: dict[str, Figure]) -> str:
    """What busy fractions and cycles were measured on."""
    networks = ", ".join(f"{name} `{text}`" for name, text in NETWORKS.items())
    return (
        f"Second layer of {networks}; 8 lanes, T = 4; for the busy fractions {100 * SPIKES:.0f} % of the spikes "
        f"(backward: of the errors) are set. Real values: the first layer, T = {PLANES}, {100 * BITS:.0f} % of their "
        f"bits set."
    )


def origin(records: dict[str, Measured]) -> str:
    """When, at which commits and on which machines figures were measured."""
    if not records:
        return EMPTY
    days = sorted({record.day for record in records.values()})
    when = days[0] if len(days) == 1 else f"between {days[0]} and {days[-1]}"
    commits = {record.commit for record in records.values()}
    at = f"commit {next(iter(commits))}" if len(commits) == 1 else f"{len(commits)} commits"
    machines = dict.fromkeys(record.machine for record in sorted(records.values(), key=lambda record: record.day))
    return (
        f"Measured {'on ' if len(days) == 1 else ''}{when} at {at}, on {'; '.join(machines)}, by `make bench`; "
        "the table of all figures in docs/results.md says which at which."
    )
