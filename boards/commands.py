"""The commands ``bitstream``, ``estimate``, ``netlist``, ``program`` and ``boards``."""

import os
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from trident.boards.devices import BOARDS, design_of, every_setup
from trident.boards.devices.board import RESOURCES
from trident.boards.devices.design import Design
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.flow import STAGES, Flow
from trident.boards.flow.netlist import TRANSLATE, check, netlist_line, netlist_verilog
from trident.boards.flow.program import program
from trident.boards.flow.stages import StageError
from trident.boards.flow.tools import find
from trident.boards.report.progress import watch
from trident.boards.report.report import Report, show
from trident.boards.report.results import committed, summary
from trident.host.report.terminal import terminal
from trident.host.train.compare import Divergence
from trident.hw.errors import Interrupted, TridentError
from trident.hw.folders import OUT

_BOARD = click.option("--board", default="", help="see boards")
_SETUP = click.option("--setup", default="core", help="core, mesh20, federated or a mesh as in 3x2", show_default=True)
_LANES = click.option("--lanes", type=int, help="output channels that a core computes at once  [the preset's]")
_FLAT = click.option(
    "--flat/--hierarchical", default=None, help="synthesise all cores, or one for all  [the set-up's]"
)
_CHECK = click.option("--check", "only_check", is_flag=True, help="only say whether it can be done: no tool is called")


@contextmanager
def _stages_kept():
    """Say what an interrupted flow leaves behind."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stages that were done are kept") from None


def _build(design: Design, seed: int | None, flat: bool | None, work: Callable[[Flow], Report]) -> Report:
    """Run one flow with its progress, then show its report."""
    if flat is not None:
        design = replace(design, setup=replace(design.setup, hierarchical=not flat))
    console = terminal()
    cores = f"{design.mesh.width}x{design.mesh.height} cores" if design.mesh.cores > 1 else "one core"
    console.print(
        f"{design.board.title}, set-up {design.name}: {cores} of {design.cfg.lanes} "
        f"lane{'s' * (design.cfg.lanes > 1)}, "
        f"{design.clock_hz / 1e6:g} MHz",
    )  # fmt: skip
    with _stages_kept(), watch(console, STAGES) as (started, ended):
        flow = Flow(design, design.setup.seed if seed is None else seed, started=started, ended=ended)
        report = work(flow)
    if all(stage.cached for stage in report.stages):
        console.print(f"Nothing to do: built before, on {report.date}.")
    show(report, console)
    if design.board.note:
        console.print(f"Note: {design.board.note}.", soft_wrap=True)
    return report


@click.command("bitstream")
@_BOARD
@_SETUP
@_LANES
@_FLAT
@click.option("--seed", type=int, help="of the placement  [the set-up's]")
@click.option("--allow-timing-fail", is_flag=True, help="make the file even if a clock is too fast for the design")
@_CHECK
def bitstream_command(board, setup, lanes, flat, seed, allow_timing_fail, only_check):
    """Build a bitstream for a board."""
    design = design_of(board, setup, lanes)
    if only_check:
        return
    report = _build(design, seed, flat, lambda flow: flow.bitstream(allow_timing_fail))
    if not report.timing_met:
        missed = ", ".join(
            f"{clock.name} reaches {clock.fmax_mhz:.2f} of {clock.target_mhz:.2f} MHz"
            for clock in report.clocks if not clock.met
        )  # fmt: skip
        if not allow_timing_fail:
            advice = "try another SEED, or take the file with ALLOW_TIMING_FAIL=1"
            raise StageError(f"timing is missed: {missed}; {advice}")
        click.echo(f"warning: timing is missed: {missed}", err=True)


@click.command("estimate")
@_BOARD
@_SETUP
@_LANES
@_FLAT
@_CHECK
def estimate_command(board, setup, lanes, flat, only_check):
    """Synthesise and count cells, without placing them; board "all" goes through every board and set-up."""
    if board.lower() != "all":
        design = design_of(board, setup, lanes)
        if not only_check:
            _estimate(design, flat)
        return
    if only_check:
        return
    find("yosys")  # once, rather than for every set-up
    for name, setup_name in every_setup():
        try:
            _estimate(design_of(name, setup_name), flat)
        except TridentError as refused:
            click.echo(f"{refused}\n")


def _estimate(design: Design, flat: bool | None):
    """Estimate one plan, and say how many such cores its board takes."""
    fits = []

    def work(flow: Flow) -> Report:
        report, size = flow.estimate()
        fits.append(size)
        return report

    _build(design, None, flat, work)
    if design.mesh.cores > 1:
        click.echo("The largest mesh of such cores that fits is SETUP={}x{}.".format(*fits[0]))


@click.command("netlist")
@_BOARD
@_SETUP
@_LANES
@_CHECK
def netlist_command(board, setup, lanes, only_check):
    """Train on the synthesised netlist, simulated, and on golden, and compare every bit."""
    design = design_of(board, setup, lanes)
    if only_check:
        return
    with _stages_kept(), watch(terminal(), STAGES | {TRANSLATE: "Write the netlist as Verilog"}) as (started, ended):
        verilog, cells = netlist_verilog(Flow(design, started=started, ended=ended))
    click.echo(f"Building the simulation of {cells:,} cells: a few minutes, the first time ...")
    with closing(netlist_line(design, verilog)) as line:
        found = check(design, line)
    if found.mismatch:
        raise Divergence(f"the netlist differs from golden: {found.mismatch}")
    click.echo(
        f"Trained {found.network} with {found.samples} samples on the netlist: spikes, errors, {found.values} "
        f"gradients, momenta and weights equal golden's, bit for bit; {found.cycles:,} cycles in {found.seconds:.0f} s."
    )


@click.command("program")
@_BOARD
@_SETUP
@_LANES
@_CHECK
def program_command(board, setup, lanes, only_check):
    """Load the bitstream that was built for a board and a set-up."""
    design = design_of(board, setup, lanes)
    if only_check:
        return
    name = f"{design.folder}{FAMILIES[design.board.family].bitstream}"
    program(design, Path(os.path.relpath(OUT / "fpga" / design.folder / name)))


@click.command("boards")
def boards_command():
    """List boards and set-ups, with what was built of them."""
    console = terminal()
    built = committed()
    boards = Table("board", "part", "LUT", "FF", "BRAM", "DSP", box=None, header_style="bold")
    table = Table("board", "set-up", "cores", "lanes", "clock", "result", box=None, header_style="bold")
    for board in BOARDS.values():
        boards.add_row(board.name, board.part, *(f"{board.limits[name]:,}" for name in RESOURCES))
    for name, setup in every_setup():
        design = design_of(name, setup)
        result = summary(built[design.folder]) if design.folder in built else "not built yet"
        clock = f"{design.clock_hz / 1e6:g} MHz"
        table.add_row(name, setup, str(design.mesh.cores), str(design.cfg.lanes), clock, result)
    console.print(boards)
    console.print()
    console.print(table)
    console.print("\nBeside these, SETUP=WxH builds any mesh of up to 8x8 cores, and LANES= changes their lanes.")
    for board in BOARDS.values():
        if board.note:
            console.print(f"{board.name}: {board.note}.")
