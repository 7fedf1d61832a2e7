"""The golden trainer: a spiking network trained in the arithmetic and the order of the hardware."""

from dataclasses import dataclass

import numpy as np

from host.constants import NeuronConstants, UpdateConstants
from host.network import Network
from host.settings import NeuronSettings
from hw.config import CoreConfig
from hw.layouts import Fault
from hw.registry import load
from sim.golden.format import decode, encode, fmt_parameters, value_dtype
from sim.golden.loss import loss_errors, loss_table
from sim.golden.neuron import neuron
from sim.golden.neuron_grad import neuron_grad
from sim.golden.update import update


@dataclass
class LayerState:
    """One layer's values: floats of the format held in a wider NumPy type; shapes as of :class:`host.network.Layer`."""

    weights: np.ndarray
    biases: np.ndarray
    gradients: np.ndarray
    bias_gradients: np.ndarray
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
    """Bit-exact model of one core that trains ``network``.

    ``layers`` holds the state, ``faults`` the bits of :class:`hw.layouts.Fault` raised since the last
    :meth:`start_batch`. Spikes are uint8 (T, y, x, channel).
    """

    def __init__(self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, seed: int = 0):
        self.network, self.cfg = network, cfg
        self.fmt = cfg.format
        self.parameters = fmt_parameters(self.fmt)
        self.dtype = value_dtype(self.fmt)
        self.constants = NeuronConstants.of(neuron, self.fmt)
        self.soft = cfg.reset == "soft"
        self.triangle = cfg.surrogate == "triangle"
        self._forward, self._backward, self._weight_grad = (
            load(cfg.engine(place).golden) for place in ("forward", "backward", "weight_grad")
        )
        self.faults = 0
        self.layers = []
        for weights, biases in network.initial_weights(seed):
            weights, biases = self._values(encode(weights, self.fmt)), self._values(encode(biases, self.fmt))
            zeros = [np.zeros_like(array) for array in (weights, biases) * 2]
            self.layers.append(LayerState(weights, biases, *zeros))
        self._columns = None

    def _values(self, bits):
        return decode(bits, self.fmt).astype(self.dtype)

    def _constant(self, name):
        return self.dtype(decode(getattr(self.constants, name), self.fmt))

    def start_batch(self):
        """Forget the faults of the last minibatch."""
        self.faults = 0

    def _flag(self, fault: Fault, raised: bool):
        self.faults |= bool(raised) << fault

    def infer(self, spikes: np.ndarray) -> Trace:
        """Forward pass of one sample; the trace has no errors yet."""
        trace = Trace([], [], [], [], [])
        current = np.ascontiguousarray(spikes.transpose(1, 2, 0, 3))
        steps = self.cfg.timesteps
        for layer, state in zip(self.network.layers, self.layers, strict=True):
            if layer.kind == "linear":  # (y, x, T, c) flattened in (y, x, c) order
                current = np.ascontiguousarray(current.transpose(2, 0, 1, 3).reshape(1, 1, steps, -1))
            y, x, channels = layer.out_shape
            shape = (y, x, steps, channels)
            sums, potentials = np.empty(shape, self.dtype), np.empty(shape, self.dtype)
            fired, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
            self._flag(Fault.FORWARD, self._forward(
                current, state.weights, state.biases, layer.bias, layer.kernel, layer.stride, layer.padding, sums,
                self.parameters,
            ))  # fmt: skip
            blocks = [array.reshape(y * x, steps, channels) for array in (sums, fired, masks, potentials)]
            self._flag(Fault.NEURON, neuron(
                blocks[0], *(self._constant(name) for name in ("leak", "threshold", "low", "high")), self.soft,
                self.cfg.multiplier_subnormals, *blocks[1:], self.parameters,
            ))  # fmt: skip
            trace.inputs.append(current)
            trace.spikes.append(fired)
            trace.masks.append(masks)
            trace.potentials.append(potentials)
            current = fired
        return trace

    def counts(self, trace: Trace) -> np.ndarray:
        """Spikes that each class fired."""
        return trace.spikes[-1].sum(axis=2, dtype=np.int64).reshape(-1)

    def train_sample(self, spikes: np.ndarray, label: int, table: np.ndarray) -> Trace:
        """Forward, loss, backward and weight gradients of one sample; ``table`` as of :func:`loss_table`."""
        trace = self.infer(spikes)
        top = trace.spikes[-1].reshape(1, self.cfg.timesteps, -1)
        error = self._values(loss_errors(top, label, table)).reshape(trace.spikes[-1].shape)
        for n in reversed(range(len(self.layers))):
            trace.errors.insert(0, self._neuron_grad(trace, n, error))
            layer, state = self.network.layers[n], self.layers[n]
            if n:
                error = np.empty(trace.inputs[n].shape, self.dtype)
                self._flag(Fault.BACKWARD, self._backward(
                    trace.errors[0], self._transposed(n), layer.kernel, layer.stride, layer.padding, error,
                    self.cfg.multiplier_subnormals, self.parameters,
                ))  # fmt: skip
            self._flag(Fault.WEIGHT_GRAD, self._weight_grad(
                trace.inputs[n], trace.errors[0], state.gradients, state.bias_gradients, layer.bias, layer.kernel,
                layer.stride, layer.padding, self.parameters,
            ))  # fmt: skip
            if n and layer.kind == "linear":  # back to the image that was flattened
                y, x, steps, channels = trace.spikes[n - 1].shape
                error = error.reshape(steps, y, x, channels).transpose(1, 2, 0, 3)
        return trace

    def _neuron_grad(self, trace: Trace, n: int, error: np.ndarray) -> np.ndarray:
        y, x, steps, channels = trace.spikes[n].shape
        errors = np.empty((y, x, steps, channels), self.dtype)
        blocks = [
            np.ascontiguousarray(array).reshape(y * x, steps, channels)
            for array in (error, trace.spikes[n], trace.masks[n], trace.potentials[n])
        ]
        self._flag(Fault.NEURON_GRAD, neuron_grad(
            *blocks, *(self._constant(name) for name in ("leak", "threshold", "slope")), self.triangle, self.soft,
            self.cfg.multiplier_subnormals, errors.reshape(y * x, steps, channels), self.parameters,
        ))  # fmt: skip
        return errors

    def _transposed(self, n: int) -> np.ndarray:
        """Columns of a layer's weights; they change only with an update."""
        if self._columns is None:
            self._columns = [np.ascontiguousarray(state.weights.transpose(0, 2, 1)) for state in self.layers]
        return self._columns[n]

    def update(self, constants: UpdateConstants, skip: bool):
        """Apply the gradients and clear them; with ``skip`` only clear them."""
        momentum, minus_rate = self._values([constants.momentum, constants.minus_rate])
        for state in self.layers:
            groups = [(state.weights, state.momenta, state.gradients)]
            groups.append((state.biases, state.bias_momenta, state.bias_gradients))
            for weights, momenta, gradients in groups:
                if skip:
                    gradients[:] = 0
                    continue
                self._flag(Fault.UPDATE, update(
                    weights.reshape(-1), momenta.reshape(-1), gradients.reshape(-1), momentum, minus_rate,
                    constants.scale, self.cfg.multiplier_subnormals, self.parameters,
                ))  # fmt: skip
        self._columns = None

    def table(self, loss_scale: float) -> np.ndarray:
        """The loss table for this network."""
        return loss_table(self.cfg.timesteps, self.network.classes, loss_scale, self.fmt)
