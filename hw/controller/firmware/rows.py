"""The engine's jobs while they run: rows that leave the core, rows that come in, and the job's end."""

from hw.config import CoreConfig
from hw.controller.assembler import Assembler
from hw.controller.firmware.data import (
    COUNT,
    CREDITS,
    NUMBER,
    PLACE,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    RECORD,
    RING,
    TASKS,
    TEMP,
    Ring,
    Task,
    task_off,
    task_on,
)  # fmt: skip
from hw.controller.isa import Flag, Func, Read, Write
from hw.layouts import Opcode, Packet, Rows
from hw.noc.config import MeshConfig


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.var("drain_address")
    _engine(a)
    _drain(a, mesh.packet - 1)
    _ring(a)
    _credit(a)


def _engine(a: Assembler):
    """Whether the engine's job has ended."""
    a.label("task_engine")
    a.bt(Flag.BUSY, "engine_end")
    a.lda(NUMBER, "engine_queue")
    a.cmpi(NUMBER, Opcode.BACKWARD)
    a.bf(Flag.Z, "engine_finish")
    a.mov(R1, TASKS)
    a.andi(R1, 1 << Task.DRAIN)
    a.bf(Flag.Z, "engine_away")
    a.bt(Flag.GRAD_BUSY, "engine_end")
    a.go("engine_finish")
    a.label("engine_away")
    a.call("drained")
    a.bf(Flag.Z, "engine_end")
    a.label("engine_finish")
    a.andi(TASKS, ~(1 << Task.ENGINE | 1 << Task.DRAIN | 1 << Task.PARTIAL))
    a.call("cycles")
    a.lda(R5, "engine_low")
    a.lda(R6, "engine_high")
    a.mov(TEMP, R1)
    a.mov(COUNT, R2)
    a.mov(R3, TASKS)
    a.andi(R3, 1 << Task.NEXT)
    a.bt(Flag.Z, "engine_ran")
    a.call("launch")
    a.label("engine_ran")  # for how many cycles
    a.mov(R1, TEMP)
    a.mov(R2, COUNT)
    a.sub(R1, R5)
    a.bt(Flag.C, "engine_count")
    a.addi(R2, -1)
    a.label("engine_count")
    a.sub(R2, R6)
    a.li(R3, "counters")
    a.addi(R3, 2)
    a.add(R3, NUMBER)
    a.add(R3, NUMBER)
    a.call("count")
    a.mov(R1, NUMBER)
    a.go("finish")
    a.label("engine_end")
    a.ret()

    a.label("drained")  # Z: all rows have left and been taken, and so have those that came in
    a.lda(R1, "credits")
    a.cmpi(R1, CREDITS)
    a.bf(Flag.Z, "engine_end")
    a.li(R5, "rings")
    a.addi(R5, RECORD * Rows.PARTIALS)
    a.ld(R1, R5, Ring.OWED)
    a.cmpi(R1, 0)
    a.ret()


