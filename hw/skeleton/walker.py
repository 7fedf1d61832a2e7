"""Walkers: the loops that turn a job into requests for spike words and rows."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import JOB
from hw.skeleton.payloads import Payloads


def walker_ports(payloads: Payloads) -> dict:
    """The ports of every walker.

    job : In, what to walk
    start : In(1), a pulse; busy : Out(1), requests are still to come
    o : stream of word requests
    """
    return {
        "job": In(JOB.shape()),
        "start": In(1),
        "busy": Out(1),
        "o": Out(stream.Signature(payloads.request)),
    }


def pixel_address(m: Module, cfg, job, src, y, x, block):
    """Is pixel (y, x) inside the image that is read, and the address of its word ``block``."""
    inside = Signal()
    address = Signal(cfg.address_bits)
    m.d.comb += [
        inside.eq((y >= 0) & (y < job.src_y) & (x >= 0) & (x < job.src_x)),
        address.eq(src + (y[: cfg.address_bits] * job.src_x + x[: cfg.address_bits]) * job.blocks + block),
    ]
    return inside, address


class TapWalker(wiring.Component):
    """Walk the positions of an image and, for each, the taps and blocks of channels that reach it.

    For every row y, every ``words`` neighbouring positions x, every pass over the groups: taps in ascending order,
    within a tap blocks in ascending order, then the bias. Forward walks the output image and reads input pixel
    ``position * stride + tap - padding``; transposed (backward) walks the input image and reads output pixel
    ``(position + padding - tap) / stride`` where that is whole. One request per cycle, 1 cycle latency.
    """

    def __init__(self, payloads: Payloads, transposed: bool):
        self.payloads, self.transposed = payloads, transposed
        super().__init__(walker_ports(payloads))

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.payloads.cfg, self.job
        address_bits = cfg.address_bits
        y, x = Signal(8), Signal(8)
        group = Signal(address_bits)  # first group of the pass
        ky, kx = Signal(4), Signal(4)
        block = Signal(address_bits)
        bias = Signal()
        word = Signal(4)
        tile, pass_tile = Signal(address_bits), Signal(address_bits)

        # Where this request reads
        py, px = Signal(signed(12)), Signal(signed(12))
        exact = Signal(init=1)
        if self.transposed:
            fy, fx = Signal(signed(12)), Signal(signed(12))
            m.d.comb += [
                fy.eq(y + job.padding - ky),
                fx.eq(x + word + job.padding - kx),
                py.eq(Mux(job.stride2, fy >> 1, fy)),
                px.eq(Mux(job.stride2, fx >> 1, fx)),
                exact.eq(~(job.stride2 & (fy[0] | fx[0]))),
            ]
        else:
            at = x + word
            m.d.comb += [
                py.eq(Mux(job.stride2, y << 1, y) + ky - job.padding),
                px.eq(Mux(job.stride2, at << 1, at) + kx - job.padding),
                exact.eq(1),
            ]
        inside, address = pixel_address(m, cfg, job, job.src, py, px, block)

        # How far the loops go, innermost first
        words, groups = Signal(4), Signal(8)
        m.d.comb += [
            words.eq(Mux(x + job.words > job.dst_x, job.dst_x - x, job.words)),
            groups.eq(Mux(group + job.pass_groups > job.groups, job.groups - group, job.pass_groups)),
        ]
        last_word = word + 1 == words
        last_block = block + 1 == job.blocks
        last_kx = kx + 1 == job.kernel
        last_ky = ky + 1 == job.kernel
        last_tap = last_block & last_kx & last_ky
        last_of_tile = Mux(job.bias, bias, last_tap)
        last_pass = group + groups == job.groups
        last_x = x + words == job.dst_x
        last_y = y + 1 == job.dst_y

        request = Signal(self.payloads.request)
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            request.address.eq(address),
            request.fetch.eq(inside & exact & ~bias),
            request.ones.eq(bias),
            request.last.eq(last_word),
            request.meta.tile.eq(tile),
            request.meta.dst.eq((y * job.dst_x + x) * job.groups + group),
            request.meta.groups.eq(groups),
            request.meta.words.eq(words),
            request.meta.end.eq(last_of_tile),
        ]
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.busy), self.o.payload.eq(request)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), tile.eq(job.tile), pass_tile.eq(job.tile)]
            m.d.sync += [s.eq(0) for s in (y, x, group, ky, kx, block, bias, word)]
        with m.Elif(advance & self.busy):
            m.d.sync += word.eq(word + 1)
            with m.If(last_word):
                m.d.sync += [word.eq(0), block.eq(block + 1), tile.eq(tile + job.block_step)]
                with m.If(last_block):
                    m.d.sync += [block.eq(0), kx.eq(kx + 1), tile.eq(tile + job.tap_step)]
                    with m.If(last_kx):
                        m.d.sync += [kx.eq(0), ky.eq(ky + 1)]
                        with m.If(last_ky):
                            m.d.sync += bias.eq(1)
                with m.If(last_of_tile):
                    m.d.sync += [s.eq(0) for s in (ky, kx, block, bias)]
                    with m.If(~last_pass):
                        m.d.sync += [
                            group.eq(group + groups),
                            tile.eq(pass_tile + job.pass_step),
                            pass_tile.eq(pass_tile + job.pass_step),
                        ]
                    with m.Else():
                        m.d.sync += [group.eq(0), tile.eq(job.tile), pass_tile.eq(job.tile), x.eq(x + words)]
                        with m.If(last_x):
                            m.d.sync += [x.eq(0), y.eq(y + 1)]
                            with m.If(last_y):
                                m.d.sync += self.busy.eq(0)
        return m


class BlockWalker(wiring.Component):
    """Walk blocks of weights and, for each, every position of the output image: the walker of weight_grad.

    For every ``words`` consecutive input blocks (ascending tap, block, then the bias), every pass over the groups,
    every output position in raster order: one matrix. One request per cycle, 1 cycle latency.
    """

    def __init__(self, payloads: Payloads):
        self.payloads = payloads
        super().__init__(walker_ports(payloads))

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.payloads.cfg, self.job
        address_bits = cfg.address_bits
        y, x = Signal(8), Signal(8)
        group = Signal(address_bits)
        word = Signal(4)
        # Input block of this word, and that of the first word
        here = [Signal(4, name="ky"), Signal(4, name="kx"), Signal(address_bits, name="block")]
        first = [Signal(4, name="first_ky"), Signal(4, name="first_kx"), Signal(address_bits, name="first_block")]
        ky, kx, block = here
        done = Signal(16)  # input blocks before the first word's
        tile = Signal(address_bits)  # of the first word

        py, px = Signal(signed(12)), Signal(signed(12))
        m.d.comb += [
            py.eq(Mux(job.stride2, y << 1, y) + ky - job.padding),
            px.eq(Mux(job.stride2, x << 1, x) + kx - job.padding),
        ]
        inside, address = pixel_address(m, cfg, job, job.src, py, px, block)

        words, groups = Signal(4), Signal(8)
        m.d.comb += [
            words.eq(Mux(done + job.words > job.count, job.count - done, job.words)),
            groups.eq(Mux(group + job.pass_groups > job.groups, job.groups - group, job.pass_groups)),
        ]
        bias = job.bias & (done + word + 1 == job.count)
        last_word = word + 1 == words
        last_x = x + 1 == job.dst_x
        last_y = y + 1 == job.dst_y
        last_pass = group + groups == job.groups
        last_tile = done + words == job.count

        request = Signal(self.payloads.request)
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            request.address.eq(address),
            request.fetch.eq(inside & ~bias),
            request.ones.eq(bias),
            request.last.eq(last_word),
            request.meta.tile.eq(job.aux + (y * job.dst_x + x) * job.groups + group),
            request.meta.dst.eq(tile + group),
            request.meta.groups.eq(groups),
            request.meta.words.eq(words),
            request.meta.final.eq(last_x & last_y),
            request.meta.end.eq(last_x & last_y),
        ]
        following = [Signal.like(s, name=f"next_{s.name}") for s in here]
        m.d.comb += [n.eq(s) for n, s in zip(following, here, strict=True)]
        with m.If(block + 1 != job.blocks):
            m.d.comb += following[2].eq(block + 1)
        with m.Else():
            m.d.comb += following[2].eq(0)
            with m.If(kx + 1 != job.kernel):
                m.d.comb += following[1].eq(kx + 1)
            with m.Else():
                m.d.comb += [following[1].eq(0), following[0].eq(ky + 1)]

        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.busy), self.o.payload.eq(request)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), tile.eq(job.tile)]
            m.d.sync += [s.eq(0) for s in (y, x, group, word, done, *here, *first)]
        with m.Elif(advance & self.busy):
            m.d.sync += [word.eq(word + 1), *(s.eq(n) for s, n in zip(here, following, strict=True))]
            with m.If(last_word):
                m.d.sync += [word.eq(0), x.eq(x + 1), *(s.eq(f) for s, f in zip(here, first, strict=True))]
                with m.If(last_x):
                    m.d.sync += [x.eq(0), y.eq(y + 1)]
                    with m.If(last_y):
                        m.d.sync += [y.eq(0), group.eq(group + groups)]
                        with m.If(last_pass):
                            m.d.sync += [
                                group.eq(0),
                                done.eq(done + words),
                                tile.eq(tile + words * job.groups),
                                *(s.eq(n) for s, n in zip(here, following, strict=True)),
                                *(s.eq(n) for s, n in zip(first, following, strict=True)),
                            ]
                            with m.If(last_tile):
                                m.d.sync += self.busy.eq(0)
        return m
