"""The memories: every read port against an array, weights by row and by column, access of the host."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from trident.hw.isa.config import CoreConfig
from trident.hw.lib.memory import SharedMemory, WeightMemory


def _simulate(design, bench):
    """Run an async test bench on a design with one clock."""
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


async def _host_write(ctx, memory, values):
    ctx.set(memory.host_select, 1)
    ctx.set(memory.host_write, 1)
    for address, value in values.items():
        ctx.set(memory.host_address, address)
        ctx.set(memory.host_wdata, value)
        await ctx.tick()
    ctx.set(memory.host_write, 0)
    ctx.set(memory.host_select, 0)


def _numbers(row: int, cfg: CoreConfig) -> list[int]:
    return [row >> n * cfg.width & (1 << cfg.width) - 1 for n in range(cfg.lanes)]


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_weights_by_row_and_column(lanes):
    """Row r of a tile and column k of the same tile, in the same cycle, from one copy."""
    cfg = CoreConfig(lanes=lanes, weight_rows=8 * lanes)
    memory = WeightMemory(cfg)
    rng = np.random.default_rng(lanes)
    tiles = rng.integers(0, 1 << 16, (8, lanes, lanes))
    rows = {
        tile * lanes + r: sum(int(tiles[tile, r, k]) << k * cfg.width for k in range(lanes))
        for tile in range(8) for r in range(lanes)
    }  # fmt: skip
    checked = []

    async def bench(ctx):
        await _host_write(ctx, memory, rows)
        ctx.set(memory.row_en, 1)
        ctx.set(memory.col_en, 1)
        for _ in range(60):
            row_tile, col_tile = rng.integers(0, 8, 2)
            row, col = rng.integers(0, lanes, 2)
            ctx.set(memory.row_tile, int(row_tile))
            ctx.set(memory.row_number, int(row))
            ctx.set(memory.col_tile, int(col_tile))
            ctx.set(memory.col_number, int(col))
            await ctx.tick()
            checked.append(_numbers(ctx.get(memory.row_data), cfg) == tiles[row_tile, row].tolist())
            checked.append(_numbers(ctx.get(memory.col_data), cfg) == tiles[col_tile, :, col].tolist())

    _simulate(memory, bench)
    assert len(checked) == 120 and all(checked)


def test_weights_hold_while_disabled_and_take_updates():
    cfg = CoreConfig(lanes=4, weight_rows=16)
    memory = WeightMemory(cfg)
    row = 0x4444_3333_2222_1111

    async def bench(ctx):
        ctx.set(memory.update_write, 1)
        ctx.set(memory.update_write_address, 6)
        ctx.set(memory.update_data, row)
        await ctx.tick()
        ctx.set(memory.update_write, 0)
        ctx.set(memory.update_read, 1)
        ctx.set(memory.update_address, 6)
        await ctx.tick()
        assert ctx.get(memory.row_data) == row
        ctx.set(memory.update_read, 0)
        ctx.set(memory.update_address, 3)
        await ctx.tick()
        assert ctx.get(memory.row_data) == row

    _simulate(memory, bench)


@pytest.mark.parametrize("granules, banks", [(1, 1), (2, 1), (4, 1), (1, 3), (2, 2), (4, 4)])
def test_shared_memory(granules, banks):
    """Random writes of some rows of a word, two readers of some banks, against an array; the host sees single rows."""
    width, depth = 12, 8
    memory = SharedMemory(width, depth, 2, granules, banks)
    rng = np.random.default_rng(granules)
    part = width // banks
    model = np.zeros((depth, granules), int)
    checked = []

    def word(values):
        return sum(int(value) << n * width for n, value in enumerate(values))

    async def bench(ctx):
        last = [0, 0]
        for _ in range(120):
            address, reads = int(rng.integers(depth)), rng.integers(0, depth, 2)
            enables = rng.integers(0, 1 << banks, 2)
            mask, values = int(rng.integers(1 << granules)), rng.integers(0, 1 << width, granules)
            ctx.set(memory.write_address, address)
            ctx.set(memory.write_en, mask)
            ctx.set(memory.write_data, word(values))
            for n in range(2):
                ctx.set(memory.read_address[n], int(reads[n]))
                ctx.set(memory.read_en[n], int(enables[n]))
            await ctx.tick()
            for n in range(2):
                wanted = sum(
                    (1 << part) - 1 << g * width + bank * part
                    for g in range(granules) for bank in range(banks) if enables[n] >> bank & 1
                )  # fmt: skip
                last[n] = last[n] & ~wanted | word(model[reads[n]]) & wanted  # the old word, if it is written now
                checked.append(ctx.get(memory.read_data[n]) == last[n])
            for g in range(granules):
                if mask >> g & 1:
                    model[address, g] = values[g]
        ctx.set(memory.write_en, 0)
        await _host_write(ctx, memory, {1 * granules + granules - 1: 0xABC})
        model[1, granules - 1] = 0xABC
        ctx.set(memory.host_select, 1)
        for row in range(depth * granules):
            ctx.set(memory.host_address, row)
            await ctx.tick()
            checked.append(ctx.get(memory.host_rdata) == model.reshape(-1)[row])

    _simulate(memory, bench)
    assert len(checked) == 240 + depth * granules and all(checked)


def test_host_writes_leave_the_readers_alone():
    """While packets write gradients of other replicas, the unit that reads goes on."""
    memory, checked = SharedMemory(8, 16, 1), []

    async def bench(ctx):
        await _host_write(ctx, memory, {n: 10 + n for n in range(16)})
        ctx.set(memory.read_en[0], 1)
        ctx.set(memory.host_select, 1)
        ctx.set(memory.host_write, 1)
        for n in range(16):
            ctx.set(memory.read_address[0], (n + 5) % 16)
            ctx.set(memory.host_address, n)
            ctx.set(memory.host_wdata, 100 + n)
            await ctx.tick()
            old = n + 5 if n < 11 else None  # later ones have been written anew
            checked.append(ctx.get(memory.read_data[0]) == (10 + old if old is not None else 100 + (n + 5) % 16))

    _simulate(memory, bench)
    assert len(checked) == 16 and all(checked)
