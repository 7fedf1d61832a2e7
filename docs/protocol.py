"""The text of docs/protocol.md, from the declarations that the hardware and the driver use."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from textwrap import wrap

from trident.hw.isa.config import PRESETS, CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.frames import (
    BEATS,
    BUFFER,
    CHECK_BYTES,
    ESCAPE,
    FLAG,
    FLIP,
    FRAME,
    HEAD,
    LINK_MAGIC,
    PAGE,
    PAYLOAD,
    UPLOAD,
    VERSION,
    Kind,
    Record,
)
from trident.hw.isa.job import ERROR_SLOTS, FAN, JOB, SLOT_BITS
from trident.hw.isa.limits import FEW_JOBS
from trident.hw.isa.operations import JOBS, OPERATIONS, QUEUE_OF, QUEUES, Operation
from trident.hw.isa.packets import ANSWER, COMMAND, HEADER, PUT, ROUTE_LAYOUT, ROWS, TOKEN, Command, Mode, Packet, Rows
from trident.hw.isa.program import INSTRUCTION, QUEUE_STATE, SETUP
from trident.hw.isa.registers import COUNTED, MAGIC, OWN_MEMORIES, OWN_UNITS, STATE, UPPER_BITS, counted
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.tokens import NO_TOKEN, TOKEN_BITS, Token
from trident.hw.isa.words import WORD, WordLayout
from trident.hw.noc.rows import CREDITS

_MODES = {
    Mode.UNICAST: "the core at (x, y)",
    Mode.MULTICAST: "the cores of group x + 8 · y, by the routers' tables (space ROUTES)",
    Mode.HOST: "the host; from the host: the host tile itself; (x, y) is the sender, or the core that is meant",
    Mode.BROADCAST: "every core; only the host and its tile send it",
}
_TOKENS = {
    Token.INPUT_READY0: ("host, or send of core 0 of the stage before", "forward",
                         "its part of a sample's spikes is in memory; the value is the label"),
    Token.INPUT_READY1: ("send of core 1 of the stage before", "forward", "likewise"),
    Token.INPUT_READY2: ("send of core 2 of the stage before", "forward", "likewise"),
    Token.INPUT_READY3: ("send of core 3 of the stage before", "forward", "likewise"),
    Token.NEXT_FREE0: ("notify of core 0 of the next stage", "send", "it has room for a sample's spikes"),
    Token.NEXT_FREE1: ("notify of core 1 of the next stage", "send", "likewise"),
    Token.NEXT_FREE2: ("notify of core 2 of the next stage", "send", "likewise"),
    Token.NEXT_FREE3: ("notify of core 3 of the next stage", "send", "likewise"),
    Token.INPUT_FREE: ("weight_grad, or forward without training", "notify", "an input slot may be overwritten"),
    Token.OUTPUT_READY: ("forward", "send", "the last layer's spikes are complete"),
    Token.LOSS_READY: ("forward", "loss", "the same, for the loss"),
    Token.SENT: ("send", "forward", "the last layer's spikes have left"),
    Token.SLOT_FREE: ("weight_grad or send", "forward", "a slot of spikes and masks may be overwritten"),
    Token.ERRORS_READY: ("receive or loss", "weight_grad", "the last layer's errors are complete"),
    Token.ERRORS_FREE: ("weight_grad", "receive or loss", "a slot of errors may be overwritten"),
    Token.TOP_READY: ("receive or loss", "backward", "the last layer's errors are complete"),
    Token.UNIT_FREE: ("receive, loss or backward", "receive, loss or backward", "the neuron-gradient unit is free"),
    Token.REDUCED: ("notify of the last replica", "update", "the gradients of all replicas are in memory"),
    Token.BACKWARD_DONE: ("backward", "receive or loss", "the last layer's errors have been sent on"),
    Token.PEER_READY: ("notify of the next replica", "reduce", "its queue of rows is for gradients now"),
    Token.LOWER_READY: ("backward", "weight_grad", "the errors of a layer below are complete"),
    Token.GO: ("host tile", "update", "every core has its gradients; the value tells of an overflow of any"),
}
_PACKETS = {
    Packet.WRITE: ("to a core", "HEADER", "elements, one after another, for consecutive addresses"),
    Packet.READ: ("to a core", "HEADER", "one flit: the number of elements; ANSWER packets come back"),
    Packet.START: ("to a core", "HEADER", "one flit: the number of samples; the program starts. A START of one flit "
                   "sets the tokens to their first counts"),
    Packet.SPIKES: ("to a core, or to the host", "PUT", "spike words for consecutive addresses, as many in a flit as "
                    "fit (a power of two)"),
    Packet.ROWS: ("core to core", "ROWS", "rows of numbers, as many in a flit as fit (a power of two)"),
    Packet.TOKEN: ("to a core, or to the host tile", "TOKEN", ""),
    Packet.CREDIT: ("core to core", "CREDIT", ""),
    Packet.ANSWER: ("core to host", "ANSWER", "elements that were read, or one flit: the status at the program's end"),
}
_ROWS = {
    Rows.ERRORS: "errors of this core's last layer, for receive",
    Rows.PARTIALS: "sums of the cores before, for backward (errors) or reduce (gradients)",
}
_COMMANDS = {
    Command.FREE: "the core at (x, y) has room for `value` samples",
    Command.WAIT: "wait until the core at (x, y) has room for a sample, and take that room",
    Command.VOTERS: "so many cores give the token GO before every core gets it, with all their faults as its value",
    Command.LIMIT: "a WAIT gives up after `value` · 1024 cycles: SPIKES and TOKEN packets are then dropped until the "
                   "next LIMIT",
}  # fmt: skip
_SPACES = {
    Space.PROGRAM: ("32-bit word", "write"),
    Space.JOBS: ("32-bit word; job n starts at 16 · n", "write"),
    Space.WEIGHTS: ("row of weights", "read, write"),
    Space.MOMENTUM: ("row of momenta", "read, write"),
    Space.GRADIENTS: ("row of gradients; of exact ones the lowest bits of all lanes first", "read, write"),
    Space.SPIKES: ("spike word", "read, write"),
    Space.MASKS: ("word of surrogate bits", "read, write"),
    Space.ERRORS: ("row of errors at one timestep; word w, step t at w · 2^⌈log2 T⌉ + t", "read, write"),
    Space.ERROR_MASKS: ("word of bits: error is not zero", "read, write"),
    Space.POTENTIALS: ("row of potentials, addressed as ERRORS (where a surrogate reads them)", "read, write"),
    Space.LOSS_TABLE: ("one number; entry count + target · 2^bits(T), with class weights + label · 2^(bits(T) + 1)",
                       "write"),
    Space.REGISTERS: ("32-bit word", "read"),
    Space.FUNCTIONS: ("line of a piece of a function: slope, base, scale", "read, write"),
    Space.SQUARES: ("row of mean squared gradients (Adam)", "read, write"),
    Space.RAW: ("row of what standardised weights are made of; of a norm, the running variance or mean", "read, write"),
    Space.ROUTES: ("ports of the router that packets of group n go to", "write"),
}
_FAULTS = {
    Fault.FORWARD: "a weight, or a sum of forward",
    Fault.NEURON: "a potential, or a number of a norm",
    Fault.BACKWARD: "a product, or a sum of products, in backward",
    Fault.NEURON_GRAD: "an error, or a step on the way to it; a gradient of a norm",
    Fault.WEIGHT_GRAD: "an error that is added, or a gradient of 16 bits",
    Fault.UPDATE: "a momentum, a weight, an exact gradient, or a sum of standardised weights",
}
_KINDS = {
    Kind.DATA: "bytes of the stream, or none: then it only acknowledges",
    Kind.PAGE: "from the host: asks for the page; from the chip: the page, the answer to PAGE, RESET and WORKER",
    Kind.RESET: "begins the session `session`, unless it is under way: cores and network in their initial state, "
                "buffers empty; memories have any content",
    Kind.WORKER: "`received` is the worker's number, which the chip keeps until power-off",
}  # fmt: skip
_RECORDS = {
    Record.PACKET: "a packet of `count` + 1 flits, the lowest byte of each first; the only record from the chip",
    Record.SETUP: "how samples become packets: UPLOAD, then its routes, a byte each",
    Record.SPIKES: "`count` + 1 samples: the payload flits of each one's SPIKES packets, and two bytes of label",
    Record.VALUES: "the same with a byte per input, in place of the flits",
}
_COUNTERS = {
    "running": "cycles in which a job is under way",
    "issued": "additions that start (all lanes together)",
    "useful": "columns that add in them; times lanes: additions (backward: multiply-adds)",
    "drained": "accumulators that leave without adding",
    "stalled": "cycles in which an operation waits for the drain",
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
    return _enum(Space, lambda space: (*_SPACES[space], bits[space], -(-bits[space] // WORD)))


def _operations() -> list[str]:
    """The section about what each operation touches."""

    def names(members) -> str:
        return ", ".join(member.name for member in members)

    def code(paths) -> str:
        return ", ".join(f"`{path.removeprefix('trident.')}`" for path in paths)

    def writes(row: Operation) -> str:
        return ", ".join(f"{space.name} ({unit})" for space, unit in row.writes.items())

    def fields(row: Operation) -> str:
        return ", ".join(f"`{name}`" for name in JOB.names if name in row.fields)

    return [
        "## Operations",
        "",
        "`hw/isa/operations.py` has a row for each; hardware, firmware, compiler and the forecast of cycles follow it.",
        "",
        *_table(
            ("operation", "memories read", "memories written (by which unit)", "faults", "pointers in slots", "needs"),
            [(f"`{row.opcode.name}`", names(row.reads), writes(row), names(row.faults),
              ", ".join(f"`{name}`: {slots}" for name, slots in row.pointers.items()),
              ", ".join(capability.label for capability in row.needs)) for row in JOBS],
        ),
        *_table(("operation", "fields of the job, beside `wait` and `post`"),
                [(f"`{row.opcode.name}`", fields(row)) for row in JOBS]),
        "The unit that runs it, the label of the firmware on a core with a shared engine, golden, and the forecast on",
        "a core of three engines and on one with a shared engine:",
        "",
        *_table(("operation", "unit", "firmware", "golden", "cycles"),
                [(f"`{row.opcode.name}`", code([row.unit]), code(filter(None, [row.firmware])), code(row.golden),
                  code(dict.fromkeys(row.cycles or ()))) for row in JOBS]),
    ]  # fmt: skip


def _link() -> list[str]:
    """The section about the serial line."""
    return [
        "## The serial line",
        "",
        "`LinkedChip` (`hw/link/linked_chip.py`) puts the two streams on a serial line, 8N1. What travels is frames: a",
        f"header, at most {PAYLOAD} bytes of payload, and the CRC-32 of both ({CHECK_BYTES} bytes, as zlib's, lowest",
        f"first), between two bytes {FLAG:#04x}. Within a frame {FLAG:#04x} and {ESCAPE:#04x} are sent as",
        f"{ESCAPE:#04x}",
        f"and the byte exclusive-or {FLIP:#04x} (RFC 1662), so a receiver finds the next frame after any garbage.",
        "",
        *_fields(FRAME),
        *_table(("code", "kind", "what it is"), _enum(Kind, lambda kind: (_KINDS[kind],))),
        "The payloads of a session's DATA frames are a stream of bytes in each direction, numbered from 0, modulo",
        "65,536. A frame counts only if its checksum is right, its session the one under way, and `sequence`",
        "the number",
        "that is expected; otherwise it is as if it had not come, and `again` asks for all from `received`",
        "on. The chip",
        f"sends at least a frame (its heartbeat) every 2^`beat` cycles; after {BEATS} of them without",
        "progress it sends",
        "again by itself. The host sends again when nothing is acknowledged for a while, and counts in",
        "`turn` how often",
        "it has gone back, so that it knows which `again` it has answered. The host sends no byte beyond `taken`",
        f"plus what a buffer holds ({BUFFER:,} bytes, or what the page says), so the chip always has room. A request",
        "(PAGE, RESET, WORKER) does nothing more when it comes twice.",
        "",
        f"The page, `magic` {LINK_MAGIC:#010x}, version {VERSION}:",
        "",
        *_fields(PAGE),
        "The streams are made of records, which begin with a head:",
        "",
        *_fields(HEAD),
        *_table(("code", "record", "what follows"), _enum(Record, lambda record: (_RECORDS[record],))),
        "UPLOAD:",
        "",
        *_fields(UPLOAD),
        "For a sample the chip makes a WAIT for each route of mode HOST at its turn, SPIKES packets with the",
        "next route,",
        "and the token INPUT_READY0 with its label. Samples take the routes in turn; after the last route",
        "the next slot",
        "follows. A value v of VALUES spikes at step t where ⌊((t + 1) · v + phase) ÷ full⌋ > ⌊(t · v +",
        "phase) ÷ full⌋,",
        "as the encoding `rate` does for the intensity v ÷ full. The host (`host/driver/upload.py`) finds",
        "samples among the",
        "packets of a session, and uses VALUES where that is shorter.",
        "",
    ]


def protocol() -> str:
    """The page as Markdown."""
    # With what not every core has: a function table and raw weights
    small = replace(PRESETS["SMALL"], surrogate="atan", standardise=True)
    gradient = ", ".join(fault.name for fault in Fault if GRADIENT_FAULTS >> fault & 1)
    engines = [(f"`ENGINE.{name}`", meaning) for name, meaning in _COUNTERS.items()]
    few = counted(CoreConfig(counters="few"))[1:]
    others = [name for name in COUNTED if name.split(".")[0] not in ("forward", "backward", "weight_grad")]
    shared = {
        code: queue for code, (queue, _) in QUEUE_OF.items() if code != queue
    }
    lines = [
        "# Packets, programs and jobs",
        "",
        "Written by `make docs` from `hw/isa/words.py`, `hw/isa/frames.py`, `hw/noc/flits.py`, `hw/isa/spaces.py` and",
        "`hw/core/counters.py`; a test compares it with them.",
        "",
        "A chip has two streams for its host (valid, ready), one each way. They carry flits: `data`, a power of two of",
        f"{WORD} bits or more, and `last`. The packets between cores are the same. How they travel is in",
        "[noc.md](noc.md); what a core does with them is in `hw/noc/eject.py`, what the host's end adds in",
        "`hw/noc/host_tile.py`. Memories other than `REGISTERS` are for packets only while no engine uses them.",
        "",
        "## Packets",
        "",
        f"A packet's first flit is its header, in its lowest {WORD} bits. All begin with the route:",
        "",
        *_fields(ROUTE_LAYOUT),
        *_table(("code", "mode", "who gets the packet"), _enum(Mode, lambda mode: (_MODES[mode],))),
        "The next three bits say what the packet is:",
        "",
        *_table(("code", "packet", "direction", "header", "what follows"), _enum(Packet, _PACKETS.get)),
        *(line for name, layout in (("HEADER", HEADER), ("PUT", PUT), ("ROWS", ROWS), ("TOKEN", TOKEN),
                                    ("ANSWER", ANSWER))
          for line in (f"{name}:", "", *_fields(layout))),
        "An element is a whole number of flits, the lowest bits first. Items that are narrower than a flit lie side by",
        "side, the first lowest, in packets of SPIKES and ROWS; wider items are a whole number of flits.",
        "",
        f"A core has two queues of rows, each with places for {CREDITS} packets. A sender begins a packet only when it",
        "has a credit for it; a CREDIT goes back for each packet whose rows have all been taken.",
        "",
        *_table(("code", "queue", "whose rows"), _enum(Rows, lambda queue: (_ROWS[queue],))),
        "## The host tile",
        "",
        "Packets of the host with mode HOST are commands of one flit; INPUT_FREE tokens from cores count as room for",
        "one more sample, GO tokens are votes. All else passes.",
        "",
        *_fields(COMMAND),
        *_table(("code", "command", "what it does"), _enum(Command, lambda code: (_COMMANDS[code],))),
        *_link(),
        "## Memories",
        "",
        f"Bits and words of an element are those of preset SMALL with the surrogate atan ({small.lanes} lanes, T = "
        f"{small.timesteps}).",
        "",
        *_table(("code", "space", "element", "host may", "bits", "words"), _spaces(small)),
        "## Programs",
        "",
        f"The first {SETUP.words} words of the program memory are the setup:",
        "",
        *_fields(SETUP),
        f"A JUMP for each of the {len(QUEUES)} queues follows, to the instructions of that queue, one word each:",
        "",
        *_fields(INSTRUCTION),
        f"The queues are {', '.join(queue.name.lower() for queue in QUEUES)}; "
        f"{', '.join(f'{code.name} is in that of {queue.name.lower()}' for code, queue in shared.items())}.",
        "A queue runs its instructions in order: it waits until every token in the job's `wait` has a count above 0,",
        "takes one of each, runs the job, and gives one of each token in `post`. Every queue has the same BARRIERs and",
        "ends with HALT.",
        "",
        *_table(("code", "opcode", "what it does"),
                [(int(row.opcode), f"`{row.opcode.name}`", row.meaning) for row in OPERATIONS]),
        *_operations(),
        "## Tokens",
        "",
        f"Counting semaphores of {TOKEN_BITS} bits; a token of another core counts as one of its own. Each has one",
        "consumer, but UNIT_FREE. A stage has at most",
        f"{FAN} cores; {NO_TOKEN} in a job's `token` stands for none.",
        "",
        *_table(("bit", "token", "given by", "taken by", "meaning"), _enum(Token, _TOKENS.get)),
        f"There are at most {(1 << SLOT_BITS) - 1} slots of spikes and {ERROR_SLOTS} of errors.",
        "",
        "## Jobs",
        "",
        f"A job is {JOB.words} words. Numbers of the format are raw bits. When a job is loaded, its pointers move",
        "to the slot of their sample.",
        "",
        *_fields(JOB),
        "## Registers",
        "",
        f"`magic` is {MAGIC:#010x} (\"TRID\"). `config` is the CRC-32 of the configuration's text, which the",
        "driver compares",
        "with its own. `queues0` and `queues1` have three queues each, "
        f"{QUEUE_STATE.size} bits per queue: the job that waits or runs, whether it waits for tokens, whether it runs.",
        "Counters are 32 bits wide and wrap around; `cycles` counts while a program runs.",
        "",
        *_table(("index", "register"), [(n, f"`{name}`") for n, name in enumerate(STATE)]),
        f"With more than {FEW_JOBS} jobs `upper` is next, for each queue the {UPPER_BITS} upper bits of its job, and",
        "all that follows has an index that is one more.",
        f"From index {len(STATE)} on, the count of each token; from {len(STATE) + len(Token)} on, the counters of the",
        f"configuration: `cycles`, then, with few counters, {', '.join(f'`{name}`' for name in few)}; with all, "
        "in this order, for each engine (forward, backward,",
        "weight_grad)",
        "",
        *_table(("counter", "what is counted"), engines),
        f"then {', '.join(f'`{name}`' for name in others)}.",
        f"Of a core that has them, those of {', '.join(f'`mac.{name}`' for name in OWN_UNITS)} follow, and reads and",
        f"writes of {', '.join(f'`{name}`' for name in OWN_MEMORIES)}; a function table is read in every lane.",
        "`X.running` are cycles, `mac.X` requests to the shared multiply-adder, the others reads, writes and flits.",
        "",
        "## Status and faults",
        "",
        "The status word is kept from one start to the next. Bits 7:0 are faults: a number was too large for a sum, or",
        "a result for the format. From bit 8 on is the number of the job that had the first fault.",
        "",
        *_table(("bit", "fault", "what was too large"), _enum(Fault, lambda fault: (_FAULTS[fault],))),
        f"With a fault of one of {gradient} the update of the minibatch is skipped:",
        "gradients are cleared, weights and momenta stay, on all cores. The host halves the loss scale. Any other",
        "fault ends the run with an error.",
    ]
    return "\n".join(_wrapped(lines)) + "\n"


def _wrapped(lines: list[str]) -> Iterator[str]:
    """The lines with each paragraph wrapped anew; headings and tables stay."""
    for prose, group in groupby(lines, lambda line: line[:1] not in ("", "#", "|")):
        found = list(group)
        yield from wrap(" ".join(found), 120) if prose else found
