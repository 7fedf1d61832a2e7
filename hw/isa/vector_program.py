"""Vector programs: what is done to every neuron or parameter, declared once as the formula that it is.

From a program of values of hw/isa/vector.py come the golden kernel (sim/golden/vector.py), the float model
(:meth:`Program.run`) and the formula in the documentation (:meth:`Program.formula`).
"""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.vector import (
    NOTHING,
    ONE,
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
    Step,
    Table,
)

STEPS = 16  # of a program


@dataclass(frozen=True, eq=False)
class Program:
    """A formula that is ready to run.

    name; inputs: names of what comes, in the order in which the kernel takes it; outputs: what is kept of every
    timestep, by name; states: what the next timestep finds, by name; descending: the last timestep comes first. Raises
    :class:`TridentError` for more than :data:`STEPS` steps.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: dict[str, Node]
    states: dict[str, Node] = field(default_factory=dict)
    descending: bool = False

    def __post_init__(self):
        steps = self.steps
        if len(steps) > STEPS:
            extra = _Writer(self).text(steps[STEPS], True)
            raise TridentError(
                f"the program {self.name} has {len(steps)} steps, and the vector unit takes {STEPS}: the first that is "
                f"too many is {extra}"
            )

    def nodes(self) -> list[Node]:
        """All values and bits, each after those that it is made of."""
        found: dict[int, Node] = {}

        def visit(node: Node):
            if id(node) not in found:
                for read in node.reads:
                    visit(read)
                found[id(node)] = node

        for node in (*self.outputs.values(), *self.states.values()):
            visit(node)
        return list(found.values())

    @property
    def steps(self) -> list[Step]:
        """The steps, in their order."""
        return [node for node in self.nodes() if isinstance(node, Step)]

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the job's numbers and of tables, sorted."""
        return tuple(sorted({node.name for node in self.nodes() if isinstance(node, Constant | Table)}))

    @property
    def tables(self) -> list[Table]:
        """The tables of functions that it reads."""
        return [node for node in self.nodes() if isinstance(node, Table)]

    def run(
        self, constants: dict[str, float], library: Any = np, step: Callable[[Any], Any] | None = None,
        states: dict[str, Any] | None = None, **inputs,
    ) -> dict[str, Any]:  # fmt: skip
        """The outputs in the arithmetic of ``library``, numpy or torch, for inputs (T, ...): arrays (T, ...), bits as
        booleans. ``step`` takes what a value is above its limit and gives the bit of ``≥`` as 0.0 or 1.0; PyTorch can
        differentiate a program whose step it can. ``states``: by name those that a run of the timesteps before has
        left, and where this one leaves them; they begin with 0."""
        steps, nodes = range(len(inputs[self.inputs[0]])), self.nodes()
        states = {} if states is None else states
        rows: dict[str, list] = {name: [] for name in self.outputs}
        first = inputs[self.inputs[0]][0]
        nothing = {State: library.zeros_like(first), StateBit: library.zeros_like(first) != 0}
        for t in reversed(steps) if self.descending else steps:
            done: dict[int, Any] = {}
            for node in nodes:
                match node:
                    case Constant():
                        done[id(node)] = constants[node.name]
                    case Compare("≥", value, limit) if step:
                        done[id(node)] = step(done[id(value)] - done[id(limit)])
                    case Interpolate():
                        done[id(node)] = node.table.function(library, done[id(node.of)], constants)
                    case Input() | InputBit():
                        done[id(node)] = inputs[node.name][t]
                    case State() | StateBit():
                        done[id(node)] = states.get(node.name, nothing[type(node)])
                    case _:
                        done[id(node)] = _RUN[type(node)](node, library, *(done[id(read)] for read in node.reads))
            states |= {name: done[id(node)] for name, node in self.states.items()}
            for name, node in self.outputs.items():
                rows[name].append(done[id(node)])
        return {name: library.stack(row[::-1] if self.descending else row) for name, row in rows.items()}

    def formula(self) -> list[str]:
        """The formula, a line per result and state."""
        return list(_Writer(self).lines())


