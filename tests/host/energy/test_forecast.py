"""Counters that golden's spikes and errors forecast, against those of the RTL: the same numbers."""

from collections import Counter

import numpy as np
import pytest

from tests.hw.core import benches
from tests.hw.core.benches import (
    BF16,
    CHUNKS,
    DECAYING,
    NORM,
    PLANES,
    POOL,
    PRUNED,
    PRUNED_ADAM,
    READOUT,
    SHORT,
    STANDARD,
    SYNAPTIC,
    WALKS,
    batch_of,
    bench_of,
    constants_of,
    core_of,
)
from tests.hw.core.test_adds import ADDS, GATES, LEARNED, MEANS, WINDOWS, residual_network
from tests.hw.core.test_recurrent import ADAM, SERIAL, branching_network
from trident.host.energy.energy import Energy, dense_macs
from trident.host.energy.forecast import forecast
from trident.host.energy.table import EnergyTable
from trident.host.mapping.activity import measure, random_activity
from trident.host.mapping.cost import CostModel
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network
from trident.snn.network.norms import frozen
from trident.snn.neuron_settings import NeuronSettings

ROOM = {"spike_words": 1024, "error_words": 512}
AVERAGED = PLANES | {"others": "lif/hard/rectangle/still/averaged,lif/hard/rectangle/averaged"}
WINDOW = {"window": 2, "sum_words": 1024, "winner_words": 1024, "surrogate": "atan"}
JOINED = {"join": 3, "overlap": True, "winner_words": 1024, "dropout": True, "surrogate": "atan"}
JOINED |= {"planes": True, "others": "lif/hard/atan/still,lif/hard/atan/pooled,lif/hard/atan/pooled/averaged"}
PLIF = WALKS | {"charge": "plif", "surrogate": "atan", "gradient_bits": 48}
SAMPLES = 3
UNTOLD = ("running", "stalled", "skipped")  # of an engine


