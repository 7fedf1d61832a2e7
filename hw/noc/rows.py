"""Rows of numbers from core to core: errors, partial sums, gradients."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import HEADER, ROWS, Packet, Packing
from trident.hw.isa.spaces import Space
from trident.hw.lib.streams import Buffer
from trident.hw.noc.flits import flit_layout

FLUSH_AFTER = 7  # cycles without a row after which a packet is sent as it is
CREDITS = 2  # packets that a queue of rows holds


class RowSender(wiring.Component):
    """Send rows as packets to one queue of rows, or, for ``final`` jobs, into the targets' gradient memories, whose
    elements are ``sum_rows`` rows.

    Packets are as long as they can be, unless no row comes for some cycles: what is there is then sent, because the
    next rows may take long and others may wait for these. There are never more packets under way than the queue has
    places for. One row per cycle, but for a cycle per flit; while a packet is sent, no row is taken.

    Members
    -------
    job : In, target and channel, and tile (``final``); start : In(1), a pulse: the first row goes to the job's tile
    i : stream of rows; ending : In(1), no more rows come
    busy : Out(1), rows are held or, but for ``final``, not taken yet
    credit : In(1), a packet has been taken
    o : stream of flits
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "i": In(stream.Signature(cfg.row_bits)),
            "ending": In(1),
            "busy": Out(1),
            "credit": In(1),
            "o": Out(stream.Signature(flit_layout(mesh))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, mesh, job = self.cfg, self.mesh, self.job
        packing = Packing(mesh, cfg.row_bits)
        per, pieces, flit = packing.per_flit, packing.pieces, mesh.flit
        shape = flit_layout(mesh)
        m.submodules.flits = flits = fifo.SyncFIFO(width=flit, depth=mesh.packet)
        credits = Signal(range(CREDITS + 1), init=CREDITS)
        address = Signal(17)
        inside = Signal(range(mesh.packet))  # flits of the packet that is built
        row, full = Signal(flit * pieces), Signal()  # rows of the flit that is built, or pieces of the row
        count = Signal(range(max(per, pieces) + 1))  # rows in it, or pieces still to go
        rest = Signal(range(max(per, 2)))
        sending = Signal()
        left = Signal(range(mesh.packet + 1))
        room = Signal()
        idle = Signal(range(FLUSH_AFTER + 1))  # cycles since the last row
        parts = cfg.sum_rows  # rows of an element of gradients
        element = parts * pieces if pieces > 1 else -(-parts // per)  # its flits
        part = Signal(range(max(parts, 2)))  # of the row that comes
        elements = Signal(range(mesh.packet))  # whole ones in the packet that is built
        ended, flush = Signal(), Signal()
        m.d.sync += ended.eq(self.ending)  # which comes through much logic
        m.d.comb += flush.eq((ended | (idle == FLUSH_AFTER)) & (part == 0))  # an element is in one packet
        with m.If(self.i.valid):
            m.d.sync += idle.eq(0)
        with m.Elif(idle != FLUSH_AFTER):
            m.d.sync += idle.eq(idle + 1)
        complete = Signal()  # nothing more goes into this packet
        m.d.comb += room.eq(inside + Mux(job.final & (part == 0), element, pieces) < mesh.packet)
        with m.If(self.i.valid & self.i.ready & job.final):
            m.d.sync += part.eq(part + 1)
            with m.If(part == parts - 1):
                m.d.sync += [part.eq(0), elements.eq(elements + 1)]

        if pieces == 1:  # rows come in from the top and move down; a flit that is not full moves on alone
            position = Signal(range(per + 1))
            filling = position != count  # a flit that is not full is being moved to its place
            short = Signal()  # it is in its place: nothing can follow it in its packet
            closing = filling | flush & ~self.i.valid & count.any()
            m.d.comb += [
                self.i.ready.eq(~full & ~sending & room & ~filling & ~short),
                flits.w_data.eq(row),
                flits.w_en.eq(full),
            ]
            moving = self.i.valid & self.i.ready
            with m.If(moving | closing & ~full & ~sending):
                value = Mux(moving, self.i.payload, 0)
                m.d.sync += row.eq(Cat(row[cfg.row_bits : cfg.row_bits * per], value) if per > 1 else value)
                m.d.sync += position.eq(position + 1)
                with m.If(moving):
                    m.d.sync += count.eq(count + 1)
                with m.If((position == per - 1) | job.final & moving & (part == parts - 1)):
                    m.d.sync += full.eq(1)
            with m.If(full):
                if parts % per:  # an element's last rows lie lowest
                    with m.If(job.final & (count != per)):
                        m.d.comb += flits.w_data.eq(row >> cfg.row_bits * (per - parts % per))
                m.d.sync += [full.eq(0), count.eq(0), position.eq(0), inside.eq(inside + 1), rest.eq(count - 1)]
                m.d.sync += short.eq((count != per) & ~job.final)
            with m.If(sending):
                m.d.sync += short.eq(0)
            m.d.comb += complete.eq(~full & (~room | short | flush & ~self.i.valid & ~count.any() & inside.any()))
        else:
            m.d.comb += [
                self.i.ready.eq(~count.any() & ~sending & room),
                flits.w_data.eq(row),
                flits.w_en.eq(count.any()),
                complete.eq(~count.any() & (~room | flush & ~self.i.valid & inside.any())),
            ]
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [row.eq(self.i.payload), count.eq(pieces)]
            with m.Elif(count.any()):
                m.d.sync += [row.eq(row >> flit), count.eq(count - 1), inside.eq(inside + 1)]

        # A packet that is complete leaves when its receiver has a place
        header = Signal(HEADER.shape())
        rows_header = ROWS.shape()(header.as_value())
        with m.If(job.final):
            m.d.comb += [
                header.packet.eq(Packet.WRITE),
                header.space.eq(Space.GRADIENTS),
                header.address.eq(address),
            ]
        with m.Else():
            m.d.comb += [rows_header.packet.eq(Packet.ROWS), rows_header.channel.eq(job.channel)]
            m.d.comb += rows_header.rest.eq(rest)
        m.d.comb += header.as_value()[:8].eq(job.target)
        last = left == 1
        out = Signal(shape)
        m.d.comb += [
            out.data.eq(Mux(left == 0, header, flits.r_data)),
            out.last.eq(last),
            self.o.payload.eq(out),
            self.o.valid.eq(sending),
            flits.r_en.eq(sending & left.any() & self.o.ready),
            self.busy.eq(count.any() | full | inside.any() | sending | (credits != CREDITS)),
        ]
        begin = complete & ~sending & (credits.any() | job.final)
        with m.If(begin):
            m.d.sync += sending.eq(1)
        with m.If(sending & self.o.ready):
            m.d.sync += left.eq(Mux(left == 0, inside, left - 1))
            with m.If(last):
                m.d.sync += [sending.eq(0), inside.eq(0), elements.eq(0), address.eq(address + elements)]
        with m.If(self.start):
            m.d.sync += address.eq(job.tile << cfg.lane_bits)
        m.d.sync += credits.eq(credits + self.credit - (begin & ~job.final))
        return m


class RowQueue(wiring.Component):
    """Rows from another core until a unit takes them; a credit goes back for each packet that has been taken.

    Members
    -------
    i : stream of rows with the end of their packet; it never has to wait
    o : stream of rows
    source : In(8), the route of the credits; known : In(1), with ``early``, it is there: rows may come before that
    credits : stream of flits; busy : Out(1), credits are still to be sent
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig, early: bool = False):
        self.cfg, self.mesh, self.packing, self.early = cfg, mesh, Packing(mesh, cfg.row_bits), early
        super().__init__({
            "i": In(stream.Signature(self.packing.item_layout())),
            "o": Out(stream.Signature(cfg.row_bits)),
            "source": In(8),
            **({"known": In(1)} if early else {}),
            "credits": Out(stream.Signature(flit_layout(mesh))),
            "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        bits = self.packing.bits
        m.submodules.rows = rows = fifo.SyncFIFO(width=bits + 1, depth=CREDITS * self.packing.per_packet)
        owed = Signal(range(CREDITS + 1))
        owing = owed.any() & self.known if self.early else owed.any()
        front = self.o
        if self.cfg.short_paths:  # a unit sees registers
            m.submodules.front = buffer = Buffer(bits)
            wiring.connect(m, buffer.o, wiring.flipped(self.o))
            front = buffer.i
        m.d.comb += [
            rows.w_data.eq(self.i.payload),
            rows.w_en.eq(self.i.valid),
            self.i.ready.eq(1),
            front.payload.eq(rows.r_data[:bits]),
            front.valid.eq(rows.r_rdy),
            rows.r_en.eq(front.ready),
            self.busy.eq(owed.any()),
            self.credits.valid.eq(owing),
            self.credits.payload.last.eq(1),
            self.credits.payload.data.eq(Cat(self.source, Const(Packet.CREDIT, 3))),
        ]
        end = rows.r_rdy & rows.r_en & rows.r_data[bits]
        m.d.sync += owed.eq(owed + end - (owing & self.credits.ready))
        return m
