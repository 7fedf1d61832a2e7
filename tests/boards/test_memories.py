"""The check of memories, on pieces of what yosys has written."""

from dataclasses import replace
from pathlib import Path

import pytest

from boards.families import FAMILIES
from boards.memories import check_memories, configured_bits, read_memories
from hw.config import CoreConfig
from hw.errors import TridentError

DATA = Path(__file__).with_name("data")
ECP5 = FAMILIES["ecp5"]
SMALL = CoreConfig.preset("FPGA", weight_rows=128, spike_words=64, error_words=16)


@pytest.fixture
def memories():
    return read_memories((DATA / "memories.il").read_text(), (DATA / "memories.log").read_text())


def test_read(memories):
    found = {memory.name.rpartition("core0.")[2]: memory for memory in memories}
    weights = found["weights1.bank0"]
    assert (weights.module, weights.words, weights.width, weights.readers) == ("top", 2048, 16, 2)
    assert weights.kind == "$__DP16KD_" and weights.blocks(ECP5) == 2
    assert found["forward.array.accumulators"].kind == "$__TRELLIS_DPR16X4_"
    assert len(found) == 4, "a read-only table is no memory"


def test_right_netlist_passes(memories):
    check_memories(memories, ECP5, 5, {"top": 1}, SMALL, 1)


@pytest.mark.parametrize(("kind", "became"), [("", "flip-flops"), ("$__TRELLIS_DPR16X4_", "lookup tables")])
def test_memory_outside_of_block_ram(memories, kind, became):
    wrong = [replace(memory, kind=kind) if memory.name.endswith("bank0") else memory for memory in memories]
    said = rf"memory top\.chip\.chip\.core0\.weights1\.bank0 of 2048 words of 16 bits became {became} instead of block"
    with pytest.raises(TridentError, match=said):
        check_memories(wrong, ECP5, 1, {"top": 1}, SMALL, 1)


def test_more_blocks_than_needed(memories):
    """As when a memory is doubled to keep the old value of a word that is being written."""
    with pytest.raises(TridentError, match="the netlist has 9 block RAMs where its memories need at most 5"):
        check_memories(memories, ECP5, 9, {"top": 1}, SMALL, 1)


def test_less_memory_than_configured(memories):
    cfg = CoreConfig.preset("FPGA")
    assert configured_bits(cfg) == (3 * 2048 + 4 * 256) * 16 + 4 * 1024
    with pytest.raises(TridentError, match=r"have 36,096 bits where the configuration has 118,784"):
        check_memories(memories, ECP5, 5, {"top": 1}, cfg, 1)
