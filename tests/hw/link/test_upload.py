"""Samples as records: the host finds them among its packets, and the chip makes the same packets of them."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from trident.bench.chip.link import sample_packets
from trident.host.compile.chip_plan import ChipPlan, unicast
from trident.host.driver.packets import Packets
from trident.host.driver.upload import SCALES, Records, describe, encode_values, packets_of
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import HEAD, Record
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.packets import PUT, Command
from trident.hw.isa.spaces import Space
from trident.hw.link.encoder import Encoder
from trident.hw.link.upload import Upload
from trident.snn.data.encoding import rate
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

# Spike words of 4, 8, 10 (bits of a flit to spare), 64 (two flits) and 12 bits, flits of 32 and 64
CASES = {
    "fpga": (CoreConfig.preset("FPGA"), MeshConfig(width=1, height=1), "70-4-3", None),
    "tiny": (CoreConfig.preset("TINY"), MeshConfig(width=1, height=1), "70-4-3", None),
    "spare": (CoreConfig.preset("TINY", timesteps=5), MeshConfig(width=1, height=1), "5x5x1-3c3-3", None),
    "small": (CoreConfig.preset("SMALL"), MeshConfig(width=1, height=1), "70-4-3", None),
    "long": (CoreConfig.preset("FPGA", timesteps=12), MeshConfig(width=1, height=1), "4x5x3-3c3-3", None),
    "wide": (CoreConfig.preset("TINY"), MeshConfig(width=1, height=1, flit=64), "70-4-3", None),
    "replicas": (CoreConfig.preset("TINY"), MeshConfig(width=3, height=2), "40-8-3", "3x1,2"),
    "slices": (CoreConfig.preset("TINY"), MeshConfig(width=3, height=2), "40-8-3", "2x1/2,2"),
}


def case_of(name: str, samples: int, images: bool = False):
    """The plan of a case, its samples' packets, and packets before and behind them that are no samples."""
    cfg, mesh, text, partition = CASES[name]
    mesh, network = mesh_for(cfg, mesh), Network.parse(text)
    partition = Partition.parse(partition, network, cfg.lanes) if partition else None
    plan = ChipPlan(network, cfg, mesh, partition)
    rng = np.random.default_rng(samples)
    shape = (samples, *network.in_shape)
    if images:
        spikes = rate(rng.integers(0, 256, shape) / 255, cfg.timesteps)
    else:
        spikes = (rng.random((samples, cfg.timesteps, *network.in_shape)) < 0.5).astype(np.uint8)
    flits = sample_packets(plan, spikes, rng.integers(0, 1000, samples))
    packets, route = Packets(cfg, plan.mesh), unicast(plan.mesh, 0)
    words = rng.integers(0, 1 << 16, (9, 1)).astype(np.uint32)
    before = [packets.command(Command.LIMIT, 7), packets.write(route, Space.LOSS_TABLE, 1, words),
              packets.start(route, samples)]  # fmt: skip
    after = [packets.command(Command.WAIT, 0, 0), packets.read(route, Space.REGISTERS, 0, 2)]
    return plan, np.concatenate([*before, flits, *after])


def upload(plan: ChipPlan, octets: bytes, pause=lambda: False) -> np.ndarray:
    """What the unit makes of bytes."""
    unit, words, flits = Upload(plan.cfg, plan.mesh), plan.mesh.flit // 32, []

    async def feed(ctx):
        for octet in octets:
            ctx.set(unit.i.payload, octet)
            ctx.set(unit.i.valid, 1)
            await ctx.tick().until(unit.i.ready)
        ctx.set(unit.i.valid, 0)
        await ctx.tick().repeat(200)

    async def take(ctx):
        taken = unit.o.valid & unit.o.ready
        async for *_, moved, data, last in ctx.tick().sample(taken, unit.o.payload.data, unit.o.payload.last):
            if moved:
                flits.append([*(data >> 32 * n & 0xFFFFFFFF for n in range(words)), last])
            ctx.set(unit.o.ready, not pause())

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(take, background=True)
    simulator.run()
    return np.array(flits, np.uint32)


def kinds(parts) -> list[int]:
    return [HEAD.unpack([part.octets[0]])["record"] for part in parts]


@pytest.mark.parametrize("name", CASES)
def test_unit_makes_the_packets_of_the_session(name):
    plan, flits = case_of(name, 5)
    parts = Records(plan.cfg, plan.mesh).make(flits)
    assert Record.SPIKES in kinds(parts) and parts[-1].end == len(flits)
    rng = np.random.default_rng(0)
    found = upload(plan, b"".join(part.octets for part in parts), lambda: rng.random() < 0.3)
    assert np.array_equal(found, flits)


