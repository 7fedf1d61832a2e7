"""Where the taps of any kernel read: strides of up to 4, dilation, either axis by itself."""

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, Value

from trident.hw.engines.skeleton.loops import COORDINATE, Loop, LoopState

THIRD = 171, 9  # times the one, shifted by the other: a third of what has so many bits, rounded down


class Axis(NamedTuple):
    """What a job, or a walk, says of one axis: the place of tap 0 at position 0, taps less one, stride and dilation
    less one."""

    origin: Value
    last_tap: Value
    stride: Value
    dilation: Value


def axes(job) -> tuple[Axis, Axis]:
    """Those of y and x."""
    return (
        Axis(job.origin.as_signed(), job.last_tap, job.stride_y, job.dilation_y),
        Axis(job.origin_x.as_signed(), job.last_tap_x, job.stride_x, job.dilation_x),
    )


class Taps(LoopState):
    """A counter of the taps along an axis; ``offset``: pixels from the first one."""

    def __init__(self, name: str, axis: Axis):
        turns, self.offset = Loop(name, len(axis.last_tap), axis.last_tap), Signal(8, name=f"{name}_offset")
        after = self.offset + axis.dilation + 1
        super().__init__((*turns.state, self.offset), (*turns.begun, 0), (*turns.after, after))


def forward_pixel(axis: Axis, position, offset):
    """What a tap reads at a position, which is counted from 0."""
    strides = position + Mux(axis.stride[0], position, 0) + Mux(axis.stride[1], position << 1, 0)
    return strides + axis.origin + offset


def backward_pixel(m: Module, name: str, axis: Axis, position, offset) -> tuple[Signal, Signal]:
    """From which output position a tap reads a pixel, and whether there is one."""
    pixel, whole = Signal(COORDINATE, name=f"{name}_pixel"), Signal(name=f"{name}_whole")
    place, third = Signal(COORDINATE, name=f"{name}_place"), Signal(THIRD[1], name=f"{name}_third")
    factor, shift = THIRD
    m.d.comb += [pixel.eq(position + axis.origin - offset), third.eq(pixel[:shift] * factor >> shift)]
    with m.Switch(axis.stride):
        with m.Case(0):
            m.d.comb += [place.eq(pixel), whole.eq(1)]
        with m.Case(1):
            m.d.comb += [place.eq(pixel >> 1), whole.eq(~pixel[0])]
        with m.Case(2):
            m.d.comb += [place.eq(third), whole.eq(third + (third << 1) == pixel[:shift])]
        with m.Case(3):
            m.d.comb += [place.eq(pixel >> 2), whole.eq(~pixel[:2].any())]
    return place, whole & ~pixel[-1]
