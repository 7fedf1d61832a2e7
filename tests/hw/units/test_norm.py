"""The norm unit: its RTL against golden on every memory, its walk."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.cocotb.units import BENCHES, CONFIGS, check_unit
from trident.hw.units.parts.norm_walk import PLACES, NormWalk


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("norm", config, stalls) > 0


@pytest.mark.parametrize("config", ["lanes1", "lanes2-one-step", "lanes8-cols4"])
def test_the_walk_is_over_all_samples(config):
    """All timesteps of a word, then the next pixel's, then the next sample's, in every place side by side."""
    cfg, rng = replace(CONFIGS[config], batch_norm=True, sum_words=64), np.random.default_rng(2)
    for pixels, samples, groups in ((1, 1, 1), (3, 2, 2), (4, 5, 1), (1, 3, 4)):
        first, step = ({name: int(rng.integers(100)) for name in PLACES} for _ in range(2))
        unit, found = NormWalk(cfg), []

        async def bench(context, unit=unit, found=found, first=first, step=step, sizes=(groups, pixels, samples)):
            for name in PLACES:
                context.set(unit.first[name], first[name])
                context.set(unit.sample[name], step[name])
            for port, value in zip((unit.pixel, unit.pixels, unit.samples), sizes, strict=True):
                context.set(port, value)
            context.set(unit.start, 1)
            await context.tick()
            context.set(unit.start, 0)
            while context.get(unit.o.valid):
                taken = int(rng.integers(2))
                context.set(unit.o.ready, taken)
                if taken:
                    found.append([context.get(unit.o.payload[name]) for name in (*PLACES, "step")])
                await context.tick()

        simulator = Simulator(unit)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        assert found == [
            [*(first[name] + n * step[name] + pixel * groups for name in PLACES), t]
            for n in range(samples) for pixel in range(pixels) for t in range(cfg.timesteps)
        ]  # fmt: skip
