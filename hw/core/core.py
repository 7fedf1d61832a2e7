"""One core: three engines, the units between them, their memories, the sequencer and the ends of the network."""


from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import SharedMac, connect_clients
from trident.hw.core.counters import connect_counters
from trident.hw.core.faults import Faults
from trident.hw.core.norm_ring import connect_ring
from trident.hw.core.numbers import give_numbers
from trident.hw.core.sequencer import Sequencer
from trident.hw.core.unit_memories import UnitMemories
from trident.hw.engines.skeleton.queue import error_item, place_error
from trident.hw.isa.capabilities import Capability
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.microcode import UPDATE_NUMBERS
from trident.hw.isa.operations import QUEUE_OF, QUEUES, Opcode, faults_of, of_queue
from trident.hw.isa.packets import Rows
from trident.hw.isa.registers import own_units
from trident.hw.isa.registry import PLACES, load
from trident.hw.isa.spaces import PORTS, Space
from trident.hw.isa.tokens import Token
from trident.hw.lib.clock_gate import add_stopping
from trident.hw.lib.parts import JoinParts, SplitParts, to_parts
from trident.hw.lib.streams import connect, join
from trident.hw.noc.eject import Ejector
from trident.hw.noc.flits import link_signature
from trident.hw.noc.inject import Injector
from trident.hw.noc.rows import RowQueue, RowSender
from trident.hw.units.addition import AdditionUnit
from trident.hw.units.drop import DropUnit
from trident.hw.units.fire import FireUnit
from trident.hw.units.join import JoinUnit
from trident.hw.units.leak import LeakUnit
from trident.hw.units.loss import LossUnit
from trident.hw.units.neuron import NeuronUnit
from trident.hw.units.neuron_grad import NeuronGradUnit
from trident.hw.units.norm import NormUnit
from trident.hw.units.pool import PoolUnit
from trident.hw.units.receive import ReceiveUnit
from trident.hw.units.reduce import ReduceUnit
from trident.hw.units.softmax import SoftmaxUnit
from trident.hw.units.spread import SpreadUnit
from trident.hw.units.standardise import StandardiseUnit
from trident.hw.units.tie import TieUnit
from trident.hw.units.transfer import NotifyUnit, SendUnit
from trident.hw.units.update import UpdateUnit
from trident.hw.units.window import WindowUnit


def core_signature(mesh: MeshConfig) -> wiring.Signature:
    """The ports of :class:`Core`."""
    return wiring.Signature({
        "i": In(link_signature(mesh)),
        "o": Out(link_signature(mesh)),
        "x": In(mesh.position_bits),
        "y": In(mesh.position_bits),
        "table_en": Out(1),
        "table_address": Out(range(max(mesh.groups, 2))),
        "table_data": Out(PORTS),
        "active": Out(len(QUEUES)),
    })  # fmt: skip


