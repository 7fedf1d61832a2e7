"""The start of a job: what it needs goes to the engine, the neuron-gradient unit or a task."""

from trident.hw.compact.assembler import ZERO, Assembler
from trident.hw.compact.firmware.data import RECORD, ROUTE, Record, Ring, Task, half, header, task_off, task_on
from trident.hw.compact.firmware.registers import JOBP, NUMBER, QUEUE, R1, R2, R3, R4, R5, TASKS
from trident.hw.compact.instructions import Flag, Func, Mode, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import QUEUES, Opcode, of_queue
from trident.hw.isa.packets import ROWS, Packet, Rows

SRC, AUX, DST = half("src"), half("aux"), half("dst")
# What all operations of the engine need beside their pointers, and where it goes
WINDOW = {"blocks": Write.BLOCKS, "src_y": Write.IMAGE, "last_x": Write.SHAPE, "last_y": Write.LAST_Y,
          "group_step": Write.GROUP_STEP, "groups": Write.GROUPS, "pass_groups": Write.PASS_GROUPS}  # fmt: skip
STEPS = {"block_step": Write.BLOCK_STEP, "tap_step": Write.TAP_STEP, "pass_step": Write.PASS_STEP}
WEIGHTS = STEPS | {"tile": Write.TILE}
KEYS = {"threshold": Write.KEY_THRESHOLD, "low": Write.KEY_LOW, "high": Write.KEY_HIGH}


def bit(field: str) -> int:
    """The place of a field in its halfword."""
    return JOB.shape()[field].offset % 16


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.label("begin")
    *others, last = QUEUES
    for queue in others:
        a.cmpi(NUMBER, queue)
        a.bt(Flag.Z, of_queue(queue)[0].firmware)
    a.go(of_queue(last)[0].firmware)
    _engine(a, cfg)
    _subroutines(a, cfg)


def _pointer(a: Assembler, offset: int, slots: Record):
    """R1: a pointer of the job in its sample's slot."""
    a.li(R1, offset)
    a.ld(R2, QUEUE, slots)
    a.call("pointer")


def _copy(a: Assembler, ports: dict[str, Write]):
    """Halfwords of the job to ports."""
    for name, port in ports.items():
        a.ld(R1, JOBP, half(name))
        a.write(port, R1)


def _prepared(a: Assembler, operation: Opcode):
    """The engine's next job is ready but for its start."""
    a.li(R1, 1 << operation)
    a.go("prepared")


