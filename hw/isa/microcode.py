"""Microcode of a vector program: what each step finds, what is kept from step to step, when a result is there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trident.hw.errors import TridentError
from trident.hw.isa.vector import (
    Compare,
    Constant,
    Input,
    InputBit,
    MultiplyAdd,
    Node,
    State,
    StateBit,
    Step,
    Table,
)
from trident.hw.isa.vector_program import Program

NUMBERS = ("leak", "threshold", "low", "high", "slope")
"""Fields of a job that hold a program's numbers."""
SCALE_BITS = 8  # of the power of two that a product is multiplied by, two's complement
_OWN = {"momentum": "leak", "keep": "leak", "minus_rate": "threshold", "scale": "exponent"}
UPDATE_NUMBERS = (*NUMBERS, "block_step", "tap_step", "pass_step", "groups")
"""Those of an update, which walks over rows alone."""


def number_fields(program: Program, fields: tuple[str, ...] = NUMBERS) -> dict[str, str]:
    """The field of the job that each number of a program comes in: that of its name, or one of ``fields`` that is free.

    Raises :class:`TridentError` for more numbers than there are fields.
    """
    names = [name for name in program.constants if name not in {table.name for table in program.tables}]
    own = {name: _OWN.get(name, name) for name in names if name in (*NUMBERS, *_OWN)}
    free = [name for name in fields if name not in own.values()]
    others = [name for name in names if name not in own]
    if len(others) > len(free):
        raise TridentError(
            f"the program {program.name} has {len(names)} numbers, and a job takes {len(fields)}: {', '.join(names)}"
        )
    return own | dict(zip(others, free, strict=False))


@dataclass
class _Use:
    """A node that is read after the moment in which it is there: moments are twice a step's number when it is issued,
    and one more when it has returned."""

    node: Node
    made: int
    last: int = 0


@dataclass(frozen=True)
class Microcode:
    """How a program runs, step by step, in a unit that has one multiply-add per row and cycle.

    outputs, states: by name the step with whose return each is there; a state is replaced only when no step will read
    the old one. inputs: those that steps behind the first read. registers: steps whose results take turns in a
    register. bits: comparisons whose result is read behind the step that they are made of.
    """

    program: Program
    outputs: dict[str, int] = field(init=False)
    states: dict[str, int] = field(init=False)
    inputs: tuple[Input | InputBit, ...] = field(init=False)
    registers: tuple[tuple[int, ...], ...] = field(init=False)
    bits: tuple[Compare, ...] = field(init=False)
    _ready: dict[int, int] = field(init=False)

    def __post_init__(self):
        ready: dict[int, int] = {}
        number = {id(step): n + 1 for n, step in enumerate(self.program.steps)}
        for node in self.program.nodes():
            ready[id(node)] = max([number.get(id(node), 0), *(ready[id(read)] for read in node.reads)])
        object.__setattr__(self, "_ready", ready)
        outputs, states = self._when(self.program.outputs), self._when(self.program.states)
        while (later := self._not_before(outputs, states)) != states:
            states = later
        uses = self._uses(outputs, states)
        registers: list[tuple[int, list[int]]] = []  # until when each is in use, and by which steps
        for use in sorted((use for use in uses if isinstance(use.node, Step)), key=lambda use: use.made):
            free = next((n for n, (until, _) in enumerate(registers) if until <= use.made), None)
            if free is None:
                registers.append((0, []))
                free = len(registers) - 1
            registers[free] = (use.last, [*registers[free][1], use.made // 2])
        values = dict(
            outputs=outputs, states=states,
            inputs=tuple(use.node for use in uses if isinstance(use.node, Input | InputBit)),
            registers=tuple(tuple(steps) for _, steps in registers),
            bits=tuple(use.node for use in uses if isinstance(use.node, Compare)),
        )  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def steps(self) -> list[Step]:
        return self.program.steps

    def ready(self, node: Node) -> int:
        """The number of steps that have to return before a node is known."""
        return self._ready[id(node)]

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the constants that values are made of, sorted; of powers too."""
        limits = {id(node.limit) for node in self.program.nodes() if isinstance(node, Compare)}
        read = {id(read) for node in self.program.nodes() if not isinstance(node, Compare) for read in node.reads}
        return self._names(lambda node: id(node) in read or id(node) not in limits)

    @property
    def powers(self) -> frozenset[str]:
        """Which of the numbers are powers of two."""
        return frozenset(step.power.name for step in self.steps if isinstance(step, MultiplyAdd) and step.power)

    @property
    def limits(self) -> tuple[str, ...]:
        """Names of the constants that values are compared with, sorted."""
        limits = {id(node.limit) for node in self.program.nodes() if isinstance(node, Compare)}
        return self._names(lambda node: id(node) in limits)

    def _names(self, wanted) -> tuple[str, ...]:
        return tuple(sorted({n.name for n in self.program.nodes() if isinstance(n, Constant) and wanted(n)}))

    def leaves(self, root: Node, returned: int) -> Iterator[Node]:
        """What a node is made of where it is evaluated: inputs, states, results, and comparisons of results.
        ``returned``: the steps that have returned; the root, a step, is about to be made unless it is one of them."""
        for node in (root,) if self.ready(root) <= returned else root.reads:
            if isinstance(node, Step | Input | InputBit | State | StateBit) or self._compared(node):
                yield node
            elif not isinstance(node, Table):
                for read in node.reads:
                    yield from self.leaves(read, returned)

    def _compared(self, node: Node) -> bool:
        return isinstance(node, Compare) and self.ready(node) > 0

    def _when(self, nodes: dict[str, Node]) -> dict[str, int]:
        return {name: max(self.ready(node) - 1, 0) for name, node in nodes.items()}

    def _not_before(self, outputs: dict[str, int], states: dict[str, int]) -> dict[str, int]:
        """When states are replaced, if none is while anything reads the old one."""
        result = dict(states)
        for at, root in self._sites(outputs, states):
            for leaf in self.leaves(root, (at + 1) // 2):
                if isinstance(leaf, State | StateBit):
                    result[leaf.name] = max(result[leaf.name], at // 2)
        return result

    def _sites(self, outputs: dict[str, int], states: dict[str, int]) -> Iterable[tuple[int, Node]]:
        """Where nodes are evaluated: moments, see :class:`_Use`, and the nodes."""
        yield from ((2 * n, step) for n, step in enumerate(self.steps))
        for when, nodes in ((outputs, self.program.outputs), (states, self.program.states)):
            yield from ((2 * when[name] + 1, node) for name, node in nodes.items())

    def _uses(self, outputs: dict[str, int], states: dict[str, int]) -> list[_Use]:
        """What has to be kept: it is read later than it is made."""
        found: dict[int, _Use] = {}

        def read(node: Node, at: int):
            if isinstance(node, State | StateBit):
                return
            ready = self.ready(node)
            use = found.setdefault(id(node), _Use(node, 2 * ready - 1 if ready else 0))
            use.last = max(use.last, at)
            if isinstance(node, Compare):  # when the last of its steps returns
                for leaf in self.leaves(node.value, ready):
                    read(leaf, use.made)

        for at, root in self._sites(outputs, states):
            for leaf in self.leaves(root, (at + 1) // 2):
                read(leaf, at)
        return [use for use in found.values() if use.last > use.made]
