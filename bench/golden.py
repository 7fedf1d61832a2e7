"""How fast the golden trainer is."""

from collections.abc import Iterator
from time import perf_counter

from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.encoding import encode

EPOCH_BOUND = 15.0


def measure_golden(only: str) -> Iterator[Figure]:
    """Seconds of one epoch of digits (1437 samples, 64-128-10, T = 8) in the ordered, bit-exact golden trainer, after
    its kernels have been compiled."""
    spec = RunSpec.make()
    golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg)
    spikes, _ = encode(spec.dataset, spec.network, spec.cfg.timesteps)
    labels = spec.dataset.train_labels
    table = golden.table(spec.train.loss_scale)
    updates = UpdateConstants.of(spec.train.momentum, spec.train.step(), spec.cfg.format)
    golden.train_sample(spikes[0], labels[0], table)
    golden.update(UpdateConstants(0, 0, 0))
    began = perf_counter()
    for n, (sample, label) in enumerate(zip(spikes, labels, strict=True), 1):
        golden.train_sample(sample, label, table)
        if n % spec.train.batch == 0:
            golden.update(updates)
    yield Figure("golden.digits.epoch_seconds", "s", perf_counter() - began, "lower", EPOCH_BOUND)
