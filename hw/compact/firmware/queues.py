"""The queues: whose job may start, and what happens when one has ended."""

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware.data import NOTIFY, RECORD, Record, State, Task, half, task_off, task_on
from trident.hw.compact.firmware.registers import JOBP, LAST, MORE, NUMBER, QUEUE, R1, R2, R3, R4, R5, R6, TASKS
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import QUEUES, Opcode
from trident.hw.isa.tokens import NO_TOKEN, TOKEN_LIST, TOKEN_NUMBER_BITS, Token

# The faults that a queue's jobs can have
FAULTS = {
    Opcode.FORWARD: (Fault.FORWARD, Fault.NEURON),
    Opcode.BACKWARD: (Fault.BACKWARD, Fault.NEURON_GRAD),
    Opcode.WEIGHT_GRAD: (Fault.WEIGHT_GRAD,),
    Opcode.UPDATE: (Fault.UPDATE,),
    Opcode.RECEIVE: (Fault.NEURON_GRAD,),
    Opcode.SEND: (),
}


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.var("queue_bits", *(1 << queue for queue in QUEUES))
    a.var("queue_faults", *(sum(1 << fault for fault in FAULTS[queue]) for queue in QUEUES))
    _queues(a)
    _try(a, cfg)
    _finish(a)
    _list(a)


def _queues(a: Assembler):
    """Every queue in turn: what ends a sample comes before what begins one."""
    a.label("task_queues")
    task_off(a, Task.QUEUES)
    a.lda(R1, "running")
    a.cmpi(R1, 0)
    a.bt(Flag.Z, "queues_end")
    a.li(QUEUE, "queues", RECORD * (len(QUEUES) - 1))
    a.li(NUMBER, len(QUEUES) - 1)
    a.label("queues_next")
    a.ld(R1, QUEUE, Record.STATE)
    a.cmpi(R1, State.RUN)
    a.bt(Flag.Z, "queues_done")
    a.cmpi(R1, State.STOPPED)
    a.bt(Flag.Z, "queues_done")
    a.cmpi(R1, State.WAIT)
    a.bt(Flag.Z, "queues_wait")
    a.cmpi(R1, State.ENDED)
    a.bf(Flag.Z, "queues_fetch")
    a.li(R1, State.FETCH)
    a.st(R1, QUEUE, Record.STATE)
    a.call("job")
    a.li(MORE, 1)
    a.li(R6, half("post"))
    a.call("list")
    task_on(a, Task.QUEUES)
    a.label("queues_fetch")
    a.call("fetch")
    a.ld(R1, QUEUE, Record.STATE)
    a.cmpi(R1, State.WAIT)
    a.bf(Flag.Z, "queues_done")
    a.label("queues_wait")
    a.call("try")
    a.label("queues_done")
    a.addi(QUEUE, -RECORD)
    a.addi(NUMBER, -1)
    a.bt(Flag.C, "queues_next")
    a.lda(R1, "stopped")
    a.cmpi(R1, len(QUEUES))
    a.bf(Flag.Z, "queues_end")

    # All have come to a barrier, or to the program's end, which waits until all tokens are back
    a.lda(R1, "halting")
    a.cmpi(R1, 0)
    a.bt(Flag.Z, "queues_go_on")
    a.li(R4, "tokens")
    a.li(R5, "first")
    a.li(R6, len(Token))
    a.label("queues_settle")
    a.ld(R1, R4)
    a.ld(R2, R5)
    a.alu(Func.CMP, R1, R2)
    a.bf(Flag.Z, "queues_end")
    a.addi(R4, 1)
    a.addi(R5, 1)
    a.addi(R6, -1)
    a.bf(Flag.Z, "queues_settle")
    a.call("clock")
    a.li(R1, 0)
    a.sta(R1, "running")
    a.sta(R1, "stopped")
    a.sta(R1, "arrived")
    task_on(a, Task.HALTED)
    a.ret()
    a.label("queues_go_on")
    a.sta(R1, "stopped")
    a.li(R6, "queues")
    a.li(R2, len(QUEUES))
    a.label("queues_freed")
    a.st(R1, R6, Record.STATE)
    a.addi(R6, RECORD)
    a.addi(R2, -1)
    a.bf(Flag.Z, "queues_freed")
    task_on(a, Task.QUEUES)
    a.label("queues_end")
    a.ret()


