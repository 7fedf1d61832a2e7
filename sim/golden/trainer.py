"""The golden trainer: a spiking network trained in the arithmetic and the order of the hardware."""

from dataclasses import dataclass

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.registry import load
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.format import decode, encode, fmt_parameters, value_dtype
from trident.sim.golden.loss import loss_errors, loss_table
from trident.sim.golden.neuron import neuron
from trident.sim.golden.neuron_grad import neuron_grad
from trident.sim.golden.reduce import reduce
from trident.sim.golden.update import update
from trident.snn.network import Network
from trident.snn.partition import Partition
from trident.snn.settings import NeuronSettings


@dataclass
class LayerState:
    """One layer's values: floats of the format held in a wider NumPy type; shapes as of :class:`Layer`.

    gradients, bias_gradients: one array per replica.
    """

    weights: np.ndarray
    biases: np.ndarray
    gradients: list[np.ndarray]
    bias_gradients: list[np.ndarray]
    momenta: np.ndarray
    bias_momenta: np.ndarray


@dataclass
class Trace:
    """What one sample left in each layer, for the backward pass and for comparison: arrays (y, x, T, channel)."""

    inputs: list[np.ndarray]
    spikes: list[np.ndarray]
    masks: list[np.ndarray]
    potentials: list[np.ndarray]
    errors: list[np.ndarray]


