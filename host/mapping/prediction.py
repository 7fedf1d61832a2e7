"""How long a partition takes for a minibatch: cycles of every core's engines, the pipeline of stages, the update."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from itertools import pairwise

from trident.host.compile.chip_plan import wanted_slots
from trident.host.compile.serial import serial_phases
from trident.host.compile.walks import slice_needs
from trident.host.mapping.amounts import Cycles, Operations
from trident.host.mapping.cost import CostModel
from trident.host.mapping.firmware_cycles import APART, IN_TURN, JOB, LATENCY, controller_cycles, jobs
from trident.host.mapping.sequencer_cycles import TURN, job_starts
from trident.hw.errors import TridentError
from trident.hw.isa.job import ERROR_SLOTS
from trident.snn.network.partition import Partition, Stage

HOP_CYCLES = 32  # from the first gradient that a replica sends to the first that the next one sends


@dataclass(frozen=True)
class CoreCost:
    """What one core of a replica holds and does per sample.

    local: cycles of backward between its own layers, in which neuron_grad takes no errors from outside; last_gradient:
    cycles of weight_grad for the first layer alone, whose errors come last; sending: least cycles until its spikes have
    left; weight_rows, spike_words, error_words: in use, ``slots`` samples' spikes and ``error_slots`` samples' errors;
    errors_in: cycles in which a sample's errors come in; shared: its three engines are one; controller: cycles of its
    controller, which starts so many jobs; slices: cores of its stage; starts: jobs of each engine; loads: cycles in
    which its sequencer loads all jobs.
    """

    stage: int
    layers: int
    cycles: Cycles
    local: float
    last_gradient: float
    sending: float
    operations: Operations
    update: float
    weight_rows: int
    sample_words: int
    error_words: int
    slots: int
    error_slots: int
    starts: Cycles
    loads: float
    errors_in: float = 0.0
    shared: bool = False
    controller: float = 0
    jobs: int = 0
    slices: int = 1

    @property
    def wait(self) -> float:
        """Cycles for which a job waits until the sequencer has loaded one for another queue, as often as it does."""
        return TURN * min(1.0, self.loads / self.cycles.longest)

    @property
    def work(self) -> float:
        """Cycles per sample of the longest engine, or of the one that the core has with its controller."""
        if self.shared:
            starts = JOB * self.jobs
            busy = max(self.cycles.total + starts + APART * (self.controller - starts), self.controller)
            return busy * (1 + IN_TURN * (self.slices + 1) * (self.slices > 1))
        own = zip(astuple(self.cycles), astuple(self.starts), strict=True)
        return max(self.loads, *(cycles + self.wait * jobs for cycles, jobs in own))

    @property
    def spike_words(self) -> int:
        return self.slots * self.sample_words

    @property
    def backward_latency(self) -> float:
        """Cycles from a sample's complete errors at the core's outputs to the end of its last gradient."""
        if self.shared:
            return self.cycles.backward + self.cycles.weight_grad
        gradients = self.local + self.last_gradient if self.layers > 1 else 0.0
        return max(self.cycles.backward, self.cycles.weight_grad, gradients)

    def period(self, receive: float) -> float:
        """Least cycles from sample to sample when the errors of one take ``receive`` cycles to come in: those of the
        longest engine; of neuron_grad, which serves the outside and the own layers in turn; of a slot of errors."""
        unit = receive + self.local + self.wait * self.starts.backward if self.layers > 1 else receive
        return max(self.work, unit, (receive + self.backward_latency) / self.error_slots)


@dataclass(frozen=True)
class Prediction:
    """Predicted cycles of a minibatch of ``batch`` samples.

    members: the cores of one replica (all replicas are equal); period: cycles between two samples of a replica;
    fill: from the first sample's start to its last gradient; reduction and update: after the last sample.
    """

    batch: int
    members: tuple[CoreCost, ...]
    period: float
    fill: float
    reduction: float
    update: float
    per_replica: int

    @property
    def cycles(self) -> float:
        """Of the whole minibatch."""
        return self.fill + (self.per_replica - 1) * self.period + self.reduction + self.update

    @property
    def per_sample(self) -> float:
        return self.cycles / self.batch

    @property
    def balance(self) -> float:
        """The largest core's cycles per sample (those of its longest engine) over their mean."""
        return _balance([core.work for core in self.members])

    @property
    def storage_balance(self) -> float:
        """The largest core's weight rows over their mean."""
        return _balance([core.weight_rows for core in self.members])


