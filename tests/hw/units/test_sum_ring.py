"""The ring of sums: every core has the sums of all."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, stream
from amaranth.sim import Simulator

from tests.cocotb.units import CONFIGS
from trident.hw.lib.streams import connect, random_stalls
from trident.hw.units.parts.sum_ring import SumRing


@pytest.mark.parametrize("config, cores, stalls", [
    ("lanes1", 2, None), ("lanes2-one-step", 5, 3), ("lanes8-cols4", 3, 4),
])  # fmt: skip
def test_all_cores_have_the_sums_of_all(config, cores, stalls):
    """Several times, whichever begins first: what is ahead waits."""
    cfg, rng = replace(CONFIGS[config], batch_norm=True, sum_words=64), np.random.default_rng(2)
    bits, lanes, m = cfg.pass_fixed.bits, cfg.lanes, Module()
    rings, load = [SumRing(cfg) for _ in range(cores)], Signal()
    first, totals = ([Signal(lanes * bits) for _ in rings] for _ in range(2))
    with random_stalls(stalls) if stalls else nullcontext():
        for n, ring in enumerate(rings):
            queue, out = fifo.SyncFIFO(width=cfg.row_bits, depth=2 * cfg.pass_rows), stream.Signature(cfg.row_bits)
            m.submodules += [ring, queue]
            between = out.create()
            added = [
                totals[n][low : low + bits] + ring.given[low : low + bits] for low in range(0, lanes * bits, bits)
            ]
            m.d.comb += [
                queue.w_data.eq(ring.o.payload), queue.w_en.eq(ring.o.valid), ring.o.ready.eq(queue.w_rdy),
                between.payload.eq(queue.r_data), between.valid.eq(queue.r_rdy), queue.r_en.eq(between.ready),
                ring.rounds.eq(cores - 1), ring.sums.eq(totals[n]),
            ]  # fmt: skip
            connect(m, between, rings[(n + 1) % cores].i)
            with m.If(load):
                m.d.sync += totals[n].eq(first[n])
            with m.Elif(ring.add):
                m.d.sync += totals[n].eq(Cat(value[:bits] for value in added))

    def packed(values) -> int:
        return sum(value % (1 << bits) << lane * bits for lane, value in enumerate(values))

    found, wanted = [], []

    async def bench(context):
        for _ in range(3):
            sums = [[int(rng.integers(-(1 << 48), 1 << 48)) for _ in range(lanes)] for _ in rings]
            wanted.append([packed(map(sum, zip(*sums, strict=True)))] * cores)
            for value, own in zip(first, sums, strict=True):
                context.set(value, packed(own))
            context.set(load, 1)
            await context.tick()
            context.set(load, 0)
            begins = rng.integers(0, 60, cores)
            for cycle in range(5000):
                for ring, begin in zip(rings, begins, strict=True):
                    context.set(ring.start, int(cycle == begin))
                await context.tick()
                if cycle > max(begins) and not any(context.get(ring.busy) for ring in rings):
                    break
            found.append([context.get(total) for total in totals])

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == wanted
