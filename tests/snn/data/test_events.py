"""Event recordings: what the formats say is read and counted, or refused in a sentence."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.snn.data.recordings import HEAD, SIDES, recording
from trident.hw.errors import TridentError
from trident.snn.data import events
from trident.snn.data.events import bin_events, read_recording

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def rows(draw, suffix: str):
    """Events in the order of time."""
    side = st.integers(0, SIDES[suffix] - 1)
    times = sorted(draw(st.lists(st.integers(0, (1 << 22) - 1), min_size=1, max_size=40)))
    return [(draw(side), draw(side), draw(st.integers(0, 1)), time) for time in times]


@FEW
@given(st.data())
@pytest.mark.parametrize("suffix", SIDES)
def test_reads_what_is_written(tmp_path, suffix, data):
    given_ = data.draw(rows(suffix))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(recording(given_, suffix))
    found = read_recording(path)
    first = given_[0][3]
    columns = found.x, found.y, found.polarity, found.time
    assert list(zip(*(column.tolist() for column in columns))) == [(x, y, p, t - first) for x, y, p, t in given_]
    assert found.duration == given_[-1][3] - first + 1


@FEW
@given(st.data(), st.integers(1, 9), st.integers(1, 1 << 20))
@pytest.mark.parametrize("suffix", SIDES)
def test_counts(tmp_path, suffix, data, timesteps, bin_us):
    given_ = data.draw(rows(suffix))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(recording(given_, suffix))
    side = SIDES[suffix]
    expected = np.zeros((timesteps, side, side, 2), np.uint8)
    for x, y, p, t in given_:
        if (step := (t - given_[0][3]) // bin_us) < timesteps:
            expected[step, y, x, p] += 1
    counts = bin_events(read_recording(path), timesteps, bin_us, (side, side))
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtype == np.uint8


def test_counts_saturate(tmp_path):
    (tmp_path / "a.bin").write_bytes(recording([(5, 6, 1, 9)] * 300 + [(5, 6, 0, 9)] * 255))
    counts = bin_events(read_recording(tmp_path / "a.bin"), 2, 1, (34, 34))
    assert counts[0, 6, 5].tolist() == [255, 255] and counts.sum() == 510


def test_time_goes_on_behind_an_overflow(tmp_path):
    """An event of y 240 is none: it says that time has gone on by 2**13 microseconds."""
    goes_on = (0, 240, 0, 0)
    (tmp_path / "a.bin").write_bytes(recording([(1, 2, 0, 8000), goes_on, (3, 4, 1, 1), goes_on, (5, 6, 0, 2)]))
    found = read_recording(tmp_path / "a.bin")
    assert found.x.tolist() == [1, 3, 5] and found.time.tolist() == [0, 193, 8386]


def test_external_events_are_left_out(tmp_path):
    octets = recording([(1, 2, 0, 3)], ".aedat") + (0x8000).to_bytes(4, "big") + (9).to_bytes(4, "big")
    (tmp_path / "a.AEDAT").write_bytes(octets)
    assert read_recording(tmp_path / "a.AEDAT").time.tolist() == [0]


GOOD = [(1, 2, 0, 3), (4, 5, 1, 6)]
BAD = [
    (".bin", b"", "holds no events"),
    (".bin", recording([(0, 240, 0, 0)]), "holds no events"),
    (".bin", recording(GOOD)[:-1], "is cut short: 9 bytes are no whole number of events of 5 bytes"),
    (".bin", recording([*GOOD, (34, 3, 0, 9)]), "event 3 of .* is at x 34, y 3, outside N-MNIST's 34x34 pixels"),
    (".bin", recording([(0, 34, 0, 9)]), "event 1 of .* is at x 0, y 34, outside"),
    (".bin", recording([*GOOD, (0, 0, 0, 5)]), "the timestamps of .* go backwards at event 3: from 6 to 5 µs"),
    (".bin", recording([(0, 0, 0, (1 << 23) - 1), (0, 0, 0, 1)]), "of .* wrap at event 2: from 8388607 to 1 µs"),
    (".bin", recording([(0, 0, 0, 9), (0, 240, 0, 0), (0, 0, 0, 9), (0, 0, 0, 8)]), "backwards at event 4: from 8201"),
    (".aedat", b"", "is no AEDAT file: it does not begin with #!AER-DAT2.0"),
    (".aedat", b"# comment\n", "is no AEDAT file"),
    (".aedat", recording(GOOD, ".aedat", b"#!AER-DAT3.1\r\n"), "is of version 3.1 of AEDAT; 2.0 is read"),
    (".aedat", b"#!AER-DAT2.0", "header does not end within 12 bytes"),
    (".aedat", HEAD + b"# " + b"x" * (1 << 20), "header does not end within 1024 KiB"),
    (".aedat", HEAD, "holds no events"),
    (".aedat", HEAD + (0x8000).to_bytes(4, "big") + bytes(4), "holds no events"),
    (".aedat", recording(GOOD, ".aedat")[:-3], "is cut short: 13 bytes behind its header are no whole"),
    (".aedat", HEAD + (0x10002).to_bytes(4, "big") + bytes(4), "event 1 of .* has the address 0x10002, which no DVS"),
    (".aedat", recording([*GOOD, (0, 0, 0, 5)], ".aedat"), "go backwards at event 3: from 6 to 5 µs"),
    (".aedat", recording([(0, 0, 0, 2**32 - 1), (0, 0, 0, 1)], ".aedat"), "wrap at event 2: from 4294967295 to 1 µs"),
]


@pytest.mark.parametrize("suffix, content, words", BAD, ids=[words for *_, words in BAD])
def test_faults_of_a_recording(tmp_path, suffix, content, words):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(TridentError, match=words) as refused:
        read_recording(path)
    said = str(refused.value)
    assert f"bad{suffix}" in said and "\n" not in said and len(said) < 600


def test_large_recordings_are_refused_unread(tmp_path):
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(events.LARGEST + 5)
    with pytest.raises(TridentError, match="a.bin has 256 MiB, more than the 256 MiB that a recording may have"):
        read_recording(tmp_path / "a.bin")
