"""Which memory became what: every large one must be made of block RAMs, and of no more than it needs."""

import re
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from trident.boards.devices.families import Family
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig

_MODULE = re.compile(r"^module (\S+)$(.*?)^end$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^  cell \$mem_v2 \S+$(.*?)^  end$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"^    parameter (?:signed )?\\(WIDTH|SIZE|RD_PORTS|WR_PORTS) (\d+)$", re.MULTILINE)
_ENABLES = re.compile(r"^    connect \\WR_EN (?:\{ )?(.*?)(?: \})?$", re.MULTILINE)
_BIT = re.compile(r"\S+ \[\d+\]|\S+")
_NAME = re.compile(r'^    parameter \\MEMID "(?:\\\\)?(.*)"$', re.MULTILINE)
_MAPPED = re.compile(r"^(?:mapping memory (\S+) via (\S+)|using FF mapping for memory (\S+))$", re.MULTILINE)
_HALF_CYCLE = re.compile(r"\$techmap\d+\\+|\.half_cycle$")  # what boards/flow/half_cycle.v adds to a name


@dataclass(frozen=True)
class Memory:
    """A memory of the design: module and name, words, bits of a word, numbers of ports, and what yosys made of it.

    granule: bits that are written together, 0 for all of a word; kind: one of yosys' names of RAMs, or empty for
        flip-flops.
    """

    module: str
    name: str
    words: int
    width: int
    readers: int
    writers: int
    kind: str
    granule: int = 0

    @property
    def bits(self) -> int:
        return self.words * self.width

    def blocks(self, family: Family) -> int:
        """Block RAMs that suffice for one reader; copies serve more. Parts of a word that are written apart share
        none."""
        granule = self.granule or self.width
        of_part = min(ceil(self.words / words) * ceil(granule / bits) for words, bits in family.shapes)
        return of_part * (self.width // granule)


def read_memories(dump: str, log: str) -> list[Memory]:
    """The memories of a design, from yosys' dump of its ``$mem_v2`` cells before they were mapped and the log of
    mapping them. Read-only tables that became logic are left out."""
    kinds = {_HALF_CYCLE.sub("", mapped or loose): kind or "" for mapped, kind, loose in _MAPPED.findall(log)}
    found = []
    for module, body in _MODULE.findall(dump):
        for cell in _CELL.findall(body):
            sizes = {name: int(value) for name, value in _NUMBER.findall(cell)}
            name, module_name = _HALF_CYCLE.sub("", _NAME.search(cell)[1]), module.removeprefix("\\")
            kind = kinds.get(f"{module_name}.{name}", "")
            if sizes["WR_PORTS"] or kind:
                found.append(Memory(
                    module_name, name, sizes["SIZE"], sizes["WIDTH"], sizes["RD_PORTS"], sizes["WR_PORTS"], kind,
                    _granule(cell, sizes["WIDTH"]),
                ))  # fmt: skip
    return found


def _granule(cell: str, width: int) -> int:
    """Bits of a word with the same write enable, where they are equal parts of it; otherwise 0."""
    enables = _ENABLES.search(cell)
    runs = [len(list(run)) for _, run in groupby(_BIT.findall(enables[1]))] if enables else []
    return runs[0] if len(set(runs)) == 1 and len(runs) > 1 and width % runs[0] == 0 else 0


def configured_bits(cfg: CoreConfig) -> int:
    """Bits that a core of this configuration must remember: weights, gradients, momenta, errors and spikes."""
    rows = (2 * cfg.weight_rows + cfg.error_rows) * cfg.row_bits + cfg.weight_rows * cfg.gradient_row_bits
    return rows + cfg.spike_words * cfg.spike_bits


def check_memories(
    memories: list[Memory], family: Family, block_cells: int, copies: dict[str, int], cfg: CoreConfig, cores: int
):
    """Raise :class:`TridentError` for a memory that should be of block RAMs and is not, for more blocks than the
    memories need, and for less memory than ``cores`` of the configuration ``cfg`` have.

    block_cells: block RAMs in the netlist; copies: how many times each module is in the design.
    """
    for memory in memories:
        in_blocks = memory.kind in family.blocks
        limit = family.lut_bits if memory.kind else family.loose_bits
        shallow = memory.kind and memory.words <= family.lut_words
        if not in_blocks and memory.bits > limit and not shallow:
            raise TridentError(
                f"memory {memory.module}.{memory.name} of {memory.words} words of {memory.width} bits became "
                f"{'lookup tables' if memory.kind else 'flip-flops'} instead of block RAM"
            )
    bits = sum(copies[memory.module] * memory.bits for memory in memories if memory.writers)
    wanted = cores * configured_bits(cfg)
    if bits < wanted:
        raise TridentError(f"the memories of the netlist have {bits:,} bits where the configuration has {wanted:,}")
    most = sum(
        copies[memory.module] * memory.blocks(family) * max(memory.readers, 1)
        for memory in memories if memory.kind in family.blocks
    )  # fmt: skip
    if block_cells > most:
        raise TridentError(f"the netlist has {block_cells} block RAMs where its memories need at most {most}")
