"""What a network does on data: the exact spikes and errors of a few samples, for statistics and the cost model."""

from dataclasses import dataclass, field

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.data.dataset import Dataset
from trident.snn.data.encoding import encode
from trident.snn.losses import Loss
from trident.snn.network.network import Network, Tensors
from trident.snn.neuron_settings import NeuronSettings

LOSS_SCALE = 256


@dataclass(frozen=True)
class LayerActivity:
    """What one layer read and made of some samples.

    inputs : uint8 (N, y, x, T, c), the spikes that it reads (linear: flattened, y = x = 1); of several reads, the
        channels of one beside those of the next
    spikes : uint8 (N, y, x, T, c), the spikes that it fires
    errors : uint8 (N, y, x, T, c), 1 where the error at a neuron's potential is not zero
    branches : as inputs, those of each of its branches
    leak_terms : as errors, of the terms that the gradients of learned leaks are the sums of; empty where none is
    """

    inputs: np.ndarray
    spikes: np.ndarray
    errors: np.ndarray
    branches: tuple[np.ndarray, ...] = ()
    leak_terms: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """What each part of the layer reads."""
        return self.inputs, *self.branches

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and timestep."""
        return float(self.spikes.mean())

    @property
    def error_rate(self) -> float:
        """Share of the errors that are not zero."""
        return float(self.errors.mean())

    @property
    def channel_rates(self) -> np.ndarray:
        """Spikes per neuron and timestep of every channel, float64 (c,)."""
        return self.spikes.mean(axis=(0, 1, 2, 3))

    @property
    def channel_error_rates(self) -> np.ndarray:
        """Share of the errors that are not zero, of every channel, float64 (c,)."""
        return self.errors.mean(axis=(0, 1, 2, 3))


@dataclass(frozen=True)
class Activity:
    """The activity of every layer of a network on the same ``samples`` samples."""

    samples: int
    layers: tuple[LayerActivity, ...]


def measure(
    network: Network,
    cfg: CoreConfig,
    neuron: NeuronSettings,
    spikes: np.ndarray,
    labels: np.ndarray,
    seed: int = 0,
    weights: Tensors | None = None,
    loss: Loss | None = None,
) -> Activity:
    """Run samples forward and backward in the golden model, without an update, and keep what the engines would see.

    ``spikes`` uint8 (N, T, y, x, c), ``labels`` (N,); ``weights`` as floats, otherwise the network's initial
    ones of ``seed``; ``loss``: that of the errors, otherwise the usual one of the core. Nothing is summed over samples.

    Raises :class:`TridentError` without samples.
    """
    if not len(spikes):
        raise TridentError("the activity of a network needs at least 1 sample, not 0")
    golden = GoldenTrainer(network, neuron, cfg, seed, loss=loss)
    if weights:
        golden.load(Space.WEIGHTS, {name: to_bits(values, cfg.format) for name, values in weights.items()})
    trace = next(golden.train(spikes, labels, golden.loss_constants(LOSS_SCALE), at_once=len(spikes)))
    read = iter(trace.inputs)
    return Activity(len(spikes), tuple(
        LayerActivity(
            next(read), fired, (errors != 0).astype(np.uint8), tuple(next(read) for _ in layer.branches),
            (terms != 0).astype(np.uint8),
        ) for layer, fired, errors, terms in zip(
            network.layers, trace.spikes, trace.errors, trace.leak_terms, strict=True
        )
    ))  # fmt: skip


def measure_data(
    network: Network,
    cfg: CoreConfig,
    neuron: NeuronSettings,
    dataset: Dataset,
    count: int = 4,
    encoding: str = "dither",
    seed: int = 0,
    weights: Tensors | None = None,
    loss: Loss | None = None,
) -> Activity:
    """:func:`measure` of ``count`` training samples of ``dataset``, spread evenly over it and encoded with ``seed``."""
    chosen = np.linspace(0, len(dataset.train) - 1, min(count, len(dataset.train))).astype(int)
    spikes, _ = encode(dataset, network, cfg.steps, encoding, seed)
    return measure(network, cfg, neuron, spikes[chosen], dataset.train_labels[chosen], seed, weights, loss)


def random_activity(network: Network, timesteps: int, samples: int, density: float, seed: int = 0) -> Activity:
    """Spikes and errors of every layer that are drawn at random, of which the share ``density`` is not zero."""
    rng, layers = np.random.default_rng(seed), []
    for layer in network.layers:
        y, x, channels = layer.in_shape
        pictures = {
            "inputs": (y, x, timesteps, channels * layer.mean**2 * len(layer.reads)),
            "spikes": (*layer.out_shape[:2], timesteps, layer.out_channels),
            "errors": (*layer.sum_shape[:2], timesteps, layer.out_channels),
        }
        drawn = {name: (rng.random((samples, *shape)) < density).astype(np.uint8) for name, shape in pictures.items()}
        branches = tuple(
            (rng.random((samples, *part.in_shape[:2], timesteps, part.in_shape[2] * len(part.reads))) < density)
            .astype(np.uint8) for part in layer.branches
        )  # fmt: skip
        layers.append(LayerActivity(**drawn, branches=branches, leak_terms=drawn["errors"]))
    return Activity(samples, tuple(layers))
