"""Golden of hw/units/leak.py: what neurons read of the parameters of leaks that they learn."""

import numpy as np

from trident.hw.isa.charges import leak_program
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.constants import neuron_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program
from trident.snn.neuron_settings import NeuronSettings


class Leaks:
    """The leaks of a layer whose neurons learn them, on cores of a configuration."""

    def __init__(self, neuron: NeuronSettings, cfg: CoreConfig):
        self.cfg, self.sums = cfg, Sums(cfg.format, cfg.fixed)
        self.program = leak_program(neuron.charge)
        self.numbers = neuron_values(neuron, cfg.format)

    def of(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the neurons' programs read, from parameters (channels,), and where that is infinite or not a number."""
        found = np.empty_like(parameters)
        subnormals = self.cfg.multiplier_subnormals
        arrays = (array.reshape(1, 1, -1) for array in (parameters, found))
        fault = run_program(self.program, self.sums, subnormals, self.numbers, *arrays)
        return found, fault[0]
