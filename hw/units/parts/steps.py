"""The steps of a vector program, one after another through the shared multiply-adder, for many rows at once."""

from collections.abc import Callable
from math import frexp

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.compare import sort_key
from trident.hw.arith.mac import every_lane, mac_request, select_lanes
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.microcode import SCALE_BITS, Microcode
from trident.hw.isa.tables import piece_bits
from trident.hw.isa.vector import (
    NOTHING,
    Bit,
    Both,
    Compare,
    Constant,
    Either,
    Input,
    InputBit,
    Interpolate,
    Literal,
    Magnitude,
    MultiplyAdd,
    Negative,
    Node,
    Not,
    Positive,
    Select,
    State,
    StateBit,
)
from trident.hw.isa.vector_program import Program
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.passes import PassLoop


class VectorSteps(wiring.Component):
    """Runs vector programs on rows, each a step at a time, with others in between.

    A row is known by the number ``item(tag)``; no two with the same number may be under way. What later steps read is
    kept in small memories by that number. A step takes ``mac_stages`` cycles and one more until the next (two with a
    table); a program of one step keeps nothing. One step is issued per cycle; those of rows on their way come first.

    Parameters
    ----------
    cfg : CoreConfig
    programs : those that it can run, one at a time
    tag : shape of what travels with a row
    items : rows that can be under way at once
    item, first, word : functions of a tag: the row's number, whether its states are 0, and, where those go on from
        chunk to chunk, which of ``carry_words`` they are

    Members
    -------
    which : In, the number of the program that runs; it changes only while no row is under way
    numbers, keys : In, the programs' constants by name; ``keys`` those that values are compared with, as
        :func:`sort_key` has them
    i : stream of rows: ``tag`` and ``inputs`` by name
    request, result... : a client of the shared multiply-adder
    table_address, table_en, tables : per lane, a read port of the function table, see :func:`function_line`
    tag, outputs : Out, of the row whose step has returned; there : Out, by name, a bit per output: it is valid
    done : Out(1), the last step has
    """

    def __init__(
        self, cfg: CoreConfig, programs: tuple[Program, ...], tag, items: int, item: Callable,
        first: Callable | None = None, word: Callable | None = None,
    ):  # fmt: skip
        self.cfg, self.programs, self.items, self.item, self.first = cfg, programs, items, item, first
        self.word = word if cfg.chunks > 1 else None
        self.codes = codes = [Microcode(program) for program in programs]
        self.looks = any(program.tables for program in programs)
        # Steps of all programs, with the program's number and their own
        self.steps = [(k, n) for k, code in enumerate(codes) for n in range(len(code.steps))]
        self.begins = [self.steps.index((k, 0)) for k in range(len(codes))]
        self.going = data.StructLayout({"tag": tag, "turn": range(len(self.steps))})
        inputs = {n.name: n for program in programs for n in program.nodes() if isinstance(n, Input | InputBit)}
        self.inputs = data.StructLayout({name: self._bits(node) for name, node in inputs.items()})
        outputs = {name: node for program in programs for name, node in program.outputs.items()}
        powers = frozenset().union(*(code.powers for code in codes))
        numbers = {name: SCALE_BITS if name in powers else cfg.width for code in codes for name in code.numbers}
        address = (cfg.function_lines - 1).bit_length() if self.looks else 0
        super().__init__({
            "which": In(range(len(programs))),
            "numbers": In(data.StructLayout(numbers)),
            "keys": In(data.StructLayout({name: cfg.width for code in codes for name in code.limits})),
            "i": In(stream.Signature(data.StructLayout({"tag": tag, "inputs": self.inputs}))),
            "request": Out(stream.Signature(mac_request(cfg, self.going.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(self.going.size),
            "result_valid": In(1),
            "table_address": Out(address).array(cfg.lanes),
            "table_en": Out(1),
            "tables": In(function_line(cfg).size if self.looks else 0).array(cfg.lanes),
            "there": Out(data.StructLayout(dict.fromkeys(outputs, 1))),
            "tag": Out(tag),
            "outputs": Out(data.StructLayout({name: self._bits(node) for name, node in outputs.items()})),
            "done": Out(1),
        })  # fmt: skip

    def _bits(self, node: Node) -> int:
        return self.cfg.lanes if isinstance(node, Bit) else self.cfg.row_bits

    def elaborate(self, platform):
        m = Module()
        cfg, codes = self.cfg, self.codes
        entering = stream.Signature(self.going).create()
        m.d.comb += [
            entering.payload.tag.eq(self.i.payload.tag),
            entering.payload.turn.eq(Array(self.begins)[self.which] if len(codes) > 1 else 0),
            entering.valid.eq(self.i.valid),
            self.i.ready.eq(entering.ready),
        ]
        going, inputs = entering, self.i.payload.inputs
        again = any(len(code.steps) > 1 for code in codes)
        if again:
            m.submodules.passes = passes = PassLoop(self.going, depth=min(self.items, cfg.mac_stages + 2 + self.looks))
            wiring.connect(m, entering, passes.i)
            going = passes.o
        files = _Files(m, self)
        if self.looks:
            m.submodules.looking = looking = Fetch(data.StructLayout({"going": self.going, "inputs": self.inputs}))
            lookups = {
                turn: self._pieces(codes[k].steps[n], _Site(self, files, "look", going.payload.tag, inputs, k, n))
                for turn, (k, n) in enumerate(self.steps) if isinstance(codes[k].steps[n], Interpolate)
            }  # fmt: skip
            self._choose(m, going.payload.turn, lookups)
            m.d.comb += [
                looking.i.payload.going.eq(going.payload),
                looking.i.payload.inputs.eq(inputs),
                looking.i.valid.eq(going.valid),
                going.ready.eq(looking.i.ready),
                self.table_en.eq(looking.en & Cat(going.payload.turn == turn for turn in lookups).any()),
            ]
            going, inputs = stream.Signature(self.going).create(), looking.o.payload.inputs
            m.d.comb += [
                going.payload.eq(looking.o.payload.going),
                going.valid.eq(looking.o.valid),
                looking.o.ready.eq(going.ready),
            ]
        tag, turn = going.payload.tag, going.payload.turn
        m.d.comb += [
            self.request.valid.eq(going.valid),
            going.ready.eq(self.request.ready),
            self.request.payload.tag.eq(going.payload),
        ]
        self._choose(m, turn, {
            t: self._operands(codes[k].steps[n], _Site(self, files, "issue", tag, inputs, k, n))
            for t, (k, n) in enumerate(self.steps)
        })  # fmt: skip

        # What comes back
        done, returned = Signal(self.going), Signal(len(self.steps))
        ends = [self.steps.index((k, len(code.steps) - 1)) for k, code in enumerate(codes)]
        m.d.comb += [
            done.eq(self.result_tag),
            self.tag.eq(done.tag),
            *(returned[n].eq(self.result_valid & (done.turn == n)) for n in range(len(self.steps))),
            self.done.eq(Cat(returned[end] for end in ends).any()),
        ]
        back = {(k, n): _Site(self, files, "return", done.tag, None, k, n) for k, n in self.steps}
        for name, _ in self.outputs.shape():
            made = {k: code.outputs[name] for k, code in enumerate(codes) if name in code.outputs}
            m.d.comb += self.there[name].eq(Cat(returned[self.steps.index(at)] for at in made.items()).any())
            values = {k: back[k, n].value(codes[k].program.outputs[name]) for k, n in made.items()}
            self._of_program(m, {k: [self.outputs[name].eq(value)] for k, value in values.items()})
        if again:
            m.d.comb += [
                passes.back.tag.eq(done.tag),
                passes.back.turn.eq(done.turn + 1),
                passes.back_valid.eq(self.result_valid & ~self.done),
            ]
        begins = Cat(turn == begin for begin in self.begins).any()
        files.write(tag, inputs, self.request.valid & self.request.ready & begins, done.tag, back, returned)
        return m

    def _of_program(self, m: Module, statements: dict[int, list]):
        """Assignments by the program that they are for."""
        if len(self.codes) == 1:
            m.d.comb += statements[0]
            return
        with m.Switch(self.which):
            for k, assignments in statements.items():
                with m.Case(k):
                    m.d.comb += assignments

    def _operands(self, step: Node, site: "_Site") -> list:
        """The assignments that make a step's request."""
        cfg, request = self.cfg, self.request.payload
        if isinstance(step, Interpolate):
            lines = [function_line(cfg)(self.tables[lane]) for lane in range(cfg.lanes)]
            return [
                request.a.eq(Cat(line.slope for line in lines)), request.b.eq(site.value(step.of)),
                request.c.eq(Cat(line.base for line in lines)),
                *(request.scales[lane].eq(line.scale) for lane, line in enumerate(lines)),
            ]  # fmt: skip
        assert isinstance(step, MultiplyAdd)
        scale = self.numbers[step.power.name].as_signed() if step.power else 0
        scales = [request.scales[n] for n in range(cfg.lanes if cfg.tables else 1)]
        return [
            request.a.eq(site.value(step.a)), request.b.eq(site.value(step.b)), request.c.eq(site.value(step.c)),
            *(own.eq(scale) for own in scales),
        ]  # fmt: skip

    def _pieces(self, step: Interpolate, site: "_Site") -> list:
        """The assignments that look up which piece of a function each lane's number is in."""
        cfg, pieces = self.cfg, piece_bits(self.cfg.format)
        number = [table.name for table in cfg.tables].index(step.table.name)
        row, tops = site.value(step.of), [(lane + 1) * cfg.width - 1 for lane in range(cfg.lanes)]
        return [
            self.table_address[lane].eq(row[top - pieces : top] | number << pieces) for lane, top in enumerate(tops)
        ]

    def _choose(self, m: Module, turn, statements: dict[int, list]):
        """Assignments by the step that they are for."""
        if len(self.steps) == 1:
            m.d.comb += statements[0]
            return
        with m.Switch(turn):
            for n, assignments in statements.items():
                with m.Case(n):
                    m.d.comb += assignments


def function_line(cfg: CoreConfig) -> data.StructLayout:
    """A line of the function table: ``slope * x * 2**scale + base``."""
    return data.StructLayout({"slope": cfg.width, "base": cfg.width, "scale": signed(SCALE_BITS)})


def connect_steps(m: Module, unit, steps: VectorSteps):
    """The ports that a unit has for its steps."""
    for name in ("numbers", "keys", "which"):
        if hasattr(unit, name):
            m.d.comb += getattr(steps, name).eq(getattr(unit, name))
    m.d.comb += [
        unit.request.valid.eq(steps.request.valid),
        unit.request.payload.eq(steps.request.payload),
        steps.request.ready.eq(unit.request.ready),
        steps.result.eq(unit.result),
        steps.result_tag.eq(unit.result_tag),
        steps.result_valid.eq(unit.result_valid),
    ]
    for lane in range(steps.cfg.lanes if steps.looks else 0):
        m.d.comb += [
            unit.table_en.eq(steps.table_en), unit.table_address[lane].eq(steps.table_address[lane]),
            steps.tables[lane].eq(unit.tables[lane]),
        ]  # fmt: skip


class _Files:
    """What is kept of the rows under way, by their numbers: inputs, results, comparisons and states."""

    def __init__(self, m: Module, unit: VectorSteps):
        self.m, self.unit = m, unit
        widths: dict[str, int] = {}
        for code in unit.codes:
            widths |= {f"state_{name}": unit._bits(node) for name, node in code.program.states.items()}
            widths |= {f"input_{node.name}": unit._bits(node) for node in code.inputs}
            widths |= {f"register{n}": unit.cfg.row_bits for n in range(len(code.registers))}
            widths |= {f"bits{n}": unit.cfg.lanes for n in range(len(code.bits))}
        self.memories = {}
        for name, width in widths.items():
            depth = unit.cfg.carry_words if unit.word and name.startswith("state_") else unit.items
            m.submodules[name] = self.memories[name] = memory.Memory(shape=width, depth=depth, init=[])
        self.ports: dict[tuple[str, str], Signal] = {}
        self.compared: dict[tuple, Signal] = {}

    def read(self, name: str, where: str, tag):
        """What is kept under a name, for the row that ``tag`` belongs to; ``where``: the place of that tag."""
        if (name, where) not in self.ports:
            port = self.memories[name].read_port(domain="comb")
            self.m.d.comb += port.addr.eq(self._place(name, tag))
            self.ports[name, where] = port.data
        return self.ports[name, where]

    def write(self, tag, inputs, entering, done, back: "dict[tuple[int, int], _Site]", returned):
        """Keep inputs where a row is ``entering``, and results in the cycle in which their step returns."""
        unit = self.unit
        for name in self.memories:
            if name.startswith("input_"):
                port = self._port(name, tag)
                self.m.d.comb += [port.en.eq(entering), port.data.eq(inputs[name.removeprefix("input_")])]
        found: dict[str, list[tuple[int, int, object]]] = {}  # by name: the program, its step, and the value
        for k, code in enumerate(unit.codes):
            for n, steps in enumerate(code.registers):
                found.setdefault(f"register{n}", []).extend((k, step, unit.result) for step in steps)
            values = {f"bits{n}": (code.ready(node) - 1, node) for n, node in enumerate(code.bits)}
            values |= {f"state_{name}": (code.states[name], node) for name, node in code.program.states.items()}
            for name, (step, node) in values.items():
                found.setdefault(name, []).append((k, step, back[k, step].value(node)))
        for name, given in found.items():
            port = self._port(name, done)
            self.m.d.comb += port.en.eq(Cat(returned[unit.steps.index((k, step))] for k, step, _ in given).any())
            unit._of_program(self.m, {k: [port.data.eq(value)] for k, _, value in given})

    def _port(self, name: str, tag):
        port = self.memories[name].write_port()
        self.m.d.comb += port.addr.eq(self._place(name, tag))
        return port

    def _place(self, name: str, tag):
        unit = self.unit
        return unit.word(tag) if unit.word and name.startswith("state_") else unit.item(tag)


class _Site:
    """Where nodes of a program are evaluated: before its step ``turn``, or with that step's return."""

    def __init__(self, unit: VectorSteps, files: _Files, where: str, tag, inputs, number: int, turn: int):
        self.unit, self.files, self.where, self.tag, self.inputs, self.turn = unit, files, where, tag, inputs, turn
        self.code = unit.codes[number]

    def _kept(self, name: str):
        return self.files.read(name, self.where, self.tag)

    def value(self, node: Node):
        """A row, or a bit per lane."""
        unit, code = self.unit, self.code
        cfg, lanes, width = unit.cfg, range(unit.cfg.lanes), unit.cfg.width
        returning = self.where == "return"
        match node:
            case Literal():
                return every_lane(cfg, Const(literal(node, cfg.format), width))
            case Constant():
                return every_lane(cfg, unit.numbers[node.name])
            case Input() | InputBit():
                live = not returning and self.turn == 0
                return self.inputs[node.name] if live else self._kept(f"input_{node.name}")
            case State() | StateBit():
                kept = self._kept(f"state_{node.name}")
                return kept if unit.first is None else Mux(unit.first(self.tag), 0, kept)
            case MultiplyAdd() | Interpolate():
                number = next(n for n, step in enumerate(code.steps) if step is node)
                if returning and number == self.turn:
                    return unit.result
                return self._kept(f"register{next(n for n, at in enumerate(code.registers) if number in at)}")
            case Negative():
                return Cat(Cat(lane[:-1], ~lane[-1]) for lane in self._lanes(node.of))
            case Magnitude():
                return Cat(Cat(lane[:-1], 0) for lane in self._lanes(node.of))
            case Positive():
                return Cat(Mux(lane[-1], 0, lane) for lane in self._lanes(node.of))
            case Select():
                yes, no, bit = self.value(node.yes), self.value(node.no), self.value(node.bit)
                if isinstance(node.no, Literal):
                    return select_lanes(cfg, bit, yes, literal(node.no, cfg.format))
                if isinstance(node.yes, Literal):
                    return select_lanes(cfg, ~bit, no, literal(node.yes, cfg.format))
                parts = [slice(n * width, (n + 1) * width) for n in lanes]
                return Cat(Mux(bit[n], yes[part], no[part]) for n, part in zip(lanes, parts, strict=True))
            case Compare():
                ready = code.ready(node)
                if ready and not (returning and ready == self.turn + 1):
                    return self._kept(f"bits{next(n for n, bit in enumerate(code.bits) if bit is node)}")
                return self._compare(node)
            case Both():
                return self.value(node.first) & self.value(node.second)
            case Either():
                return self.value(node.first) | self.value(node.second)
            case Not():
                return ~self.value(node.of)
        raise TypeError(f"{type(node).__name__} has no logic")

    def _lanes(self, node: Node):
        row, width = self.value(node), self.unit.cfg.width
        return [row[n * width : (n + 1) * width] for n in range(self.unit.cfg.lanes)]

    def _compare(self, node: Compare):
        """Once each, however often it is read."""
        compared, place = self.files.compared, (id(node), self.where, id(self.code), self.turn)
        if place not in compared:
            assert isinstance(node.limit, Constant)
            bits = Signal(self.unit.cfg.lanes, name=f"above_{node.limit.name}")
            limit = self.unit.keys[node.limit.name]
            for n, lane in enumerate(self._lanes(node.value)):
                key = sort_key(lane)
                how = {"≥": key >= limit, ">": key > limit, "<": key < limit}[node.sign]
                self.files.m.d.comb += bits[n].eq(how)
            compared[place] = bits
        return compared[place]


def literal(node: Literal, fmt: FloatFormat) -> int:
    """The raw bits of a literal. Raises TridentError for one that is neither zero nor a power of two."""
    if node is NOTHING:
        return fmt.negative_zero
    significand, exponent = frexp(abs(node.number))
    if significand not in (0, 0.5) or (not significand == 0 and not 0 < exponent - 1 + fmt.bias < fmt.inf >> fmt.frac):
        raise TridentError(f"a program's literal is 0 or a power of two of the format, not {node.number}")
    return (exponent - 1 + fmt.bias << fmt.frac if significand else 0) | (node.number < 0) * fmt.negative_zero
