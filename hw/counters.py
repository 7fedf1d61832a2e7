"""Registers that the host reads: who the core is, what it waits for, what it has done."""

from dataclasses import replace
from zlib import crc32

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.layouts import QUEUES, WORD
from hw.noc.config import MeshConfig

MAGIC = 0x54524944  # "TRID"

# Counters that every engine has, and the field of its activity that each counts
ENGINE_COUNTERS = {
    "running": "running",
    "issued": "issued",
    "useful": "useful",
    "drained": "drained",
    "stalled": "stalled",
    "rows": "row",
    "words": "word",
    "skipped": "skipped",
}

# What is counted, besides cycles, with the width of one cycle's increment
COUNTED = {
    **{f"{engine}.{name}": 6 if name in ("useful", "skipped") else 1
       for engine in ("forward", "backward", "weight_grad") for name in ENGINE_COUNTERS},
    "update.running": 1,
    "receive.running": 1,
    "send.running": 1,
    "reduce.running": 1,
    "mac.neuron": 1,
    "mac.neuron_grad": 1,
    "mac.update": 1,
    "spikes.reads": 2,
    "spikes.writes": 1,
    "masks.reads": 1,
    "masks.writes": 1,
    "errors.reads": 2,
    "errors.writes": 1,
    "error_masks.reads": 1,
    "error_masks.writes": 1,
    "gradients.reads": 1,
    "gradients.writes": 1,
    "momentum.reads": 1,
    "momentum.writes": 1,
    "weights.reads": 2,
    "weights.writes": 1,
    "noc.flits_in": 1,
    "noc.flits_out": 1,
}  # fmt: skip

COUNTS = data.StructLayout(COUNTED)

STATE = ("magic", "config", "status", *(f"waiting.{queue.name.lower()}" for queue in QUEUES), "active")
REGISTERS = (*STATE, "cycles", *COUNTED)


def config_digest(cfg: CoreConfig, mesh: MeshConfig) -> int:
    """32 bits that tell one configuration of a core from another; cores of meshes of all sizes are the same."""
    return crc32(repr((cfg, replace(mesh, width=1, height=1))).encode())


class Counters(wiring.Component):
    """A 32-bit counter per entry of :data:`COUNTED` (they wrap around), and the state registers, by index.

    ``cycles`` counts while ``running``. Reading takes one cycle.

    Members
    -------
    running : In(1); counted : In, increments by name; state : In, the STATE words after
        magic and config
    address : In; rdata : Out(32)
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__({
            "running": In(1),
            "counted": In(COUNTS),
            "state": In(WORD).array(len(STATE) - 2),
            "address": In(range(len(REGISTERS))),
            "rdata": Out(WORD),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cycles = Signal(WORD)
        m.d.sync += cycles.eq(cycles + self.running)
        values = [Signal(WORD, name=name.replace(".", "_")) for name in COUNTED]
        for value, name in zip(values, COUNTED, strict=True):
            m.d.sync += value.eq(value + self.counted[name])
        digest = config_digest(self.cfg, self.mesh)
        words = [Signal(WORD, init=MAGIC, name="magic"), Signal(WORD, init=digest, name="config")]
        m.d.sync += self.rdata.eq(Array([*words, *self.state, cycles, *values])[self.address])
        return m

