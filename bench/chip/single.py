"""One engine at a time on the RTL of a core, with memories filled by the host."""

from dataclasses import dataclass, replace

import numpy as np

from trident.host.compile.chip_plan import ChipPlan, unicast
from trident.host.compile.packing import pack_spikes, rows_to_words
from trident.host.compile.program import Program
from trident.host.driver.driver import Driver
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB_INDEX_BITS
from trident.hw.isa.operations import Opcode
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.format import to_bits
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

ENGINES = ("forward", "backward", "weight_grad")
LIMIT = 40_000_000  # cycles of one job


@dataclass(frozen=True)
class Run:
    """What one engine's job took: cycles it ran, additions it made per lane, cycles a drain waited, and by how much all
    ``counters`` of the core grew.

    A core with a controller counts only the first.
    """

    cycles: int
    useful: int
    stalled: int
    counters: dict[str, int]


class SingleEngine:
    """Jobs of one engine for one layer of a network.

    layer: its number, of which the second has one below for backward; cfg: the core.
    """

    def __init__(self, network: Network, cfg: CoreConfig, layer: int = 1):
        if not cfg.shared_engine:
            cfg = replace(cfg, counters="all")
        self.cfg, self.plan = cfg, ChipPlan(network, cfg)
        (self.stage,) = self.plan.plans
        self.layer = layer
        self.chip = VerilatedChip(cfg)
        self.driver = Driver(self.chip, cfg)
        self.neuron = NeuronConstants.of(NeuronSettings.of(cfg), cfg.format)
        rng = np.random.default_rng(0)
        placed = self.stage.layers[layer]
        weights = to_bits(rng.normal(size=placed.layer.weight_shape) / 16, cfg.format)
        biases = np.zeros(placed.layer.out_channels, np.uint32)
        rows = placed.weights.pack(weights.astype(np.uint32), biases)
        self.driver.write(0, Space.WEIGHTS, placed.tile * cfg.lanes, rows_to_words(rows, cfg))

    def fill(self, density: float, seed: int = 0, zeros: bool = False):
        """Random inputs of the layer, of which the share ``density`` are not zero: spikes, and errors for backward.

        weight_grad reads the same errors' rows; those are dense, as they are when several neurons share a row, or,
        with ``zeros``, have the zeros that backward skips.
        """
        cfg, placed = self.cfg, self.stage.layers[self.layer]
        rng = np.random.default_rng(seed)
        y, x, channels = placed.layer.in_shape if placed.layer.kind == "conv" else (1, 1, placed.layer.in_shape[2])
        spikes = (rng.random((1, cfg.timesteps, y, x, channels)) < density).astype(np.uint8)
        self.driver.write(0, Space.SPIKES, placed.inputs[0].base, pack_spikes(spikes, cfg)[0])
        out_y, out_x, outputs = placed.layer.out_shape
        mask = (rng.random((1, cfg.timesteps, out_y, out_x, outputs)) < density).astype(np.uint8)
        self.driver.write(0, Space.ERROR_MASKS, placed.errors.base, pack_spikes(mask, cfg)[0])
        values = rng.normal(size=(placed.errors.size << cfg.step_bits, cfg.lanes))
        if zeros:
            words = mask[0].transpose(1, 2, 0, 3)  # (y, x, T, outputs)
            padded = np.zeros((out_y, out_x, 1 << cfg.step_bits, -(-outputs // cfg.lanes) * cfg.lanes), np.uint8)
            padded[:, :, : cfg.timesteps, :outputs] = words
            rows = padded.reshape(out_y, out_x, 1 << cfg.step_bits, -1, cfg.lanes).transpose(0, 1, 3, 2, 4)
            values *= rows.reshape(-1, cfg.lanes)
        errors = to_bits(values, cfg.format)
        rows = rows_to_words(errors.astype(np.uint32), cfg)
        self.driver.write(0, Space.ERRORS, placed.errors.base << cfg.step_bits, rows)

    def run(self, engine: str) -> Run:
        """Run the engine's job alone and read its counters.

        Raises :class:`CoreStuck` when it does not end within :data:`LIMIT` cycles.
        """
        number = self.stage.job(engine, self.layer - (engine == "backward"))  # which is of the layer below
        program = Program(1, 1, 1)
        program.run(Opcode[engine.upper()], number)
        program.end_loop()
        program.together(Opcode.HALT)
        job = self.plan.jobs(0, program, self.neuron, UpdateConstants())[number]
        self.driver.write(0, Space.JOBS, number << JOB_INDEX_BITS, np.array(job, np.uint32)[:, None])
        self.driver.write(0, Space.PROGRAM, 0, np.array(program.words, np.uint32)[:, None])
        before = self.driver.counters(0)
        packets, route = self.driver.packets, unicast(self.plan.mesh, 0)
        self.driver.exchange([packets.arm(route), packets.start(route, 1)], 1, quiet=LIMIT)
        after = self.driver.counters(0)
        taken = {name: (after[name] - before[name]) & 0xFFFFFFFF for name in after}
        return Run(*(taken.get(f"{engine}.{what}", 0) for what in ("running", "useful", "stalled")), taken)

    def close(self):
        self.chip.close()
