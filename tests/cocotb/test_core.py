"""Single cores of every preset under cocotb: training steps with random gaps on the host's streams."""

from dataclasses import asdict

import pytest

from tests.cocotb.simulate import run
from trident.hw.chip import Chip
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import mesh_for

NETWORKS = {
    "TINY": ["5-4-3", "4x4x1-3c3s2-3"],
    "SMALL": ["12-9-4", "4x4x1-3c3s2-3"],
    "FPGA": ["6-4-3", "4x4x1-2c3s2-3"],
    "COMPACT": ["6-4-3", "4x4x1-2c3s2-3"],
    "WIDE": ["20-17-3", "4x4x2-5c3s2-3"],
}
# (preset, seed of stalls on every connection or None, share of cycles in which the host gives and takes a flit)
BENCHES = [
    ("TINY", 11, 0.8), ("COMPACT", None, 1.0),
    *(pytest.param(*bench, marks=pytest.mark.slow) for bench in (
        ("TINY", None, 0.9), ("SMALL", None, 1.0), ("SMALL", 12, 0.7), ("FPGA", None, 1.0), ("FPGA", 13, 0.7),
        ("COMPACT", 15, 0.7), ("WIDE", None, 1.0), ("WIDE", 14, 0.7),
    )),
]  # fmt: skip


@pytest.mark.parametrize("preset, stalls, flow", BENCHES)
def test_training_step(preset, stalls, flow):
    cfg = CoreConfig.preset(preset, weight_rows=2048, spike_words=256, error_words=128)
    mesh = mesh_for(cfg)
    networks = [(network, None) for network in NETWORKS[preset]]
    case = {"cfg": asdict(cfg), "mesh": asdict(mesh), "networks": networks, "seed": 5, "samples": 4, "flow": flow}
    told = run(Chip(cfg, mesh), "tests.cocotb.bench_chip", case, stalls)
    assert told["cases"] == len(networks)
