"""Cores whose layers have a batch norm: a minibatch layer by layer."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    NORM,
    PLANES,
    PRUNED,
    READOUT,
    SHORT,
    STANDARD,
    batch_of,
    branching_network,
    check_minibatches,
    constants_of,
    core_of,
    normed,
)
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

MEANS = {"planes": True, "pool": 2, "others": "lif/hard/atan/averaged,lif/hard/atan/pooled", "surrogate": "atan"}


def small_network(bias: bool = True) -> Network:
    """Two layers, the first with a norm."""
    build = Builder((2, 2, 1))
    build.add("conv", channels=2, kernel=1, bias=bias)
    build.add("norm")
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron")
    return build.network()


@pytest.mark.parametrize("changes, stalls", [
    (PRUNED | {"surrogate": "atan"}, None), ({"gradient_bits": 40}, 7),
    (MEANS | {"lanes": 4, "gradient_bits": 48}, None),
    (SHORT | {"surrogate": "triangle", "backward_cols": 2, "weight_grad_cols": 2}, None),
    (STANDARD | {"optimiser": "adam", "loss": "softmax", "lanes": 4, "gradient_bits": 48}, 3),
    ({"exp": 8, "frac": 7, "timesteps": 6, "backward_cols": 2, "lanes": 8}, 5), (MEANS | {"timesteps": 8}, 2),
])  # fmt: skip
def test_random_networks(changes, stalls):
    """Minibatches of several sizes and densities, and forward passes with what they have left."""
    core, cfg = core_of("TINY", stalls, **NORM | changes)
    rng, compared, norms = np.random.default_rng(6), 0, 0
    while compared < 3:
        network = normed(branching_network(rng, cfg), int(rng.integers(1 << 16)))
        if max(*(layer.walks for layer in network.layers), *map(len, network.spike_readers)) > cfg.walks:
            continue
        samples = int(rng.integers(2, 21))
        try:
            bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, compared, minibatch=samples)
        except TridentError as fault:
            assert any(text in str(fault) for text in ("the core has not", "of real values", "need jobs")), fault
            continue
        compared += 1
        norms += len(network.norms)
        check_minibatches(bench, rng, samples, (0.5, 0.1 * (compared % 3)))
    assert norms > 5


@pytest.mark.parametrize("changes", [READOUT, PLANES])
def test_readouts_and_values(changes):
    """A norm before a readout, and of real values that stay the same."""
    core, cfg = core_of("TINY", None, **NORM | changes)
    build = Builder((3, 3, 2))
    build.add("conv", channels=3, kernel=3, bias=False)
    build.add("norm")
    build.add("neuron", **({} if changes is PLANES else {"surrogate": "atan"}))
    build.add("flatten")
    build.add("linear", outputs=4)
    build.add("norm")
    if changes is READOUT:
        build.add("readout", readout="last")
    else:
        build.add("neuron")
    network, rng = build.network(), np.random.default_rng(2)
    if changes is PLANES:
        network = replace(network, planes=Planes(3, -2, True))
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, minibatch=9)
    for _ in range(2):
        mismatch, _ = bench.step(*batch_of(bench, rng, 9, 0.5), constants_of(bench, 9), 256)
        assert mismatch is None
    assert bench.infer(batch_of(bench, rng, 5, 0.5)[0])[0] is None


@pytest.mark.parametrize("changes", [{"surrogate": "atan"}, PLANES])
def test_frozen_norms(changes):
    """Beside one that is not: running means and variances stay, in training, behind a minibatch of inference too."""
    core, cfg = core_of("TINY", None, **NORM | changes)
    build = Builder((3, 3, 2))
    build.add("conv", channels=3, kernel=3, bias=False)
    build.add("norm", frozen=True)
    build.add("neuron", threshold=0.3)
    build.add("flatten")
    build.add("linear", outputs=5)
    build.add("norm")
    build.add("neuron", threshold=0.3)
    build.add("linear", outputs=4)
    build.add("norm", frozen=True)
    build.add("neuron", threshold=0.3)
    network, rng = build.network(), np.random.default_rng(2)
    if changes is PLANES:
        network = replace(network, planes=Planes(3, -2, True))
    bench, still = StepBench(network, NeuronSettings.of(cfg), cfg, core, minibatch=9), (0, 2)
    raw, fired = bench.golden.bits(Space.RAW), 0
    for number in still:
        norm = network.layers[number].norm
        raw[norm.gain] = to_bits(rng.uniform(0.01, 0.1, raw[norm.gain].shape), cfg.format)
        raw[norm.offset] = to_bits(rng.normal(size=raw[norm.offset].shape) / 16, cfg.format)
    for model in (bench.golden, bench.session):
        model.load(Space.RAW, raw)
    for _ in range(2):
        mismatch, found = bench.step(*batch_of(bench, rng, 9, 0.5), constants_of(bench, 9), 256)
        assert mismatch is None and not found.all_faults, str(mismatch)
        fired += int(found.counts.sum())
        assert bench.infer(batch_of(bench, rng, 5, 0.5)[0])[0] is None
    after = bench.session.read(Space.RAW)
    for number, layer in enumerate(network.layers):
        for name in (layer.norm.gain, layer.norm.offset):
            assert (after[name] == raw[name]).all() == (number in still)
    assert fired > 20


@pytest.mark.parametrize("scale", [2.0**20, 2.0**23])
def test_gradients_that_overflow_are_skipped(scale):
    """Errors too large for a sum, a product or a gradient: the update is skipped as in golden."""
    core, cfg = core_of("TINY", None, **NORM | {"surrogate": "atan"})
    bench, rng = StepBench(small_network(), NeuronSettings.of(cfg), cfg, core, minibatch=8), np.random.default_rng(3)
    spikes, labels = batch_of(bench, rng, 8, 0.6)
    mismatch, found = bench.step(spikes, labels, constants_of(bench, 8, scale), scale)
    assert mismatch is None and found.skipped


def test_what_a_norm_needs():
    """A core with a unit for it, room for a minibatch, and more than one value of a channel."""
    neuron, network = NeuronSettings(), small_network()
    with pytest.raises(TridentError, match="'norm1' needs a unit for batch norm, which a core without batch_norm or"):
        StepBench(network, neuron, CoreConfig.preset("TINY"), None)
    small = CoreConfig.preset("TINY", **NORM | {"sum_words": 64})
    with pytest.raises(TooLarge, match="the sums of a minibatch need 72 words, 8 more than sum_words of 64"):
        StepBench(network, neuron, small, None, minibatch=9)
    with pytest.raises(TooLarge, match="a minibatch of 256 samples is more than the 255 that a batch norm can have"):
        StepBench(network, neuron, small, None, minibatch=256)


def test_a_minibatch_of_another_size_is_refused():
    core, cfg = core_of("TINY", None, **NORM | {"surrogate": "atan"})
    bench = StepBench(small_network(), NeuronSettings.of(cfg), cfg, core, minibatch=8)
    bench.session.set_constants(constants_of(bench, 8), bench.golden.loss_constants(256))
    with pytest.raises(TridentError, match="minibatches of 8 samples, as the chip is told, not of 7"):
        bench.session.run(*batch_of(bench, np.random.default_rng(0), 7, 0.5), train=True)