@pytest.mark.slow
@pytest.mark.parametrize("network, changes", [
    ("6x6x3-5c3-7c3s2-4", {}),
    ("6x6x3-5c3-7c3s2-4", {"lanes": 4, "words": 2, "forward_cols": 2, "backward_cols": 2, "weight_grad_cols": 2}),
    ("9x7x4-4c3s3-6c1x3d1x2-4", {"kernels": True}),
    ("6x6x4-dw3-8c1-8c3s2g2-4", {"kernels": True, "lanes": 4, "weight_grad_cols": 2}),
    ("20-12-5", {"charge": "synaptic", "reset": "soft", "surrogate": "atan", "optimiser": "adam"}),
    ("6x6x3-5c3-7c3s2-4", STANDARD | {"jobs": 128}),
    ("20-12-5", STANDARD | {"optimiser": "adam"}),
    ("6x6x8-8c3g2-16c1g2-4", STANDARD | WALKS | {"kernels": True, "lanes": 4}),
    ("6x6x3-5c3-mp2-7c3-4", POOL),
    ("6x6x3-4c3-sew4-5", WALKS | PLANES),
    ("6x6x3-5c3-drop0.5-7c3-drop0.5-4", WALKS | AVERAGED | {"dropout": True}),
    ("6x6x3-5c3-mp2-drop0.5-7c3-4", WALKS | AVERAGED | POOL | {"dropout": True}),
    ("6x6x3-5c3-drop0.2-7c3-drop0.1-4", WALKS | PLANES | {"dropout": True}),
    ("6x6x3-5c3-ap2-7c3-4", WALKS | AVERAGED | POOL),
    ("6x6x2-5c3-7c3s2-4", NORM),
    ("6x6x2-4c3-sew4-5", NORM | PLANES),
    ("7x5x2-3c3m2-4", WALKS | WINDOW),
    ("8x9x1-4c3m3s2p1-4c3-4", WALKS | WINDOW | {"window": 3, "overlap": True}),
    ("6x6x1-4c3m2-sew4-3", NORM | WINDOW | {"sum_words": 8192}),
    ("20-12m3-5", WINDOW | {"window": 3}),
    ("8x9x1-4c3-mp3s2p1-4c3-drop0.5-4", WALKS | JOINED),
    ("20-12-5", CHUNKS),
    ("6x6x3-5c3-7c3s2-4", CHUNKS),
    ("20-12-5", CHUNKS | {"loss": "softmax", "gradient_bits": 48}),
    ("6x6x1-4c3m2-5c3-3", CHUNKS | WALKS | WINDOW),
    ("20-12rec-5", CHUNKS | WALKS | {"timesteps": 1}),
    ("20-12rec-5rec", CHUNKS | WALKS | {"timesteps": 1, "others": "lif/hard/rectangle"}),
    ("6x6x3-5c3-7c3s2-4", PLIF),
    ("20-12-5", PLIF | {"charge": "leaky"}),
    ("20-12-5", WALKS | {"others": "lif/soft/atan/threshold", "surrogate": "atan", "gradient_bits": 48}),
    ("6x6x3-5c3-7c3s2-4", CHUNKS | {"spare": 3}),
    ("20-12-5r", {"loss": "steps", "others": "lif/mean", "accumulators": 16, "spare": 1}),
    ("20-12-5", {"loss": "softmax"}),
    ("20-12-15v3", {"loss": "softmax", "voters": 3}),
    ("20-12-5r", {"loss": "membrane", "others": "lif/mean"}),
    ("20-12-5r", {"loss": "steps", "others": "lif/mean", "accumulators": 16}),
    ("20-12-5", PRUNED),
    ("20-12-5", STANDARD | PRUNED_ADAM),
    ("20-12-5", SYNAPTIC),
    ("20-12-5", DECAYING),
    ("20-12-5", SHORT | {"lanes": 4}),
    ("6x6x3-5c3-7c3s2-4", BF16),
    ("20-12-5rlast", READOUT),
    ("20-12-5rmax", CHUNKS | {"loss": "membrane", "others": "lif/max"}),
    ("20-12-5r", CHUNKS | {"loss": "steps", "others": "lif/mean", "accumulators": 32, "spare": 3}),
    ("20-12-6v2", CHUNKS | {"voters": 2}),
    ("6x6x3-dw3-5c1-drop0.4-4", CHUNKS | WALKS | {
        "kernels": True, "dropout": True, "others": "lif/hard/triangle/pooled",
    }),
    ("4x4x2-2c3-ms2-ms3s2-4", ADDS),
    ("4x4x2-2c3-ms2-res3s2-4", ADDS | GATES),
    ("4x4x2-2c3-sew2and-sew2iand-4", ADDS | GATES),
])  # fmt: skip
def test_counters_of_a_minibatch(network, changes):
    found = compare(bench_of(network, **ROOM | changes))
    assert found["weight_grad.useful"] > 0 and found["backward.useful"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("draw, changes, stalls", [
    (residual_network, ADDS | GATES, 1),
    (residual_network, ADDS | NORM | {"gradient_bits": 40}, 7),
    (residual_network, ADDS | STANDARD | {"lanes": 4, "gradient_bits": 48}, 2),
    (residual_network, ADDS | CHUNKS | {"jobs": 1024, "program_words": 2048, "spike_words": 32768,
                                        "error_words": 16384}, 5),
    (residual_network, ADDS | LEARNED | NORM | {"lanes": 4}, None),
    (residual_network, ADDS | NORM | MEANS | {"lanes": 4, "backward_cols": 2}, 3),
    (residual_network, ADDS | NORM | WINDOWS | {"weight_grad_cols": 2}, 4),
    (branching_network, SERIAL | SYNAPTIC, None),
    (branching_network, SERIAL | ADAM | {"planes": True}, None),
    (branching_network, SERIAL | STANDARD, None),
    (branching_network, WALKS | {"planes": True, "gradient_bits": 40}, 7),
    (benches.branching_network, WALKS | PLANES | POOL, None),
])  # fmt: skip
def test_counters_of_random_networks(draw, changes, stalls):
    core, cfg = core_of("TINY", stalls, **changes)
    rng, compared, added = np.random.default_rng(8), 0, 0
    while compared < 3:
        network = draw(rng, cfg)
        try:
            bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, minibatch=SAMPLES)
        except TridentError as fault:
            assert any(text in str(fault) for text in ("need", "core has", "groups differ")), fault
            continue
        found = compare(bench)
        compared += bool(found)
        added += found["mac.add"]
    assert added or not cfg.adds or cfg.others  # gates add no sums


