"""A core in standard cells of 180 nm, where Debian's qflow-tech-osu018 is installed: area and energy of its units."""

from collections.abc import Iterator
from pathlib import Path

from trident.boards.asic.commands import LIBERTY, dense_macs
from trident.boards.asic.liberty import Library
from trident.boards.asic.measure import measure
from trident.boards.asic.scaling import scale
from trident.host.report.figure import Figure
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network

NODE = 180
NETWORK, SAMPLES, SPIKES = "6x6x4-8c3-5", 4, 0.3
CORE = {"lanes": 4, "timesteps": 4}
GATES = {
    "gate_equivalents": "gate equivalents", "nj_per_sample": "nJ per sample, 180 nm", "clock_share": "of it clocks",
    "pj_per_mac": "pJ per dense MAC, 180 nm", "scaled.pj_per_mac": "scaled to 32 nm",
}  # fmt: skip
"""Figures of a unit by the end of their names, and what a table calls them."""


def measure_gates(only: str) -> Iterator[Figure]:
    """Units of a small core in a minibatch of a small convolution; none where the cells are not there."""
    if not Path(LIBERTY).is_file():
        return
    library, cfg, network = Library.load(Path(LIBERTY)), CoreConfig.preset("SMALL", **CORE), Network.parse(NETWORK)
    found, macs = measure(cfg, network, SAMPLES, library, SPIKES), dense_macs(network, cfg.timesteps)
    for unit, taken in found.units.items():
        energy = taken.energy / SAMPLES
        values = {"gate_equivalents": ("gates", taken.equivalents), "nj_per_sample": ("nJ", energy / 1e3),
                  "clock_share": ("fraction", taken.clock / taken.energy)}  # fmt: skip
        if unit in macs:
            values["pj_per_mac"] = "pJ", energy / macs[unit]
            values["scaled.pj_per_mac"] = "pJ", scale(NODE, library.voltage) * energy / macs[unit]
        for name, (measure_unit, value) in values.items():
            yield Figure(f"energy.gates.{unit}.{name}", measure_unit, float(value), "lower")