def _engine(a: Assembler, cfg: CoreConfig):
    a.variables("engine_queue", "next_queue", "next_start", "next_mode", "next_tasks")
    a.label("forward")
    _pointer(a, SRC, Record.SPIKES)
    a.write(Write.SRC, R1)
    _pointer(a, DST, Record.SPIKES)
    a.write(Write.DST, R1)
    for name, port in KEYS.items():
        a.ld(R1, JOBP, half(name))
        a.call("key")
        a.write(port, R1)
    _copy(a, WEIGHTS | {"leak": Write.A} | ({"threshold": Write.THRESHOLD} if cfg.reset == "soft" else {}))
    a.call("window")
    _prepared(a, Opcode.FORWARD)

    a.label("weight_grad")
    _pointer(a, SRC, Record.SPIKES)
    a.write(Write.SRC, R1)
    _pointer(a, AUX, Record.ERRORS)
    a.write(Write.TILE, R1)
    _copy(a, STEPS | {"tile": Write.DST})
    a.call("window")
    _prepared(a, Opcode.WEIGHT_GRAD)

    a.label("backward")
    a.write(Write.DST, ZERO)
    _pointer(a, SRC, Record.ERRORS)
    a.write(Write.SRC, R1)
    _copy(a, WEIGHTS)
    a.call("window")
    a.ld(R3, JOBP, half("outgoing"))
    a.li(R4, 1 << bit("outgoing"))
    a.li(R2, 0)
    a.alu(Func.TST, R3, R4)
    a.bf(Flag.Z, "backward_away")
    a.call("gradient")
    _prepared(a, Opcode.BACKWARD)
    a.label("backward_away")
    a.call("begin_drain")
    a.li(R2, 1 << Mode.AWAY)
    a.li(R5, 1 << Task.ENGINE | 1 << Task.DRAIN)
    a.li(R4, 1 << bit("take"))
    a.alu(Func.TST, R3, R4)
    a.bt(Flag.Z, "backward_mode")
    a.li(R2, 1 << Mode.AWAY | 1 << Mode.TAKE)
    a.li(R5, 1 << Task.ENGINE | 1 << Task.DRAIN | 1 << Task.PARTIAL)
    a.label("backward_mode")
    a.li(R1, 1 << Opcode.BACKWARD)
    a.go("prepared_so")

    a.label("prepared")  # R1: what START gets
    a.li(R2, 0)
    a.li(R5, 1 << Task.ENGINE)
    a.label("prepared_so")  # R2: the mode, R5: the tasks
    a.sta(R1, "next_start")
    a.sta(R2, "next_mode")
    a.sta(R5, "next_tasks")
    a.sta(NUMBER, "next_queue")
    task_on(a, Task.NEXT)
    a.mov(R1, TASKS)
    a.andi(R1, 1 << Task.ENGINE)
    a.bf(Flag.Z, "launched")
    a.call("cycles")
    a.label("launch")  # R1, R2: the cycles so far
    a.sta(R1, "engine_low")
    a.sta(R2, "engine_high")
    a.lda(R1, "next_mode")
    a.write(Write.MODE, R1)
    a.lda(R1, "next_start")
    a.write(Write.START, R1)
    a.lda(R1, "next_queue")
    a.sta(R1, "engine_queue")
    a.lda(R1, "next_tasks")
    a.alu(Func.OR, TASKS, R1)
    task_off(a, Task.NEXT)
    a.label("launched")
    a.ret()


def _subroutines(a: Assembler, cfg: CoreConfig):
    a.label("window")
    _copy(a, WINDOW)
    a.ret()

    a.label("key")  # of the number R1, see trident.hw.arith.compare.sort_key
    a.li(R2, 0x8000)
    a.alu(Func.TST, R1, R2)
    a.bt(Flag.Z, "key_positive")
    a.li(R2, 0xFFFF)
    a.sub(R2, R1)
    a.mov(R1, R2)
    a.ret()
    a.label("key_positive")
    a.alu(Func.OR, R1, R2)
    a.ret()

    a.label("pointer")  # R1: halfword R1 of the job plus the next one times R2
    a.alu(Func.OR, R1, JOBP)
    a.ld(R5, R1)
    a.ld(R1, R1, 1)
    a.write(Write.FACTOR0, R1)
    a.write(Write.FACTOR1, R2)
    a.read(R1, Read.PRODUCT)
    a.add(R1, R5)
    a.ret()

    a.label("gradient")  # the job's constants to the neuron-gradient unit
    _pointer(a, AUX, Record.SPIKES)
    a.write(Write.GRAD_AUX, R1)
    _pointer(a, DST, Record.ERRORS)
    a.write(Write.GRAD_DST, R1)
    triangle = {"threshold": Write.THRESHOLD, "slope": Write.SLOPE} if cfg.keeps_potentials else {}
    _copy(a, {"leak": Write.A} | triangle)
    a.ret()

    # Where rows go to: R3 is the halfword of the job that names the target
    a.label("begin_drain")
    a.variables("drain_low", "drain_high", "drain_final")
    a.mov(R1, R3)
    a.andi(R1, ROUTE)
    a.ori(R1, header(ROWS, packet=Packet.ROWS))
    a.sta(R1, "drain_low")
    a.li(R1, 0)
    a.li(R4, 1 << bit("channel"))
    a.alu(Func.TST, R3, R4)
    a.bt(Flag.Z, "begin_drain_channel")
    a.li(R1, 1)
    a.label("begin_drain_channel")
    a.sta(R1, "drain_high")
    a.ld(R1, JOBP, half("final"))
    a.mov(R4, R1)
    a.andi(R4, ROUTE)
    a.li(R5, "rings", RECORD * Rows.PARTIALS)
    a.st(R4, R5, Ring.SOURCE)
    a.sub(R1, R4)
    a.sta(R1, "drain_final")
    a.ret()
