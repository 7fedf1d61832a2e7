"""A small core: one engine for all three operations, and a controller for everything around it."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import fifo, wiring

from trident.hw.arith.mac import connect_clients
from trident.hw.compact.engine import SharedEngine
from trident.hw.compact.firmware import image
from trident.hw.compact.instructions import Flag, Mode, Read, Write
from trident.hw.compact.memories import connect_memories
from trident.hw.compact.processor import BITS, Processor
from trident.hw.compact.walker import shared_job
from trident.hw.core.core import core_signature
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import Opcode
from trident.hw.isa.packets import Packing
from trident.hw.noc.inbox import Inbox
from trident.hw.noc.inject import Outbox
from trident.hw.units.neuron import NeuronUnit
from trident.hw.units.neuron_grad import NeuronGradUnit

MAC_CLIENTS = (Fault.NEURON_GRAD, Fault.NEURON, Fault.UPDATE)  # in the order in which they are served
# Ports that write two fields of eight bits
WIDE = {Write.IMAGE: ("src_y", "src_x"), Write.PASS_GROUPS: ("pass_groups", "exponent")}
# And fields that lie where a job has them
OFFSETS = {Write.SHAPE: ("last_x", "last_tap", "stride2", "bias"), Write.LAST_Y: ("last_y", "origin")}


class ControlledCore(wiring.Component):
    """What :class:`Core` does, in half of its logic.

    ::

        flits --> inbox --> CONTROLLER --> outbox --> flits
                            |  |  ^ rows
           weights, momenta,|  |  |
           gradients, spikes|  ENGINE --> neuron --> spikes, masks
                            |     |
                            +--> neuron_grad --> errors

    The controller runs the core's program: it takes packets apart and makes them, counts tokens, starts the engine, and
    does by itself what other cores have units for: send, receive, loss, reduce and update.
    Rows go past it, from the engine to the outbox and from the inbox to the engine, once it has seen to their header.

    Members
    -------
    The ports are those of :class:`Core`.
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__(core_signature(mesh))

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        m.submodules.processor = processor = Processor(image(cfg, self.mesh), cfg.timesteps)
        m.submodules.neuron = neuron = NeuronUnit(cfg)
        m.submodules.neuron_grad = grad = NeuronGradUnit(cfg)
        m.submodules.engine = engine = SharedEngine(cfg, [grad.steps.going.size, neuron.steps.going.size, 1])
        self.value = processor.value
        self.write = {port: processor.write & (processor.port == port) for port in Write}
        self.data, self.flags = {}, {Flag.TRUE: Const(1)}  # what IN and branches find, by port and flag
        take = {port: processor.take & (processor.port == port) for port in Read}

        self._job(m, engine)
        backward = self._start(m, engine, neuron, grad)
        self._network(m, engine, take)
        self._gradient(m, engine, grad, backward)
        leak = self._kept(m, Write.A)
        self._constants(m, neuron, grad, leak)
        self._multiply_add(m, engine.array, (grad, neuron), leak)
        self._faults(m, engine, backward)
        hold = connect_memories(m, cfg, processor, self.write, engine, neuron, grad, self.data)

        m.d.sync += [self.table_en.eq(self.write[Write.ROUTE]), self.table_data.eq(self.value)]
        m.d.comb += [
            self.table_address.eq(self._kept(m, Write.ROUTE_ADDRESS)),
            self.active.eq(self._kept(m, Write.ACTIVE)),
        ]
        cycles, product = Signal(BITS), Signal(2 * BITS)
        m.d.sync += cycles.eq(cycles + 1)
        m.d.comb += product.eq(self._kept(m, Write.FACTOR0) * self._kept(m, Write.FACTOR1))
        self.data |= {
            Read.PLACE: Cat(self.x, self.y),
            Read.CYCLES: cycles,
            Read.PRODUCT: product[:BITS],
            Read.PRODUCT_HIGH: product[BITS:],
        }
        port_read = Signal(4)  # the port of an IN, in its second cycle
        m.d.sync += port_read.eq(processor.port)
        waits = processor.read & (processor.port == Read.PHIT) & ~self.flags[Flag.IN]  # for the next phit of a packet
        m.d.comb += [
            processor.hold.eq(hold | waits),
            processor.data.eq(Array(self.data.get(port, Const(0, BITS)) for port in Read)[port_read]),
        ]
        # A cycle late, because they come through much logic and decide what is fetched next
        m.d.sync += processor.flags.eq(Cat(self.flags.get(flag, Const(0)) for flag in Flag))
        return m

    def _kept(self, m: Module, port: Write, bits: int = BITS) -> Signal:
        """A register that OUT writes."""
        register = Signal(bits, name=port.name.lower())
        with m.If(self.write[port]):
            m.d.sync += register.eq(self.value)
        return register

    def _network(self, m: Module, engine, take: dict):
        """The phit at hand, and the phits that are sent; rows pass by the controller, from the engine into a packet and
        from a packet to the partial sums, once it has seen to the header."""
        mesh = self.mesh
        m.submodules.inbox = inbox = Inbox(mesh, by_phit=True)
        m.submodules.outbox = outbox = Outbox(mesh, by_phit=True)
        wiring.connect(m, wiring.flipped(self.i), inbox.i)
        wiring.connect(m, outbox.o, wiring.flipped(self.o))
        phit = inbox.o.payload

        # The row that has left the engine; behind a register, as the engine decides late whether there is one
        full, row = Signal(), Signal(BITS)
        giving = Signal()  # rows go into a packet, two by two
        pairs = Signal(range(mesh.packet))  # that may still follow
        second = Signal()
        ends = giving & full & second & (~engine.two | (pairs == 0))
        m.d.comb += self.row_ready.eq(~full)
        with m.If(take[Read.ROW] | giving & full):
            m.d.sync += full.eq(0)
        with m.Elif(engine.o.valid & self.leaves & ~full):
            m.d.sync += [full.eq(1), row.eq(engine.o.payload.row)]
        with m.If(giving & full):
            m.d.sync += [second.eq(~second), pairs.eq(pairs - second), giving.eq(~ends)]
        with m.If(self.write[Write.GIVE]):
            m.d.sync += [giving.eq(1), pairs.eq(self.value)]

        pulling = Signal()  # the packet at hand goes to the partial sums
        with m.If(self.write[Write.PULL]):
            m.d.sync += pulling.eq(1)
        with m.Elif(inbox.o.valid & phit.last):
            m.d.sync += pulling.eq(0)

        last = self.write[Write.SEND_LAST]
        m.d.comb += [
            inbox.o.ready.eq(take[Read.PHIT] | pulling),
            outbox.i.payload.data.eq(Mux(giving, row, self.value)),
            outbox.i.payload.last.eq(last | ends),
            outbox.i.valid.eq(self.write[Write.SEND] | last | giving & full),
            self.partials.w_data.eq(Mux(pulling, phit.data, self.value)),
            self.partials.w_en.eq(self.write[Write.PARTIAL] | pulling & inbox.o.valid),
        ]
        self.data |= {
            Read.PHIT: phit.data, Read.PACKET: phit.data[8:11], Read.FIELD: phit.data[11:16], Read.ROW: row,
        }  # fmt: skip
        self.flags |= {
            Flag.IN: inbox.o.valid & ~pulling, Flag.IN_LAST: phit.last, Flag.OUT: outbox.spacious & ~giving,
            Flag.ROW: full, Flag.PAIR: full & engine.o.valid & ~giving,
        }  # fmt: skip
        self.flags[Flag.BUSY] |= full

    def _job(self, m: Module, engine):
        """The engine's job, a field or two to a port."""
        job = Signal(shared_job(self.cfg))
        if self.cfg.prefetch_jobs:
            running = Signal(shared_job(self.cfg))
            with m.If(self.write[Write.START]):  # so that the next job can be prepared
                m.d.sync += running.eq(job)
        else:
            running = job
        m.d.comb += engine.job.eq(running)
        fields = {Write[name.upper()]: (name,) for name, _ in job.shape() if name.upper() in Write.__members__}
        for port, names in (fields | WIDE | OFFSETS).items():
            with m.If(self.write[port]):
                for n, name in enumerate(names):
                    low = JOB.shape()[name].offset % BITS if port in OFFSETS else 8 * n
                    m.d.sync += job[name].eq(self.value[low:])

    def _start(self, m: Module, engine, neuron, grad) -> Signal:
        """What starts the engine, what it takes and where its rows go; returns whether it runs backward.

        ``leaves``: rows leave the core, and ``row_ready`` takes them; ``partials``: what it adds to. :meth:`_network`
        has their other ends.
        """
        standalone = self.cfg.standalone  # then no rows come or leave
        mode = Const(0, len(Mode)) if standalone else self._kept(m, Write.MODE, len(Mode))
        longest = Packing(self.mesh, self.cfg.row_bits).per_packet
        depth = 0 if standalone else 2 << (longest - 1).bit_length()  # two packets
        m.submodules.partials = self.partials = partials = fifo.SyncFIFO(width=self.cfg.width, depth=depth)
        reduce_valid = Signal()
        with m.If(self.write[Write.REDUCE]):
            m.d.sync += reduce_valid.eq(1)
        with m.Elif(engine.reduce.ready):
            m.d.sync += reduce_valid.eq(0)
        backward = Signal()
        with m.If(self.write[Write.START]):
            m.d.sync += backward.eq(self.value[Opcode.BACKWARD])
        self.leaves, self.row_ready = leaves, row_ready = Signal(name="leaves"), Signal(name="row_ready")
        m.d.comb += [
            engine.start.eq(Mux(self.write[Write.START], self.value, 0)),
            engine.take.eq(mode[Mode.TAKE]),
            leaves.eq(backward & mode[Mode.AWAY] | mode[Mode.REDUCING]),
            engine.partials.valid.eq(partials.r_rdy),
            engine.partials.payload.eq(partials.r_data),
            partials.r_en.eq(engine.partials.ready),
            engine.reducing.eq(mode[Mode.REDUCING]),
            engine.reduce.valid.eq(reduce_valid),
            engine.reduce.payload.eq(self._kept(m, Write.REDUCE, self.cfg.address_bits)),
            neuron.i.payload.eq(engine.o.payload),
            neuron.i.valid.eq(engine.o.valid & ~backward & ~leaves),
            grad.i.valid.eq(engine.o.valid & backward & ~leaves),
            engine.o.ready.eq(Mux(leaves, row_ready, Mux(backward, grad.i.ready, neuron.i.ready))),
        ]
        self.flags |= {
            Flag.BUSY: engine.busy | neuron.busy, Flag.REDUCE: ~reduce_valid,
            Flag.PARTIAL: partials.level <= partials.depth - longest,
        }  # fmt: skip
        return backward

    def _gradient(self, m: Module, engine, grad, backward):
        """Errors for the neuron-gradient unit: from backward, or from the controller."""
        place = self._kept(m, Write.GRAD_ADDRESS, self.cfg.address_bits)
        tag = self._kept(m, Write.GRAD_TAG, self.cfg.step_bits + len(grad.i.payload.tag.item))
        row_valid = Signal()
        row_out = Signal.like(grad.i.payload)  # a register, as the unit decides late whether it takes it
        m.d.comb += grad.i.payload.eq(engine.o.payload)
        with m.If(row_valid):
            m.d.comb += [grad.i.valid.eq(1), grad.i.payload.eq(row_out)]
        with m.If(self.write[Write.GRAD_ROW]):
            m.d.sync += [
                row_valid.eq(1), place.eq(place + 1), tag.eq(tag + (1 << self.cfg.step_bits)),
                row_out.row.eq(self.value), row_out.tag.address.eq(place), row_out.tag.step.eq(tag),
                row_out.tag.item.eq(tag[self.cfg.step_bits :]),
            ]  # fmt: skip
        with m.Elif(grad.i.ready):
            m.d.sync += row_valid.eq(0)
        self.flags |= {Flag.GRAD_READY: ~row_valid, Flag.GRAD_BUSY: grad.busy | row_valid}

    def _constants(self, m: Module, neuron, grad, leak):
        """What the neuron units take from their jobs elsewhere."""
        given = {name: self._kept(m, Write[name.upper()]) for name in ("threshold", "slope")} | {"leak": leak}
        m.d.comb += [
            *(unit.numbers[name].eq(given[name]) for unit in (neuron, grad) for name, _ in unit.numbers.shape()),
            *(neuron.keys[name].eq(self._kept(m, Write[f"KEY_{name.upper()}"])) for name, _ in neuron.keys.shape()),
            grad.aux.eq(self._kept(m, Write.GRAD_AUX)),
            grad.dst.eq(self._kept(m, Write.GRAD_DST)),
        ]

    def _multiply_add(self, m: Module, array, units, a):
        """The engine's multiplier and adder between its operations, for the units and the controller."""
        connect_clients(m, array, units)
        mine = array.i[len(units)]
        asks, there, result = Signal(), Signal(), Signal(self.cfg.width)
        with m.If(self.write[Write.SCALE]):
            m.d.sync += [asks.eq(1), there.eq(0)]
        with m.Elif(mine.ready):
            m.d.sync += asks.eq(0)
        with m.If(array.o_valid[len(units)]):
            m.d.sync += [there.eq(1), result.eq(array.o)]
        m.d.comb += [
            mine.valid.eq(asks),
            mine.payload.a.eq(a),
            mine.payload.b.eq(self._kept(m, Write.B)),
            mine.payload.c.eq(self._kept(m, Write.C)),
            mine.payload.scales[0].eq(self._kept(m, Write.SCALE)[JOB.shape()["exponent"].offset % BITS :]),
        ]
        self.data[Read.RESULT] = result
        self.flags[Flag.RESULT] = there

    def _faults(self, m: Module, engine, backward):
        """Which units have made an infinity or a NaN since the controller last cleared the flags."""
        faults, raised, by_block = Signal(len(Fault)), Signal(len(Fault)), Signal()
        with m.If(self.write[Write.START]):
            m.d.sync += by_block.eq(self.value[Opcode.WEIGHT_GRAD])
        array, gradients = engine.array, by_block | engine.reducing
        m.d.comb += [raised[fault].eq(array.nonfinite & array.o_valid[n]) for n, fault in enumerate(MAC_CLIENTS)]
        m.d.comb += [
            raised[Fault.FORWARD].eq(engine.nonfinite & ~backward & ~gradients),
            raised[Fault.BACKWARD].eq(engine.nonfinite & backward & ~gradients),
            raised[Fault.WEIGHT_GRAD].eq(engine.nonfinite & gradients),
        ]
        m.d.sync += faults.eq(Mux(self.write[Write.CLEAR_FAULTS], 0, faults) | raised)
        self.data[Read.FAULTS] = faults
