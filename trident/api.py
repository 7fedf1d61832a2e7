"""What programs use: train a network on the simulated chip, estimate one, or drive the chip itself.

The command line (:mod:`trident.cli`) does the same; the words and the defaults are those of ``trident train --help``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trident.host.cli import run
from trident.host.compile.chip_plan import MINIBATCH, ChipPlan
from trident.host.driver.driver import Driver
from trident.host.driver.session import ChipSession
from trident.host.mapping.activity import measure_data
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.mapping.cost import CostModel
from trident.host.mapping.mapper import SAMPLES
from trident.host.mapping.prediction import CoreCost, predict
from trident.host.report.terminal import terminal
from trident.host.train.spec import RunSpec
from trident.hw.folders import OUT
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import NeuronConstants
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

Values = Mapping[str, Any] | None


@dataclass(frozen=True)
class Training:
    """What :func:`train` has done.

    accuracy, train_accuracy: after the last epoch, of samples that were not and that were trained on, from 0 to 1;
    weights_compared: weights and biases that equal the golden model's, which are all; cycles: clock cycles simulated;
    seconds: taken by all of it, building included; folder: has ``report.html``, ``run.json`` and ``checkpoint.npz``;
    zero_weights: the share of weights that are 0, of a run with ``prune``.
    """

    accuracy: float
    train_accuracy: float
    weights_compared: int
    cycles: int
    seconds: float
    folder: Path
    zero_weights: float | None = None

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"


def train(
    net: str | Network | None = None,
    data: str = "digits",
    *,
    epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    preset: str | None = None,
    mesh: str | None = None,
    cores: int | None = None,
    partition: str | None = None,
    encoding: str | None = None,
    neuron: Values = None,
    training: Values = None,
    core: Values = None,
    bin_us: int | None = None,
    folder: str | Path = OUT / "train" / "program",
    resume: bool = False,
    quiet: bool = True,
) -> Training:
    """Train a network on the RTL of a chip, simulated cycle by cycle, in lockstep with the golden model.

    The simulation is built first, about a minute, and kept for the next time.

    net: layers as in "64-128-10", or a :class:`Network`; data: "digits", "mnist", the path of an .npz file, or of a
    folder of IDX files or event recordings; epochs: passes over the training samples; batch: samples of a minibatch;
    seed: of weights, order and encoding; preset: the core to start from; mesh: columns and rows of cores, as in "5x4",
    or ``cores``: their number; partition: how the network is spread over them, else the fastest that is found; neuron,
    training, core: further fields of :class:`NeuronSettings`, :class:`TrainSettings` and :class:`CoreConfig` by name;
    bin_us: of event recordings, microseconds of a timestep, else the fewest with which all timesteps cover the longest;
    folder: what is written goes there; resume: go on from the checkpoint there; quiet: show no progress.

    Raises :class:`TridentError` for what does not fit together, before anything is built; :class:`Divergence` where
    RTL and golden differ; :class:`BuildError` when a tool of the simulation fails; :class:`Interrupted` after Ctrl-C,
    with a checkpoint in the folder.

    >>> result = train("64-128-10", epochs=10)
    >>> print(f"{result.accuracy:.1%} after {result.cycles:,} cycles, see {result.report}")
    """
    fields = {**(training or {}), "epochs": epochs, "batch": batch, "learning_rate": learning_rate, "seed": seed}
    spec = _spec(net, data, preset, encoding, neuron, fields, core, ChipChoice(mesh, cores, partition), bin_us)
    record = run.train(spec, Path(folder), terminal(quiet), resume)
    assert record is not None  # as there is without waves
    last, verdict = record.series["RTL"][-1], record.verdict
    return Training(
        verdict.test_accuracy, last.train_accuracy, verdict.weights_compared, verdict.cycles, verdict.wall_seconds,
        Path(folder), verdict.zero_weights,
    )  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What :func:`estimate` predicts.

    weights: weights and biases of the network; cfg, mesh: the core, with memories as large as they need be, and the
    mesh; partition: replicas, stages and slices; placement: the mesh core of every logical core; batch: samples of a
    minibatch; cycles_per_sample: clock cycles of training, update included; one_core: those of a single core that holds
    the network (None: it is larger than a core can be); members: what each core of one replica holds, in words, and
    does, in cycles.
    """

    weights: int
    cfg: CoreConfig
    mesh: MeshConfig
    partition: Partition
    placement: tuple[int, ...]
    batch: int
    cycles_per_sample: float
    one_core: float | None
    members: tuple[CoreCost, ...]

    @property
    def cores(self) -> int:
        """Cores in use."""
        return self.partition.cores

    def samples_per_second(self, clock_hz: float) -> float:
        """Trained at a clock in Hz."""
        return clock_hz / self.cycles_per_sample


