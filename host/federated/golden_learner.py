"""A network in the golden model, as a federated worker trains it."""

import numpy as np

from trident.host.federated.message import Weights
from trident.host.train.spec import RunSpec
from trident.hw.isa.faults import GRADIENT_FAULTS
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import decode, encode
from trident.sim.golden.trainer import GoldenTrainer


class GoldenLearner:
    """A :class:`Learner` without a chip, bit for bit as :class:`ChipLearner`; no counters."""

    def __init__(self, spec: RunSpec):
        self.golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg, spec.train.seed, spec.plan.partition)
        self.replicas = spec.plan.partition.replicas

    def load(self, weights: Weights):
        """Weights of the next minibatch, raw bits; momenta and gradients become zero. Between minibatches only."""
        golden = self.golden
        for layer, (own, biases) in zip(golden.layers, weights, strict=True):
            layer.weights[:], layer.biases[:] = decode(own, golden.fmt), decode(biases, golden.fmt)
            layer.momenta[:] = layer.bias_momenta[:] = 0
        self.load_gradients([tuple(np.zeros_like(part) for part in pair) for pair in weights])

    def load_gradients(self, gradients: Weights):
        """What the gradients of every replica begin with in the next minibatch, raw bits."""
        fmt = self.golden.fmt
        for layer, (own, biases) in zip(self.golden.layers, gradients, strict=True):
            for replica in range(self.replicas):
                layer.gradients[replica][:] = decode(own, fmt)
                layer.bias_gradients[replica][:] = decode(biases, fmt)

    def train(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float
    ) -> tuple[np.ndarray, bool]:
        """One minibatch, uint8 (N, T, y, x, c): spikes per class (N, classes), and whether its update was skipped."""
        golden, table, counts = self.golden, self.golden.table(scale), []
        golden.start_batch()
        for n, (sample, label) in enumerate(zip(spikes, labels, strict=True)):
            trace = golden.train_sample(sample, int(label), table, n % self.replicas)
            counts.append(golden.counts(trace))
        golden.update(constants)
        return np.stack(counts), bool((golden.faults & GRADIENT_FAULTS).any())

    def read(self) -> Weights:
        """The weights as they are now."""
        fmt = self.golden.fmt
        return [(encode(layer.weights, fmt), encode(layer.biases, fmt)) for layer in self.golden.layers]

    def counters(self) -> dict[str, int]:
        """None: there is no chip."""
        return {}

    def close(self):
        """Nothing to end."""
