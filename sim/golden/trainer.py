"""The golden trainer: a spiking network trained in the arithmetic of the hardware."""

from collections.abc import Iterator
from dataclasses import fields
from functools import reduce

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.sim.golden.addition import addition
from trident.sim.golden.constants import NeuronConstants, neuron_values, penalty_value
from trident.sim.golden.drop import drop, kept, layer_key
from trident.sim.golden.engines import GoldenEngines
from trident.sim.golden.join import join
from trident.sim.golden.leak import Leaks
from trident.sim.golden.loss import LossConstants, loss_errors, loss_table, spread_votes
from trident.sim.golden.norm import BatchNorm
from trident.sim.golden.pool import count, pool, spread
from trident.sim.golden.softmax import softmax_errors
from trident.sim.golden.spread import spread_errors
from trident.sim.golden.trace import Trace, at_steps
from trident.sim.golden.window import as_line, largest, of_line
from trident.snn.losses import Loss, usual_loss
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

AT_ONCE = 32  # samples whose arrays are held at a time


def _by_position(array: np.ndarray) -> np.ndarray:
    """(N, y, x, T, channel) as (positions of all samples, T, channel)."""
    return np.ascontiguousarray(array).reshape(-1, *array.shape[-2:])


def _by_sample(fault: np.ndarray, samples: int) -> np.ndarray:
    """Whether any position of a sample has a fault: (positions of all samples, channel) to (N, channel)."""
    return fault.reshape(samples, -1, fault.shape[-1]).any(axis=1)


