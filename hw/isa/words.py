"""Fields packed into 32-bit words: how everything that hardware, compiler and driver must agree on is declared.

:class:`WordLayout` packs and unpacks in Python and gives the same fields in RTL.
"""

from dataclasses import dataclass

from amaranth.lib import data

from trident.hw.errors import TridentError

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

    @property
    def names(self) -> tuple[str, ...]:
        """Of all fields, in their order."""
        return tuple(field.name for row in self.rows for field in row)

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


def elements_to_words(bits: int) -> int:
    """32-bit words that carry one element of ``bits`` bits over the host port."""
    return -(-bits // WORD)
