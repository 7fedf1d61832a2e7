"""What a core can do: one row per operation, which sequencer, cores, compiler, cost model and documents derive from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from trident.hw.isa.batch_norm import NUMBERS as NORM_NUMBERS
from trident.hw.isa.capabilities import Capability
from trident.hw.isa.faults import Fault
from trident.hw.isa.microcode import NUMBERS, UPDATE_NUMBERS
from trident.hw.isa.registry import first_engine
from trident.hw.isa.spaces import Space


class Opcode(IntEnum):
    """What an instruction does; the first six name the engine queue that it goes to."""

    FORWARD = 0
    BACKWARD = 1
    WEIGHT_GRAD = 2
    UPDATE = 3
    RECEIVE = 4
    SEND = 5
    LOSS = 6
    REDUCE = 7
    NOTIFY = 8
    LOOP = 9
    BARRIER = 10
    HALT = 11
    JUMP = 12
    ENTER = 13
    POOL = 14
    NORM = 15
    FIRE = 16
    WINDOW = 17
    SPREAD = 18
    LEAK = 19
    TIE = 20
    DROP = 21
    JOIN = 22
    ADD = 23
    ADD_ERRORS = 24


@dataclass(frozen=True)
class Operation:
    """One operation. What is named by ``module:name`` is loaded by whoever needs it; nothing here depends on it.

    opcode, meaning: as in the documentation.
    queue: the opcode that names the queue whose jobs it is one of; None for what the sequencer does itself, whose
        operand is no job but a word of the program.
    fields: of the job that it looks at, beside ``wait`` and ``post``.
    pointers: those fields that move with the sample, and whose slot each is in: spikes, errors or remote (the spikes of
        the next stage).
    reads: memories; writes: memories, and the unit that puts each value there.
    faults: those that its jobs can have.
    needs: what a core must have for it.
    place: in which engines are exchanged by name, see :mod:`hw.isa.registry`.
    unit: the hardware that runs the job; golden: what computes the same, in order, where anything is computed. With a
        place, ``unit`` and the first of ``golden`` are those of its first engine.
    firmware: where the controller of a core with a shared engine begins it.
    cycles: how long a job takes, on a core of three engines and on one with a shared engine: a function of the mapper,
        or cycles per row; None where that follows from what another core sends, or is short.
    """

    opcode: Opcode
    meaning: str
    queue: Opcode | None = None
    fields: tuple[str, ...] = ()
    pointers: dict[str, str] = field(default_factory=dict)
    reads: tuple[Space, ...] = ()
    writes: dict[Space, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    needs: tuple[Capability, ...] = ()
    place: str | None = None
    unit: str | None = None
    golden: tuple[str, ...] = ()
    firmware: str | None = None
    cycles: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """In lower case, as its unit is named in a core."""
        return self.opcode.name.lower()


_WALK = ("src", "tile", "groups", "pass_groups", "exponent", "group_step", "group_entries", "words", "src_y", "src_x",
         "blocks", "last_x", "last_y", "last_tap", "stride2", "origin", "stride_y", "stride_x", "last_tap_x",
         "dilation_y", "dilation_x", "origin_x", "own_blocks")  # fmt: skip
_STEPS = ("block_step", "tap_step", "pass_step")
_GRADIENT = ("aux", "aux_slot", "dst", "dst_slot", *NUMBERS, "carry", "neuron")  # of the neuron-gradient unit
_LEAKS = (Capability.LEAKS,)
_WINDOWS = ("src", "src_slot", "aux", "aux_slot", "dst", "dst_slot", "groups", "words", "src_y", "src_x", "count",
            "last_tap", "last_y", "last_x", "origin")  # fmt: skip
_ROWS = ("target", "channel", "take", "outgoing", "final", "source")  # that leave the core, and those added to them
_FORWARD, _BACKWARD, _WEIGHT_GRAD = map(first_engine, ("forward", "backward", "weight_grad"))
_NEURON, _NEURON_GRAD = (f"trident.hw.isa.neurons:{name}_program" for name in ("neuron", "neuron_grad"))
_STORED = (Space.SPIKES, Space.MASKS, Space.POTENTIALS, Space.FUNCTIONS)  # what the neuron-gradient unit reads
_ERRORS = {Space.ERRORS: "neuron_grad", Space.ERROR_MASKS: "neuron_grad"}
_MAPPING, _ADDITION = "trident.host.mapping", ("trident.sim.golden.addition:addition",)

OPERATIONS = (
    Operation(
        Opcode.FORWARD, "a forward job: forward engine, neuron unit", Opcode.FORWARD,
        fields=(*_WALK, *_STEPS, "src_slot", "aux", "aux_slot", "dst", "dst_slot", *NUMBERS, "bias", "carry", "ends",
                "neuron", "count", "more", "outgoing", "source", "own_groups"),
        pointers={"src": "spikes", "aux": "spikes", "dst": "spikes"},
        reads=(Space.SPIKES, Space.WEIGHTS),
        writes={Space.SPIKES: "neuron", Space.MASKS: "neuron", Space.POTENTIALS: "neuron"},
        faults=(Fault.FORWARD, Fault.NEURON), place="forward", unit=_FORWARD.rtl, golden=(_FORWARD.golden, _NEURON),
        firmware="forward",
        cycles=(f"{_MAPPING}.engine_cycles:walk_taps", f"{_MAPPING}.compact_cycles:walk_taps"),
    ),
    Operation(
        Opcode.BACKWARD, "a backward job: backward engine; neuron_grad unit, or rows to another core", Opcode.BACKWARD,
        fields=(*_WALK, *_STEPS, "src_slot", *_GRADIENT, *_ROWS, "count", "more", "token", "own_groups"),
        pointers={"src": "errors", "aux": "spikes", "dst": "errors"},
        reads=(Space.ERRORS, Space.ERROR_MASKS, Space.WEIGHTS, *_STORED),
        writes=_ERRORS,
        faults=(Fault.BACKWARD, Fault.NEURON_GRAD), place="backward", unit=_BACKWARD.rtl,
        golden=(_BACKWARD.golden, _NEURON_GRAD),
        firmware="backward",
        cycles=(f"{_MAPPING}.engine_cycles:walk_taps", f"{_MAPPING}.compact_cycles:walk_taps"),
    ),
    Operation(
        Opcode.WEIGHT_GRAD, "a weight_grad job", Opcode.WEIGHT_GRAD,
        fields=(*_WALK, *_STEPS, "src_slot", "aux", "aux_slot", "bias", "count", "low"),
        pointers={"src": "spikes", "aux": "errors"},
        reads=(Space.SPIKES, Space.ERRORS, Space.GRADIENTS), writes={Space.GRADIENTS: "weight_grad"},
        faults=(Fault.WEIGHT_GRAD,), place="weight_grad", unit=_WEIGHT_GRAD.rtl, golden=(_WEIGHT_GRAD.golden,),
        firmware="weight_grad",
        cycles=(f"{_MAPPING}.engine_cycles:walk_blocks", f"{_MAPPING}.compact_cycles:walk_blocks"),
    ),
    Operation(
        Opcode.UPDATE, "an update job", Opcode.UPDATE,
        fields=("src", "aux", "dst", "tile", "group_step", "pass_groups", "exponent", "words", "blocks", "count",
                *UPDATE_NUMBERS),
        reads=(Space.GRADIENTS, Space.MOMENTUM, Space.SQUARES, Space.WEIGHTS, Space.RAW, Space.FUNCTIONS),
        writes=dict.fromkeys((Space.MOMENTUM, Space.SQUARES, Space.WEIGHTS, Space.RAW, Space.GRADIENTS), "update"),
        faults=(Fault.UPDATE,), unit="trident.hw.units.update:UpdateUnit",
        golden=("trident.hw.isa.optimisers:optimiser",),
        firmware="begin_update",
        cycles=(f"{_MAPPING}.unit_cycles:update_cycles", f"{_MAPPING}.firmware_cycles:update_cycles"),
    ),
    Operation(
        Opcode.RECEIVE, "a receive job: errors from the next stage, neuron_grad unit", Opcode.RECEIVE,
        fields=(*_GRADIENT, "groups", "pass_groups", "words", "last_x", "last_y", "count", "source"),
        pointers={"aux": "spikes", "dst": "errors"},
        reads=_STORED, writes=_ERRORS,
        faults=(Fault.NEURON_GRAD,), needs=(Capability.NEIGHBOURS,),
        unit="trident.hw.units.receive:ReceiveUnit", golden=(_NEURON_GRAD,),
        firmware="begin_errors",
    ),
    Operation(
        Opcode.SEND, "the last layer's spikes to the next stage or the host, then a token with the sample's label",
        Opcode.SEND,
        fields=("src", "src_slot", "dst", "dst_slot", "groups", "count", "blocks", "target", "token"),
        pointers={"src": "spikes", "dst": "remote"},
        reads=(Space.SPIKES,), unit="trident.hw.units.transfer:SendUnit", firmware="begin_send",
    ),
    Operation(
        Opcode.LOSS, "a loss job: loss unit, neuron_grad unit", Opcode.RECEIVE,
        fields=(*_GRADIENT, "src", "groups", "count", "source"),
        pointers={"aux": "spikes", "dst": "errors"},
        reads=(Space.LOSS_TABLE, *_STORED), writes=_ERRORS,
        faults=(Fault.NEURON_GRAD,), unit="trident.hw.units.loss:LossUnit",
        golden=("trident.sim.golden.loss:loss_errors", _NEURON_GRAD),
        firmware="begin_errors",
        cycles=(f"{_MAPPING}.unit_cycles:loss_cycles",) * 2,
    ),
    # Its sums are made by the array of weight_grad, and so are their faults
    Operation(
        Opcode.REDUCE, "gradients, plus those of the replica before, to the next replica", Opcode.UPDATE,
        fields=("tile", "count", *_ROWS),
        reads=(Space.GRADIENTS,), writes={Space.GRADIENTS: "weight_grad"}, needs=(Capability.NEIGHBOURS,),
        unit="trident.hw.units.reduce:ReduceUnit", golden=("trident.sim.golden.reduce:reduce",),
        firmware="begin_update",
        cycles=(f"{_MAPPING}.unit_cycles:reduce_cycles", f"{_MAPPING}.firmware_cycles:REDUCE_ROW"),
    ),
    Operation(
        Opcode.NOTIFY, "a token to other cores or the host tile; its value is the core's faults", Opcode.UPDATE,
        fields=("target", "token"), unit="trident.hw.units.transfer:NotifyUnit", firmware="begin_update",
    ),
    Operation(
        Opcode.LOOP, "next sample, next slots: back to word `job` of the program until all samples are dispatched"
    ),
    Operation(Opcode.BARRIER, "wait until every queue has come here and every engine is idle"),
    Operation(Opcode.HALT, "wait as BARRIER does and until every token has its first count, then tell the host"),
    Operation(Opcode.JUMP, "go on at word `job` of the program"),
    Operation(Opcode.ENTER, "begin a loop with the first sample; go on at word `job`, behind it, if there are none"),
    Operation(
        Opcode.POOL, "joins the spikes of windows, in the queue of forward", Opcode.FORWARD,
        fields=("src", "src_slot", "dst", "dst_slot", "groups", "src_y", "src_x", "count", "block_step"),
        pointers={"src": "spikes", "dst": "spikes"},
        reads=(Space.SPIKES, Space.MASKS), writes={Space.SPIKES: "pool", Space.MASKS: "pool"},
        needs=(Capability.POOL,), unit="trident.hw.units.pool:PoolUnit",
        golden=("trident.sim.golden.pool:pool", "trident.sim.golden.pool:count"),
        cycles=(f"{_MAPPING}.unit_cycles:pool_cycles",) * 2,
    ),
    Operation(
        Opcode.NORM, "normalises the sums of a layer, or makes errors at them of those behind its norm",
        Opcode.FORWARD,
        fields=("src", "src_slot", "dst", "dst_slot", "aux", "tile", "groups", "count", "blocks",
                "tap_step", "block_step", "pass_step", "exponent", "token", "channel", "outgoing", "take", "final",
                "target", "source", "pass_groups", "carry", *NORM_NUMBERS.values()),
        pointers={"src": "spikes", "dst": "spikes"},
        reads=(Space.WEIGHTS, Space.RAW, Space.ERRORS, Space.FUNCTIONS),
        writes={Space.RAW: "norm", Space.ERRORS: "norm", Space.ERROR_MASKS: "norm", Space.GRADIENTS: "norm"},
        faults=(Fault.NEURON, Fault.NEURON_GRAD), needs=(Capability.BATCH_NORM,),
        unit="trident.hw.units.norm:NormUnit", golden=("trident.sim.golden.norm:BatchNorm",),
        cycles=(f"{_MAPPING}.norm_cycles:norm_cycles",) * 2,
    ),
    Operation(
        Opcode.FIRE, "the neurons of a layer, from sums that have been kept", Opcode.FORWARD,
        fields=("src", "src_slot", "count", "aux", "aux_slot", "dst", "dst_slot", *NUMBERS, "carry", "ends", "neuron",
                "groups", "source"),
        pointers={"src": "spikes", "aux": "spikes", "dst": "spikes"},
        writes={Space.SPIKES: "neuron", Space.MASKS: "neuron", Space.POTENTIALS: "neuron"},
        faults=(Fault.NEURON,), needs=(Capability.SUMS,),
        unit="trident.hw.units.fire:FireUnit", golden=(_NEURON,),
        cycles=(f"{_MAPPING}.norm_cycles:fire_cycles",) * 2,
    ),
    Operation(
        Opcode.WINDOW, "the largest sums of windows, and whose they are", Opcode.FORWARD,
        fields=(*_WINDOWS, "tap_step", "pass_step"),
        pointers={"src": "spikes", "aux": "spikes", "dst": "spikes"},
        needs=(Capability.WINDOWS,), unit="trident.hw.units.window:WindowUnit",
        golden=("trident.sim.golden.window:largest",), cycles=(f"{_MAPPING}.window_cycles:window_cycles",) * 2,
    ),
    Operation(
        Opcode.SPREAD, "errors of windows to their largest pixels; neuron_grad unit, where those are spikes",
        Opcode.BACKWARD,
        fields=(*_WINDOWS, *NUMBERS, "carry", "neuron", "pass_groups", "exponent", "final", "source"),
        pointers={"src": "errors", "aux": "spikes", "dst": "errors"},
        reads=(Space.ERRORS, *_STORED), writes={Space.ERRORS: "spread", Space.ERROR_MASKS: "spread"},
        faults=(Fault.BACKWARD, Fault.NEURON_GRAD), needs=(Capability.SPREAD,),
        unit="trident.hw.units.spread:SpreadUnit", golden=("trident.sim.golden.spread:spread_errors",),
        cycles=(f"{_MAPPING}.window_cycles:spread_cycles",) * 2,
    ),
    Operation(
        Opcode.LEAK, "what neurons that learn their leaks or thresholds read of them", Opcode.FORWARD,
        fields=("tile", "groups", "count", "dst", "neuron", *NUMBERS), reads=(Space.WEIGHTS, Space.FUNCTIONS),
        faults=(Fault.NEURON,), needs=_LEAKS, unit="trident.hw.units.leak:LeakUnit",
        golden=("trident.sim.golden.leak:Leaks",), cycles=(f"{_MAPPING}.leak_cycles:leak_cycles",) * 2,
    ),
    Operation(
        Opcode.TIE, "the sum of gradients, for a parameter that all channels of a layer share", Opcode.UPDATE,
        fields=("tile", "count"), reads=(Space.GRADIENTS,), writes={Space.GRADIENTS: "weight_grad"}, needs=_LEAKS,
        unit="trident.hw.units.tie:TieUnit", golden=("trident.sim.golden.tie:tie",),
        cycles=(f"{_MAPPING}.leak_cycles:tie_cycles",) * 2,
    ),
    Operation(
        Opcode.DROP, "clears the spikes of neurons that a hash drops, and their masks", Opcode.FORWARD,
        fields=("src", "src_slot", "aux", "aux_slot", "dst", "dst_slot", "groups", "src_y", "src_x", "count",
                "last_tap", "tap_step", "pass_step", "low", "high", "threshold"),
        pointers={"src": "spikes", "aux": "spikes", "dst": "spikes"},
        reads=(Space.SPIKES, Space.MASKS), writes={Space.SPIKES: "drop", Space.MASKS: "drop"},
        needs=(Capability.DROPOUT,), unit="trident.hw.units.drop:DropUnit",
        golden=("trident.sim.golden.drop:kept", "trident.sim.golden.drop:drop"),
        cycles=(f"{_MAPPING}.unit_cycles:drop_cycles",) * 2,
    ),
    Operation(
        Opcode.JOIN, "joins the spikes of windows that may overlap, and says which pixel has their error",
        Opcode.FORWARD,
        fields=(*_WINDOWS, "tap_step", "pass_step"),
        pointers={"src": "spikes", "aux": "spikes", "dst": "spikes"},
        reads=(Space.SPIKES,), writes={Space.SPIKES: "join"},
        needs=(Capability.JOIN,), unit="trident.hw.units.join:JoinUnit", golden=("trident.sim.golden.join:join",),
        cycles=(f"{_MAPPING}.window_cycles:join_cycles",) * 2,
    ),
    Operation(
        Opcode.ADD, "adds kept sums to those of a layer", Opcode.FORWARD,
        fields=("src", "src_slot", "dst", "dst_slot", "aux", "count", "take"),
        pointers={"src": "spikes", "dst": "spikes"},
        faults=(Fault.NEURON,), needs=(Capability.ADDS,), unit="trident.hw.units.addition:AdditionUnit",
        golden=_ADDITION,
        cycles=(f"{_MAPPING}.norm_cycles:add_cycles",) * 2,
    ),
    Operation(
        Opcode.ADD_ERRORS, "adds errors at kept sums", Opcode.BACKWARD,
        fields=("src", "src_slot", "dst", "dst_slot", "aux", "count", "take"),
        pointers={"src": "errors", "dst": "errors"},
        reads=(Space.ERRORS,), writes={Space.ERRORS: "add_errors", Space.ERROR_MASKS: "add_errors"},
        faults=(Fault.NEURON_GRAD,), needs=(Capability.ADDS,), unit="trident.hw.units.addition:AdditionUnit",
        golden=_ADDITION,
        cycles=(f"{_MAPPING}.norm_cycles:add_cycles",) * 2,
    ),
)  # fmt: skip


def check_rows(rows: Iterable[Operation]):
    """Raise ValueError unless every opcode has one row, in ascending order, and every queue a row of its own."""
    found = [row.opcode for row in rows]
    if found != list(Opcode):
        wrong = next(
            (f"{code.name} has {found.count(code)} rows" for code in Opcode if found.count(code) != 1),
            "they are not in the order of their opcodes",
        )
        raise ValueError(f"the rows of operations do not cover the opcodes: {wrong}")
    if lost := {row.queue for row in rows if row.queue is not None} - {row.opcode for row in rows if owns_queue(row)}:
        raise ValueError(f"the queues {', '.join(queue.name for queue in sorted(lost))} have no row of their own")


def owns_queue(row: Operation) -> bool:
    """Whether a queue is named after the operation."""
    return row.queue == row.opcode


check_rows(OPERATIONS)
JOBS = tuple(row for row in OPERATIONS if row.queue is not None)  # those that run a job
QUEUES = tuple(row.opcode for row in JOBS if owns_queue(row))


def of_queue(queue: Opcode) -> tuple[Operation, ...]:
    """The operations that share a queue."""
    return tuple(row for row in JOBS if row.queue == queue)


# The queue of each operation, with the number that tells those of a queue apart
QUEUE_OF = {row.opcode: (row.queue, of_queue(row.queue).index(row)) for row in JOBS if row.queue is not None}


def faults_of(queue: Opcode, capabilities: frozenset[Capability] = frozenset(Capability)) -> tuple[Fault, ...]:
    """The faults that a queue's jobs can have in a core with these capabilities."""
    rows = [row for row in of_queue(queue) if capabilities.issuperset(row.needs)]
    return tuple(fault for fault in Fault if any(fault in row.faults for row in rows))


def writer(space: Space) -> str:
    """The unit that first writes a memory's values. Raises KeyError for a memory that only the host writes."""
    return {space: unit for row in reversed(JOBS) for space, unit in row.writes.items()}[space]
