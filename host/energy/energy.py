"""What a network's training costs, in pJ, from what a core has counted."""

from collections import Counter
from dataclasses import dataclass

from trident.host.energy.chip import OWN, REFERENCE, Convention, core_counts
from trident.host.energy.reference import PASSES, DenseLayer, efficiency
from trident.host.energy.table import EnergyTable
from trident.hw.isa.config import CoreConfig
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network


def dense_layer(layer: Layer, timesteps: int, samples: int = 1) -> DenseLayer:
    """A layer as the reference's dense model takes it. Real values that stay the same are summed up once."""
    (y, x, _), still = layer.sum_shape, layer.planes is not None
    return DenseLayer(
        layer.in_shape[2], layer.out_channels, y, x, layer.kernel, 1 if still else timesteps, samples,
        values=layer.reads[0].planes is not None, groups=layer.conv_groups,
    )  # fmt: skip


def layer_macs(layer: Layer, timesteps: int) -> dict[str, int]:
    """Multiply-accumulates of a layer and its branches for a sample by pass, none left out for a zero; errors of
    samples are not computed."""
    macs = dict.fromkeys(PASSES, 0)
    for part in layer.parts:
        for name in _passes(part):
            macs[name] += dense_layer(part, timesteps).macs
    return macs


def _passes(part: Layer) -> list[str]:
    """The passes of a layer or a branch: backward makes the errors of spikes."""
    wanted = any(source is not None for source in part.sources)
    return [name for name in PASSES if name != "backward" or wanted]


def dense_macs(network: Network, timesteps: int) -> int:
    """Multiply-accumulates of a network for a sample, in all three passes."""
    return sum(sum(layer_macs(layer, timesteps).values()) for layer in network.layers)


def dense_energy(network: Network, timesteps: int, table: EnergyTable) -> float:
    """pJ of the engines for a sample by the reference's dense model."""
    total = 0.0
    for part in network.parts:
        dense = dense_layer(part, timesteps)
        total += sum(table.total(PASSES[name](dense)) for name in _passes(part))
    return total


@dataclass(frozen=True)
class Energy:
    """Energy of a training, for a sample, on the chip without DRAM and without the network between cores.

    table: the name of the table; samples: over how many it is a mean; macs: dense multiply-accumulates; useful:
    additions and multiply-adds that the engines made, of operands that are not zero; parts: pJ by part, of
    :data:`~trident.host.energy.chip.PARTS`, and by what takes it, operations (compute) or a memory; reference: pJ as
    the reference prices accumulators and states of the optimiser; dense: pJ of the reference's dense dataflow, engines
    only.
    """

    table: str
    samples: float
    macs: float
    useful: float
    parts: dict[str, dict[str, float]]
    reference: float
    dense: float

    @classmethod
    def of(
        cls, counters: dict[str, float], samples: float, network: Network, cfg: CoreConfig, table: EnergyTable
    ) -> "Energy":
        """Of what cores have counted, together, while ``samples`` were trained. Raises :class:`TridentError` for cores
        that count less."""
        means = Counter({name: value / samples for name, value in counters.items()})
        found = {}
        for name, convention in {"own": OWN, "reference": REFERENCE}.items():
            found[name] = cls._priced(means, cfg, table, convention)
        timesteps = cfg.steps
        engines = (f"{engine}.useful" for engine in PASSES)
        return cls(
            table.name, samples, dense_macs(network, timesteps),
            cfg.lanes * sum(means[name] for name in engines), found["own"],
            sum(sum(part.values()) for part in found["reference"].values()), dense_energy(network, timesteps, table),
        )  # fmt: skip

    @staticmethod
    def _priced(means, cfg: CoreConfig, table: EnergyTable, convention: Convention) -> dict[str, dict[str, float]]:
        parts = core_counts(means, cfg, convention)
        return {name: priced for name, counts in parts.items() if any((priced := table.price(counts)).values())}

    @property
    def total(self) -> float:
        """pJ per sample."""
        return sum(sum(part.values()) for part in self.parts.values())

    @property
    def per_mac(self) -> float:
        """pJ per dense multiply-accumulate."""
        return self.total / self.macs

    @property
    def per_useful(self) -> float:
        """pJ per operation of the engines that was made; infinite where there was none."""
        return self.total / self.useful if self.useful else float("inf")

    @property
    def dense_equivalent(self) -> float:
        """TFLOPS/W, every dense multiply-accumulate for two operations."""
        return efficiency(self.macs, self.total)

    @property
    def effective(self) -> float:
        """TFLOPS/W, only what was made."""
        return efficiency(self.useful, self.total)

    @property
    def figures(self) -> dict[str, float | str]:
        """What a report says of it, by name."""
        return {
            "table": self.table,
            "nJ per sample": self.total / 1e3,
            "pJ per dense multiply-accumulate": self.per_mac,
            "pJ per addition or multiply-add made": self.per_useful,
            "TFLOPS/W, dense-equivalent": self.dense_equivalent,
            "TFLOPS/W, of what is made": self.effective,
            "TFLOPS/W, dense-equivalent, the reference's accumulators and states": efficiency(
                self.macs, self.reference
            ),
            "TFLOPS/W of the reference's dense dataflow, engines only": efficiency(self.macs, self.dense),
        }
