"""Which samples each worker has."""

import numpy as np

from trident.host.federated.settings import parse_split
from trident.hw.errors import TridentError

_STREAM = 0x5EED  # apart from the streams of order and encoding
_DRAWS = 1000


def split(labels: np.ndarray, classes: int, workers: int, how: str, least: int, seed: int = 0) -> list[np.ndarray]:
    """Divide samples with these ``labels`` (N,) among workers: per worker ascending indices (n,), int64; every sample
    goes to exactly one of them. The same arguments give the same parts.

    ``iid`` shuffles and deals evenly. ``dirichlet:ALPHA`` gives every class to the workers in shares that are drawn
    from a symmetric Dirichlet distribution (Hsu, Qi, Brown 2019, arXiv 1909.06335): the smaller ALPHA, the more unlike
    their data; it is drawn again until everyone has ``least`` samples. ``by-class`` gives whole classes, in ascending
    order, as evenly as possible.

    Raises :class:`TridentError` when someone would have fewer than ``least`` samples.
    """
    kind, alpha = parse_split(how)
    rng = np.random.default_rng([seed, _STREAM])
    if kind == "iid":
        parts = np.array_split(rng.permutation(len(labels)), workers)
    elif kind == "by-class":
        if workers > classes:
            raise TridentError(f"by-class gives whole classes: {workers} workers cannot share {classes} classes")
        owner = np.arange(classes) * workers // classes
        parts = [np.flatnonzero(owner[labels] == worker) for worker in range(workers)]
    else:
        draws = (_dirichlet(labels, classes, workers, alpha, rng) for _ in range(_DRAWS))
        parts = next((parts for parts in draws if min(map(len, parts)) >= least), None)
        if parts is None:
            raise TridentError(
                f"{_DRAWS} draws of dirichlet:{alpha:g} left a worker with fewer than {least} samples, a minibatch: "
                f"choose fewer workers, a smaller batch or a larger alpha"
            )
    smallest = min(map(len, parts))
    if smallest < least:
        raise TridentError(
            f"{workers} workers leave one with {smallest} of the {len(labels)} samples, fewer than a minibatch of "
            f"{least}: choose fewer workers or a smaller batch"
        )
    return [np.sort(part) for part in parts]


def _dirichlet(labels, classes, workers, alpha, rng) -> list[np.ndarray]:
    parts = [[] for _ in range(workers)]
    for label in range(classes):
        own = rng.permutation(np.flatnonzero(labels == label))
        cuts = (np.cumsum(rng.dirichlet([alpha] * workers))[:-1] * len(own)).astype(np.int64)
        for part, share in zip(parts, np.split(own, cuts), strict=True):
            part.append(share)
    return [np.concatenate(part) for part in parts]
