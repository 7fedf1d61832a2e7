"""Walkers: the loops that turn a job into requests for spike words and rows."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.loops import COORDINATE, Blocks, Loop, Passes, Positions, own_blocks
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.taps import Taps, axes, backward_pixel, forward_pixel
from trident.hw.isa.job import JOB
from trident.hw.isa.planes import PLANES_JOB
from trident.hw.lib.times import times


def walker_ports(payloads: Payloads) -> dict:
    """The ports of every walker.

    job : In, what to walk
    start : In(1), a pulse; busy : Out(1), requests are still to come
    o : stream of word requests
    walk : Out, of several walks, which one's fields it needs; further : In, they are here, of all but the first walk
    """
    several = {"walk": Out(range(payloads.cfg.walks)), "further": In(JOB.shape())} if payloads.walks > 1 else {}
    return {
        "job": In(JOB.shape()),
        "start": In(1),
        "busy": Out(1),
        "o": Out(stream.Signature(payloads.request)),
        **several,
    }


def request_pixel(m: Module, request, job, y, x, start):
    """Ask for the word of pixel (y, x) that is at ``start`` in the first pixel; returns whether the pixel is inside."""
    inside = Signal()
    m.d.comb += [
        inside.eq((y.as_unsigned() < job.src_y) & (x.as_unsigned() < job.src_x)),
        request.y.eq(y),
        request.x.eq(x),
        request.start.eq(start),
    ]
    return inside


class TapWalker(wiring.Component):
    """Walk the positions of an image and, for each, the taps and blocks of channels that reach it.

    For every row y, every ``words`` neighbouring positions x, every pass over the groups: taps in ascending order,
    within a tap blocks in ascending order, then the bias. Forward walks the output image and reads input pixel
    ``position * stride + tap - padding``; transposed (backward) walks the input image and reads output pixel
    ``(position + padding - tap) / stride`` where that is whole. One request per cycle, 1 cycle latency. With
    ``kernels`` all of these are of each axis, see :mod:`trident.hw.engines.skeleton.taps`.

    With ``walks`` a tile may have several, each over an image, with taps and from tiles of its own; a cycle between
    them.
    """

    def __init__(self, payloads: Payloads, transposed: bool):
        self.payloads, self.transposed = payloads, transposed
        super().__init__(walker_ports(payloads))

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.payloads.cfg, self.job
        address_bits, many = cfg.address_bits, self.payloads.words > 1
        several, walk, entering = self.payloads.walks > 1, job, Const(0)
        if several:
            walk, entering = Signal(JOB.shape()), Signal()  # of the walk at hand; it begins
            m.d.comb += walk.eq(Mux(self.walk.any(), self.further, job))
        # What tap (0, 0) reads, before a transposed stride divides it
        origin, doubled = job.origin.as_signed(), 0 if self.transposed else job.stride2
        begin, step, ends = origin, 1 + doubled, {name: job[f"last_{name}"] for name in "yx"}
        if cfg.kernels or several:  # of whose walks each begins and steps by itself: the position's number
            begin, step = Const(0), 1
        if cfg.kernels:
            origin = doubled = 0
        elif several:
            ends = {name: end.as_signed() - origin >> doubled for name, end in ends.items()}
        rows, columns = (Positions(name, begin, ends[name], step) for name in "yx")
        at_y, at_x = rows.value, columns.value
        if several and not cfg.kernels:
            further = 0 if self.transposed else walk.stride2
            at_y, at_x = ((loop.value << further) + walk.origin.as_signed() for loop in (rows, columns))
        taps_y, taps_x = Loop("ky", 4, walk.last_tap), Loop("kx", 4, walk.last_tap)
        if cfg.kernels:
            axis_y, axis_x = axes(walk)
            taps_y, taps_x = Taps("ky", axis_y), Taps("kx", axis_x)
        blocks = Blocks(address_bits, own_blocks(walk) if cfg.kernels else walk.blocks, walk.src)
        ky, kx = taps_y.value, taps_x.value
        bias = Signal()
        word = Signal(4) if many else Const(0, 4)
        tile, pass_tile = Signal(address_bits), Signal(address_bits)
        dst, first = Signal(address_bits), Signal(address_bits)  # of this pass, and of the first one
        passes = Passes(m, cfg, job, self.start)
        first_group = Signal(address_bits)  # of this pass

        # Where this request reads
        py, px = Signal(COORDINATE), Signal(COORDINATE)
        exact = Signal(init=1)
        if cfg.kernels and self.transposed:
            (from_y, whole_y), (from_x, whole_x) = (
                backward_pixel(m, name, axis, at, taps.offset)
                for name, axis, at, taps in (("y", axis_y, at_y, taps_y), ("x", axis_x, at_x + word, taps_x))
            )
            m.d.comb += [py.eq(from_y), px.eq(from_x), exact.eq(whole_y & whole_x)]
        elif cfg.kernels:
            m.d.comb += [
                py.eq(forward_pixel(axis_y, at_y, taps_y.offset)),
                px.eq(forward_pixel(axis_x, at_x + word, taps_x.offset)),
            ]
        elif self.transposed:
            fy, fx = Signal(COORDINATE), Signal(COORDINATE)
            m.d.comb += [
                fy.eq(at_y - ky),
                fx.eq(at_x + word - kx),
                py.eq(Mux(walk.stride2, fy >> 1, fy)),
                px.eq(Mux(walk.stride2, fx >> 1, fx)),
                exact.eq(~(walk.stride2 & (fy[0] | fx[0]))),
            ]
        else:
            m.d.comb += [py.eq(at_y + ky), px.eq(at_x + Mux(walk.stride2, word << 1, word) + kx)]

        # How far the loops go, innermost first
        words, last_x, next_row, next_x = Const(1, 4), columns.last, columns.restart, columns.step
        if many:
            words, rest = Signal(4), Signal(len(columns.value) - 1)  # positions of this row that follow the one at hand
            last_x = rest < job.words
            m.d.comb += words.eq(Mux(last_x, rest + 1, job.words))
            span, twice = job.last_x.as_signed() - origin, 0 if several or cfg.kernels else doubled
            next_row = [columns.value.eq(begin), rest.eq(Mux(doubled, span >> 1, span))]
            next_x = [columns.value.eq(columns.value + Mux(twice, words << 1, words)), rest.eq(rest - words)]
        last_word = word + 1 == words
        last_tap = blocks.last & taps_x.last & taps_y.last
        last_of_walk = Mux(walk.bias, bias, last_tap)
        last_of_tile = last_of_walk & ~walk.more if several else last_of_walk

        request = Signal(self.payloads.request)
        advance = Signal()
        inside = request_pixel(m, request, walk, py, px, blocks.start)
        m.d.comb += [
            advance.eq(self.o.ready),
            request.fetch.eq(inside & exact & ~bias),
            request.ones.eq(bias),
            request.last.eq(last_word),
            request.meta.tile.eq(tile),
            request.meta.dst.eq(dst),
            request.meta.last_group.eq(passes.last_group),
            request.meta.words.eq(words),
            request.meta.end.eq(last_of_tile),
        ]
        if cfg.learns:
            m.d.comb += request.meta.group.eq(first_group)
            with m.If(self.start):
                m.d.sync += first_group.eq(0)
            with m.Elif(advance & self.busy & ~entering & last_word & last_of_tile):
                m.d.sync += first_group.eq(Mux(passes.last, 0, first_group + passes.groups))
        next_tile = [loop.restart for loop in (taps_y, taps_x, blocks)]
        next_dst = first + words * job.groups if many or cfg.kernels else dst + passes.groups
        next_line = next_dst  # behind the last position of a row
        if self.transposed and cfg.pool > 1:  # of pixels, of which each position has a window
            pooled, across = job.count.any(), words * job.groups
            next_dst = first + Mux(pooled, times(across, cfg.pool), across)
            next_line = next_dst + times(job.count, cfg.pool - 1)
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.busy & ~entering), self.o.payload.eq(request)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), tile.eq(job.tile), pass_tile.eq(job.tile), passes.following, *next_row]
            m.d.sync += [s.eq(0) for s in (bias, dst, first, *([word] if many else []))]
            m.d.sync += [rows.restart, next_tile]
        with m.Elif(advance & self.busy & ~entering):
            if many:
                m.d.sync += word.eq(word + 1)
            with m.If(last_word):
                if many:
                    m.d.sync += word.eq(0)
                m.d.sync += [blocks.step, tile.eq(tile + Mux(blocks.last, walk.tap_step, walk.block_step))]
                with m.If(blocks.last):
                    m.d.sync += [blocks.restart, taps_x.step]
                    with m.If(taps_x.last):
                        m.d.sync += [taps_x.restart, taps_y.step]
                        with m.If(taps_y.last):
                            m.d.sync += bias.eq(1)
                with m.If(last_of_walk):
                    m.d.sync += [next_tile, bias.eq(0)]
                with m.If(last_of_tile):
                    m.d.sync += passes.following
                    with m.If(~passes.last):
                        after = (pass_tile + job.pass_step)[:address_bits]
                        m.d.sync += [dst.eq(dst + passes.groups), tile.eq(after), pass_tile.eq(after)]
                    with m.Else():
                        m.d.sync += [dst.eq(next_dst), first.eq(next_dst)]
                        m.d.sync += [tile.eq(job.tile), pass_tile.eq(job.tile)]
                        m.d.sync += next_x
                        with m.If(last_x):
                            m.d.sync += [*next_row, rows.step, dst.eq(next_line), first.eq(next_line)]
                            with m.If(rows.last):
                                m.d.sync += self.busy.eq(0)
        if several:
            self._next_walk(m, walk, request, entering, passes, advance & last_word & last_of_walk, tile, next_tile)
        return m

    def _next_walk(self, m: Module, walk, request, entering, passes, ends, tile, next_tile):
        """From walk to walk of a tile, and to the first one of the next tile; a cycle between them."""
        pass_number, row = Signal.like(tile), Signal.like(tile)
        m.d.comb += [request.blocks.eq(walk.blocks), request.row.eq(row), request.meta.group_step.eq(walk.group_step)]
        if self.payloads.scales and self.transposed:
            m.d.comb += request.meta.shift.eq(-walk.token)
        elif self.payloads.scales:
            plane = PLANES_JOB(walk.count[: PLANES_JOB.size])
            m.d.comb += [request.meta.shift.eq(plane.place), request.meta.negative.eq(plane.signed)]
        with m.If(self.start):
            m.d.sync += [entering.eq(1), self.walk.eq(0), pass_number.eq(0)]
        with m.Elif(entering):
            m.d.sync += [
                entering.eq(0), row.eq(walk.src_x * walk.blocks), tile.eq(walk.tile + pass_number * walk.pass_step),
                next_tile,
            ]  # fmt: skip
        with m.Elif(self.busy & ends):
            m.d.sync += [entering.eq(walk.more | self.job.more), self.walk.eq(Mux(walk.more, self.walk + 1, 0))]
            with m.If(~walk.more):
                m.d.sync += pass_number.eq(Mux(passes.last, 0, pass_number + 1))


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
        address_bits, many = cfg.address_bits, self.payloads.words > 1
        begin, step = job.origin.as_signed(), 1 + job.stride2  # of what tap (0, 0) reads; or of the position's number
        if cfg.kernels:
            begin, step = Const(0), 1
        rows, columns = (Positions(n, begin, job[f"last_{n}"], step) for n in "yx")
        errors, pass_errors = Signal(address_bits), Signal(address_bits)  # of this position, and of the first one
        dst, tile = Signal(address_bits), Signal(address_bits)  # of this pass, and of the first one
        word = Signal(4) if many else Const(0, 4)
        passes = Passes(m, cfg, job, self.start)
        # Input block of this word, and that of the first word
        taps_y, taps_x = Loop("ky", 4, job.last_tap), Loop("kx", 4, job.last_tap)
        if cfg.kernels:
            axis_y, axis_x = axes(job)
            taps_y, taps_x = Taps("ky", axis_y), Taps("kx", axis_x)
        blocks = Blocks(address_bits, own_blocks(job) if cfg.kernels else job.blocks, job.src)
        bias = Signal()
        loops = blocks, taps_x, taps_y
        current = [*(s for loop in loops for s in loop.state), bias]
        first = [Signal.like(s, name=f"first_{s.name}") for s in current] if many else current

        py, px = Signal(COORDINATE), Signal(COORDINATE)
        if cfg.kernels:
            m.d.comb += [
                py.eq(forward_pixel(axis_y, rows.value, taps_y.offset)),
                px.eq(forward_pixel(axis_x, columns.value, taps_x.offset)),
            ]
        else:
            m.d.comb += [py.eq(rows.value + taps_y.value), px.eq(columns.value + taps_x.value)]

        last_tap = blocks.last & taps_x.last & taps_y.last
        last_here = Mux(job.bias, bias, last_tap)  # the last block of all
        last_word = last_here | (word + 1 == job.words) if many else Const(1)
        last_position = columns.last & rows.last

        request = Signal(self.payloads.request)
        advance = Signal()
        inside = request_pixel(m, request, job, py, px, blocks.start)
        m.d.comb += [
            advance.eq(self.o.ready),
            request.fetch.eq(inside & ~bias),
            request.ones.eq(bias),
            request.last.eq(last_word),
            request.meta.tile.eq(errors),
            request.meta.dst.eq(dst),
            request.meta.last_group.eq(passes.last_group),
            request.meta.words.eq(word + 1),
            request.meta.final.eq(last_position),
            request.meta.end.eq(last_position),
        ]
        following, inner = [], Const(1)  # the next block; whether all loops within one end
        for loop in loops:
            stepped = (Mux(loop.last, *ends) for ends in zip(loop.begun, loop.after, strict=True))
            following += [Mux(inner, to, now) for now, to in zip(loop.state, stepped, strict=True)]
            inner = inner & loop.last
        following.append(last_tap)

        next_tile = tile + (word + 1) * job.groups if many else dst + passes.groups
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(self.busy), self.o.payload.eq(request)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), passes.following, columns.restart, rows.restart]
            m.d.sync += [errors.eq(job.aux), pass_errors.eq(job.aux), dst.eq(job.tile), tile.eq(job.tile)]
            begun = [*(value for loop in loops for value in loop.begun), 0]
            m.d.sync += [s.eq(v) for s, v in zip(current, begun, strict=True)]
            if many:
                m.d.sync += [word.eq(0), *(s.eq(v) for s, v in zip(first, begun, strict=True))]
        with m.Elif(advance & self.busy):
            if many:
                m.d.sync += [word.eq(word + 1), *(s.eq(n) for s, n in zip(current, following, strict=True))]
            with m.If(last_word):
                if many:
                    m.d.sync += [word.eq(0), *(s.eq(f) for s, f in zip(current, first, strict=True))]
                m.d.sync += [columns.step, errors.eq(errors + job.block_step)]
                with m.If(columns.last):
                    m.d.sync += [columns.restart, rows.step]
                    with m.If(rows.last):
                        after = (pass_errors + passes.groups)[:address_bits]
                        m.d.sync += [rows.restart, passes.following, dst.eq(dst + passes.groups)]
                        m.d.sync += [errors.eq(after), pass_errors.eq(after)]
                        with m.If(passes.last):
                            m.d.sync += [errors.eq(job.aux), pass_errors.eq(job.aux)]
                            m.d.sync += [dst.eq(next_tile), tile.eq(next_tile)]
                            m.d.sync += [s.eq(n) for s, n in zip(current, following, strict=True)]
                            if many:
                                m.d.sync += [s.eq(n) for s, n in zip(first, following, strict=True)]
                            with m.If(last_here):
                                m.d.sync += self.busy.eq(0)
        return m
