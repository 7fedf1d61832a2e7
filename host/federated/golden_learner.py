"""A network in the golden model, as a federated worker trains it."""

import numpy as np

from trident.host.train.spec import RunSpec
from trident.hw.isa.spaces import Space, kept_spaces
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network.network import Tensors


class GoldenLearner:
    """A :class:`Learner` without a chip, bit for bit as :class:`ChipLearner`; no counters."""

    def __init__(self, spec: RunSpec):
        self.golden = GoldenTrainer(
            spec.network, spec.neuron, spec.cfg, spec.train.seed, spec.plan.partition, loss=spec.loss
        )

    def load(self, weights: Tensors, minibatch: int = 0):
        """Weights of the next minibatch, which has this number, raw bits; momenta and gradients become zero. Between
        minibatches only."""
        self.golden.minibatch = minibatch
        zeros = {name: np.zeros_like(bits) for name, bits in weights.items()}
        self.golden.load(Space.WEIGHTS, weights)
        for space in kept_spaces(self.golden.cfg):
            self.golden.load(space, zeros)
        self.golden.load(Space.GRADIENTS, zeros)

    def load_gradients(self, gradients: Tensors):
        """What the gradients of every replica begin with in the next minibatch, raw bits."""
        self.golden.load(Space.GRADIENTS, gradients)

    def train(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float
    ) -> tuple[np.ndarray, bool]:
        """One minibatch, uint8 (N, T, y, x, c): spikes per class (N, classes), and whether its update was skipped."""
        golden = self.golden
        counts = golden.counts_of(golden.train(spikes, labels, golden.loss_constants(scale)))
        golden.update(constants)
        return counts, golden.overflowed

    def read(self) -> Tensors:
        """The weights as they are now."""
        return self.golden.bits(Space.WEIGHTS)

    def counters(self) -> dict[str, int]:
        """None: there is no chip."""
        return {}

    def close(self):
        """Nothing to end."""
