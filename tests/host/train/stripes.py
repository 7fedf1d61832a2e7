"""A small data set for runs on the RTL."""

from pathlib import Path

import numpy as np


def stripes(folder: Path) -> str:
    """30 images of three classes, 3 x 3 pixels, of which a bright column tells the class; the path of their file."""
    path, rng = folder / "stripes.npz", np.random.default_rng(0)
    labels = rng.integers(0, 3, 30)
    images = 0.2 * rng.random((30, 3, 3)) + 0.8 * (np.arange(3) == labels[:, None])[:, None, :]
    np.savez(path, images=images, labels=labels, classes=3)
    return str(path)
