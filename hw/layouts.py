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
    [Field("target", 8, "who gets what the job sends, as the route of its packets"),
     Field("channel", 1, "which of the target's queues of rows the rows go to, see Rows"),
     Field("take", 1, "rows that come in are added: backward, reduce"),
     Field("away", 1, "rows leave the core: backward, reduce"),
     Field("token", 5, "token that send and notify give at the end; 31: none"),
     Field("source", 8, "who sends the rows that the job takes, as the route of the credits"),
     Field("final", 1, "the reduced rows go into the targets' gradient memories")],
    [Field("wait", 31, "tokens taken before the start, see pack_tokens")],
    [Field("post", 31, "tokens given at the end")],
])  # fmt: skip


SAMPLE_BITS = 16  # samples of one run, at most 65,535
SLOT_BITS = 4  # samples whose spikes are in memory at once, at most 15
ERROR_SLOTS = 2
FAN = 4  # cores that one stage may have: each has a token of its own


class Opcode(IntEnum):
    """What an instruction does; the first six name the engine queue that it goes to."""

    FORWARD = 0
    BACKWARD = 1
    WEIGHT_GRAD = 2
    UPDATE = 3
    RECEIVE = 4  # errors from other cores
    SEND = 5  # spikes to other cores or the host, then a token
    LOSS = 6  # runs in receive's queue
    REDUCE = 7  # gradients from replica to replica; runs in update's queue
    NOTIFY = 8  # a token to other cores or the host; runs in update's queue
    LOOP = 9  # next sample: back to word `job` of the program until all samples are dispatched
    BARRIER = 10  # wait until every queue has come here and every engine is idle
    HALT = 11  # wait as BARRIER does and until every token is back, then tell the host
    JUMP = 12  # go on at word `job` of the program
    ENTER = 13  # go on at word `job` if there are no samples


QUEUES = (Opcode.FORWARD, Opcode.BACKWARD, Opcode.WEIGHT_GRAD, Opcode.UPDATE, Opcode.RECEIVE, Opcode.SEND)

# Operations that share a queue, with the number that tells them apart
QUEUE_OF = {
    **{opcode: (opcode, 0) for opcode in QUEUES},
    Opcode.LOSS: (Opcode.RECEIVE, 1),
    Opcode.REDUCE: (Opcode.UPDATE, 1),
    Opcode.NOTIFY: (Opcode.UPDATE, 2),
}


class Token(IntEnum):
    """Counting semaphores between engines, and between cores; each has one consumer, but UNIT_FREE."""

    INPUT_READY0 = 0  # send of core 0 of the stage before, or host -> forward: its part of a sample is in memory
    INPUT_READY1 = 1
    INPUT_READY2 = 2
    INPUT_READY3 = 3
    NEXT_FREE0 = 4  # notify of core 0 of the next stage -> send: it has room for a sample's spikes
    NEXT_FREE1 = 5
    NEXT_FREE2 = 6
    NEXT_FREE3 = 7
    INPUT_FREE = 8  # weight_grad or send -> notify: an input slot may be overwritten
    OUTPUT_READY = 9  # forward -> send: the last layer's spikes are complete
    LOSS_READY = 10  # forward -> loss: likewise
    SENT = 11  # send -> forward: the last layer's spikes have left
    SLOT_FREE = 12  # weight_grad or send -> forward: a slot of spikes and masks may be overwritten
    ERRORS_READY = 13  # receive or loss -> weight_grad: the last layer's errors are complete
    ERRORS_FREE = 14  # weight_grad -> receive or loss: a slot of errors may be overwritten
    TOP_READY = 15  # receive or loss -> backward: the last layer's errors are complete
    UNIT_FREE = 16  # backward, receive or loss -> receive, loss or backward: the neuron-gradient unit
    REDUCED = 17  # notify of the last replica -> update: the gradients of all replicas are in memory
    BACKWARD_DONE = 18  # backward -> receive or loss: the last layer's errors have been sent on
    TWIN_READY = 19  # notify of the next replica -> reduce: its queue of rows is for gradients now
    LOWER_READY = 20  # backward -> weight_grad: the errors of a layer below are complete
    GO = 21  # host tile -> update: every core has its gradients; the value says whether one has overflowed


TOKEN_BITS = 4  # of a count
TOKEN_NUMBER_BITS = 5
TOKEN_LIST = 6  # tokens in a list
NO_TOKEN = 31  # ends a list; for a send that gives none


