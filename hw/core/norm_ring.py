"""The way of a norm's sums from core to core, where copies of a network have shares of a minibatch."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream

from trident.hw.isa.operations import QUEUE_OF, Opcode
from trident.hw.isa.packets import Rows
from trident.hw.lib.streams import connect, join


def connect_ring(m: Module, sequencer, norm, rows, partials, split, joined, taking):
    """Rows of the norm unit leave through the sender ``rows`` and come from the queue ``partials``, while it has a job.

    At other times what leaves is ``split`` of others, and what comes is ``joined`` for them while one is ``taking`` it:
    rows of a core that is ahead wait in the queue for the norm's next job, which alone knows whom their credits go to.
    """
    forward, kind = Opcode.FORWARD, QUEUE_OF[Opcode.NORM][1]
    merging = Signal()
    m.d.sync += merging.eq(sequencer.active[forward] & (sequencer.kind[forward] == kind))
    m.d.comb += partials.known.eq(merging | taking)
    with m.If(merging):
        m.d.comb += [
            rows.job.eq(norm.job), rows.job.channel.eq(Rows.PARTIALS), rows.job.final.eq(0),
            partials.source.eq(norm.job.source),
        ]  # fmt: skip
        with m.If(rows.busy | partials.busy):
            m.d.comb += sequencer.busy[forward].eq(1)
    sent, for_norm, for_others = (stream.Signature(rows.i.payload.shape()).create() for _ in range(3))
    join(m, sent, (merging, norm.o), (~merging, split.o))
    connect(m, sent, rows.i)
    for chosen, own, sink in ((merging, for_norm, norm.i), (~merging & taking, for_others, joined.i)):
        m.d.comb += [own.payload.eq(partials.o.payload), own.valid.eq(partials.o.valid & chosen)]
        connect(m, own, sink)
    m.d.comb += partials.o.ready.eq(Mux(merging, for_norm.ready, for_others.ready & taking))
