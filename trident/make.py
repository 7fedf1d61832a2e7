"""What make's targets call: variables that make was given become the options of a command, and none is ignored.

The values never pass through a shell: make hands names on in MAKEFLAGS, and values in the environment.
"""

import os
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches

import click

from trident.cli import COMMANDS, guarded, load_command
from trident.hw.errors import TridentError

# Targets that are no commands of their own, and where their options are; None: they take no variable
TARGETS = dict.fromkeys(
    ("bench-noc", "clean", "docs", "fpga-results", "lint", "lock", "results", "setup")
) | {"sim": "tests.commands:sim_command", "test-link": "tests.commands:link_command"}
EVERYWHERE = ("PYTHON", "VENV")  # variables that the Makefile reads itself
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def given(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of make's command line and their values, from the environment of what make runs."""
    _, _, overrides = f" {environment.get('MAKEFLAGS', '')}".partition(" -- ")
    # A space or a backslash of a value has a backslash before it there
    words = re.findall(r"(?:[^\s\\]|\\.)+", overrides, re.DOTALL)
    names = (word.partition("=")[0].rstrip(":+?!") for word in words)
    return {name: environment.get(name, "") for name in names}


def variables(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by the variable that stands for each: LOSS_SCALE for --loss-scale, T for -T."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    names = (next((name for name in option.opts if name.isupper()), max(option.opts, key=len)) for option in options)
    return dict(zip((name.lstrip("-").replace("-", "_").upper() for name in names), options, strict=True))


def arguments(target: str, values: dict[str, str]) -> list[str]:
    """The arguments of the command of a target, from variables of make; empty ones count as not given.

    Raises :class:`TridentError` for a variable that the target does not have, naming the nearest, and for a switch that
    is neither on nor off.
    """
    command = _command(target)
    known = variables(command) if command else {}
    result = []
    for name, value in values.items():
        if name in EVERYWHERE:
            continue
        if name not in known:
            raise TridentError(_unknown(target, name, list(known)))
        option = known[name]
        if not value.strip():
            continue
        if option.is_flag:
            result += _switch(option, name, value)
        elif option.multiple:
            result += [f"{max(option.opts, key=len)}={part}" for part in value.split()]
        else:
            result.append(f"{max(option.opts, key=len)}={value}")
    return result


def _command(target: str) -> click.Command | None:
    if target in COMMANDS:
        return load_command(COMMANDS[target])
    return load_command(TARGETS[target]) if TARGETS[target] else None


def _unknown(target: str, name: str, known: list[str]) -> str:
    if not known:
        return f"make {target} takes no variables: {name} is unknown"
    near = get_close_matches(name.upper(), known, 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
    return f"make {target} has no variable {name}: {advice}"


def _switch(option: click.Option, name: str, value: str) -> list[str]:
    word = value.strip().lower()
    if word in ON:
        return [option.opts[0]]
    if word in OFF:
        return option.secondary_opts[:1]
    raise TridentError(f"{name} is a switch, 1 or 0, not {value!r}")


def _run(words: list[str]) -> int:
    """``[--check] TARGET``: run the command of a target with make's variables, or only check them."""
    *checks, target = words
    command = _command(target)
    passed = arguments(target, given(os.environ))
    if not command:
        return 0
    try:
        if checks and "--check" not in [opt for parameter in command.params for opt in parameter.opts]:
            command.make_context(f"make {target}", passed)
            return 0
        return command.main([*passed, *checks], prog_name=f"make {target}", standalone_mode=False) or 0
    except click.UsageError as fault:
        raise TridentError(_in_variables(fault.format_message(), command)) from None


def _in_variables(sentence: str, command: click.Command) -> str:
    """What click says of options, said of the variables that were given."""
    for name, option in variables(command).items():
        sentence = re.sub(rf"'?{max(option.opts, key=len)}\b'?", name, sentence)
    return sentence


if __name__ == "__main__":
    sys.exit(guarded(lambda: _run(sys.argv[1:])))
