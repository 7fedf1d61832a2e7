"""What a run is made of: cores follow from networks and data, and what does not go together is refused."""

from dataclasses import replace

import numpy as np
import pytest

from trident.host.compile.core_plan import CorePlan
from trident.host.compile.sizing import configure
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.planes import Planes
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition


def test_real_values_make_a_core_with_planes():
    """Its first layer is another kind of neuron, whose inputs stay the same."""
    spec = RunSpec.make(net="64-12-10", encoding="direct")
    assert spec.cfg.planes and spec.cfg.others == "lif/hard/rectangle/still"
    assert spec.network.planes == Planes(8, -8) and spec.network.layers[1].planes is None
    assert spec.notes == () and spec.settings()["encoding"] == "direct"
    assert not RunSpec.make(net="64-12-10").cfg.planes
    few = RunSpec.make(net="64-12-10", encoding="direct", train={"timesteps": 4})  # than the values have bits
    assert (few.network.planes, few.cfg.timesteps, few.notes) == (Planes(8, -8, still=False), 4, ())


def test_stored_spikes_stay_spikes(tmp_path):
    spikes, labels = np.ones((20, 8, 5), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "own.npz", spikes=spikes, labels=labels)
    spec = RunSpec.make(str(tmp_path / "own.npz"), "5-2", encoding="direct")
    assert spec.network.planes is None and not spec.cfg.planes


def test_pools_make_a_core_with_windows():
    spec = RunSpec.make(net="8x8x1-4c3-mp2-6c3-mp2-10", neuron={"surrogate": "atan"})
    assert spec.cfg.pool == 2 and spec.cfg.others == "lif/hard/atan/pooled"
    assert RunSpec.make(net="8x8x1-4c3-mp2-10").cfg.others == ""
    kinds = RunSpec.make(net="8x8x1-4c3-mp2-10", encoding="direct", neuron={"surrogate": "atan"}).cfg.others
    assert kinds == "lif/hard/atan/still/pooled"


@pytest.mark.parametrize(("net", "walks", "planes"), [
    ("8x8x1-4c3-sew4-10", 2, False), ("8x8x1-4c3-sew4-gap-10", 3, True), ("8x8x1-4c3-gap-10", 2, True),
    ("8x8x1-4c3-ap2-10", 3, True), ("8x8x1-4c3-sew4-sew4-sew4s2-10", 4, False),
])  # fmt: skip
def test_branches_and_means_make_a_core_with_walks(net, walks, planes):
    cfg = RunSpec.make(net=net).cfg
    assert (cfg.walks, cfg.planes) == (walks, planes)


def test_branches_are_on_one_core():
    """Or on several with a copy on each."""
    net = "8x8x1-4c3-sew4-10"
    with pytest.raises(TridentError, match="partition 1,2-4: a network whose spikes or sums are added, or"):
        RunSpec.make(net=net, preset="SMALL", chip=ChipChoice(cores=2, partition="1,2-4"))
    assert str(RunSpec.make(net=net, preset="SMALL", chip=ChipChoice(cores=2)).plan.partition) == "2x1-4"
    with pytest.raises(TridentError, match="a network whose spikes or sums are added, or spikes read by several"):
        RunSpec.make(net=net, preset="COMPACT")


def test_recurrent_layers_make_a_core_with_words_of_one_timestep():
    spec = RunSpec.make(net="64-12rec-10", train={"timesteps": 5})
    assert (spec.cfg.timesteps, spec.cfg.chunks, spec.train.timesteps, spec.cfg.walks) == (1, 5, 5, 2)
    direct = RunSpec.make(net="64-12rec-10", encoding="direct").network.planes  # the images at every timestep
    assert direct is not None and (direct.bits, direct.still) == (8, False)
    assert RunSpec.make(net="64-12rec-10", train={"timesteps": 256}).cfg.jobs > 256


@pytest.mark.parametrize(("options", "words"), [
    ({"timesteps": 25}, (25, 1, 0)), ({"timesteps": 100}, (25, 4, 0)), ({"timesteps": 101}, (26, 4, 3)),
    ({"timesteps": 300}, (30, 10, 0)), ({"timesteps": 25, "cols": 4}, (28, 1, 3)),
    ({"timesteps": 2, "cols": 8}, (8, 1, 6)), ({"timesteps": 8, "chunks": 13, "spare": 3}, (8, 13, 3)),
])  # fmt: skip
def test_any_number_of_timesteps_has_words(options, words):
    """As few and as short as can be, of which columns of timesteps are a divisor."""
    cfg = configure("SMALL", **options)
    assert (cfg.timesteps, cfg.chunks, cfg.spare) == words
    assert cfg.steps == (101 if options["timesteps"] == 8 else options["timesteps"])


