"""What the host is told: elements that it asks for, and the end of a program."""

from hw.config import CoreConfig
from hw.controller.assembler import Assembler
from hw.controller.firmware.data import (
    COUNT,
    LAST,
    MORE,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    RECORD,
    TEMP,
    Record,
    State,
    Task,
    task_off,
)  # fmt: skip
from hw.controller.isa import Flag, Func, Read, Write
from hw.counters import STATE, TOKEN_COUNTS
from hw.layouts import QUEUES, Packet, Space
from hw.noc.config import MeshConfig
from hw.noc.flits import Mode

HEADER = Mode.HOST | Packet.ANSWER << 8


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.label("answer_header")  # with R1's bits beside it
    a.ori(R1, HEADER)
    a.read(R2, Read.PLACE)
    a.add(R2, R2)
    a.add(R2, R2)
    a.alu(Func.OR, R1, R2)
    a.write(Write.SEND, R1)
    a.write(Write.SEND)
    a.ret()

    # One packet of elements
    a.label("task_read")
    a.bf(Flag.OUT, "read_end")
    a.li(R1, 0)
    a.call("answer_header")
    a.lda(R4, "read_space")
    a.lda(R5, "read_address")
    a.lda(COUNT, "read_left")
    a.li(LAST, mesh.packet - 1)
    a.label("read_element")
    a.call("get")
    a.addi(R5, 1)
    a.addi(COUNT, -1)
    a.bt(Flag.Z, "read_close")
    a.addi(LAST, -1)
    a.bt(Flag.Z, "read_close")
    a.write(Write.SEND, R1)
    a.write(Write.SEND, R2)
    a.go("read_element")
    a.label("read_close")
    a.write(Write.SEND, R1)
    a.write(Write.SEND_LAST, R2)
    a.sta(R5, "read_address")
    a.sta(COUNT, "read_left")
    a.cmpi(COUNT, 0)
    a.bf(Flag.Z, "read_end")
    task_off(a, Task.READ)
    a.label("read_end")
    a.ret()

    a.label("task_halted")
    a.bf(Flag.OUT, "read_end")
    a.li(R1, 1 << 11)
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
    _get(a, cfg)


def _get(a: Assembler, cfg: CoreConfig):
    """R1 and R2: element R5 of space R4."""
    a.label("get")
    a.li(R2, 0)
    a.write(Write.ADDRESS, R5)
    rows = {Space.WEIGHTS: Read.WEIGHTS, Space.GRADIENTS: Read.GRADIENTS, Space.MOMENTUM: Read.MOMENTUM,
            Space.ERRORS: Read.ERRORS}  # fmt: skip
    if cfg.surrogate == "triangle":
        rows[Space.POTENTIALS] = Read.POTENTIALS
    for space, port in rows.items():
        a.cmpi(R4, space)
        a.bf(Flag.Z, f"get_{space.name}")
        a.read(R1, port)
        a.ret()
        a.label(f"get_{space.name}")
    a.cmpi(R4, Space.REGISTERS)
    a.bt(Flag.Z, "register")
    a.call("element")
    a.cmpi(R4, Space.LOSS_TABLE)
    a.bt(Flag.Z, "get_word")
    a.cmpi(R4, Space.PROGRAM)
    a.bt(Flag.Z, "get_pair")
    a.cmpi(R4, Space.JOBS)
    a.bt(Flag.Z, "get_pair")
    a.write(Write.ADDRESS, R6)
    a.read(R1, Read.WORDS)
    a.cmpi(R4, Space.MASKS)
    a.bf(Flag.Z, "get_low")
    a.shift(R1, R1, cfg.spike_bits, R3)
    a.label("get_low")
    a.andi(R1, (1 << cfg.spike_bits) - 1)
    a.ret()
    a.label("get_pair")
    a.ld(R2, R6, 1)
    a.label("get_word")
    a.ld(R1, R6)
    a.ret()

    # The registers, see hw.counters
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
    a.li(R6, "queues")
    a.cmpi(R5, STATE.index("queues0"))
    a.bt(Flag.Z, "register_three")
    a.addi(R6, RECORD * len(QUEUES) // 2)
    a.label("register_three")  # the states of three queues, 10 bits each, the last one first
    a.li(R1, 0)
    a.li(R2, 0)
    a.addi(R6, 2 * RECORD)
    a.li(MORE, 3)
    a.label("register_queue")
    a.li(R3, 1 << 10)
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
    a.li(TEMP, 1 << 8)
    a.cmpi(R3, State.WAIT)
    a.bt(Flag.Z, "register_flag")
    a.li(TEMP, 1 << 9)
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
    a.sta(R4, "read_space")
    a.call("clock")
    a.lda(R4, "read_space")
    a.li(R1, "counters")
    a.add(R6, R6)
    a.add(R6, R1)
    a.ld(R1, R6)
    a.ld(R2, R6, 1)
    a.label("register_end")
    a.ret()


