"""A graph network that says where cores sit, in NumPy; ``trident placer train`` trains it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from threadpoolctl import ThreadpoolController

from trident.host.mapping.placers.orders import hilbert, zigzag
from trident.host.mapping.placers.problem import Problem
from trident.hw.errors import TridentError

VERSION = 1
STATE, HIDDEN, ROUNDS = 32, 64, 8  # numbers of a core's state, of the layer that changes it, and times that it does
INPUTS = 8
STRIPE = 160  # places that cores are assigned to at once, about
SHAPES = {
    "first": (INPUTS, STATE),
    "inner": (ROUNDS, 3 * STATE, HIDDEN),
    "bias": (ROUNDS, HIDDEN),
    "outer": (ROUNDS, HIDDEN, STATE),
    "last": (STATE, 2),
}
OWN = Path(__file__).with_name("learned.npz")


@dataclass(frozen=True)
class Weights:
    """The network's weights by the names of :data:`SHAPES`, float32."""

    arrays: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> "Weights":
        """From a checkpoint. Raises :class:`TridentError` for a file that is none, or one of another version or
        shape."""
        try:
            with path.open("rb") as stream, np.load(stream) as file:
                version, arrays = int(file["version"]), {name: file[name].astype(np.float32) for name in SHAPES}
        except (OSError, EOFError, BadZipFile, KeyError, TypeError, ValueError):
            raise TridentError(f"{path} is no checkpoint of the learned placer") from None
        if version != VERSION:
            raise TridentError(f"{path} is of version {version} of the learned placer, this is version {VERSION}")
        for name, shape in SHAPES.items():
            if arrays[name].shape != shape:
                raise TridentError(f"{path} has {name} of the shape {arrays[name].shape}, the learned placer {shape}")
        return cls(arrays)

    def write(self, path: Path):
        """As a checkpoint."""
        np.savez_compressed(path, version=VERSION, **{name: a.astype(np.float16) for name, a in self.arrays.items()})


@cache
def own_weights() -> Weights:
    """Those that come with Trident."""
    return Weights.read(OWN)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def inputs(problem: Problem) -> tuple[csr_array, np.ndarray]:
    """What the network sees: the share of its traffic that each core has with each other one, (size, size), and
    :data:`INPUTS` numbers of every core, float32: where the zigzag and the Hilbert curve put it, -1 to 1 across the
    mesh, its traffic and that with the host over the mean, the mesh's sides."""
    flows = problem.graph
    degrees = flows.sum(1)
    mean = degrees.mean() or 1.0
    width, height = problem.width, problem.size // problem.width
    columns = []
    for places in (zigzag(problem), hilbert(problem)):
        y, x = np.divmod(places, width)
        columns += [2 * (x + 0.5) / width - 1, 2 * (y + 0.5) / height - 1]
    columns += [np.log1p(degrees / mean), np.log1p(problem.host / mean), np.full(problem.size, np.log(width) / 3)]
    columns.append(np.full(problem.size, np.log(height) / 3))
    scale = 1 / np.where(degrees > 0, degrees, 1)
    return flows.multiply(scale[:, None]).tocsr().astype(np.float32), np.stack(columns, 1).astype(np.float32)


def coordinates(problem: Problem, weights: Weights) -> np.ndarray:
    """Where the network would have every core, float32 (size, 2): column and row, -1 to 1 across the mesh."""
    shares, seen = inputs(problem)
    w = weights.arrays
    state = np.tanh(seen @ w["first"])
    for inner, bias, outer in zip(w["inner"], w["bias"], w["outer"], strict=True):
        every = np.broadcast_to(state.mean(0), state.shape)
        hidden = np.maximum(np.concatenate([state, shares @ state, every], 1) @ inner + bias, 0)
        state = np.tanh(state + hidden @ outer)
    return seen[:, 2:4] + state @ w["last"]


def settle(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The placement of cores that would be at ``points``, as they lie to each other: where the sum of the squared
    distances to their places is least, in each of some stripes of columns by itself."""
    size, width = problem.size, problem.width
    y, x = np.divmod(np.arange(size), width)
    grid = np.stack([2 * (x + 0.5) / width - 1, 2 * (y + 0.5) * width / size - 1], 1)
    points = (points - points.mean(0)) / (points.std(0) + 1e-6) * grid.std(0)
    columns = max(1, STRIPE * width // size)
    order, places = np.argsort(points[:, 0], kind="stable"), np.empty(size, np.int64)
    for left in range(0, width, columns):
        there = np.flatnonzero((x >= left) & (x < left + columns))
        cores, order = order[: len(there)], order[len(there) :]
        away = ((points[cores, None] - grid[there]) ** 2).sum(2)
        places[cores] = there[linear_sum_assignment(away)[1]]
    return places


def learned(problem: Problem, weights: Weights | None = None) -> np.ndarray:
    """The network's placement."""
    with _threads().limit(limits=1):  # its products are too small to be shared out
        return settle(problem, coordinates(problem, weights or own_weights()))
