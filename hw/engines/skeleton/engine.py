"""The skeleton that all three engines are built on: walker, gather, scan, rows, beats, array."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.array import ProcessingArray
from trident.hw.engines.skeleton.beats import BeatLoop
from trident.hw.engines.skeleton.gather import Gather
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.rows import RowLoop
from trident.hw.engines.skeleton.scan import Scan
from trident.hw.isa.job import JOB
from trident.hw.isa.planes import PLANES_JOB
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.streams import connect

ACTIVITY = data.StructLayout({
    "running": 1,  # a job is under way
    "issued": 1,  # an addition starts
    "useful": 6,  # columns that add in it
    "drained": 1,  # an accumulator leaves without adding
    "stalled": 1,  # an operation waits for the drain
    "row": 1,  # a row is read
    "word": 1,  # a spike word is read
    "skipped": 6,  # column vectors that were all zero, whose rows are not read
})  # fmt: skip


class Engine(wiring.Component):
    """A walker, an array and a drain, connected.

    A subclass gives the walker, the drain, whether the array multiplies, and a second memory operand if it has one:
    it overrides :meth:`connect_operand` and :meth:`connect_drain`, and :meth:`prepare_row` if rows are changed on the
    way.

    Members
    -------
    job, start : In, what to do, see :func:`walker_ports`
    busy : Out(1), from ``start`` until every drained value has left the array
    word_address, word_en, word_data : read port for spike words (backward: error masks)
    row_tile, row_number, row_en, row_data : read port for rows
    activity : Out, for the counters
    walk, further : of engines that make several walks, see :class:`TapWalker`
    nonfinite : Out(1), see :class:`ProcessingArray`
    awake : Out(1), where it is 0 the clock may stop
    """

    has_operand = False

    def __init__(self, payloads: Payloads, walker, drain, multiply: bool, ports: dict):
        self.payloads, self.walker, self.drain = payloads, walker, drain
        self.array = ProcessingArray(payloads, multiply)
        cfg = payloads.cfg
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "busy": Out(1),
            "word_address": Out(cfg.address_bits),
            "word_en": Out(1),
            "word_data": In(cfg.spike_bits),
            "row_tile": Out(cfg.address_bits),
            "row_number": Out(cfg.vector_bits),
            "row_en": Out(1),
            "row_data": In(cfg.row_bits),
            "activity": Out(ACTIVITY),
            "nonfinite": Out(1),
            "awake": Out(1),
            **({"walk": Out(range(cfg.walks)), "further": In(JOB.shape())} if payloads.walks > 1 else {}),
            **ports,
        })  # fmt: skip

    @property
    def limit(self):
        """The exponent code from which on a number is too large for a sum."""
        return self.job.exponent

    def connect_operations(self, m: Module, source, sink):
        """Give the array its operations: those of the walker's rows."""
        connect(m, source, sink)

    def between_jobs(self):
        """What keeps it awake beside its jobs; here nothing."""
        return 0

    def connect_operand(self, m: Module, fetch: Fetch):
        """Read the second operand of ``fetch.i.payload`` with ``fetch.en`` and give it to the array."""

    def prepare_row(self, row):
        """What the array adds or multiplies instead of the row as it was read; here the row itself."""
        return row

    def connect_drain(self, m: Module):
        """Take ``array.drained``, drive ``array.drain_ready``; return a signal that is 0 when nothing is held."""
        raise TypeError(f"{type(self).__name__} must say where its drained values go")

    def elaborate(self, platform):
        m = Module()
        payloads, cfg = self.payloads, self.payloads.cfg
        m.submodules.walker = walker = self.walker
        m.submodules.gather = gather = Gather(payloads)
        m.submodules.scan = scan = Scan(payloads)
        m.submodules.rows = rows = RowLoop(payloads)
        m.submodules.beats = beats = BeatLoop(payloads, self.drain)
        m.submodules.array = array = self.array
        connect(m, walker.o, gather.i)
        connect(m, gather.o, scan.i)
        connect(m, scan.o, rows.i)
        row, delayed = self.row_data, []
        if cfg.short_paths and payloads.engine == "weight_grad":  # whether a row is zero is known a cycle later
            m.submodules.delay = delay = Fetch(payloads.row)
            connect(m, rows.o, delay.i)
            connect(m, delay.o, beats.i)
            row = Signal(cfg.row_bits)
            with m.If(delay.en):
                m.d.sync += row.eq(self.row_data)
            delayed.append(delay.o.valid)
        else:
            connect(m, rows.o, beats.i)
        held = []
        if self.has_operand:
            m.submodules.operand = fetch = Fetch(payloads.op)
            self.connect_operations(m, beats.o, fetch.i)
            connect(m, fetch.o, array.i)
            self.connect_operand(m, fetch)
            held.append(fetch.o.valid)
        else:
            connect(m, beats.o, array.i)
        draining = self.connect_drain(m)
        held += [walker.busy, walker.o.valid, gather.busy, gather.o.valid, scan.o.valid, rows.o.valid, *delayed]

        job, planes = self.job, Signal(PLANES_JOB)
        if payloads.planes:
            m.d.comb += planes.eq(job.count)
        running, words_per_row = Signal(), Signal(cfg.address_bits)
        m.d.sync += words_per_row.eq(job.src_x * job.blocks)  # there before the first request
        m.d.comb += [
            walker.job.eq(job),
            *([self.walk.eq(walker.walk), walker.further.eq(self.further)] if payloads.walks > 1 else []),
            walker.start.eq(self.start),
            self.word_address.eq(gather.address),
            self.word_en.eq(gather.en),
            gather.blocks.eq(job.blocks),
            gather.row.eq(words_per_row),
            gather.planes.eq(planes.on),
            gather.data.eq(self.word_data),
            rows.group_step.eq(job.group_step),
            rows.group_entries.eq(job.group_entries),
            self.row_tile.eq(rows.tile),
            # Of errors, those of the first timestep are the sum of all
            self.row_number.eq(Mux(planes.on, 0, rows.number) if payloads.engine == "weight_grad" else rows.number),
            self.row_en.eq(rows.en),
            beats.row.eq(self.prepare_row(row)),
            beats.groups.eq(job.groups),
            beats.group_entries.eq(job.group_entries),
            beats.planes.eq(planes),
            *([beats.apart.eq(job.low)] if payloads.apart else []),
            beats.line.eq(job.count if cfg.pool > 1 and payloads.engine == "backward" else 0),
            self.busy.eq(running & (Cat(held).any() | ~beats.idle | ~array.idle | draining)),
            self.nonfinite.eq(array.nonfinite),
        ]
        m.d.sync += [running.eq(self.start | self.busy), array.limit.eq(self.limit)]  # there before the first operation

        fire = array.i.valid & array.i.ready
        adds = array.i.payload.mask.any()
        m.d.comb += [
            self.awake.eq(self.start | running | ~beats.ready | self.between_jobs()),
            self.activity.running.eq(running),
            self.activity.issued.eq(fire & adds),
            self.activity.useful.eq(sum(array.i.payload.mask[n] & fire for n in range(payloads.cols))),
            self.activity.drained.eq(fire & ~adds),
            self.activity.stalled.eq(array.stalled),
            self.activity.row.eq(rows.en),
            self.activity.word.eq(gather.fetched),
            self.activity.skipped.eq(scan.skipped),
        ]
        return m
