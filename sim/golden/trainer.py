"""The golden trainer: a spiking network trained in the arithmetic and the order of the hardware."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.registry import load as load_kernel
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.format import fmt_parameters, to_bits, to_values, value_dtype
from trident.sim.golden.loss import loss_errors, loss_table
from trident.sim.golden.neuron import neuron
from trident.sim.golden.neuron_grad import neuron_grad
from trident.sim.golden.reduce import reduce
from trident.sim.golden.update import update
from trident.snn.layers import Layer
from trident.snn.network import Network, Tensors
from trident.snn.partition import Partition
from trident.snn.settings import NeuronSettings


@dataclass
class SampleTrace:
    """What one sample left in each layer, by its number, for backward and for comparison: arrays (y, x, T, channel)."""

    inputs: list[np.ndarray]
    spikes: list[np.ndarray]
    masks: list[np.ndarray]
    potentials: list[np.ndarray]
    errors: list[np.ndarray]


class GoldenTrainer:
    """Bit-exact model of the cores that train ``network``; without a partition, of one core.

    ``weights``, ``momentum`` and, per replica, ``gradients`` hold the network's parameters by name: values of the
    format in a wider NumPy type. ``faults`` has per logical core the bits of :class:`Fault` raised since the last
    minibatch began. Spikes are uint8 (T, y, x, channel). Every replica has the same weights; sums of several cores
    are made in their order.
    """

    def __init__(
        self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, seed: int = 0,
        partition: Partition | None = None,
    ):  # fmt: skip
        self.network, self.cfg = network, cfg
        self.partition = partition or Partition.single(network)
        self.slices = [self.partition.slices(layer.number, network) for layer in network.layers]
        self.fmt = cfg.format
        self.parameters = fmt_parameters(self.fmt)
        self.dtype = value_dtype(self.fmt)
        self.constants = NeuronConstants.of(neuron, self.fmt)
        self.soft = cfg.reset == "soft"
        self.triangle = cfg.surrogate == "triangle"
        self._forward, self._backward, self._weight_grad = (
            load_kernel(cfg.engine(place).golden) for place in ("forward", "backward", "weight_grad")
        )
        self.faults = np.zeros(self.partition.cores, np.int64)
        initial = network.initial_weights(seed)
        self.weights: Tensors = {name: self._values(to_bits(value, self.fmt)) for name, value in initial.items()}
        self.momentum: Tensors = {name: np.zeros_like(value) for name, value in self.weights.items()}
        self.gradients: list[Tensors] = [
            {name: np.zeros_like(value) for name, value in self.weights.items()}
            for _ in range(self.partition.replicas)
        ]
        self._no_bias = {layer.bias_name: np.zeros(layer.out_channels, self.dtype) for layer in network.layers}
        self._columns: dict[tuple[int, int], np.ndarray] = {}

    def _values(self, bits):
        return to_values(bits, self.fmt).astype(self.dtype)

    def _constant(self, name):
        return self.dtype(to_values(getattr(self.constants, name), self.fmt))

    # Parameters as raw bits
    def bits(self, space: Space, replica: int = 0) -> Tensors:
        """Weights, momenta, or the gradients of a replica, as raw bits."""
        return {name: to_bits(values, self.fmt) for name, values in self._tensors(space, replica).items()}

    def load(self, space: Space, bits: Tensors):
        """Take weights, momenta, or the gradients of every replica, from raw bits; between minibatches."""
        for replica in range(self.partition.replicas if space == Space.GRADIENTS else 1):
            for name, values in self._tensors(space, replica).items():
                values[:] = to_values(bits[name], self.fmt)
        self._columns = {}

    def _tensors(self, space: Space, replica: int) -> Tensors:
        if space == Space.GRADIENTS:
            return self.gradients[replica]
        return {Space.WEIGHTS: self.weights, Space.MOMENTUM: self.momentum}[space]

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

    def infer(self, spikes: np.ndarray, replica: int = 0) -> SampleTrace:
        """Forward pass of one sample; the trace has no errors yet."""
        trace = SampleTrace([], [], [], [], [])
        samples = np.ascontiguousarray(spikes.transpose(1, 2, 0, 3))
        steps = self.cfg.timesteps
        for n, layer in enumerate(self.network.layers):
            current = samples if layer.source is None else trace.spikes[layer.source]
            if layer.kind == "linear":  # (y, x, T, c) flattened in (y, x, c) order
                current = np.ascontiguousarray(current.transpose(2, 0, 1, 3).reshape(1, 1, steps, -1))
            y, x, channels = layer.out_shape
            shape = (y, x, steps, channels)
            sums, potentials = np.empty(shape, self.dtype), np.empty(shape, self.dtype)
            fired, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
            self._forward(
                current, self.weights[layer.weight], self._bias(self.weights, layer), layer.bias, layer.kernel,
                layer.stride, layer.padding, sums, self.parameters,
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
        return trace

    def _bias(self, tensors: Tensors, layer: Layer) -> np.ndarray:
        """A layer's biases; zeros, which are not used, where it has none."""
        return tensors.get(layer.bias_name, self._no_bias[layer.bias_name])

    def counts(self, trace: SampleTrace) -> np.ndarray:
        """Spikes that each class fired."""
        return trace.spikes[-1].sum(axis=2, dtype=np.int64).reshape(-1)

    def train_sample(self, spikes: np.ndarray, label: int, table: np.ndarray, replica: int = 0) -> SampleTrace:
        """Forward, loss, backward and weight gradients of one sample; ``table``: see :func:`loss_table`."""
        trace = self.infer(spikes, replica)
        layers = self.network.layers
        top = trace.spikes[-1].reshape(1, self.cfg.timesteps, -1)
        # By layer, the error at its spikes
        errors = {layers[-1].number: self._values(loss_errors(top, label, table)).reshape(trace.spikes[-1].shape)}
        trace.errors = [np.empty(0)] * len(layers)
        for layer in reversed(layers):
            n = layer.number
            trace.errors[n] = self._neuron_grad(trace, n, errors[n], replica)
            if layer.source is not None:
                errors[layer.source] = self._error_below(trace, layer, replica)
            self._add_gradients(trace, layer, replica)
        return trace

    def train_samples(self, spikes: np.ndarray, labels: np.ndarray, table: np.ndarray) -> Iterator[SampleTrace]:
        """Begin a minibatch, uint8 (N, T, y, x, c), and train its samples one by one, each on its replica."""
        self.faults[:] = 0
        for n, (sample, label) in enumerate(zip(spikes, labels, strict=True)):
            yield self.train_sample(sample, int(label), table, n % self.partition.replicas)

    def infer_samples(self, spikes: np.ndarray) -> Iterator[SampleTrace]:
        """As :meth:`train_samples`, but only the forward pass."""
        self.faults[:] = 0
        for n, sample in enumerate(spikes):
            yield self.infer(sample, n % self.partition.replicas)

    def _error_below(self, trace: SampleTrace, layer: Layer, replica: int) -> np.ndarray:
        """Errors of a layer through its weights: partial sums of its slices, added in ascending order."""
        n, total = layer.number, None
        for member, first, end in self.slices[n]:
            partial = np.empty(trace.inputs[n].shape, self.dtype)
            self._backward(
                np.ascontiguousarray(trace.errors[n][..., first:end]), self._transposed(layer, first, end),
                layer.kernel, layer.stride, layer.padding, partial, self.cfg.multiplier_subnormals, self.parameters,
            )  # fmt: skip
            if total is not None:
                reduce(partial.reshape(-1), total.reshape(-1), self.parameters)
            total = partial
            if not np.isfinite(total).all():
                self.faults[replica * self.partition.members + member] |= 1 << Fault.BACKWARD
        if layer.kind == "linear":  # back to the image that was flattened
            y, x, channels = layer.image
            total = total.reshape(-1, y, x, channels).transpose(1, 2, 0, 3)
        return total

    def _add_gradients(self, trace: SampleTrace, layer: Layer, replica: int):
        n, own = layer.number, self.gradients[replica]
        gradients, bias_gradients = own[layer.weight], self._bias(own, layer)
        self._weight_grad(
            trace.inputs[n], trace.errors[n], gradients, bias_gradients, layer.bias, layer.kernel, layer.stride,
            layer.padding, self.parameters,
        )  # fmt: skip
        self._flag(Fault.WEIGHT_GRAD, replica, n, gradients)
        self._flag(Fault.WEIGHT_GRAD, replica, n, bias_gradients)

    def _neuron_grad(self, trace: SampleTrace, n: int, error: np.ndarray, replica: int) -> np.ndarray:
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

    def _transposed(self, layer: Layer, first: int, end: int) -> np.ndarray:
        """Columns of a slice of a layer's weights; they change only with an update."""
        key = layer.number, first
        if key not in self._columns:
            weights = self.weights[layer.weight][..., first:end]
            self._columns[key] = np.ascontiguousarray(weights.transpose(0, 2, 1))
        return self._columns[key]

    def reduce(self):
        """Sum the gradients of all replicas, in ascending order; every replica then has the sum."""
        for layer, name in self._each_tensor():
            parts = [own[name] for own in self.gradients]
            for replica in range(1, len(parts)):
                reduce(parts[replica].reshape(-1), parts[replica - 1].reshape(-1), self.parameters)
                self._flag(Fault.WEIGHT_GRAD, replica, layer.number, parts[replica])
            for part in parts[:-1]:
                part[:] = parts[-1]

    def _each_tensor(self) -> list[tuple[Layer, str]]:
        """The names of all parameters, with their layers."""
        return [
            (layer, name)
            for layer in self.network.layers for name in (layer.weight, layer.bias_name) if name in self.weights
        ]  # fmt: skip

    def update(self, constants: UpdateConstants):
        """Sum the gradients of the replicas, apply them and clear them; after an overflow only clear them."""
        self.reduce()
        skip = self.overflowed
        momentum, minus_rate = self._values([constants.momentum, constants.minus_rate])
        for layer, name in self._each_tensor():
            weights, momenta = self.weights[name], self.momentum[name]
            if not skip:
                update(
                    weights.reshape(-1), momenta.reshape(-1), self.gradients[-1][name].reshape(-1), momentum,
                    minus_rate, constants.scale, self.cfg.multiplier_subnormals, self.parameters,
                )  # fmt: skip
                for replica in range(self.partition.replicas):
                    self._flag(Fault.UPDATE, replica, layer.number, momenta)
                    self._flag(Fault.UPDATE, replica, layer.number, weights)
            for own in self.gradients:
                own[name][:] = 0
        self._columns = {}

    def table(self, loss_scale: float) -> np.ndarray:
        """The loss table for this network."""
        return loss_table(self.cfg.timesteps, self.network.classes, loss_scale, self.fmt)
