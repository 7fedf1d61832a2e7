"""Golden on PyTorch against golden in NumPy: the same bits of everything."""

from dataclasses import replace

import numpy as np
import pytest

from trident.host.train.checkpoint import GOLDEN, Checkpoint
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.hw.isa import registry
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.sim.golden import on_torch
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.engines import golden_engines
from trident.sim.golden.sums import Sums
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

NETWORKS = ("9-14-5", "6x5x3-8c3s1p1-7c3s2p1-5", "7x7x2-5c5s2p2-4c2-6", "4x4x3-6c1-8",
            "6x9x4-6c3x2s2x3p2x1d1x2-8")  # fmt: skip
CONFIGS = {
    "exact": {},
    "float gradients": {"gradient_bits": 16},
    "soft, triangle, subnormals": {"reset": "soft", "surrogate": "triangle", "multiplier_subnormals": True},
    "bfloat16": {"exp": 8, "frac": 7},
}


def needs_torch(test):
    """A test for the part of CI that installs the extras; skipped where there is no PyTorch."""
    missing = pytest.mark.skipif(on_torch.torch is None, reason="torch is not installed: pip install '.[torch]'")
    return pytest.mark.slow(missing(test))


def _pair(network: Network, cfg: CoreConfig, partition=None) -> list[GoldenTrainer]:
    neuron = NeuronSettings(reset=cfg.reset, surrogate=cfg.surrogate)
    return [GoldenTrainer(network, neuron, cfg, 3, partition, engines) for engines in ("numpy", "torch")]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit: 0 is not -0; any NaN is any other."""
    if not np.array_equal(one, other, equal_nan=True) or one.dtype != other.dtype:
        return False
    return one.dtype.kind != "f" or np.array_equal(np.signbit(one[one == 0]), np.signbit(other[other == 0]))


def _compare(pair: list[GoldenTrainer], rng, loss_scale: float, samples: int = 7):
    """A minibatch and its update on both; every array and every fault."""
    golden, torch = pair
    cfg, network = golden.cfg, golden.network
    spikes = (rng.random((samples, cfg.timesteps, *network.in_shape)) < 0.4).astype(np.uint8)
    labels, loss = rng.integers(0, network.classes, samples), golden.loss_constants(loss_scale)
    for ours, theirs in zip(*(model.train(spikes, labels, loss, at_once=4) for model in pair), strict=True):
        for name in ("spikes", "masks", "potentials", "errors"):
            for one, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
                assert _same(one, other), name
    assert (golden.faults == torch.faults).all()
    for replica in range(golden.partition.replicas):
        wanted, found = (model.bits(Space.GRADIENTS, replica) for model in pair)
        assert all((wanted[name] == found[name]).all() for name in wanted)
        assert all(_same(*(model.gradients[replica][name] for model in pair)) for name in wanted)
    for model in pair:
        model.update(UpdateConstants.of(0.9, 0.5 / loss_scale / samples, samples, cfg.format))
    for space in (Space.WEIGHTS, Space.MOMENTUM):
        wanted, found = (model.bits(space) for model in pair)
        assert all((wanted[name] == found[name]).all() for name in wanted)
    assert (golden.faults == torch.faults).all()
    return golden.faults.any()


@needs_torch
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("text", (*NETWORKS, "6x6x4-dw3-6c1g2-8"))
def test_same_bits(text, config):
    cfg = CoreConfig(lanes=2, timesteps=3, accumulators=16, **CONFIGS[config])
    pair, rng = _pair(Network.parse(text, bias=text != NETWORKS[2]), cfg), np.random.default_rng(0)
    for _ in range(3):
        _compare(pair, rng, 256)


@needs_torch
def test_same_bits_of_real_values_and_pools():
    network = replace(Network.parse("6x6x2-5c3-mp2-4c3-7"), planes=Planes(3, -2, True))
    kinds = {"planes": True, "pool": 2, "others": "lif/hard/rectangle/still"}
    cfg, rng = CoreConfig(lanes=2, timesteps=3, accumulators=16, **kinds), np.random.default_rng(2)
    pair = _pair(network, cfg)
    for _ in range(3):
        assert not _compare(pair, rng, 256)


@needs_torch
@pytest.mark.parametrize("text", NETWORKS)
def test_same_faults(text):
    """Weights and errors that are too large, infinite or no number, in some places."""
    cfg, rng = CoreConfig(lanes=2, timesteps=3, accumulators=16), np.random.default_rng(1)
    network = Network.parse(text)
    faults = 0
    for loss_scale in (256, 2.0**15, 2.0**20):
        pair = _pair(network, cfg)
        bits = pair[0].bits(Space.WEIGHTS)
        for values in bits.values():
            wild = rng.random(values.shape) < 0.02
            values[wild] = rng.choice([0x7C00, 0xFE00, 0x7BFF, 0x0001], wild.sum())
        for model in pair:
            model.load(Space.WEIGHTS, bits)
        faults += _compare(pair, rng, loss_scale)
    assert faults


@needs_torch
@pytest.mark.parametrize("largest", [2.0**-8, 1.0, 2.0**9])
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("text", NETWORKS)
def test_engines_one_by_one(text, config, largest):
    """Their results before anything is rounded or put together: signs of zeros, and each sample's and channel's faults.

    Products of the largest errors and weights are too large, those of the smallest below the last place of sums.
    """
    cfg, rng = CoreConfig(lanes=2, timesteps=3, accumulators=16, **CONFIGS[config]), np.random.default_rng(4)
    sums, layer = Sums(cfg.format, cfg.fixed), Network.parse(text).layers[-2]
    ways = [golden_engines(cfg, engines) for engines in ("numpy", "torch")]
    samples = 12

    def values(*shape):
        found = rng.normal(size=shape) * largest * 2.0 ** rng.integers(-12, 1, shape)
        return sums.round(found * (rng.random(shape) < 0.3))

    spikes = (rng.random((samples, *layer.in_shape[:2], 3, layer.in_shape[2])) < 0.3).astype(np.uint8)
    weights, errors = values(*layer.weight_shape), values(samples, *layer.out_shape[:2], 3, layer.out_channels)
    columns = np.ascontiguousarray(weights.transpose(0, 2, 1))  # all finite, or every sample would have a fault
    weights.flat[0], errors.flat[0] = np.inf, np.inf
    given = {
        "forward": (spikes, weights, values(layer.out_channels), layer.bias, layer.kernel, layer.forward_terms, sums),
        "weight_grad": (spikes, errors, layer.bias, layer.kernel, layer.gradient_terms(3), sums),
        "backward": (
            errors, columns, layer.kernel, layer.in_shape[:2], cfg.multiplier_subnormals, layer.backward_terms, sums,
        ),
    }  # fmt: skip
    for place, arguments in given.items():
        for ours, theirs in zip(*(way[place](*arguments) for way in ways), strict=True):
            assert _same(ours, theirs), place


@needs_torch
def test_replicas_and_slices():
    cfg = CoreConfig(lanes=2, timesteps=3, accumulators=16, gradient_bits=16)
    network = Network.parse("4x4x2-8c3-6-4")
    partition = Partition.parse("2x1/2,2,3", network, cfg.lanes)
    _compare(_pair(network, cfg, partition), np.random.default_rng(2), 256)


@needs_torch
def test_parts_of_a_large_array(monkeypatch):
    """The samples are taken one by one where arrays would become too large."""
    monkeypatch.setattr(on_torch, "ELEMENTS", {"cpu": 1, "cuda": 1})
    _compare(_pair(Network.parse(NETWORKS[1]), CoreConfig(lanes=2, timesteps=3)), np.random.default_rng(3), 256)


@needs_torch
def test_an_epoch_of_digits(tmp_path):
    """The same checkpoint after an epoch, and one goes on where the other has stopped."""
    spec = [RunSpec.make("digits", net="8x8x1-4c3s2p1-12-10", train={"epochs": n, "batch": 32}) for n in (1, 2)]
    paths = {engines: tmp_path / f"{engines}.npz" for engines in ("numpy", "torch")}
    for engines, path in paths.items():
        GoldenRun(spec[0], path, engines=engines).run(lambda *_: None)
    assert _same_state(*paths.values())
    for engines, path in zip(("torch", "numpy"), paths.values(), strict=True):
        GoldenRun(spec[1], path, True, engines).run(lambda *_: None)
    assert _same_state(*paths.values())


def _same_state(*paths) -> bool:
    one, other = (Checkpoint.load(path, GOLDEN) for path in paths)
    losses = [[epoch["loss"] for epoch in state.progress["history"]] for state in (one, other)]
    same = all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)
    return same and one.arrays.keys() == other.arrays.keys() and losses[0] == losses[1]


def test_refused_without_torch(monkeypatch):
    network, cfg = Network.parse("4-3-2"), CoreConfig(lanes=2)
    monkeypatch.setattr(on_torch, "torch", None)
    with pytest.raises(TridentError, match=r"GOLDEN=torch needs PyTorch: pip install '\.\[torch\]'"):
        GoldenTrainer(network, NeuronSettings(), cfg, engines="torch")


@needs_torch
def test_refused_for_an_engine_of_numpy_alone(monkeypatch):
    other = registry.EngineEntry("somewhere:Engine", "trident.sim.golden.backward:backward")
    monkeypatch.setitem(registry.PLACES["backward"], "other", other)
    with pytest.raises(TridentError, match="GOLDEN=torch has no backward_engine 'other': take GOLDEN=numpy"):
        on_torch.engines(CoreConfig(backward_engine="other"))
