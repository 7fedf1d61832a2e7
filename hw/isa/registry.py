"""Which engines there are: for each of a core's three places, the hardware and its golden model by name.

An engine is added by a file in hw/engines, a file of the same name in sim/golden and an entry here; a configuration
then names it (``forward_engine``, ``backward_engine``, ``weight_grad_engine``).
"""

from dataclasses import dataclass
from importlib import import_module

from trident.hw.errors import TridentError


@dataclass(frozen=True)
class EngineEntry:
    """``rtl`` names a class that takes the configuration, ``golden`` a function that computes the same:
    ``module:name``.

    Both must have the interface of the place's first engine.
    """

    rtl: str
    golden: str


PLACES: dict[str, dict[str, EngineEntry]] = {
    "forward": {
        "gated_add": EngineEntry("trident.hw.engines.forward:ForwardEngine", "trident.sim.golden.forward:forward"),
    },
    "backward": {
        "transposed": EngineEntry("trident.hw.engines.backward:BackwardEngine", "trident.sim.golden.backward:backward"),
    },
    "weight_grad": {
        "outer_product": EngineEntry(
            "trident.hw.engines.weight_grad:WeightGradEngine", "trident.sim.golden.weight_grad:weight_grad"
        ),
    },
}


def register(place: str, name: str, entry: EngineEntry):
    """Add an engine. Raises TridentError if the place is unknown or the name is taken by another one."""
    known = PLACES.get(place)
    if known is None:
        raise TridentError(f"unknown place {place!r} for an engine: choose one of {', '.join(PLACES)}")
    if known.setdefault(name, entry) != entry:
        raise TridentError(f"there is another {place} engine named {name!r} already")


def entry(place: str, name: str) -> EngineEntry:
    """The engine of that name. Raises TridentError, naming those there are, if it is unknown."""
    if name not in PLACES[place]:
        raise TridentError(f"unknown {place}_engine {name!r}: choose one of {', '.join(PLACES[place])}")
    return PLACES[place][name]


def first_engine(place: str) -> EngineEntry:
    """The engine of a place that others of the place can take the place of: their interface is its."""
    return next(iter(PLACES[place].values()))


def load(path: str):
    """The object that ``module:name`` stands for."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
