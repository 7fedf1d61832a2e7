"""Values and bits of vector programs: formulas are written with Python's operators on them.

A step is a multiply-add ``a * b * 2**power + c`` in every lane, product and sum rounded once each. Its operands may be
negated, made positive or selected by a bit on their way, or come from the table of a function, for linear
interpolation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any


class Node:
    """A value or a bit of a formula."""

    @property
    def reads(self) -> tuple["Node", ...]:
        """What it is made of: its fields that are nodes."""
        return tuple(value for value in vars(self).values() if isinstance(value, Node))


class Bit(Node):
    """A bit per lane."""

    def __and__(self, other: "Bit") -> "Bit":
        return Both(self, other)

    def __or__(self, other: "Bit") -> "Bit":
        return Either(self, other)

    def __invert__(self) -> "Bit":
        return Not(self)


class Value(Node):
    """A number per lane.

    Of two products that are added, the first is made in the step that adds; a sum of values that are no products is
    a step with 1 as a factor.
    """

    def __mul__(self, other: "Value | float") -> "MultiplyAdd":
        return MultiplyAdd(self, _value(other), NOTHING)

    def __rmul__(self, other: float) -> "MultiplyAdd":
        return MultiplyAdd(_value(other), self, NOTHING)

    def __add__(self, other: "Value | float") -> "MultiplyAdd":
        addend = _value(other)
        for product, rest in ((self, addend), (addend, self)):
            if isinstance(product, MultiplyAdd) and product.c is NOTHING:
                return MultiplyAdd(product.a, product.b, rest, product.power)
        return MultiplyAdd(ONE, self, addend)

    def __radd__(self, other: float) -> "MultiplyAdd":
        return self + other

    def __sub__(self, other: "Value | float") -> "MultiplyAdd":
        return self + -_value(other)

    def __rsub__(self, other: float) -> "MultiplyAdd":
        return _value(other) + -self

    def __neg__(self) -> "Value":
        return Negative(self)

    def __abs__(self) -> "Value":
        return Magnitude(self)

    def __ge__(self, other: "Value | float") -> Bit:
        return Compare("≥", self, _value(other))

    def __gt__(self, other: "Value | float") -> Bit:
        return Compare(">", self, _value(other))

    def __lt__(self, other: "Value | float") -> Bit:
        return Compare("<", self, _value(other))


@dataclass(frozen=True, eq=False)
class Literal(Value):
    """A number that every format has."""

    number: float


@dataclass(frozen=True, eq=False)
class Constant(Value):
    """A number of the job, the same in every lane; as the ``power`` of a step, a whole number."""

    name: str


@dataclass(frozen=True, eq=False)
class Input(Value):
    """A number that comes with every neuron and timestep: from an engine or a memory."""

    name: str


@dataclass(frozen=True, eq=False)
class InputBit(Bit):
    """A bit that comes with every neuron and timestep."""

    name: str


@dataclass(frozen=True, eq=False)
class State(Value):
    """What a neuron's timestep before has left; 0 at first."""

    name: str


@dataclass(frozen=True, eq=False)
class StateBit(Bit):
    """As :class:`State`, a bit."""

    name: str


@dataclass(frozen=True, eq=False)
class MultiplyAdd(Value):
    """A step: ``a * b * 2**power + c``."""

    a: Value
    b: Value
    c: Value
    power: Constant | None = None

    def __neg__(self) -> Value:
        return MultiplyAdd(-self.a, self.b, NOTHING, self.power) if self.c is NOTHING else Negative(self)

    def times_power(self, power: Constant) -> "MultiplyAdd":
        """The product times 2**power, without another rounding."""
        assert self.c is NOTHING
        return MultiplyAdd(self.a, self.b, NOTHING, power)


@dataclass(frozen=True, eq=False)
class Table(Node):
    """A function of one variable that is at least 0, as a table with linear interpolation.

    name: of the job's table; text: the formula of x, for the documentation; function: (library, x, constants) to its
    values, for the float model.
    """

    name: str
    text: str
    function: Callable[[Any, Any, dict[str, float]], Any]


@dataclass(frozen=True, eq=False)
class Interpolate(Value):
    """A step: ``slope * x * 2**scale + base``, all three from the table by x, which is ``of``."""

    table: Table
    of: Value


Step = MultiplyAdd | Interpolate


@dataclass(frozen=True, eq=False)
class Negative(Value):
    """The number with the other sign."""

    of: Value


@dataclass(frozen=True, eq=False)
class Magnitude(Value):
    """The number without its sign."""

    of: Value


@dataclass(frozen=True, eq=False)
class Positive(Value):
    """The number, or 0 where its sign is set."""

    of: Value


@dataclass(frozen=True, eq=False)
class Select(Value):
    """``yes`` in the lanes whose bit is set, ``no`` in the others."""

    bit: Bit
    yes: Value
    no: Value


@dataclass(frozen=True, eq=False)
class Compare(Bit):
    """How a value and a constant compare; a NaN is above all numbers for ≥ and fulfils no other."""

    sign: str
    value: Value
    limit: Value


@dataclass(frozen=True, eq=False)
class Both(Bit):
    """Both bits are set."""

    first: Bit
    second: Bit


@dataclass(frozen=True, eq=False)
class Either(Bit):
    """One of the bits is set, or both are."""

    first: Bit
    second: Bit


@dataclass(frozen=True, eq=False)
class Not(Bit):
    """The bit is not set."""

    of: Bit


ONE, ZERO = Literal(1.0), Literal(0.0)
NOTHING = Literal(-0.0)  # what a product alone is added to: it changes nothing


def _value(number: Value | float) -> Value:
    if isinstance(number, Value):
        return number
    return {0.0: ZERO, 1.0: ONE}.get(number) or Literal(float(number))


def where(bit: Bit, yes: Value | float, no: Value | float) -> Value:
    """``yes`` where the bit is set, else ``no``."""
    return Select(bit, _value(yes), _value(no))


def replaced(nodes: Mapping[str, Node], others: Mapping[str, Node]) -> dict[str, Node]:
    """Formulas by name, with other nodes, by name, in the place of inputs."""
    done: dict[int, Node] = {}

    def new(node: Node) -> Node:
        if id(node) not in done:
            done[id(node)] = made(node)
        return done[id(node)]

    def made(node: Node) -> Node:
        if isinstance(node, Input) and node.name in others:
            return others[node.name]
        read = {name: new(value) for name, value in vars(node).items() if isinstance(value, Node)}
        if all(value is getattr(node, name) for name, value in read.items()):
            return node
        return replace(node, **read)

    return {name: new(node) for name, node in nodes.items()}


def positive(value: Value) -> Value:
    """The larger of a value and 0."""
    return Positive(value)
