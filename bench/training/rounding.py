"""What exact sums are worth: the gradients of a deep network with exact sums, and with sums that are rounded to FP16 at
every addition, against float64; all from the same spikes, with a multiplier that keeps subnormals or flushes them."""

from collections.abc import Callable, Iterator

import numpy as np

from trident.host.report.figure import Figure
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.format import to_values
from trident.sim.golden.loss import loss_errors, spread_votes
from trident.sim.golden.trace import Trace
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

LAYERS, WIDTH, SAMPLES, SEEDS = 16, 64, 64, 3
NEURON = NeuronSettings(leak=0.5, threshold=0.125, window=0.5)
WAYS = {"exact": "exact, rounded once", "ordered": "in FP16, rounded at every addition"}
# Whether the multiplier keeps subnormals, and the loss scale: the default one, and the largest without an overflow
SETTINGS = {"subnormals": (True, 256.0), "flushed": (False, 256.0), "flushed_scaled": (False, 4096.0)}
MIN_NORMAL = 2.0**-14

Sum = Callable[[np.ndarray], np.ndarray]  # over the first axis
Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ordered(terms: np.ndarray) -> np.ndarray:
    """Added one after another, each time rounded to FP16."""
    total = np.zeros(terms.shape[1:], np.float16)
    for term in terms.astype(np.float16):
        total = total + term
    return total.astype(np.float64)


def half(values: np.ndarray) -> np.ndarray:
    """Rounded to FP16."""
    return values.astype(np.float16).astype(np.float64)


def product(a: np.ndarray, b: np.ndarray, subnormals: bool) -> np.ndarray:
    """Products of FP16 values as the multiplier rounds them: subnormals kept, or zero where they go in or come out."""
    if subnormals:
        return half(a * b)
    exact = np.where(np.abs(a) < MIN_NORMAL, 0, a) * np.where(np.abs(b) < MIN_NORMAL, 0, b)
    # From here on 11 bits round to a normal number
    return np.where(np.abs(exact) >= MIN_NORMAL * (1 - 2.0**-12), half(exact), 0)


def gradients(
    golden: GoldenTrainer, trace: Trace, labels: np.ndarray, loss_scale: float, add: Sum, rounded: Callable,
    multiply: Product,
) -> list[np.ndarray]:
    """Per layer the weight gradients (in, out) of a network of linear layers, from golden's spikes: ``add`` makes the
    sums of the engines, ``multiply`` the products, ``rounded`` rounds where neurons add."""
    table, leak = golden.loss_constants(loss_scale).table, np.float64(NEURON.leak)
    found = to_values(loss_errors(trace.outputs[0], labels, table), golden.fmt)
    error = spread_votes(found, trace.spikes[-1])[:, 0, 0]
    found: list[np.ndarray] = []
    for layer in reversed(golden.network.layers):
        n = layer.number
        masks, spikes, inputs = (array[n][:, 0, 0] for array in (trace.masks, trace.spikes, trace.inputs))
        errors, carried = np.zeros_like(error), np.zeros_like(error[:, 0])
        for t in reversed(range(error.shape[1])):
            carried = rounded(multiply(leak, carried * (1 - spikes[:, t])) + masks[:, t] * error[:, t])
            errors[:, t] = carried
        flat, seen = errors.reshape(-1, errors.shape[-1]), inputs.reshape(-1, inputs.shape[-1])
        found.append(add(seen[:, :, None] * flat[:, None, :]))
        weights = golden.weights[layer.weight][0].astype(np.float64)  # in, out
        error = add(multiply(np.moveaxis(errors, -1, 0)[..., None], weights.T[:, None, None, :]))
    return found[::-1]


def trained(
    network: Network, seed: int, subnormals: bool, loss_scale: float
) -> tuple[GoldenTrainer, Trace, np.ndarray]:
    """Golden with the gradients of random samples, their trace and their labels."""
    cfg = CoreConfig(timesteps=8, multiplier_subnormals=subnormals)
    golden, rng = GoldenTrainer(network, NEURON, cfg, seed), np.random.default_rng(seed)
    spikes = (rng.random((SAMPLES, cfg.timesteps, *network.sample_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, network.classes, SAMPLES)
    (trace,) = golden.train(spikes, labels, golden.loss_constants(loss_scale), at_once=SAMPLES)
    return golden, trace, labels


def own_gradients(golden: GoldenTrainer) -> list[np.ndarray]:
    """Per layer what golden itself has summed, rounded once, as its update does."""
    sums = (golden.gradients[0][layer.weight] for layer in golden.network.layers)
    return [golden.gradient_sums.saturate(exact)[0][0].astype(np.float64) for exact in sums]


def errors(seed: int, subnormals: bool, loss_scale: float) -> dict[str, np.ndarray]:
    """By the way of adding, per layer, the relative error of the gradients against float64 (norm of the difference over
    norm)."""
    network = Network.parse("-".join([str(WIDTH)] * LAYERS + ["10"]))
    golden, *samples = trained(network, seed, subnormals, loss_scale)
    samples += [loss_scale]
    wanted = gradients(golden, *samples, lambda terms: terms.sum(axis=0), lambda values: values, np.multiply)
    rows = gradients(golden, *samples, ordered, half, lambda a, b: product(a, b, subnormals))
    return {
        name: np.array([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, wanted, strict=True)])
        for name, found in zip(WAYS, (own_gradients(golden), rows), strict=True)
    }


def measure_rounding(only: str) -> Iterator[Figure]:
    """Mean over layers and seeds, and the worst layer of any seed."""
    for setting, (subnormals, loss_scale) in SETTINGS.items():
        found = [errors(seed, subnormals, loss_scale) for seed in range(SEEDS)]
        for name in WAYS:
            values, prefix = np.stack([one[name] for one in found]), f"gradients.deep16.{setting}.{name}"
            yield Figure(f"{prefix}.error_mean", "ratio", float(values.mean()), "lower")
            yield Figure(f"{prefix}.error_worst", "ratio", float(values.max()), "lower")
