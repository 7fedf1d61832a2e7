"""The reduce unit: gradients of several replicas, summed from core to core by the weight-gradient engine's adders."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


class ReduceUnit(wiring.Component):
    """For ``count`` rows from the job's first tile on: gradient memory plus the row that comes to the weight-gradient
    engine, or, without ``take``, the gradient as it is. The sum goes back to the memory and leaves through the engine.

    One row per cycle.

    Members
    -------
    job : In; start : In(1), a pulse; busy : Out(1), operations are still to come
    o : stream of operations for the weight-gradient engine's array
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "weight_grad")
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "busy": Out(1),
            "o": Out(stream.Signature(self.payloads.op)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, cols = self.cfg, self.job, self.payloads.cols
        op = self.o.payload
        tile = Signal(cfg.address_bits)
        lane = Signal(range(max(cfg.lanes, 2)))
        left = Signal(17)
        col_bits = (cols - 1).bit_length()
        m.d.comb += [
            self.o.valid.eq(self.busy),
            op.mask.eq(Mux(job.take, 1 << lane[:col_bits] if cols > 1 else 1, 0)),
            op.first.eq(1),
            op.drain.eq(1),
            op.beat.eq(lane >> col_bits),
            op.tag.address.eq(tile),
            op.tag.step.eq(lane),
            op.tag.col.eq(lane[:col_bits]),
        ]
        with m.If(self.start):
            m.d.sync += [tile.eq(job.tile), lane.eq(0), left.eq(job.count), self.busy.eq(job.count != 0)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [lane.eq(lane + 1), left.eq(left - 1), self.busy.eq(left != 1)]
            with m.If(lane == cfg.lanes - 1):
                m.d.sync += [lane.eq(0), tile.eq(tile + 1)]
        return m
