"""How fast the golden trainer is."""

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.backward import backward
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.forward import forward
from trident.sim.golden.sums import Sums
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.golden.weight_grad import weight_grad
from trident.snn.data.dataset import batches
from trident.snn.data.encoding import encode
from trident.snn.network.network import Network

EPOCH_BOUND = 15.0
# Dense-equivalent multiply-adds of a layer that is not all overhead: zeros count, as they do where nothing skips them
LAYER, SAMPLES, SPIKES, ERRORS, RUNS = "16x16x32-32c3-10", 32, 0.2, 0.4, 3
SUMS_BOUND, BACKWARD_BOUND = 5_000, 1_000


def measure_golden(only: str) -> Iterator[Figure]:
    """Seconds of one epoch of digits (1437 samples, 64-128-10, T = 8) in the bit-exact golden trainer, after its
    kernels have been compiled; million dense multiply-adds per second of its three engines on a convolution."""
    yield Figure("golden.digits.epoch_seconds", "s", _epoch(), "lower", EPOCH_BOUND)
    yield from _kernels()


def _epoch() -> float:
    spec = RunSpec.make()
    golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg)
    spikes, _ = encode(spec.dataset, spec.network, spec.cfg.steps)
    labels = spec.dataset.train_labels
    loss = golden.loss_constants(spec.train.loss_scale)
    updates = UpdateConstants.of(spec.train.momentum, spec.train.step(), spec.train.batch, spec.cfg.format)
    list(golden.train(spikes[:1], labels[:1], loss))
    golden.update(UpdateConstants())
    began = perf_counter()
    for part in batches(len(labels), spec.train.batch, spec.train.seed, 0):
        list(golden.train(spikes[part], labels[part], loss))
        golden.update(updates)
    return perf_counter() - began


def _kernels() -> Iterator[Figure]:
    cfg, layer = CoreConfig(timesteps=4), Network.parse(LAYER).layers[0]
    sums, rng = Sums(cfg.format, cfg.fixed), np.random.default_rng(0)
    kernel, shape = layer.kernel, (SAMPLES, *layer.out_shape[:2], cfg.steps)
    spikes = (rng.random((*shape, layer.in_shape[2])) < SPIKES).astype(np.uint8)
    weights = sums.round(rng.normal(size=layer.weight_shape) / 16)
    errors = sums.round(rng.normal(size=(*shape, layer.out_channels)))
    errors *= rng.random(errors.shape) < ERRORS
    columns, biases = np.ascontiguousarray(weights.transpose(0, 2, 1)), np.zeros(layer.out_channels, sums.dtype)
    terms = layer.gradient_terms(cfg.steps)
    runs: dict[str, Callable] = {
        "forward": lambda: forward(spikes, weights, biases, True, kernel, layer.forward_terms, sums),
        "backward": lambda: backward(
            errors, columns, kernel, layer.in_shape[:2], cfg.multiplier_subnormals, layer.backward_terms, sums
        ),
        "weight_grad": lambda: weight_grad(spikes, errors, True, kernel, terms, sums),
    }
    dense = spikes.size * layer.taps * layer.out_channels / 1e6
    for engine, run in runs.items():
        run()  # compiled, and memory taken
        best = 0.0
        for _ in range(RUNS):
            began = perf_counter()
            run()
            best = max(best, dense / (perf_counter() - began))
        bound = BACKWARD_BOUND if engine == "backward" else SUMS_BOUND
        yield Figure(f"golden.{engine}.mmac_per_second", "MMAC/s", best, "higher", bound)
