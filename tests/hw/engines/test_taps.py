"""Where the taps of any kernel read."""

from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from trident.hw.engines.skeleton.loops import COORDINATE
from trident.hw.engines.skeleton.taps import Axis, backward_pixel, forward_pixel


def test_pixels_of_all_positions():
    """At every stride, of images that are as large as can be and with the most padding and reach."""
    m = Module()
    axis = Axis(Signal(COORDINATE), Signal(4), Signal(2), Signal(4))
    position, offset = Signal(8), Signal(8)
    ahead = Signal(COORDINATE)
    m.d.comb += ahead.eq(forward_pixel(axis, position, offset))
    place, whole = backward_pixel(m, "y", axis, position, offset)
    found, exact = Signal(10), Signal()
    m.d.comb += [found.eq(place), exact.eq(whole)]

    async def bench(context):
        for stride in range(1, 5):
            context.set(axis.stride, stride - 1)
            for at in range(0, 255, 2):
                for reach in (0, 1, 2, 5, 160):
                    context.set(position, at)
                    context.set(offset, reach)
                    if at * stride + reach < 400:
                        context.set(axis.origin, -31)
                        await context.delay(1e-9)
                        assert context.get(ahead) == at * stride + reach - 31
                    context.set(axis.origin, 31)
                    await context.delay(1e-9)
                    pixel, rest = divmod(at + 31 - reach, stride)
                    inside = context.get(exact) and context.get(found) < 255
                    assert inside == (rest == 0 and 0 <= pixel < 255), (stride, at, reach)
                    assert not inside or context.get(found) == pixel

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