@pytest.mark.parametrize(("net", "partition"), [("64-12-10", "1,2"), ("64-12rec-10", "2x1-2")])
def test_many_timesteps_on_several_cores(net, partition):
    chip, sizes = ChipChoice(cores=2, partition=partition), {"spike_words": 4096, "error_words": 4096}
    spec = RunSpec.make(net=net, preset="SMALL", train={"timesteps": 40}, chip=chip, core=sizes)
    assert (spec.cfg.steps, str(spec.plan.partition)) == (40, partition)


@pytest.mark.parametrize(("options", "words"), [
    ({"train": {"timesteps": 300}}, "'recurrent1' reads spikes of t-1, which is for samples of 256 timesteps at most"),
    ({"preset": "COMPACT"}, "'recurrent1' reads spikes of t-1, which needs chunks of timesteps, which a core"),
    ({"preset": "TINY"}, "chunks of 4 need exact gradients"), ({"norm": "bn"}, "the norm bn is of all timesteps"),
    ({"preset": "SMALL", "chip": ChipChoice(cores=2, partition="1,2")}, "partition 1,2: a network whose spikes or"),
    ({"core": {"jobs": 64}}, "2 layers of 8 chunks of timesteps need jobs of at least 77, the core has 64"),
])  # fmt: skip
def test_recurrent_layers_that_a_core_cannot_have(options, words):
    with pytest.raises(TridentError) as refused:
        RunSpec.make(net="64-12rec-10", **options)
    assert words in str(refused.value)


def test_frames_set_the_timesteps(tmp_path):
    np.savez(tmp_path / "own.npz", frames=np.arange(20 * 5 * 3).reshape(20, 5, 3) % 7, labels=np.arange(20) % 2)
    spec = RunSpec.make(str(tmp_path / "own.npz"), "3-2", encoding="direct")
    assert spec.network.planes == Planes(3, 0, still=False)
    assert (spec.cfg.timesteps, spec.cfg.walks, spec.cfg.planes) == (5, 3, True)
    with pytest.raises(TridentError, match="holds values that change with time: take ENCODING=direct, not dither"):
        RunSpec.make(str(tmp_path / "own.npz"), "3-2")


def test_standardised_weights_make_a_core_with_a_unit_for_them():
    spec = RunSpec.make(net="8x8x1-4c3-12-10", norm="ws:0.001")
    assert spec.cfg.standardise and [layer.epsilon for layer in spec.network.layers] == [0.001, 0.001, None]
    assert spec.network_text == "8x8x1-4c3-12-10 with norm ws:0.001"
    assert not RunSpec.make(net="8x8x1-4c3-12-10").cfg.standardise
    assert RunSpec.make(norm="ws").network.layers[0].standardised  # of the network that there is by default
    mesh = ChipChoice("2x1")
    assert RunSpec.make(net="8x8x1-4c3-12-10", norm="ws", preset="SMALL", chip=mesh).cfg.standardise


@pytest.mark.parametrize("loss", ["mse", "rate-cross-entropy"])
def test_voters_make_a_core_that_counts_them(loss):
    spec = RunSpec.make(net="64-12-100v10", train={"loss": loss, "class_weights": "balanced"})
    assert spec.cfg.voters == 10 and spec.most_spikes == 80 and spec.network.classes == 10
    assert spec.cfg.loss_tables == 10 and 1 << spec.cfg.loss_bits - 1 > 80
    assert RunSpec.make(net="64-12-10", core={"voters": 4}).cfg.voters == 4
    assert RunSpec.make(net="64-12-20v2", core={"voters": 4}).cfg.voters == 4


def test_voters_stay_on_one_core():
    spec = RunSpec.make(net="64-16-40v4", preset="SMALL", chip=ChipChoice(cores=4))
    assert spec.plan.partition.stages[-1].cores == 1
    with pytest.raises(TridentError, match="4 neurons vote for a class, which needs the last layer on one core"):
        RunSpec.make(net="64-16-40v4", preset="SMALL", chip=ChipChoice(cores=4, partition="1,2/2"))


