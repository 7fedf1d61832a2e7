"""Clocks that stop while an engine has nothing to do."""

from contextlib import nullcontext

import numpy as np
import pytest

import trident.sim.rtl.verilated as verilated
from tests.hw.core.benches import train
from trident.host.train.step_bench import StepBench
from trident.hw.cores import make_core
from trident.hw.generate import emit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.lib.clock_gate import RUNNING, STOPPING, stopping
from trident.hw.lib.streams import random_stalls
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

MESH = MeshConfig(), MeshConfig(width=2, height=2)


@pytest.mark.parametrize("preset, gates", [("TINY", 3), ("COMPACT", 0)])
def test_clocks_of_boards_run(preset, gates):
    cfg = CoreConfig.preset(preset)
    text = emit(make_core(cfg, mesh_for(cfg)), "core")
    assert text.count(RUNNING) == bool(gates) and text.count(" clock_gate ") == gates
    assert STOPPING not in text and stopping(text).count(STOPPING) == bool(gates)


@pytest.mark.slow
@pytest.mark.parametrize("stalls", [None, 5])
@pytest.mark.parametrize("net, mesh, parts", [
    ("5x4x2-4c3-6c3s2-3", MESH[0], "1-3"), ("9-8-7-4", MESH[1], "2x1-2,3"),
])  # fmt: skip
def test_what_stops_does_the_same_in_the_same_cycles(monkeypatch, stalls, net, mesh, parts):
    """Engines that wait for one another and for other cores, and sums of replicas. Random stalls in an engine go on
    with its clock, so they are others: only the bits are the same."""
    cfg, network, found = CoreConfig.preset("TINY"), Network.parse(net), []
    partition = Partition.parse(parts, network, cfg.lanes)
    for gate in (stopping, str):
        monkeypatch.setattr(verilated, "stopping", gate)
        with nullcontext() if stalls is None else random_stalls(stalls):
            chip = verilated.VerilatedChip(cfg, mesh)
        bench, rng = StepBench(network, NeuronSettings.of(cfg), cfg, chip, 1, mesh, partition), np.random.default_rng(3)
        for density in (0.2, 0.7):
            mismatch, _ = train(bench, rng, 5, density)
            assert mismatch is None, str(mismatch)
        found.append((chip.cycles, *(bench.session.driver.counters(core) for core in range(mesh.cores))))
        chip.close()
    assert stalls or found[0] == found[1]
