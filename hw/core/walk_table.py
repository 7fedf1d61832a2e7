"""The further walks of an engine's jobs, which add to the same sums."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.words import WORD


class WalkTable(wiring.Component):
    """Keeps the walks of the job that runs, with ``prefetch_jobs`` while those of the next one are loaded.

    Members
    -------
    word, index, number : In, a word of a walk, which one it is, and of which walk; en : In(1), it is loaded
    take : In(1), the job that has been loaded begins; without ``prefetch_jobs``, is loaded from now on
    walk : In, which walk is asked for, from 1 on; job : Out, in the same cycle its fields, but for tokens
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "word": In(WORD), "index": In(range(JOB.words)), "number": In(range(cfg.walks)), "en": In(1),
            "take": In(1), "walk": In(range(cfg.walks)), "job": Out(JOB.shape()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.jobs = jobs = memory.Memory(shape=self.cfg.job_words * WORD, depth=2 << len(self.walk), init=[])
        read, write = jobs.read_port(domain="comb"), jobs.write_port(granularity=WORD)
        runs = Signal()  # the half that is read
        with m.If(self.take):
            m.d.sync += runs.eq(~runs)
        m.d.comb += [
            read.addr.eq(Cat(self.walk, runs)),
            self.job.eq(read.data),
            write.addr.eq(Cat(self.number, ~runs if self.cfg.prefetch_jobs else runs)),
            write.data.eq(self.word.replicate(self.cfg.job_words)),
            write.en.eq(self.en << self.index),
        ]
        return m