PLAIN = CoreConfig(), MeshConfig()


@pytest.mark.parametrize(("options", "words"), [
    ({"encoding": "direct", "preset": "COMPACT"}, "real-valued input, or the mean of pixels, needs planes of real "
     "values, which a core without planes or with a shared_engine has not"),
    ({"encoding": "direct", "preset": "WIDE"}, "planes of real values need forward_cols of 1, not 4"),
    ({"encoding": "direct", "built": PLAIN}, "the chip has been built without planes of real values"),
    ({"norm": "ws", "preset": "COMPACT"}, "standardise needs a unit for standardised weights, which a core without "
     "standardise or with a shared_engine has not"),
    ({"norm": "ws", "net": "8x8x1-4c3-10", "built": PLAIN}, "the chip has been built without standardised weights"),
    ({"norm": "ws:1e-6", "net": "8x8x1-4c3-10"}, "'conv1': an epsilon of 1e-06 is 0 to a float of 5 exponent and 10"),
    ({"norm": "ws:1e-6", "net": "64-5000-10", "alone": True}, "'linear1': an epsilon of 1e-06 is 0 to a float"),
    ({"encoding": "latency"}, "encoding must be one of rate, dither, bernoulli, direct, not 'latency'"),
    ({"net": "8x8x1-4c3-mp2-10", "built": PLAIN}, "the chip has been built with pool of 1, the network needs 2"),
    ({"net": "8x8x1-4c3-mp2-10", "preset": "COMPACT"}, "pool of 2 needs a pool unit, which a core with pool of 1 or a "
     "shared_engine has not"),
    ({"net": "64-12-20v2", "built": PLAIN}, "the chip has been built with voters of 1, the network needs 2"),
    ({"net": "64-12-20v2", "preset": "COMPACT"}, "voters of 2 needs several voters for a class, which a core with "
     "voters of 1 or a shared_engine has not"),
    ({"net": "64-12-4v2"}, "digits has 10 classes, the network only 2 outputs"),
    ({"net": "8x8x1-4c3s2-mp2-10", "neuron": {"spike_penalty": 0.5}}, "a spike_penalty of pooled or dropped spikes "
     "needs another surrogate than rectangle"),
])  # fmt: skip
def test_refusals(options, words):
    with pytest.raises(TridentError) as refused:
        RunSpec.make(**({"net": "64-12-10"} | options))
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_pools_on_several_cores_are_refused():
    with pytest.raises(TridentError, match="pooled spikes stay on one core: the mesh of 2x1 has 2"):
        RunSpec.make(net="8x8x1-4c3-mp2-10", chip=ChipChoice("2x1"))


@pytest.mark.parametrize(("text", "pool", "words"), [
    ("8x4x1-4c3-mp2-10", 2, "'linear3' reads an image of 4x2 pixels that is pooled"),
    ("36x36x1-2c1-mp2-10", 2, "'linear3' reads an image of 18x18 pixels that is pooled"),
    ("8x8x1-4c3-mp2-10", 4, "the core has pool of 4, 'neuron1' needs 2"),
])  # fmt: skip
def test_pooled_images_that_a_core_cannot_walk(text, pool, words):
    network, cfg = Network.parse(text), CoreConfig.preset("SMALL", pool=pool, weight_rows=8192, spike_words=8192)
    with pytest.raises(TridentError) as refused:
        CorePlan(network, Partition.single(network), 0, 0, replace(cfg, error_words=8192), 1)
    assert words in str(refused.value)


def test_a_recipe_is_what_is_not_given():
    spec = RunSpec.make(net="resnet")
    assert spec.network_text == "resnet with norm ws" and spec.encoding == "direct" and spec.train.optimizer == "adam"
    assert sum(layer.standardised for layer in spec.network.layers) == 8 and len(spec.network.layers) == 9
    plain = RunSpec.make(net="resnet", encoding="rate", norm="none", train={"epochs": 2, "optimizer": "sgd"})
    assert plain.encoding == "rate" and plain.train.epochs == 2 and not plain.network.layers[0].standardised
    assert plain.train.optimizer == "sgd" and plain.train.loss == "cross-entropy"
