"""Golden engines: the sums of a network's layers, of their errors and of their gradients."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.registry import PLACES
from trident.hw.isa.registry import load as load_kernel
from trident.sim.golden.format import to_bits
from trident.sim.golden.parameters import GoldenParameters, tested_bits
from trident.sim.golden.planes import count_terms, forward_planes, weight_grad_plane, weight_grad_planes
from trident.sim.golden.trace import Trace, at_steps
from trident.snn.network.groups import inputs_of, of_groups, together
from trident.snn.network.layers import Layer, Read
from trident.snn.network.network import Network, Tensors
from trident.snn.network.partition import Partition


def golden_engines(cfg: CoreConfig, engines: str) -> dict:
    """By place, what computes the sums of a core's engines: numpy or torch.

    PyTorch is loaded only where it is asked for. Raises what :func:`on_torch.engines` raises.
    """
    if engines == "torch":
        from trident.sim.golden.on_torch import engines as on_torch

        return on_torch(cfg)
    return {place: load_kernel(cfg.engine(place).golden) for place in PLACES}


class GoldenEngines(GoldenParameters):
    """What the engines of the cores compute of ``network``, sample by sample; ``engines``: see :func:`golden_engines`;
    the other parameters are those of :class:`GoldenParameters`."""

    def __init__(self, network: Network, cfg: CoreConfig, seed: int, partition: Partition, engines: str):
        super().__init__(network, cfg, seed, partition)
        kernels = golden_engines(cfg, engines)
        self._forward, self._backward, self._weight_grad = map(kernels.get, ("forward", "backward", "weight_grad"))
        self._no_bias = {part.bias_name: np.zeros(part.out_channels, self.dtype) for part in network.parts}
        self._fixed = {
            part.weight: part.fixed_weights.astype(self.dtype) for part in network.parts if part.fixed
        }  # fmt: skip

    def _read(
        self, part: Layer, reads: tuple[Read, ...], samples: np.ndarray, trace: Trace, first: int, end: int
    ) -> np.ndarray:
        """What a part of a layer reads for sums of these timesteps, (N, y, x, T, in), each read's channels behind those
        of the last."""
        read = [at_steps(self._spikes_of(own, samples, trace), first - own.delay, end - own.delay) for own in reads]
        if part.kind == "linear":  # flattened in (y, x, c) order
            read = [array.transpose(0, 3, 1, 2, 4).reshape(len(array), 1, 1, end - first, -1) for array in read]
        return np.concatenate(read, axis=-1)

    def _add_up(
        self, part: Layer, reads: tuple[Read, ...], inputs: np.ndarray, terms: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A part's share of its layer's sums, exact, and its faults (N, out); ``terms``: of all parts."""
        weights, biases = self._weights_of(part), self._bias(self.weights, part)
        if reads[0].held != part.held:
            weights = self._values(tested_bits(to_bits(weights, self.fmt), part.held, self.fmt))
        # Which all reads have in common, and of a mean all pixels
        rows = [np.tile(count_terms(weights, own.count, self.sums), (1, own.mean**2, 1)) for own in reads]
        found = []
        groups = inputs_of(inputs, part, len(reads)), of_groups(np.concatenate(rows, axis=1), part)
        for spikes, own_rows, own_biases in zip(*groups, of_groups(biases, part), strict=True):
            given = spikes, own_rows, own_biases, part.bias, part.kernel, terms
            if part.planes:
                found.append(forward_planes(self._forward, *given, part.planes, self.sums))
            else:
                found.append(self._forward(*given, self.sums))
        sums, faults = map(together, zip(*found, strict=True))
        return sums, faults

    def _spikes_of(self, read: Read, samples: np.ndarray, trace: Trace) -> np.ndarray:
        """What a layer reads of the samples or of another layer: planes lie channel by channel beside each other."""
        array = samples if read.source is None else trace.pooled[read.source]
        return array if read.planes is None else np.split(array, read.planes.words, axis=-1)[read.plane]

    def _bias(self, tensors: Tensors, layer: Layer) -> np.ndarray:
        """A layer's biases; zeros, which are not used, where it has none."""
        return tensors.get(layer.bias_name, self._no_bias[layer.bias_name])

    def _weights_of(self, part: Layer) -> np.ndarray:
        """A part's weights (taps, in, out)."""
        return self._fixed[part.weight] if part.fixed else self.weights[part.weight]

    def _error_below(self, trace: Trace, n: int, replicas: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Errors at the spikes of layer n, from timestep ``start`` up to ``stop``, through the weights of all parts of
        layers that read them: the exact sum of those and of their slices or, where sums do not travel between cores,
        each slice's added to what the slice before has rounded."""
        readers, total = self.network.spike_readers[n], None
        parts = [(reader, *part) for reader in readers for part in self.slices[reader.number]]
        before = np.zeros(())  # what those before have summed
        for number, (reader, member, first, end) in enumerate(parts, 1):
            errors = at_steps(trace.errors[reader.number], start + reader.delay, stop + reader.delay)
            columns = np.split(self._transposed(reader, first, end), reader.conv_groups, axis=1)
            found = [
                self._backward(
                    np.ascontiguousarray(own), np.ascontiguousarray(column), reader.kernel, reader.in_shape[:2],
                    self.cfg.multiplier_subnormals, self.network.error_terms(n), self.sums, 1 / reader.mean**2,
                )
                for own, column in zip(of_groups(errors[..., first:end], reader), columns, strict=True)
            ]  # fmt: skip
            exact, fault = together([e for e, _ in found]), np.any([wrong for _, wrong in found], axis=0)
            if reader.kind == "linear":  # back to the image that was flattened, or to all pixels
                y, x, channels = reader.image
                exact = exact.reshape(len(exact), -1, y, x, channels).transpose(0, 2, 3, 1, 4)
                exact = exact.repeat(reader.mean, axis=1).repeat(reader.mean, axis=2)
            exact = exact + before
            if number < len(parts) and (self.cfg.exact or parts[number][1] == member):
                before = exact
            else:
                total, wrong = self.sums.add(np.zeros_like(exact, self.dtype) if total is None else total, exact)
                fault, before = fault | wrong.any(axis=(1, 2, 3, 4)), np.zeros(())
            for replica in np.unique(replicas[fault]):
                self.faults[replica * self.partition.members + member] |= 1 << Fault.BACKWARD
        assert total is not None  # somebody reads it
        return total

    def _add_own(self, own: Tensors, part: Layer, inputs: np.ndarray, errors: np.ndarray, terms: int) -> np.ndarray:
        """Add to the gradients ``own`` of a replica those of a part of a layer; returns its faults (out,)."""
        faults = np.zeros(part.out_channels, bool)
        for n, (spikes, read) in enumerate(zip(np.split(inputs, len(part.reads), axis=-1), part.reads, strict=True)):
            found = []
            for own_spikes, own_errors in zip(inputs_of(spikes, part), of_groups(errors, part), strict=True):
                given = (  # with biases beside the first
                    np.ascontiguousarray(own_spikes), np.ascontiguousarray(own_errors), part.bias and not n,
                    part.kernel, terms,
                )  # fmt: skip
                if part.planes:
                    found.append(weight_grad_planes(self._weight_grad, *given, part.planes, self.gradient_sums))
                else:
                    found.append(weight_grad_plane(self._weight_grad, *given, read.count, self.gradient_sums))
            *sums, fault = map(together, zip(*found, strict=True))
            if part.mean > 1:  # all pixels have the same weights
                sums[0] = sums[0].reshape(part.mean**2, *part.weight_shape[1:]).sum(axis=0, keepdims=True)
            for name, added in zip((part.weight, part.bias_name)[: 1 if n else 2], sums, strict=False):
                if name in own and self.cfg.exact:
                    own[name] += added
                elif name in own:
                    own[name][:], wrong = self.sums.accumulate(own[name], added)
                    fault = fault | wrong.reshape(-1, part.out_channels).any(axis=0)
            faults |= fault
        return faults

    def _transposed(self, layer: Layer, first: int, end: int) -> np.ndarray:
        """Columns of a slice of a layer's weights; they change only with an update."""
        key = layer.weight, first
        if key not in self._columns:
            weights = self._weights_of(layer)[..., first:end]
            self._columns[key] = np.ascontiguousarray(weights.transpose(0, 2, 1))
        return self._columns[key]
