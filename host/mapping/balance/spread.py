"""Layers spread over cores, so that the core with the most has little more than the mean, in work and in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest

import numpy as np

from trident.host.mapping.balance.demand import Demand
from trident.hw.errors import TridentError

POWER = 12  # of the norm of all cores' loads, which is close to the largest and changes with every core
ROUNDS = 4  # in each of which what the copies of the last one take is known
MOVES = 200  # of granules from core to core, per core, at the most
NEAR = 4  # cores, the emptiest ones that have others, to which a granule is tried to be moved
NONE = 1e-9


@dataclass(frozen=True, eq=False)
class Spread:
    """For every demand the granules on each core that has some, cores in ascending order."""

    demands: Sequence[Demand]
    cores: int
    pieces: tuple[dict[int, int], ...]

    @property
    def loads(self) -> np.ndarray:
        """Cycles of the three engines and bits of every core, float64 (cores, 4)."""
        loads = np.zeros((self.cores, 4))
        for demand, pieces in zip(self.demands, self.pieces, strict=True):
            for core, granules in pieces.items():
                loads[core] += demand.loads[granules]
        return loads

    @property
    def work(self) -> np.ndarray:
        """Cycles per sample of every core's longest engine, float64 (cores,)."""
        return self.loads[:, :3].max(1)

    @property
    def bits(self) -> np.ndarray:
        """Bits of memory of every core, float64 (cores,)."""
        return self.loads[:, 3]

    @property
    def work_balance(self) -> float:
        """The largest core's work over the mean."""
        return _over_mean(self.work)

    @property
    def storage_balance(self) -> float:
        """The largest core's memory over the mean."""
        return _over_mean(self.bits)

    @property
    def worst(self) -> float:
        """The larger one of the two."""
        return max(self.work_balance, self.storage_balance)

    @property
    def copies(self) -> float:
        """All memory over that of the network on one core."""
        return float(self.bits.sum() / sum(demand.loads[-1][3] for demand in self.demands))


def _over_mean(values: np.ndarray) -> float:
    return float(values.max() / values.mean()) if values.any() else 1.0


def spread(demands: Sequence[Demand], cores: int, storage: bool = True) -> Spread:
    """Spread demands over so many cores; without ``storage`` their work is all that is balanced.

    The demands are two tapes, of those that take more work for their memory than all together, and of the others. Every
    core takes the next stretch of both, as long as its share of work and of memory says: both equations have one
    solution, which never goes back. Cuts are then rounded to granules, and granules moved while that helps.

    Raises :class:`TridentError` for more cores than granules.
    """
    if (granules := sum(demand.granules for demand in demands)) < cores:
        raise TridentError(f"{cores} cores are more than the {granules} pieces that all layers can be cut into")
    totals = np.array([demand.loads[-1] for demand in demands])
    best = None
    for _ in range(ROUNDS):
        pieces = _cut(demands, _shares(totals, cores, storage))
        found = _moved(Spread(demands, cores, pieces), storage)
        if best is None or _quality(found, storage) < _quality(best, storage):
            best = found
        totals = np.array([
            sum(demand.loads[granules] for granules in of.values())
            for demand, of in zip(demands, found.pieces, strict=True)
        ])  # fmt: skip
    assert best is not None
    return best


def _quality(found: Spread, storage: bool) -> float:
    """What is made small: the largest load in shares of what the network takes on one core."""
    whole = sum(demand.loads[-1] for demand in found.demands)
    most = found.loads.max(0) / np.where(whole > 0, whole, 1) * found.cores
    longest = float(found.work.max() * found.cores / whole[:3].max())
    return max(longest, float(most[3])) if storage else longest


