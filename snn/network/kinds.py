"""Kinds of nodes by their names, as network files and the builder have them."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from typing import Any

from trident.hw.errors import TridentError
from trident.snn.network.conv import Conv
from trident.snn.network.nodes import (
    Add,
    Dropout,
    Edge,
    Flatten,
    Linear,
    Neuron,
    Node,
    Norm,
    Pool,
    Readout,
    own_fields,
)

KINDS: dict[str, type[Node]] = {
    kind.kind: kind for kind in (Linear, Conv, Norm, Pool, Dropout, Neuron, Readout, Add, Flatten)
}
"""Every kind of node by its name in a network file."""


def make_node(name: str, kind: Any, inputs: Iterable[str], given: Mapping[str, Any]) -> Node:
    """A node of a kind named in :data:`KINDS`, with the fields ``given``; the others have their defaults.

    Raises :class:`TridentError` for an unknown kind, an unknown or missing field, and what the node itself raises.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise TridentError(f"node {name!r} has the kind {kind!r}: choose one of {', '.join(KINDS)}")
    known = own_fields(KINDS[kind])
    if unknown := set(given) - set(known):
        raise TridentError(f"{kind} {name!r} has no {min(unknown)!r}: known are {', '.join(known) or 'none'}")
    if missing := [key for key, own in known.items() if own.default is MISSING and key not in given]:
        raise TridentError(f"node {name!r} needs {missing[0]}")
    return KINDS[kind](name, tuple(map(Edge.parse, inputs)), **given)
