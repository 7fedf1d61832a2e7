"""The walker of the shared engine: the loops of all three operations with one set of counters."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.layouts import JOB
from hw.skeleton.loops import Passes
from hw.skeleton.walker import COORDINATE


def shared_request(cfg: CoreConfig) -> data.StructLayout:
    """A word that the shared engine is to read, and what it does with the word's bits."""
    address = cfg.address_bits
    return data.StructLayout({
        "pixel": address,  # of the image that is read, in raster order
        "start": address,  # of the word in the first pixel
        "fetch": 1,  # read the word; otherwise it is zero padding
        "ones": 1,  # the bias word: channel 0 spikes at every timestep
        "tile": address,  # of the rows: weight (or error word) of the first group
        "dst": address,  # word (or gradient) that the first group goes to
        "groups": 8,
        "end": 1,  # the accumulators leave after it
    })  # fmt: skip


class SharedWalker(wiring.Component):
    """The requests of :class:`hw.skeleton.walker.TapWalker` and :class:`hw.skeleton.walker.BlockWalker` for one lane.

    Both walk channels (blocks, kernel columns, kernel rows, then the bias), passes over the groups, and positions; by
    taps channels are innermost and positions outermost, by blocks the other way round. One request per cycle, 1 cycle
    latency.

    Members
    -------
    job, start, busy, o : as of :func:`hw.skeleton.walker.walker_ports`, requests of :func:`shared_request`
    transposed : In(1), for backward; by_block : In(1), for weight_grad
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(JOB.shape()),
            "transposed": In(1),
            "by_block": In(1),
            "start": In(1),
            "busy": Out(1),
            "o": Out(stream.Signature(shared_request(cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        bits, job, by_block = self.cfg.address_bits, self.job, self.by_block
        y, x, ky, kx = Signal(8), Signal(8), Signal(4), Signal(4)
        at_y, at_x = Signal(COORDINATE), Signal(COORDINATE)  # what tap (0, 0) reads, before a stride divides it
        block, bias = Signal(bits), Signal()
        tile, pass_tile = Signal(bits), Signal(bits)  # of this request, and of the pass's first one
        dst = Signal(bits)
        passes = Passes(m, self.cfg, job, self.start)

        # Which loops end with this request
        last_block = block + 1 == job.blocks
        last_kx = kx + 1 == job.kernel
        last_tap = Signal()
        channels_end, image_end, row_end = Signal(), Signal(), Signal()
        inner_end, outer_end = Signal(), Signal()
        m.d.comb += [
            last_tap.eq(last_block & last_kx & (ky + 1 == job.kernel)),
            channels_end.eq(Mux(job.bias, bias, last_tap)),
            row_end.eq(x + 1 == job.dst_x),
            image_end.eq(row_end & (y + 1 == job.dst_y)),
            inner_end.eq(Mux(by_block, image_end, channels_end)),
            outer_end.eq(Mux(by_block, channels_end, image_end)),
        ]

        # Where it reads
        fy, fx = Signal(COORDINATE), Signal(COORDINATE)
        py, px = Signal(COORDINATE), Signal(COORDINATE)
        halve = self.transposed & job.stride2
        request = Signal(shared_request(self.cfg))
        for f, p, at, k in ((fy, py, at_y, ky), (fx, px, at_x, kx)):
            m.d.comb += [
                f.eq(at + (k ^ self.transposed.replicate(len(at))).as_signed() + self.transposed),
                p.eq(Mux(halve, f >> 1, f)),
            ]
        inside = (py.as_unsigned() < job.src_y) & (px.as_unsigned() < job.src_x)
        m.d.comb += [
            request.pixel.eq(py[:bits] * job.src_x + px),
            request.start.eq(job.src + block),
            request.fetch.eq(inside & ~(halve & (fy[0] | fx[0])) & ~bias),
            request.ones.eq(bias),
            request.tile.eq(tile),
            request.dst.eq(dst),
            request.groups.eq(passes.groups),
            request.end.eq(channels_end & ~by_block),
        ]

        # The next one
        first_tile = Mux(by_block, job.aux, job.tile)
        along = Mux(by_block, job.groups, Mux(last_block, job.tap_step, job.block_step))
        next_pass = Mux(by_block, passes.groups, job.pass_step)
        moved = Signal(bits)
        m.d.comb += moved.eq(Mux(inner_end, pass_tile, tile) + Mux(inner_end, next_pass, along))
        stride = 1 + (job.stride2 & ~self.transposed)
        origin = Signal(COORDINATE)
        m.d.comb += origin.eq(Mux(self.transposed, job.padding, -job.padding))
        advance, channels_go, image_go = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            channels_go.eq(~by_block | (inner_end & passes.last)),
            image_go.eq(by_block | (inner_end & passes.last)),
        ]
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.busy), self.o.payload.eq(request)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), tile.eq(first_tile), pass_tile.eq(first_tile), passes.following]
            m.d.sync += [*(s.eq(0) for s in (y, x, ky, kx, block, bias)), dst.eq(Mux(by_block, job.tile, 0))]
            m.d.sync += [at_y.eq(origin), at_x.eq(origin)]
        with m.Elif(advance & self.busy):
            m.d.sync += tile.eq(moved)
            with m.If(inner_end):
                m.d.sync += [dst.eq(dst + passes.groups), pass_tile.eq(moved), passes.following]
                with m.If(passes.last):
                    m.d.sync += [tile.eq(first_tile), pass_tile.eq(first_tile)]
                    with m.If(outer_end):
                        m.d.sync += self.busy.eq(0)
            with m.If(channels_go):
                m.d.sync += [block.eq(block + 1), bias.eq(last_tap)]
                with m.If(last_block):
                    m.d.sync += [block.eq(0), kx.eq(kx + 1)]
                    with m.If(last_kx):
                        m.d.sync += [kx.eq(0), ky.eq(ky + 1)]
                with m.If(channels_end):
                    m.d.sync += [s.eq(0) for s in (ky, kx, block, bias)]
            with m.If(image_go):
                m.d.sync += [x.eq(x + 1), at_x.eq(at_x + stride)]
                with m.If(row_end):
                    m.d.sync += [x.eq(0), at_x.eq(origin), y.eq(y + 1), at_y.eq(at_y + stride)]
                with m.If(image_end):
                    m.d.sync += [y.eq(0), at_y.eq(origin)]
        return m
