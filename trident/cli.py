"""The command line: every command of Trident, and how each ends."""

import atexit
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from threading import current_thread, main_thread

import click

from trident.hw.errors import Failure, Interrupted, TridentError

LONGEST = 6000  # characters of a sentence on stderr, the last lines of a tool included
AGAIN = 0.01  # seconds until a signal that was lost comes again
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "train": "trident.host.cli.commands:train_command",
    "map": "trident.host.cli.map:map_command",
    "energy": "trident.host.cli.energy:energy_command",
    "balance": "trident.host.cli.balance:balance_command",
    "traffic": "trident.host.cli.traffic:traffic_command",
    "federated": "trident.host.federated.commands:federated_command",
    "placer": "trident.host.cli.placer:placer_command",
    "presets": "trident.host.cli.commands:presets_command",
    "verilog": "trident.host.cli.commands:verilog_command",
    "boards": "trident.boards.commands:boards_command",
    "estimate": "trident.boards.commands:estimate_command",
    "bitstream": "trident.boards.commands:bitstream_command",
    "netlist": "trident.boards.commands:netlist_command",
    "gates": "trident.boards.asic.commands:gates_command",
    "program": "trident.boards.commands:program_command",
    "bench": "trident.bench.commands:bench_command",
}
"""Where each command is; it is imported when it is called."""


class Whole(click.types.IntParamType):
    """A whole number of ASCII digits: others, and signs between them, are taken by Python."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; refuses a text that is none."""
        if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return super().convert(value, param, ctx)


WHOLE = Whole()


class Commands(click.Group):
    """The commands of :data:`COMMANDS`, in that order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """One of them; None for a name that is not known."""
        return load_command(COMMANDS[name]) if name in COMMANDS else None


def load_command(place: str) -> click.Command:
    """The command at ``module:name``."""
    module, _, name = place.partition(":")
    command: click.Command = getattr(import_module(module), name)
    for parameter in command.params:
        if parameter.type is click.INT:
            parameter.type = WHOLE
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def commands():
    """Trident trains spiking neural networks on the RTL of a chip, and shows that every bit is right."""


def main(arguments: list[str] | None = None):
    """Run a command and exit: 0 done, 1 failed (RTL and golden differ, a tool fails), 2 refused what was given, 130
    interrupted. Everything but 0 says why in one sentence on stderr."""
    status = guarded(lambda: commands.main(arguments, prog_name="trident", standalone_mode=False))
    if arguments is None:  # a signal that comes now ends the process at once, with the same status
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, lambda *_: os._exit(status))
        if status == INTERRUPTED:
            # Where the interrupt came within exec() of a text, as dataclasses have it, Python would end by SIGINT,
            # although it has been handled
            atexit._run_exitfuncs()
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(status)
    sys.exit(status)


def guarded(run: Callable[[], int | None]) -> int:
    """What to exit with after ``run``, which is as :func:`main` says. SIGTERM stops it as Ctrl-C does."""
    if current_thread() is main_thread():
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, _interrupt)
        sys.unraisablehook = _interrupt_again
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows another
    try:
        try:
            status = run() or OK
        finally:  # a signal that came again is not wanted a second time
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.flush()
        return status
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.ctx.get_help(), err=True)
        return REFUSED
    except click.ClickException as fault:
        return _tell(fault.format_message(), REFUSED)
    except TridentError as fault:
        return _tell(str(fault), REFUSED)
    except Interrupted as stopped:
        return _tell(str(stopped), INTERRUPTED, "interrupted")
    except (KeyboardInterrupt, click.Abort):
        return _tell("nothing was kept beyond the last checkpoint, if there is one", INTERRUPTED, "interrupted")
    except Failure as fault:
        return _tell(str(fault), FAILED)
    except OSError as fault:  # what is left: a full disk, an output that takes no more
        status = _tell(f"{fault.filename or 'the output'} cannot be written: {fault.strerror}", FAILED)
        with suppress(OSError, ValueError):  # else Python would try once more at its end, and say so
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status


def _interrupt(*_):
    raise KeyboardInterrupt


def _interrupt_again(lost: "sys.UnraisableHookArgs"):
    """A signal that arrives while Python runs a callback of its own, a finalizer say, would be printed and forgotten:
    it comes again once that has ended."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
    else:
        sys.__unraisablehook__(lost)


def _tell(sentence: str, status: int, kind: str = "error") -> int:
    shown = "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in sentence)
    if len(shown) > LONGEST:
        shown = f"{shown[: LONGEST // 2]} ... {shown[-LONGEST // 2 :]}"
    with suppress(OSError):
        click.echo(f"{kind}: {shown}", err=True)
    return status
