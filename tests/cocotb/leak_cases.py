"""Cases of leaks that are learned: what neurons read of them, and the sum of a shared leak's gradient."""

from dataclasses import replace

import numpy as np

from tests.cocotb.placing import Case, Placing, row_of
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import NeuronConstants, function_lines
from trident.sim.golden.leak import Leaks
from trident.sim.golden.tie import tie
from trident.snn.neuron_settings import NeuronSettings

LEAST_BITS = 40  # of a gradient: those of leaks are exact


def learning(cfg: CoreConfig) -> CoreConfig:
    """A core whose neurons learn their leaks, shared and not."""
    return replace(
        cfg, charge="plif", others=f"leaky/{cfg.reset}/{cfg.surrogate}{'' if cfg.detach else '/attached'}",
        gradient_bits=max(cfg.gradient_bits, LEAST_BITS),
    )  # fmt: skip


class LeakPlacing(Placing):
    """A few groups of channels anywhere in the memories of weights and of leaks, which is that of potentials here."""

    def leak(self) -> Case:
        self.cfg, rng = learning(self.cfg), self.rng
        kind = int(rng.integers(2))
        settings = NeuronSettings(
            neuron=("plif", "leaky")[kind], reset=self.cfg.reset, surrogate=self.cfg.surrogate, detach=self.cfg.detach
        )
        groups, tile, dst = int(rng.integers(1, 6)), int(rng.integers(0, 64)), int(rng.integers(0, 40))
        channels = groups * self.cfg.lanes - int(rng.integers(self.cfg.lanes))
        values = self._values(groups * self.cfg.lanes, 4.0)
        found, fault = Leaks(settings, self.cfg).of(values)
        found[channels:] = 1
        constants = NeuronConstants.of(settings, self.fmt)
        job = {"tile": tile, "groups": groups, "count": channels, "dst": dst, **constants.leak, "neuron": kind}
        case = self._case(job)
        shared = NeuronConstants.of(replace(settings, neuron="plif"), self.fmt)
        case.memories = {
            Space.WEIGHTS: self._groups(self._bits(values), tile * self.cfg.lanes, self.cfg.lanes),
            Space.FUNCTIONS: dict(enumerate(function_lines(self.cfg, shared))),
        }  # fmt: skip
        after = self._groups(self._bits(found), dst, 1)
        case.after = {Space.POTENTIALS: {
            address: (row, -1, f"leaks of group {address - dst}") for address, row in after.items()
        }}  # fmt: skip
        case.fault = bool(fault.any())
        return case

    def tie(self) -> Case:
        self.cfg, rng = learning(self.cfg), self.rng
        bits, groups, tile = self.cfg.gradient_bits, int(rng.integers(1, 6)), int(rng.integers(0, 64))
        size = 1 << rng.integers(0, bits - 8, groups * self.cfg.lanes)
        values = rng.integers(-size, size)
        case = self._case({"tile": tile, "count": groups})
        before, after = (
            self._groups(own % (1 << bits), tile * self.cfg.lanes, self.cfg.lanes, bits)
            for own in (values, tie(values))
        )
        case.memories = {Space.GRADIENTS: before}
        case.after = {Space.GRADIENTS: {
            address: (row, -1, f"the sum, in group {n}") for n, (address, row) in enumerate(after.items())
        }}  # fmt: skip
        return case

    def _groups(self, values: np.ndarray, first: int, step: int, bits: int = 0) -> dict[int, int]:
        """Numbers of every channel as rows, a group of lanes each."""
        rows = np.asarray(values).reshape(-1, self.cfg.lanes)
        return {first + n * step: row_of(row, bits or self.cfg.width) for n, row in enumerate(rows)}
