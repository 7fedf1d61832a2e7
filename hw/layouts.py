"""Everything that hardware, compiler and driver must agree on, declared once: jobs, instructions, tokens, packets.

A *job* describes one pass of one engine over one layer; an *instruction* runs a job when its tokens are there.
Both are made of 32-bit words; :class:`WordLayout` packs and unpacks them in Python and gives the same fields in RTL.
"""

from dataclasses import dataclass
from enum import IntEnum

from amaranth.lib import data

from hw.errors import TridentError

WORD = 32


@dataclass(frozen=True)
class Field:
    """A bit field: ``name`` of ``width`` bits, and the meaning that the documentation prints."""

    name: str
    width: int
    meaning: str


class WordLayout:
    """Fields packed into 32-bit words; no field crosses a word."""

    def __init__(self, name: str, rows: list[list[Field]]):
        self.name, self.rows = name, rows
        for row in rows:
            if sum(field.width for field in row) > WORD:
                raise TridentError(f"{name}: the fields {[f.name for f in row]} do not fit {WORD} bits")

    @property
    def words(self) -> int:
        return len(self.rows)

    def pack(self, **values: int) -> list[int]:
        """32-bit words for these field values; a field not given is 0.

        Raises TridentError for an unknown field and for a value that its field cannot hold.
        """
        words = []
        for row in self.rows:
            word = shift = 0
            for field in row:
                value = values.pop(field.name, 0)
                if not 0 <= value < 1 << field.width:
                    raise TridentError(
                        f"{self.name}: {field.name} of {value} does not fit its {field.width} bits "
                        f"(at most {(1 << field.width) - 1})"
                    )
                word |= value << shift
                shift += field.width
            words.append(word)
        if values:
            raise TridentError(f"{self.name} has no field {', '.join(values)}")
        return words

    def unpack(self, words: list[int]) -> dict[str, int]:
        """The field values of packed words."""
        values = {}
        for row, word in zip(self.rows, words, strict=True):
            for field in row:
                values[field.name] = word & ((1 << field.width) - 1)
                word >>= field.width
        return values

    def shape(self) -> data.StructLayout:
        """The same fields as a layout of ``32 * words`` bits, first word lowest."""
        members = {}
        for n, row in enumerate(self.rows):
            used = 0
            for field in row:
                members[field.name] = field.width
                used += field.width
            if used < WORD:
                members[f"_unused{n}"] = WORD - used
        return data.StructLayout(members)


JOB = WordLayout("job", [
    [Field("src", 16, "first word that is read: spikes (forward, weight_grad, send) or errors (backward)"),
     Field("src_slot", 16, "words between the slots of consecutive samples")],
    [Field("aux", 16, "second operand: errors (weight_grad) or the layer's own spikes (backward, loss)"),
     Field("aux_slot", 16, "as src_slot")],
    [Field("dst", 16, "first word that is written: spikes (forward, receive) or errors (backward, loss)"),
     Field("dst_slot", 16, "as src_slot")],
    [Field("tile", 16, "first tile of the layer's weights"),
     Field("block_step", 16, "tiles from one block of channels to the next")],
    [Field("tap_step", 16, "tiles from the last block of a tap to the first of the next tap"),
     Field("pass_step", 16, "tiles from one pass over the groups to the next")],
    [Field("group_step", 16, "tiles from one group to the next"),
     Field("groups", 16, "groups of lanes that the job computes")],
    [Field("pass_groups", 8, "groups per pass, bounded by the accumulators"),
     Field("group_entries", 12, "accumulator entries of one group"),
     Field("words", 4, "spike words gathered at once"),
     Field("kernel", 4, "kernel width"),
     Field("padding", 3, "zero pixels around the image"),
     Field("stride2", 1, "stride of 2")],
    [Field("src_y", 8, "height of the image that is read"),
     Field("src_x", 8, "width of the image that is read"),
     Field("blocks", 16, "spike words per pixel of the image that is read")],
    [Field("dst_y", 8, "height of the image that is walked"),
     Field("dst_x", 8, "width of the image that is walked"),
     Field("count", 16, "rows (update), words (send, receive), classes (loss), input blocks in all (weight_grad)")],
    [Field("leak", 16, "leak (neurons) or momentum (update), as a float"),
     Field("threshold", 16, "firing threshold, or the negated learning rate's significand (update)")],
    [Field("low", 16, "surrogate is 1 above this potential (rectangle)"),
     Field("high", 16, "surrogate is 1 below this potential (rectangle)")],
    [Field("slope", 16, "-1 / window (triangle)"),
     Field("scale", 8, "power of two that scales the learning rate, two's complement"),
     Field("bias", 1, "a last row of weights that every timestep adds")],
])  # fmt: skip


