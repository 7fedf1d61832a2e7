"""The fast twin: the training of the chip in float32 or float64, vectorised.

It is for accuracy curves and as an independent check of the golden model, never for comparison on bits.
"""

from dataclasses import dataclass, replace

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.batch_norm import POWER, backward_passes, forward_passes, frozen_passes, norm_numbers
from trident.hw.isa.charges import leak_program
from trident.hw.isa.optimisers import KEPT, PRUNE, optimiser
from trident.hw.isa.standardise import RAW
from trident.sim.float_passes import run_passes
from trident.sim.float_standard import FloatStandardiser
from trident.sim.golden.drop import kept, layer_key
from trident.snn.data.encoding import plane_values
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network, Tensors
from trident.snn.network.windows import Windows
from trident.snn.readout import predicted
from trident.snn.settings import NeuronSettings, TrainSettings


@dataclass(frozen=True)
class LayerTrace:
    """What one layer keeps of a forward pass, all in the trainer's dtype with T first.

    ``columns`` (T * B, Y * X, taps * C_in) are its input spikes, one row per output position; ``spikes``, ``near``
    (whether a potential is within the window around the threshold) and ``potentials`` (T, B, Y, X, C) are of its
    neurons; ``pooled`` (T, B, Y, X, C): what the layers above read, and ``chosen`` (T, B, Y, X, C): the share of the
    errors there that each pixel has; ``outputs`` (B, Y * X * C): how often they fired, or what readouts say;
    ``normed`` (T, B, Y, X, C) and ``inverse`` (C,): with a norm, its normalised sums, and what those are multiplied by;
    ``winners`` (T, B, Y, X, C): of windows of sums or spikes, which pixel of each is the largest, in raster order.
    """

    columns: np.ndarray
    spikes: np.ndarray
    near: np.ndarray
    potentials: np.ndarray
    pooled: np.ndarray
    chosen: np.ndarray
    outputs: np.ndarray
    normed: np.ndarray | None = None
    inverse: np.ndarray | None = None
    winners: np.ndarray | None = None