_COMPARES = {"≥": operator.ge, ">": operator.gt, "<": operator.lt}


def _select(node, library, bit, yes, no):
    floating = "float" in str(bit.dtype)  # of a step, see Program.run
    return bit * yes + (1 - bit) * no if floating else library.where(bit, yes, no)


def _multiply_add(node, library, a, b, c, power=0):
    return a * b * 2.0**power + c


_RUN: dict[type, Callable] = {
    Literal: lambda node, library: node.number,
    Table: lambda node, library: None,
    MultiplyAdd: _multiply_add,
    Negative: lambda node, library, of: -of,
    Magnitude: lambda node, library, of: abs(of),
    Positive: lambda node, library, of: library.where(of > 0, of, 0.0),
    Select: _select,
    Compare: lambda node, library, value, limit: _COMPARES[node.sign](value, limit),
    Both: lambda node, library, first, second: first & second,
    Either: lambda node, library, first, second: first | second,
    Not: lambda node, library, of: ~of,
}


class _Writer:
    """Text of a program's formula: results that are named, or read more than once, have a line of their own."""

    def __init__(self, program: Program):
        self.program = program
        nodes = program.nodes()
        self.names = {id(node): name for name, node in program.outputs.items()}
        readers = [id(read) for node in nodes for read in node.reads] + [id(node) for node in program.states.values()]
        shared = [
            node for node in nodes
            if isinstance(node, Step | Positive) and readers.count(id(node)) > 1 and id(node) not in self.names
        ]  # fmt: skip
        self.names |= {id(node): f"r{number}" for number, node in enumerate(shared, 1)}

    def lines(self) -> Iterator[str]:
        for node in self.program.nodes():
            if id(node) in self.names and not isinstance(node, Input | InputBit):
                yield f"{self.names[id(node)]} = {self.text(node, True)}"
        for name, node in self.program.states.items():
            if self.text(node) != name:
                yield f"{name} ← {self.text(node)}"

    def text(self, node: Node, whole: bool = False) -> str:
        """A node; ``whole``: what it is made of, even if it has a name."""
        if id(node) in self.names and not whole:
            return self.names[id(node)]
        match node:
            case Literal():
                return f"{node.number:g}"
            case Constant() | Input() | InputBit() | State() | StateBit():
                return node.name
            case MultiplyAdd():
                factors = [self._factor(factor) for factor in (node.a, node.b) if factor is not ONE]
                factors += [f"2^{node.power.name}"] if node.power else []
                product = " · ".join(factors) or "1"
                if node.c is NOTHING:
                    return product
                addend = self._factor(node.c)
                sign, rest = ("−", addend[1:]) if addend.startswith("−") else ("+", addend)
                return f"{product} {sign} {rest}"
            case Interpolate():
                return f"{node.table.name}({self.text(node.of)})"
            case Negative():
                return f"−{self._factor(node.of)}"
            case Magnitude():
                return f"|{self.text(node.of)}|"
            case Positive():
                return f"max(0, {self.text(node.of)})"
            case Select():
                return f"({self.text(node.yes)} if {self.text(node.bit)} else {self.text(node.no)})"
            case Compare():
                return f"{self.text(node.value)} {node.sign} {self.text(node.limit)}"
            case Both():
                return f"{self._operand(node.first)} and {self._operand(node.second)}"
            case Either():
                return f"{self._operand(node.first)} or {self._operand(node.second)}"
            case Not():
                return f"not {self._operand(node.of)}"
        raise TypeError(f"{type(node).__name__} has no text")

    def _operand(self, node: Node) -> str:
        """A bit that is read by another one."""
        text = self.text(node)
        return f"({text})" if isinstance(node, Both | Either) and id(node) not in self.names else text

    def _factor(self, node: Node) -> str:
        text = self.text(node)
        sum_ = isinstance(node, MultiplyAdd) and node.c is not NOTHING and id(node) not in self.names
        return f"({text})" if sum_ else text
