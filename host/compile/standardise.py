"""What an update job says of standardised weights."""

from trident.host.compile.bands import Band
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.standardise import NUMBERS
from trident.sim.golden.standardise import StandardConstants


def standard_fields(band: Band, cfg: CoreConfig) -> dict[str, int]:
    """Fields of the update job of a band of a layer, or of a slice of one, see
    :class:`trident.hw.units.standardise.StandardiseUnit`; its tile and the optimiser's numbers are those of any update.

    Raises what :meth:`StandardConstants.of` raises.
    """
    layer = band.layer
    if band.shared:
        raise TridentError(f"{layer.node!r} has groups that share words, whose weights a core does not standardise")
    constants = StandardConstants.of(layer, cfg)
    numbers = {field: constants.bits[name] for name, field in NUMBERS.items()}
    return numbers | {
        "count": layer.fan_in, "blocks": layer.image[2], "group_step": band.groups, "words": constants.power,
        "pass_groups": constants.limit,
    }  # fmt: skip