def _balance(work: list[float]) -> float:
    return max(work) * len(work) / sum(work)


def slices(stage: Stage) -> Iterator[tuple[int, int]]:
    """First and end channel of every core's share of a stage's last layer."""
    return pairwise(stage.cuts)


def core_cost(
    cost: CostModel, stage: Stage, share: tuple[int, int], below: tuple[int, ...], number: int, wanted: int
) -> CoreCost | str:
    """A core of stage ``number`` with the channels ``share`` of its last layer, or why it does not fit.

    below: where the layer below is cut, () for none; wanted: samples whose spikes it holds where there is room.
    """
    cfg, layers = cost.cfg, cost.network.layers
    cycles, operations, local = Cycles(), Operations(0, 0), 0.0
    rows = errors = 0
    spikes = cost.words(stage.first, 0, layers[stage.first].out_channels).input_words
    shares = [(n, *(share if n == stage.last else (0, layers[n].out_channels))) for n in stage.layers]
    for part in shares:
        words = cost.words(*part)
        rows, spikes, errors = rows + words.weight_rows, spikes + words.spike_words, errors + words.error_words
    least = wanted if cost.network.norms else 1  # samples at once
    for what, used, limit in (
        ("weight_rows", rows, cfg.weight_rows), ("spike_words", least * spikes, cfg.spike_words),
        ("error_words", least * errors, cfg.error_words - cfg.leak_terms),
    ):  # fmt: skip
        if used > limit:
            return f"{used} words of {what}, a core has {limit}"
    most_errors = min(max(least, ERROR_SLOTS), (cfg.error_words - cfg.leak_terms) // errors)
    for low, high in pairwise(below):
        if missing := slice_needs(cfg, layers[stage.first], low, high):
            return missing
    for part in shares:
        cycles += Cycles(cost.forward(*part), 0.0, cost.weight_grad(*part))
        if layers[part[0]].keeps_sums:
            cycles += Cycles(cost.fire(part[0]))
        readers = cost.network.spike_readers[part[0]]
        here = not layers[part[0]].fires or (readers and readers[0].number in stage.layers)
        local += cost.backward(part[0]) if here else 0.0
        done = cost.operations(*part)
        operations = Operations(operations.adds + done.adds, operations.multiply_adds + done.multiply_adds)
    starts, loads = job_starts(cost.network, cfg, stage.layers, max(len(below) - 1, 0))
    away = sum(cost.backward_away(*shares[0], low, high) for low, high in pairwise(below))
    return CoreCost(
        stage=number,
        layers=len(shares),
        cycles=replace(cycles, backward=local + away),
        local=local,
        last_gradient=cost.weight_grad(*shares[0]),
        sending=cost.words(*shares[-1]).spike_words,
        operations=operations,
        update=sum(cost.update(*part) for part in shares),
        weight_rows=rows,
        sample_words=spikes,
        error_words=errors * most_errors,
        slots=min(wanted, cfg.spike_words // spikes),
        error_slots=most_errors,
        shared=cfg.shared_engine,
        jobs=jobs(stage, below),
        slices=stage.cores,
        starts=Cycles(*starts),
        loads=0.0 if cfg.shared_engine else loads,
        controller=controller_cycles(cost.network, cfg, cost.mesh, stage, share, below) if cfg.shared_engine else 0.0,
    )


def receiving(cost: CostModel, stage: Stage, above: Stage | None) -> list[float]:
    """Per core of a stage the cycles in which a sample's errors come in: those that the cores of the stage ``above``
    take for them together, or the loss."""
    if above is None:
        return [cost.loss(end - first) for first, end in slices(stage)]
    return [
        max(cost.backward_away(above.first, *_first_share(cost, above, share), low, high) for share in slices(above))
        for low, high in slices(stage)
    ]


def _first_share(cost: CostModel, stage: Stage, share: tuple[int, int]) -> tuple[int, int]:
    """The channels of a stage's first layer that the core with channels ``share`` of its last layer has."""
    return share if stage.first == stage.last else (0, cost.network.layers[stage.first].out_channels)


def predict(cost: CostModel, partition: Partition, batch: int) -> Prediction:
    """Predict a minibatch. Raises :class:`TridentError`, with the numbers, if a core cannot hold its share."""
    stages = partition.stages
    costs: list[list[CoreCost]] = []
    for number, stage in enumerate(stages):
        before = partition.before(number, cost.network)
        below = () if before is None else stages[before].cuts
        wanted = wanted_slots(cost.network, partition, number, batch)
        cores = [
            core_cost(cost, stage, share, below, number, wanted) for share in slices(stage)
        ]
        if fault := next((core for core in cores if isinstance(core, str)), None):
            raise TridentError(f"partition {partition}: a core of stage {number + 1} needs {fault}")
        least = min(core.slots for core in cores)
        costs.append([replace(core, slots=least) for core in cores])
    if cost.network.norms:
        return _serial(cost, costs[0][0], batch, partition.replicas)

    # How long a sample's spikes stay in a stage, from the last stage on
    period = stay = 0.0
    for number in reversed(range(len(stages))):
        cores, after = costs[number], partition.after(number, cost.network)
        receive = receiving(cost, stages[number], None if after is None else stages[after])
        costs[number] = [replace(core, errors_in=errors_in) for core, errors_in in zip(cores, receive, strict=True)]
        period = max(period, *(core.period(errors_in) for core, errors_in in zip(cores, receive, strict=True)))
        stay += max(core.cycles.forward + core.sending for core in cores) + (max(receive) if after is None else 0.0)
        stay += LATENCY * max(core.controller for core in cores)
        ends = max(core.backward_latency for core in cores)
        period = max(period, (stay + ends) / cores[0].slots)
        inner = partition.before(number, cost.network) is not None
        stay += max(core.cycles.backward for core in cores) if inner else ends
    members = tuple(core for cores in costs for core in cores)
    return Prediction(
        batch=batch,
        members=members,
        period=period,
        fill=stay,
        reduction=_reduction(cost, members, partition.replicas),
        update=max(core.update for core in members),
        per_replica=-(-batch // partition.replicas),
    )


def _reduction(cost: CostModel, members: tuple[CoreCost, ...], replicas: int) -> float:
    """Cycles in which gradients go from replica to replica and back."""
    if replicas == 1:
        return 0.0
    return max(core.weight_rows for core in members) * cost.reduce_row + HOP_CYCLES * replicas


def _serial(cost: CostModel, core: CoreCost, batch: int, replicas: int) -> Prediction:
    """Predict a minibatch that every replica, a core, computes layer by layer: phase after phase, in each of which its
    longest engine or, of loss and backward, the neuron-gradient unit says how long a sample takes."""
    layers, period, norms, samples = cost.network.layers, 0.0, 0.0, -(-batch // replicas)
    for phase in serial_phases(layers):
        own = {engine: 0.0 for engine in ("forward", "backward", "weight_grad")}
        for kind, n in phase.steps:
            share = n, 0, layers[n].out_channels
            if kind in ("forward", "fire"):
                own["forward"] += cost.forward(*share) if kind == "forward" else cost.fire(n)
                if kind == "forward" and layers[n].keeps_sums and not layers[n].norm:
                    own["forward"] += cost.fire(n)
            elif kind in ("errors", "backward"):
                own["backward"] += cost.loss(share[2]) if kind == "errors" else cost.backward(n)
            elif kind == "weight_grad":
                own["weight_grad"] += cost.weight_grad(*share)
        period += max(own.values())
        if phase.normalised is not None:
            norms += cost.norm(phase.normalised, samples, phase.backward, replicas - 1)
    reduction = _reduction(cost, (core,), replicas)
    return Prediction(batch, (core,), period, period + norms, reduction, core.update, samples)
