"""The receive unit: errors that other cores have summed become the errors of this core's neurons."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.drains import TimeDrain
from trident.hw.engines.skeleton.loops import Countdown, Loop, Passes
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item, place_error
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


class ReceiveUnit(wiring.Component):
    """Give every row that comes in the place that it had when it left the backward engine of the core that sent it.

    That engine drains tile by tile: for every image row, every ``words`` neighbouring positions, every pass over the
    groups, all timesteps from the last one on. One row per cycle.

    Members
    -------
    job : In, the image (``count``, or, where words are gathered, ``last_y`` and ``last_x``), ``words``, ``groups`` and
        ``pass_groups`` as in the sender's job
    start : In(1), a pulse; busy : Out(1)
    i : stream of rows
    o : stream of rows of e with their tags
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "backward")
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "busy": Out(1),
            "i": In(stream.Signature(cfg.row_bits)),
            "o": Out(stream.Signature(error_item(self.payloads))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        m.submodules.drain = drain = TimeDrain(self.payloads, descending=True)
        many = cfg.words_of("backward") > 1
        pixel, dst = Signal(cfg.address_bits), Signal(cfg.address_bits)  # first words of the position and of the pass
        passes = Passes(m, cfg, job, self.start)
        if many:
            rows, rest = Loop("y", len(job.last_y), job.last_y), Signal.like(job.last_x)  # behind the position at hand
            words, last_x = Signal(4), rest < job.words
            m.d.comb += words.eq(Mux(last_x, rest + 1, job.words))
            begin, along, last = [rows.restart, rest.eq(job.last_x)], [rest.eq(rest - words)], last_x & rows.last
        else:
            positions = Countdown("positions", len(job.count), job.count)
            words, begin, along, last = Const(1, 4), positions.restart, positions.step, positions.last
        m.d.comb += [
            drain.meta.dst.eq(dst),
            drain.meta.words.eq(words),
            drain.meta.last_group.eq(passes.last_group),
            drain.groups.eq(job.groups),
            drain.step.eq(self.o.valid & self.o.ready),
            self.o.payload.row.eq(self.i.payload),
            *place_error(self.payloads, self.o.payload.tag, drain.tag, job.carry),
            self.o.valid.eq(self.busy & self.i.valid),
            self.i.ready.eq(self.busy & self.o.ready),
        ]
        following = pixel + words * job.groups if many else dst + passes.groups
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), passes.following, begin, pixel.eq(0), dst.eq(0)]
        with m.Elif(drain.step & drain.last):
            m.d.sync += [passes.following, dst.eq(dst + passes.groups)]
            with m.If(passes.last):
                m.d.sync += [along, dst.eq(following), pixel.eq(following), self.busy.eq(~last)]
                if many:
                    with m.If(last_x):
                        m.d.sync += [rest.eq(job.last_x), rows.step]
        return m
