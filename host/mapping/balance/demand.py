"""What layers ask of cores, in granules: the least that a core can have of them, rows or groups of lanes."""

from dataclasses import dataclass

import numpy as np

from trident.host.compile.chip_plan import slots_before
from trident.host.compile.packing import out_groups
from trident.host.mapping.activity import Activity
from trident.host.mapping.balance.rates import rates
from trident.host.mapping.cost import CostModel
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import ERROR_SLOTS
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces, space_bits
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network


@dataclass(frozen=True, eq=False)
class Demand:
    """A layer, or anything else that can be cut into granules.

    loads: what a piece of so many granules takes, float64 (granules + 1, 4): cycles per sample of the three engines,
    and bits of memory; of none, nothing. by_rows: granules are rows of pixels, so every piece has all weights;
    otherwise groups of lanes, so every piece has all that the layer reads.
    """

    loads: np.ndarray
    by_rows: bool = False

    @property
    def granules(self) -> int:
        """Into which it can be cut at the most."""
        return len(self.loads) - 1


def demands(network: Network, cfg: CoreConfig, density: float, cores: int) -> list[Demand]:
    """Those of every layer, each cut along the side whose copies take less, work and memory together, of so many cores.

    A core's memory has weights, what the optimiser keeps of them and their gradients; the spikes that it reads, its own
    spikes and masks, of the samples that later layers work on; errors of :data:`ERROR_SLOTS` samples.
    """
    cost, after = CostModel(network, cfg, Activity(0, ())), [0] * len(network.layers)
    for layer in reversed(network.layers):
        for source in (source for part in layer.parts for source in part.sources if source is not None):
            if source < layer.number:  # not a layer's own spikes
                after[source] = max(after[source], after[layer.number] + 1)
    ways = [_ways(cost, layer, density, slots_before(after[layer.number])) for layer in network.layers]
    whole = sum(way[0].loads[-1] for way in ways)
    return [min(way, key=lambda demand: _copied(demand, whole, cores)) for way in ways]


def _copied(demand: Demand, whole: np.ndarray, cores: int) -> float:
    """Shares of all work and of all memory that a demand takes, spread over as many cores as its larger one is of;
    where it has fewer granules than that, each counts as if it filled more cores than one."""
    shares = demand.loads / np.where(whole > 0, whole, 1)
    pieces = max(round(float(shares[-1].max()) * cores), 1)
    if pieces > demand.granules:
        return float(pieces * (shares[1, :3].max() + shares[1, 3]))
    small, more = divmod(demand.granules, pieces)
    taken = (pieces - more) * shares[small] + more * shares[small + bool(more)]
    return float(taken[:3].max() + taken[3])


def _ways(cost: CostModel, layer: Layer, density: float, slots: int) -> list[Demand]:
    """A layer in groups of lanes and, where it has several, in rows."""
    cfg = cost.cfg
    groups, size = out_groups(layer, cfg.lanes), space_bits(cfg)
    words = cost.words(layer.number, 0, layer.out_channels)
    kept = (Space.WEIGHTS, Space.GRADIENTS, *kept_spaces(cfg), *raw_spaces(cfg))
    weights = words.weight_rows * sum(size[space] for space in kept)
    inputs = words.input_words * len(layer.sources) * slots * cfg.spike_bits
    errors = words.error_words * ERROR_SLOTS * (cfg.timesteps * cfg.row_bits + cfg.spike_bits)
    own = words.spike_words * 2 * slots * cfg.spike_bits + errors
    whole, shares = rates(layer, cfg, density, several=False)[groups], np.arange(groups + 1) / groups
    cycles = rates(layer, cfg, density, several=True)
    cycles[groups] = whole
    ways = [_demand(cycles, inputs + shares * (weights + own))]
    rows = -(-layer.sum_shape[0] // layer.pool)
    if layer.kind == "conv" and rows > 1:
        shares, seen = np.arange(rows + 1) / rows, layer.kernel.reach[0] + 1
        halo = max(seen - layer.kernel.stride[0], 0) / layer.image[0]
        bits = weights + np.minimum(shares + halo, 1) * inputs + shares * own
        ways.append(_demand(shares[:, None] * whole, bits, by_rows=True))
    return ways


def _demand(cycles: np.ndarray, bits: np.ndarray, by_rows: bool = False) -> Demand:
    bits[0] = 0
    return Demand(np.column_stack([cycles, bits]), by_rows)
