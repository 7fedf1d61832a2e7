"""Network files: a graph of nodes in TOML or JSON.

::

    input = [8, 8, 1]

    [[node]]
    name = "conv1"
    kind = "conv"
    inputs = ["input"]
    channels = 16
    kernel = 3

``kind`` is one of :data:`KINDS`, ``inputs`` names what the node reads (``"neuron1[t-1]"``: of one timestep ago), the
other keys are the fields of its kind. ``output`` names the node whose output is the network's; by default the last.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from trident.hw.errors import TridentError
from trident.snn.data.reading import regular_file
from trident.snn.network.kinds import make_node
from trident.snn.network.network import Network
from trident.snn.network.nodes import Node, own_fields

SUFFIXES = (".toml", ".json")
LARGEST = 1 << 20  # bytes of a file


def load(path: str | Path) -> Network:
    """The network of a file. Raises :class:`TridentError`, naming file and node, for anything that is none."""
    path = Path(path)
    if regular_file(path, "a network file") > LARGEST:
        raise TridentError(f"{path} is no network file: it has more than {LARGEST:,} bytes")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as fault:
        raise TridentError(f"{path} cannot be read: {getattr(fault, 'strerror', None) or 'it is no text'}") from None
    return loads(text, path.suffix.lower(), str(path))


def loads(text: str, suffix: str = ".toml", name: str = "the network") -> Network:
    """The network of a text, TOML or with ``suffix`` .json JSON. Raises as :func:`load`; ``name``: of the file."""
    try:
        values = tomllib.loads(text) if suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise TridentError(f"{name} is no {suffix[1:].upper()}: {fault}") from None
    try:
        return _network(values)
    except TridentError as fault:
        raise TridentError(f"{name}: {fault}") from None


def _network(values: Any) -> Network:
    if not isinstance(values, dict) or not isinstance(values.get("node"), list) or "input" not in values:
        raise TridentError("a network file has input = [y, x, channels] and a list of nodes, [[node]]")
    if unknown := set(values) - {"input", "output", "node"}:
        raise TridentError(f"unknown key {min(unknown)!r}: a network has input, output and node")
    shape, output = values["input"], values.get("output", "")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        raise TridentError(f"input must be [y, x, channels], not {shape!r}")
    if not isinstance(output, str):
        raise TridentError(f"output must be the name of a node, not {output!r}")
    return Network(tuple(shape), tuple(_node(number, node) for number, node in enumerate(values["node"], 1)), output)


def _node(number: int, values: Any) -> Node:
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise TridentError(f"node {number} has no name")
    name, kind, inputs = values["name"], values.get("kind"), values.get("inputs")
    if not isinstance(inputs, list):
        raise TridentError(f'node {name!r} must say what it reads, as in inputs = ["input"]')
    given = {key: value for key, value in values.items() if key not in ("name", "kind", "inputs")}
    return make_node(name, kind, inputs, given)


def as_values(network: Network) -> dict[str, Any]:
    """A network as plain values, as a file has them."""
    nodes = []
    for node in network.nodes:
        own = {key: value for key in own_fields(type(node)) if (value := getattr(node, key)) is not None}
        nodes.append({"name": node.name, "kind": node.kind, "inputs": list(map(str, node.inputs)), **own})
    return {"input": list(network.in_shape), "output": network.output, "node": nodes}


def dumps(network: Network, suffix: str = ".toml") -> str:
    """The text of a network file, TOML or with ``suffix`` .json JSON; :func:`loads` reads it back."""
    values = as_values(network)
    if suffix == ".json":
        return json.dumps(values, indent=1) + "\n"
    lines = [f"input = {json.dumps(values['input'])}", f"output = {json.dumps(values['output'])}"]
    for node in values["node"]:
        lines += ["", "[[node]]", *(f"{key} = {json.dumps(value)}" for key, value in node.items())]
    return "\n".join(lines) + "\n"
