"""The cocotb test of a whole chip: training steps through its host's streams, which stall at random, against golden."""

import cocotb
import numpy as np
from cocotb.task import bridge, resume

from tests.cocotb.clocked import Clocked
from tests.cocotb.simulate import load_case, report
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.sim.golden.constants import UpdateConstants
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings


class CocotbLink(Clocked):
    """A :class:`FlitPort` over the chip's two streams.

    In a random share ``flow`` of the cycles a flit is offered and taken. To be called from a bridged thread.
    """

    def __init__(self, dut, mesh: MeshConfig, rng, flow: float):
        super().__init__(dut)
        self.mesh, self.rng, self.flow = mesh, rng, flow
        self.exchange = resume(self._exchange)

    @property
    def cycles(self) -> int:
        return self.cycle

    def _flit(self, payload: int) -> list[int]:
        words = self.mesh.flit // 32
        return [*(payload >> 32 * n & 0xFFFFFFFF for n in range(words)), payload >> self.mesh.flit]

    async def _exchange(self, flits: np.ndarray, wanted: int, limit: int, room: int | None = None):
        dut, sent, taken, packets, offered, quiet = self.dut, 0, [], 0, False, 0
        flits = [sum(int(word) << 32 * n for n, word in enumerate(flit)) for flit in flits]
        active = None
        while quiet < limit and (sent < len(flits) or packets < wanted):
            offered = offered or (sent < len(flits) and self.rng.random() < self.flow)
            ready = self.rng.random() < self.flow
            dut.i_valid.value, dut.o_ready.value = int(offered), int(ready)
            if offered:
                dut.i_payload.value = flits[sent]
            await self.settle()
            quiet += 1
            if ready and int(dut.o_valid.value):
                taken.append(self._flit(int(dut.o_payload.value)))
                packets += taken[-1][-1]
                quiet = 0
            if offered and int(dut.i_ready.value):
                sent, offered, quiet = sent + 1, False, 0
            if (now := int(dut.active.value)) != active:
                active, quiet = now, 0
            await self.tick()
        dut.i_valid.value = dut.o_ready.value = 0
        return sent, np.array(taken, np.uint32).reshape(-1, self.mesh.flit // 32 + 1)


@cocotb.test()
async def chip(dut):
    """A training step of every network with its partition, one after another on the same chip."""
    given = load_case()
    cfg, mesh = CoreConfig(**given["cfg"]), MeshConfig(**given["mesh"])
    rng = np.random.default_rng(given["seed"])
    link = CocotbLink(dut, mesh, rng, given["flow"])
    await link.reset()
    neuron = NeuronSettings(reset=cfg.reset, surrogate=cfg.surrogate)
    values, mismatch = 0, None
    for text, parts in given["networks"]:
        network = Network.parse(text)
        partition = Partition.parse(parts, network, cfg.lanes) if parts else None

        def train(network=network, partition=partition):
            bench = StepBench(network, neuron, cfg, link, given["seed"], mesh, partition)
            count = given["samples"]
            spikes = (rng.random((count, cfg.timesteps, *network.in_shape)) < rng.uniform(0.1, 0.6)).astype(np.uint8)
            labels = rng.integers(0, network.classes, count)
            return bench.step(spikes, labels, UpdateConstants.of(0.9, 0.5 / 256 / count, count, cfg.format), 256)

        mismatch, _ = await bridge(train)()
        values += network.weights
        if mismatch:
            break
    report(len(given["networks"]), values, mismatch)
