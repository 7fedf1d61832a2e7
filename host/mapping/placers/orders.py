"""Placements that need no search: fixed orders of the places, by chance, and spectral ones."""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csc_array
from scipy.sparse.linalg import eigsh

from trident.host.mapping.placers.problem import Problem


def row_major(problem: Problem) -> np.ndarray:
    """Row by row."""
    return np.arange(problem.size)


def zigzag(problem: Problem) -> np.ndarray:
    """Rows in alternating direction, so that consecutive cores are neighbours."""
    rows = np.arange(problem.size).reshape(-1, problem.width)
    rows[1::2] = rows[1::2, ::-1]
    return rows.ravel()


def hilbert(problem: Problem) -> np.ndarray:
    """Along the Hilbert curve of the smallest square of a power of two around the mesh, without what is outside."""
    height, side = problem.size // problem.width, 1
    while side < max(problem.width, height):
        side *= 2
    x, y = _curve(side)
    inside = (x < problem.width) & (y < height)
    return (y * problem.width + x)[inside]


def _curve(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows along a Hilbert curve: four half as large, the first and the last on their sides."""
    if side == 1:
        return np.zeros(1, int), np.zeros(1, int)
    x, y = _curve(side // 2)
    half = side // 2
    return (
        np.concatenate([y, x, x + half, side - 1 - y]),
        np.concatenate([x, y + half, y + half, half - 1 - x]),
    )


def spectral(problem: Problem) -> np.ndarray:
    """By the eigenvectors of the graph of the traffic: in the order of the first along a curve, or sorted by the first
    into columns and within those by the second; what costs least."""
    size, height = problem.size, problem.size // problem.width
    degrees = problem.shared.sum(1)
    if size < 4 or not degrees.any():
        return zigzag(problem)
    idle = degrees == 0
    # Cores without traffic come last; their eigenvalues are not among the least
    laplacian = np.diag(degrees + idle * 2 * degrees.max()) - problem.shared
    if size <= 64:
        vectors = eigh(laplacian)[1]
    else:
        vectors = eigsh(csc_array(laplacian), 3, sigma=-1e-6 * degrees.max(), v0=np.linspace(1, 2, size))[1]
    first, second = vectors[:, 1], vectors[:, 2]
    found = []
    for one in (first, -first):
        order = np.lexsort((one, idle))
        found += [_along(order, zigzag(problem)), _along(order, hilbert(problem))]
        for two in (second, -second):
            grid = [column[np.argsort(two[column], kind="stable")] for column in order.reshape(-1, height)]
            columns = np.arange(size).reshape(height, problem.width).T
            found.append(_along(np.concatenate(grid), columns.ravel()))
    return min(found, key=problem.cost)


def _along(order: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The placement of the cores in ``order`` along the places of ``curve``."""
    places = np.empty(len(order), np.int64)
    places[order] = curve
    return places