def estimate(
    net: str | Network | None = None,
    data: str = "digits",
    *,
    batch: int | None = None,
    seed: int | None = None,
    preset: str | None = None,
    mesh: str | None = None,
    cores: int | None = None,
    partition: str | None = None,
    encoding: str | None = None,
    neuron: Values = None,
    core: Values = None,
    bin_us: int | None = None,
) -> Estimate:
    """How a network is spread over a chip, what it takes of the memories and how fast it trains, without simulating.

    A few samples of ``data`` go through the golden model, because cycles depend on spikes. The arguments are those of
    :func:`train`; without ``mesh`` and ``cores`` the chip is one core.
    Raises :class:`TridentError`, with the numbers, for a network that does not fit.

    >>> found = estimate(cores=20)
    >>> print(found.partition, f"{found.samples_per_second(40e6):,.0f} samples per second at 40 MHz")
    """
    fields = {"batch": batch, "seed": seed}
    spec = _spec(net, data, preset, encoding, neuron, fields, core, ChipChoice(mesh, cores, partition), bin_us)
    network, cfg, plan, size = spec.network, spec.cfg, spec.plan, spec.train.batch
    assert plan is not None  # as there is but for golden alone
    activity = measure_data(network, cfg, spec.neuron, spec.dataset, SAMPLES, spec.encoding, spec.train.seed)
    found = predict(CostModel(network, cfg, activity, plan.mesh), plan.partition, size)
    per_sample = spec.forecast.per_sample if spec.forecast else found.per_sample
    one_core = spec.forecast.one_core if spec.forecast else found.per_sample
    return Estimate(
        network.weights, cfg, plan.mesh, plan.partition, tuple(plan.placement), size, per_sample, one_core,
        found.members,
    )  # fmt: skip


def _spec(
    net: str | Network | None, data: str, preset: str | None, encoding: str | None, neuron: Values, training: Values,
    core: Values, chip: ChipChoice, bin_us: int | None,
) -> RunSpec:  # fmt: skip
    """What :func:`train` and :func:`estimate` are asked for, checked as a whole."""
    neuron, training, core = (dict(values or {}) for values in (neuron, training, core))
    return RunSpec.make(data, net, preset, encoding, neuron, training, core, chip, bin_us=bin_us)


class Chip:
    """The RTL of a chip, simulated cycle by cycle in this process, and what a host does with it. Use it as a context.

    cfg: the core; mesh: how many of them and their network, by default one core. Building takes about a minute the
    first time. Raises :class:`TridentError` for a core and a mesh that do not fit together, :class:`BuildError` when a
    tool fails.

    >>> with Chip(CoreConfig.preset("TINY")) as chip:
    ...     session = chip.load(Network.parse("16-16-4"))
    ...     print(chip.cycles, chip.counters(0))
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig | None = None):
        self.cfg = cfg
        self.chip = VerilatedChip(cfg, mesh)
        self.mesh = self.chip.mesh
        self.driver = Driver(self.chip, cfg, self.mesh)

    def __enter__(self) -> "Chip":
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self.chip.cycles

    def counters(self, core: int) -> dict[str, int]:
        """Cycles and events of a core of the mesh by name, each modulo 2**32."""
        return self.driver.counters(core)

    def read(self, core: int, space: Space, address: int, count: int) -> np.ndarray:
        """``count`` elements of a memory of a core: uint32 (count, 32-bit words of an element)."""
        return self.driver.read(core, space, address, count)

    def write(self, core: int, space: Space, address: int, elements: np.ndarray):
        """Write elements, as :meth:`read` gives them, from ``address``."""
        self.driver.write(core, space, address, elements)

    def load(
        self, network: Network, neuron: NeuronSettings | None = None, partition: Partition | None = None,
        minibatch: int = MINIBATCH,
    ) -> ChipSession:  # fmt: skip
        """Give the chip a network, on one core or spread by ``partition``; the session then loads weights and runs
        minibatches, with a batch norm of so many samples. Raises :class:`TridentError` for a network that does not fit
        the memories."""
        plan = ChipPlan(network, self.cfg, self.mesh, partition, minibatch=minibatch)
        constants = NeuronConstants.of_network(network, neuron or NeuronSettings(), self.cfg)
        return ChipSession(self.driver, plan, constants)

    def close(self):
        """End the simulation."""
        self.chip.close()
