"""What bench/chip/noc.py measures and draws."""

from xml.etree import ElementTree

import pytest

from trident.bench.chip.noc import MeshTraffic, draw, measure_noc
from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig


def test_cost_of_a_router():
    """The logic of a router must not grow unnoticed beyond that of the reference prototype."""
    figures = {figure.name: figure.value for figure in measure_noc("noc.router")}
    assert 0 < figures["noc.router.luts.logic"] <= 787 and figures["noc.router.luts"] <= 950


def test_picture_is_well_formed():
    lines = {("FPGA", 1): [(0.1, 8.0), (0.5, 99.0)], ("FAST", 4): [(0.1, 9.0), (0.6, 20.0)]}
    found = ElementTree.fromstring(draw(lines)).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(found) == 2 and found[0].get("points") == "124.0,333.3 380.0,56.0"


def test_traffic_refuses_what_it_cannot_drive():
    with pytest.raises(TridentError, match="two cores or more and flits of 32 bits, not 64"):
        MeshTraffic(MeshConfig(flit=64))