def _drain(a: Assembler, pairs: int):
    """Send what has left the engine: two rows to a flit. Backward has an even number of rows each time."""
    a.label("task_drain")
    a.li(R3, 1 << 11)  # rows of the last flit, less one
    a.bt(Flag.PAIR, "drain_send")
    a.bf(Flag.ROW, "drain_end")
    a.mov(R1, TASKS)
    a.andi(R1, 1 << Task.UPDATE)
    a.bt(Flag.Z, "drain_end")
    a.li(R3, 0)
    a.label("drain_send")
    a.bf(Flag.OUT, "drain_end")
    a.li(COUNT, pairs)
    a.lda(R1, "drain_final")
    a.cmpi(R1, 0)
    a.bf(Flag.Z, "drain_final_send")
    a.lda(R1, "credits")
    a.addi(R1, -1)
    a.bf(Flag.C, "drain_end")
    a.sta(R1, "credits")
    a.lda(R1, "drain_low")
    a.alu(Func.OR, R1, R3)
    a.write(Write.SEND, R1)
    a.lda(R1, "drain_high")
    a.write(Write.SEND, R1)
    a.cmpi(R3, 0)
    a.bt(Flag.Z, "drain_single")
    a.label("drain_pair")
    a.read(R1, Read.ROW)
    a.write(Write.SEND, R1)
    a.read(R1, Read.ROW)
    a.addi(COUNT, -1)
    a.bt(Flag.Z, "drain_last")
    a.bf(Flag.PAIR, "drain_last")
    a.write(Write.SEND, R1)
    a.go("drain_pair")
    a.label("drain_single")
    a.read(R1, Read.ROW)
    a.write(Write.SEND, R1)
    a.li(R1, 0)
    a.label("drain_last")
    a.write(Write.SEND_LAST, R1)
    a.label("drain_end")
    a.ret()

    # Into the gradient memories of others: one row to a flit
    a.label("drain_final_send")
    a.lda(R2, "drain_address")
    a.li(R1, 1 << 15)
    a.write(Write.FACTOR0, R2)
    a.write(Write.FACTOR1, R1)
    a.read(R1, Read.PRODUCT)
    a.read(R4, Read.PRODUCT_HIGH)
    a.lda(R3, "drain_low")
    a.alu(Func.OR, R1, R3)
    a.write(Write.SEND, R1)
    a.write(Write.SEND, R4)
    a.label("drain_element")
    a.read(R1, Read.ROW)
    a.write(Write.SEND, R1)
    a.addi(R2, 1)
    a.addi(COUNT, -1)
    a.bt(Flag.Z, "drain_final_last")
    a.bf(Flag.ROW, "drain_final_last")
    a.write(Write.SEND)
    a.go("drain_element")
    a.label("drain_final_last")
    a.sta(R2, "drain_address")
    a.write(Write.SEND_LAST)
    a.ret()


def _ring(a: Assembler):
    """Partial sums that have come: packet by packet, when there is room for a whole one."""
    a.label("task_partial")
    a.bf(Flag.PARTIAL, "drain_end")
    a.li(R5, "rings")
    a.addi(R5, RECORD * Rows.PARTIALS)
    a.li(R6, "ring_rows")
    a.addi(R6, RING * Rows.PARTIALS)
    a.call("ring_packet")
    a.bt(Flag.Z, "drain_end")
    a.label("partial_row")  # backward has an even number of rows each time
    a.ld(R1, R3)
    a.write(Write.PARTIAL, R1)
    a.ld(R1, R3, 1)
    a.write(Write.PARTIAL, R1)
    a.addi(R3, 2)
    a.addi(R4, -2)
    a.bf(Flag.Z, "partial_row")
    a.call("ring_taken")
    a.go("task_partial")

    # R4: rows of the first packet of the ring at R5, R6; R3: where they lie; Z: there is none
    a.label("ring_packet")
    a.ld(R4, R5, Ring.PACKETS)
    a.cmpi(R4, 0)
    a.bt(Flag.Z, "drain_end")
    a.ld(R3, R5, Ring.READ)
    a.add(R3, R6)
    a.ld(R4, R3)
    a.addi(R3, 2)
    a.ret()

    a.label("ring_taken")  # all rows of the first packet have been taken
    a.ld(R1, R5, Ring.READ)
    a.addi(R1, PLACE)
    a.andi(R1, RING - 1)
    a.st(R1, R5, Ring.READ)
    a.ld(R1, R5, Ring.PACKETS)
    a.addi(R1, -1)
    a.st(R1, R5, Ring.PACKETS)
    a.label("credit")
    a.ld(R1, R5, Ring.OWED)
    a.addi(R1, 1)
    a.st(R1, R5, Ring.OWED)
    task_on(a, Task.CREDIT)
    a.ret()


def _credit(a: Assembler):
    a.label("task_credit")
    a.li(R5, "rings")
    a.li(R3, 2)
    a.label("credit_ring")
    a.ld(R2, R5, Ring.OWED)
    a.cmpi(R2, 0)
    a.bt(Flag.Z, "credit_next")
    a.bf(Flag.OUT, "credit_end")
    a.addi(R2, -1)
    a.st(R2, R5, Ring.OWED)
    a.ld(R1, R5, Ring.SOURCE)
    a.ori(R1, Packet.CREDIT << 8)
    a.write(Write.SEND, R1)
    a.write(Write.SEND_LAST)
    a.go("credit_ring")
    a.label("credit_next")
    a.addi(R5, RECORD)
    a.addi(R3, -1)
    a.bf(Flag.Z, "credit_ring")
    task_off(a, Task.CREDIT)
    a.label("credit_end")
    a.ret()
