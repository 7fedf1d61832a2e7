"""The cocotb test of a whole core: training steps through its host port, which stalls at random, against golden."""

import cocotb
import numpy as np
from cocotb.task import bridge, resume

from host.constants import UpdateConstants
from host.network import Network
from host.settings import NeuronSettings
from hw.config import CoreConfig
from sim.bench import StepBench
from tests.cocotb.clocked import Clocked
from tests.cocotb.simulate import load_case, report


class CocotbLink(Clocked):
    """A link as of :class:`host.driver.Link` over the core's two streams.

    In a random share ``flow`` of the cycles a word is offered and taken. To be called from a bridged thread.
    """

    def __init__(self, dut, rng, flow: float):
        super().__init__(dut)
        self.rng, self.flow = rng, flow
        self.exchange = resume(self._exchange)

    @property
    def cycles(self) -> int:
        return self.cycle

    async def _exchange(self, words: np.ndarray, wanted: int, limit: int) -> tuple[int, np.ndarray]:
        dut, sent, taken, offered = self.dut, 0, [], False
        words = [int(word) for word in words]
        for _ in range(limit):
            if sent == len(words) and len(taken) == wanted:
                break
            offered = offered or (sent < len(words) and self.rng.random() < self.flow)
            ready = len(taken) < wanted and self.rng.random() < self.flow
            dut.i_valid.value, dut.o_ready.value = int(offered), int(ready)
            if offered:
                dut.i_payload.value = words[sent]
            await self.settle()
            if ready and int(dut.o_valid.value):
                taken.append(int(dut.o_payload.value))
            if offered and int(dut.i_ready.value):
                sent, offered = sent + 1, False
            await self.tick()
        dut.i_valid.value = dut.o_ready.value = 0
        return sent, np.array(taken, np.uint32)


@cocotb.test()
async def core(dut):
    """A training step of every network, one after another on the same core."""
    given = load_case()
    cfg = CoreConfig(**given["cfg"])
    rng = np.random.default_rng(given["seed"])
    link = CocotbLink(dut, rng, given["flow"])
    await link.reset()
    neuron = NeuronSettings(reset=cfg.reset, surrogate=cfg.surrogate)
    values, mismatch = 0, None
    for text in given["networks"]:
        network = Network.parse(text)

        def train(network=network):
            bench = StepBench(network, neuron, cfg, link, given["seed"])
            count = given["samples"]
            spikes = (rng.random((count, cfg.timesteps, *network.in_shape)) < rng.uniform(0.1, 0.6)).astype(np.uint8)
            labels = rng.integers(0, network.classes, count)
            return bench.step(spikes, labels, UpdateConstants.of(0.9, 0.5 / 256 / count, cfg.format), 256)

        mismatch, _ = await bridge(train)()
        values += network.weights
        if mismatch:
            break
    report(len(given["networks"]), values, mismatch)
