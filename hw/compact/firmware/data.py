"""What the firmware keeps, and where it lies in the memory."""

from enum import IntEnum

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware.registers import R5, R6, TASKS
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB, SLOT_BITS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import QUEUE_OF, QUEUES, Opcode
from trident.hw.isa.packets import Packing, Rows
from trident.hw.isa.program import SETUP
from trident.hw.isa.registers import MAGIC, RUNNING, config_digest
from trident.hw.isa.tokens import Token
from trident.hw.isa.words import WordLayout


class Task(IntEnum):
    """Bits of TASKS."""

    QUEUES = 0  # tokens have come, or a job has ended
    READ = 1  # the host has asked for elements
    HALTED = 2  # the program has ended, and the host does not know
    ENGINE = 3  # the engine has a job
    NEXT = 4  # and its next one is prepared; this has no turns
    DRAIN = 5  # rows of backward or of reduce leave the core
    PARTIAL = 6  # backward adds to partial sums
    ERRORS = 7  # receive or loss
    UPDATE = 8  # update or reduce
    NOTIFY = 9
    SEND = 10
    CREDIT = 11  # credits are to be given


class State(IntEnum):
    """Of a queue."""

    FETCH = 0  # its next instruction is to be read
    WAIT = 1  # it has a job whose tokens may be missing
    RUN = 2
    ENDED = 3  # tokens are to be given
    STOPPED = 4  # at a barrier


class Record(IntEnum):
    """Words of a queue's record."""

    STATE = 0
    COUNTER = 1  # the next instruction
    LEFT = 2  # samples
    SPIKES = 3  # slots
    ERRORS = 4
    REMOTE = 5
    JOB = 6
    KIND = 7


class Ring(IntEnum):
    """Words of a ring's record. A ring has places for packets of rows from another core: the number of rows, an unused
    word, the rows."""

    WRITE = 0  # offset of the place for the next packet
    READ = 1  # and of the first packet
    PACKETS = 2
    LEFT = 3  # rows of the first packet, once some have been taken
    OWED = 4  # credits
    SOURCE = 5  # who gets them


# Kinds of jobs of a queue
UPDATE, REDUCE, NOTIFY, RECEIVE, LOSS = (
    QUEUE_OF[opcode][1] for opcode in (Opcode.UPDATE, Opcode.REDUCE, Opcode.NOTIFY, Opcode.RECEIVE, Opcode.LOSS)
)
ROUTE = 0xFF  # mode and place of a header
RECORD = 8  # words of a record
CREDITS = 4  # packets that a ring holds
PLACE = 16  # words of a place
RING = CREDITS * PLACE
JOB_WORDS = 32
SLOTS = {Record.SPIKES: "slots", Record.ERRORS: "error_slots", Record.REMOTE: "remote_slots"}


def half(field: str) -> int:
    """The halfword of a job that a field begins in."""
    return JOB.shape()[field].offset // 16


def header(layout: WordLayout, **fields: int) -> int:
    """The first half of a header with these fields."""
    return layout.pack(**fields)[0] & 0xFFFF


def declare(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    """All data of the firmware."""
    queues = len(QUEUES)
    a.var("queues", *[0] * (RECORD * queues), align=RECORD)
    a.var("rings", *[0] * (RECORD * 2), align=RECORD)
    a.var("tokens", *[0] * len(Token))
    a.var("first", *[0] * len(Token))
    digest = config_digest(cfg, mesh)
    a.var("identity", MAGIC & 0xFFFF, MAGIC >> 16, digest & 0xFFFF, digest >> 16)
    a.variables("running", "halting", "stopped", "active", "label_slot", *SLOTS.values(), "elsewhere", "first_job",
                "cycles_last", "engine_low", "engine_high", "credits")  # fmt: skip
    a.var("counters", *[0] * (2 * (1 + len(RUNNING))), align=2)  # the low and the high half of each, cycles first
    assert 2 + Packing(mesh, cfg.row_bits).per_packet <= PLACE
    a.block("jobs", JOB_WORDS * cfg.jobs, align=JOB_WORDS)
    a.block("program", 2 * cfg.program_words, align=2)
    a.block("ring_rows", 2 * RING, align=RING)
    a.block("labels", 1 << SLOT_BITS)
    a.block("loss_table", 2 << cfg.timesteps.bit_length())
    assert SETUP.words == 4


def task_on(a: Assembler, task: Task):
    """Give a task turns."""
    a.ori(TASKS, 1 << task)


def task_off(a: Assembler, task: Task):
    """Give it none."""
    a.andi(TASKS, (1 << task) - 1 if task == max(Task) else ~(1 << task))  # above the last one there is nothing


def ring(a: Assembler, queue: Rows):
    """R5: the record of a ring; R6: its places."""
    a.li(R5, "rings", RECORD * queue)
    a.li(R6, "ring_rows", RING * queue)
