"""Partitions: reading them, what they refuse, and where they say that a layer is."""

from itertools import pairwise

import pytest

from trident.hw.errors import TridentError
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition, Stage, even_cuts

NETWORK = Network.parse("8x8x1-8c3-16c3s2-24c3-16-10")


def parse(text, lanes=1):
    return Partition.parse(text, NETWORK, lanes)


@pytest.mark.parametrize(
    "text, cores, replicas",
    [("1-5", 1, 1), ("1-2,3-5", 2, 1), ("1,2/2,3/8+16,4-5", 6, 1), ("4x1-2,3/2,4-5", 16, 4), ("2x1,2,3/3,4,5", 14, 2)],
)
def test_reads_what_it_prints(text, cores, replicas):
    partition = parse(text)
    assert (partition.cores, partition.replicas) == (cores, replicas)
    assert Partition.parse(str(partition), NETWORK, 1) == partition


def test_single_is_everything_on_one_core():
    assert Partition.single(NETWORK) == parse("1-5")


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "'' is no stage"),
        ("1-2;3", "is no stage: write 3, 1-2, 3/2 or 3/8\\+16"),
        ("1-6", "stage '1-6' is not within layers 1 to 5"),
        ("0-5", "is not within layers 1 to 5"),
        ("1-2,4-5", "a stage begins with layer 4 where layer 3 is due"),
        ("1-2,2-5", "a stage begins with layer 2 where layer 3 is due"),
        ("1-4", "layers 5 to 5 are on no core"),
        ("1,2/8+7,3-5", "its slices hold 15 of the 16 channels of layer 2"),
        ("1,2/8+9,3-5", "its slices hold 17 of the 16 channels of layer 2"),
        ("1,2/0+16,3-5", "a slice of layer 2 is empty"),
        ("1-2/2,3-5", "a stage of several layers cannot be split"),
        ("1,2/17,3-5", "16 channels in groups of 1 lanes cannot be split over 17 cores"),
        ("1,2/5,3-5", "a stage has 5 cores, at most 4 are possible"),
        ("0x1-5", "a partition needs at least 1 replica, not 0"),
    ],
)
def test_refuses_in_one_sentence(text, sentence):
    with pytest.raises(TridentError, match=sentence):
        parse(text)


def test_cuts_lie_between_groups_of_lanes():
    with pytest.raises(TridentError, match="layer 2 is cut at channel 6, which is no multiple of the 4 lanes"):
        parse("1,2/6+10,3-5", lanes=4)
    assert parse("1,2/2,3-5", lanes=8).stages[1].cuts == (0, 8, 16)


@pytest.mark.parametrize("channels, cores, lanes", [(16, 3, 1), (24, 4, 2), (10, 2, 4), (16, 16, 1)])
def test_even_cuts_differ_by_at_most_a_group(channels, cores, lanes):
    cuts = even_cuts(channels, cores, lanes)
    groups = [-(-(b - a) // lanes) for a, b in pairwise(cuts)]
    assert cuts[0] == 0 and cuts[-1] == channels and len(groups) == cores
    assert max(groups) - min(groups) <= 1


def test_numbers_of_cores_agree():
    partition = parse("2x1,2/2,3/8+16,4-5")
    for core in range(partition.cores):
        replica, stage, slice_ = partition.locate(core)
        assert partition.core(replica, stage, slice_) == core


def test_slices_name_every_channel_once():
    partition = parse("2x1,2/2,3/8+16,4-5")
    assert partition.slices(2, NETWORK) == [(3, 0, 8), (4, 8, 24)]
    assert partition.slices(4, NETWORK) == [(5, 0, 10)]
    for n, layer in enumerate(NETWORK.layers):
        covered = [channel for _, a, b in partition.slices(n, NETWORK) for channel in range(a, b)]
        assert covered == list(range(layer.out_channels))


def test_samples_go_round_the_replicas():
    partition = parse("3x1-5")
    assert [partition.samples(10, replica) for replica in range(3)] == [4, 3, 3]


def test_check_refuses_a_partition_made_by_hand():
    with pytest.raises(TridentError, match="there is no layer 6"):
        Partition(1, (Stage(0, 5, (0, 10)),)).check(NETWORK, 1)
