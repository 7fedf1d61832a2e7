"""The Verilog: identical modules once, the same text twice, nothing that a simulator would resolve to nothing."""

import os
import re
import subprocess
import sys

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.cores import make_core
from trident.hw.generate import emit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import mesh_for

_CFG = {"weight_rows": 64, "spike_words": 32, "error_words": 16}


def _modules(text: str) -> dict[str, str]:
    return dict(re.findall(r"^module (\S+?) ?\((.*?)^endmodule$", text, re.MULTILINE | re.DOTALL))


def _instances(body: str) -> set[str]:
    return set(re.findall(r"^  (\S+) +\S+ +\($", body, re.MULTILINE)) - {"module"}


class _Cell(wiring.Component):
    """A memory of zeros and a register."""

    def __init__(self, depth: int, first: int = 0):
        self.depth, self.first = depth, first
        super().__init__({"i": In(8), "en": In(1), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=8, depth=self.depth, init=[self.first])
        read, write = words.read_port(), words.write_port()
        m.d.comb += [read.addr.eq(self.i), write.addr.eq(self.i), write.data.eq(self.i), write.en.eq(self.en)]
        m.d.comb += self.o.eq(read.data)
        return m


class _Pair(wiring.Component):
    """Two cells under names that need escapes, as two submodules of one name have."""

    def __init__(self, *cells: _Cell):
        self.cells = cells
        super().__init__({"i": In(8), "en": In(1), **{f"o{n}": Out(8) for n in range(len(cells))}})

    def elaborate(self, platform):
        m = Module()
        for n, cell in enumerate(self.cells):
            m.submodules[f"cell${n}"] = cell
            m.d.comb += [cell.i.eq(self.i), cell.en.eq(self.en), getattr(self, f"o{n}").eq(cell.o)]
        return m


def test_identical_modules_are_written_once():
    text = emit(_Pair(_Cell(16), _Cell(16), _Cell(16, first=5)), "top")
    modules = _modules(text)
    assert len(modules) == 3
    used = _instances(modules["top"])
    assert len(used) == 2 and used <= set(modules)


def test_zeros_are_filled_by_a_loop():
    text = emit(_Cell(200), "top")
    assert len(text.splitlines()) < 80
    assert "for (i = " in text


def test_first_values_stay():
    assert re.search(r"\[0\] = 8'(h05|d5);", emit(_Cell(16, first=5), "top"))


@pytest.mark.parametrize("preset", ["TINY", "FPGA", "COMPACT"])
def test_every_instance_of_a_core_is_resolved(preset):
    cfg = CoreConfig.preset(preset, **_CFG)
    modules = _modules(emit(make_core(cfg, mesh_for(cfg)), "core"))
    assert "core" in modules and len(modules) > 20
    for name, body in modules.items():
        for used in _instances(body):
            assert used in modules, f"{name} uses {used}, which is not there"


def test_same_text_for_the_same_configuration():
    """In two processes with other hash seeds."""
    program = (
        "from trident.hw.isa.mesh import mesh_for; from trident.hw.isa.config import CoreConfig; "
        "from trident.hw.cores import make_core; "
        f"from trident.hw.generate import emit; cfg = CoreConfig.preset('TINY', **{_CFG}); "
        "print(emit(make_core(cfg, mesh_for(cfg)), 'core'))"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in (0, 1)
    ]  # fmt: skip
    assert texts[0] == texts[1] and "module core" in texts[0]
