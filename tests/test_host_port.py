"""The host port of a core, through the driver: every memory keeps what is written, the core says who it is."""

import numpy as np
import pytest

from host.driver import Driver
from hw.config import CoreConfig
from hw.counters import MAGIC, REGISTERS, config_digest
from hw.errors import TridentError
from hw.host_port import space_bits
from hw.layouts import WORD, Space, elements_to_words
from sim.verilated import VerilatedCore

CFG = CoreConfig.preset("TINY", spike_words=1024, error_words=512)


@pytest.fixture(scope="module")
def driver():
    core = VerilatedCore(CFG)
    yield Driver(core, CFG)
    core.close()


@pytest.mark.parametrize(
    "space, depth",
    [
        (Space.WEIGHTS, CFG.weight_rows), (Space.MOMENTUM, CFG.weight_rows), (Space.GRADIENTS, CFG.weight_rows),
        (Space.SPIKES, CFG.spike_words), (Space.MASKS, CFG.spike_words), (Space.ERRORS, CFG.error_rows),
        (Space.ERROR_MASKS, CFG.error_words), (Space.LOSS_TABLE, 16),
    ],
)  # fmt: skip
def test_memories_keep_what_is_written(driver, space, depth):
    """All of it at once, then some of it again from the middle; nothing else changes."""
    bits = space_bits(CFG)[space]
    rng = np.random.default_rng(int(space))
    values = rng.integers(0, 1 << min(bits, WORD), (depth, elements_to_words(bits)), dtype=np.uint64).astype(np.uint32)
    driver.write(space, 0, values)
    assert (driver.read(space, 0, depth) == values).all()
    part = slice(depth // 3, depth // 3 + 5)
    values[part] ^= 1
    driver.write(space, part.start, values[part])
    assert (driver.read(space, 0, depth) == values).all()
    assert (driver.read(space, depth - 1, 1) == values[-1:]).all()


def test_spaces_do_not_share_memory(driver):
    spaces = [space for space in Space if Space.WEIGHTS <= space <= Space.ERROR_MASKS]
    for n, space in enumerate(spaces):
        driver.write(space, 3, np.array([[n + 1]], np.uint32))
    assert [int(driver.read(space, 3, 1)[0, 0]) for space in spaces] == list(range(1, len(spaces) + 1))


def test_registers_say_who_the_core_is(driver):
    registers = driver.registers()
    assert len(registers) == len(REGISTERS)
    assert registers["magic"] == MAGIC and registers["config"] == config_digest(CFG)
    assert registers["active"] == 0
    words = registers["host.words_in"]
    assert driver.registers()["host.words_in"] == words + 2  # a header and an address


def test_core_of_another_configuration_is_refused(driver):
    with pytest.raises(TridentError, match="the core has another configuration"):
        Driver(driver.link, CoreConfig.preset("TINY"))


class _Other:
    """A link to something that is no core."""

    def exchange(self, words, wanted, limit):
        return len(words), np.zeros(wanted, np.uint32)


def test_what_is_no_core_is_refused():
    with pytest.raises(TridentError, match="what answers is no Trident core: it says 0x00000000"):
        Driver(_Other(), CFG)
