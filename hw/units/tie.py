"""The tie unit: a parameter that all channels of a layer share has the sum of their gradients."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


class TieUnit(wiring.Component):
    """Adds up the exact gradients of a layer's channels, which lie in the first row of every tile, and gives the sum to
    each of them, as to lanes without a channel, whose gradient is 0.

    A tile takes ``lanes`` + 2 cycles to be added, and one to be written.

    Members
    -------
    job : In: ``tile``, the first one, of ``count``
    start : In(1), a pulse; busy : Out(1)
    gradient_address, gradient_read, gradients : read port for gradients; gradient_write, gradient_data : and what is
        written at that address
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "gradient_address": Out(max((cfg.weight_rows - 1).bit_length(), 1)), "gradient_read": Out(1),
            "gradients": In(cfg.gradient_row_bits),
            "gradient_write": Out(1), "gradient_data": Out(cfg.gradient_row_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, bits = self.cfg, self.job, self.cfg.gradient_bits
        tile, lane = Signal(cfg.address_bits), Signal(range(max(cfg.lanes, 2)))
        row, total = Signal(cfg.gradient_row_bits), Signal(bits)
        last = tile + 1 == job.count
        m.d.comb += [
            self.gradient_address.eq(job.tile + tile << cfg.lane_bits),
            self.gradient_data.eq(total.replicate(cfg.lanes)),
        ]
        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [tile.eq(0), total.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.gradient_read.eq(1)
                m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [row.eq(self.gradients), lane.eq(0)]
                m.next = "ADD"
            with m.State("ADD"):
                m.d.sync += [total.eq(total + row[:bits]), row.eq(row >> bits), lane.eq(lane + 1)]
                with m.If(lane == cfg.lanes - 1):
                    m.d.sync += tile.eq(tile + 1)
                    m.next = "READ"
                    with m.If(last):
                        m.d.sync += tile.eq(0)
                        m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.gradient_write.eq(1)
                m.d.sync += tile.eq(tile + 1)
                with m.If(last):
                    m.next = "IDLE"
        return m
