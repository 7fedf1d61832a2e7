"""The drawing of a network: every node and edge is in it, and the same network gives the same bytes."""

from xml.etree import ElementTree

from trident.host.report.graph import Row, graph_png, graph_rows, graph_svg
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm
from trident.snn.network.partition import Partition

NETWORK = Network.parse("8x8x1-4c3s2-8c3-10")
PARTITION = Partition.parse("2x1,2/2,3", NETWORK, 1)
PLACEMENT = (3, 0, 1, 2, 7, 6, 5, 4)


def test_rows_say_what_each_node_is_and_where_it_runs():
    rows = graph_rows(NETWORK, PARTITION, PLACEMENT)
    assert rows[0] == Row("input", "samples", "8x8x1", "", "host")
    assert rows[1] == Row("conv1", "conv kernel 3, stride 2, padding 1", "4x4x4", "40", "cores 3, 7")
    other = Network.parse("8x8x2-4c5x3s2d1x2g2-3")
    what = graph_rows(other, Partition.single(other), (0,))[1].what
    assert what == "conv kernel 5x3, stride 2, padding 2, dilation 1x2, groups 2"
    assert rows[3].where == "cores 0, 1, 6, 5" and rows[4] == Row("neuron2", "neuron", "4x4x8", "", rows[3].where)
    assert rows[5] == Row("flatten3", "flatten", "128", "", "") and rows[6].parameters == "1,290"
    assert [row.node for row in rows[1:]] == [node.name for node in NETWORK.nodes]


def test_neurons_of_their_own_are_said():
    build = Builder((1, 1, 6))
    build.add("linear", outputs=5)
    build.add("neuron", neuron="if", threshold=0.25, detach=False)
    build.add("linear", outputs=3)
    build.add("readout")
    network = build.network()
    rows = graph_rows(network, Partition.single(network), (0,))
    assert (rows[2].what, rows[4].what) == ("neuron if, threshold 0.25, no detach", "readout mean")


def test_pools_run_where_their_spikes_are():
    network = Network.parse("8x8x1-4c3-mp2-10")
    rows = graph_rows(network, Partition.single(network), (0,))
    assert rows[3] == Row("pool2", "pool method max, size 2, stride 2, padding 0", "4x4x4", "", "core 0")


def test_norms_and_windows_run_where_their_sums_are():
    network = with_norm(Network.parse("8x8x1-4c3m2-10"), "bn")
    rows = graph_rows(network, Partition.single(network), (0,))
    assert [(row.node, row.where) for row in rows[2:4]] == [("conv1_norm", "core 0"), ("window1", "core 0")]
    assert rows[2].parameters == "8" and "batch" in rows[2].what


def test_without_bias_is_said():
    network = Network.parse("6-5-3", bias=False)
    rows = graph_rows(network, Partition.single(network), (0,))
    assert rows[1] == Row("linear1", "linear no bias", "5", "30", "core 0")


def test_the_drawing_is_well_formed_and_the_same_each_time():
    svg = graph_svg(NETWORK, PARTITION, PLACEMENT)
    assert svg == graph_svg(NETWORK, PARTITION, PLACEMENT)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert graph_png(NETWORK, PARTITION, PLACEMENT).startswith(b"\x89PNG")


def test_sums_and_means_run_where_they_are_read():
    network = Network.parse("8x8x1-4c3-sew4-gap-10")
    rows = graph_rows(network, Partition.single(network), (0,))
    found = {row.node: (row.output, row.where) for row in rows}
    assert found["add2"] == ("8x8x4", "core 0") and found["pool3"] == ("4", "core 0")


def test_branches_run_where_their_layer_does():
    network = Network.parse("64-12rec-10")
    rows = {row.node: row.where for row in graph_rows(network, Partition.single(network), (0,))}
    assert rows["linear1"] == rows["recurrent1"] == rows["add1"] == rows["neuron1"] == "core 0"
