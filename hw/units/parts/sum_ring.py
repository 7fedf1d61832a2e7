"""Sums of several cores that lie on a ring, each added to those of all others."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


class SumRing(wiring.Component):
    """Sends sums once around a ring of cores, ``cfg.pass_rows`` rows with their lowest bits first.

    In the first of ``rounds`` rounds a core sends its own sums to the next one, in each further round those that have
    come last from the core before. So with one round less than there are cores, all have the sums of all. What has come
    is ``given`` with a pulse of ``add``; a row per cycle leaves or comes in.

    Members
    -------
    start : In(1), a pulse, a cycle before ``sums`` are complete; rounds : In, not 0; busy : Out(1)
    sums : In, those of all lanes beside each other; given, add : Out
    o, i : streams of rows, to the next core and from the one before
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        sums = cfg.lanes * cfg.pass_fixed.bits
        rows = stream.Signature(cfg.row_bits)
        super().__init__({
            "start": In(1), "rounds": In(JOB.shape()["pass_groups"].width), "busy": Out(1),
            "sums": In(sums), "given": Out(sums), "add": Out(1), "o": Out(rows), "i": In(rows),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, width, bits = self.cfg, self.cfg.width, self.cfg.pass_fixed.bits
        held = [Signal(cfg.pass_rows * width, name=f"held{lane}") for lane in range(cfg.lanes)]
        row, left = Signal(range(max(cfg.pass_rows, 2))), Signal.like(self.rounds)
        m.d.comb += [
            self.given.eq(Cat(own[:bits] for own in held)),
            self.o.payload.eq(Cat(own[:width] for own in held)),
        ]

        def move(following: str):
            """A row leaves at the bottom, or comes in at the top."""
            for lane, own in enumerate(held):
                m.d.sync += own.eq(Cat(own[width:], self.i.payload[lane * width : (lane + 1) * width]))
            m.d.sync += row.eq(row + 1)
            with m.If(row == cfg.pass_rows - 1):
                m.d.sync += row.eq(0)
                m.next = following

        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += left.eq(self.rounds)
                with m.If(self.start):
                    m.next = "HOLD"
            with m.State("HOLD"):
                m.d.sync += [own.eq(self.sums[n * bits : (n + 1) * bits]) for n, own in enumerate(held)]
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    move("TAKE")
            with m.State("TAKE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    move("ADD")
            with m.State("ADD"):
                m.d.comb += self.add.eq(1)
                m.d.sync += left.eq(left - 1)
                m.next = "SEND"
                with m.If(left == 1):
                    m.next = "IDLE"
        return m
