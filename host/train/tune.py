"""``python -m trident.host.train.tune CORE MESH LIBRARY``: train briefly, so that the compiler learns what to optimise.

CORE and MESH are the fields of a :class:`CoreConfig` and a :class:`MeshConfig` as JSON.
"""

import ctypes
import json
import sys

import numpy as np

from trident.host.compile.chip_plan import ChipPlan
from trident.host.train.chip_learner import ChipLearner
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

# The first that fits the core is trained
NETWORKS = ("8x8x1-6c3s2-8c3-10", "4x4x1-4c3s2-8", "8-4")
WORKLOAD = "trident.host.train.tune"  # this module, for VerilatedChip
SAMPLES, DENSITY = 8, 0.3


def exercise(cfg: CoreConfig, mesh: MeshConfig, core: ctypes.CDLL):
    """Train one minibatch of random samples on a chip of one core."""
    for text in NETWORKS:
        network = Network.parse(text)
        try:
            plan = ChipPlan(network, cfg, mesh)
            break
        except TridentError:
            continue
    else:
        return  # a core so small that there is nothing to learn
    golden = GoldenTrainer(network, NeuronSettings.of(cfg), cfg)
    chip = VerilatedChip(cfg, mesh, threads=1, core=core)
    learner = ChipLearner(plan, golden.constants, chip)
    learner.load(golden.bits(Space.WEIGHTS))
    constants = UpdateConstants.of(0.9, 0.5 / 256 / SAMPLES, SAMPLES, cfg.format)
    rng = np.random.default_rng(0)
    spikes = (rng.random((SAMPLES, cfg.steps, *network.sample_shape)) < DENSITY).astype(np.uint8)
    learner.run(spikes, rng.integers(0, network.classes, SAMPLES), constants, 256)
    learner.close()


if __name__ == "__main__":
    exercise(CoreConfig(**json.loads(sys.argv[1])), MeshConfig(**json.loads(sys.argv[2])), ctypes.CDLL(sys.argv[3]))
