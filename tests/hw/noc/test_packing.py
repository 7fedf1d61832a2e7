"""Items in flits: what is packed comes out again, once, in order, with its end."""

import random

import pytest

from tests.hw.noc.play import Play, packed, unpacked
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Packing
from trident.hw.noc.packing import Unpack

# (bits of a flit, bits of an item, items in a flit, flits of an item)
SIZES = [(32, 1, 32, 1), (32, 5, 4, 1), (32, 12, 2, 1), (32, 32, 1, 1), (32, 33, 1, 2), (32, 100, 1, 4), (64, 12, 4, 1),
         (64, 90, 1, 2), (512, 4, 32, 1)]  # fmt: skip


@pytest.mark.parametrize("flit, bits, per, pieces", SIZES)
def test_sizes(flit, bits, per, pieces):
    mesh = MeshConfig(flit=flit, packet=8)
    packing = Packing(mesh, bits)
    assert (packing.per_flit, packing.pieces) == (per, pieces)
    assert packing.per_packet == 7 // pieces * per


@pytest.mark.parametrize("flow", [1.0, 0.5])
@pytest.mark.parametrize("flit, bits, per, pieces", SIZES)
def test_every_item_once_in_order(flit, bits, per, pieces, flow):
    packing = Packing(MeshConfig(flit=flit, packet=8), bits)
    design, rng = Unpack(packing), random.Random(bits)
    counts = [1, per, packing.per_packet, *(rng.randint(1, packing.per_packet) for _ in range(8))]
    packets = [[rng.getrandbits(bits) for _ in range(count)] for count in counts]
    play = Play(design, flow, seed=per)
    out = play.take(design.o, lambda payload: (payload.item, payload.last))

    async def give(ctx):
        done = 0
        for items in packets:
            flits = packed(items, bits, per, pieces, flit)
            ctx.set(design.rest, (len(items) - 1) % per)
            assert unpacked(flits, (len(items) - 1) % per, bits, per, pieces, flit) == items
            await play.put(
                ctx, design.i, [{"data": data, "last": n == len(flits) - 1} for n, data in enumerate(flits)]
            )
            done += len(items)
            while len(out.values) < done:  # the count of the last flit's items is that of one packet at a time
                await ctx.tick()

    play.during(give)
    play.run()
    assert out.values == [(item, n == len(items) - 1) for items in packets for n, item in enumerate(items)]


def test_narrow_items_come_one_per_cycle():
    packing = Packing(MeshConfig(packet=8), 8)
    design = Unpack(packing)
    play = Play(design)
    out = play.take(design.o, lambda payload: payload.item)
    play.give(design.i, [{"data": 0x04030201 + 0x04040404 * n, "last": 0} for n in range(6)])
    play.run()
    assert out.values == list(range(1, 25))
    assert out.cycles[-1] - out.cycles[0] == 23
