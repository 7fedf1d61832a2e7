"""Trident: a chip generator that trains spiking neural networks by backpropagation in hardware.

What a program needs is here: :class:`Network` and :class:`CoreConfig` describe a network and a core,
:func:`estimate` says how large and how fast they are together, :func:`train` trains on the simulated chip, and
:class:`Chip` is that chip. Each is loaded when it is first asked for.

>>> from trident import train
>>> train("64-16-10", preset="TINY", epochs=1).accuracy > 0.5
True
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trident.api import Chip, estimate, train
    from trident.hw.isa.config import CoreConfig
    from trident.snn.network.network import Network

__all__ = ["Chip", "CoreConfig", "Network", "estimate", "train"]

_PLACES = {
    "Chip": "trident.api",
    "CoreConfig": "trident.hw.isa.config",
    "Network": "trident.snn.network.network",
    "estimate": "trident.api",
    "train": "trident.api",
}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
