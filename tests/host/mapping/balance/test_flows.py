"""Traffic of spread networks, against that of the same partition, and by hand where none can say it."""

from collections import Counter

import numpy as np
import pytest

from trident.host.mapping.balance.demand import Demand
from trident.host.mapping.balance.flows import flows_of, pieces_of
from trident.host.mapping.balance.spread import Spread
from trident.host.mapping.traffic import Flow, packet_flits, traffic
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.noc.topology import HOST
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

CFG = CoreConfig.preset("TINY", weight_rows=4096)
MESH = mesh_for(CFG, MeshConfig(width=4, height=4))
LANES = CFG.lanes
WORDS = 4 // LANES  # of a pixel with 4 channels


def spread_as(pieces, strips=()) -> Spread:
    """So many groups of lanes of every layer on cores; of those in ``strips``, rows of pixels."""
    asked = [Demand(np.zeros((sum(of.values()) + 1, 4)), n in strips) for n, of in enumerate(pieces)]
    return Spread(asked, 1 + max(core for of in pieces for core in of), tuple(pieces))


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("net, partition, channels", [
    ("16-24-8", "1,2", [{0: 24}, {1: 8}]),
    ("16-24-16-8", "1/8+16,2/2,3", [{0: 8, 1: 16}, {2: 8, 3: 8}, {4: 8}]),
    ("6x6x4-16c3-12c3s2-8", "1/2,2/3,3", [{0: 8, 1: 8}, {2: 4, 3: 4, 4: 4}, {5: 8}]),
])  # fmt: skip
def test_what_a_partition_says_too_is_the_same(net, partition, channels, replicas):
    network = Network.parse(net)
    groups = [{core: count // LANES for core, count in of.items()} for of in channels]
    stages = Partition.parse(f"{replicas}x{partition}", network, LANES)
    expected = traffic(network, stages, CFG, MESH, 5).flows
    assert flows_of(network, spread_as(groups), replicas, CFG, MESH, 5).flows == expected
    kinds = {"spikes", "errors", "tokens"} | ({"gradients"} if replicas > 1 else set())
    assert {flow.kind for flow in expected} == kinds | ({"partials"} if "/" in partition else set())


def test_strips_of_rows_by_hand():
    """Three cores with rows 0-2, 3-5, 6-7 of the first layer, two with rows 0-3 and 4-7 of the second, kernel 3."""
    network = Network.parse("8x8x4-4c3-4c3-4", bias=False)
    found = spread_as([{0: 3, 1: 3, 2: 2}, {3: 4, 4: 4}, {5: 4 // LANES}], strips=(0, 1))
    assert [piece.rows for piece in pieces_of(network, found, LANES)[0]] == [(0, 3), (3, 6), (6, 8)]
    got = flows_of(network, found, 1, CFG, MESH, 1).flows

    def sent(source, targets, rows):
        flits, packets = packet_flits(rows * 8 * WORDS, CFG.spike_bits, MESH)
        return Flow(source, frozenset(targets), float(flits), "spikes", float(packets))

    spikes = [flow for flow in got if flow.kind == "spikes"]
    expected = [
        sent(HOST, {0}, 2), sent(HOST, {0, 1}, 2),
        sent(HOST, {1}, 1), sent(HOST, {1, 2}, 2),
        sent(HOST, {2}, 1),
        sent(0, {3}, 3),
        sent(1, {3, 4}, 2), sent(1, {4}, 1),
        sent(2, {4}, 2),
        sent(3, {5}, 4), sent(4, {5}, 4),
    ]  # fmt: skip
    inner = [flow for flow in spikes if flow.destinations != {HOST}]
    assert Counter(inner) == Counter(expected)
    errors = {(flow.source, *flow.destinations): flow.flits for flow in got if flow.kind == "errors"}
    rows = {(3, 0): 3, (3, 1): 2, (4, 1): 3, (4, 2): 2, (5, 3): 4, (5, 4): 4}
    assert errors == {pair: packet_flits(8 * WORDS * n * CFG.steps, CFG.row_bits, MESH)[0] for pair, n in rows.items()}
    gradients = {(flow.source, *flow.destinations) for flow in got if flow.kind == "gradients"}
    assert gradients == {(0, 1), (1, 2), (2, 0, 1), (3, 4), (4, 3)}


def test_a_core_sends_itself_nothing():
    network = Network.parse("16-8-8-4")
    found = spread_as([{0: 8 // LANES}, {0: 8 // LANES}, {0: 4 // LANES}])
    assert {flow.kind for flow in flows_of(network, found, 1, CFG, MESH, 1).flows if flow.source == 0} == {
        "spikes", "tokens"
    }  # fmt: skip
    assert all(HOST in (flow.source, *flow.destinations) for flow in flows_of(network, found, 1, CFG, MESH, 1).flows)
