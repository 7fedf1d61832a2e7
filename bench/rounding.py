"""What exact sums are worth: the gradients of a deep network with exact sums, and with sums that are rounded to FP16 at
every addition, against float64; all three from the same spikes."""

from collections.abc import Callable, Iterator

import numpy as np

from trident.host.report.figure import Figure
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.format import to_values
from trident.sim.golden.loss import loss_errors
from trident.sim.golden.trainer import GoldenTrainer, Trace
from trident.snn.network import Network
from trident.snn.settings import NeuronSettings

LAYERS, WIDTH, SAMPLES, SEEDS = 16, 64, 64, 3
NEURON = NeuronSettings(leak=0.5, threshold=0.125, window=0.5)
LOSS_SCALE = 256.0

Sum = Callable[[np.ndarray], np.ndarray]  # over the first axis


def _ordered(terms: np.ndarray) -> np.ndarray:
    """Added one after another, each time rounded to FP16."""
    total = np.zeros(terms.shape[1:], np.float16)
    for term in terms.astype(np.float16):
        total = total + term
    return total.astype(np.float64)


def _half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float64)


def _gradients(golden: GoldenTrainer, trace: Trace, labels, add: Sum, rounded: Callable) -> list[np.ndarray]:
    """Per layer the gradients (in, out), from golden's spikes, with one way to add and one to round."""
    table, leak = golden.table(LOSS_SCALE), NEURON.leak
    error = to_values(loss_errors(trace.spikes[-1], labels, table), golden.fmt)[:, 0, 0]
    found: list[np.ndarray] = []
    for layer in reversed(golden.network.layers):
        n = layer.number
        masks, spikes, inputs = (array[n][:, 0, 0] for array in (trace.masks, trace.spikes, trace.inputs))
        errors, carried = np.zeros_like(error), np.zeros_like(error[:, 0])
        for t in reversed(range(error.shape[1])):
            carried = rounded(rounded(leak * carried * (1 - spikes[:, t])) + masks[:, t] * error[:, t])
            errors[:, t] = carried
        flat, seen = errors.reshape(-1, errors.shape[-1]), inputs.reshape(-1, inputs.shape[-1])
        found.append(add(seen[:, :, None] * flat[:, None, :]))
        weights = golden.weights[layer.weight][0].astype(np.float64)  # in, out
        error = add(rounded(np.moveaxis(errors, -1, 0)[..., None] * weights.T[:, None, None, :]))
    return found[::-1]


def errors(seed: int) -> dict[str, np.ndarray]:
    """By the way of adding, per layer, the relative error of the gradients against float64 (norm of the difference over
    norm)."""
    cfg = CoreConfig(timesteps=8)
    golden = GoldenTrainer(Network.parse("-".join([str(WIDTH)] * LAYERS + ["10"])), NEURON, cfg, seed)
    rng = np.random.default_rng(seed)
    spikes = (rng.random((SAMPLES, cfg.timesteps, 1, 1, WIDTH)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, 10, SAMPLES)
    (trace,) = golden.infer(spikes, at_once=SAMPLES)
    wanted = _gradients(golden, trace, labels, lambda terms: terms.sum(axis=0), lambda values: values)
    ways = {"exact": lambda terms: _half(terms.sum(axis=0)), "ordered": _ordered}
    result = {}
    for name, add in ways.items():
        found = _gradients(golden, trace, labels, add, _half)
        result[name] = np.array([
            np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) for ours, theirs in zip(found, wanted, strict=True)
        ])  # fmt: skip
    return result


def measure_rounding(only: str) -> Iterator[Figure]:
    """Mean over layers and seeds, and the worst layer of any seed."""
    found = [errors(seed) for seed in range(SEEDS)]
    for name in ("exact", "ordered"):
        values = np.stack([one[name] for one in found])
        yield Figure(f"gradients.deep16.{name}.error_mean", "ratio", float(values.mean()), "lower")
        yield Figure(f"gradients.deep16.{name}.error_worst", "ratio", float(values.max()), "lower")
