"""Networks spread over meshes: balance, replicas, and what is refused before anything is searched."""

import pytest

from trident.host.mapping.balance import forecast
from trident.host.mapping.balance.forecast import BALANCED, balance
from trident.host.mapping.placement import Placing
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm

CFG = CoreConfig.preset("SMALL", timesteps=4, lanes=16, words=8, accumulators=64)
PLACING = Placing(budget=0.01)


def mesh(width: int, height: int) -> MeshConfig:
    return mesh_for(CFG, MeshConfig(width=width, height=height))


def test_a_network_is_balanced_on_all_cores():
    network = Network.parse("64x64x3-64c3-64c3-128c3s2-128c3-256-10", bias=False)
    found = balance(network, CFG, mesh(4, 4), 8, PLACING)
    assert found.cores == 16 and found.replicas == 1 and found.found.worst <= BALANCED
    assert sorted(found.placement) == list(range(16)) and found.traffic.cores == 16
    assert found.period >= found.found.work.max() and found.load.flit_hops <= found.zigzag.flit_hops
    assert balance(network, CFG, mesh(4, 4), 8, PLACING).placement == found.placement


def test_small_networks_are_copied():
    network = Network.parse("64-128-10")
    found = balance(network, CFG, mesh(4, 2), 8, PLACING)
    assert found.replicas == 8 and found.found.cores == 1 and found.found.worst == 1
    assert found.period >= found.found.work.max() / 8
    assert any(flow.kind == "gradients" for flow in found.traffic.flows)


def test_a_mesh_of_1024_cores():
    network = Network.parse("128x128x3-64c3-64c3-128c3s2-128c3-256c3s2-256c3-512-10", bias=False)
    found = balance(network, CFG, mesh(32, 32), 64, Placing("hilbert"))
    assert found.cores == 1024 and max(found.placement) == 1023


@pytest.mark.parametrize("net, size, batch, memory, sentence", [
    ("64-128-10", (4, 4), 1, None, "the mesh 4x4 has 16 cores, a network for each of 1 samples can be cut into 9"),
    ("64x64x3-32c3-10", (2, 1), 4, 64, r"the network takes [0-9.]+ MiB, the 2 cores of the mesh 2x1 have 0.1 MiB"),
])  # fmt: skip
def test_refuses_what_a_mesh_cannot_hold_before_it_searches(net, size, batch, memory, sentence, monkeypatch):
    monkeypatch.setattr(forecast, "spread", None)
    with pytest.raises(TridentError, match=sentence):
        balance(Network.parse(net), CFG, mesh(*size), batch, PLACING, memory=memory)


def test_refuses_a_core_that_the_largest_share_does_not_fit():
    network = Network.parse("16x16x1-8c3-10", bias=False)
    needed = balance(network, CFG, mesh(1, 1), 1, PLACING).found.bits.max() / 8192
    assert balance(network, CFG, mesh(1, 1), 1, PLACING, memory=needed * 1.01)
    least = balance(network, CFG, mesh(2, 1), 1, PLACING).found.bits
    assert least.max() > least.mean()
    with pytest.raises(TridentError, match="the network as evenly spread as is found takes .* MiB of the largest core"):
        balance(network, CFG, mesh(2, 1), 1, PLACING, memory=(least.max() - 1) / 8192)


def test_refuses_norms_that_cores_cannot_share():
    network = with_norm(Network.parse("8x8x1-8c3-10"), "bn")
    with pytest.raises(TridentError, match="needs whole layers: cores that share one merge no statistics"):
        balance(network, CFG, mesh(2, 2), 4, PLACING)
