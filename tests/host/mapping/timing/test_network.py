"""The mesh in time against its RTL, packet by packet."""

import numpy as np
import pytest

from trident.bench.chip.noc import MeshTraffic
from trident.host.mapping.timing.network import play
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST, hops


def packets(mesh: MeshConfig, load: float, count: int, seed: int):
    """Packets of one to so many flits as fit, at random; at this load in flits per core and cycle."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 2, mesh.packet], count)
    times = np.sort(rng.integers(0, max(1, int(lengths.sum() / load / mesh.cores)), count))
    sources = rng.integers(0, mesh.cores, count)
    targets = (sources + rng.integers(1, mesh.cores, count)) % mesh.cores
    return times, sources, targets, lengths


@pytest.mark.parametrize(
    "mesh", [MeshConfig(width=4, height=3), MeshConfig.preset("FAST", width=3, height=2)], ids=["one", "four"]
)
def test_every_packet_comes_in_the_cycle_of_the_rtl(mesh):
    """On an idle mesh, a busy one and one that takes no more, with one virtual channel and with several."""
    traffic = MeshTraffic(mesh)
    for number, load in enumerate((0.02, 0.3, 0.6, 5.0)):
        given = packets(mesh, load, 3000, number)
        np.testing.assert_array_equal(play(mesh, *given), traffic.play(*given))


def test_an_idle_mesh_takes_two_cycles_a_router():
    mesh = MeshConfig(width=3, height=3)
    for source, target in ((0, 8), (8, 0), (HOST, 8), (2, HOST), (3, 4)):
        came = play(mesh, [5], [source], [target], [4])
        assert came[0] == 5 + 2 * hops(mesh, source, target) + 3
