"""What leaves a time-ordered drain, one row at a time, in front of a unit that may be busy."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads


def neuron_item(payloads: Payloads) -> data.StructLayout:
    """One timestep of ``lanes`` neurons: their sums and where they belong."""
    return data.StructLayout({"row": payloads.cfg.row_bits, "tag": payloads.place})


def error_item(payloads: Payloads) -> data.StructLayout:
    """One timestep of the errors at ``lanes`` neurons' spikes, and where they belong."""
    return data.StructLayout({"row": payloads.cfg.row_bits, "tag": payloads.error_place})


def place_error(payloads: Payloads, tag, drained, carry) -> list:
    """The assignments that give a drained row its place among the errors; ``carry``: of its job."""
    placed = [tag[name].eq(drained[name]) for name, _ in payloads.place]
    return placed + ([tag.carry.eq(carry), tag.word.eq(drained.address)] if payloads.cfg.chunks > 1 else [])


def drained_item(payloads: Payloads) -> data.StructLayout:
    """As :func:`neuron_item`, as it leaves an array: the row may be one of exact sums."""
    return data.StructLayout({"row": payloads.value_bits, "tag": payloads.place})


class DrainQueue(wiring.Component):
    """Rows on their way from an array, which cannot wait, to a neuron unit, which can.

    A drain may start only when its row is sure to find a place (``ready``).

    Members
    -------
    issued : In(1), a drain starts in the array
    ready : Out(1), one more may start
    drained, drained_valid : In, from the array
    o : stream of rows with their tags
    busy : Out(1), a row is held or expected; two : Out(1), two rows are there
    """

    def __init__(self, payloads: Payloads, latency: int):
        self.payloads, self.depth = payloads, payloads.cfg.drain_queue(latency)
        super().__init__({
            "issued": In(1),
            "ready": Out(1, init=1),
            "drained": In(payloads.drained),
            "drained_valid": In(1),
            "o": Out(stream.Signature(drained_item(payloads))),
            "busy": Out(1),
            "two": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        item = drained_item(self.payloads)
        m.submodules.rows = rows = fifo.SyncFIFO(width=item.size, depth=self.depth)
        reserved, after = Signal(range(self.depth + 1)), Signal(range(self.depth + 1))
        pop = self.o.valid & self.o.ready
        entering = Signal(item)
        columns = Array(self.drained.values)
        m.d.comb += [
            after.eq(reserved + self.issued - pop),
            entering.row.eq(columns[self.drained.tag.col] if len(columns) > 1 else columns[0]),
            *(entering.tag[name].eq(self.drained.tag[name]) for name, _ in self.payloads.place),
            rows.w_data.eq(entering),
            rows.w_en.eq(self.drained_valid),
            self.o.payload.eq(rows.r_data),
            self.o.valid.eq(rows.r_rdy),
            rows.r_en.eq(self.o.ready),
            self.busy.eq(reserved.any()),
            self.two.eq(rows.level > 1),
        ]
        m.d.sync += [reserved.eq(after), self.ready.eq(after != self.depth)]
        return m


def queue_drain(engine, m: Module):
    """Send an engine's drained rows through a queue to its port ``o``."""
    array = engine.array
    m.submodules.queue = queue = DrainQueue(engine.payloads, array.latency)
    m.d.comb += [
        queue.issued.eq(array.i.valid & array.i.ready & array.i.payload.drain),
        array.drain_ready.eq(queue.ready),
        queue.drained.eq(array.drained),
        queue.drained_valid.eq(array.drained_valid),
        engine.o.valid.eq(queue.o.valid),
        engine.o.payload.eq(queue.o.payload),
        queue.o.ready.eq(engine.o.ready),
    ]
    return queue.busy
