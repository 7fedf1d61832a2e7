"""A program: its instructions, its set-up, and what the host reads of a queue that runs it."""

from amaranth.lib import data

from trident.hw.isa.job import JOB_NUMBER_BITS, SERIAL_BITS, SLOT_BITS
from trident.hw.isa.tokens import TOKEN_BITS
from trident.hw.isa.words import Field, WordLayout

INSTRUCTION = WordLayout("instruction", [[
    Field("opcode", 5, "what to do, see Opcode"),
    Field("job", JOB_NUMBER_BITS, "job number, or the target of LOOP, JUMP and ENTER"),
]])  # fmt: skip

# The first words of a program; a JUMP for each queue follows
SETUP = WordLayout("setup", [
    *([Field(f"token{n}", TOKEN_BITS, "first count of a token") for n in range(first, first + 8)]
      for first in (0, 8)),
    [*(Field(f"token{n}", TOKEN_BITS, "first count of a token") for n in range(16, 22))],
    [Field("slots", SLOT_BITS, "slots of spikes"),
     Field("error_slots", 2, "slots of errors"),
     Field("remote_slots", SLOT_BITS, "slots of spikes of the next stage"),
     Field("serial_slots", SERIAL_BITS, "slots of spikes and of errors where there are as many as a minibatch has "
           "samples; 0: as many as the other fields say")],
])  # fmt: skip

# What the host reads of a queue; the upper bits of its job's number lie elsewhere, see trident.hw.isa.registers
QUEUE_STATE = data.StructLayout({"job": 8, "blocked": 1, "active": 1})
