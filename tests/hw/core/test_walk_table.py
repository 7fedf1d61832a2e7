"""The table of an engine's further walks."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from trident.hw.core.walk_table import WalkTable
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB

WALKS = 4


@pytest.mark.parametrize("prefetch", [True, False])
def test_walks_of_the_job_that_runs_stay(prefetch):
    """While those of the next job are loaded, in any order; without prefetch they are loaded once that job runs."""
    cfg = CoreConfig(walks=WALKS, prefetch_jobs=prefetch, kernels=True)
    dut, fields = WalkTable(cfg), cfg.job_words
    rng = np.random.default_rng(1)
    jobs = rng.integers(0, 1 << 32, (5, WALKS - 1, fields), np.uint64)

    async def load(ctx, walks):
        ctx.set(dut.en, 1)
        for place in rng.permutation(walks.size):
            walk, index = divmod(int(place), fields)
            ctx.set(dut.number, walk + 1)
            ctx.set(dut.index, index)
            ctx.set(dut.word, int(walks[walk, index]))
            await ctx.tick()
        ctx.set(dut.en, 0)

    async def take(ctx):
        ctx.set(dut.take, 1)
        await ctx.tick()
        ctx.set(dut.take, 0)

    def check(ctx, walks):
        for walk, words in enumerate(walks):
            ctx.set(dut.walk, walk + 1)
            wanted = JOB.unpack([*map(int, words), 0, 0])
            assert {name: ctx.get(dut.job[name]) for name in wanted} == wanted

    async def bench(ctx):
        before = None
        for walks in jobs:
            if not prefetch:
                await take(ctx)
            await load(ctx, walks)
            if prefetch:
                if before is not None:
                    check(ctx, before)
                await take(ctx)
            check(ctx, walks)
            before = walks

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
