"""The fast twin: the training of the chip in float32 or float64, vectorised.

It is for accuracy curves and as an independent check of the golden model, never for comparison on bits.
"""

from dataclasses import dataclass, replace

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.batch_norm import POWER, backward_passes, forward_passes, frozen_passes, norm_numbers
from trident.hw.isa.charges import leak_program
from trident.hw.isa.dropout import POWERS
from trident.hw.isa.optimisers import KEPT, PRUNE, optimiser
from trident.hw.isa.standardise import RAW
from trident.sim.float_images import at_steps, col2im, im2col, largest, pool_windows, spread
from trident.sim.float_passes import run_passes
from trident.sim.float_standard import FloatStandardiser
from trident.sim.golden.drop import kept, layer_key
from trident.snn.data.encoding import plane_values
from trident.snn.network.groups import spread_groups, take_groups
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network, Tensors
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.readout import predicted
from trident.snn.train_settings import TrainSettings


@dataclass(frozen=True)
class LayerTrace:
    """What one layer keeps of a forward pass, all in the trainer's dtype with T first.

    ``columns``, of each of its parts (T * B, Y * X, taps * C_in), are its input spikes, one row per output position;
    ``spikes``, ``near``
    (whether a potential is within the window around the threshold) and ``potentials`` (T, B, Y, X, C) are of its
    neurons; ``pooled`` (T, B, Y, X, C): what the layers above read, and ``chosen`` (T, B, Y, X, C): the share of the
    errors there that each pixel has; ``outputs`` (B, Y * X * C): how often they fired, or what readouts say;
    ``normed`` (T, B, Y, X, C) and ``inverse`` (C,): with a norm, its normalised sums, and what those are multiplied by;
    ``winners`` (T, B, Y, X, C): of windows of sums or spikes, which pixel of each is the largest, in raster order;
    ``sums`` (T, B, Y, X, C): of the last timesteps computed, those that neurons and adds take.
    """

    columns: list[np.ndarray]
    spikes: np.ndarray
    near: np.ndarray
    potentials: np.ndarray
    pooled: np.ndarray
    chosen: np.ndarray
    outputs: np.ndarray
    normed: np.ndarray | None = None
    inverse: np.ndarray | None = None
    winners: np.ndarray | None = None
    sums: np.ndarray | None = None


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
            part.weight: FloatStandardiser(part, settings.prune > 0) for part in network.parts if part.standardised
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
        weights = {part.weight for part in self.network.parts}
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

    def begin(self, weights: Tensors, raw: Tensors):
        """Train on from these weights, those of layers behind a dropout as they are held for training, and from what
        lies beside them, floats by the names of parameters."""
        for name, values in weights.items():
            self.weights[name] = self._stored(np.asarray(values / self.network.held.get(name, 1.0), self.dtype))
        for name, values in raw.items():
            self.state[RAW][name] = self._stored(np.asarray(values, self.dtype))
        for name, standard in self._standard.items():
            self.weights[name] = self._stored(standard.weights(self.state[RAW][name]))

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
            normed = inverse = winners = None
            neuron, states, rows = self.neurons[layer.number], {}, []
            fired = np.zeros((timesteps, batch, *layer.out_shape), self.dtype)
            spikes_of = {None: samples, layer.number: fired} | {n: below.pooled for n, below in enumerate(traces)}
            made: dict[str, list[np.ndarray]] = {}
            for span in self._spans(layer):
                read = [sum(at_steps(spikes_of[source], span, -part.delay) for source in part.sources)
                        for part in layer.parts]  # fmt: skip
                rows.append([self._columns(part, own) for part, own in zip(layer.parts, read, strict=True)])
                x = sum(self._products(part, own, training) for part, own in zip(layer.parts, rows[-1], strict=True))
                x = x.reshape(-1, batch, *layer.sum_shape)
                if layer.norm:
                    normed, x, inverse = self._normalise(layer, x, training)
                if layer.line > 1:
                    x = x.reshape(*x.shape[:3], -1, layer.line).swapaxes(3, 4)
                if layer.window:
                    x, winners = largest(x, layer.window)
                x = sum((traces[number].sums for number in layer.adds), start=x)
                if not layer.fires:
                    continue
                found = neuron.programs[0].run(neuron.constants, states=states, x=x, **self._leak(layer, x))
                fired[span] = found.get("s", 0)
                for name, values in found.items():
                    made.setdefault(name, []).append(values)
            columns = [np.concatenate(own) for own in zip(*rows, strict=True)]
            found = {name: np.concatenate(values) for name, values in made.items()}
            outputs = found["z"][-1] if layer.readout else fired.sum(0)
            pooled, chosen = pool_windows(fired, layer.pool, layer.method)
            if layer.join:
                pooled, winners = largest(fired, layer.join)
            if layer.drop and training:
                pooled, chosen = self._drop(layer, pooled, chosen)
            traces.append(LayerTrace(
                columns, fired, found.get("m", np.zeros(fired.shape, bool)), found.get("u", fired),
                pooled, chosen, outputs.reshape(batch, -1), normed, inverse, winners, x,
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
        added: dict[int, np.ndarray] = {}  # by layer, at sums that others add
        for layer in reversed(layers):
            trace = traces[layer.number]
            above = [added[number] for number in self.network.adders[layer.number]]
            if layer.fires:
                d, own = self._neurons_back(layer, errors.pop(layer.number), trace)
                gradients |= own
                above.append(d)
            d = sum(above[1:], start=above[0])
            if layer.adds or layer.kept:
                added[layer.number] = d
            if layer.window:
                d = spread(d, trace.winners, layer)
            if layer.norm:
                d, own = self._normalise_back(layer, d, trace)
                gradients |= own
            sparsity[layer.number] = float((d == 0).mean())
            for part, columns in zip(layer.parts, trace.columns, strict=True):
                gradients |= {} if part.fixed else self._gradients_of(part, columns, d)
                read = [] if part.silent else [n for n in part.sources if n not in (None, layer.number)]
                sources = [own.number for source in read for own in layers if own.fired_by == source]
                if sources:
                    below = self._below(part, at_steps(d, slice(0, timesteps), part.delay))
                for source in sources:
                    errors[source] = errors.get(source, 0) + self._at_pixels(part, below, traces[source].pooled.shape)
        return gradients, sparsity

    def _neurons_back(self, layer: Layer, e: np.ndarray, trace: LayerTrace) -> tuple[np.ndarray, Tensors]:
        """Errors at the sums that a layer's neurons take (T, B, Y, X, C), from those at its spikes, and the gradients
        of leaks."""
        e = e.reshape(trace.pooled.shape)
        if layer.join:
            e = spread(e, trace.winners, layer)
        e = e.repeat(layer.pool, axis=2).repeat(layer.pool, axis=3) * trace.chosen
        neuron, states = self.neurons[layer.number], {}
        stored = {"s": trace.spikes != 0, "m": trace.near, "u": trace.potentials}
        constants = neuron.constants | {"penalty": neuron.penalty * self.settings.loss_scale}
        d, terms = np.zeros_like(e), np.zeros(layer.out_channels, self.dtype)
        for span in reversed(self._spans(layer)):
            own = e[span] + sum(
                self._below(part, at_steps(d, span, part.delay)).reshape(e[span].shape)
                for part in layer.branches if layer.number in part.sources
            )  # fmt: skip
            kept = {name: values[span] for name, values in stored.items()}
            made = neuron.programs[1].run(constants, states=states, e=own, **kept, **self._leak(layer, own))
            d[span] = made["dx"]
            if layer.learns:
                terms += made["g"].reshape(-1, layer.out_channels).sum(0)
        if not layer.learns:
            return d, {}
        return d, {layer.leak_name: np.full_like(terms, terms.sum()) if layer.shares_leak else terms}

    def _spans(self, layer: Layer) -> list[slice]:
        """Timesteps that a layer computes at once: one after another where it reads its own spikes."""
        steps = self.settings.timesteps
        return [slice(t, t + 1) for t in range(steps)] if layer.recurrent else [slice(0, steps)]

    @staticmethod
    def _columns(part: Layer, read: np.ndarray) -> np.ndarray:
        """What a part of a layer reads (T, B, Y, X, C) as rows, see :func:`im2col`."""
        if part.mean > 1:
            read = read.mean(axis=(2, 3))
        return im2col(read.reshape(-1, *part.in_shape), part)

    def _products(self, part: Layer, columns: np.ndarray, training: bool = True) -> np.ndarray:
        """A part's share of its layer's sums (T * B, Y * X, C), from the rows that it reads."""
        weights = self._weights_of(part, training)
        x = columns @ weights.reshape(-1, part.out_channels)
        return x + self.weights[part.bias_name] if part.bias else x

    def _below(self, part: Layer, d: np.ndarray) -> np.ndarray:
        """Errors at what a part of a layer reads (T * B, Y, X, C), from those at its sums (T, B, Y, X, C)."""
        return col2im(d.reshape(-1, *part.sum_shape), self._weights_of(part), part)

    def _weights_of(self, part: Layer, training: bool = True) -> np.ndarray:
        """A part's weights (taps, in, out), as those of a convolution that joins all channels; in training times what
        a spike counts for that a dropout has left."""
        own = part.fixed_weights.astype(self.dtype) if part.fixed else self.weights[part.weight]
        return spread_groups(own, part.conv_groups) * self.dtype.type(part.held if training else 1)

    @staticmethod
    def _at_pixels(part: Layer, below: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Errors at what a part reads as those of an image (T, B, Y, X, C); of a mean all pixels have the same."""
        if part.mean == 1:
            return below.reshape(shape)
        return np.broadcast_to(below.reshape(*shape[:2], 1, 1, -1) / part.mean**2, shape)

    def _gradients_of(self, part: Layer, columns: np.ndarray, d: np.ndarray) -> Tensors:
        """The gradients of a part's weights and biases, from the rows that it reads and the errors at its sums."""
        rows = d.reshape(-1, part.out_channels)
        gradient = columns.reshape(-1, columns.shape[-1]).T @ rows
        gradient = take_groups(gradient.reshape(part.taps, -1, part.out_channels), part.conv_groups)
        gradient *= self.dtype.type(part.held)
        if standard := self._standard.get(part.weight):
            gradient = standard.gradient(self.state[RAW][part.weight], self.weights[part.weight], gradient)
        return {part.weight: gradient} | ({part.bias_name: rows.sum(0)} if part.bias else {})

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
        left = kept(key, layer.drop, samples, layer.pooled_shape)
        left = left * self.dtype.type(2 ** POWERS.get(layer.drop, 0))  # of others readers' weights say it
        return pooled * left, chosen * left.repeat(layer.pool, axis=1).repeat(layer.pool, axis=2)

    def _leak(self, layer: Layer, x: np.ndarray) -> dict[str, np.ndarray]:
        """The leaks or thresholds of a layer that learns them, as its programs read them, in the shape of x
        (T, B, Y, X, C)."""
        if not layer.learns:
            return {}
        neuron = self.neurons[layer.number]
        found = leak_program(neuron.charge).run(neuron.constants, w=self.weights[layer.leak_name][None])["leak"]
        return {layer.learned: np.broadcast_to(found, x.shape)}

    def _normalise(self, layer: Layer, x: np.ndarray, training: bool) -> tuple[np.ndarray, ...]:
        """z and y of x (T, B, Y, X, C), and what z was multiplied by; in training, running values follow."""
        assert layer.norm is not None
        gain, offset, raw = layer.norm.gain, layer.norm.offset, self.state[RAW]
        moving = training and not layer.norm.frozen
        numbers = norm_numbers(x[..., 0].size, layer.norm.epsilon, layer.norm.momentum)
        given = {
            "x": x.reshape(-1, 1, x.shape[-1]), "gain": self.weights[gain], "offset": self.weights[offset],
            "running_variance": raw[gain], "running_mean": raw[offset],
        }  # fmt: skip
        found = run_passes(forward_passes() if moving else frozen_passes(), given, numbers, int(numbers[POWER]))
        if moving:
            raw[gain], raw[offset] = self._stored(found["running_variance"]), self._stored(found["running_mean"])
        return found["z"].reshape(x.shape), found["y"].reshape(x.shape), found["inverse"]

    def _normalise_back(self, layer: Layer, d: np.ndarray, trace: LayerTrace) -> tuple[np.ndarray, Tensors]:
        """Errors at x from those at y, both (T, B, Y, X, C), and the gradients of gain and offset by name."""
        assert layer.norm is not None and trace.normed is not None and trace.inverse is not None
        numbers = norm_numbers(d[..., 0].size, layer.norm.epsilon, layer.norm.momentum, layer.norm.frozen)
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
