"""Traffic: flits of packets, flows of partitions, and the load of links, against counts by hand."""

import pytest

from trident.host.mapping.traffic import Flow, Traffic, links_between, load, packet_flits, traffic
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

CFG = CoreConfig.preset("FPGA")  # words of 4 bits, rows of 16
MESH = MeshConfig(width=3, height=2)  # flits of 32 bits, packets of 8
NETWORK = Network.parse("4x4x1-4c3-6c3-10")


def flows(partition: str, batch=10, network=NETWORK, cfg=CFG):
    made = traffic(network, Partition.parse(partition, network, cfg.lanes), cfg, MESH, batch)
    return {(flow.source, tuple(sorted(flow.destinations)), flow.kind): flow.flits for flow in made.flows}


@pytest.mark.parametrize(
    "items, bits, flits, packets",
    [(1, 4, 2, 1), (8, 4, 2, 1), (9, 4, 3, 1), (56, 4, 8, 1), (57, 4, 10, 2), (14, 16, 8, 1), (3, 64, 7, 1),
     (4, 64, 10, 2), (1, 224, 8, 1)],
)  # fmt: skip
def test_packets_hold_whole_words(items, bits, flits, packets):
    assert packet_flits(items, bits, MESH) == (flits, packets)


def test_refuses_a_word_that_no_packet_holds():
    with pytest.raises(TridentError, match="a word of 256 bits takes 8 flits of 32 bits, a packet of 8 flits has room"):
        packet_flits(1, 256, MESH)


def test_one_core_talks_to_the_host_alone():
    found = flows("1-3")
    # 16 words of 4 bits in, 10 out; a token with each and one back; the barrier's token per minibatch
    assert found == {
        (HOST, (0,), "spikes"): 3, (0, (HOST,), "spikes"): 3,
        (HOST, (0,), "tokens"): pytest.approx(2.1), (0, (HOST,), "tokens"): pytest.approx(2.1),
    }  # fmt: skip


def test_a_pipeline_with_a_split_layer():
    found = flows("1,2/2,3")
    # Layer 1 has 64 words: 8 flits in 2 packets, multicast to both slices of layer 2
    assert found[0, (1, 2), "spikes"] == 10
    # A slice sends 3 words per pixel: a flit and a header for each of 16 runs
    assert found[1, (3,), "spikes"] == found[2, (3,), "spikes"] == 32
    # Errors of layer 1, 256 rows: along the slices of layer 2, then to their owner; 128 flits in 19 packets
    assert found[1, (2,), "partials"] == found[2, (0,), "errors"] == 147
    # Errors of each slice of layer 2, 192 rows, from layer 3: 96 flits in 14 packets
    assert found[3, (1,), "errors"] == found[3, (2,), "errors"] == 110
    # 19 credits of the errors along the chain
    assert found[2, (1,), "tokens"] == 19
    # a token with each sample to the next stage, and back: 14 credits for the errors go with it
    assert found[1, (3,), "tokens"] == 15


def test_replicas_share_samples_and_reduce_gradients():
    one, two = flows("1-3"), flows("2x1-3")
    assert two[HOST, (0,), "spikes"] == two[HOST, (1,), "spikes"] == one[HOST, (0,), "spikes"] / 2
    # Rows of weights: 9 * 4 + 4, 36 * 6 + 6, 96 * 10 + 10; two per flit, 7 flits per packet; once per 10 samples
    rows = 40 + 222 + 970
    per_minibatch = rows // 2 + -(-rows // 14)
    assert two[0, (1,), "gradients"] == two[1, (0,), "gradients"] == pytest.approx(per_minibatch / 10)


def test_gradients_go_along_the_replicas_and_back_to_all():
    found = {key[:2] for key in flows("3x1-3") if key[2] == "gradients"}
    assert found == {(0, (1,)), (1, (2,)), (2, (0, 1))}


def test_paths_go_along_x_first_and_the_host_is_behind_core_0():
    assert links_between(MESH, 0, 5) == ((0, 1), (1, 2), (2, 5))
    assert links_between(MESH, 5, 0) == ((5, 4), (4, 3), (3, 0))
    assert links_between(MESH, HOST, 4) == ((HOST, 0), (0, 1), (1, 4))
    assert links_between(MESH, 4, HOST) == ((4, 3), (3, 0), (0, HOST))


def test_a_multicast_uses_each_link_once():
    made = Traffic(3, (Flow(0, frozenset({1, 2}), 10.0, "spikes"), Flow(2, frozenset({0}), 4.0, "errors")))
    result = load(made, MESH, (0, 2, 5))
    assert result.links == {(0, 1): 10, (1, 2): 10, (2, 5): 10, (5, 4): 4, (4, 3): 4, (3, 0): 4}
    assert (result.flit_hops, result.hottest, result.peak) == (42, (0, 1), 10)


def test_flits_times_hops_is_what_the_links_carry():
    partition = Partition.parse("1,2/3,3", NETWORK, 1)
    made = traffic(NETWORK, partition, CFG, MESH, 10)
    result = load(made, MESH, (4, 1, 0, 5, 2))
    assert result.flit_hops == pytest.approx(sum(result.links.values()))
    assert result.flit_hops >= made.flits


def test_sums_of_norms_go_once_around_the_replicas():
    """Two forward and two backward of each of 4 channels, to 2 others: 4 rows of 16 bits, 2 flits and a header."""
    found = flows("3x1-3", network=Network.parse("4x4x1-4c3bn-6c3-10"))
    around = {key[:2]: flits for key, flits in found.items() if key[2] == "statistics"}
    assert around == dict.fromkeys([(0, (1,)), (1, (2,)), (2, (0,))], pytest.approx(4 * 4 * 2 * 3 / 10))