class Core(wiring.Component):
    """A core that trains its part of a network.

    ::

        spikes --> FORWARD --> neuron --> spikes, masks --> send --> next stage
                     | rows
                  weights
                     | columns
        errors <-- neuron_grad <-- BACKWARD <-- errors     receive, loss --> neuron_grad
                                      |            |
                        stage before <+            |
        gradients <-- WEIGHT_GRAD <-- spikes, errors
            +--> reduce --> next replica
            +--> update --> weights

    Members
    -------
    i, o : links from and to the core's router; all their outputs are registers
    x, y : In, the router's position
    table_en, table_address, table_data : Out, write port of the router's multicast table
    active : Out, one bit per queue of the sequencer: its engine runs
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__(core_signature(mesh))

    def elaborate(self, platform):
        m = Module()
        cfg, mesh = self.cfg, self.mesh
        m.submodules.ejector = ejector = Ejector(cfg, mesh)
        m.submodules.sequencer = sequencer = Sequencer(cfg)
        m.submodules.neuron = neuron = NeuronUnit(cfg)
        m.submodules.loss = loss = (LossUnit if cfg.loss == "table" else SoftmaxUnit)(cfg)
        m.submodules.neuron_grad = neuron_grad = NeuronGradUnit(cfg)
        m.submodules.update = update = (StandardiseUnit if cfg.standardise else UpdateUnit)(cfg)
        clients = [neuron_grad, neuron, update]
        if cfg.loss != "table":
            clients.insert(2, loss)
        norm = fire = window = spread = joining = leak = tie = add = add_errors = None
        if Capability.SUMS in cfg.capabilities:
            m.submodules.fire = fire = FireUnit(cfg)
        if Capability.BATCH_NORM in cfg.capabilities:
            m.submodules.norm = norm = NormUnit(cfg)
            clients.append(norm)
        if Capability.WINDOWS in cfg.capabilities:
            m.submodules.window = window = WindowUnit(cfg)
        if Capability.JOIN in cfg.capabilities:
            m.submodules.join = joining = JoinUnit(cfg)
        if Capability.SPREAD in cfg.capabilities:
            m.submodules.spread = spread = SpreadUnit(cfg)
        if Capability.ADDS in cfg.capabilities:
            m.submodules.add, m.submodules.add_errors = add, add_errors = AdditionUnit(cfg), AdditionUnit(cfg)
            clients += [add, add_errors]
        if Capability.LEAKS in cfg.capabilities:
            m.submodules.leak, m.submodules.tie = leak, tie = LeakUnit(cfg), TieUnit(cfg)
            clients.append(leak)
        engines = {place: load(cfg.engine(place).rtl)(cfg) for place in PLACES}
        for place, engine in engines.items():
            add_stopping(m, place, engine, engine.awake)
        forward, backward, weight_grad = engines.values()
        m.submodules.mac = mac = SharedMac(cfg, [len(unit.result_tag) for unit in clients])
        m.submodules.send = send = SendUnit(cfg, mesh)
        m.submodules.receive = receive = ReceiveUnit(cfg)
        m.submodules.reduce = reduce = ReduceUnit(cfg)
        m.submodules.notify = notify = NotifyUnit(mesh)
        pool = drop = None
        if Capability.POOL in cfg.capabilities:
            m.submodules.pool = pool = PoolUnit(cfg)
        if Capability.DROPOUT in cfg.capabilities:
            m.submodules.drop = drop = DropUnit(cfg)
            m.d.comb += drop.sample.eq(sequencer.sample)
        m.submodules.row_sender = rows = RowSender(cfg, mesh)
        m.submodules.errors_queue = errors_queue = RowQueue(cfg, mesh)
        m.submodules.partials_queue = partials = RowQueue(cfg, mesh, early=Capability.BATCH_NORM in cfg.capabilities)
        m.submodules.split_parts = split = SplitParts(cfg)
        m.submodules.join_parts = joined = JoinParts(cfg)
        m.submodules.faults = faults = Faults(cfg)
        memories = UnitMemories(m, cfg)
        memories.spaces[Space.LOSS_TABLE] = loss
        connect_clients(m, mac, clients)
        job = {queue: sequencer.job[queue] for queue in QUEUES}
        reducing = Signal()  # what the update queue runs; ``kind`` is there before its job starts

        # The ends of the network
        m.submodules.injector = injector = Injector(mesh, 6, signs=True)
        if mesh.far_bits:
            m.d.comb += [injector.x.eq(self.x), injector.y.eq(self.y)]
        sources = (errors_queue.credits, partials.credits, notify.o, rows.o, send.o, ejector.answer)
        for source, sink in zip(sources, injector.i, strict=True):
            connect(m, source, sink)
        wiring.connect(m, wiring.flipped(self.i), ejector.i)
        wiring.connect(m, injector.o, wiring.flipped(self.o))
        connect(m, ejector.rows[Rows.ERRORS], errors_queue.i)
        connect(m, ejector.rows[Rows.PARTIALS], partials.i)
        m.d.comb += [
            ejector.x.eq(self.x),
            ejector.y.eq(self.y),
            ejector.halted.eq(sequencer.halted),
            ejector.status.eq(faults.status),
            rows.credit.eq(ejector.credit),
            sequencer.arm.eq(ejector.arm),
            sequencer.start.eq(ejector.start),
            ejector.arming.eq(sequencer.arming),
            sequencer.samples.eq(ejector.samples),
            sequencer.incoming.eq(ejector.token),
            sequencer.incoming_en.eq(ejector.token_en),
            self.active.eq(sequencer.active),
        ]
        m.d.sync += [
            self.table_en.eq(ejector.select[Space.ROUTES] & ejector.write),
            self.table_address.eq(ejector.address),
            self.table_data.eq(ejector.wdata),
        ]

        # A sample's label comes with its first spikes and is kept as long as those
        m.submodules.labels = labels = memory.Memory(shape=16, depth=1 << cfg.slot_bits, init=[])
        label_slot = Signal(cfg.slot_bits)
        store = labels.write_port()
        for_loss, for_send = labels.read_port(domain="comb"), labels.read_port(domain="comb")
        label_en = ejector.token_en & (ejector.token == Token.INPUT_READY0)
        m.d.comb += [
            store.addr.eq(label_slot),
            store.data.eq(ejector.value),
            store.en.eq(label_en),
            for_loss.addr.eq(sequencer.slot[Opcode.RECEIVE]),
            for_send.addr.eq(sequencer.slot[Opcode.SEND]),
            send.label.eq(for_send.data),
        ]
        if cfg.loss != "table":
            m.d.comb += loss.idle.eq(~neuron_grad.busy)
        m.d.sync += loss.label.eq(for_loss.data)  # long before it is needed
        with m.If(ejector.arm | sequencer.halted):
            m.d.sync += label_slot.eq(0)
        with m.Elif(label_en):
            m.d.sync += label_slot.eq(Mux(label_slot + 1 == sequencer.slots, 0, label_slot + 1))

        # What each queue runs
        go, kind, busy = sequencer.go, sequencer.kind, sequencer.busy
        receiving = sequencer.active[Opcode.RECEIVE]
        local = Signal()  # the neuron-gradient unit takes the backward engine's errors
        outgoing, grad_job = job[Opcode.BACKWARD].outgoing, Signal(JOB.shape())
        for queue in QUEUES:
            rows_of_queue = [row for row in of_queue(queue) if cfg.capabilities.issuperset(row.needs)]
            for row in rows_of_queue:
                wanted = QUEUE_OF[row.opcode][1]
                unit, chosen = getattr(m.submodules, row.name), kind[queue] == wanted if rows_of_queue[1:] else 1
                m.d.comb += [unit.job.eq(job[queue]), unit.start.eq(go[queue] & chosen)]
        m.d.sync += [
            reducing.eq(kind[Opcode.UPDATE] == QUEUE_OF[Opcode.REDUCE][1]),
            local.eq(~receiving & ~outgoing),
            grad_job.eq(Mux(receiving, job[Opcode.RECEIVE], job[Opcode.BACKWARD])),
        ]
        give_numbers(m, cfg, neuron, job[Opcode.FORWARD])
        give_numbers(m, cfg, neuron_grad, grad_job)
        if leak:
            m.d.comb += [leak.which.eq(job[Opcode.FORWARD].neuron), neuron_grad.leak.eq(grad_job.source)]
            m.d.comb += neuron.leak.eq(job[Opcode.FORWARD].source)
            give_numbers(m, cfg, leak, job[Opcode.FORWARD])
        if not cfg.standardise:
            give_numbers(m, cfg, update, job[Opcode.UPDATE], UPDATE_NUMBERS)
        for queue, engine in ((Opcode.FORWARD, forward), (Opcode.BACKWARD, backward)) if cfg.walks > 1 else ():
            m.d.comb += [sequencer.walk[queue].eq(engine.walk), engine.further.eq(sequencer.further[queue])]
        m.d.comb += [
            neuron.dst.eq(job[Opcode.FORWARD].dst),
            neuron.which.eq(job[Opcode.FORWARD].neuron),
            neuron_grad.which.eq(grad_job.neuron),
            neuron.carry.eq(job[Opcode.FORWARD].carry),
            neuron.ends.eq(job[Opcode.FORWARD].ends),
            neuron.aux.eq(job[Opcode.FORWARD].aux),
            neuron_grad.dst.eq(grad_job.dst),
            neuron_grad.aux.eq(grad_job.aux),
            busy[Opcode.FORWARD].eq(
                forward.busy | neuron.busy | (pool.busy if pool else 0) | (drop.busy if drop else 0)
                | (fire.busy | forward.o.valid if fire else 0) | (norm.busy if norm else 0)
                | (window.busy if window else 0) | (joining.busy if joining else 0) | (leak.busy if leak else 0)
                | (add.busy if add else 0)
            ),
            busy[Opcode.BACKWARD].eq(
                backward.busy | Mux(outgoing, (rows.busy & ~reducing) | partials.busy, neuron_grad.busy)
                | (spread.busy if spread else 0) | (add_errors.busy if add_errors else 0)
            ),
            busy[Opcode.WEIGHT_GRAD].eq(weight_grad.busy),
            busy[Opcode.UPDATE].eq(
                Mux(reducing, reduce.busy | weight_grad.held | rows.busy | partials.busy, update.busy | notify.busy)
                | (tie.busy if tie else 0)
            ),
            busy[Opcode.RECEIVE].eq(receive.busy | loss.busy | neuron_grad.busy | errors_queue.busy),
            busy[Opcode.SEND].eq(send.busy),
            notify.faults.eq(faults.flags & GRADIENT_FAULTS),
            update.skip.eq(faults.skip),
            rows.job.eq(Mux(reducing, job[Opcode.UPDATE], job[Opcode.BACKWARD])),
            rows.start.eq(reduce.start),
            rows.ending.eq(Mux(reducing, ~reduce.busy & ~weight_grad.held, ~backward.busy)),
            weight_grad.reducing.eq(reducing),
            weight_grad.take.eq(job[Opcode.UPDATE].take),
            backward.take.eq(job[Opcode.BACKWARD].take),
            backward.raw.eq(outgoing & job[Opcode.BACKWARD].channel & cfg.exact),
            errors_queue.source.eq(job[Opcode.RECEIVE].source),
            partials.source.eq(Mux(reducing, job[Opcode.UPDATE].source, job[Opcode.BACKWARD].source)),
        ]

        # From engine to engine, and to and from other cores
        storing = Signal()  # sums of the forward engine are kept for a norm, or for windows
        if fire:
            m.d.comb += storing.eq(job[Opcode.FORWARD].outgoing & forward.busy)
            join(m, neuron.i, (fire.busy, fire.o), (~storing, forward.o))
            with m.If(storing):
                m.d.comb += forward.o.ready.eq(1)
        else:
            connect(m, forward.o, neuron.i)
        connect(m, errors_queue.o, receive.i)
        errors = stream.Signature(error_item(neuron_grad.payloads)).create()  # of the backward engine, for this core
        m.d.comb += [
            errors.payload.row.eq(backward.o.payload.row),
            *place_error(
                neuron_grad.payloads, errors.payload.tag, backward.o.payload.tag, job[Opcode.BACKWARD].carry
            ),
        ]  # fmt: skip
        feeding = [(receive.busy, receive.o), (loss.busy, loss.o), (local, errors)]
        making, taken = backward.o.valid & ~outgoing, errors.ready
        if joining:
            keeping = Signal()  # errors of the backward engine are those of joined spikes, which are spread
            making, taken = making & ~keeping, taken | keeping
            spikes = Signal(cfg.address_bits)  # of the backward job before spread's
            feeding.insert(2, (spread.busy, spread.o))
            m.d.comb += keeping.eq(job[Opcode.BACKWARD].final & backward.busy)
            with m.If(backward.start):
                m.d.sync += spikes.eq(job[Opcode.BACKWARD].aux)
            with m.If(spread.busy):
                m.d.comb += neuron_grad.aux.eq(spikes)
        join(m, neuron_grad.i, *feeding)
        connect(m, reduce.o, weight_grad.reduce)
        if norm:
            connect_ring(m, sequencer, norm, rows, partials, split, joined, reducing | backward.take)
        else:
            connect(m, partials.o, joined.i)
            connect(m, split.o, rows.i)
        gradients = weight_grad.reduced.payload.row
        if cfg.exact:
            gradients = to_parts(cfg, gradients, cfg.gradient_bits)
        m.d.comb += [
            split.single.eq(~(reducing | backward.raw)),
            weight_grad.partials.payload.eq(joined.o.payload),
            backward.partials.payload.eq(joined.o.payload),
            errors.valid.eq(making),
            backward.o.ready.eq(Mux(outgoing, split.i.ready & ~reducing, taken)),
        ]
        with m.If(reducing):
            m.d.comb += [
                split.i.payload.eq(gradients),
                split.i.valid.eq(weight_grad.reduced.valid),
                weight_grad.reduced.ready.eq(split.i.ready),
                weight_grad.partials.valid.eq(joined.o.valid),
                joined.o.ready.eq(weight_grad.partials.ready),
            ]
        with m.Else():
            m.d.comb += [
                split.i.payload.eq(backward.o.payload.row),
                split.i.valid.eq(backward.o.valid & outgoing),
                backward.partials.valid.eq(joined.o.valid),
                joined.o.ready.eq(backward.partials.ready),
            ]

        memories.connect_host(ejector)
        memories.connect_weights(forward, backward, update)
        memories.connect_gradients(weight_grad, update)
        memories.read_errors(backward, weight_grad, norm)
        memories.connect_spikes((forward, weight_grad), neuron, neuron_grad, loss, send, ejector, pool, drop, joining)
        memories.connect_errors(neuron_grad)
        if fire:
            memories.connect_sums(forward, storing, fire, norm, window)
        if norm:
            memories.connect_norm(norm, weight_grad)
        if joining:
            memories.keep_errors(keeping, backward, job[Opcode.BACKWARD].dst)
        if spread:
            memories.connect_spread(spread, *filter(None, (window, joining)))
        if add:
            memories.connect_adds(add, add_errors)
        if leak:
            memories.connect_leaks(leak, tie, (neuron, neuron_grad))
        memories.connect_functions(neuron_grad, update, loss, *([norm] if norm else []), *([leak] if leak else []))
        m.d.comb += [
            sequencer.program_write.eq(ejector.select[Space.PROGRAM] & ejector.write),
            sequencer.program_address.eq(ejector.address),
            sequencer.jobs_write.eq(ejector.select[Space.JOBS] & ejector.write),
            sequencer.jobs_address.eq(ejector.address),
            sequencer.host_wdata.eq(ejector.wdata),
        ]

        raised = {fault: getattr(engines.get(fault.name.lower()), "nonfinite", 0) for fault in Fault}
        of_unit = {neuron: Fault.NEURON, update: Fault.UPDATE, leak: Fault.NEURON, add: Fault.NEURON}  # others: errors
        for n, unit in enumerate(clients):
            fault = of_unit.get(unit, Fault.NEURON_GRAD)
            wrong = mac.nonfinite & mac.o_valid[n]
            if unit is norm:
                wrong = wrong | norm.large
                raised[Fault.NEURON] = raised[Fault.NEURON] | wrong & ~norm.backward
                wrong = wrong & norm.backward
            raised[fault] = raised[fault] | wrong
        if spread:
            raised[Fault.BACKWARD] = raised[Fault.BACKWARD] | spread.nonfinite
        raised[Fault.UPDATE] = raised[Fault.UPDATE] | update.saturated
        number = {}
        for queue in QUEUES:
            # Of two queues with the same unit, the one that has it now
            for fault in faults_of(queue, cfg.capabilities):
                job = sequencer.number[queue]
                number[fault] = Mux(sequencer.active[queue], job, number.pop(fault)) if fault in number else job
        m.d.comb += [
            *(faults.raised[fault].eq(value) for fault, value in raised.items()),
            *(faults.number[fault].eq(job) for fault, job in number.items()),
            faults.start.eq(sequencer.start),
            faults.others.eq(ejector.token_en & (ejector.token == Token.GO) & ejector.value.any()),
        ]
        counting = {"neuron": neuron, "neuron_grad": neuron_grad, "update": update}
        counting |= {name: getattr(m.submodules, name) for name in own_units(cfg)}
        connect_counters(m, cfg, mesh, engines, memories, sequencer, ejector, faults, {
            "update.running": update.busy,
            "receive.running": receive.busy,
            "send.running": send.busy,
            "reduce.running": reduce.busy,
            **{f"mac.{name}": unit.request.valid & unit.request.ready for name, unit in counting.items()},
            "noc.flits_in": self.i.valid,
            "noc.flits_out": self.o.valid,
        })  # fmt: skip
        return m
