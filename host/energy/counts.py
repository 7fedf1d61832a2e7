"""What costs energy: operations, and bits that are read from memories and written to them."""

from collections import Counter
from dataclasses import dataclass, field

OPERATIONS = {
    "add": "addition",
    "multiply": "multiplication",
    "select": "selection of an operand by a bit",
    "compare": "comparison",
    "square_root": "square root",
}
"""The operations that a table prices, on numbers of 16 bits."""

MEMORIES = {
    "register": "registers and distributed RAM",
    "spikes": "spikes",
    "masks": "masks of surrogates and of errors",
    "weights": "weights",
    "gradients": "gradients of weights",
    "sums": "sums of inputs, where they are kept",
    "errors": "errors",
    "potentials": "membrane potentials and their errors, where they are kept",
    "statistics": "what a norm keeps",
    "optimizer": "states of the optimiser",
    "dram": "memory outside of the chip",
}
"""The memories that a table prices, by what is in them."""


@dataclass
class Counts:
    """How often operations were done and how many bits of memories were accessed.

    operations: by the names of :data:`OPERATIONS`; read, written: bits, by the names of :data:`MEMORIES`.
    """

    operations: Counter = field(default_factory=Counter)
    read: Counter = field(default_factory=Counter)
    written: Counter = field(default_factory=Counter)

    def do(self, times: float, *operations: str):
        """Count ``times`` of each operation."""
        self.operations.update(dict.fromkeys(operations, times))

    def access(self, memory: str, read: float = 0, written: float = 0):
        """Count bits of a memory."""
        self.read[memory] += read
        self.written[memory] += written

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(
            Counter({name: a[name] + b[name] for name in a | b})
            for a, b in zip((self.operations, self.read, self.written), (other.operations, other.read, other.written))
        ))  # fmt: skip

    def scaled(self, factor: float) -> "Counts":
        """Of so many times the work."""
        return Counts(*(
            Counter({name: factor * count for name, count in counts.items()})
            for counts in (self.operations, self.read, self.written)
        ))  # fmt: skip
