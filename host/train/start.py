"""What a run begins with instead of drawn weights: those of a checkpoint, with the means and variances of its norms."""

from hashlib import sha256
from pathlib import Path

from trident.host.train.checkpoint import GOLDEN, TRAINING, Checkpoint
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space, raw_spaces
from trident.sim.golden.format import raw_dtype, to_bits, to_values
from trident.snn.network.network import Network, Tensors

Start = dict[Space, Tensors]
"""Raw bits by memory: weights and, where a network has norms or standardised weights, what lies beside them."""


def held_settings(network: Network) -> dict[str, float]:
    """What a checkpoint's settings say of weights that it has times a factor, see :attr:`Layer.held`."""
    return {f"held.{name}": factor for name, factor in network.held.items()}


def start_of(path: Path, network: Network, cfg: CoreConfig) -> Start:
    """The weights in a checkpoint, of whatever run with a network of the same parameters; momenta are not taken.

    Raises :class:`TridentError` for a file that is no checkpoint, and for one with other parameters or numbers.
    """
    if not path.exists():
        raise TridentError(f"there is no checkpoint with weights at {path}")
    found = Checkpoint.load(path, TRAINING, GOLDEN)
    for name in ("exp", "frac"):
        had, wanted = found.settings.get(f"core.{name}"), getattr(cfg, name)
        if had != wanted:
            raise TridentError(f"the weights in {path} are floats with {name} of {had}, the core has {wanted}")
    start = {}
    for space in (Space.WEIGHTS, *raw_spaces(cfg)):
        tensors = found.tensors(space.name.lower())
        what = "weights" if space == Space.WEIGHTS else "means and variances of norms, or raw weights,"
        for name, shape in network.tensors.items():
            if name not in tensors or tensors[name].shape != shape or tensors[name].dtype != raw_dtype(cfg.format):
                raise TridentError(f"{path} has no {what} of this network: {name} of shape {shape} is not there")
        start[space] = {name: tensors[name] for name in network.tensors}
    weights = start[Space.WEIGHTS]
    for name in network.tensors:
        factor = network.held.get(name, 1.0) / float(found.settings.get(f"held.{name}", 1.0))
        if factor != 1:
            weights[name] = to_bits(to_values(weights[name], cfg.format) * factor, cfg.format)
    return start


def digest_of(start: Start) -> str:
    """A few characters that tell it from any other."""
    total = sha256()
    for space, tensors in start.items():
        for name, bits in tensors.items():
            total.update(f"{space.name} {name} ".encode() + bits.tobytes())
    return total.hexdigest()[:16]
