"""The walker of the shared engine: the loops of all three operations with one set of counters."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.loops import COORDINATE, Passes
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


def shared_job(cfg: CoreConfig) -> data.StructLayout:
    """What a walk needs, from a :data:`JOB`; by blocks, errors take the place of weights."""
    address = cfg.address_bits
    return data.StructLayout({
        "src": address,  # first word that is read
        "blocks": address,  # words per pixel of the image that is read
        "src_y": 8,
        "src_x": 8,
        "last_tap": 4,
        "stride2": 1,
        "origin": signed(JOB.shape()["origin"].width),
        "last_y": COORDINATE,
        "last_x": COORDINATE,
        "bias": 1,
        "tile": address,  # first row
        "block_step": address,  # rows from one block, or position, to the next
        "tap_step": address,  # likewise, behind the last block
        "pass_step": address,
        "group_step": address,
        "groups": address,
        "pass_groups": 8,
        "exponent": cfg.exp,  # code from which on a number is too large for a sum
        "dst": address,  # first word, or gradient, that is written
    })  # fmt: skip


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
    """The requests of :class:`TapWalker` and :class:`BlockWalker` for one lane.

    Both walk channels (blocks, kernel columns, kernel rows, then the bias), passes over the groups, and positions; by
    taps channels are innermost and positions outermost, by blocks the other way round. One request per cycle, 1 cycle
    latency.

    Members
    -------
    job : In, see :func:`shared_job`; start : In(1), a pulse; busy : Out(1)
    o : stream of requests, see :func:`shared_request`
    transposed : In(1), for backward; by_block : In(1), for weight_grad
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(shared_job(self.cfg)),
            "transposed": In(1),
            "by_block": In(1),
            "start": In(1),
            "busy": Out(1),
            "o": Out(stream.Signature(shared_request(cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        bits, job, by_block = self.cfg.address_bits, self.job, self.by_block
        ky, kx = Signal(4), Signal(4)
        at_y, at_x = Signal(COORDINATE), Signal(COORDINATE)  # the position
        left, start, bias = Signal(bits), Signal(bits), Signal()  # blocks of the tap, and where the one at hand is
        tile, pass_tile = Signal(bits), Signal(bits)  # of this request, and of the pass's first one
        dst = Signal(bits)
        passes = Passes(m, self.cfg, job, self.start)

        # Which loops end with this request
        last_block = left == 1
        last_kx = kx == job.last_tap
        last_tap = Signal()
        channels_end, image_end, row_end = Signal(), Signal(), Signal()
        inner_end, outer_end = Signal(), Signal()
        m.d.comb += [
            last_tap.eq(last_block & last_kx & (ky == job.last_tap)),
            channels_end.eq(Mux(job.bias, bias, last_tap)),
            row_end.eq(at_x == job.last_x),
            image_end.eq(row_end & (at_y == job.last_y)),
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
            request.start.eq(start),
            request.fetch.eq(inside & ~(halve & (fy[0] | fx[0])) & ~bias),
            request.ones.eq(bias),
            request.tile.eq(tile),
            request.dst.eq(dst),
            request.groups.eq(passes.groups),
            request.end.eq(inner_end),
        ]

        # The next one
        along = Mux(last_block, job.tap_step, job.block_step)
        moved = Signal(bits)
        m.d.comb += moved.eq(Mux(inner_end, pass_tile, tile) + Mux(inner_end, job.pass_step, along))
        stride = 1 + (job.stride2 & ~self.transposed)
        first_block = [left.eq(job.blocks), start.eq(job.src)]
        first_channel = [*first_block, *(s.eq(0) for s in (ky, kx, bias))]
        advance, channels_go, image_go = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            channels_go.eq(~by_block | (inner_end & passes.last)),
            image_go.eq(by_block | (inner_end & passes.last)),
        ]
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.busy), self.o.payload.eq(request)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), tile.eq(job.tile), pass_tile.eq(job.tile), passes.following]
            m.d.sync += [*first_channel, dst.eq(job.dst)]
            m.d.sync += [at_y.eq(job.origin), at_x.eq(job.origin)]
        with m.Elif(advance & self.busy):
            m.d.sync += tile.eq(moved)
            with m.If(inner_end):
                m.d.sync += [dst.eq(dst + passes.groups), pass_tile.eq(moved), passes.following]
                with m.If(passes.last):
                    m.d.sync += [tile.eq(job.tile), pass_tile.eq(job.tile)]
                    with m.If(outer_end):
                        m.d.sync += self.busy.eq(0)
            with m.If(channels_go):
                m.d.sync += [left.eq(left - 1), start.eq(start + 1), bias.eq(last_tap)]
                with m.If(last_block):
                    m.d.sync += [*first_block, kx.eq(kx + 1)]
                    with m.If(last_kx):
                        m.d.sync += [kx.eq(0), ky.eq(ky + 1)]
                with m.If(channels_end):
                    m.d.sync += first_channel
            with m.If(image_go):
                m.d.sync += at_x.eq(at_x + stride)
                with m.If(row_end):
                    m.d.sync += [at_x.eq(job.origin), at_y.eq(at_y + stride)]
                with m.If(image_end):
                    m.d.sync += at_y.eq(job.origin)
        return m
