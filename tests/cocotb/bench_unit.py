"""The cocotb test of one unit: random cases with random gaps and back-pressure, output by output against golden."""

from dataclasses import dataclass

import cocotb
import numpy as np

from tests.cocotb.cases import Case, Maker
from tests.cocotb.clocked import Clocked
from tests.cocotb.simulate import load_case, report
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space

LIMIT = 60_000  # cycles of one run
# Memories whose writes the harness shows
SHOWN = {
    "weight_grad": (Space.GRADIENTS,), "neuron": (Space.SPIKES, Space.MASKS), "neuron_grad": (Space.ERRORS,),
    "pool": (Space.MASKS,), "update": (Space.WEIGHTS,),
    "standardise": (Space.WEIGHTS,), "drop": (Space.MASKS,),
}  # fmt: skip
STREAMS = ("forward", "backward", "fire", "loss", "softmax", "receive", "reduce", "spread")  # units with a stream out


@dataclass(frozen=True)
class Difference:
    """Where a unit and golden first differ."""

    unit: str
    case: str
    place: str
    expected: int
    found: int
    cycle: int | None

    def __str__(self) -> str:
        when = "never written" if self.cycle is None else f"cycle {self.cycle}"
        return f"{self.unit}: {self.place}: expected {self.expected:#x}, found {self.found:#x}, {when} ({self.case})"


class UnitBench(Clocked):
    """Drives the ports of :class:`tests.cocotb.harness.Harness`."""

    def __init__(self, dut, unit: str, stream_out: bool, rng, flow: float):
        super().__init__(dut)
        self.unit, self.stream_out, self.rng, self.flow = unit, stream_out, rng, flow
        self.values = 0

    async def write(self, space: Space, elements: dict[int, int]):
        dut = self.dut
        dut.host_space.value, dut.host_select.value, dut.host_write.value = int(space), 1, 1
        for address, value in elements.items():
            dut.host_address.value, dut.host_wdata.value = address, value
            await self.tick()
        dut.host_select.value = dut.host_write.value = 0

    async def read(self, space: Space, addresses) -> list[int]:
        dut, found = self.dut, []
        dut.host_space.value, dut.host_select.value = int(space), 1
        for address in addresses:
            dut.host_address.value = address
            await self.tick()
            await self.settle()
            found.append(int(dut.host_rdata.value))
        dut.host_select.value = 0
        return found

    async def check(self, case: Case) -> Difference | None:
        """Run a case; returns the first difference."""
        dut = self.dut
        for space, elements in case.memories.items():
            await self.write(space, elements)
        inputs, outputs = list(case.inputs), list(case.outputs)
        fault, written = False, {}
        for run in case.runs:
            for name, value in run.items():
                getattr(dut, name).value = int(value)
            dut.start.value = 1
            await self.tick()
            dut.start.value = 0
            taken, started = 0, self.cycle
            offered = False
            while True:
                offered = offered or (taken < len(inputs) and self.rng.random() < self.flow)
                dut.i_valid.value = int(offered)
                if offered:
                    dut.i_payload.value = inputs[taken]
                ready = self.rng.random() < self.flow
                dut.o_ready.value = int(ready)
                dut.hold.value = int(self.rng.random() >= self.flow)
                await self.settle()
                busy = bool(int(dut.busy.value))
                fault |= bool(int(dut.nonfinite.value))
                if int(dut.o_valid.value):
                    payload = int(dut.o_payload.value)
                    if not self.stream_out:
                        written[payload] = self.cycle
                    elif ready:
                        if difference := self._output(case, outputs, payload):
                            return difference
                        outputs.pop(0)
                if offered and int(dut.i_ready.value):
                    taken, offered = taken + 1, False
                await self.tick()
                if not busy and taken == len(inputs):
                    break
                if self.cycle - started > LIMIT:
                    return Difference(self.unit, case.what, "still busy at the limit of cycles", 0, 1, self.cycle)
            inputs = []
        if outputs:
            value, _, place = outputs[0]
            return Difference(self.unit, case.what, f"{place} (no output)", value, 0, None)
        for space, elements in case.after.items():
            found = await self.read(space, elements)
            for (address, (value, mask, place)), got in zip(elements.items(), found, strict=True):
                self.values += 1
                if (value ^ got) & mask:
                    place = f"{space.name.lower()} element {address}, {place}"
                    cycle = written.get(address) if space in SHOWN.get(self.unit, ()) else self.cycle
                    return Difference(self.unit, case.what, place, value, got, cycle)
        if fault != case.fault:
            return Difference(self.unit, case.what, "infinity or NaN seen", int(case.fault), int(fault), self.cycle)
        return None

    def _output(self, case: Case, outputs, payload: int) -> Difference | None:
        if not outputs:
            return Difference(self.unit, case.what, "one output too many", 0, payload, self.cycle)
        value, mask, place = outputs[0]
        self.values += 1
        if (value ^ payload) & mask:
            return Difference(self.unit, case.what, place, value, payload & mask, self.cycle)
        return None


@cocotb.test()
async def unit(dut):
    """Every case of the configuration, each from a random network."""
    given = load_case()
    cfg = CoreConfig(**given["cfg"])
    rng = np.random.default_rng(given["seed"])
    bench = UnitBench(dut, given["unit"], given["unit"] in STREAMS, rng, 1.0)
    await bench.reset()
    mismatch = None
    for n in range(given["cases"]):
        bench.flow = (1.0, 0.6, 0.25)[n % 3]
        case = getattr(Maker(cfg, rng), given["unit"])()
        if mismatch := await bench.check(case):
            break
    report(n + 1, bench.values, mismatch)