def _try(a: Assembler, cfg: CoreConfig):
    """Start the job of the queue at hand, or prepare it, if nothing is in its way and all of its tokens are there."""
    a.label("try")
    a.li(R2, 1 << (Task.NEXT if cfg.prefetch_jobs else Task.ENGINE) | 1 << Task.UPDATE)
    a.cmpi(NUMBER, Opcode.UPDATE)
    a.bf(Flag.C, "try_engine")
    a.bf(Flag.Z, "try_tokens")
    a.ld(R1, QUEUE, Record.KIND)
    a.cmpi(R1, NOTIFY)
    a.bt(Flag.Z, "try_tokens")
    a.li(R2, 1 << Task.NEXT | 1 << Task.ENGINE)
    a.label("try_engine")
    a.alu(Func.TST, R2, TASKS)
    a.bf(Flag.Z, "queues_end")
    a.label("try_tokens")
    a.call("job")
    a.li(MORE, 0)
    a.li(R6, half("wait"))
    a.call("list")
    a.bt(Flag.Z, "queues_end")
    a.li(MORE, 0xFFFF)
    a.li(R6, half("wait"))
    a.call("list")
    a.li(R1, State.RUN)
    a.st(R1, QUEUE, Record.STATE)
    a.li(R2, "queue_bits")
    a.add(R2, NUMBER)
    a.ld(R2, R2)
    a.lda(R1, "active")
    a.alu(Func.OR, R1, R2)
    a.sta(R1, "active")
    a.write(Write.ACTIVE, R1)
    a.go("begin")

    a.label("job")  # JOBP: the job of the queue at hand
    a.ld(JOBP, QUEUE, Record.JOB)
    for _ in range(5):
        a.add(JOBP, JOBP)
    a.li(R1, "jobs")
    a.add(JOBP, R1)
    a.ret()


def _finish(a: Assembler):
    """The job of queue R1 has ended."""
    a.label("finish")
    a.mov(NUMBER, R1)
    a.li(QUEUE, "queues")
    for _ in range(3):
        a.add(R1, R1)
    a.add(QUEUE, R1)
    a.li(R1, State.ENDED)
    a.st(R1, QUEUE, Record.STATE)
    a.li(R2, "queue_bits")
    a.add(R2, NUMBER)
    a.ld(R2, R2)
    a.lda(R1, "active")
    a.sub(R1, R2)
    a.sta(R1, "active")
    a.write(Write.ACTIVE, R1)
    task_on(a, Task.QUEUES)
    a.lda(R1, "first_job")
    a.cmpi(R1, 0)
    a.bf(Flag.Z, "finish_end")
    a.li(R2, "queue_faults")
    a.add(R2, NUMBER)
    a.ld(R2, R2)
    a.read(R1, Read.FAULTS)
    a.alu(Func.TST, R1, R2)
    a.bt(Flag.Z, "finish_end")
    a.ld(R1, QUEUE, Record.JOB)
    a.sta(R1, "first_job")
    a.label("finish_end")
    a.ret()


def _list(a: Assembler):
    """Go through the list of tokens at halfword R6 of the job: MORE is added to each; if it is zero, Z says that one
    is missing."""
    a.label("list")
    a.alu(Func.OR, R6, JOBP)
    a.li(R1, 1 << 16 - TOKEN_NUMBER_BITS)
    a.write(Write.FACTOR1, R1)
    a.li(LAST, 2)
    a.label("list_half")
    a.ld(R2, R6)
    a.li(R3, TOKEN_LIST // 2)
    a.label("list_token")
    a.mov(R1, R2)
    a.andi(R1, NO_TOKEN)
    a.cmpi(R1, NO_TOKEN)
    a.bt(Flag.Z, "list_end")
    a.li(R4, "tokens")
    a.add(R4, R1)
    a.ld(R5, R4)
    a.cmpi(MORE, 0)
    a.bf(Flag.Z, "list_change")
    a.cmpi(R5, 0)
    a.bf(Flag.Z, "list_next")
    a.ret()
    a.label("list_change")
    a.add(R5, MORE)
    a.st(R5, R4)
    a.label("list_next")
    a.write(Write.FACTOR0, R2)
    a.read(R2, Read.PRODUCT_HIGH)
    a.addi(R3, -1)
    a.bf(Flag.Z, "list_token")
    a.addi(R6, 1)
    a.addi(LAST, -1)
    a.bf(Flag.Z, "list_half")
    a.label("list_end")
    a.li(R1, 1)
    a.cmpi(R1, 0)
    a.ret()
