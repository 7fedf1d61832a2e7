"""Golden vector programs: those of hw/isa/vector_program.py, compiled, in the arithmetic of the multiply-adders."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from trident.hw.folders import CACHE
from trident.hw.isa.vector import (
    NOTHING,
    Both,
    Compare,
    Constant,
    Either,
    Input,
    InputBit,
    Interpolate,
    Literal,
    Magnitude,
    MultiplyAdd,
    Negative,
    Node,
    Not,
    Positive,
    Select,
    State,
    StateBit,
    Step,
    Table,
)
from trident.hw.isa.vector_program import Program
from trident.hw.kept import kept_folder
from trident.sim.golden.format import STEP
from trident.sim.golden.sums import Sums

_COMPARES = {"≥": "not ({0} < {1})", ">": "({1} < {0})", "<": "({0} < {1})"}
_BEGIN = '''"""{name}."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value
from trident.sim.golden.mul import mul_value
from trident.sim.golden.tables import interpolate


@njit(cache=True, nogil=True)
def kernel({parameters}, subnormals, p):
    kind = {first}.dtype.type
    fault = np.zeros(({first}.shape[0], {first}.shape[2]), np.bool_)
    for position in range({first}.shape[0]):
        for n in range({first}.shape[2]):
'''


@cache
def _loaded(source: str) -> Callable:
    """The kernel of a source that is kept in the cache folder, where numba keeps what it compiles beside it."""
    needs = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("add", "format", "mul", "tables")]
    digest = hashlib.sha256(b"\0".join([source.encode(), str(STEP).encode(), *needs])).hexdigest()[:20]

    def write(work: Path):
        (work / "kernel.py").write_text(source)

    folder = kept_folder(CACHE / "kernels" / digest, write)
    spec = importlib.util.spec_from_file_location(f"trident_kernel_{digest}", folder / "kernel.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # numba asks for it by name when it loads what it has compiled before
    spec.loader.exec_module(module)
    return module.kernel


@cache
def kernel(program: Program) -> Callable:
    """What runs a program: ``kernel(*inputs, *outputs, *states, *constants, subnormals, p)``.

    Inputs and outputs are arrays (positions, T, neurons) in the program's order, values of the format or bits as uint8;
    an output may be the array of an input. States are arrays (positions, neurons), what they begin with and where they
    are left. Constants are values of the format in the order of ``program.constants``,
    powers whole numbers, tables as :func:`table_values` makes them; ``subnormals``: the multipliers
    keep them; p: FormatParameters. Returns bool (positions, neurons): a result of a step was infinite or not a number.
    """
    return _loaded(source(program))


def run_program(
    program: Program, sums: Sums, subnormals: bool, constants: Mapping, *arrays: np.ndarray,
    states: dict[str, np.ndarray] | None = None,
) -> np.ndarray:  # fmt: skip
    """Run a program on arrays (positions, T, neurons), see :func:`kernel`; ``constants`` by name. ``states``: by name
    those that a run of the timesteps before has left, and where this one leaves them; they begin with 0."""
    numbers = (constants[name] for name in program.constants)
    kept = {} if states is None else states
    for name, node in program.states.items():
        if name not in kept:
            kept[name] = np.zeros(arrays[0][:, 0].shape, sums.dtype if _is_value(node) else np.uint8)
    own = (kept[name] for name in program.states)
    return kernel(program)(*arrays, *own, *numbers, subnormals, sums.parameters)


def source(program: Program) -> str:
    """The program in Python, for numba."""
    arrays = [*(f"in_{name}" for name in program.inputs), *(f"out_{name}" for name in program.outputs)]
    kept = [f"s_{name}" for name in program.states]
    parameters = ", ".join([*arrays, *kept, *(f"k_{name}" for name in program.constants)])
    lines = [_BEGIN.format(name=program.name, parameters=parameters, first=arrays[0])]
    deep, deeper = " " * 12, " " * 16
    for name, node in program.states.items():
        lines.append(f"{deep}state_{name} = s_{name}[position, n]{'' if _is_value(node) else ' != 0'}\n")
    last = f"{arrays[0]}.shape[1]"
    walk = f"range({last} - 1, -1, -1)" if program.descending else f"range({last})"
    lines.append(f"{deep}for t in {walk}:\n")
    texts: dict[int, str] = {}
    for number, node in enumerate(program.nodes()):
        text = _text(node, *(texts[id(read)] for read in node.reads))
        if isinstance(node, Step | Positive | Compare):  # once each
            lines.append(f"{deeper}r{number} = {text}\n")
            text = f"r{number}"
        if isinstance(node, Step):
            lines.append(f"{deeper}fault[position, n] |= not np.isfinite({text})\n")
        texts[id(node)] = text
    # All states at once, since one may be made of another; so are the outputs, which may be inputs too
    for names, nodes, index in (("out_", program.outputs, "[position, t, n]"), ("state_", program.states, "")):
        if nodes:
            places = ", ".join(f"{names}{name}{index}" for name in nodes)
            lines.append(f"{deeper}{places} = {', '.join(texts[id(node)] for node in nodes.values())}\n")
    lines += [f"{deep}s_{name}[position, n] = state_{name}\n" for name in program.states]
    return "".join([*lines, "    return fault\n"])


def _is_value(node: Node) -> bool:
    return not isinstance(node, Compare | Both | Either | Not | InputBit | StateBit)


def _text(node: Node, *reads: str) -> str:
    """A node in Python, made of the texts of what it reads."""
    match node:
        case Literal():
            return "kind(-0.0)" if node is NOTHING else f"kind({node.number})"
        case Constant() | Table():
            return f"k_{node.name}"
        case Interpolate():
            return f"interpolate({reads[1]}, {reads[0]}, p, subnormals)"
        case Input():
            return f"in_{node.name}[position, t, n]"
        case InputBit():
            return f"(in_{node.name}[position, t, n] != 0)"
        case State() | StateBit():
            return f"state_{node.name}"
        case MultiplyAdd():
            a, b, c, *power = reads
            return f"add_value(mul_value({a}, {b}, p, subnormals, {power[0] if power else 0}), {c}, p)"
        case Negative():
            return f"(-{reads[0]})"
        case Magnitude():
            return f"abs({reads[0]})"
        case Positive():
            return f"kind(0) if np.signbit({reads[0]}) else {reads[0]}"
        case Select():
            bit, yes, no = reads
            return f"({yes} if {bit} else {no})"
        case Compare():
            return _COMPARES[node.sign].format(*reads)
        case Both():
            return f"({reads[0]} and {reads[1]})"
        case Either():
            return f"({reads[0]} or {reads[1]})"
        case Not():
            return f"(not {reads[0]})"
    raise TypeError(f"{type(node).__name__} has no kernel")
