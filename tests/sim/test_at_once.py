"""The golden trainer holds some samples at a time: how many changes no bit."""

import numpy as np
import pytest

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings


@pytest.mark.parametrize("scale", [256.0, 2.0**15])
def test_samples_at_once(scale):
    """Also where gradients overflow, and with two replicas."""
    network, cfg = Network.parse("5x4x2-3c3-3"), CoreConfig.preset("TINY")
    rng = np.random.default_rng(1)
    spikes = (rng.random((7, cfg.timesteps, *network.in_shape)) < 0.4).astype(np.uint8)
    labels, constants = rng.integers(0, 3, 7), UpdateConstants.of(0.9, 0.5 / scale / 7, 7, cfg.format)
    found = []
    for at_once in (1, 3, 32):
        partition = Partition.parse("2x1-2", network, cfg.lanes)
        golden = GoldenTrainer(network, NeuronSettings(), cfg, seed=3, partition=partition)
        for values in golden.weights.values():
            values *= 16
        counts = golden.counts_of(golden.train(spikes, labels, golden.loss_constants(scale), at_once))
        state = [golden.bits(Space.GRADIENTS, replica) for replica in range(2)]
        faults = golden.faults.copy()
        golden.update(constants)
        state.append(golden.bits(Space.WEIGHTS))
        found.append((counts, faults, *(array for own in state for array in own.values())))
    assert len(found[0][1]) == 2 and found[0][0].any()
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))
