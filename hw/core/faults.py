"""Which units have had a number that is too large, and in which job first."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.words import WORD


class Faults(wiring.Component):
    """Keep faults until the next start, with the number of the job that had the first one.

    Members
    -------
    raised : In, one bit per :class:`Fault`; number : In, the job that each would be of; start : In(1)
    others : In(1), a pulse: another core has a fault of its gradients
    flags : Out, the faults; skip : Out(1), gradients are not to be used; status : Out(32), faults and first job
    """

    def __init__(self, cfg: CoreConfig):
        self.bits = cfg.job_number_bits
        super().__init__({
            "raised": In(len(Fault)),
            "number": In(self.bits).array(len(Fault)),
            "start": In(1),
            "others": In(1),
            "flags": Out(len(Fault)),
            "skip": Out(1),
            "status": Out(WORD),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        first_job, elsewhere = Signal(self.bits), Signal()
        m.d.comb += [
            self.skip.eq((self.flags & GRADIENT_FAULTS).any() | elsewhere),
            self.status.eq(Cat(self.flags, Const(0, 8 - len(Fault)), first_job)),
        ]
        with m.If(self.start):
            m.d.sync += [self.flags.eq(0), first_job.eq(0), elsewhere.eq(0)]
        with m.Else():
            m.d.sync += [self.flags.eq(self.flags | self.raised), elsewhere.eq(elsewhere | self.others)]
            for fault in Fault:
                with m.If(self.raised[fault] & ~self.flags.any()):
                    m.d.sync += first_job.eq(self.number[fault])
        return m
