"""Partition search and prediction: what is found is right, balanced and fast; what does not fit is said in numbers."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.sizing import configure
from trident.host.mapping.activity import Activity, LayerActivity, measure_data
from trident.host.mapping.cost import CostModel
from trident.host.mapping.placement import Placing, place
from trident.host.mapping.prediction import predict
from trident.host.mapping.search import find_partition, mesh_of, multicast_groups
from trident.host.mapping.traffic import load as link_load
from trident.host.mapping.traffic import traffic
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.snn.data.dataset import load
from trident.snn.network.defaults import DEEP
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition, Stage, even_cuts
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings


def dense(text, cfg, rate=0.3, seed=0):
    """A cost model of random activity."""
    network, rng = Network.parse(text), np.random.default_rng(seed)
    layers = []
    for layer in network.layers:
        (y, x, channels), outputs = layer.in_shape, layer.out_shape
        inputs = (rng.random((1, y, x, cfg.timesteps, channels)) < rate).astype(np.uint8)
        errors = (rng.random((1, *outputs[:2], cfg.timesteps, outputs[2])) < rate).astype(np.uint8)
        layers.append(LayerActivity(inputs, errors, errors))
    return CostModel(network, cfg, Activity(1, tuple(layers)))


@pytest.fixture(scope="module")
def small():
    cfg = CoreConfig.preset("FPGA", weight_rows=1536, spike_words=2048, error_words=512)
    return dense("8x8x1-4c3s2-8c3-6c3-10", cfg)


@pytest.fixture(scope="module")
def deep():
    cfg = configure(DEEP.preset, **DEEP.core)
    network = Network.parse(DEEP.net)
    return CostModel(network, cfg, measure_data(network, cfg, NeuronSettings(**DEEP.neuron), load("digits")))


@pytest.mark.parametrize("width, height", [(2, 2), (5, 4), (8, 8)])
def test_what_is_found_fits(small, width, height):
    mesh = MeshConfig(width=width, height=height)
    mapping = find_partition(small, mesh, batch=16)
    mapping.partition.check(small.network, small.cfg.lanes)
    assert mapping.partition.cores <= mesh.cores and mapping.partition.replicas <= 16
    for core in mapping.prediction.members:
        assert core.weight_rows <= small.cfg.weight_rows and core.slots >= 1
        assert core.spike_words <= small.cfg.spike_words and core.error_words <= small.cfg.error_words
    assert find_partition(small, mesh, batch=16) == mapping


def test_more_cores_are_never_slower(small):
    cycles = [find_partition(small, MeshConfig(), 16, cores).prediction.cycles for cores in (4, 8, 12, 20)]
    assert cycles == sorted(cycles, reverse=True) and cycles[-1] < 0.5 * cycles[0]


def test_nothing_simple_is_faster(small):
    """Against every partition of up to 4 cores into even slices."""
    found = find_partition(small, MeshConfig(width=2, height=2), 16).prediction.cycles
    layers = small.network.layers
    fastest = float("inf")
    for ends in product((False, True), repeat=len(layers) - 1):
        bounds = [0, *(n + 1 for n, end in enumerate(ends) if end), len(layers)]
        spans = list(pairwise(bounds))
        for splits in product(range(1, 5), repeat=len(spans)):
            if sum(splits) > 4 or any(b - a > 1 and k > 1 for (a, b), k in zip(spans, splits, strict=True)):
                continue
            stages = [
                Stage(a, b - 1, tuple(even_cuts(layers[b - 1].out_channels, k, 1)))
                for (a, b), k in zip(spans, splits, strict=True)
            ]
            try:
                prediction = predict(small, Partition(4 // sum(splits), tuple(stages)), 16)
            except TridentError:
                continue
            fastest = min(fastest, prediction.cycles)
    assert found <= 1.05 * fastest


def test_the_prediction_adds_up(small):
    partition = Partition.parse("2x1,2/2,3-4", small.network, 1)
    prediction = predict(small, partition, batch=15)
    assert prediction.per_replica == 8 and len(prediction.members) == 4
    assert prediction.period >= max(core.cycles.longest for core in prediction.members)
    assert prediction.cycles == pytest.approx(
        prediction.fill + 7 * prediction.period + prediction.reduction + prediction.update
    )
    assert prediction.per_sample == pytest.approx(prediction.cycles / 15)
    first = prediction.members[0].cycles
    assert first.forward == small.forward(0, 0, 4) and first.weight_grad == small.weight_grad(0, 0, 4)
    # Errors go from layer 2 to layer 1, and from layer 3 to the two slices of layer 2
    assert first.backward == 0 and prediction.members[1].cycles.backward == small.backward_away(1, 0, 4, 0, 4)
    last = prediction.members[3]
    assert last.local == small.backward(2)
    assert last.cycles.backward == pytest.approx(
        last.local + small.backward_away(2, 0, 6, 0, 4) + small.backward_away(2, 0, 6, 4, 8)
    )
    assert prediction.members[3].slots == 3 and prediction.members[0].slots == 7


def test_one_slot_is_slower_than_enough(small):
    partition = Partition.parse("1,2,3-4", small.network, 1)
    # The input's 64 words, and 64 of layer 1
    one = CostModel(small.network, replace(small.cfg, spike_words=255), small.activity)
    assert predict(one, partition, 16).members[0].slots == 1
    assert predict(one, partition, 16).period > 2 * predict(small, partition, 16).period


def test_one_core_has_no_gradients_to_reduce(small):
    large = CostModel(small.network, replace(small.cfg, weight_rows=4096), small.activity)
    alone = predict(large, Partition.single(large.network), 16)
    assert alone.reduction == 0 and alone.balance == alone.storage_balance == 1
    twice = predict(large, Partition(2, Partition.single(large.network).stages), 16)
    assert twice.reduction > 0 and twice.cycles < 0.7 * alone.cycles


def test_a_softmax_leaves_the_last_layer_whole(small):
    """The search splits it where that is faster, but for a cross-entropy; a partition that does is refused."""
    network, mesh = Network.parse("8x8x1-4c3s2-40"), MeshConfig(width=2, height=2)
    sizes = {"weight_rows": 8192, "spike_words": 2048, "error_words": 512, "lanes": 4}
    cores = []
    for loss in ("table", "softmax"):
        cfg = CoreConfig.preset("TINY", loss=loss, **sizes)
        cost = dense("8x8x1-4c3s2-40", cfg)
        partition = find_partition(cost, mesh, batch=1).partition
        ChipPlan(network, cfg, mesh, partition)
        cores.append(partition.stages[-1].cores)
    assert cores[0] > cores[1] == 1
    split = Partition.parse("1,2/2", network, cfg.lanes)
    with pytest.raises(TridentError, match="a cross-entropy needs all classes on one core, and the last layer is on 2"):
        ChipPlan(network, cfg, mesh, split)


def test_a_network_that_is_on_one_core():
    """Grouped convolutions: on copies of a core, or it is too large for one."""
    mesh = MeshConfig(width=2, height=2)
    found = find_partition(dense("6x6x4-dw3-4c1-5", CoreConfig(lanes=4, kernels=True)), mesh, 8)
    assert found.partition.members == 1 and found.partition.replicas == 4
    sentence = "^the network, which is on one core, needs 1232 words of weight_rows, a core has 512$"
    with pytest.raises(TridentError, match=sentence):
        find_partition(dense("6x6x4-dw3-16c1-5", CoreConfig(lanes=4, kernels=True, weight_rows=512)), mesh, 8)


def test_as_many_copies_with_norms_as_pay():
    """What their sums take to go around grows with every copy; without them all cores have one."""
    mesh, cfg, found = MeshConfig(width=4, height=4), CoreConfig(batch_norm=True, sum_words=4096), {}
    for text in ("8-16bn-4", "8x8x2-8c3bn-8c3-4"):
        mapping = find_partition(dense(text, cfg), mesh, 16)
        assert mapping.partition.members == 1
        found[text] = mapping.partition.replicas
    assert 1 <= found["8-16bn-4"] < found["8x8x2-8c3bn-8c3-4"] <= 16
    with pytest.raises(TridentError, match="partition 16x1-3: a core of stage 1 needs 772 words of spike_words"):
        find_partition(dense(text, replace(cfg, spike_words=400)), mesh, 64)


def test_a_mesh_that_is_too_small(small):
    with pytest.raises(TridentError, match="needs at least 2 cores of this preset, the mesh 1x1 has 1$"):
        find_partition(small, MeshConfig(width=1, height=1), 16)
    with pytest.raises(TridentError, match="the mesh 5x4 has 20, of which at most 1 may be used"):
        find_partition(small, MeshConfig(), 16, cores=1)


def test_a_layer_that_no_core_holds():
    cfg = CoreConfig.preset("FPGA", weight_rows=64)
    sentence = "layer 1 .* does not fit: of 4 cores with a slice each, one needs 260 words of weight_rows"
    with pytest.raises(TridentError, match=sentence):
        find_partition(dense("64-16-10", cfg), MeshConfig(), 16)


@pytest.mark.parametrize("accumulators", [16, 32])
def test_what_is_found_compiles(accumulators):
    """Also where a slice below a linear layer would need more accumulators than there are."""
    cfg = CoreConfig.preset("FPGA", weight_rows=1536, spike_words=2048, error_words=512, accumulators=accumulators)
    mesh = MeshConfig(width=3, height=2)
    mapping = find_partition(dense("4x4x2-8c3-12c3s2-24-10", cfg), mesh, 16)
    plan = ChipPlan(Network.parse("4x4x2-8c3-12c3s2-24-10"), cfg, mesh, mapping.partition)
    assert len(plan.plans) == mapping.partition.cores


def test_a_slice_that_needs_too_many_accumulators():
    cfg = CoreConfig.preset("FPGA", weight_rows=1536, spike_words=2048, error_words=512)
    cost = dense("4x4x2-8c3-12c3s2-24-10", cfg)
    partition = Partition.parse("1,2/2,3,4", cost.network, 1)
    with pytest.raises(TridentError, match="a core of stage 3 needs 24 accumulators for a slice of 6 groups of lanes"):
        predict(cost, partition, 16)
    with pytest.raises(TridentError, match="a core below linear 48→24 needs 24 accumulators for a slice of 6 groups"):
        ChipPlan(cost.network, cfg, MeshConfig(), partition)


def test_a_partition_that_does_not_fit(small):
    with pytest.raises(TridentError, match="a core of stage 1 needs .* words of weight_rows, a core has 1536"):
        predict(small, Partition.single(small.network), 16)


@pytest.mark.parametrize("cores", [0, 21])
def test_refuses_cores_that_are_not_there(small, cores):
    with pytest.raises(TridentError, match=f"cores must be from 1 to 20 on a mesh 5x4, not {cores}"):
        find_partition(small, MeshConfig(), 16, cores)


def test_errors_for_two_cores_are_two_jobs(small):
    whole, halves = small.backward_away(2, 0, 6, 0, 8), [small.backward_away(2, 0, 6, a, a + 4) for a in (0, 4)]
    assert max(halves) < whole < sum(halves)


def test_sets_of_receivers_are_counted():
    network = Network.parse("8x8x1-4c3s2-8c3-6c3-10")
    count = {text: multicast_groups(Partition.parse(text, network, 1)) for text in
             ("1-4", "1,2/2,3-4", "1/2,2/3,3-4", "2x1,2/2,3-4", "3x1,2/2,3-4")}  # fmt: skip
    assert list(count.values()) == [0, 1, 3, 2, 3 + 4]


def test_lanes_are_not_cut():
    cfg = CoreConfig.preset("TINY", weight_rows=256)
    mapping = find_partition(dense("4x4x2-8c3-10c3-6", cfg), MeshConfig(width=3, height=3), 8)
    for stage in mapping.partition.stages:
        assert all(cut % cfg.lanes == 0 for cut in stage.cuts[:-1])


@pytest.mark.parametrize(
    "text, cores, size",
    [("5x4", None, (5, 4)), (" 8x8 ", 3, (8, 8)), (None, 20, (5, 4)), (None, 7, (7, 1)), (None, None, (5, 4))],
)
def test_sizes_of_meshes(text, cores, size):
    mesh = mesh_of(text, cores, MeshConfig())
    assert (mesh.width, mesh.height) == size


@pytest.mark.parametrize(
    "text, cores, sentence",
    [
        ("5", None, "a mesh is given as WIDTHxHEIGHT, as in 5x4, not '5'"),
        ("33x1", None, "width must be a whole number from 1 to 32, not 33"),
        ("0x4", None, "width must be a whole number from 1 to 32, not 0"),
        (None, 11, "no mesh of up to 8x8 has exactly 11 cores"),
        (None, 0, "no mesh of up to 8x8 has exactly 0 cores"),
    ],
)
def test_refuses_sizes(text, cores, sentence):
    with pytest.raises(TridentError, match=sentence):
        mesh_of(text, cores, MeshConfig())


def test_the_default_network_reaches_its_bounds(deep):
    """At least six trainable layers, conv and linear, all three kinds of parallelism, balanced, well placed."""
    mesh, batch = MeshConfig(), DEEP.train["batch"]
    TrainSettings(timesteps=deep.cfg.timesteps, **DEEP.train)
    kinds = [layer.kind for layer in deep.network.layers]
    assert len(kinds) >= 6 and {"conv", "linear"} == set(kinds)
    mapping = find_partition(deep, mesh, batch)
    partition = mapping.partition
    assert partition.cores == 20 and partition.replicas > 1 and len(partition.stages) > 2
    assert max(stage.cores for stage in partition.stages) > 1
    assert mapping.prediction.balance <= 1.25
    flows = traffic(deep.network, partition, deep.cfg, mesh, batch)
    hops = {name: link_load(flows, mesh, place(Placing(name), flows, mesh)).flit_hops for name in ("zigzag", "best")}
    draws = [place(Placing("random"), flows, mesh, seed) for seed in range(100)]
    random = np.mean([link_load(flows, mesh, draw).flit_hops for draw in draws])
    assert hops["best"] <= 0.80 * random and hops["best"] <= hops["zigzag"]


def test_twenty_cores_are_predicted_ten_times_faster_than_one(deep):
    """One core with memories for the whole network, at a minibatch of twenty samples per replica."""
    cfg = replace(deep.cfg, weight_rows=16384, spike_words=16384, error_words=4096)
    batch = DEEP.train["batch"]
    one = predict(CostModel(deep.network, cfg, deep.activity), Partition.single(deep.network), batch)
    assert one.cycles >= 10 * find_partition(deep, MeshConfig(), batch).prediction.cycles
