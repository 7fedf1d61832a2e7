"""The mesh: every packet arrives where it belongs, once, whole and in order, under every kind of traffic."""

import re
from time import perf_counter

import pytest

from tests.hw.noc.links import Traffic, WholeMesh
from trident.bench.chip.noc import PATTERNS, MeshTraffic
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.mesh import emit_mesh
from trident.hw.noc.topology import HOST, hops

MESHES = {
    "1x1": MeshConfig(width=1, height=1, buffers=4, packet=3, groups=2),
    "2x1": MeshConfig(width=2, height=1, flit=64, buffers=6, packet=6, groups=1),
    "2x2": MeshConfig(width=2, height=2, buffers=8, packet=5, channels=2, groups=8),
    "10x1": MeshConfig(width=10, height=1, flit=64, buffers=6, packet=5, groups=4),
    "1x9": MeshConfig(width=1, height=9, flit=64, buffers=8, packet=5, channels=2, groups=4),
    "5x4": MeshConfig.preset("FPGA"),
}
# Pattern, offered flits per core and cycle, senders' pauses, receivers' slowness
TRAFFIC = [
    ("uniform", 0.2, 0.0, 0.0), ("uniform", 1.0, 0.3, 0.7), ("transpose", 0.8, 0.0, 0.3), ("hotspot", 0.5, 0.1, 0.5),
    ("bursty", 1.0, 0.0, 0.9),
]  # fmt: skip


@pytest.mark.parametrize("name", [*list(MESHES)[:-1], pytest.param("5x4", marks=pytest.mark.slow)])
def test_traffic(name):
    mesh = MESHES[name]
    for seed, (pattern, load, gap, slow) in enumerate(TRAFFIC):
        traffic = Traffic(mesh, seed)
        traffic.mixed(pattern, 40 * mesh.cores, load)
        told = traffic.play(WholeMesh(mesh), gap, slow, seed)
        assert told["cases"] == len(traffic.packets)


@pytest.mark.parametrize("name", ["2x2", pytest.param("5x4", marks=pytest.mark.slow)])
def test_latency(name):
    """Two cycles per router, between all ends, when nothing else is under way."""
    mesh = MESHES[name]
    traffic = Traffic(mesh, 0)
    ends = [*range(mesh.cores), HOST]
    pairs = [(source, to) for source in ends for to in ends if source != to]
    for n, (source, to) in enumerate(pairs):
        traffic.unicast(50 * n, source, to, 1)
    traffic.play(WholeMesh(mesh), 0, 0, 0, latency=[2 * hops(mesh, source, to) for source, to in pairs])


def test_mesh_of_instances():
    """The Verilog with one router and instances of it moves the same packets; the driver checks every flit."""
    traffic = MeshTraffic(MESHES["2x2"])
    for pattern in PATTERNS:
        for length in (1, 4):
            result = traffic.run(pattern, length, 0.4, warmup=100, measured=1000)
            assert result.wrong == 0 and result.drained and result.packets > 100


def test_generation_is_quick_and_the_same_again():
    began = perf_counter()
    text = emit_mesh(MESHES["5x4"])
    assert perf_counter() - began < 10  # about one second on a machine that does nothing else
    assert text == emit_mesh(MESHES["5x4"])
    modules = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert modules.count("router") == modules.count("mesh") == 1 and len(modules) == len(set(modules))