class FloatTwin:
    """Backpropagation through time with surrogate gradients, reset detached, over a whole minibatch at once.

    Neurons run the programs that the chip runs (hw/isa/neurons.py), without its roundings. Formulas of every layer,
    with the errors d at its inputs: weight gradient ``sum over t of d[t] ⊗ s_in[t]``, bias gradient ``sum over t of
    d[t]``, errors below ``Wᵀ * d[t]``.

    The error at the top is the loss's derivative, the same at every t unless the loss is of timesteps, times the loss
    scale, as is a penalty of spikes; loss and update are those of :class:`TrainSettings`.

    Parameters
    ----------
    network, neuron, settings
        What is trained and how; initial weights come from ``network.initial_weights(settings.seed)``.
    dtype
        float32 or float64: the format of all arithmetic.
    storage
        Format to which gradients, momentum and weights are rounded when they are stored (np.float16 emulates FP16
        memories); None keeps ``dtype``.

    Attributes
    ----------
    state : dict of dict of ndarray
        ``weights``, the network's parameters by name, what the optimiser keeps of them: ``momentum``, ``squares``, and
        ``raw``, what standardised weights are made of, beside gains of norms running variances, beside offsets running
        means, 0 for other parameters.
    updates : int
        Minibatches trained on; with the seed it decides what dropout drops in the next one, as golden does.
    """

    def __init__(
        self, network: Network, neuron: NeuronSettings, settings: TrainSettings, dtype=np.float32, storage=None
    ):
        self.network, self.settings = network, settings
        plain = {"still": False, "pooled": False, "averaged": False}  # what those are for is done here
        self.neurons = [replace(neuron.at(layer, settings.timesteps), **plain) for layer in network.layers]
        self.dtype, self.storage = np.dtype(dtype), np.dtype(storage or dtype)
        if self.dtype not in (np.float32, np.float64):
            raise TridentError(f"the fast model computes in float32 or float64, not {self.dtype}")
        weights = {name: self._stored(value) for name, value in network.initial_weights(settings.seed).items()}
        self._loss, self._most = settings.losses(network.classes), network.most_spikes(settings.timesteps)
        self._standard = {
            layer.weight: FloatStandardiser(layer) for layer in network.layers if layer.standardised
        }  # fmt: skip
        self._update = optimiser(settings.optimiser)
        self._kept = {name: memory for name, memory in KEPT.items() if name in self._update.inputs} | {"w": "weights"}
        self.state: dict[str, Tensors] = {
            memory: weights if memory == "weights" else {name: np.zeros_like(value) for name, value in weights.items()}
            for memory in self._kept.values()
        }
        self.state[RAW] = {name: np.zeros_like(value) for name, value in weights.items()}
        for layer in network.layers:
            if layer.norm:
                self.state[RAW][layer.norm.gain] += 1
        for name, standard in self._standard.items():
            self.state[RAW][name] = weights[name]
            weights[name] = self._stored(standard.weights(weights[name]))
        self.updates = 0

    @property
    def weights(self) -> Tensors:
        return self.state["weights"]

    def train_batch(
        self, spikes: np.ndarray, labels: np.ndarray, epoch: float = 0, wanted: np.ndarray | None = None
    ) -> dict:
        """Train on one minibatch: ``spikes`` (B, T, Y, X, C) of 0 and 1, ``labels`` (B,); ``epoch`` sets the step.
        ``wanted``: soft targets (B, N) instead of the labels.

        Returns ``loss`` (mean over the samples), ``correct`` (samples that are predicted rightly, see
        :func:`predicted`), and per layer ``firing_rate`` (spikes per neuron and timestep) and ``gradient_sparsity``
        (share of the d[t] that are zero).
        """
        traces = self.forward(spikes, training=True)
        gradients, sparsity = self._backward(traces, labels, wanted)
        self.updates += 1
        settings = self.settings
        numbers = settings.numbers(settings.rate(epoch), settings.loss_scale, self.updates)
        weights = {layer.weight for layer in self.network.layers}
        for name, gradient in gradients.items():
            own = numbers if name in weights else numbers | {PRUNE.name: 0.0}
            memories = self._kept | ({"w": RAW} if name in self._standard else {})
            old = {short: self.state[memory][name][None] for short, memory in memories.items()}
            new = self._update.run(own, g=self._stored(gradient)[None], **old)
            for short, memory in memories.items():
                self.state[memory][name] = self._stored(new[short][0])
            if name in self._standard:
                self.weights[name] = self._stored(self._standard[name].weights(self.state[RAW][name]))
        counts = self._counts(traces)
        return {
            "loss": float(self._loss.values(counts, labels, self._most, wanted).mean()),
            "correct": int((predicted(counts) == labels).sum()),
            "firing_rate": [float(trace.spikes.mean()) for trace in traces],
            "gradient_sparsity": sparsity,
        }

    def infer(self, spikes: np.ndarray) -> np.ndarray:
        """Output spike counts (B, N), int64, of ``spikes`` (B, T, Y, X, C); floats where the output is a readout."""
        counts = self._counts(self.forward(spikes))
        return counts if self.network.layers[-1].readout else counts.astype(np.int64)

    def accuracy(self, spikes: np.ndarray, labels: np.ndarray, chunk: int = 256) -> float:
        """Share of ``spikes`` (N, T, Y, X, C) that are predicted rightly, see :func:`predicted`."""
        parts = [predicted(self.infer(spikes[i : i + chunk])) for i in range(0, len(spikes), chunk)]
        return float((np.concatenate(parts) == labels).mean())

    def gradients(self, spikes: np.ndarray, labels: np.ndarray, wanted: np.ndarray | None = None) -> Tensors:
        """The gradients of all parameters, those of raw weights where they are standardised, summed over the batch and
        times the loss scale; trains nothing but running means and variances."""
        return self._backward(self.forward(spikes, training=True), labels, wanted)[0]

    def forward(self, spikes: np.ndarray, training: bool = False) -> list[LayerTrace]:
        """Run all layers over ``spikes`` (B, T, Y, X, C) and return what each keeps for the backward pass. In
        ``training``, norms take the mean and variance of the batch, and dropout drops."""
        batch, timesteps = spikes.shape[:2]
        if timesteps != self.settings.timesteps:
            raise TridentError(f"the spikes have {timesteps} timesteps, the training has {self.settings.timesteps}")
        traces: list[LayerTrace] = []
        samples = np.swapaxes(spikes, 0, 1).astype(self.dtype)
        if self.network.planes:
            values = plane_values(spikes, self.network.planes).astype(self.dtype)
            still = self.network.planes.still
            samples = np.repeat(values[None], timesteps, axis=0) if still else np.moveaxis(values, 1, 0)
        for layer in self.network.layers:
            read = sum(samples if source is None else traces[source].pooled for source in layer.sources)
            if layer.mean > 1:
                read = read.mean(axis=(2, 3))
            columns = _im2col(read.reshape(-1, *layer.in_shape), layer)
            x = columns @ self.weights[layer.weight].reshape(layer.fan_in, -1)
            if layer.bias:
                x = x + self.weights[layer.bias_name]
            x = x.reshape(timesteps, batch, *layer.sum_shape)
            normed = inverse = winners = None
            if layer.norm:
                normed, x, inverse = self._normalise(layer, x, training)
            if layer.window:
                if layer.line > 1:
                    x = x.reshape(*x.shape[:3], -1, layer.line).swapaxes(3, 4)
                x, winners = _largest(x, layer.window)
            neuron = self.neurons[layer.number]
            found = neuron.programs[0].run(neuron.constants, x=x, **self._leak(layer, x))
            fired = found.get("s", np.zeros(x.shape, bool)).astype(self.dtype)
            outputs = found["z"][-1] if layer.readout else fired.sum(0)
            pooled, chosen = _pooled(fired, layer.pool, layer.method)
            if layer.join:
                pooled, winners = _largest(fired, layer.join)
            if layer.drop and training:
                pooled, chosen = self._drop(layer, pooled, chosen)
            traces.append(LayerTrace(
                columns, fired, found.get("m", np.zeros(x.shape, bool)), found["u"],
                pooled, chosen, outputs.reshape(batch, -1), normed, inverse, winners,
            ))  # fmt: skip
        return traces

    def _backward(
        self, traces: list[LayerTrace], labels: np.ndarray, wanted: np.ndarray | None = None
    ) -> tuple[Tensors, list[float]]:
        """The gradients of all parameters, and per layer the share of errors d that are zero."""
        timesteps = self.settings.timesteps
        top = self._top(traces, labels, wanted).astype(self.dtype) * self.settings.loss_scale
        layers = self.network.layers
        # By layer, at its spikes
        errors: dict[int, np.ndarray] = {layers[-1].number: np.broadcast_to(top, (timesteps, *top.shape[-2:]))}
        gradients: Tensors = {}
        sparsity = [0.0] * len(layers)
        for layer in reversed(layers):
            trace = traces[layer.number]
            e = errors.pop(layer.number).reshape(trace.pooled.shape)
            if layer.join:
                e = _spread(e, trace, layer)
            e = e.repeat(layer.pool, axis=2).repeat(layer.pool, axis=3) * trace.chosen
            neuron = self.neurons[layer.number]
            stored = {"s": trace.spikes != 0, "m": trace.near, "u": trace.potentials}
            constants = neuron.constants | {"penalty": neuron.penalty * self.settings.loss_scale}
            made = neuron.programs[1].run(constants, e=e, **stored, **self._leak(layer, e))
            d = made["dx"]
            if layer.learns:
                terms = made["g"].reshape(-1, layer.out_channels).sum(0)
                gradients[layer.leak_name] = np.full_like(terms, terms.sum()) if layer.shares_leak else terms
            if layer.window:
                d = _spread(d, trace, layer)
            if layer.norm:
                d, own = self._normalise_back(layer, d, trace)
                gradients |= own
            rows = d.reshape(-1, layer.out_channels)
            gradient = trace.columns.reshape(-1, layer.fan_in).T @ rows
            gradients[layer.weight] = gradient.reshape(layer.weight_shape)
            if standard := self._standard.get(layer.weight):
                own = self.state[RAW][layer.weight], self.weights[layer.weight]
                gradients[layer.weight] = standard.gradient(*own, gradients[layer.weight])
            if layer.bias:
                gradients[layer.bias_name] = rows.sum(0)
            sparsity[layer.number] = float((d == 0).mean())
            if any(source is not None for source in layer.sources):
                below = _col2im(d.reshape(-1, *layer.sum_shape), self.weights[layer.weight], layer)
            for source in layer.sources:
                if source is not None:
                    shape = traces[source].pooled.shape
                    if layer.mean > 1:  # all pixels have the same
                        at_pixels = np.broadcast_to(below.reshape(*shape[:2], 1, 1, -1) / layer.mean**2, shape)
                    else:
                        at_pixels = below.reshape(shape)
                    errors[source] = errors.get(source, 0) + at_pixels
        return gradients, sparsity

    def _top(self, traces: list[LayerTrace], labels: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """The loss's derivative by the last layer's outputs (B, N), or at every timestep (T, B, N)."""
        if not self._loss.by_step:
            errors = self._loss.errors(self._counts(traces), labels, self._most, wanted)
            return errors.repeat(self.network.voters, axis=1)
        rows = traces[-1].potentials.reshape(-1, self.network.classes)
        steps = self.settings.timesteps
        soft = None if wanted is None else np.tile(wanted, (steps, 1))
        errors = self._loss.errors(rows, np.tile(labels, steps), self._most, soft)
        return errors.reshape(-1, len(labels), self.network.classes)

    def _drop(self, layer: Layer, pooled: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the layers above read, (T, B, Y, X, C), and the share of errors of each pixel, with a dropout."""
        key, samples = layer_key(self.settings.seed, self.updates, layer.number), np.arange(pooled.shape[1])
        left = kept(key, layer.drop, samples, layer.pooled_shape) * self.dtype.type(2**layer.drop)
        return pooled * left, chosen * left.repeat(layer.pool, axis=1).repeat(layer.pool, axis=2)

    def _leak(self, layer: Layer, x: np.ndarray) -> dict[str, np.ndarray]:
        """The leaks of a layer that learns them, as its programs read them, in the shape of x (T, B, Y, X, C)."""
        if not layer.learns:
            return {}
        neuron = self.neurons[layer.number]
        found = leak_program(neuron.charge).run(neuron.constants, w=self.weights[layer.leak_name][None])["leak"]
        return {"leak": np.broadcast_to(found, x.shape)}

    def _normalise(self, layer: Layer, x: np.ndarray, training: bool) -> tuple[np.ndarray, ...]:
        """z and y of x (T, B, Y, X, C), and what z was multiplied by; in training, running values follow."""
        assert layer.norm is not None
        gain, offset, raw = layer.norm.gain, layer.norm.offset, self.state[RAW]
        numbers = norm_numbers(x[..., 0].size, layer.norm.epsilon, layer.norm.momentum)
        given = {
            "x": x.reshape(-1, 1, x.shape[-1]), "gain": self.weights[gain], "offset": self.weights[offset],
            "running_variance": raw[gain], "running_mean": raw[offset],
        }  # fmt: skip
        found = run_passes(forward_passes() if training else frozen_passes(), given, numbers, int(numbers[POWER]))
        if training:
            raw[gain], raw[offset] = self._stored(found["running_variance"]), self._stored(found["running_mean"])
        return found["z"].reshape(x.shape), found["y"].reshape(x.shape), found["inverse"]

    def _normalise_back(self, layer: Layer, d: np.ndarray, trace: LayerTrace) -> tuple[np.ndarray, Tensors]:
        """Errors at x from those at y, both (T, B, Y, X, C), and the gradients of gain and offset by name."""
        assert layer.norm is not None and trace.normed is not None and trace.inverse is not None
        numbers = norm_numbers(d[..., 0].size, layer.norm.epsilon, layer.norm.momentum)
        shape = (-1, 1, d.shape[-1])
        given = {
            "g": d.reshape(shape), "z": trace.normed.reshape(shape), "gain": self.weights[layer.norm.gain],
            "inverse": trace.inverse,
        }  # fmt: skip
        found = run_passes(backward_passes(), given, numbers, int(numbers[POWER]))
        own = {layer.norm.gain: found["gain_gradient"], layer.norm.offset: found["offset_gradient"]}
        return found["g"].reshape(d.shape), own

    def _counts(self, traces: list[LayerTrace]) -> np.ndarray:
        outputs = traces[-1].outputs
        return outputs.reshape(len(outputs), -1, self.network.voters).sum(axis=2)

    def _stored(self, values: np.ndarray) -> np.ndarray:
        return values.astype(self.storage).astype(self.dtype)


def _pooled(spikes: np.ndarray, size: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The largest of every window of ``size`` x ``size`` pixels of (T, B, Y, X, C), and where it is first; or their
    average or sum, and what each pixel counts for."""
    if method != "max":
        steps, samples, y, x, channels = spikes.shape
        windows = spikes.reshape(steps, samples, y // size, size, x // size, size, channels)
        share = 1 / size**2 if method == "average" else 1.0
        return windows.sum(axis=(3, 5)) * share, np.full(spikes.shape, share)
    pooled, chosen = np.full_like(spikes[:, :, ::size, ::size], -1), np.zeros(spikes.shape, bool)
    at = [(slice(None), slice(None), slice(y, None, size), slice(x, None, size)) for y, x in np.ndindex(size, size)]
    for window in at:
        pooled = np.maximum(pooled, spikes[window])
    left = np.ones(pooled.shape, bool)
    for window in at:
        chosen[window] = left & (spikes[window] == pooled)
        left &= ~chosen[window]
    return pooled, chosen


def _largest(values: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The largest of every window of (T, B, Y, X, C), and which pixel of it that is first, in raster order."""
    pad, sides, stride = windows.padding, (windows.height, windows.size), windows.stride
    around = ((0, 0), (0, 0), (pad, pad), (pad, pad), (0, 0))
    values = np.pad(values, around, constant_values=-np.inf)
    found = np.lib.stride_tricks.sliding_window_view(values, sides, (2, 3))[:, :, ::stride, ::stride]
    flat = found.reshape(*found.shape[:5], -1)
    return flat.max(axis=-1), flat.argmax(axis=-1)


def _spread(errors: np.ndarray, trace: LayerTrace, layer: Layer) -> np.ndarray:
    """Errors of a layer's windows (T, B, Y, X, C), added where their pixels are the largest."""
    windows, (height, width, channels) = layer.windows, layer.pixels_shape
    assert windows is not None
    spread = np.zeros((*errors.shape[:2], height, width, channels), errors.dtype)
    down, along = np.divmod(trace.winners, windows.size)
    step, sample, y, x, channel = np.indices(errors.shape, sparse=True)
    y, x = (place * windows.stride - windows.padding + tap for place, tap in ((y, down), (x, along)))
    np.add.at(spread, (step, sample, y, x, channel), errors)
    return spread.swapaxes(3, 4).reshape(*spread.shape[:3], 1, -1) if layer.line > 1 else spread


def _im2col(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Inputs (N, Y, X, C) as rows of (tap, channel) per output position: (N, Y_out * X_out, taps * C)."""
    if layer.kind == "linear":
        return x.reshape(len(x), 1, -1)
    pad, stride = layer.padding, layer.stride
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (layer.kernel, layer.kernel), (1, 2))[:, ::stride, ::stride]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(x), -1, layer.fan_in)


def _col2im(d: np.ndarray, weights: np.ndarray, layer: Layer) -> np.ndarray:
    """Errors (N, Y_in, X_in, C_in) at the inputs of a layer with errors ``d`` (N, Y_out, X_out, C_out)."""
    if layer.kind == "linear":
        return d @ weights[0].T
    height, width, channels = layer.in_shape
    rows, columns, _ = layer.sum_shape
    pad, stride = layer.padding, layer.stride
    errors = np.zeros((len(d), height + 2 * pad, width + 2 * pad, channels), d.dtype)
    for tap in range(layer.taps):
        y, x = divmod(tap, layer.kernel)
        errors[:, y : y + stride * rows : stride, x : x + stride * columns : stride] += d @ weights[tap].T
    return errors[:, pad : pad + height, pad : pad + width]
