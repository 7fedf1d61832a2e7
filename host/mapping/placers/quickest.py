"""Local search on the cycles of the network simulated with its traffic in time."""

from collections.abc import Sequence

import numpy as np

from trident.host.mapping.placers.links import POWER, Links
from trident.host.mapping.timing.simulate import Timing
from trident.host.mapping.traffic import Traffic
from trident.hw.isa.mesh import MeshConfig

ROUTER_NS = 500  # about what a busy cycle of a router takes to simulate
DRAWN = 64  # exchanges of two places that are looked at, of which the one that seems best is simulated
LEAST = 10  # placements that are simulated at the least


def quickest(
    timing: Timing, traffic: Traffic, mesh: MeshConfig, starts: Sequence[np.ndarray], seed: int, budget: float
) -> np.ndarray:
    """The placement with the fewest cycles that is met within about so many seconds, int64 (mesh cores,), the first of
    the ``starts`` if there is none with fewer.

    A simulation takes long. So of :data:`DRAWN` exchanges, a half of them with a core at the hottest links, the one
    after which links and flits x hops are least, together and beside the best, is simulated; it stays if it is
    faster.
    """
    links, rng, most = Links(traffic, mesh), np.random.default_rng(seed), timing.work + budget * 1e9 / ROUTER_NS
    best, cycles = starts[0], timing(starts[0])
    for other in starts[1:]:
        if (found := timing(other)) < cycles:
            best, cycles = other, found
    tried = {tuple(best)}
    simulated = len(starts)
    while timing.work < most or simulated < LEAST:
        if (other := _exchanged(links, best, rng, tried)) is None:
            break
        tried.add(tuple(other))
        simulated += 1
        if (found := timing(other)) < cycles:
            best, cycles = other, found
    return best


def _exchanged(links: Links, places: np.ndarray, rng: np.random.Generator, tried: set) -> np.ndarray | None:
    """The most promising one of some exchanges that were not tried, or None."""
    size, used, least, found = len(places), links.used, np.inf, None
    loads = links.loads(places)
    norm, total = _sums(loads)
    hot = links.touching(places, int(loads.argmax()))
    for number in range(DRAWN):
        a, b = int(rng.integers(used)), int(rng.integers(size))
        if number % 2 and len(hot):
            a = int(hot[rng.integers(len(hot))])
        if a == b:
            continue
        other = places.copy()
        other[a], other[b] = other[b], other[a]
        if tuple(other) in tried:
            continue
        after, hops = _sums(links.loads(other))
        if (cost := after / norm + hops / total) < least:
            least, found = cost, other
    return found


def _sums(loads: np.ndarray) -> tuple[float, float]:
    """Nearly the load of the hottest link, and that of all."""
    peak = loads.max() or 1.0
    return float(peak * ((loads / peak) ** POWER).sum() ** (1 / POWER)), float(loads.sum()) or 1.0
