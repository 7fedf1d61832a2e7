"""The flow: emit, synthesise, count, place, pack. Each stage is kept by a digest of what went into it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from trident import hw
from trident.boards import devices
from trident.boards.devices.design import Design
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.figures import Use, read_clocks, read_use
from trident.boards.flow.fits import largest_mesh, sentence
from trident.boards.flow.stages import Stage, Stages
from trident.boards.flow.synthesis import HALF_CYCLE, OUTPUTS, Netlist, amount, check_netlist, script
from trident.boards.flow.tools import Tool, find
from trident.boards.report.report import Report, read_report
from trident.hw.errors import TridentError
from trident.hw.files import file_digest, only_one, write_whole
from trident.hw.folders import OUT

HARDWARE, DEVICES = Path(hw.__file__).parent, Path(devices.__file__).parent

STAGES = {"emit": "Emit Verilog", "synthesise": "Synthesise", "count": "Count cells", "place": "Place and route",
          "pack": "Pack the bitstream"}  # fmt: skip


class Flow:
    """The build of one plan, in ``build/fpga/<board>-<set-up>`` or another folder.

    seed: of the placement; started, ended: told of each stage, see :class:`Stages`.
    """

    def __init__(
        self, design: Design, seed: int = 1, folder: Path | None = None,
        started: Callable[[str, str], None] = lambda name, tool: None,
        ended: Callable[[Stage], None] = lambda stage: None,
    ):  # fmt: skip
        self.design, self.seed = design, seed
        self.family = FAMILIES[design.board.family]
        self.folder = folder or OUT.absolute() / "fpga" / design.folder
        self.stages = Stages(self.folder, started, ended)
        self.tools = {name: find(name) for name in ("yosys", self.family.place, self.family.pack)}

    def estimate(self) -> tuple[Report, tuple[int, int]]:
        """Stop after synthesis, and count cells as nextpnr does. The second result is the largest mesh of such cores
        that fits the board.

        Raises :class:`TridentError` for a design that is too big, see :func:`sentence`, or whose memories
        are not what they should be; :class:`StageError` when a tool fails.
        """
        with only_one(self.folder):
            netlist, use = self._counted()
            report = self._report(use, "estimate.json")
            self._refuse(netlist, use)
            return report, largest_mesh(self.design, netlist, use)

    def synthesised(self):
        """Stop after synthesis: netlist.json in the folder is what nextpnr would take. Whether it fits is not asked.

        Raises what :meth:`estimate` raises for memories and tools.
        """
        with only_one(self.folder):
            self._synthesised()

    def bitstream(self, allow_timing_fail: bool = False) -> Report:
        """Build all of it. A design that misses its clock is not packed, unless ``allow_timing_fail``.

        Raises what :meth:`estimate` raises.
        """
        with only_one(self.folder):
            netlist, use = self._counted()
            self._refuse(netlist, use)
            board = self.design.board
            options = (*self.design.setup.place, "--seed", str(self.seed), "--timing-allow-fail", *self.family.placed)
            outputs = (self.family.placed_name, "placed.report")
            self._nextpnr("place", (*options, "--report", "placed.report"), outputs)
            clocks = read_clocks((self.folder / "placed.report").read_text())
            if not all(clock.met for clock in clocks) and not allow_timing_fail:
                return self._report(use, "report.json", clocks)
            packed = f"{self.design.folder}{self.family.bitstream}"
            names = {"ecp5": (self.family.placed_name, packed), "ice40": (self.family.placed_name, packed),
                     "gowin": ("-o", packed, self.family.placed_name)}[board.family]  # fmt: skip
            self._run("pack", self.family.pack, (*board.pack, *names), [self.family.placed_name], (packed,))
            return self._report(use, "report.json", clocks, packed)

    def _refuse(self, netlist: Netlist, use: dict[str, Use]):
        if refused := sentence(self.design, netlist, use):
            raise TridentError(refused)

    def _counted(self) -> tuple[Netlist, dict[str, Use]]:
        """Everything up to the count of cells, with the check of the memories."""
        netlist = self._synthesised()
        self._nextpnr("count", ("--pack-only",))
        return netlist, self._use(netlist)

    def _synthesised(self) -> Netlist:
        """Everything up to the netlist, with the check of the memories."""
        design = self.design
        self._emit(("chip.v", "top.il", f"top{self.family.constraints}"))
        commands = script(design, design.setup.hierarchical)
        write_whole(self.folder / "synthesise.ys", commands)
        write_whole(self.folder / HALF_CYCLE.name, HALF_CYCLE.read_text())
        inputs = ["synthesise.ys", "chip.v", "top.il", HALF_CYCLE.name]
        self._run("synthesise", "yosys", ("synthesise.ys",), inputs, OUTPUTS)
        texts = [(self.folder / name).read_text() for name in ("cells.json", "memories.il", "synthesise.log")]
        return check_netlist(design, *texts)

    def _emit(self, written: tuple[str, ...]):
        """Write the sources: the chip's Verilog, and its board's top and constraints."""
        design = self.design
        folders = (HARDWARE, DEVICES, Path(__file__).parent)
        sources = [source for folder in folders for source in sorted(folder.rglob("*.py"))]
        python = Tool("amaranth", (sys.executable,), version("amaranth"), False)
        environment = {"PYTHONPATH": str(HARDWARE.parents[1]), "PYTHONHASHSEED": "0", "AMARANTH_USE_YOSYS": "builtin"}
        arguments = ("-m", "trident.boards.flow.emit", design.board.name, design.name, str(design.cfg.lanes))
        self.stages.run("emit", python, arguments, sources, written, environment)

    def _use(self, netlist: Netlist) -> dict[str, Use]:
        """Cells by resource; what nextpnr does not count apart is taken from the netlist."""
        use = read_use((self.folder / "count.log").read_text(), self.family)
        for resource, limit in self.design.board.limits.items():
            use.setdefault(resource, Use(amount(netlist, self.family, resource), limit))
        return use

    def _nextpnr(self, stage: str, options: tuple[str, ...], outputs: tuple[str, ...] = ()):
        board = self.design.board
        arguments = (
            *board.nextpnr, *self.family.constrain, "--json", "netlist.json",
            "--freq", f"{self.design.clock_hz / 1e6:g}",
            *options,
        )  # fmt: skip
        self._run(stage, self.family.place, arguments, ["netlist.json", f"top{self.family.constraints}"], outputs)

    def _run(self, stage: str, tool: str, arguments, inputs: list[str], outputs: tuple[str, ...]):
        files = [self.folder / name for name in inputs]
        self.stages.run(stage, self.tools[tool], tuple(arguments), files, (*outputs, f"{stage}.log"))

    def _report(self, use: dict[str, Use], name: str, clocks=(), packed: str = "") -> Report:
        """The report of what was done; a report that is there already for the same stages stays as it is."""
        design, done = self.design, self.stages.done
        digest = hashlib.sha256("\0".join(stage.digest for stage in done).encode()).hexdigest()
        path = self.folder / name
        date, commit = datetime.now(UTC).strftime("%Y-%m-%d"), _commit()
        if path.exists() and (before := read_report(path.read_text(), str(path))).digest == digest:
            date, commit = before.date, before.commit
        file = self.folder / packed if packed else None
        report = Report(
            board=design.board.name, setup=design.name, part=design.board.part, cores=design.mesh.cores,
            lanes=design.cfg.lanes,
            clock_hz=design.clock_hz, baud=design.board.baud, use=use, clocks=list(clocks), stages=list(done),
            options=self._options(), seed=self.seed, date=date, commit=commit, digest=digest,
            file=os.path.relpath(file) if file else "", sha256=file_digest(file) if file else "",
        )  # fmt: skip
        write_whole(path, report.text())
        return report

    def _options(self) -> str:
        setup = self.design.setup
        parts = [self.family.synthesis, *setup.synthesis, "hierarchical" if setup.hierarchical else "flat"]
        return f"{' '.join(parts)}; {' '.join((self.family.place, *setup.place))}"


def _commit() -> str:
    """The commit of the sources, with a plus if they have changed since; empty outside of a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*"],
            cwd=HARDWARE.resolve(), capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
