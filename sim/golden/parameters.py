"""Golden parameters: what cores keep of a network from minibatch to minibatch, and its update."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.optimisers import kept_names
from trident.hw.isa.spaces import Space, kept_spaces
from trident.hw.isa.vector_program import Program
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.reduce import reduce
from trident.sim.golden.standardise import Standardiser
from trident.sim.golden.sums import Sums
from trident.sim.golden.tie import tie
from trident.sim.golden.vector import run_program
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network, Tensors
from trident.snn.network.partition import Partition


def initial_bits(network: Network, seed: int, fmt: FloatFormat) -> Tensors:
    """The parameters that a run starts with, as raw bits."""
    initial = network.initial_weights(seed)
    return {name: to_bits(value * network.held.get(name, 1.0), fmt) for name, value in initial.items()}


def tested_bits(weights: np.ndarray, held: float, fmt: FloatFormat) -> np.ndarray:
    """Of weights that are held for training, times a factor, those of inference, all as raw bits: rounded once."""
    return to_bits(to_values(weights, fmt).astype(np.float64) / held, fmt)


class GoldenParameters:
    """The parameters of ``network`` on the cores of ``partition``, bit for bit.

    ``weights``, ``raw``, ``kept`` (momenta and the like) and, per replica, ``gradients`` hold parameters by name:
    values of the format in a wider NumPy type, or, of exact gradients, sums in float64. Weights, and what belongs to
    them, are those held for training, see :attr:`Layer.held`. ``faults`` has per logical core
    the bits of :class:`Fault` raised since the last minibatch began. ``minibatch`` is the number of the next one, which
    with ``seed`` decides what dropout drops.
    """

    def __init__(self, network: Network, cfg: CoreConfig, seed: int, partition: Partition):
        self.network, self.cfg, self.partition = network, cfg, partition
        self.seed, self.minibatch = seed, 0
        self.slices = [partition.slices(layer.number, network) for layer in network.layers]
        self.fmt = cfg.format
        self.sums = Sums(self.fmt, cfg.fixed)
        self.gradient_sums = Sums(self.fmt, cfg.fixed_of("weight_grad"))
        self.dtype = self.sums.dtype
        self.faults = np.zeros(partition.cores, np.int64)
        initial = initial_bits(network, seed, self.fmt)
        self.weights: Tensors = {name: self._values(bits) for name, bits in initial.items()}
        self._update = cfg.update_program
        self._standard = {part.weight: Standardiser(part, cfg) for part in network.parts if part.standardised}
        # By name, what standardised weights are made of, running means and variances, and 0 for other parameters
        self.raw: Tensors = {name: np.zeros_like(value) for name, value in self.weights.items()}
        for norm in network.norms:
            self.raw[norm.gain][:] = 1
        for name, standard in self._standard.items():
            self.raw[name] = self.weights[name]
            self.weights[name] = standard.weights(self.raw[name])[0]
        # What the optimiser keeps, by the name of its memory
        self.kept: dict[Space, Tensors] = {
            space: {name: np.zeros_like(value) for name, value in self.weights.items()} for space in kept_spaces(cfg)
        }
        self.gradients: list[Tensors] = [
            {name: np.zeros_like(value, np.float64 if cfg.exact else None) for name, value in self.weights.items()}
            for _ in range(partition.replicas)
        ]
        self._columns: dict[tuple[str, int], np.ndarray] = {}  # of weights, until these change
        self._too_large = False  # a gradient of the last update, for a float

    def _values(self, bits):
        return to_values(bits, self.fmt).astype(self.dtype)

    def _run(self, program: Program, constants: dict, *arrays: np.ndarray, states: dict | None = None) -> np.ndarray:
        return run_program(program, self.sums, self.cfg.multiplier_subnormals, constants, *arrays, states=states)

    def bits(self, space: Space, replica: int = 0) -> Tensors:
        """Weights, momenta, or the gradients of a replica, as raw bits; exact gradients as int64 sums."""
        exact = space == Space.GRADIENTS and self.cfg.exact
        return {
            name: self.gradient_sums.bits(values) if exact else to_bits(values, self.fmt)
            for name, values in self._tensors(space, replica).items()
        }

    def load(self, space: Space, bits: Tensors):
        """Take weights, momenta, or the gradients of every replica, as :meth:`bits` gives them; between minibatches."""
        exact = space == Space.GRADIENTS and self.cfg.exact
        for replica in range(self.partition.replicas if space == Space.GRADIENTS else 1):
            for name, values in self._tensors(space, replica).items():
                values[:] = self.gradient_sums.of_bits(bits[name]) if exact else to_values(bits[name], self.fmt)
        self._columns = {}

    def begin(self, start: dict[Space, Tensors]):
        """Train on from these weights, raw bits as of :meth:`bits`, and from what lies beside them; standardised ones
        are made of that."""
        for space, bits in start.items():
            self.load(space, bits)
        for name, standard in self._standard.items():
            self.weights[name] = standard.weights(self.raw[name])[0]

    def _tensors(self, space: Space, replica: int) -> Tensors:
        if space == Space.GRADIENTS:
            return self.gradients[replica]
        return {Space.WEIGHTS: self.weights, Space.RAW: self.raw}.get(space) or self.kept[space]

    @property
    def overflowed(self) -> bool:
        """A gradient of any core is infinite or not a number: no core updates its weights."""
        return bool((self.faults & GRADIENT_FAULTS).any())

    @property
    def zero_weights(self) -> list[float]:
        """Of every layer the share of its weights that are 0, without biases, gains and offsets."""
        weights = [self._trained(layer) for layer in self.network.layers]
        return [float((own == 0).mean()) if own.size else 0.0 for own in weights]

    @property
    def zero_share(self) -> float:
        """The same of all layers together."""
        sizes = [self._trained(layer).size for layer in self.network.layers]
        return float(np.average(self.zero_weights, weights=sizes))

    def _trained(self, layer: Layer) -> np.ndarray:
        """All weights of a layer that are trained."""
        return np.concatenate([np.empty(0), *(self.weights[p.weight].ravel() for p in layer.parts if not p.fixed)])

    @property
    def moments_overflowed(self) -> bool:
        """What the optimiser keeps has become infinite or not a number, though every gradient of the last update was a
        float."""
        kept = (values for tensors in self.kept.values() for values in tensors.values())
        return not self._too_large and not all(np.isfinite(values).all() for values in kept)

    def _flag(self, fault: Fault, n: int, found: np.ndarray, replicas: np.ndarray):
        """Note a fault of layer n: ``found``, bool (N, channel), of samples that run on ``replicas`` (N,)."""
        if found.any():
            for member, first, end in self.slices[n]:
                for replica in np.unique(replicas[found[:, first:end].any(axis=1)]):
                    self.faults[replica * self.partition.members + member] |= 1 << fault

    def reduce(self):
        """Sum the gradients of all replicas, in ascending order; every replica then has the sum."""
        for layer, name in self._each_tensor():
            parts = [own[name] for own in self.gradients]
            for replica in range(1, len(parts)):
                if self.cfg.exact:
                    parts[replica] += parts[replica - 1]
                    continue
                parts[replica][:], fault = reduce(parts[replica], parts[replica - 1], self.sums)
                fault = fault.reshape(-1, layer.out_channels).any(axis=0)
                self._flag(Fault.WEIGHT_GRAD, layer.number, fault[None], np.array([replica]))
            for part in parts[:-1]:
                part[:] = parts[-1]

    def _each_tensor(self) -> list[tuple[Layer, str]]:
        """The names of all parameters, with the parts of layers that have them."""
        return [(part, name) for part in self.network.parts for name in part.parameters]

    def update(self, constants: UpdateConstants):
        """Sum the gradients of the replicas, apply them and clear them; after an overflow only clear them."""
        self.reduce()
        skip, self._too_large = self.overflowed, False
        of_vectors = constants.of_vectors.values(self._update, self.fmt)
        of_weights = {
            held: constants.held(held, self._update, self.fmt).values(self._update, self.fmt)
            for held in {part.held for part in self.network.parts}
        }  # fmt: skip
        for layer, name in self._each_tensor():
            numbers = of_weights[layer.held] if name == layer.weight else of_vectors
            weights, gradients = self.weights[name], self.gradients[-1][name]
            kept = [tensors[name] for tensors in self.kept.values()]
            if layer.shares_leak and name == layer.leak_name:
                gradients = tie(gradients)
            if not skip:
                too_large = np.zeros(gradients.shape, bool)
                if self.cfg.exact:
                    gradients, too_large = self.gradient_sums.saturate(gradients)
                    self._too_large |= bool(too_large.any())
                fault = too_large.reshape(-1, layer.out_channels).any(axis=0)
                if name in self._standard:
                    own = dict(zip(kept_names(self._update), kept, strict=True))
                    fault |= self._standard[name].update(self.raw[name], weights, own, gradients, numbers)
                else:
                    fault |= self._step(numbers, gradients, kept, weights)
                replicas = np.arange(self.partition.replicas)
                self._flag(Fault.UPDATE, layer.number, np.tile(fault, (len(replicas), 1)), replicas)
            for own in self.gradients:
                own[name][:] = 0
        self._columns = {}
        self.minibatch += 1

    def _step(self, numbers: dict, gradients: np.ndarray, kept: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """The optimiser's step for parameters (..., out), in place; returns the faults of the channels."""
        before = gradients, *(array.copy() for array in (*kept, weights))
        # Parameters where timesteps are: that is the innermost loop
        arrays = (array.reshape(1, -1, 1) for array in (*before, *kept, weights))
        fault = self._run(self._update, numbers, *arrays)
        if fault.any():  # of which channels?
            arrays = (array.reshape(1, -1, weights.shape[-1]) for array in (*before, *kept, weights))
            return self._run(self._update, numbers, *arrays)[0]
        return fault[0]