class GoldenTrainer:
    """Bit-exact model of the cores that train ``network``; without a partition, of one core.

    ``layers`` holds the state, ``faults`` per logical core the bits of :class:`Fault` raised since the last
    :meth:`start_batch`. Spikes are uint8 (T, y, x, channel). Every replica has the same weights; sums of several cores
    are made in their order.
    """

    def __init__(
        self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, seed: int = 0,
        partition: Partition | None = None,
    ):  # fmt: skip
        self.network, self.cfg = network, cfg
        self.partition = partition or Partition.single(network)
        self.slices = [self.partition.slices(n, network) for n in range(len(network.layers))]
        self.fmt = cfg.format
        self.parameters = fmt_parameters(self.fmt)
        self.dtype = value_dtype(self.fmt)
        self.constants = NeuronConstants.of(neuron, self.fmt)
        self.soft = cfg.reset == "soft"
        self.triangle = cfg.surrogate == "triangle"
        self._forward, self._backward, self._weight_grad = (
            load(cfg.engine(place).golden) for place in ("forward", "backward", "weight_grad")
        )
        self.faults = np.zeros(self.partition.cores, np.int64)
        self.layers = []
        for weights, biases in network.initial_weights(seed):
            weights, biases = self._values(encode(weights, self.fmt)), self._values(encode(biases, self.fmt))
            gradients = [[np.zeros_like(a) for _ in range(self.partition.replicas)] for a in (weights, biases)]
            momenta = [np.zeros_like(array) for array in (weights, biases)]
            self.layers.append(LayerState(weights, biases, *gradients, *momenta))
        self._columns: dict[tuple[int, int], np.ndarray] = {}

    def _values(self, bits):
        return decode(bits, self.fmt).astype(self.dtype)

    def _constant(self, name):
        return self.dtype(decode(getattr(self.constants, name), self.fmt))

    def start_batch(self):
        """Forget the faults of the last minibatch."""
        self.faults[:] = 0

    @property
    def overflowed(self) -> bool:
        """A gradient of any core is infinite or not a number: no core updates its weights."""
        return bool((self.faults & GRADIENT_FAULTS).any())

    def _flag(self, fault: Fault, replica: int, n: int, values: np.ndarray):
        """Note a fault of the cores that have a slice of layer n with a value that is not finite."""
        if not np.isfinite(values).all():
            for member, first, end in self.slices[n]:
                if not np.isfinite(values[..., first:end]).all():
                    self.faults[replica * self.partition.members + member] |= 1 << fault

    def _run(self, fault: Fault, replica: int, n: int, unit, arrays: list[np.ndarray]):
        """Run a unit that works on every neuron by itself and says whether it had a fault; if it had one, once more
        slice by slice, to know on which core."""
        if unit(*arrays):
            for member, first, end in self.slices[n]:
                if unit(*(np.ascontiguousarray(array[..., first:end]) for array in arrays)):
                    self.faults[replica * self.partition.members + member] |= 1 << fault

    def infer(self, spikes: np.ndarray, replica: int = 0) -> Trace:
        """Forward pass of one sample; the trace has no errors yet."""
        trace = Trace([], [], [], [], [])
        current = np.ascontiguousarray(spikes.transpose(1, 2, 0, 3))
        steps = self.cfg.timesteps
        for n, (layer, state) in enumerate(zip(self.network.layers, self.layers, strict=True)):
            if layer.kind == "linear":  # (y, x, T, c) flattened in (y, x, c) order
                current = np.ascontiguousarray(current.transpose(2, 0, 1, 3).reshape(1, 1, steps, -1))
            y, x, channels = layer.out_shape
            shape = (y, x, steps, channels)
            sums, potentials = np.empty(shape, self.dtype), np.empty(shape, self.dtype)
            fired, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
            self._forward(
                current, state.weights, state.biases, layer.bias, layer.kernel, layer.stride, layer.padding, sums,
                self.parameters,
            )  # fmt: skip
            self._flag(Fault.FORWARD, replica, n, sums)
            arrays = [array.reshape(y * x, steps, channels) for array in (sums, fired, masks, potentials)]

            def fire(x, *out):
                return neuron(
                    x, *(self._constant(name) for name in ("leak", "threshold", "low", "high")), self.soft,
                    self.cfg.multiplier_subnormals, *out, self.parameters,
                )  # fmt: skip

            self._run(Fault.NEURON, replica, n, fire, arrays)
            trace.inputs.append(current)
            trace.spikes.append(fired)
            trace.masks.append(masks)
            trace.potentials.append(potentials)
            current = fired
        return trace

    def counts(self, trace: Trace) -> np.ndarray:
        """Spikes that each class fired."""
        return trace.spikes[-1].sum(axis=2, dtype=np.int64).reshape(-1)

    def train_sample(self, spikes: np.ndarray, label: int, table: np.ndarray, replica: int = 0) -> Trace:
        """Forward, loss, backward and weight gradients of one sample; ``table`` as of :func:`loss_table`."""
        trace = self.infer(spikes, replica)
        top = trace.spikes[-1].reshape(1, self.cfg.timesteps, -1)
        error = self._values(loss_errors(top, label, table)).reshape(trace.spikes[-1].shape)
        for n in reversed(range(len(self.layers))):
            trace.errors.insert(0, self._neuron_grad(trace, n, error, replica))
            if n:
                error = self._error_below(trace, n, replica)
            self._add_gradients(trace, n, replica)
        return trace

    def _error_below(self, trace: Trace, n: int, replica: int) -> np.ndarray:
        """Errors of layer n through its weights: partial sums of its slices, added in ascending order."""
        layer, total = self.network.layers[n], None
        for member, first, end in self.slices[n]:
            partial = np.empty(trace.inputs[n].shape, self.dtype)
            self._backward(
                np.ascontiguousarray(trace.errors[0][..., first:end]), self._transposed(n, first, end), layer.kernel,
                layer.stride, layer.padding, partial, self.cfg.multiplier_subnormals, self.parameters,
            )  # fmt: skip
            if total is not None:
                reduce(partial.reshape(-1), total.reshape(-1), self.parameters)
            total = partial
            if not np.isfinite(total).all():
                self.faults[replica * self.partition.members + member] |= 1 << Fault.BACKWARD
        if layer.kind == "linear":  # back to the image that was flattened
            y, x, steps, channels = trace.spikes[n - 1].shape
            total = total.reshape(steps, y, x, channels).transpose(1, 2, 0, 3)
        return total

    def _add_gradients(self, trace: Trace, n: int, replica: int):
        layer, state = self.network.layers[n], self.layers[n]
        gradients, bias_gradients = state.gradients[replica], state.bias_gradients[replica]
        self._weight_grad(
            trace.inputs[n], trace.errors[0], gradients, bias_gradients, layer.bias, layer.kernel, layer.stride,
            layer.padding, self.parameters,
        )  # fmt: skip
        self._flag(Fault.WEIGHT_GRAD, replica, n, gradients)
        self._flag(Fault.WEIGHT_GRAD, replica, n, bias_gradients)

    def _neuron_grad(self, trace: Trace, n: int, error: np.ndarray, replica: int) -> np.ndarray:
        y, x, steps, channels = trace.spikes[n].shape
        errors = np.empty((y, x, steps, channels), self.dtype)
        arrays = [
            np.ascontiguousarray(array).reshape(y * x, steps, channels)
            for array in (error, trace.spikes[n], trace.masks[n], trace.potentials[n], errors)
        ]

        def grad(e, fired, masks, potentials, d):
            return neuron_grad(
                e, fired, masks, potentials, *(self._constant(name) for name in ("leak", "threshold", "slope")),
                self.triangle, self.soft, self.cfg.multiplier_subnormals, d, self.parameters,
            )  # fmt: skip

        self._run(Fault.NEURON_GRAD, replica, n, grad, arrays)
        return errors

    def _transposed(self, n: int, first: int, end: int) -> np.ndarray:
        """Columns of a slice of a layer's weights; they change only with an update."""
        if (n, first) not in self._columns:
            weights = self.layers[n].weights[..., first:end]
            self._columns[n, first] = np.ascontiguousarray(weights.transpose(0, 2, 1))
        return self._columns[n, first]

    def reduce(self):
        """Sum the gradients of all replicas, in ascending order; every replica then has the sum."""
        for n, state in enumerate(self.layers):
            for parts in (state.gradients, state.bias_gradients):
                for replica in range(1, len(parts)):
                    reduce(parts[replica].reshape(-1), parts[replica - 1].reshape(-1), self.parameters)
                    self._flag(Fault.WEIGHT_GRAD, replica, n, parts[replica])
                for part in parts[:-1]:
                    part[:] = parts[-1]

    def update(self, constants: UpdateConstants):
        """Sum the gradients of the replicas, apply them and clear them; after an overflow only clear them."""
        self.reduce()
        skip = self.overflowed
        momentum, minus_rate = self._values([constants.momentum, constants.minus_rate])
        for n, state in enumerate(self.layers):
            groups = [(state.weights, state.momenta, state.gradients)]
            groups.append((state.biases, state.bias_momenta, state.bias_gradients))
            for weights, momenta, gradients in groups:
                if not skip:
                    update(
                        weights.reshape(-1), momenta.reshape(-1), gradients[-1].reshape(-1), momentum, minus_rate,
                        constants.scale, self.cfg.multiplier_subnormals, self.parameters,
                    )  # fmt: skip
                    for replica in range(self.partition.replicas):
                        self._flag(Fault.UPDATE, replica, n, momenta)
                        self._flag(Fault.UPDATE, replica, n, weights)
                for part in gradients:
                    part[:] = 0
        self._columns = {}

    def table(self, loss_scale: float) -> np.ndarray:
        """The loss table for this network."""
        return loss_table(self.cfg.timesteps, self.network.classes, loss_scale, self.fmt)
