"""Cores whose sums have several walks: residual networks, values that change with time, means of pixels."""

import numpy as np
import pytest

from tests.hw.core.benches import BF16, CHUNKS, SHORT, STANDARD, WALKS, batch_of, branching_network, core_of, train
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

SYNAPTIC = {
    "charge": "synaptic", "reset": "soft", "surrogate": "atan", "detach": False,
    "others": "synaptic/soft/atan/attached/averaged,synaptic/soft/atan/attached/pooled,if/hard/rectangle",
}  # fmt: skip
MEANS = {"planes": True, "pool": 2, "others": "lif/hard/rectangle/averaged"}


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), (MEANS, None), (MEANS | {"gradient_bits": 40}, 7), (MEANS | SHORT | {"lanes": 4}, None),
    (MEANS | CHUNKS | {"gradient_bits": 48, "others": "lif/hard/triangle/averaged,lif/hard/triangle/pooled"}, 7),
    (MEANS | BF16 | {"timesteps": 6, "gradient_bits": 40, "backward_cols": 2, "lanes": 4}, None),
    (MEANS | SYNAPTIC, None), (MEANS | STANDARD, 7),
])  # fmt: skip
def test_random_networks(changes, stalls):
    """Every density from 0 to 100 %, minibatches of 1 to 7 samples, and forward passes alone."""
    core, cfg = core_of("TINY", stalls, **changes | WALKS)
    rng, compared, walks = np.random.default_rng(5), 0, 0
    while compared < 8:
        network = branching_network(rng, cfg)
        if max(*(layer.walks for layer in network.layers), *map(len, network.spike_readers)) > cfg.walks:
            continue
        try:
            bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, compared)
        except TridentError as fault:
            assert any(text in str(fault) for text in ("the core has not", "of real values", "need jobs")), fault
            continue
        compared += 1
        walks += sum(layer.walks for layer in network.layers) - len(network.layers)
        for density in (0.0, 0.1, 0.5, 1.0)[compared % 2 :: 2]:
            mismatch, _ = train(bench, rng, int(rng.integers(1, 8)), density)
            assert mismatch is None, f"{network}: {mismatch}"
        mismatch, _ = bench.infer(batch_of(bench, rng, 4, 0.4)[0])
        assert mismatch is None, f"{network}: {mismatch}"
    assert walks > 8


def test_walks_that_a_core_has_not():
    """The first that a network needs is named, before anything is built."""
    neuron, network = NeuronSettings(), Network.parse("4x4x1-2c3-sew2-5")
    with pytest.raises(TridentError, match="'neuron1' is read 2 times, which needs sums of several walks, which"):
        StepBench(network, neuron, CoreConfig.preset("TINY"), None)
    few = CoreConfig.preset("TINY", **WALKS)
    network = Network.parse("4x4x1-2c3-" + "sew2-" * 9 + "5")
    with pytest.raises(TooLarge, match="'neuron1' is read 10 times, the core has walks of 8"):
        StepBench(network, neuron, few, None)
