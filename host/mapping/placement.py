"""Which mesh core each logical core sits on: placers and objectives by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from trident.host.compile.placement import Placement, check_placement
from trident.host.mapping.placers import orders, search
from trident.host.mapping.placers.learned import Weights
from trident.host.mapping.placers.links import cooled
from trident.host.mapping.placers.problem import Problem
from trident.host.mapping.placers.quickest import quickest
from trident.host.mapping.timing.simulate import Timing
from trident.host.mapping.traffic import Load, Traffic, load
from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig

BUDGET, LONGEST = 0.2, 3600.0  # seconds: by default, and at the most


@dataclass(frozen=True)
class Placer:
    """A way to place cores.

    make: from a problem, a random generator and seconds to the place of every core, int64 (size,), the same for the
    same state of the generator; drawn: it depends on that; searches: it takes the time that it gets.
    """

    make: Callable[[Problem, np.random.Generator, float], np.ndarray]
    what: str
    drawn: bool = True
    searches: bool = True


def _order(make: Callable[[Problem], np.ndarray], what: str) -> Placer:
    return Placer(lambda problem, rng, budget: make(problem), what, drawn=False, searches=False)


PLACERS: dict[str, Placer] = {
    "row-major": _order(orders.row_major, "row by row"),
    "zigzag": _order(orders.zigzag, "rows in alternating direction"),
    "hilbert": _order(orders.hilbert, "along a Hilbert curve"),
    "spectral": _order(orders.spectral, "by eigenvectors of the traffic"),
    "random": Placer(lambda problem, rng, budget: rng.permutation(problem.size), "by chance", searches=False),
    "anneal": Placer(search.annealed, "simulated annealing from several starts"),
    "tabu": Placer(search.tabu_searched, "robust tabu search from several starts"),
    "learned": Placer(search.refined, "a graph network's order, annealed"),
    "best": Placer(search.both, "annealing with tabu search behind it, from several starts"),
}
"""Every placer by its name; another one is one more entry."""

LATENCY = "latency"
OBJECTIVES: dict[str, Callable[[Load], tuple[float, float]]] = {
    "flit-hops": lambda result: (round(result.flit_hops, 6), round(result.peak, 6)),
    "peak-link": lambda result: (round(result.peak, 6), round(result.flit_hops, 6)),
    LATENCY: lambda result: (round(result.flit_hops, 6), round(result.peak, 6)),
}
"""What a placement is measured by, the least is the best: flits x hops, or flits on the hottest link; the other decides
between equals. For the latency they are only where a search begins: it counts the cycles of a :class:`Timing`."""


@dataclass(frozen=True)
class Placing:
    """What a user says about the placement: a name of :data:`PLACERS`, or learned:FILE with a checkpoint of one's own,
    one of :data:`OBJECTIVES` and seconds of search; or, instead of these, the mesh cores of the logical cores, as in
    "3,1,0,2"."""

    placer: str = "best"
    objective: str = "flit-hops"
    budget: float = BUDGET
    placement: str | None = None

    def method(self) -> Placer:
        """The placer."""
        name, _, file = self.placer.partition(":")
        placer = PLACERS[name]
        return replace(placer, make=partial(search.refined, weights=Weights.read(Path(file)))) if file else placer

    def check(self):
        """Raise :class:`TridentError` for an unknown placer or objective, a file that is no checkpoint of the learned
        placer, and a budget that is no time."""
        placer = self.placer
        if placer.startswith("learned:"):
            placer, _, file = placer.partition(":")
            Weights.read(Path(file))
        for what, name, names in (("placer", placer, PLACERS), ("objective", self.objective, OBJECTIVES)):
            if name not in names:
                raise TridentError(f"unknown {what} {name!r}: choose one of {', '.join(names)}")
        if not 0 < self.budget <= LONGEST:
            raise TridentError(f"budget must be seconds above 0, up to {LONGEST:g}, not {self.budget:g}")


def place(
    how: Placing, traffic: Traffic, mesh: MeshConfig, seed: int = 0, timing: Timing | None = None
) -> Placement:
    """The placement that a placer makes; the same for the same seed.

    Placers know flits x hops. For the hottest link, half of the time of one that searches goes to annealing on the
    loads of links, from what it has found. For the latency, ``timing`` counts the cycles of what a search for flits x
    hops has found, of that annealed, of the fixed orders, and of exchanges in the fastest, for as long again; without
    it there is one core. Raises :class:`TridentError` as :meth:`Placing.check` does, for a mesh with
    too few cores, and for a placer's wrong result.
    """
    how.check()
    if traffic.cores > mesh.cores:
        raise TridentError(
            f"the partition has {traffic.cores} cores, the mesh {mesh.width}x{mesh.height} has {mesh.cores}"
        )
    problem = Problem.of(traffic, mesh.width, mesh.height)
    placer, rng = how.method(), np.random.default_rng(seed)
    on_links = placer.searches and how.objective == "peak-link"
    places = placer.make(problem, rng, how.budget / 2 if on_links else how.budget)
    if on_links:
        other = cooled(traffic, mesh, places, int(rng.integers(2**31)), how.budget / 2)
        key = OBJECTIVES[how.objective]
        places = min(places, other, key=lambda found: key(load(traffic, mesh, found[: traffic.cores])))
    if placer.searches and how.objective == LATENCY and timing is not None:
        other = cooled(traffic, mesh, places, int(rng.integers(2**31)), how.budget / 4)
        orders_ = (own.make(problem, rng, 0) for own in PLACERS.values() if not own.drawn)
        found = [places.astype(np.int64), other, *orders_]
        places = quickest(timing, traffic, mesh, found, int(rng.integers(2**31)), how.budget * 3 / 4)
    return check_placement(tuple(int(n) for n in places[: traffic.cores]), traffic.cores, mesh)


def parse_placement(text: str, cores: int, mesh: MeshConfig) -> Placement:
    """Read ``3,1,0,2``: the mesh core of logical core 0, of core 1, and so on.

    Raises :class:`TridentError` for what is not a number and for what :func:`check_placement` refuses.
    """
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not re.fullmatch("[0-9]{1,6}", part):
            raise TridentError(f"placement {text!r}: {part!r} is no core's number: write as in 3,1,0,2")
    return check_placement(tuple(map(int, parts)), cores, mesh)
