"""From Amaranth to Verilog: one module per hardware unit, identical modules once, the same text for the same commit."""

import os
import re
import warnings

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")

from amaranth.back import verilog  # noqa: E402  (the environment decides which yosys it uses)

_MODULE = re.compile(r"^(?:\(\*.*\*\)\n)*module (\S+)[\s(].*?^endmodule\n", re.MULTILINE | re.DOTALL)
_ZEROS = re.compile(r"(?:^ +(\S+)\[(\d+)\] = \d+'(?:h0+|[01]{1}|h0);\n){2,}", re.MULTILINE)


def emit(component, name: str) -> str:
    """The Verilog of a component and everything below it; ``name`` is the top module's.

    Modules that differ in nothing but their name are written once. Memories that start as zeros are filled by a loop.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        text = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
    return _share_modules(_loop_zeros(text), name)


def _loop_zeros(text: str) -> str:
    """Replace runs of ``memory[n] = 0`` by a loop."""

    def loop(match: re.Match) -> str:
        lines = match.group(0).splitlines()
        memory = match.group(1)
        value = lines[0].split("=")[1].strip()
        if any(line.split("[")[0].strip() != memory or line.split("=")[1].strip() != value for line in lines):
            return match.group(0)
        first = int(lines[0].split("[")[1].split("]")[0])
        return (
            f"    begin : fill_{memory}\n      integer i;\n"
            f"      for (i = {first}; i < {first + len(lines)}; i = i + 1) {memory}[i] = {value}\n    end\n"
        )

    return _ZEROS.sub(loop, text)


def _share_modules(text: str, top: str) -> str:
    """Keep one of all modules with the same body, bottom up."""
    modules = {match.group(1): match.group(0) for match in _MODULE.finditer(text)}
    while True:
        bodies, renamed = {}, {}
        for name, body in modules.items():
            key = body.replace(f"module {name}", "module", 1)
            key = re.sub(r'^\(\* top = +1 *\*\)\n', "", key)
            if key in bodies and name != top:
                renamed[name] = bodies[key]
            else:
                bodies[key] = name
        if not renamed:
            break
        for name in renamed:
            del modules[name]
        names = "|".join(map(re.escape, sorted(renamed, key=len, reverse=True)))
        instance = re.compile(rf"^  ({names}) (?= *\S+ \()", re.MULTILINE)
        modules = {
            name: instance.sub(lambda match: f"  {renamed[match.group(1)]} ", body) for name, body in modules.items()
        }
    return "\n".join(modules.values())
