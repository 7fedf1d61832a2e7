"""The start of a program, and the threads of its instructions, one per queue."""

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware.data import RECORD, SLOTS, Record, State, Task, task_on
from trident.hw.compact.firmware.registers import MORE, QUEUE, R1, R2, R3, R4, R5, R6
from trident.hw.compact.instructions import Flag, Func, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import OPERATIONS, QUEUE_OF, QUEUES, Opcode
from trident.hw.isa.program import INSTRUCTION, SETUP
from trident.hw.isa.tokens import TOKEN_BITS, Token


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    _arm(a)
    _start(a)
    _fetch(a)


def _arm(a: Assembler):
    """Tokens to their first counts, four in a halfword of the setup; then the slots."""
    a.label("arm")
    a.li(R6, "program")
    a.li(R5, 0)
    a.label("arm_word")
    a.ld(R1, R6)
    a.addi(R6, 1)
    a.li(MORE, 4)
    a.label("arm_token")
    a.mov(R2, R1)
    a.andi(R2, (1 << TOKEN_BITS) - 1)
    a.li(R3, "tokens")
    a.add(R3, R5)
    a.st(R2, R3)
    a.li(R3, "first")
    a.add(R3, R5)
    a.st(R2, R3)
    a.shift(R1, R1, TOKEN_BITS, R3)
    a.addi(R5, 1)
    a.cmpi(R5, len(Token))
    a.bt(Flag.Z, "arm_slots")
    a.addi(MORE, -1)
    a.bf(Flag.Z, "arm_token")
    a.go("arm_word")
    a.label("arm_slots")
    a.li(R6, "program", 2 * (SETUP.words - 1))
    a.ld(R1, R6)
    shape = SETUP.shape()
    for name in SLOTS.values():
        width = shape[name].width
        a.mov(R2, R1)
        a.andi(R2, (1 << width) - 1)
        a.sta(R2, name)
        a.shift(R1, R1, width, R3)
    a.li(R1, 0)
    a.sta(R1, "label_slot")
    a.ret()


def _start(a: Assembler):
    a.label("start")  # R1: samples
    a.li(R6, "queues")
    a.li(R2, 0)
    a.li(R3, SETUP.words)  # every thread is at its JUMP
    a.li(MORE, len(QUEUES))
    a.label("start_queue")
    for word in (Record.SPIKES, Record.ERRORS, Record.REMOTE, Record.STATE):
        a.st(R2, R6, word)
    a.st(R3, R6, Record.COUNTER)
    a.st(R1, R6, Record.LEFT)
    a.addi(R3, 1)
    a.addi(R6, RECORD)
    a.addi(MORE, -1)
    a.bf(Flag.Z, "start_queue")
    for name in ("stopped", "halting", "elsewhere", "first_job"):
        a.sta(R2, name)
    a.write(Write.CLEAR_FAULTS)
    a.call("clock")
    a.li(R1, 0xFFFF)
    a.sta(R1, "running")
    task_on(a, Task.QUEUES)
    a.ret()


def _fetch(a: Assembler):
    """Run instructions of the thread at QUEUE up to its next job or barrier."""
    a.label("fetch")
    a.ld(R1, QUEUE, Record.COUNTER)
    a.mov(R2, R1)
    a.addi(R2, 1)
    a.st(R2, QUEUE, Record.COUNTER)
    a.add(R1, R1)
    a.li(R6, "program")
    a.add(R6, R1)
    a.ld(R4, R6)
    a.shift(R5, R4, INSTRUCTION.shape()["job"].offset, R1)  # the operand
    a.andi(R4, (1 << INSTRUCTION.shape()["opcode"].width) - 1)
    a.cmpi(R4, Opcode.LOOP)
    a.bt(Flag.Z, "loop")
    a.cmpi(R4, Opcode.JUMP)
    a.bt(Flag.Z, "jump")
    a.cmpi(R4, Opcode.ENTER)
    a.bf(Flag.Z, "fetch_job")
    a.ld(R1, QUEUE, Record.LEFT)
    a.cmpi(R1, 0)
    a.bf(Flag.Z, "fetch")
    a.label("jump")
    a.st(R5, QUEUE, Record.COUNTER)
    a.go("fetch")

    a.label("fetch_job")
    a.li(R1, State.STOPPED)
    a.cmpi(R4, Opcode.BARRIER)
    a.bt(Flag.Z, "barrier")
    a.cmpi(R4, Opcode.HALT)
    a.bt(Flag.Z, "halt")
    a.li(R1, 0)  # the kind
    for opcode, (_, kind) in QUEUE_OF.items():
        if kind and OPERATIONS[opcode].firmware:
            a.cmpi(R4, opcode)
            a.bf(Flag.Z, f"fetch_{opcode.name}")
            a.li(R1, kind)
            a.label(f"fetch_{opcode.name}")
    a.st(R1, QUEUE, Record.KIND)
    a.st(R5, QUEUE, Record.JOB)
    a.li(R1, State.WAIT)
    a.st(R1, QUEUE, Record.STATE)
    a.ret()
    a.label("halt")
    a.sta(R1, "halting")
    a.label("barrier")
    a.st(R1, QUEUE, Record.STATE)
    a.lda(R1, "stopped")
    a.addi(R1, 1)
    a.sta(R1, "stopped")
    a.ret()

    # The next sample, which has the next slot of each kind
    a.label("loop")
    for word, count in SLOTS.items():
        a.ld(R1, QUEUE, word)
        a.addi(R1, 1)
        a.lda(R2, count)
        a.alu(Func.CMP, R1, R2)
        a.bf(Flag.Z, f"loop_{count}")
        a.li(R1, 0)
        a.label(f"loop_{count}")
        a.st(R1, QUEUE, word)
    a.ld(R1, QUEUE, Record.LEFT)
    a.addi(R1, -1)
    a.st(R1, QUEUE, Record.LEFT)
    a.bt(Flag.Z, "fetch")
    a.go("jump")
