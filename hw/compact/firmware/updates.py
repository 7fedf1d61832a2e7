"""Update, reduce and notify: what is done once in a minibatch."""

from trident.hw.compact.assembler import ZERO, Assembler
from trident.hw.compact.firmware.data import (
    NOTIFY,
    REDUCE,
    ROUTE,
    Record,
    Ring,
    Task,
    half,
    header,
    ring,
    task_off,
    task_on,
)
from trident.hw.compact.firmware.jobs import bit
from trident.hw.compact.firmware.registers import COUNT, JOBP, LAST, QUEUE, R1, R2, R3, R4, R5
from trident.hw.compact.instructions import Flag, Func, Mode, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import Opcode
from trident.hw.isa.packets import HEADER, Packet, Rows
from trident.hw.isa.spaces import Space

ROWS = 8  # that are updated in a turn

def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.variables("update_kind", "update_row", "update_step", "update_left", "update_momentum",
                "update_rate", "update_scale", "update_skip", "update_route", "update_take")  # fmt: skip
    a.label("begin_update")
    a.ld(R1, QUEUE, Record.KIND)
    a.sta(R1, "update_kind")
    for field, name in (("tile", "update_row"), ("group_step", "update_step"), ("count", "update_left"),
                        ("leak", "update_momentum"), ("threshold", "update_rate"), ("exponent", "update_scale"),
                        ("target", "update_route")):  # fmt: skip
        a.ld(R2, JOBP, half(field))
        a.sta(R2, name)
    a.read(R2, Read.FAULTS)
    a.andi(R2, GRADIENT_FAULTS)
    a.lda(R3, "elsewhere")
    a.alu(Func.OR, R2, R3)
    a.sta(R2, "update_skip")
    a.cmpi(R1, NOTIFY)
    a.bf(Flag.Z, "begin_rows")
    task_on(a, Task.NOTIFY)
    a.ret()
    a.label("begin_rows")
    task_on(a, Task.UPDATE)
    a.cmpi(R1, REDUCE)
    a.bf(Flag.Z, "update_end")
    _begin_reduce(a)

    a.label("task_notify")
    a.bf(Flag.OUT, "update_end")
    task_off(a, Task.NOTIFY)
    a.lda(R1, "update_route")
    a.read(R2, Read.FAULTS)
    a.andi(R2, GRADIENT_FAULTS)
    a.call("give")
    a.go("notify_finish")
    a.label("update_finish")
    task_off(a, Task.UPDATE)
    a.label("notify_finish")
    a.li(R1, Opcode.UPDATE)
    a.go("finish")
    a.label("update_end")
    a.ret()
    _update(a)
    _reduce(a)


def _update(a: Assembler):
    """``v = momentum * v + g``; ``w = -rate * 2**scale * v + w``; ``g = 0``: some rows."""
    a.label("task_update")
    a.lda(R1, "update_kind")
    a.cmpi(R1, REDUCE)
    a.bt(Flag.Z, "reduce")
    a.lda(COUNT, "update_left")
    a.lda(R4, "update_row")
    a.lda(R3, "update_skip")
    a.li(LAST, ROWS)
    a.label("update_next")
    a.addi(COUNT, -1)
    a.bf(Flag.C, "update_finish")
    a.write(Write.ADDRESS, R4)
    a.cmpi(R3, 0)
    a.bf(Flag.Z, "update_clear")
    a.read(R1, Read.GRADIENTS)
    a.write(Write.ADDRESS, R4)
    a.read(R2, Read.MOMENTUM)
    a.write(Write.C, R1)
    a.write(Write.B, R2)
    a.lda(R1, "update_momentum")
    a.write(Write.A, R1)
    a.write(Write.SCALE, ZERO)
    a.call("multiply_add")
    a.write(Write.ADDRESS, R4)
    a.write(Write.MOMENTUM, R1)
    a.write(Write.B, R1)
    a.write(Write.ADDRESS, R4)
    a.read(R1, Read.WEIGHTS)
    a.write(Write.C, R1)
    a.lda(R1, "update_rate")
    a.write(Write.A, R1)
    a.lda(R1, "update_scale")
    a.write(Write.SCALE, R1)
    a.call("multiply_add")
    a.write(Write.ADDRESS, R4)
    a.write(Write.WEIGHTS, R1)
    a.write(Write.ADDRESS, R4)
    a.label("update_clear")
    a.write(Write.GRADIENTS)
    a.lda(R2, "update_step")
    a.add(R4, R2)
    a.addi(LAST, -1)
    a.bf(Flag.Z, "update_next")
    a.sta(COUNT, "update_left")
    a.sta(R4, "update_row")
    a.ret()

    a.label("multiply_add")
    a.bf(Flag.RESULT, "multiply_add")
    a.read(R1, Read.RESULT)
    a.ret()


def _begin_reduce(a: Assembler):
    a.ld(R3, JOBP, half("outgoing"))
    a.li(R1, 1 << bit("take"))
    a.alu(Func.AND, R1, R3)
    a.sta(R1, "update_take")
    a.li(R2, 1 << Mode.REDUCING)
    a.cmpi(R1, 0)
    a.bt(Flag.Z, "begin_reduce_mode")
    a.li(R2, 1 << Mode.REDUCING | 1 << Mode.TAKE)
    a.label("begin_reduce_mode")
    a.write(Write.MODE, R2)
    a.call("begin_drain")
    task_on(a, Task.DRAIN)
    a.lda(R1, "update_row")
    a.sta(R1, "drain_address")
    a.lda(R1, "drain_final")
    a.cmpi(R1, 0)
    a.bt(Flag.Z, "update_end")
    a.andi(R3, ROUTE)
    a.li(R1, header(HEADER, packet=Packet.WRITE, space=Space.GRADIENTS))
    a.alu(Func.OR, R3, R1)
    a.sta(R3, "drain_low")
    a.ret()


def _reduce(a: Assembler):
    """Rows from the replica before, if there is one, to the engine, which adds them to the gradients."""
    a.label("reduce")
    a.lda(COUNT, "update_left")
    a.cmpi(COUNT, 0)
    a.bt(Flag.Z, "reduce_leaving")
    a.bf(Flag.REDUCE, "update_end")
    a.lda(R2, "update_take")
    a.cmpi(R2, 0)
    a.bt(Flag.Z, "reduce_row")
    ring(a, Rows.PARTIALS)
    a.call("ring_packet")
    a.bt(Flag.Z, "update_end")
    a.ld(R2, R5, Ring.LEFT)
    a.cmpi(R2, 0)
    a.bf(Flag.Z, "reduce_packet")
    a.mov(R2, R4)
    a.label("reduce_packet")
    a.add(R3, R4)
    a.sub(R3, R2)
    a.ld(R1, R3)
    a.write(Write.PARTIAL, R1)
    a.addi(R2, -1)
    a.st(R2, R5, Ring.LEFT)
    a.bf(Flag.Z, "reduce_row")
    a.call("ring_taken")
    a.label("reduce_row")
    a.lda(R2, "update_row")
    a.write(Write.REDUCE, R2)
    a.addi(R2, 1)
    a.sta(R2, "update_row")
    a.addi(COUNT, -1)
    a.sta(COUNT, "update_left")
    a.go("reduce")
    a.label("reduce_leaving")
    a.bt(Flag.REDUCE, "reduce_taken")
    a.ret()
    a.label("reduce_taken")
    a.bt(Flag.BUSY, "update_end")
    a.call("drained")
    a.bf(Flag.Z, "update_end")
    a.write(Write.MODE, ZERO)
    task_off(a, Task.DRAIN)
    a.go("update_finish")