def pack_tokens(tokens: tuple[Token, ...]) -> int:
    """A list of tokens, five bits for each, three in a half of the word, the first lowest.

    Raises TridentError for more than six.
    """
    if len(tokens) > TOKEN_LIST:
        raise TridentError(f"a job waits for or gives at most {TOKEN_LIST} tokens, not {len(tokens)}")
    places = [*tokens, *[NO_TOKEN] * (TOKEN_LIST - len(tokens))]
    return sum(token << token_place(n) for n, token in enumerate(places))


def token_place(n: int) -> int:
    """The lowest bit of token ``n`` in a list."""
    half, place = divmod(n, TOKEN_LIST // 2)
    return half * WORD // 2 + place * TOKEN_NUMBER_BITS


def unpack_tokens(bits: int) -> tuple[Token, ...]:
    """The tokens of a packed list."""
    numbers = [bits >> token_place(n) & (1 << TOKEN_NUMBER_BITS) - 1 for n in range(TOKEN_LIST)]
    return tuple(Token(number) for number in numbers[: (*numbers, NO_TOKEN).index(NO_TOKEN)])

INSTRUCTION = WordLayout("instruction", [[
    Field("opcode", 4, "what to do, see Opcode"),
    Field("job", 10, "job number, or the target of LOOP, JUMP and ENTER"),
]])  # fmt: skip

# The first words of a program; a JUMP for each queue follows
SETUP = WordLayout("setup", [
    *([Field(f"token{n}", TOKEN_BITS, "first count of a token") for n in range(first, first + 8)]
      for first in (0, 8)),
    [*(Field(f"token{n}", TOKEN_BITS, "first count of a token") for n in range(16, 22))],
    [Field("slots", SLOT_BITS, "slots of spikes"),
     Field("error_slots", 2, "slots of errors"),
     Field("remote_slots", SLOT_BITS, "slots of spikes of the next stage")],
])  # fmt: skip


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
    ROUTES = 12


class Packet(IntEnum):
    """What a packet is, after the route in its first flit."""

    WRITE = 0  # elements of `space` from `address`
    READ = 1  # one flit: the number of elements that are asked for; the answer is DATA packets
    START = 2  # one flit: the number of samples; without it, only the tokens are set to their first counts
    SPIKES = 3  # spike words from `address`, as many in a flit as fit; `rest` of them in the last flit
    ROWS = 4  # rows for a queue of rows, as many in a flit as fit; `rest` of them in the last flit
    TOKEN = 5  # gives a token; its value is the sample's label, or the faults that the host tile collects
    CREDIT = 6  # a packet of rows has been taken
    ANSWER = 7  # core -> host: elements that were read (kind 0), or one flit of status at the program's end (kind 1)


class Rows(IntEnum):
    """The two queues of rows that a core has for others."""

    ERRORS = 0  # for the neuron-gradient unit
    PARTIALS = 1  # partial sums that backward or reduce adds to


def header(name: str, *fields: Field) -> WordLayout:
    """The first flit of a packet: who gets it, what it is, and ``fields``."""
    return WordLayout(name, [[*ROUTE, Field("packet", 3, "what the packet is, see Packet"), *fields]])


ROUTE = (
    Field("mode", 2, "who gets the packet, see Mode"),
    Field("x", 3, "column of the core, or the low bits of the group's number, or the sender's column"),
    Field("y", 3, "row of the core, or the high bits of the group's number, or the sender's row"),
)
"""The fields that routers read: the lowest bits of a packet's first flit."""

HEADER = header("header", Field("space", 4, "which memory, see Space"), Field("address", 17, "first element"))
PUT = header("put", Field("rest", 5, "words in the last flit, less one"), Field("address", 16, "first spike word"))
ROWS = header(
    "rows",
    Field("rest", 5, "rows in the last flit, less one"),
    Field("channel", 1, "which queue, see Rows"),
)
CREDIT = header("credit", Field("more", 5, "credits beside the first; of small cores"))
TOKEN = header("token", Field("token", 5, "which, see Token"), Field("value", 16, "label or faults"))
ANSWER = header("answer", Field("kind", 1, "0: elements, 1: status"))


class Command(IntEnum):
    """What the host asks of the host tile itself: packets of one flit with mode HOST, `value` in `address`."""

    FREE = 0  # the core at (x, y) has room for `value` samples
    WAIT = 1  # wait until the core at (x, y) has room for a sample, and take that room
    VOTERS = 2  # so many cores give the token GO before it is given to all
    LIMIT = 3  # a WAIT gives up after `value` * 1024 cycles: samples are dropped until the next LIMIT


COMMAND = header("command", Field("value", 16, "see Command"))


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