class GoldenTrainer(GoldenEngines):
    """Bit-exact model of the cores that train ``network``; without a partition, of one core. ``engines``: numpy or
    torch, what computes the sums of the engines; the bits are the same.

    Parameters are those of :class:`GoldenParameters`. Spikes are uint8 (N, T, y, x, channel); sample n of a minibatch
    is on replica n modulo their count. Every replica has the same weights.

    With exact gradients, the partition changes no weight, only whose a fault is and which replica has which part of the
    gradients. Otherwise sums are exact within a core and a sample; what several cores or samples add up is rounded from
    one to the next, in their order.
    """

    def __init__(
        self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, seed: int = 0,
        partition: Partition | None = None, engines: str = "numpy", loss: Loss | None = None,
    ):  # fmt: skip
        super().__init__(network, cfg, seed, partition or Partition.single(network), engines)
        self.loss = loss or usual_loss(cfg.loss, 1 if cfg.soft_targets else cfg.loss_tables)
        self.constants = NeuronConstants.of_network(network, neuron, cfg)
        neurons = [neuron.at(layer, cfg.steps) for layer in network.layers]
        self._neurons = neurons  # by layer
        self._programs = [own.programs for own in neurons]
        self._numbers = [neuron_values(own, self.fmt) for own in neurons]
        self._norms = {layer.number: BatchNorm(layer, cfg) for layer in network.layers if layer.norm}
        self._leaks = {layer.number: Leaks(neurons[layer.number], cfg) for layer in network.layers if layer.learns}

    def _forward_pass(self, spikes: np.ndarray, replicas: np.ndarray, training: bool, first: int = 0) -> Trace:
        """Forward pass of samples (N, T, y, x, c), each on its replica, in ``training`` a whole minibatch where there
        is a norm; ``first``: the number of the first in its minibatch. The trace has no errors yet."""
        trace = Trace(*([] for _ in fields(Trace)))
        samples = np.ascontiguousarray(spikes.transpose(0, 2, 3, 1, 4))
        steps = self.cfg.steps
        for n, layer in enumerate(self.network.layers):
            program, states = self._programs[n][0], {}
            shape = (len(samples), *layer.out_shape[:2], steps, layer.out_shape[2])
            found = {"s": np.zeros(shape, np.uint8), "m": np.zeros(shape, np.uint8)}
            found |= {name: np.zeros(shape, self.dtype) for name in program.outputs if name not in found}
            trace.spikes.append(found["s"])
            trace.masks.append(found["m"])
            trace.potentials.append(found["u"])
            trace.pooled.append(found["s"])
            trace.normed.append(np.empty((len(samples), 0)))
            trace.winners.append(np.empty((len(samples), 0)))
            trace.sums.append(np.empty((len(samples), 0)))
            read: list[list[np.ndarray]] = [[] for _ in layer.parts]
            for first_step, end in self._spans(layer):
                added = []
                for part, own in zip(layer.parts, read, strict=True):
                    reads = part.reads if training else tuple(one.tested for one in part.reads)
                    own.append(self._read(part, reads, samples, trace, first_step, end))
                    added.append(self._add_up(part, reads, own[-1], layer.forward_terms))
                sums, faults = zip(*added, strict=True)
                x, fault = self.sums.rounded(reduce(np.add, sums), reduce(np.logical_or, faults))
                self._flag(Fault.FORWARD, n, fault, replicas)
                if norm := self._norms.get(n):
                    trace.normed[n], x, fault = norm.forward(x, self.weights, self.raw, training)
                    self._flag(Fault.NEURON, n, fault, replicas)
                if layer.line > 1:
                    x = as_line(x, layer.line)
                if layer.window:
                    x, trace.winners[n] = largest(x, layer.window, self.fmt)
                for number in layer.adds:
                    x = self._sum(Fault.NEURON, n, x, trace.sums[number], replicas)
                if layer.kept:
                    trace.sums[n] = x
                if not layer.fires:
                    continue
                fired = [np.empty(x.shape, found[name].dtype) for name in program.outputs]
                arrays = map(_by_position, (x, *self._leak(layer, x, replicas), *fired))
                fault = self._run(program, self._numbers[n], *arrays, states=states)
                self._flag(Fault.NEURON, n, _by_sample(fault, len(x)), replicas)
                for name, values in zip(program.outputs, fired, strict=True):
                    found[name][..., first_step:end, :] = values
            trace.inputs += [np.concatenate(own, axis=-2) if len(own) > 1 else own[0] for own in read]
            if layer.out_planes:
                trace.pooled[n] = count(found["s"], layer.pool)
            elif layer.pool > 1:
                trace.pooled[n], trace.masks[n] = pool(found["s"], found["m"], layer.pool)
            elif layer.join:
                trace.pooled[n], trace.winners[n] = join(found["s"], layer.join)
            if layer.drop and training:
                key, numbers = layer_key(self.seed, self.minibatch, n), np.arange(first, first + len(samples))
                left = kept(key, layer.drop, numbers, layer.pooled_shape)
                trace.pooled[n], trace.masks[n] = drop(trace.pooled[n], trace.masks[n], left, layer.pool)
        outputs = found["z"][..., -1, :] if layer.readout else found["s"].sum(axis=-2, dtype=np.int64)
        outputs = outputs.reshape(len(samples), -1)
        if layer.voters > 1:
            outputs = outputs.reshape(len(samples), -1, layer.voters).sum(axis=2)
        trace.outputs.append(outputs)
        return trace

    def _sum(self, fault: Fault, n: int, a: np.ndarray, b: np.ndarray, replicas: np.ndarray) -> np.ndarray:
        """Sums of layer n, or the errors at them, and others; a result that is infinite is a ``fault``."""
        total, found = addition(*map(_by_position, (a, b)), self.sums, self.cfg.multiplier_subnormals)
        self._flag(fault, n, _by_sample(found, len(a)), replicas)
        return total.reshape(a.shape)

    def _spans(self, layer: Layer) -> list[tuple[int, int]]:
        """First timestep and end of what a layer computes at once: one after another where it reads its own spikes."""
        steps = self.cfg.steps
        return [(t, t + 1) for t in range(steps)] if layer.recurrent else [(0, steps)]

    def _leak(self, layer: Layer, x: np.ndarray, replicas: np.ndarray) -> tuple[np.ndarray, ...]:
        """The leaks of a layer that learns them, in the shape of its sums (N, y, x, T, channel)."""
        if layer.number not in self._leaks:
            return ()
        leak, fault = self._leaks[layer.number].of(self.weights[layer.leak_name])
        self._flag(Fault.NEURON, layer.number, fault[None], np.unique(replicas))
        return (np.broadcast_to(leak, x.shape),)

    def counts(self, trace: Trace) -> np.ndarray:
        """Spikes that each class fired, or what its readout says, (N, classes); of the trace of one sample
        (classes,)."""
        return trace.outputs[0]

    def _backward_pass(
        self, trace: Trace, labels: np.ndarray, loss: LossConstants, replicas: np.ndarray, minibatch: int
    ):
        """Loss, backward and weight gradients of samples of a minibatch of so many; fills in the trace's errors."""
        layers, top = self.network.layers, trace.spikes[-1]
        if self.loss.by_step:  # outputs are the potentials of every timestep
            potentials = trace.potentials[-1]
            rows = potentials.reshape(-1, potentials.shape[-1])
            found, fault = softmax_errors(rows, np.repeat(labels, self.cfg.steps), loss.table, self.cfg)
            found = found.reshape(potentials.shape)
            self._flag(Fault.NEURON_GRAD, layers[-1].number, _by_sample(fault, len(top)), replicas)
        elif self.loss.softmax:
            found, fault = softmax_errors(trace.outputs[0], labels, loss.table, self.cfg)
            fault = spread_votes(fault, top).any(axis=(1, 2, 3))
            self._flag(Fault.NEURON_GRAD, layers[-1].number, fault, replicas)
            found = spread_votes(found, top)
        else:
            found = spread_votes(self._values(loss_errors(trace.outputs[0], labels, loss.table)), top)
        trace.errors = [np.empty(0)] * len(layers)
        trace.leak_terms = [np.empty((len(top), 0), self.dtype)] * len(layers)
        trace.added = [np.empty((len(top), 0), self.dtype)] * len(layers)
        for layer in reversed(layers):
            n, states = layer.number, {}
            trace.errors[n] = np.zeros(trace.spikes[n].shape, self.dtype)
            if layer.learns:
                trace.leak_terms[n] = np.zeros_like(trace.errors[n])
            for first, end in reversed(self._spans(layer)) if layer.fires else ():
                if not layer.last:
                    found = self._error_below(trace, n, replicas, first, end)
                if layer.pool > 1:
                    found = spread(found, layer.pool)
                if layer.join:
                    found = self._spread(trace, layer, found, replicas, first, end)
                self._fill_errors(trace, layer, found, replicas, loss.scale, states, first, end)
            above = [trace.added[number] for number in self.network.adders[n]]
            if not layer.fires:
                trace.errors[n], *above = above
            for errors in above:
                trace.errors[n] = self._sum(Fault.NEURON_GRAD, n, trace.errors[n], errors, replicas)
            if layer.adds or layer.kept:
                trace.added[n] = trace.errors[n]
            if layer.window:
                trace.errors[n] = self._spread(trace, layer, trace.errors[n], replicas, 0, self.cfg.steps)
            if norm := self._norms.get(n):
                trace.errors[n], gradients, fault = norm.backward(trace.errors[n], trace.normed[n], self.weights)
                for name, gradient in gradients.items():
                    exact, wrong = self.gradient_sums.terms(gradient)
                    fault |= wrong
                    self.gradients[0][name] += exact if self.cfg.exact else np.where(wrong, 0, gradient)
                self._flag(Fault.NEURON_GRAD, n, fault, replicas)
            self._add_gradients(trace, layer, replicas, minibatch)

    def train(
        self, spikes: np.ndarray, labels: np.ndarray, loss: LossConstants, at_once: int = AT_ONCE
    ) -> Iterator[Trace]:
        """The samples of a minibatch, uint8 (N, T, y, x, c), forward and back, without the update; ``loss``: see
        :meth:`loss_constants`. Traces of ``at_once`` samples, with a batch norm of all; faults and gradients are those
        so far."""
        for part, replicas in self._parts(len(spikes), len(spikes) if self._norms else at_once):
            trace = self._forward_pass(spikes[part], replicas, training=True, first=part.start)
            self._backward_pass(trace, labels[part], loss, replicas, len(spikes))
            yield trace

    def infer(self, spikes: np.ndarray, at_once: int = AT_ONCE) -> Iterator[Trace]:
        """As :meth:`train`, but only the forward pass."""
        for part, replicas in self._parts(len(spikes), at_once):
            yield self._forward_pass(spikes[part], replicas, training=False)

    def _parts(self, samples: int, at_once: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Begin a minibatch: its samples, some at a time, and the replica of each."""
        self.faults[:] = 0
        for first in range(0, samples, at_once):
            part = slice(first, min(first + at_once, samples))
            yield part, np.arange(part.start, part.stop) % self.partition.replicas

    def counts_of(self, traces: Iterator[Trace]) -> np.ndarray:
        """Spikes that each class fired, or what its readout says, (N, classes), of all samples of :meth:`train` or
        :meth:`infer`."""
        return np.concatenate([self.counts(trace) for trace in traces])

    def _add_gradients(self, trace: Trace, layer: Layer, replicas: np.ndarray, minibatch: int):
        """Add the samples' gradients to those of their replicas: exact sums, or every sample's, one rounding each."""
        terms = layer.gradient_terms(self.cfg.steps)
        step = self.partition.replicas if self.cfg.exact else len(replicas)
        if self.cfg.exact:
            terms *= minibatch
        for chosen in (slice(first, None, step) for first in range(min(step, len(replicas)))):
            replica = replicas[chosen][:1]
            own = self.gradients[replica[0]]
            errors = np.ascontiguousarray(trace.errors[layer.number][chosen])
            for part in (part for part in layer.parts if not part.fixed):
                inputs = trace.inputs[self.network.parts.index(part)][chosen]
                fault = self._add_own(own, part, inputs, errors, terms)
                self._flag(Fault.WEIGHT_GRAD, layer.number, fault[None], replica)
            if layer.learns:
                terms_of_leaks = layer.leak_terms(self.cfg.steps) * minibatch
                usable, large = self.gradient_sums.terms(trace.leak_terms[layer.number][chosen], terms_of_leaks)
                own[layer.leak_name] += usable.sum(axis=(0, 1, 2, 3))
                self._flag(Fault.WEIGHT_GRAD, layer.number, large.any(axis=(0, 1, 2, 3))[None], replica)

    def _fill_errors(
        self, trace: Trace, layer: Layer, error: np.ndarray, replicas: np.ndarray, scale: float, states: dict,
        first: int, end: int,
    ):  # fmt: skip
        """Errors at a layer's sums from those at its spikes, and the terms of its leaks, of the timesteps from
        ``first`` up to ``end``; ``states``: of the program, that the later ones have left."""
        n = layer.number
        stored = (at_steps(kept, first, end) for kept in (trace.spikes[n], trace.masks[n], trace.potentials[n]))
        filled = [trace.errors[n], *([trace.leak_terms[n]] if layer.learns else [])]
        made = [np.empty(error.shape, self.dtype) for _ in filled]
        arrays = map(_by_position, (error, *stored, *self._leak(layer, error, replicas), *made))
        numbers = self._numbers[n] | {"penalty": penalty_value(self._neurons[n], scale, self.fmt)}
        fault = self._run(self._programs[n][1], numbers, *arrays, states=states)
        self._flag(Fault.NEURON_GRAD, n, _by_sample(fault, len(error)), replicas)
        for array, values in zip(filled, made, strict=True):
            array[..., first:end, :] = values

    def _spread(
        self, trace: Trace, layer: Layer, errors: np.ndarray, replicas: np.ndarray, first: int, end: int
    ) -> np.ndarray:
        """Errors of a layer's windows, of the timesteps from ``first`` up to ``end``, at the pixels that are the
        largest of them."""
        assert layer.windows is not None
        sums, winners = self.sums if self.cfg.overlap else None, at_steps(trace.winners[layer.number], first, end)
        found, fault = spread_errors(errors, winners, layer.windows, layer.pixels_shape, sums)
        self._flag(Fault.BACKWARD, layer.number, np.repeat(fault[:, None], layer.out_channels, axis=1), replicas)
        return of_line(found) if layer.line > 1 else found

    def loss_constants(self, scale: float, wanted: np.ndarray | None = None) -> LossConstants:
        """What errors of this network begin with at a loss scale; with what is ``wanted`` of every class of each sample
        of a minibatch, (N, classes), the samples' labels are their numbers. A core that takes soft targets has those of
        every label where none are given."""
        if wanted is None and self.cfg.soft_targets:
            wanted = self.loss.wanted(np.arange(self.network.classes), self.network.classes)
        most = self.network.most_spikes(self.cfg.steps)
        return LossConstants(loss_table(most, self.network.classes, scale, self.fmt, self.loss, wanted), scale)