@pytest.mark.slow
@pytest.mark.parametrize("text, changes, freeze", [
    ("6x6x2-5c3bn-7c3s2bn-4", NORM, False), ("6x6x2-5c3bn-7c3s2bn-4", NORM, True),
    ("4x4x2-2c3bn-ms2bn-3c3s2bn-4", ADDS | NORM | {"gradient_bits": 40}, False),
])  # fmt: skip
def test_counters_of_norms(text, changes, freeze):
    core, cfg = core_of("TINY", None, **changes)
    network = Network.parse(text)
    bench = StepBench(frozen(network) if freeze else network, NeuronSettings.of(cfg), cfg, core, minibatch=SAMPLES)
    assert compare(bench)["mac.norm"] > 0


def compare(bench: StepBench) -> Counter:
    """A minibatch's counters of the RTL with those that are forecast, which it returns; none of one that is skipped,
    whose weights are not updated."""
    rng, samples = np.random.default_rng(9), SAMPLES
    spikes, labels = batch_of(bench, rng, samples, 0.3)
    bench.session.set_constants(constants_of(bench, samples), bench.golden.loss_constants(256))
    before = bench.session.driver.counters(0)
    if bench.session.run(spikes, labels, train=True).skipped:
        return Counter()
    after = bench.session.driver.counters(0)
    neuron = NeuronSettings.of(bench.cfg)
    cost = CostModel(bench.network, bench.cfg, measure(bench.network, bench.cfg, neuron, spikes, labels))
    found = sum(forecast(cost, neuron), Counter())
    compared = [name for name in after if "." in name and not name.endswith(UNTOLD) and not name.startswith("noc.")]
    compared = [name for name in compared if name not in ("update.running", "reduce.running")]
    assert {name: after[name] - before[name] for name in compared} == {name: found[name] for name in compared}
    return found


def small(net="12x12x4-8c3-6c3s2-5"):
    network, cfg = Network.parse(net), CoreConfig.preset("SMALL", timesteps=4)
    return network, cfg, NeuronSettings.of(cfg)


def priced(network, cfg, neuron, density) -> Energy:
    activity = random_activity(network, cfg.timesteps, 2, density)
    counters = sum(forecast(CostModel(network, cfg, activity), neuron), Counter())
    return Energy.of(counters, 2, network, cfg, EnergyTable.load("neuromc"))


def test_zeros_save_energy():
    dense, sparse = (priced(*small(), density) for density in (1.0, 0.1))
    assert dense.macs == sparse.macs == dense_macs(small()[0], 4)
    assert sparse.total < dense.total / 2 and sparse.dense_equivalent > 2 * dense.dense_equivalent
    assert dense.dense == sparse.dense  # the reference's dataflow is dense
    assert dense.effective > sparse.effective


def test_dense_multiply_accumulates_by_hand():
    network = Network.parse("12x12x4-8c3-5")
    conv, linear = 144 * 8 * 36, 144 * 8 * 5
    assert dense_macs(network, 4) == 4 * (2 * conv + 3 * linear)  # errors of samples are not computed


def test_everything_firing_makes_every_multiply_accumulate_but_those_of_borders():
    network, cfg, neuron = small("6x6x8-8c1-8c1-8")
    energy = priced(network, cfg, neuron, 1.0)
    biases = 2 * 4 * (36 * 8 * 2 + 8)  # of forward and weight_grad
    assert energy.useful == energy.macs + biases


def test_a_core_with_one_engine_is_refused():
    network, cfg = Network.parse("64-12-10"), CoreConfig.preset("COMPACT")
    cost = CostModel(network, cfg, random_activity(network, cfg.steps, 1, 0.5))
    with pytest.raises(TridentError, match="needs counters=all, and this core has counters=running"):
        forecast(cost, NeuronSettings.of(cfg))
