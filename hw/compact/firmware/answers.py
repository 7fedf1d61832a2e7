"""What the host is told: elements that it asks for, and the end of a program."""

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware.data import RECORD, Record, State, Task, header, task_off
from trident.hw.compact.firmware.registers import MORE, R1, R2, R3, R5, R6, TEMP
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import QUEUES
from trident.hw.isa.packets import ANSWER, Mode, Packet
from trident.hw.isa.program import QUEUE_STATE
from trident.hw.isa.registers import STATE, TOKEN_COUNTS


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.label("answer_header")  # with R1's bits beside it
    a.ori(R1, header(ANSWER, mode=Mode.HOST, packet=Packet.ANSWER))
    a.read(R2, Read.PLACE)
    a.add(R2, R2)
    a.add(R2, R2)
    a.alu(Func.OR, R1, R2)
    a.write(Write.SEND, R1)
    a.write(Write.SEND)
    a.ret()

    a.label("task_halted")
    a.bf(Flag.OUT, "read_end")
    a.li(R1, header(ANSWER, kind=1))
    a.call("answer_header")
    a.call("status")
    a.write(Write.SEND, R1)
    a.write(Write.SEND_LAST)
    task_off(a, Task.HALTED)
    a.ret()

    a.label("status")  # R1: faults, and the job that had the first one
    a.lda(R1, "first_job")
    for _ in range(8):
        a.add(R1, R1)
    a.read(R2, Read.FAULTS)
    a.alu(Func.OR, R1, R2)
    a.ret()
    _registers(a)


def _registers(a: Assembler):
    """R1 and R2: register R5, see :mod:`hw.core.counters`."""
    a.label("register")
    identity = ("magic", "config")
    a.mov(R6, R5)
    a.addi(R6, -len(identity))
    a.bt(Flag.C, "register_status")
    a.li(R6, "identity")
    a.add(R6, R5)
    a.add(R6, R5)
    a.ld(R1, R6)
    a.addi(R6, 1)
    a.ld(R2, R6)
    a.ret()
    a.label("register_status")
    a.bf(Flag.Z, "register_queues")
    a.call("status")
    a.li(R2, 0)
    a.ret()
    a.label("register_queues")
    a.mov(R6, R5)
    a.addi(R6, -len(STATE))
    a.bt(Flag.C, "register_tokens")
    a.li(R6, "queues", 2 * RECORD)
    a.cmpi(R5, STATE.index("queues0"))
    a.bt(Flag.Z, "register_three")
    a.addi(R6, RECORD * len(QUEUES) // 2)
    a.label("register_three")  # the states of three queues, the last one first
    a.li(R1, 0)
    a.li(R2, 0)
    a.li(MORE, 3)
    a.label("register_queue")
    a.li(R3, 1 << QUEUE_STATE.size)
    a.write(Write.FACTOR0, R3)
    a.write(Write.FACTOR1, R2)
    a.read(R2, Read.PRODUCT)
    a.write(Write.FACTOR1, R1)
    a.read(R3, Read.PRODUCT_HIGH)
    a.alu(Func.OR, R2, R3)
    a.read(R1, Read.PRODUCT)
    a.ld(R3, R6, Record.JOB)
    a.alu(Func.OR, R1, R3)
    a.ld(R3, R6, Record.STATE)
    a.li(TEMP, 1 << QUEUE_STATE["blocked"].offset)
    a.cmpi(R3, State.WAIT)
    a.bt(Flag.Z, "register_flag")
    a.li(TEMP, 1 << QUEUE_STATE["active"].offset)
    a.cmpi(R3, State.RUN)
    a.bt(Flag.Z, "register_flag")
    a.li(TEMP, 0)
    a.label("register_flag")
    a.alu(Func.OR, R1, TEMP)
    a.addi(R6, -RECORD)
    a.addi(MORE, -1)
    a.bf(Flag.Z, "register_queue")
    a.ret()
    a.label("register_tokens")
    a.li(R1, "tokens")
    a.add(R1, R6)
    a.ld(R1, R1)
    a.addi(R6, -len(TOKEN_COUNTS))
    a.li(R2, 0)
    a.bf(Flag.C, "register_end")
    a.call("clock")
    a.li(R1, "counters")
    a.add(R6, R6)
    a.add(R6, R1)
    a.ld(R1, R6)
    a.ld(R2, R6, 1)
    a.label("register_end")
    a.ret()