# Samples under way at once: one in forward, one in backward, one in weight_grad
SPIKE_SLOTS = 3
ERROR_SLOTS = 2


class Opcode(IntEnum):
    """What an instruction does; the first six name the engine queue that it goes to."""

    FORWARD = 0
    BACKWARD = 1
    WEIGHT_GRAD = 2
    UPDATE = 3
    RECEIVE = 4
    SEND = 5
    LOSS = 6  # runs in backward's queue
    LOOP = 7  # next sample: back to instruction `job` until all samples are dispatched; `post` is the number of slots
    BARRIER = 8  # wait until every queue and engine is idle
    HALT = 9  # wait as BARRIER does, then tell the host


QUEUES = (Opcode.FORWARD, Opcode.BACKWARD, Opcode.WEIGHT_GRAD, Opcode.UPDATE, Opcode.RECEIVE, Opcode.SEND)


class Token(IntEnum):
    """Counting semaphores between engines; each has one consumer."""

    INPUT_READY = 0  # receive -> forward: a sample's spikes and label are in memory
    INPUT_FREE = 1  # weight_grad or send -> receive: an input slot may be overwritten
    OUTPUT_READY = 2  # forward -> send: the last layer's spikes are complete
    LOSS_READY = 3  # forward -> backward: likewise, for the loss
    SENT = 4  # send -> forward: the last layer's spikes have left
    SLOT_FREE = 5  # weight_grad or send -> forward: a slot of spikes and masks may be overwritten
    ERRORS_READY = 6  # backward -> weight_grad: one layer's errors are complete
    ERRORS_FREE = 7  # weight_grad -> backward: a slot of errors may be overwritten


TOKEN_BITS = 4

INSTRUCTION = WordLayout("instruction", [[
    Field("opcode", 4, "what to do, see Opcode"),
    Field("job", 8, "job number, or the target of LOOP"),
    Field("wait", 8, "tokens taken before the start, one bit each"),
    Field("post", 8, "tokens given at the end, one bit each"),
]])  # fmt: skip


class Space(IntEnum):
    """Memories that the host can read and write, and how many bits one element has (see ``space_bits``)."""

    PROGRAM = 0
    JOBS = 1
    WEIGHTS = 2
    MOMENTUM = 3
    GRADIENTS = 4
    SPIKES = 5
    MASKS = 6
    ERRORS = 7
    ERROR_MASKS = 8
    POTENTIALS = 9
    LOSS_TABLE = 10
    REGISTERS = 11


class Packet(IntEnum):
    """First nibble of a packet's header word, both ways."""

    WRITE = 0  # host -> core: second word is address, then `count` elements follow
    READ = 1  # host -> core: second word is address; the answer is a DATA packet
    START = 2  # host -> core: second word is the number of samples; starts the program at its first word
    SAMPLE = 3  # host -> core: `count` words for the receive queue follow
    DATA = 4  # core -> host: answer to READ, `count` elements
    SPIKES = 5  # core -> host: the last layer's spikes of one sample, `count` elements
    HALTED = 6  # core -> host: one word, the status flags


HEADER = WordLayout("header", [[
    Field("packet", 4, "what follows, see Packet"),
    Field("space", 4, "which memory, see Space"),
    Field("count", 24, "elements that follow or are asked for"),
]])  # fmt: skip


class Fault(IntEnum):
    """Bits of the status word: an engine produced an infinity or a NaN since the last start."""

    FORWARD = 0
    NEURON = 1
    BACKWARD = 2
    NEURON_GRAD = 3
    WEIGHT_GRAD = 4
    UPDATE = 5


GRADIENT_FAULTS = (1 << Fault.BACKWARD) | (1 << Fault.NEURON_GRAD) | (1 << Fault.WEIGHT_GRAD)


def elements_to_words(bits: int) -> int:
    """32-bit words that carry one element of ``bits`` bits over the host port."""
    return -(-bits // WORD)
