"""What an update job says of standardised weights."""

from trident.host.compile.packing import WeightMap
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.standardise import NUMBERS
from trident.sim.golden.standardise import StandardConstants
from trident.snn.network.layers import Layer


def standard_fields(layer: Layer, weights: WeightMap, cfg: CoreConfig) -> dict[str, int]:
    """Fields of the update job of a layer, or a slice of one, see
    :class:`trident.hw.units.standardise.StandardiseUnit`; its tile and the optimiser's numbers are those of any update.

    Raises what :meth:`StandardConstants.of` raises.
    """
    constants = StandardConstants.of(layer, cfg)
    numbers = {field: constants.bits[name] for name, field in NUMBERS.items()}
    return numbers | {
        "count": layer.fan_in, "blocks": layer.image[2], "group_step": weights.groups, "words": constants.power,
        "pass_groups": constants.limit,
    }  # fmt: skip
