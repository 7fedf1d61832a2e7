"""The text of docs/protocol.md, from the declarations that the hardware and the driver use."""

from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap

from hw.config import PRESETS, CoreConfig
from hw.counters import COUNTED, MAGIC, REGISTERS, STATE
from hw.host_port import space_bits
from hw.layouts import (
    ERROR_SLOTS,
    GRADIENT_FAULTS,
    HEADER,
    INSTRUCTION,
    JOB,
    QUEUES,
    SPIKE_SLOTS,
    TOKEN_BITS,
    WORD,
    Fault,
    Opcode,
    Packet,
    Space,
    Token,
    WordLayout,
    elements_to_words,
)

_OPCODES = {
    Opcode.FORWARD: "a forward job: forward engine, neuron unit",
    Opcode.BACKWARD: "a backward job: backward engine, neuron_grad unit",
    Opcode.WEIGHT_GRAD: "a weight_grad job",
    Opcode.UPDATE: "an update job",
    Opcode.RECEIVE: "take a sample from the host",
    Opcode.SEND: "send the last layer's spikes to the host",
    Opcode.LOSS: "a loss job: loss unit, neuron_grad unit; in backward's queue",
    Opcode.LOOP: "back to instruction `job` until all samples are dispatched; `post` is the number of slots",
    Opcode.BARRIER: "wait until every queue and engine is idle",
    Opcode.HALT: "wait as BARRIER does, then tell the host",
}
_TOKENS = {
    Token.INPUT_READY: ("receive", "forward", "a sample's spikes and label are in memory"),
    Token.INPUT_FREE: ("weight_grad or send", "receive", "an input slot may be overwritten"),
    Token.OUTPUT_READY: ("forward", "send", "the last layer's spikes are complete"),
    Token.LOSS_READY: ("forward", "backward", "the same, for the loss"),
    Token.SENT: ("send", "forward", "the last layer's spikes have left"),
    Token.SLOT_FREE: ("weight_grad or send", "forward", "a slot of spikes and masks may be overwritten"),
    Token.ERRORS_READY: ("loss or backward", "weight_grad", "one layer's errors are complete"),
    Token.ERRORS_FREE: ("weight_grad", "backward", "a slot of errors may be overwritten"),
}
_PACKETS = {
    Packet.WRITE: ("host → core", "address, then `count` elements"),
    Packet.READ: ("host → core", "address; the answer is a DATA packet of `count` elements"),
    Packet.START: ("host → core", "number of samples; starts the program at its first word"),
    Packet.SAMPLE: ("host → core", "`count` words for the receive unit: the label, then the spike words"),
    Packet.DATA: ("core → host", "`count` elements, the answer to READ"),
    Packet.SPIKES: ("core → host", "`count` elements, the last layer's spikes of one sample"),
    Packet.HALTED: ("core → host", "one word, the status"),
}
_SPACES = {
    Space.PROGRAM: ("32-bit word", "write"),
    Space.JOBS: ("32-bit word; job n starts at 16 · n", "write"),
    Space.WEIGHTS: ("row of weights", "read, write"),
    Space.MOMENTUM: ("row of momenta", "read, write"),
    Space.GRADIENTS: ("row of gradients", "read, write"),
    Space.SPIKES: ("spike word", "read, write"),
    Space.MASKS: ("word of surrogate bits", "read, write"),
    Space.ERRORS: ("row of errors at one timestep; word w, step t at w · 2^⌈log2 T⌉ + t", "read, write"),
    Space.ERROR_MASKS: ("word of bits: error is not zero", "read, write"),
    Space.POTENTIALS: ("row of potentials, addressed as ERRORS (triangle only)", "read, write"),
    Space.LOSS_TABLE: ("one number; entry count + target · 2^bits(T)", "read, write"),
    Space.REGISTERS: ("32-bit word", "read"),
}
_FAULTS = {
    Fault.FORWARD: "an accumulator of forward",
    Fault.NEURON: "a potential",
    Fault.BACKWARD: "a sum of products in backward",
    Fault.NEURON_GRAD: "an error, or a step on the way to it",
    Fault.WEIGHT_GRAD: "a gradient",
    Fault.UPDATE: "a momentum or a weight",
}
_COUNTERS = {
    "running": "cycles in which a job is under way",
    "issued": "additions that start (all lanes together)",
    "useful": "columns that add in them; times lanes: additions (backward: multiply-adds)",
    "drained": "accumulators that leave without adding",
    "stalled": "cycles in which an operation waits for its accumulator or for the drain",
    "rows": "rows read",
    "words": "spike words read",
    "skipped": "rows that are not read because their column vector is all zero",
}


def _table(header: tuple[str, ...], rows) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines] + [""]


def _fields(layout: WordLayout) -> list[str]:
    rows = []
    for n, row in enumerate(layout.rows):
        low = 0
        for field in row:
            bits = f"{low + field.width - 1}:{low}" if field.width > 1 else low
            rows.append((n, bits, f"`{field.name}`", field.meaning))
            low += field.width
    return _table(("word", "bits", "field", "meaning"), rows)


