"""The host link: how much of a serial line's rate the upload of samples uses."""

from collections.abc import Iterator

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.packing import pack_spikes
from trident.host.driver.packets import Packets
from trident.host.driver.serial_link import SerialLink
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.generate import emit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.line import BYTE_BITS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Command
from trident.hw.isa.tokens import Token
from trident.hw.link.endpoint import Endpoint
from trident.sim.rtl.line import CLOCK, SimulatedLine
from trident.snn.data.encoding import encode

BAUD = 3_000_000
UPLOAD_BOUND = 0.85
SAMPLES = {"digits": 128, "mnist": 32}
NETWORKS = {"digits": "64-32-10", "mnist": "784-32-10"}  # their first layers take the images as they are
LABEL = 1  # bytes of a label that count as payload; ten classes need no more


class Sink(wiring.Component):
    """The link's RTL, with a chip behind it that takes every flit at once; ports of a linked chip."""

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.endpoint = Endpoint(cfg, mesh, CLOCK, BAUD)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.endpoint = endpoint = self.endpoint
        m.d.comb += [
            endpoint.rx.eq(self.rx), self.tx.eq(endpoint.tx), self.error.eq(endpoint.error), endpoint.o.ready.eq(1),
        ]  # fmt: skip
        return m


def sample_packets(plan: ChipPlan, spikes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The flits with which a session sends samples, uint8 (N, T, y, x, c)."""
    packets, partition, parts = Packets(plan.cfg, plan.mesh), plan.partition, []
    for n, (sample, label) in enumerate(zip(pack_spikes(spikes, plan.cfg), labels, strict=True)):
        replica, number = n % partition.replicas, n // partition.replicas
        first = partition.core(replica, 0)
        for core in range(first, first + partition.stages[0].cores):
            parts.append(packets.command(Command.WAIT, 0, plan.placement[core]))
        parts.append(packets.put(plan.inputs[replica], plan.plans[first].input.at(number), sample))
        parts.append(packets.token(plan.inputs[replica], Token.INPUT_READY0, int(label)))
    return np.concatenate(parts)


def upload_fraction(data: str) -> float:
    """Bytes of spikes and labels of a data set's first samples, over the bytes that the line could have carried from
    the first one to the last acknowledgement."""
    spec = RunSpec.make(data, NETWORKS[data], preset="FPGA")
    count = SAMPLES[data]
    spikes, _ = encode(spec.dataset, spec.network, spec.cfg.steps, spec.encoding)
    flits = sample_packets(spec.plan, spikes[:count], spec.dataset.train_labels[:count])
    line = SimulatedLine(emit(Sink(spec.cfg, spec.mesh), "sink"), "sink", CLOCK, BAUD)
    link = SerialLink(line, spec.cfg, spec.mesh)
    began = line.now()
    given, _ = link.exchange(flits, 0, CLOCK)
    seconds = line.now() - began
    link.close()
    if given < len(flits):
        raise RuntimeError(f"the link took {given} of {len(flits)} flits")
    inputs = int(np.prod(spec.network.sample_shape)) * spec.cfg.steps // 8
    return count * (inputs + LABEL) / (seconds * BAUD / BYTE_BITS)


def measure_link(only: str = "") -> Iterator[Figure]:
    """The figures whose names begin with ``only``."""
    for data in SAMPLES:
        if (name := f"link.upload.{data}").startswith(only) or only.startswith(name):
            yield Figure(name, "fraction", upload_fraction(data), "higher", UPLOAD_BOUND)
