"""How long a partition takes for a minibatch: cycles of every core's engines, the pipeline of stages, the update."""

from collections.abc import Iterator
from dataclasses import dataclass

from host.cost import CostModel, Cycles, Operations
from host.partition import Partition, Stage
from hw.errors import TridentError

MAX_SLOTS = 15  # what a token counts to
ERROR_SLOTS = 2
HOP_CYCLES = 32  # from the last gradient that a replica sends to the first that the next one can add to it
GRADIENT_CYCLES = 2  # per row of gradients: along the replicas, and back


@dataclass(frozen=True)
class CoreCost:
    """What one core of a replica holds and does per sample.

    last_gradient: cycles of weight_grad for the first layer alone, whose errors come last; weight_rows, spike_words,
    error_words: in use, ``slots`` samples' spikes and ``error_slots`` samples' errors.
    """

    stage: int
    layers: int
    cycles: Cycles
    last_gradient: float
    operations: Operations
    update: float
    weight_rows: int
    spike_words: int
    error_words: int
    slots: int
    error_slots: int

    @property
    def backward_latency(self) -> float:
        """Cycles from a sample's complete errors at the core's outputs to the end of its last gradient."""
        return max(self.cycles.backward + self.last_gradient * (self.layers > 1), self.cycles.weight_grad)


@dataclass(frozen=True)
class Prediction:
    """Predicted cycles of a minibatch of ``batch`` samples.

    members: the cores of one replica (all replicas are equal); period: cycles between two samples of a replica;
    fill: until the pipeline's last stage has its first sample, and after its last one; reduction and update: after it.
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
        return _balance([core.cycles.longest for core in self.members])

    @property
    def storage_balance(self) -> float:
        """The largest core's weight rows over their mean."""
        return _balance([core.weight_rows for core in self.members])


def _balance(work: list[float]) -> float:
    return max(work) * len(work) / sum(work)


def slices(stage: Stage) -> Iterator[tuple[int, int]]:
    """First and end channel of every core's share of a stage's last layer."""
    return zip(stage.cuts, stage.cuts[1:], strict=False)


def core_cost(cost: CostModel, stage: Stage, first: int, end: int, number: int) -> CoreCost | str:
    """A core of stage ``number`` with channels ``first`` to ``end`` of its last layer, or why it does not fit."""
    cfg, layers = cost.cfg, cost.network.layers
    cycles, operations, update = Cycles(), Operations(0, 0), 0.0
    rows = errors = 0
    first_outputs = layers[stage.first].out_channels
    spikes = cost.storage(stage.first, 0, first_outputs).input_words
    for n in stage.layers:
        share = (n, first, end) if n == stage.last else (n, 0, layers[n].out_channels)
        storage = cost.storage(*share)
        rows, spikes, errors = rows + storage.weight_rows, spikes + storage.spike_words, errors + storage.error_words
        cycles += Cycles(cost.forward(*share), cost.backward(*share), cost.weight_grad(*share))
        done = cost.operations(*share)
        operations = Operations(operations.adds + done.adds, operations.multiply_adds + done.multiply_adds)
        update += cost.update(*share)
    for what, used, limit in (
        ("weight_rows", rows, cfg.weight_rows), ("spike_words", spikes, cfg.spike_words),
        ("error_words", errors, cfg.error_words),
    ):  # fmt: skip
        if used > limit:
            return f"{used} words of {what}, a core has {limit}"
    last = stage.last == len(layers) - 1
    cycles += Cycles(backward=cost.loss(end - first) if last else cost.arriving(stage.last, first, end))
    slots, error_slots = min(MAX_SLOTS, cfg.spike_words // spikes), min(ERROR_SLOTS, cfg.error_words // errors)
    first_share = (stage.first, first, end) if stage.first == stage.last else (stage.first, 0, first_outputs)
    return CoreCost(
        number, len(stage.layers), cycles, cost.weight_grad(*first_share), operations, update, rows, slots * spikes,
        error_slots * errors, slots, error_slots,
    )  # fmt: skip


def predict(cost: CostModel, partition: Partition, batch: int) -> Prediction:
    """Predict a minibatch. Raises :class:`TridentError`, with the numbers, if a core cannot hold its share."""
    members = []
    for number, stage in enumerate(partition.stages):
        for first, end in slices(stage):
            core = core_cost(cost, stage, first, end, number)
            if isinstance(core, str):
                raise TridentError(f"partition {partition}: a core of stage {number + 1} needs {core}")
            members.append(core)
    stages = [[core for core in members if core.stage == number] for number in range(len(partition.stages))]

    def slowest(values):
        return max(values, default=0.0)

    # How long a sample stays in a stage, from the last stage on: its spikes until the last gradient, its errors from
    # the first that the stage above sends
    period, stay, above = max(core.cycles.longest for core in members), 0.0, 0.0
    for cores in reversed(stages):
        backward = slowest(core.cycles.backward for core in cores)
        ends = slowest(core.backward_latency for core in cores)
        forward = slowest(core.cycles.forward for core in cores)
        period = max(period, *((stay + forward + ends) / core.slots for core in cores))
        period = max(period, *((above + ends) / core.error_slots for core in cores))
        stay, above = stay + forward + backward, backward
        if cores is stages[0]:
            stay += ends - backward
    return Prediction(
        batch=batch,
        members=tuple(members),
        period=period,
        fill=stay,
        reduction=_reduction(partition, members),
        update=max(core.update for core in members),
        per_replica=-(-batch // partition.replicas),
    )


def _reduction(partition: Partition, members: list[CoreCost]) -> float:
    if partition.replicas == 1:
        return 0.0
    return GRADIENT_CYCLES * max(core.weight_rows for core in members) + HOP_CYCLES * partition.replicas