def _enum(members, describe) -> list[tuple]:
    return [(int(member), f"`{member.name}`", *describe(member)) for member in members]


def _spaces(cfg: CoreConfig) -> list[tuple]:
    bits = space_bits(cfg)
    return _enum(Space, lambda space: (*_SPACES[space], bits[space], elements_to_words(bits[space])))


def protocol() -> str:
    """The page as Markdown."""
    small = PRESETS["SMALL"]
    gradient = ", ".join(fault.name for fault in Fault if GRADIENT_FAULTS >> fault & 1)
    engines = [(f"`ENGINE.{name}`", meaning) for name, meaning in _COUNTERS.items()]
    others = [name for name in COUNTED if name.split(".")[0] not in ("forward", "backward", "weight_grad")]
    lines = [
        "# Host port, programs and jobs",
        "",
        "Written by `make docs` from `hw/layouts.py`, `hw/counters.py` and `hw/host_port.py`; a test compares it with",
        "them.",
        "",
        f"The host port is two streams (valid, ready, {WORD} bits), one each way. Words form packets; everything else",
        "is reading and writing the core's memories. Memories other than `REGISTERS` are for the host while no program",
        "runs.",
        "",
        "## Packets",
        "",
        "A packet starts with a header word:",
        "",
        *_fields(HEADER),
        "What follows the header:",
        "",
        *_table(("code", "packet", "direction", "what follows"), _enum(Packet, _PACKETS.get)),
        f"An element is a whole number of {WORD}-bit words, the lowest bits first. Samples are sent while the program",
        "runs; the receive unit takes them as slots become free, and the port waits meanwhile. `HALTED` is",
        "sent between",
        "requests.",
        "",
        "## Memories",
        "",
        f"Bits and words of an element are those of preset SMALL ({small.lanes} lanes, T = {small.timesteps}).",
        "",
        *_table(("code", "space", "element", "host may", "bits", "words"), _spaces(small)),
        "## Programs",
        "",
        f"Word 0 of the program memory holds the first count of every token, {TOKEN_BITS} bits each, token 0 lowest.",
        "Instructions follow, one word each:",
        "",
        *_fields(INSTRUCTION),
        "The sequencer takes instructions in order and puts each into the queue of its engine "
        f"({', '.join(queue.name.lower() for queue in QUEUES)}).",
        "A queue runs its instructions in order: it waits until every token in `wait` has a count above 0,",
        "takes one of",
        "each, runs the job, and gives one of each token in `post`.",
        "",
        *_table(("code", "opcode", "what it does"), _enum(Opcode, lambda code: (_OPCODES[code],))),
        "## Tokens",
        "",
        "Counting semaphores. Each has one consumer.",
        "",
        *_table(("bit", "token", "given by", "taken by", "meaning"), _enum(Token, _TOKENS.get)),
        f"There are at most {SPIKE_SLOTS} slots of spikes and {ERROR_SLOTS} of errors.",
        "",
        "## Jobs",
        "",
        f"A job is {JOB.words} words. Numbers of the format are raw bits.",
        "",
        *_fields(JOB),
        "## Registers",
        "",
        f"`magic` is {MAGIC:#010x} (\"TRID\"). `config` is the CRC-32 of the configuration's text, which the",
        "driver compares",
        "with its own. `waiting.QUEUE` has a bit for each token that the queue waits for, `active` one for",
        "each queue whose",
        "engine runs.",
        "Counters are 32 bits wide and wrap around; `cycles` counts while a program runs.",
        "",
        *_table(("index", "register"), [(n, f"`{name}`") for n, name in enumerate(REGISTERS)][: len(STATE) + 1]),
        f"Index {len(STATE) + 1} and on are the counters, in this order: for each engine (forward, backward,",
        "weight_grad)",
        "",
        *_table(("counter", "what is counted"), engines),
        f"then {', '.join(f'`{name}`' for name in others)}.",
        "`X.running` are cycles, `mac.X` requests to the shared multiply-adder, the others reads, writes and words.",
        "",
        "## Status and faults",
        "",
        "The status word is kept from one start to the next. Bits 7:0 are faults: an infinity or a NaN came",
        "out. Bits 15:8",
        "are the number of the job that had the first fault.",
        "",
        *_table(("bit", "fault", "what was not finite"), _enum(Fault, lambda fault: (_FAULTS[fault],))),
        f"With a fault of one of {gradient} the update of the minibatch is skipped:",
        "gradients are cleared, weights and momenta stay. The host halves the loss scale. Any other fault",
        "ends the run with",
        "an error.",
    ]
    return "\n".join(_wrapped(lines)) + "\n"


def _wrapped(lines: list[str]) -> Iterator[str]:
    """The lines with each paragraph wrapped anew; headings and tables stay."""
    for prose, group in groupby(lines, lambda line: line[:1] not in ("", "#", "|")):
        found = list(group)
        yield from wrap(" ".join(found), 120) if prose else found
