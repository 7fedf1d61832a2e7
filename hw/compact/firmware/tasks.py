"""The loop that gives each task its turn, and the clock."""

from trident.hw.compact.assembler import ZERO, Assembler
from trident.hw.compact.firmware.data import CREDITS, Task
from trident.hw.compact.firmware.registers import CLOCK, MORE, R1, R2, R3, TASKS
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig

RARE = (Task.READ, Task.HALTED, Task.UPDATE, Task.NOTIFY)  # asked for together
CLOCK_STEP = 1023  # the clock is read once in 65536 / 1023 turns, which take less than 65536 cycles


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    # A reset leaves the memory as it was
    a.li(ZERO, 0)
    a.li(TASKS, 0)
    a.li(R1, "state")
    a.li(R2, "state_end")
    a.label("reset")
    a.st(ZERO, R1)
    a.addi(R1, 1)
    a.alu(Func.CMP, R1, R2)
    a.bf(Flag.Z, "reset")
    a.li(R1, CREDITS)
    a.sta(R1, "credits")
    for port in (Write.MODE, Write.ACTIVE, Write.CLEAR_FAULTS):
        a.write(port)
    a.label("main")
    a.addi(CLOCK, CLOCK_STEP)
    a.bf(Flag.C, "take")
    a.call("clock")
    a.label("take")
    a.bf(Flag.IN, "turns")
    a.mov(R1, TASKS)  # an answer leaves before the next packet is taken
    a.andi(R1, 1 << Task.READ | 1 << Task.HALTED)
    a.bf(Flag.Z, "turns")
    a.call("packet")
    a.go("main")
    a.label("turns")
    a.mov(R1, TASKS)
    a.bt(Flag.Z, "main")
    a.andi(R1, sum(1 << task for task in RARE))
    a.bt(Flag.Z, "usual")
    for task in RARE:
        _turn(a, task)
    a.label("usual")
    for task in (Task.ENGINE, Task.DRAIN, Task.PARTIAL, Task.ERRORS, Task.SEND, Task.CREDIT, Task.QUEUES):
        _turn(a, task)
    a.go("main")

    # The cycles of a run, 32 bits, from a counter of 16
    a.label("clock")
    a.read(R1, Read.CYCLES)
    a.lda(R2, "cycles_last")
    a.sta(R1, "cycles_last")
    a.sub(R1, R2)
    a.lda(R2, "running")
    a.alu(Func.AND, R1, R2)
    a.li(R3, "counters")
    a.li(R2, 0)
    a.label("count")  # the counter at R3 grows by R2 and R1
    a.ld(MORE, R3)
    a.add(MORE, R1)
    a.st(MORE, R3)
    a.ld(MORE, R3, 1)
    a.bf(Flag.C, "count_high")
    a.addi(MORE, 1)
    a.label("count_high")
    a.add(MORE, R2)
    a.st(MORE, R3, 1)
    a.ret()

    a.label("cycles")  # R1, R2: those of the run so far
    a.call("clock")
    a.li(R3, "counters")
    a.ld(R1, R3)
    a.ld(R2, R3, 1)
    a.ret()


def _turn(a: Assembler, task: Task):
    a.mov(R1, TASKS)
    a.andi(R1, -(1 << task) if task == max(Task) else 1 << task)  # above the last one there is nothing
    a.bt(Flag.Z, f"after_{task.name}")
    a.call(f"task_{task.name.lower()}")
    a.label(f"after_{task.name}")
