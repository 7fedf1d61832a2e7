"""The driver on the RTL of a chip: every memory of every core keeps what is written, cores say who they are."""

import numpy as np
import pytest

from trident.host.driver.driver import CoreStuck, Driver
from trident.host.driver.packets import Packets, pack_bits, received, unpack_bits
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.packets import HEADER, Packet
from trident.hw.isa.registers import MAGIC, config_digest, registers
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.tokens import Token
from trident.hw.isa.words import WORD, elements_to_words
from trident.sim.rtl.verilated import VerilatedChip

CFG = CoreConfig.preset("TINY", spike_words=1024, error_words=512)
MESHES = {"1x1": mesh_for(CFG), "2x1": mesh_for(CFG, MeshConfig(width=2, height=1))}


@pytest.fixture(scope="module", params=MESHES)
def driver(request):
    mesh = MESHES[request.param]
    chip = VerilatedChip(CFG, mesh)
    yield Driver(chip, CFG, mesh)
    chip.close()


def _values(space: Space, depth: int, seed: int = 0) -> np.ndarray:
    bits = space_bits(CFG)[space]
    rng = np.random.default_rng([seed, int(space)])
    values = rng.integers(0, 1 << min(bits, WORD), (depth, elements_to_words(bits)), dtype=np.uint64)
    return values.astype(np.uint32)


@pytest.mark.parametrize(
    "space, depth",
    [
        (Space.WEIGHTS, CFG.weight_rows), (Space.MOMENTUM, CFG.weight_rows), (Space.GRADIENTS, CFG.weight_rows),
        (Space.SPIKES, CFG.spike_words), (Space.MASKS, CFG.spike_words), (Space.ERRORS, CFG.error_rows),
        (Space.ERROR_MASKS, CFG.error_words),
    ],
)  # fmt: skip
def test_memories_keep_what_is_written(driver, space, depth):
    """All of it at once, then some of it again from the middle; nothing else changes, nor does another core."""
    core = driver.mesh.cores - 1
    other = _values(space, 9, seed=1)
    driver.write(0, space, 0, other)
    values = _values(space, depth)
    driver.write(core, space, 0, values)
    assert (driver.read(core, space, 0, depth) == values).all()
    part = slice(depth // 3, depth // 3 + 5)
    values[part] ^= 1
    driver.write(core, space, part.start, values[part])
    assert (driver.read(core, space, 0, depth) == values).all()
    assert (driver.read(core, space, depth - 1, 1) == values[-1:]).all()
    if core:
        assert (driver.read(0, space, 0, 9) == other).all()


def test_spaces_do_not_share_memory(driver):
    spaces = [space for space in Space if Space.WEIGHTS <= space <= Space.ERROR_MASKS]
    for n, space in enumerate(spaces):
        driver.write(0, space, 3, np.array([[n + 1]], np.uint32))
    assert [int(driver.read(0, space, 3, 1)[0, 0]) for space in spaces] == list(range(1, len(spaces) + 1))


def test_registers_say_who_the_core_is(driver):
    core = driver.mesh.cores - 1
    found = driver.registers(core)
    assert tuple(found) == registers(CFG)
    assert found["magic"] == MAGIC and found["config"] == config_digest(CFG, driver.mesh)
    assert found["queues0"] == found["queues1"] == 0
    flits = found["noc.flits_in"]
    assert driver.registers(core)["noc.flits_in"] == flits + 2  # a header and a count
    assert driver.waits(core) == ([], [0] * len(Token)) and driver.running(core) == []


def test_core_of_another_configuration_is_refused(driver):
    with pytest.raises(TridentError, match="core 0 has another configuration"):
        Driver(driver.chip, CoreConfig.preset("TINY"), driver.mesh)


def test_cores_of_meshes_of_all_sizes_are_the_same():
    small, large = (mesh_for(CFG, MeshConfig(width=w, height=h)) for w, h in ((1, 1), (5, 4)))
    assert config_digest(CFG, small) == config_digest(CFG, large)
    assert config_digest(CFG, small) != config_digest(CFG, mesh_for(CFG, MeshConfig(flit=64)))


class _Other:
    """A link to something that is no core."""

    def __init__(self, answers: bool):
        self.answers = answers

    def exchange(self, flits, wanted, limit, room=None):
        out = np.zeros((3 * wanted, 2), np.uint32)
        out[2::3, 1] = 1
        return len(flits), out if self.answers else out[:0]


def test_what_is_no_core_is_refused():
    with pytest.raises(TridentError, match="what answers is no Trident core: it says 0x00000000"):
        Driver(_Other(True), CFG)


def test_what_does_not_answer_is_told():
    with pytest.raises(CoreStuck, match="the chip took 2 of 2 flits and gave 0 of 1 packets"):
        Driver(_Other(False), CFG)


# Packets
@pytest.mark.parametrize("flit", [32, 64])
@pytest.mark.parametrize("count", [1, 2, 7, 33])
def test_write_packets_hold_the_elements(flit, count):
    """Each packet is at most as long as it may be, and says which elements it has."""
    mesh = mesh_for(CFG, MeshConfig(width=2, height=1, flit=flit))
    packets = Packets(CFG, mesh)
    for space in (Space.PROGRAM, Space.WEIGHTS, Space.GRADIENTS):
        values = _values(space, count)
        flits = packets.write(4, space, 10, values)
        ends = np.flatnonzero(flits[:, -1])
        starts = [0, *(ends[:-1] + 1)]
        found = []
        for start, end in zip(starts, ends, strict=True):
            assert end - start < mesh.packet
            fields = HEADER.unpack([int(flits[start, 0])])
            assert (fields["x"], fields["packet"], fields["space"]) == (1, Packet.WRITE, space)
            assert fields["address"] == 10 + len(found)
            found += flits[start + 1 : end + 1, :-1].reshape(-1, packets.pieces[space] * packets.words).tolist()
        assert len(found) == count
        padded = np.zeros((count, packets.pieces[space] * packets.words), np.uint32)
        padded[:, : values.shape[1]] = values
        assert found == padded.tolist()


@pytest.mark.parametrize("bits, per, words", [(1, 32, 1), (5, 4, 1), (12, 2, 1), (40, 1, 2), (9, 4, 2)])
def test_packed_items_come_back(bits, per, words):
    rng = np.random.default_rng(bits)
    items = rng.integers(0, 2, (23, bits)).astype(np.uint8)
    full = np.zeros((23, -(-bits // 32) * 32), np.uint8)
    full[:, :bits] = items
    elements = np.packbits(full, axis=1, bitorder="little").view("<u4").astype(np.uint32)
    rows = pack_bits(elements, bits, per, words)
    assert rows.shape == (-(-23 // per), words)
    assert (unpack_bits(rows, bits, per, 23) == elements).all()


def test_received_packets_are_told_apart():
    mesh = MeshConfig(width=3, height=2)
    flits = np.array([[2 | 1 << 2 | 1 << 5 | 7 << 8, 0], [5, 0], [6, 1], [2 | 7 << 8 | 1 << 11, 0], [9, 1]], np.uint32)
    (core, packet, kind, payload), (other, _, status, word) = received(flits, mesh)
    assert (core, packet, kind, payload[:, 0].tolist()) == (4, Packet.ANSWER, 0, [5, 6])
    assert (other, status, word[:, 0].tolist()) == (0, 1, [9])
