"""The check of memories, on pieces of what yosys has written."""

from dataclasses import replace
from pathlib import Path

import pytest

from trident.boards.devices.families import FAMILIES
from trident.boards.flow.memories import check_memories, configured_bits, read_memories
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig

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


ICE40_DUMP = r"""
module \top
  cell $mem_v2 $one
    parameter \MEMID "$techmap7\\chip.stack.half_cycle"
    parameter \SIZE 16
    parameter \WIDTH 12
    parameter \RD_PORTS 1
    parameter \WR_PORTS 1
  end
  cell $mem_v2 $two
    parameter \MEMID "\\chip.code"
    parameter \SIZE 2048
    parameter \WIDTH 20
    parameter \RD_PORTS 1
    parameter \WR_PORTS 0
  end
end
"""


def test_memories_of_an_ice40():
    """One that is read at the falling edge has its own name; a read-only one counts where it became block RAM."""
    log = "mapping memory top.$techmap7\\chip.stack.half_cycle via $__ICE40_RAM4K_\n"
    stack, code = read_memories(ICE40_DUMP, f"{log}mapping memory top.chip.code via $__ICE40_RAM4K_\n")
    assert (stack.name, stack.kind, code.name) == ("chip.stack", "$__ICE40_RAM4K_", "chip.code")
    cfg = CoreConfig.preset("FPGA", weight_rows=2, spike_words=4, error_words=2)
    ice40 = FAMILIES["ice40"]
    with pytest.raises(TridentError, match="have 192 bits where the configuration has 240"):
        check_memories([stack, code], ice40, 11, {"top": 1}, cfg, 1)
    with pytest.raises(TridentError, match="the netlist has 13 block RAMs where its memories need at most 12"):
        check_memories([stack, code, replace(stack, width=16)], ice40, 13, {"top": 1}, cfg, 1)
    loose = read_memories(ICE40_DUMP, "using FF mapping for memory top.$techmap7\\chip.stack.half_cycle\n")
    assert [memory.name for memory in loose] == ["chip.stack"]
    with pytest.raises(TridentError, match=r"memory top\.chip\.stack of 16 words of 12 bits became flip-flops"):
        check_memories(loose, ice40, 0, {"top": 1}, cfg, 1)


PARTS = "".join(rf"\en [{n}] " * 64 for n in range(4))


@pytest.mark.parametrize(
    "enables, blocks", [(r"\one", 29), (r"{ " + r"\one [0] " * 256 + "}", 29), (f"{{ {PARTS}}}", 32)]
)
def test_parts_of_a_word_share_no_block(enables, blocks):
    """2,048 words of 256 bits take 29 block RAMs of 9 bits; written in four parts, each takes 8 of its own."""
    dump = "module \\top\n  cell $mem_v2 $one\n    parameter \\MEMID \"\\\\m\"\n    parameter \\SIZE 2048\n"
    dump += "    parameter \\WIDTH 256\n    parameter \\RD_PORTS 1\n    parameter \\WR_PORTS 1\n"
    dump += f"    connect \\WR_EN {enables}\n  end\nend\n"
    (memory,) = read_memories(dump, "mapping memory top.m via $__PDPW16KD_\n")
    assert memory.blocks(ECP5) == blocks


def test_right_netlist_passes(memories):
    check_memories(memories, ECP5, 5, {"top": 1}, SMALL, 1)


@pytest.mark.parametrize(("kind", "became"), [("", "flip-flops"), ("$__TRELLIS_DPR16X4_", "lookup tables")])
def test_memory_outside_of_block_ram(memories, kind, became):
    wrong = [replace(memory, kind=kind) if memory.name.endswith("bank0") else memory for memory in memories]
    said = rf"memory top\.chip\.chip\.core0\.weights1\.bank0 of 2048 words of 16 bits became {became} instead of block"
    with pytest.raises(TridentError, match=said):
        check_memories(wrong, ECP5, 1, {"top": 1}, SMALL, 1)


def test_a_shallow_memory_may_be_in_lookup_tables(memories):
    """A queue of 16 wide rows would leave most of its block RAMs empty; one of 64 is too deep for that."""
    queue = next(memory for memory in memories if memory.kind == "$__TRELLIS_DPR16X4_")
    check_memories([*memories, replace(queue, words=16, width=399)], ECP5, 5, {"top": 1}, SMALL, 1)
    with pytest.raises(TridentError, match="of 64 words of 399 bits became lookup tables"):
        check_memories([*memories, replace(queue, words=64, width=399)], ECP5, 5, {"top": 1}, SMALL, 1)


def test_more_blocks_than_needed(memories):
    """As when a memory is doubled to keep the old value of a word that is being written."""
    with pytest.raises(TridentError, match="the netlist has 9 block RAMs where its memories need at most 5"):
        check_memories(memories, ECP5, 9, {"top": 1}, SMALL, 1)


def test_less_memory_than_configured(memories):
    cfg = CoreConfig.preset("FPGA")
    assert configured_bits(cfg) == (3 * 2048 + 4 * 256) * 16 + 4 * 1024
    exact = replace(cfg, lanes=2, gradient_bits=48)
    assert configured_bits(exact) == (2 * 2048 + 4 * 256) * 32 + 2048 * 2 * 48 + 8 * 1024
    with pytest.raises(TridentError, match=r"have 36,096 bits where the configuration has 118,784"):
        check_memories(memories, ECP5, 5, {"top": 1}, cfg, 1)
