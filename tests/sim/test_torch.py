"""Golden on PyTorch against golden in NumPy: the same bits of everything."""

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden import on_torch
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network import Network
from trident.snn.partition import Partition
from trident.snn.settings import NeuronSettings

missing = pytest.mark.skipif(on_torch.torch is None, reason="the oracle extra is not installed")
NETWORKS = ("9-14-5", "6x5x3-8c3s1p1-7c3s2p1-5", "7x7x2-5c5s2p2-4c2-6", "4x4x3-6c1-8")
CONFIGS = {
    "exact": {},
    "float gradients": {"gradient_bits": 16},
    "soft, triangle, subnormals": {"reset": "soft", "surrogate": "triangle", "multiplier_subnormals": True},
    "bfloat16": {"exp": 8, "frac": 7},
}


def _pair(network: Network, cfg: CoreConfig, partition=None) -> list[GoldenTrainer]:
    neuron = NeuronSettings(reset=cfg.reset, surrogate=cfg.surrogate)
    return [GoldenTrainer(network, neuron, cfg, 3, partition, engines) for engines in ("numpy", "torch")]


def _compare(pair: list[GoldenTrainer], rng, loss_scale: float, samples: int = 7):
    """A minibatch and its update on both; every array and every fault."""
    golden, torch = pair
    cfg, network = golden.cfg, golden.network
    spikes = (rng.random((samples, cfg.timesteps, *network.in_shape)) < 0.4).astype(np.uint8)
    labels, table = rng.integers(0, network.classes, samples), golden.table(loss_scale)
    for ours, theirs in zip(*(model.train(spikes, labels, table, at_once=4) for model in pair), strict=True):
        for name in ("spikes", "masks", "potentials", "errors"):
            for one, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
                assert np.array_equal(one, other, equal_nan=True), name
    assert (golden.faults == torch.faults).all()
    for replica in range(golden.partition.replicas):
        wanted, found = (model.bits(Space.GRADIENTS, replica) for model in pair)
        assert all((wanted[name] == found[name]).all() for name in wanted)
    for model in pair:
        model.update(UpdateConstants.of(0.9, 0.5 / loss_scale / samples, samples, cfg.format))
    wanted, found = (model.bits(Space.WEIGHTS) for model in pair)
    assert all((wanted[name] == found[name]).all() for name in wanted)
    return golden.faults.any()


@missing
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("text", NETWORKS)
def test_same_bits(text, config):
    cfg = CoreConfig(lanes=2, timesteps=3, accumulators=16, **CONFIGS[config])
    pair, rng = _pair(Network.parse(text, bias=text != NETWORKS[2]), cfg), np.random.default_rng(0)
    for _ in range(3):
        _compare(pair, rng, 256)


@missing
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


@missing
def test_replicas_and_slices():
    cfg = CoreConfig(lanes=2, timesteps=3, accumulators=16, gradient_bits=16)
    network = Network.parse("4x4x2-8c3-6-4")
    partition = Partition.parse("2x1/2,2,3", network, cfg.lanes)
    _compare(_pair(network, cfg, partition), np.random.default_rng(2), 256)


@missing
def test_parts_of_a_large_array(monkeypatch):
    """The samples are taken one by one where arrays would become too large."""
    monkeypatch.setattr(on_torch, "ELEMENTS", 1)
    _compare(_pair(Network.parse(NETWORKS[1]), CoreConfig(lanes=2, timesteps=3)), np.random.default_rng(3), 256)


def test_refusals(monkeypatch):
    network, cfg = Network.parse("4-3-2"), CoreConfig(lanes=2)
    monkeypatch.setattr(on_torch, "torch", None)
    with pytest.raises(TridentError, match="GOLDEN=torch needs PyTorch"):
        GoldenTrainer(network, NeuronSettings(), cfg, engines="torch")
