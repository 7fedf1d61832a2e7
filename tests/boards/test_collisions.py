"""What synthesis is told of the memories is true: no result depends on a word that is read in the cycle that writes it.

Block RAMs may then give anything. So the same Verilog is simulated with memories that give the word's complement, and
every memory is compared with golden after training steps.
"""

import re

import numpy as np
import pytest

import trident.sim.rtl.line
import trident.sim.rtl.verilated
from tests.hw.link.test_linked_chip import test_training_equals_golden_under_faults as train_under_faults
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.link.linked_chip import emit_linked_chip
from trident.sim.golden.constants import UpdateConstants
from trident.sim.rtl.verilated import VerilatedChip, core_verilog
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

pytestmark = pytest.mark.fpga

MODULE = re.compile(r"^module (\w+).*?^endmodule$", re.MULTILINE | re.DOTALL)
WRITE = re.compile(r"^    if \((\S+)\)\n      (\w+)\[(.*)\] <= .*;$", re.MULTILINE)
READ = re.compile(r"^( +\w+ <= )(\w+)\[(.*)\];$", re.MULTILINE)


def complement_collisions(verilog: str) -> tuple[str, list[str]]:
    """The Verilog with such memories, and the module and memory of each read that was changed."""
    changed = []

    def module(match: re.Match) -> str:
        writes = {memory: (enable, address) for enable, memory, address in WRITE.findall(match[0])}

        def read(found: re.Match) -> str:
            start, memory, address = found.groups()
            if memory not in writes:
                return found[0]
            changed.append(f"{match[1]}.{memory}")
            enable, written = writes[memory]
            same = f"{enable} && {written} == {address}"
            return f"{start}({same}) ? ~{memory}[{address}] : {memory}[{address}];"

        return READ.sub(read, match[0])

    return MODULE.sub(module, verilog), changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "width", "network", "partition"),
    [
        ("FPGA", 1, "6x5x2-4c3-9-5", None), ("COMPACT", 1, "6x5x2-4c3s2-9-5", None), ("FPGA", 2, "12-10-6", "2x1,2"),
        ("COMPACT", 2, "12-10-6", "2x1,2"),
    ],
)  # fmt: skip
def test_colliding_reads_do_not_matter(monkeypatch, preset, width, network, partition):
    cfg = CoreConfig.preset(preset)
    mesh = mesh_for(cfg, MeshConfig(width=width, height=width))
    text, changed = complement_collisions(core_verilog(cfg, mesh))
    if cfg.shared_engine:
        expected, least = {"core.words", "core.gradients", "core_processor.words"}, 6
    else:
        expected, least = {"core_spikes.words", "core_weights.bank0", "core_sequencer.words"}, 9
    assert expected <= set(changed) and len(changed) >= least
    monkeypatch.setattr(trident.sim.rtl.verilated, "core_verilog", lambda cfg, mesh: text)
    chip = VerilatedChip(cfg, mesh)
    network = Network.parse(network)
    if partition:
        partition = Partition.parse(partition, network, cfg.lanes)
    bench = StepBench(network, NeuronSettings(), cfg, chip, 0, mesh, partition)
    rng = np.random.default_rng(5)
    for density in (0.1, 0.4, 0.9):
        spikes = (rng.random((5, cfg.timesteps, *network.in_shape)) < density).astype(np.uint8)
        constants = UpdateConstants.of(0.9, 0.5 / 256 / 5, 5, cfg.format)
        mismatch, _ = bench.step(spikes, rng.integers(0, network.classes, 5), constants, 256)
        assert mismatch is None, mismatch
    chip.close()


@pytest.mark.slow
def test_colliding_reads_of_the_link_do_not_matter(monkeypatch):
    """The same for the link's buffers: training over a serial line that loses and changes bytes."""
    changed = []

    def emit(*arguments) -> str:
        text, memories = complement_collisions(emit_linked_chip(*arguments))
        changed.extend(memories)
        return text

    monkeypatch.setattr(trident.sim.rtl.line, "emit_linked_chip", emit)
    train_under_faults()
    names = [name.split(".")[1] for name in changed]
    assert names.count("buffer") >= 2 and "routes" in names
