"""What a slice of a layer takes of a core: words, operations and cycles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Words of a core's memories: weight rows, and per sample under way the spike words that it reads, those that it
    writes, and its error words."""

    weight_rows: int
    input_words: int
    spike_words: int
    error_words: int


@dataclass(frozen=True)
class Operations:
    """Additions (forward, weight_grad) and multiply-adds (backward) per sample, over all lanes."""

    adds: float
    multiply_adds: float

    @property
    def total(self) -> float:
        return self.adds + self.multiply_adds


@dataclass(frozen=True)
class Cycles:
    """Cycles per sample of a core's engines, with the start of their jobs: forward with the neuron unit, backward with
    loss and neuron_grad, weight_grad."""

    forward: float = 0
    backward: float = 0
    weight_grad: float = 0

    def __add__(self, other: "Cycles") -> "Cycles":
        return Cycles(
            self.forward + other.forward, self.backward + other.backward, self.weight_grad + other.weight_grad
        )

    @property
    def longest(self) -> float:
        return max(self.forward, self.backward, self.weight_grad)

    @property
    def total(self) -> float:
        return self.forward + self.backward + self.weight_grad
