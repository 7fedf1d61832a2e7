"""How much of a network was at work: the share of neurons that fired and of errors that were zero."""

from dataclasses import dataclass, field

import numpy as np

from trident.sim.golden.trace import Trace


@dataclass
class Rates:
    """Sums over samples, per layer; plain values, so that a checkpoint holds them.

    firing: of the share of neurons that fired per timestep; zeros: of the share of errors that were zero.
    """

    firing: list[float] = field(default_factory=list)
    zeros: list[float] = field(default_factory=list)
    samples: int = 0

    def add(self, trace: Trace):
        """Count samples that have been trained on."""
        count = len(trace.spikes[0])
        firing = [count * float(layer.mean()) for layer in trace.spikes]
        zeros = [count * float(1 - np.count_nonzero(layer) / layer.size) for layer in trace.errors]
        for own, new in ((self.firing, firing), (self.zeros, zeros)):
            own[:] = [a + b for a, b in zip(own or [0.0] * len(new), new, strict=True)]
        self.samples += count

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Shares per layer: of neurons that fired, and of errors that were zero."""
        return np.array(self.firing) / self.samples, np.array(self.zeros) / self.samples
