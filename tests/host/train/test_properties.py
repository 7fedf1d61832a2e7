"""Properties that hold for every input, searched for counterexamples by hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hw.engines.windows import SUMS
from trident.host.compile.packing import WeightMap, pack_spikes, rows_to_words, unpack_spikes, words_to_rows
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FP16
from trident.hw.isa.job import JOB
from trident.sim.golden.add import add
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_values
from trident.sim.golden.forward import forward
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.kernel import PIXEL, Kernel
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

seeds = st.integers(0, 2**32 - 1)
configs = st.builds(
    lambda lanes, steps: CoreConfig(lanes=lanes, timesteps=steps, words=1),
    st.sampled_from((1, 2, 4, 8)), st.integers(1, 9),
)  # fmt: skip
shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 11))


@settings(deadline=None)
@given(configs, shapes, seeds)
def test_spike_words_hold_the_spikes(cfg, shape, seed):
    spikes = np.random.default_rng(seed).integers(0, 2, (2, cfg.timesteps, *shape)).astype(np.uint8)
    for sample, words in zip(spikes, pack_spikes(spikes, cfg), strict=True):
        assert (unpack_spikes(words, shape, cfg) == sample.transpose(1, 2, 0, 3)).all()


@settings(deadline=None)
@given(configs, shapes, st.integers(1, 9), st.sampled_from(("linear", 1, 3)), st.booleans(), seeds)
def test_weight_rows_hold_the_weights(cfg, image, outputs, kind, bias, seed):
    if kind == "linear":
        layer = Layer(0, "linear1", "neuron1", (), "linear", image, outputs, bias=bias)
    else:
        kernel = Kernel.square(kind, padding=kind // 2)
        layer = Layer(0, "conv1", "neuron1", (), "conv", image, outputs, kernel, bias=bias)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 1 << 16, layer.weight_shape).astype(np.uint32)
    biases = rng.integers(0, 1 << 16, outputs).astype(np.uint32) if bias else None
    places = WeightMap(layer, cfg)
    rows = places.pack(weights, biases)
    assert len(rows) == places.rows
    found = places.unpack(words_to_rows(rows_to_words(rows, cfg), cfg))
    assert (found[0] == weights).all() and np.array_equal(found[1], biases)


@given(st.data())
def test_jobs_unpack_to_what_was_packed(data):
    values = {
        field.name: data.draw(st.integers(0, (1 << field.width) - 1), label=field.name)
        for row in JOB.rows for field in row
    }  # fmt: skip
    assert JOB.unpack(JOB.pack(**values)) == values


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_addition_commutes_and_zero_changes_nothing(a, b):
    assert add(a, b, FP16, SUMS.fixed) == add(b, a, FP16, SUMS.fixed)
    if (a & 0x7FFF) < FP16.inf:
        assert add(a, FP16.negative_zero, FP16, SUMS.fixed) == (0 if a == FP16.negative_zero else a)


finite = st.integers(0, FP16.inf - 1).flatmap(lambda n: st.sampled_from((n, n | FP16.negative_zero)))


@settings(deadline=None)
@given(st.lists(finite, max_size=60), st.data())
def test_sums_have_no_order(bits, data):
    """Any numbers, in any order and in any two parts: the exact sum and its rounding are the same."""
    values = to_values(bits, FP16).reshape(1, -1, 1)
    order, cut = data.draw(st.permutations(range(len(bits)))), data.draw(st.integers(0, len(bits)))
    spikes, none = np.ones((1, 1, 1, 1, len(bits)), np.uint8), np.zeros(1)
    first, fault = SUMS.rounded(*forward(spikes, values, none, False, PIXEL, 64, SUMS))
    second, again = SUMS.rounded(*forward(spikes, values[:, order], none, False, PIXEL, 64, SUMS))
    parts = [SUMS.terms(part)[0].sum() for part in np.split(values[:, order], [cut], axis=1)]
    assert first.item() == second.item() == SUMS.round(np.array([sum(parts)])).item() and (fault == again).all()


@pytest.fixture(scope="module")
def core():
    """One TINY core for all examples."""
    link = VerilatedChip(CoreConfig.preset("TINY"))
    yield link
    link.close()


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(("5-3", "9-4-3", "7-3-5-2", "3x4x2-3c3-2", "5x4x1-2c4s2p1-3c2p0-3", "4x4x3-4c1-2")),
    st.integers(1, 5), st.floats(0, 1), st.sampled_from((1.0, 256.0, 2.0**20)), seeds,
)  # fmt: skip
def test_a_training_step_equals_golden(core, text, samples, density, loss_scale, seed):
    cfg, network = CoreConfig.preset("TINY"), Network.parse(text)
    rng = np.random.default_rng(seed)
    spikes = (rng.random((samples, cfg.timesteps, *network.in_shape)) < density).astype(np.uint8)
    labels = rng.integers(0, network.classes, samples)
    constants = UpdateConstants.of(0.9, 0.5 / (256 * samples), samples, cfg.format)
    mismatch, _ = StepBench(network, NeuronSettings(), cfg, core, seed).step(spikes, labels, constants, loss_scale)
    assert mismatch is None, str(mismatch)
