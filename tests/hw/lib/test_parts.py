"""Rows of exact sums in parts: split and joined again, with stalls."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tests.hw.noc.play import Play
from trident.hw.isa.config import CoreConfig
from trident.hw.lib.parts import JoinParts, SplitParts, to_lanes, to_parts
from trident.hw.lib.streams import connect


class Travel(wiring.Component):
    """Sums of gradients side by side become parts, travel as rows, and come back."""

    def __init__(self, cfg: CoreConfig):
        self.cfg, self.bits = cfg, cfg.gradient_bits
        sums = cfg.lanes * self.bits
        super().__init__({
            "single": In(1), "i": In(stream.Signature(sums)), "o": Out(stream.Signature(sums)),
            "row": Out(cfg.row_bits), "moves": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.split = split = SplitParts(self.cfg)
        m.submodules.join = join = JoinParts(self.cfg)
        connect(m, split.o, join.i)
        m.d.comb += [
            split.single.eq(self.single),
            split.i.payload.eq(to_parts(self.cfg, self.i.payload, self.bits)),
            split.i.valid.eq(self.i.valid),
            self.i.ready.eq(split.i.ready),
            self.o.payload.eq(to_lanes(self.cfg, join.o.payload, self.bits)),
            self.o.valid.eq(join.o.valid),
            join.o.ready.eq(self.o.ready),
            self.row.eq(split.o.payload),
            self.moves.eq(split.o.valid & split.o.ready),
        ]
        return m


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("lanes, bits", [(1, 48), (4, 36), (2, 53)])
def test_sums_travel_in_parts(lanes, bits, flow):
    """Every sum comes back; the rows have the lowest bits of all lanes first and repeat the sign above the highest."""
    cfg = CoreConfig(lanes=lanes, gradient_bits=bits)
    rng = random.Random(lanes)
    sums = [[rng.getrandbits(bits) for _ in range(lanes)] for _ in range(9)]
    design = Travel(cfg)
    play = Play(design, flow)
    out, rows = play.take(design.o), []

    async def watch(ctx):
        async for *_, moves, row in ctx.tick().sample(design.moves, design.row):
            if moves:
                rows.append(row)

    async def run(ctx):
        await play.put(ctx, design.i, [sum(v << bits * n for n, v in enumerate(values)) for values in sums])

    play.during(run)
    play.beside(watch)
    play.run(60)
    assert out.values == [sum(v << bits * n for n, v in enumerate(values)) for values in sums]
    whole = [[v - (v >> bits - 1 << bits) & (1 << cfg.sum_bits) - 1 for v in values] for values in sums]
    assert rows == [
        sum((v >> 16 * part & 0xFFFF) << 16 * lane for lane, v in enumerate(values))
        for values in whole for part in range(cfg.sum_rows)
    ]  # fmt: skip


def test_floats_take_one_row():
    """A row that holds floats is not spread over several."""
    cfg = CoreConfig(lanes=2, gradient_bits=48)
    design = Travel(cfg)
    play, rows = Play(design, 1.0), []

    async def watch(ctx):
        async for *_, moves, row in ctx.tick().sample(design.moves, design.row):
            if moves:
                rows.append(row)

    async def run(ctx):
        ctx.set(design.single, 1)
        await play.put(ctx, design.i, [0x1234, 0x4321])

    play.during(run)
    play.beside(watch)
    play.run(10)
    assert rows == [0x1234, 0x4321]