@pytest.mark.parametrize("samples", [1, 2, 40])
@pytest.mark.parametrize("name", CASES)
def test_model_makes_the_packets_of_the_session(name, samples):
    """All samples are found, in records of at most 64; what they leave over is sent as it is."""
    plan, flits = case_of(name, samples)
    records = Records(plan.cfg, plan.mesh)
    parts = records.make(flits)
    assert kinds(parts).count(Record.SETUP) == 1
    assert sum(HEAD.unpack([part.octets[0]])["count"] + 1 for part in parts
               if HEAD.unpack([part.octets[0]])["record"] == Record.SPIKES) == samples  # fmt: skip
    ends = [part.end for part in parts]
    assert ends == sorted(ends) and ends[-1] == len(flits)


def test_packets_that_are_almost_samples_are_sent_as_they_are():
    plan, flits = case_of("tiny", 4)
    spikes = np.flatnonzero((flits[:, 0] >> 8 & 7 == 3) & (flits[:, -1] == 0))
    flits[spikes[-1], 0] ^= PUT.pack(address=4)[0]
    records = Records(plan.cfg, plan.mesh)
    parts = records.make(flits)
    assert set(kinds(parts)) == {Record.PACKET}
    octets = bytearray(b"".join(part.octets for part in parts))
    assert np.array_equal(np.concatenate(list(packets_of(octets, plan.mesh))), flits) and not octets


def test_images_are_sent_as_values():
    plan, flits = case_of("long", 3, images=True)
    parts = Records(plan.cfg, plan.mesh).make(flits)
    assert Record.VALUES in kinds(parts)
    assert sum(len(part.octets) for part in parts) < len(flits) * 4
    assert np.array_equal(upload(plan, b"".join(part.octets for part in parts)), flits)


@pytest.mark.parametrize("steps", [1, 4, 8, 16, 32])
@pytest.mark.parametrize(
    "full, phase, share", [(255, 0, 0.0), (255, 127, 0.5), (16, 0, 0.0), (16, 8, 0.5), (256, 128, 0.5)]
)
def test_whole_numbers_encode_as_floats_do(steps, full, phase, share):
    """For every value, :func:`rate`, which the host uses, fires at the same steps."""
    values = np.arange(min(full, 255) + 1)
    expected = rate((values / full)[None, :, None, None], steps, share)[0, :, :, 0, 0]
    assert np.array_equal(encode_values(values, steps, full, phase), expected.T)


@pytest.mark.parametrize("full, phase", SCALES)
def test_encoder_equals_its_model(full, phase):
    """Every value, eight timesteps: a byte of spikes for each."""
    cfg = CoreConfig.preset("FPGA", timesteps=8)
    encoder, values, found = Encoder(cfg, mesh_for(cfg)), np.arange(min(full, 255) + 1), []

    async def feed(ctx):
        ctx.set(encoder.full, full)
        ctx.set(encoder.phase, phase)
        for value in values:
            ctx.set(encoder.i.payload, int(value))
            ctx.set(encoder.i.valid, 1)
            await ctx.tick().until(encoder.i.ready)
        ctx.set(encoder.i.valid, 0)
        await ctx.tick().repeat(20)

    async def take(ctx):
        ctx.set(encoder.o.ready, 1)
        async for *_, valid, octet in ctx.tick().sample(encoder.o.valid, encoder.o.payload):
            if valid:
                found.append(octet)

    simulator = Simulator(encoder)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(take, background=True)
    simulator.run()
    assert found == (encode_values(values, 8, full, phase) @ (1 << np.arange(8))).tolist()


def test_packets_are_described():
    mesh = MeshConfig(width=2, height=2)
    packets = Packets(CoreConfig.preset("TINY"), mesh)
    write = packets.write(unicast(mesh, 3), Space.WEIGHTS, 96, np.zeros((1, 1), np.uint32))
    assert describe(int(write[0, 0]), mesh) == "a WRITE to core 3, weights from element 96"
    assert describe(int(packets.command(Command.WAIT, 0, 2)[0, 0]), mesh) == "the command WAIT for core 2"
    put = packets.put(unicast(mesh, 1), 12, np.zeros((1, 1), np.uint32))
    assert describe(int(put[0, 0]), mesh) == "SPIKES to core 1, spikes from word 12"
    assert describe(int(packets.arm(unicast(mesh, 1))[0, 0]), mesh) == "a START to core 1"
