"""Values of a job's fields."""

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.snn.network.network import Network


def signed_field(field: str, value: int) -> int:
    """The bits of a field in two's complement. Raises TridentError for a value that it cannot hold."""
    bits = JOB.shape()[field].width
    if not -1 << bits - 1 <= value < 1 << bits - 1:
        raise TridentError(f"{field} of {value} in a job is not within {-1 << bits - 1} to {(1 << bits - 1) - 1}")
    return value % (1 << bits)


def limit_of_sums(network: Network, number: int, engine: str, cfg: CoreConfig, samples: int = 1) -> int:
    """The exponent code from which on a number is too large for a sum of the layer with this number and of so many
    samples; of backward, for an error at its spikes; of "leak", for the gradient of a leak.

    Raises TridentError if even 1 is.
    """
    layer = network.layers[number]
    terms = {
        "forward": layer.forward_terms, "backward": network.error_terms(number),
        "weight_grad": layer.gradient_terms(cfg.steps), "leak": layer.leak_terms(cfg.steps),
    }[engine]  # fmt: skip
    gradients = engine in ("weight_grad", "leak")
    fixed, bits = cfg.fixed_of("weight_grad" if gradients else engine), "accumulator_bits"
    if gradients and cfg.exact:
        terms, bits = terms * samples, "gradient_bits"
    limit = fixed.limit(cfg.format, terms, room=1)
    if limit <= cfg.format.bias:
        raise TridentError(
            f"a sum in {engine} of {layer} has up to {terms:,} terms, more than {bits} of {fixed.bits} hold"
        )
    return limit