def _shares(totals: np.ndarray, cores: int, storage: bool) -> list[dict[int, float]]:
    """Per demand the shares of it, 0 to 1, that cores have."""
    work, bits = totals[:, np.argmax(totals[:, :3].sum(0))], totals[:, 3]
    work, bits = work / work.sum(), bits / bits.sum()
    heavy = work >= bits if storage else np.ones(len(work), bool)
    tapes = [[int(n) for n in np.flatnonzero(of)] for of in (heavy, ~heavy)]
    left = np.ones(len(totals))
    shares: list[dict[int, float]] = [{} for _ in totals]
    for core in range(cores):
        need = 1 / cores  # of work and of memory
        while need > NONE:
            ends = [tape[0] for tape in tapes if tape]
            if not ends:
                break
            if len(ends) == 2:
                one, other = ends
                det = work[one] * bits[other] - work[other] * bits[one]
                lengths = [(bits[other] - work[other]) / det, (work[one] - bits[one]) / det] if det > 0 else [1, 1]
            else:
                lengths = [1 / (work[ends[0]] if work[ends[0]] > NONE else max(bits[ends[0]], NONE))]
            part = min([need, *(left[n] / long for n, long in zip(ends, lengths, strict=True) if long > 0)])
            for n, long in zip(ends, lengths, strict=True):
                if long > 0:
                    shares[n][core] = shares[n].get(core, 0.0) + part * long
                    left[n] -= part * long
            need -= part
            for tape in tapes:
                if tape and left[tape[0]] <= NONE:
                    tape.pop(0)
    for n, rest in enumerate(left):
        if rest > NONE or not shares[n]:  # what rounding has left
            shares[n][cores - 1] = shares[n].get(cores - 1, 0.0) + rest
    return shares


def _cut(demands: Sequence[Demand], shares: list[dict[int, float]]) -> tuple[dict[int, int], ...]:
    """Shares in whole granules."""
    found = []
    for demand, of in zip(demands, shares, strict=True):
        ends = np.cumsum([*of.values()])
        cuts = np.rint(ends / ends[-1] * demand.granules).astype(int)
        counts = np.diff(cuts, prepend=0).tolist()
        found.append({core: count for core, count in zip(of, counts, strict=True) if count})
    return tuple(found)


def _moved(start: Spread, storage: bool) -> Spread:
    """Granules moved from the fullest core to one that has others of the same demand, or is next to it, while that
    makes the norm of all loads smaller."""
    demands, pieces = start.demands, [dict(of) for of in start.pieces]
    loads, cores = start.loads, start.cores
    means = np.array([start.work.mean(), start.bits.mean()])
    means[means == 0] = 1
    on = [{n for n, of in enumerate(pieces) if core in of} for core in range(cores)]

    def power(load: np.ndarray) -> float:
        work = (load[:3].max() / means[0]) ** POWER
        return float(work + (load[3] / means[1]) ** POWER) if storage else float(work)

    powers = np.array([power(load) for load in loads])
    stuck = np.zeros(cores, bool)
    for _ in range(MOVES * cores):
        if stuck.all():
            break
        core = int(np.argmax(np.where(stuck, -1.0, powers)))
        best, chosen = -1e-12, None
        for n in on[core]:
            demand, have = demands[n], pieces[n][core]
            before = demand.loads[have]
            emptiest = nsmallest(NEAR, pieces[n].keys() - {core}, key=lambda other: (powers[other], other))
            for other in sorted({*emptiest, core - 1, core + 1} & set(range(cores)) - {core}):
                there = pieces[n].get(other, 0)
                already = demand.loads[there]
                for count in _counts(have):
                    mine = loads[core] + demand.loads[have - count] - before
                    theirs = loads[other] + demand.loads[there + count] - already
                    change = power(mine) + power(theirs) - powers[core] - powers[other]
                    if change < best:
                        best, chosen = change, (n, other, count, mine, theirs)
        if chosen is None:
            stuck[core] = True
            continue
        n, other, count, loads[core], loads[other] = chosen
        pieces[n][core] -= count
        if not pieces[n][core]:
            del pieces[n][core]
            on[core].discard(n)
        pieces[n][other] = pieces[n].get(other, 0) + count
        on[other].add(n)
        for changed in (core, other):
            powers[changed] = power(loads[changed])
            stuck[changed] = False
        for near in (core - 1, core + 1, *pieces[n]):
            if 0 <= near < cores:
                stuck[near] = False
    return Spread(demands, cores, tuple(dict(sorted(of.items())) for of in pieces))


def _counts(have: int) -> list[int]:
    """How many granules of so many are tried to be moved."""
    return sorted({have, *(1 << n for n in range(have.bit_length()))} - {0})
