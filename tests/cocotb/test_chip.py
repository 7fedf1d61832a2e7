"""Whole chips under cocotb, in the Verilog that is emitted for them: cores and routers as modules, written once."""

from dataclasses import asdict

import pytest

from tests.cocotb.simulate import run
from trident.hw.chip import chip_signature, emit_chip
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for

# (width, height, seed of stalls on every connection or None, share of cycles of the host, networks with partitions)
BENCHES = [
    (1, 1, 21, 0.6, [("5-4-3", "1-2")]),
    (2, 1, None, 0.5, [("5-4-3", "1,2"), ("5-4-3", "2x1-2"), ("5-6-3", "1-2")]),
    (2, 2, None, 1.0, [("5-8-3", "1/3,2"), ("4x4x1-4c3-5-3", "1,2/2,3"), ("5-4-3", "2x1,2")]),
    (2, 2, 22, 0.7, [("5-8-3", "1/2,2"), ("5-4-3", "2x1,2")]),
    (5, 4, None, 1.0, [("4x4x1-4c3-4-4-3", "4x1,2/2,3,4")]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("width, height, stalls, flow, networks", BENCHES)
def test_training_step(width, height, stalls, flow, networks):
    cfg = CoreConfig.preset("TINY", spike_words=512, error_words=256, program_words=128, jobs=64)
    mesh = mesh_for(cfg, MeshConfig(width=width, height=height))
    case = {"cfg": asdict(cfg), "mesh": asdict(mesh), "networks": networks, "seed": 6, "samples": 5, "flow": flow}
    ports = chip_signature(mesh).create(path=("chip",))
    told = run(ports, "tests.cocotb.bench_chip", case, stalls, "chip", lambda: emit_chip(cfg, mesh))
    assert told["cases"] == len(networks)
