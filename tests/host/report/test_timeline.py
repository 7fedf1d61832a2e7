"""The timeline: a band per core, and what is refused."""

import pytest

from trident.host.report.timeline import COLOURS, LANES, Interval, timeline_png, timeline_svg
from trident.hw.errors import TridentError


def busy(cores):
    made = []
    for core in range(cores):
        for sample in range(4):
            start = 1000 * sample + 10 * core
            made += [
                Interval(core, queue, start + 100 * n, start + 100 * n + 90)
                for n, queue in enumerate(queue for queues in LANES.values() for queue in queues)
            ]
    return made


@pytest.mark.parametrize("cores", [1, 4, 20, 64])
def test_every_core_has_a_band(cores):
    svg = timeline_svg(busy(cores))
    assert svg.startswith("<svg")
    for core in range(cores):
        assert svg.count(f">core {core}<") == 1


def test_labels_take_the_place_of_numbers():
    svg = timeline_svg(busy(2), ["R1 layer 1", "R1 layer 2"])
    assert ">R1 layer 2<" in svg and ">core 0<" not in svg


def test_the_legend_names_the_lanes_that_are_there():
    svg = timeline_svg([Interval(0, "forward", 0, 10), Interval(0, "loss", 10, 20)])
    assert ">forward<" in svg and ">backward (loss)<" in svg and "weight_grad" not in svg
    assert COLOURS["forward"].lower() in svg and COLOURS["update"].lower() not in svg


def test_the_order_of_intervals_does_not_matter():
    intervals = busy(3)
    assert timeline_svg(intervals) == timeline_svg(reversed(intervals))


def test_png():
    assert timeline_png(busy(2)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "intervals, labels, sentence",
    [
        ([], None, "a timeline needs at least 1 interval, not 0"),
        ([Interval(0, "sleep", 0, 1)], None, "a timeline has the queues forward, backward, .*, not 'sleep'"),
        ([Interval(2, "forward", 9, 3)], None, "forward of core 2 ends in cycle 3, before it starts in 9"),
        ([Interval(2, "forward", 0, 3)], ["a", "b"], "a timeline of cores 0 to 1 has no core 2"),
        ([Interval(-1, "forward", 0, 3)], None, "core numbers of a timeline begin with 0, not -1"),
    ],
)
def test_refuses_in_one_sentence(intervals, labels, sentence):
    with pytest.raises(TridentError, match=sentence):
        timeline_svg(intervals, labels)
