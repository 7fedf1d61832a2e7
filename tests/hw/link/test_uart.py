"""The serial line's two ends against a model in Python that knows only the standard: start, eight bits, stop."""

import random

import pytest
from amaranth.sim import Simulator

from trident.hw.errors import TridentError
from trident.hw.isa.line import BYTE_BITS, ERROR, LEAST, divider
from trident.hw.link.uart import UartReceiver, UartSender

RATES = [(25_000_000, 3_000_000), (48_000_000, 3_000_000), (50_000_000, 3_000_000), (80_000_000, 3_000_000),
         (1_843_200, 115_200)]  # fmt: skip


def levels(octets: bytes, cycles_per_bit: float, idle: float = 0.0) -> list[int]:
    """The line's level in every cycle, the bytes following each other after ``idle`` bits."""
    bits = [1] * 3
    for octet in octets:
        bits += [0, *(octet >> n & 1 for n in range(8)), 1, *[1] * int(idle)]
    bits += [1] * 3
    return [bits[int(cycle / cycles_per_bit)] for cycle in range(int(len(bits) * cycles_per_bit))]


def read(line: list[int], cycles_per_bit: float) -> bytes:
    """The bytes of a line's levels, looked at in the middle of every bit; each stop bit must be there."""
    octets, at = bytearray(), 0
    while 0 in line[at:]:
        start = line.index(0, at)
        bits = [line[int(start + (n + 0.5) * cycles_per_bit)] for n in range(BYTE_BITS)]
        assert bits[0] == 0 and bits[-1] == 1
        octets.append(sum(bit << n for n, bit in enumerate(bits[1:-1])))
        at = int(start + (BYTE_BITS - 0.5) * cycles_per_bit)
    return bytes(octets)


def receive(clock_hz: int, baud: int, line: list[int]) -> tuple[bytes, int]:
    """The bytes that the receiver makes of a line, and how many were broken."""
    receiver, found, broken = UartReceiver(clock_hz, baud), bytearray(), 0

    async def bench(ctx):
        nonlocal broken
        for level in line:
            ctx.set(receiver.rx, level)
            await ctx.tick()
            if ctx.get(receiver.valid):
                found.append(ctx.get(receiver.data))
            broken += ctx.get(receiver.broken)

    _simulate(receiver, bench)
    return bytes(found), broken


def _simulate(component, bench):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("clock_hz, baud", RATES)
def test_divider_is_near_enough(clock_hz, baud):
    width, step = divider(clock_hz, baud)
    assert abs(step * clock_hz / 2**width / baud - 1) < 0.01


@pytest.mark.parametrize("clock_hz", [25_000_000, 48_000_000, 50_000_000, 80_000_000])
@pytest.mark.parametrize("baud", [9600, 115_200, 460_800, 921_600, 1_000_000, 2_000_000, 3_000_000])
def test_usual_rates_can_be_made(clock_hz, baud):
    width, step = divider(clock_hz, baud)
    assert abs(step * clock_hz / 2**width / baud - 1) < 0.01


@pytest.mark.parametrize("clock_hz, baud", [(25_000_000, 3_200_000), (12_000_000, 3_000_000), (25_000_000, 0),
                                            (100_000_000, 1)])  # fmt: skip
def test_impossible_rates_are_refused(clock_hz, baud):
    with pytest.raises(TridentError, match=f"{baud} baud"):
        divider(clock_hz, baud)
    assert divider(LEAST * 100, 100)


@pytest.mark.parametrize("clock_hz, baud", RATES)
@pytest.mark.parametrize("skew", [0.98, 1.0, 1.02])
def test_receiver_takes_a_sender_that_is_off_by_two_percent(clock_hz, baud, skew):
    octets = bytes([0x00, 0xFF, 0x55, 0x7E, *random.Random(1).randbytes(8)])
    assert receive(clock_hz, baud, levels(octets, clock_hz / baud * skew)) == (octets, 0)


def test_receiver_ignores_spikes_and_reports_broken_bytes():
    per_bit = 10
    clean = levels(b"\x31", per_bit)
    for at in range(45, 120, 10):  # a cycle of the wrong level in the middle of a bit
        line = list(clean)
        line[at] ^= 1
        assert receive(per_bit * 1000, 1000, line) == (b"\x31", 0)
    short = [1] * 30 + [0] * 3 + [1] * 120
    assert receive(per_bit * 1000, 1000, short) == (b"", 0)
    unplugged = [1] * 30 + [0] * 400 + [1] * 30
    assert receive(per_bit * 1000, 1000, unplugged + levels(b"\x42", per_bit)) == (b"\x42", 1)


@pytest.mark.parametrize("clock_hz, baud", RATES)
def test_sender_sends_without_gaps(clock_hz, baud):
    sender, octets, line = UartSender(clock_hz, baud), bytes([0x00, 0xFF, 0xA5, 0x7E, 0x13]), []

    async def feed(ctx):
        for octet in octets:
            ctx.set(sender.i.payload, octet)
            ctx.set(sender.i.valid, 1)
            await ctx.tick().until(sender.i.ready)
        ctx.set(sender.i.valid, 0)

    async def watch(ctx):
        for _ in range(int((len(octets) * BYTE_BITS + 4) * clock_hz / baud)):
            await ctx.tick()
            line.append(ctx.get(sender.tx))

    simulator = Simulator(sender)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(watch)
    simulator.run()
    assert read(line, clock_hz / baud) == octets
    first, last = line.index(0), len(line) - line[::-1].index(0)  # the last byte's highest bit is 0, then the stop bit
    length = (len(octets) * BYTE_BITS - 1) * clock_hz / baud
    assert abs(last - first - length) <= 1 + ERROR * length
