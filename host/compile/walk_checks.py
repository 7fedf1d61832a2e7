"""What a core cannot make of the walks that its layers' sums have."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trident.host.compile.placed import PlacedLayer
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.snn.network.layers import Layer

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan


def check_walks(plan: "CorePlan"):
    """Raise TridentError for sums of more walks than the core makes, for values that it cannot read, and for grouped
    convolutions whose channels are not parted alike."""
    cfg = plan.cfg
    for placed in (part for layer in plan.layers for part in layer.parts):
        if any(read.job for read in placed.layer.reads):
            others = "what a dropout leaves" if placed.layer.reads[0].drop else "real values or means"
            what = "the mean of all pixels" if placed.layer.mean > 1 else others
            require(cfg.capabilities, f"{placed.layer.node!r} reads {what}, which", (Capability.PLANES,))
    for placed, readers in zip(plan.layers, plan.readers, strict=True):
        added = f"{placed.layer.node!r} adds the spikes of {{}} layers or planes"
        if placed.branches:
            added = f"{placed.layer.neuron!r} takes the sums of {{}} branches, layers or planes together"
        for many, what in (
            (len(placed.walks), added),
            (len(readers), f"{placed.layer.neuron!r} is read {{}} times"),
        ):
            if many > cfg.walks:
                if cfg.walks == 1:
                    require(cfg.capabilities, f"{what.format(many)}, which", (Capability.WALKS,))
                raise TooLarge(f"{what.format(many)}, the core has walks of {cfg.walks}")
        _check_bands(placed.parts, "takes the sums of", placed.layer)
        _check_bands(readers, "is read by", placed.layer)


def _check_bands(parts: Sequence[PlacedLayer], what: str, layer: Layer):
    grouped = [part for part in parts if len(part.weights.bands) > 1]
    for part in grouped[1:]:
        if len(part.weights.bands) != len(grouped[0].weights.bands):
            raise TridentError(
                f"{layer.neuron!r} {what} {grouped[0].layer.node!r} and {part.layer.node!r}, whose groups differ"
            )
