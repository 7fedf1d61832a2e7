"""``python -m sim.tune CORE MESH LIBRARY``: a short training on a core's library, for the compiler to learn from.

CORE and MESH are the fields of a :class:`CoreConfig` and a :class:`MeshConfig` as JSON.
"""

import ctypes
import json
import sys

import numpy as np

from host.compiler import Plan
from host.constants import UpdateConstants
from host.driver import Driver
from host.network import Network
from host.session import ChipSession
from host.settings import NeuronSettings
from hw.config import CoreConfig
from hw.errors import TridentError
from hw.layouts import Space
from hw.noc.config import MeshConfig
from sim.golden.format import encode
from sim.golden.trainer import GoldenTrainer
from sim.verilated import VerilatedChip

# The first that fits the core is trained
NETWORKS = ("8x8x1-6c3s2-8c3-10", "4x4x1-4c3s2-8", "8-4")
SAMPLES, DENSITY = 8, 0.3


def exercise(cfg: CoreConfig, mesh: MeshConfig, core: ctypes.CDLL):
    """Train one minibatch of random samples on a chip of one core."""
    for text in NETWORKS:
        network = Network.parse(text)
        try:
            plan = Plan(network, cfg, mesh)
            break
        except TridentError:
            continue
    else:
        return  # a core so small that there is nothing to learn
    golden = GoldenTrainer(network, NeuronSettings(reset=cfg.reset, surrogate=cfg.surrogate), cfg)
    chip = VerilatedChip(cfg, mesh, threads=1, core=core)
    session = ChipSession(Driver(chip, cfg, mesh), plan, golden.constants)
    session.load_rows(Space.WEIGHTS, [
        (encode(layer.weights, golden.fmt), encode(layer.biases, golden.fmt)) for layer in golden.layers
    ])  # fmt: skip
    session.set_constants(UpdateConstants.of(0.9, 0.5 / 256 / SAMPLES, cfg.format), golden.table(256))
    rng = np.random.default_rng(0)
    spikes = (rng.random((SAMPLES, cfg.timesteps, *network.in_shape)) < DENSITY).astype(np.uint8)
    session.run(spikes, rng.integers(0, network.classes, SAMPLES), train=True)
    chip.close()


if __name__ == "__main__":
    exercise(CoreConfig(**json.loads(sys.argv[1])), MeshConfig(**json.loads(sys.argv[2])), ctypes.CDLL(sys.argv[3]))
