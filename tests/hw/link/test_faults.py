"""The host's half and the RTL of the link, with a line between them that goes wrong: all arrives once and in order."""

import os

import numpy as np
import pytest

from tests.hw.link.echo import echo_line, random_packets
from tests.hw.link.test_upload import case_of
from trident.host.driver.endpoint import DEAD, LinkDown
from trident.host.driver.faulty_line import KINDS, FaultyLine
from trident.host.driver.frames import Decoder
from trident.host.driver.serial_link import SerialLink
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import BUFFER
from trident.hw.isa.mesh import mesh_for

FAULTS = int(os.environ.get("FAULTS", 2000))
CFG = CoreConfig.preset("FPGA")
MESH = mesh_for(CFG)
LIMIT = 1 << 22  # cycles without anything: more than any fault costs
OVER = 2.0  # seconds in which a dead link must have been reported


def _connect(seed: int, every: float, kinds=KINDS, **line) -> tuple[FaultyLine, SerialLink]:
    line = FaultyLine(echo_line(CFG, MESH, **line), seed, every, kinds)
    return line, SerialLink(line, CFG, MESH)


def _echo(link: SerialLink, flits: np.ndarray):
    """Send packets and compare what comes back."""
    given, found = link.exchange(flits, int(flits[:, -1].sum()), LIMIT)
    assert given == len(flits)
    assert np.array_equal(found, flits), "packets were changed, lost, repeated or reordered"


def test_all_arrives_without_faults():
    line, link = _connect(0, 1)
    rng = np.random.default_rng(0)
    for count in (1, 2, 50, 400):
        _echo(link, random_packets(rng, MESH, count))
    _echo(link, case_of("fpga", 9)[1])
    assert link.endpoint.retries == 0 and not line.line.error
    link.close()


@pytest.mark.parametrize("skew", [0.98, 1.02])
def test_all_arrives_at_another_baud_rate(skew):
    _, link = _connect(0, 1, skew=skew)
    _echo(link, random_packets(np.random.default_rng(1), MESH, 100))
    assert link.endpoint.retries == 0
    link.close()


@pytest.mark.parametrize("kind", KINDS)
def test_all_arrives_under_each_kind_of_fault(kind):
    line, link = _connect(1, 300, (kind,))
    line.start()
    rng = np.random.default_rng(1)
    while line.injected[kind] < 30:
        _echo(link, random_packets(rng, MESH, int(rng.integers(1, 60))))
    assert line.line.error and link.endpoint.retries
    link.close()


@pytest.mark.parametrize("buffer", [BUFFER, 512])
def test_a_buffer_that_is_full_to_the_last_byte_loses_nothing(buffer):
    """The host takes no payload for a while; the records until then fill the chip's buffer exactly."""
    line, link = _connect(9, 1, buffer=buffer)
    sizes = ([8] * 3 + [7]) * (buffer // 128)
    assert sum(1 + 4 * size for size in sizes) == buffer
    read, decoder, began = line.line.read, Decoder(), line.now()

    def without_payload(seconds: float) -> bytes:
        if line.now() - began > 0.03:
            line.line.read = read
        frames = decoder.feed(read(seconds))
        return b"".join(frame.encode() for frame in frames if frame and not frame.payload)

    line.line.read = without_payload
    _echo(link, random_packets(np.random.default_rng(8), MESH, 0, sizes + [5] * 60))
    link.close()


def test_all_arrives_in_small_buffers_under_faults():
    line, link = _connect(12, 300, buffer=512)
    line.start()
    rng = np.random.default_rng(12)
    while line.injected.total() < 60:
        _echo(link, random_packets(rng, MESH, int(rng.integers(1, 200))))
    assert link.endpoint.retries
    link.close()


@pytest.mark.slow
def test_all_arrives_under_many_faults():
    """Bursts and single faults; a session that has died (which short cuts do not cause) would fail the test."""
    done = 0
    for seed, every in enumerate((400, 200, 100, 200)):
        line, link = _connect(seed + 2, every)
        line.start()
        rng = np.random.default_rng(seed)
        while line.injected.total() < FAULTS / 4:
            if rng.random() < 0.2:
                _echo(link, case_of("fpga", int(rng.integers(1, 30)))[1])
            else:
                _echo(link, random_packets(rng, MESH, int(rng.integers(1, 150))))
        done += line.injected.total()
        link.close()
    assert done >= FAULTS


def test_a_pulled_cable_is_reported_in_time_and_a_reset_mends_it():
    """The cable goes while packets are under way; then nothing of the old session is left."""
    line, link = _connect(5, 1)
    rng = np.random.default_rng(2)
    flits = random_packets(rng, MESH, 1000)
    listen, began = line.line.read, line.now()

    def read(seconds: float) -> bytes:
        if line.now() - began >= 0.003:
            line.pull()
        return listen(min(seconds, 0.0001))

    line.line.read = read
    with pytest.raises(LinkDown, match=r"for 1 s, while (sending|waiting)"):
        link.exchange(flits, len(flits), LIMIT)
    assert DEAD <= line.now() - began < OVER
    line.line.read = listen
    line.plug()
    link.reset()
    _echo(link, random_packets(rng, MESH, 100))
    link.close()


def test_a_line_that_is_dead_towards_the_chip_is_reported(monkeypatch):
    line, link = _connect(6, 1)
    _echo(link, random_packets(np.random.default_rng(3), MESH, 5))
    monkeypatch.setattr(line, "write", lambda octets: None)
    began = line.now()
    with pytest.raises(LinkDown, match="has acknowledged nothing for 1 s, while sending"):
        link.exchange(random_packets(np.random.default_rng(4), MESH, 50), 50, LIMIT)
    assert line.now() - began < OVER
    link.close()


def test_frames_of_an_old_session_are_refused():
    line, link = _connect(7, 1)
    rng = np.random.default_rng(5)
    sent = []
    write = line.line.write
    line.line.write = lambda octets: (sent.append(octets), write(octets))
    _echo(link, random_packets(rng, MESH, 20))
    old = b"".join(sent)
    link.reset()
    write(old)  # a host that was still sending
    _echo(link, random_packets(rng, MESH, 20))
    link.close()


def test_a_repeated_reset_does_nothing_more():
    """The answer to a RESET was lost, and the host asked again; meanwhile the session is under way."""
    line, link = _connect(8, 1)
    rng, sent, write = np.random.default_rng(6), [], line.line.write
    line.line.write = lambda octets: (sent.append(octets), write(octets))
    link.reset()
    reset = b"".join(sent)
    flits = random_packets(rng, MESH, 40)
    calls = []

    def again(octets: bytes):
        calls.append(octets)
        write(octets + (reset if len(calls) % 3 == 0 else b""))

    line.line.write = again
    _echo(link, flits)
    assert len(calls) > 3
    link.close()
