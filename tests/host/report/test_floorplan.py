"""The floor plan: what it says of every core and link, and that it is the same each time."""

import re

import pytest

from trident.host.mapping.traffic import Load, load, traffic
from trident.host.report.floorplan import core_label, floorplan_png, floorplan_svg
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

NETWORK = Network.parse("8x8x1-4c3-8c3s2-12c3-10")


def drawing(text, width, height):
    mesh = MeshConfig(width=width, height=height)
    partition = Partition.parse(text, NETWORK, 1)
    flows = traffic(NETWORK, partition, CoreConfig.preset("FPGA"), mesh, 20)
    placement = tuple(range(partition.cores))
    return NETWORK, partition, mesh, placement, load(flows, mesh, placement)


@pytest.mark.parametrize(
    "text, width, height", [("1-4", 1, 1), ("1-2,3-4", 2, 1), ("2x1,2/2,3/2,4", 4, 3), ("8x1,2/4,3/2,4", 8, 8)]
)
def test_every_core_is_drawn(text, width, height):
    what = drawing(text, width, height)
    svg = floorplan_svg(*what)
    partition = what[1]
    assert svg.startswith("<svg") and svg.count(">host<") == 1
    assert svg.count(">free<") == width * height - partition.cores
    for core in range(partition.cores):
        for part in core_label(NETWORK, partition, core):
            assert not part or f">{part}<" in svg
    if partition.replicas > 1:
        assert svg.count(f">R{partition.replicas}<") == partition.members


def test_the_hottest_link_is_named():
    *what, links = drawing("1,2/2,3/2,4", 3, 2)
    source, target = links.hottest
    assert f"core {source} → core {target}, {links.peak:,.0f} flits per sample" in floorplan_svg(*what, links)


def test_labels_name_what_is_split_and_replicated_alone():
    partition = Partition.parse("2x1,2/2,3-4", NETWORK, 1)
    assert core_label(NETWORK, partition, 0) == ("R1", "layer 1", "")
    assert core_label(NETWORK, partition, 2) == ("R1", "layer 2", "ch 4–7")
    assert core_label(NETWORK, partition, 7) == ("R2", "layers 3–4", "")
    assert core_label(NETWORK, Partition.single(NETWORK), 0) == ("", "layers 1–4", "")


def test_every_link_has_an_arrow():
    svg = floorplan_svg(*drawing("1,2/2,3,4", 3, 2))
    # 7 pairs of neighbours in both directions, and the host's two; each arrow is a line and a head
    assert len(re.findall(r'<g id="patch_\d+">', svg)) >= 7 * 2 + 2


def test_same_input_same_bytes():
    what = drawing("1,2/2,3/2,4", 3, 2)
    assert floorplan_svg(*what) == floorplan_svg(*what)


def test_png_and_a_mesh_without_traffic():
    network, partition, mesh, placement, _ = drawing("1-4", 1, 1)
    assert floorplan_png(network, partition, mesh, placement, Load(0.0, {})).startswith(b"\x89PNG")
    assert "hottest" not in floorplan_svg(network, partition, mesh, placement, Load(0.0, {}))
