"""Frames as bytes: what is encoded is decoded, whatever stands around it, and nothing else is."""

from hypothesis import given
from hypothesis import strategies as st

from trident.host.driver.frames import Decoder, Frame, decode
from trident.hw.isa.frames import ESCAPE, FLAG, FRAME

FIELDS = {field.name: field.width for row in FRAME.rows for field in row}
frames = st.builds(
    Frame,
    **{name: st.integers(0, 2**width - 1) for name, width in FIELDS.items()},
    payload=st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([FLAG, ESCAPE, 0x5E, 0x5D])).map(bytes)),
)


@given(frames)
def test_round_trip(frame):
    octets = frame.encode()
    assert octets[0] == octets[-1] == FLAG and FLAG not in octets[1:-1]
    assert Decoder().feed(octets) == [frame]


@given(st.lists(frames, max_size=4), st.binary(max_size=40), st.integers(1, 50))
def test_frames_come_in_any_pieces_after_any_garbage(sent, garbage, size):
    octets = garbage + bytes([FLAG]) + b"".join(frame.encode() for frame in sent)
    decoder, found = Decoder(), []
    for at in range(0, len(octets), size):
        found += decoder.feed(octets[at : at + size])
    assert [frame for frame in found if frame] == sent


@given(frames, st.data())
def test_a_changed_frame_is_none(frame, data):
    octets = bytearray(frame.encode())
    at = data.draw(st.integers(1, len(octets) - 2))
    octets[at] ^= data.draw(st.integers(1, 255))
    assert frame not in Decoder().feed(bytes(octets))
    assert all(found is None for found in Decoder().feed(bytes(octets)))


@given(st.binary(max_size=60))
def test_garbage_is_no_frame(octets):
    found = decode(octets)
    assert found is None or found.encode()[1:-1] == octets
