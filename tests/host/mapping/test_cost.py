"""The cost model against the RTL: cycles of every engine's job, and against counts by hand."""

import numpy as np
import pytest

from trident.bench.chip.single import ENGINES, SingleEngine
from trident.host.mapping.activity import Activity, LayerActivity
from trident.host.mapping.amounts import Operations, Words
from trident.host.mapping.cost import CostModel
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

TOLERANCE = 0.05
ROOMY = {"weight_rows": 16384, "spike_words": 4096, "error_words": 2048}
NETWORKS = {"linear": "64-48-32", "conv": "8x8x4-8c3-12c3-10", "stride": "8x8x4-8c3-12c3s2-10"}


def random_layer(network, n, density, cfg, seed=0):
    """Random spikes and error masks of a layer, drawn as :meth:`SingleEngine.fill` draws them."""
    layer, rng = network.layers[n], np.random.default_rng(seed)
    y, x, channels = layer.in_shape
    spikes = (rng.random((1, cfg.timesteps, y, x, channels)) < density).astype(np.uint8)
    y, x, channels = layer.out_shape
    errors = (rng.random((1, cfg.timesteps, y, x, channels)) < density).astype(np.uint8)
    return spikes.transpose(0, 2, 3, 1, 4), errors.transpose(0, 2, 3, 1, 4)


def model(network, cfg, inputs, errors, n=1):
    layers = [LayerActivity(inputs, inputs, errors)] * len(network.layers)
    return CostModel(network, cfg, Activity(len(inputs), tuple(layers)))


@pytest.mark.slow
@pytest.mark.parametrize("preset, changes", [
    ("FPGA", ROOMY), ("COMPACT", ROOMY), ("TINY", ROOMY), ("SMALL", {}),
    ("SMALL", {"charge": "synaptic", "reset": "soft", "surrogate": "atan"}),
])  # fmt: skip
def test_cycles_and_counts_are_those_of_the_rtl(preset, changes):
    cfg = CoreConfig.preset(preset, **changes)
    for name, text in NETWORKS.items():
        network = Network.parse(text)
        outputs = network.layers[1].out_channels
        unit = SingleEngine(network, cfg)
        for density in (0.05, 0.2, 0.6):
            unit.fill(density)
            inputs, errors = random_layer(network, 1, density, cfg)
            for engine in ENGINES:
                # The bench gives weight_grad rows of errors without zeros
                cost = model(network, cfg, inputs, errors if engine == "backward" else np.ones_like(errors))
                run = unit.run(engine)
                measured = run.cycles
                predicted = cost.backward(0) if engine == "backward" else getattr(cost, engine)(1, 0, outputs)
                beside = cost.job_start + 4 * cost.recurrence
                if not cfg.shared_engine:
                    part = (0,) if engine == "backward" else (1, 0, outputs)
                    (job,) = getattr(cost, f"{engine}_jobs")(*part)
                    for counter in ("useful", "issued", "drained", "rows", "words"):
                        assert getattr(job, counter) == run.counters[f"{engine}.{counter}"], counter
                    # A job begins before its engine runs, and ends with its neurons
                    timing, beside = cost._timing(engine), 4
                    predicted -= cost.job_start + (timing.passes * timing.recurrence if engine != "weight_grad" else 0)
                assert predicted == pytest.approx(measured, rel=TOLERANCE, abs=beside), (
                    f"{engine}, {name}, {density:.0%}: {predicted:.0f} predicted, {measured} measured"
                )
        unit.close()


def tiny():
    """One 3x3 convolution of a 4x4 image, two channels to four, everything firing, and a linear layer."""
    network, cfg = Network.parse("4x4x2-4c3-10"), CoreConfig.preset("FPGA")
    shape = (1, 4, 4, cfg.timesteps)
    conv = LayerActivity(np.ones((*shape, 2), np.uint8), np.ones((*shape, 4), np.uint8), np.ones((*shape, 4), np.uint8))
    flat = np.ones((1, 1, 1, cfg.timesteps, 64), np.uint8)
    top = np.ones((1, 1, 1, cfg.timesteps, 10), np.uint8)
    return network, cfg, CostModel(network, cfg, Activity(1, (conv, LayerActivity(flat, top, top))))


def test_operations_by_hand():
    _, cfg, cost = tiny()
    steps = cfg.timesteps
    reached = 100 * 2  # taps inside the image, over all positions, times input channels
    assert cost.operations(0, 0, 4) == Operations(2 * (reached + 16) * 4 * steps, 0)
    assert cost.operations(1, 0, 10) == Operations(2 * (64 + 1) * 10 * steps, 64 * 10 * steps)


def test_operations_of_slices_add_up():
    network, cfg = Network.parse("8x8x1-4c3-6c3s2-10"), CoreConfig.preset("FPGA")
    inputs, errors = random_layer(network, 1, 0.3, cfg)
    cost = model(network, cfg, inputs, errors)
    whole, parts = cost.operations(1, 0, 6), [cost.operations(1, a, b) for a, b in ((0, 1), (1, 4), (4, 6))]
    assert sum(part.adds for part in parts) == pytest.approx(whole.adds)
    assert sum(part.multiply_adds for part in parts) == pytest.approx(whole.multiply_adds)


def test_storage_by_hand():
    _, _, cost = tiny()
    assert cost.words(0, 0, 4) == Words(weight_rows=4 * 19, input_words=32, spike_words=64, error_words=64)
    assert cost.words(1, 2, 5) == Words(weight_rows=3 * 65, input_words=64, spike_words=3, error_words=3)
    assert cost.update(1, 2, 5) == 2 * 3 * 65


def test_additions_take_a_cycle_each_at_least():
    _, _, cost = tiny()
    assert cost.forward(0, 0, 4) >= cost.operations(0, 0, 4).adds / 2
    assert cost.backward(0) >= cost.operations(1, 0, 10).multiply_adds


def test_a_slice_takes_its_share():
    network, cfg = Network.parse("8x8x4-8c3-16c3-10"), CoreConfig.preset("FPGA", **ROOMY)
    inputs, errors = random_layer(network, 1, 0.4, cfg)
    cost = model(network, cfg, inputs, errors)
    for engine in ("forward", "backward_away", "weight_grad"):
        below = (0, network.layers[0].out_channels) if engine == "backward_away" else ()
        whole, half = (getattr(cost, engine)(1, 0, end, *below) for end in (16, 8))
        assert 0.45 * whole < half < 0.65 * whole


def test_real_traces_and_padded_lanes():
    """A flattened image of 5 channels on 4 lanes has padding between its pixels."""
    network, cfg = Network.parse("4x4x1-5c3-6"), CoreConfig.preset("SMALL", lanes=4, timesteps=4)
    golden = GoldenTrainer(network, NeuronSettings(), cfg)
    trace = next(golden.infer((np.random.default_rng(0).random((1, 4, 4, 4, 1)) < 0.5).astype(np.uint8)))
    ones = [np.ones_like(spikes) for spikes in trace.spikes]
    layers = [LayerActivity(*arrays) for arrays in zip(trace.inputs, trace.spikes, ones, strict=True)]
    cost = CostModel(network, cfg, Activity(1, tuple(layers)))
    assert cost.words(1, 0, 6).weight_rows == (16 * 2 + 1) * 2 * 4
    assert min(cost.forward(1, 0, 6), cost.backward(0), cost.weight_grad(1, 0, 6)) > 0
