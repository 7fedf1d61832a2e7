"""Passes over the rows of a group of channels, with exact sums between them: what norms are made of."""

from collections.abc import Iterable
from dataclasses import dataclass

from trident.hw.isa.vector_program import Program


@dataclass(frozen=True)
class Pass:
    """A program for every row of a group, a lane for each of its channels.

    rows: its outputs are written to the memories of their names; None: there is no such program. then: with it, the
    output ``term`` of ``rows`` is summed in every lane, exactly, over the rows; the sum, divided by the largest power
    of two that is not above the number of rows and rounded once, is the input ``total`` of ``then``, which runs once.
    Its outputs are inputs of all programs behind it, a number for every channel.
    """

    rows: Program | None
    then: Program | None = None

    def reads(self, name: str) -> bool:
        """Whether a row is read from the memory of this name."""
        return self.rows is not None and name in self.rows.inputs

    @property
    def programs(self) -> tuple[Program, ...]:
        return tuple(program for program in (self.rows, self.then) if program)


def programs_of(passes: Iterable[Pass]) -> tuple[Program, ...]:
    """The programs of passes, each once, in their order."""
    return tuple({id(program): program for step in passes for program in step.programs}.values())


def channel_numbers(passes: Iterable[Pass]) -> tuple[str, ...]:
    """Names of the numbers that every channel has between passes."""
    return tuple(dict.fromkeys(name for step in passes if step.then for name in step.then.outputs))
