"""The command line: every command of Trident, and how each ends."""

import sys
from importlib import import_module

import click

from trident.hw.errors import Failure, Interrupted, TridentError

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "train": "trident.host.cli.commands:train_command",
    "map": "trident.host.cli.map:map_command",
    "federated": "trident.host.federated.commands:federated_command",
    "presets": "trident.host.cli.commands:presets_command",
    "verilog": "trident.host.cli.commands:verilog_command",
    "boards": "trident.boards.commands:boards_command",
    "estimate": "trident.boards.commands:estimate_command",
    "bitstream": "trident.boards.commands:bitstream_command",
    "netlist": "trident.boards.commands:netlist_command",
    "program": "trident.boards.commands:program_command",
    "bench": "trident.bench.commands:bench_command",
}
"""Where each command is; it is imported when it is called."""


class Commands(click.Group):
    """The commands of :data:`COMMANDS`, in that order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """One of them; None for a name that is not known."""
        if name not in COMMANDS:
            return None
        module, _, command = COMMANDS[name].partition(":")
        return getattr(import_module(module), command)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def commands():
    """Trident trains spiking neural networks on the RTL of a chip, and shows that every bit is right."""


def main(arguments: list[str] | None = None):
    """Run a command and exit: 0 done, 1 failed (RTL and golden differ, a tool fails), 2 refused what was given, 130
    interrupted. Everything but 0 says why in one sentence on stderr."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        return commands.main(arguments, prog_name="trident", standalone_mode=False) or OK
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


def _tell(sentence: str, status: int, kind: str = "error") -> int:
    click.echo(f"{kind}: {sentence}", err=True)
    return status
