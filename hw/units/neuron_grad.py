"""The neuron-gradient unit: from the error at a neuron's spikes to the error at its input."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import mac_request
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item
from trident.hw.isa.config import CoreConfig
from trident.hw.lib.fetch import Fetch
from trident.hw.units.leak import leak_ports, read_leaks
from trident.hw.units.parts.history import History
from trident.hw.units.parts.pending import Pending
from trident.hw.units.parts.reread import Reread
from trident.hw.units.parts.steps import VectorSteps, connect_steps


class NeuronGradUnit(wiring.Component):
    """Runs the layer's backward program, last timestep first: from rows of e, and the spikes, surrogate bits
    and potentials that the forward pass has stored, to errors. A mask word says which of them are not zero; those
    behind the sample's end are.

    Members
    -------
    dst, aux : In, the first error word that is written, the layer's first spike word; which, numbers, keys : In,
        the layer's neuron and its constants, see :class:`VectorSteps`
    leak, leak_address, leaks : where neurons learn their leaks, the layer's first row of them, In, and a read port
    i : stream of rows of e
    request, result... : a client of the shared multiply-adder
    table_address, table_en, tables : per lane, a read port of the function table
    spike_address, spike_en, spikes, masks : read port for the layer's spike and mask words, which is read at a word's
        first row; spike_hold : Out(1), it must keep its output
    potential_address, potential_en, potentials : read port for potentials
    error_address, error_en, errors : write port for errors (row = word, timestep) and, half the memory further on, for
        terms of the gradients of leaks
    mask_address, mask_en, mask : write port for error masks
    busy : Out(1), a neuron is under way
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "backward")
        self.items = cfg.items("backward")
        # Words are kept for the next timesteps, unless there is none or room is short
        self.rereads = cfg.timesteps == 1 or cfg.shared_engine
        many = cfg.chunks > 1

        def begins(tag):
            first = tag.step >= cfg.last_step if cfg.spare else tag.step == cfg.last_step
            return first & ~tag.carry if many else first

        self.steps = steps = VectorSteps(
            cfg, cfg.backward_programs, self.payloads.error_place, self.items, lambda tag: tag.item, begins,
            lambda tag: tag.word,
        )  # fmt: skip
        self.item = steps.i.payload.shape()
        super().__init__({
            "dst": In(cfg.address_bits),
            "aux": In(cfg.address_bits),
            "which": In(steps.which.shape()),
            "numbers": In(steps.numbers.shape()),
            **({"keys": In(steps.keys.shape())} if steps.keys.shape().size else {}),
            **leak_ports(cfg),
            "i": In(stream.Signature(error_item(self.payloads))),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(steps.going.size),
            "result_valid": In(1),
            "table_address": Out(steps.table_address[0].shape()).array(cfg.lanes),
            "table_en": Out(1),
            "tables": In(steps.tables[0].shape()).array(cfg.lanes),
            "spike_address": Out(cfg.address_bits),
            "spike_en": Out(1),
            "spike_hold": Out(1),
            "spikes": In(cfg.spike_bits),
            "masks": In(cfg.spike_bits),
            "potential_address": Out(cfg.address_bits + cfg.step_bits),
            "potential_en": Out(1),
            "potentials": In(cfg.row_bits),
            "error_address": Out(cfg.address_bits + cfg.step_bits),
            "error_en": Out(1),
            "errors": Out(cfg.row_bits),
            "mask_address": Out(cfg.address_bits),
            "mask_en": Out(1),
            "mask": Out(cfg.spike_bits),
            "busy": Out(1),
        })  # fmt: skip

    def _at_step(self, word, step):
        """The bits of all lanes at one timestep."""
        steps = self.cfg.timesteps
        return Cat(word[lane * steps : (lane + 1) * steps].bit_select(step, 1) for lane in range(self.cfg.lanes))

    def elaborate(self, platform):
        m = Module()
        cfg, width, last = self.cfg, self.cfg.width, self.cfg.timesteps - 1
        m.submodules.pending = pending = Pending(cfg, self.items)
        m.submodules.steps = steps = self.steps
        connect_steps(m, self, steps)

        # Read what the forward pass has stored for the row that comes in
        m.submodules.fetch = fetch = Fetch(error_item(self.payloads))
        wiring.connect(m, wiring.flipped(self.i), fetch.i)
        address = Signal(cfg.address_bits)
        m.d.comb += [
            address.eq(self.aux + self.i.payload.tag.address),
            self.spike_address.eq(address),
            self.spike_en.eq(fetch.en & (self.rereads | (self.i.payload.tag.step == last))),
            self.spike_hold.eq(fetch.o.valid & (self.rereads | (fetch.o.payload.tag.step == last))),
            self.potential_address.eq(Cat(self.i.payload.tag.step[: cfg.step_bits], address)),
            self.potential_en.eq(fetch.en),
        ]
        current = fetch.o.payload
        words = Cat(self.spikes, self.masks)
        if not self.rereads:
            m.submodules.reread = reread = Reread(len(words), self.items)
            m.d.comb += [
                reread.item.eq(current.tag.item), reread.first.eq(current.tag.step == last), reread.read.eq(words),
                reread.en.eq(fetch.o.valid),
            ]  # fmt: skip
            words = reread.word
        spikes, masks = words[: cfg.spike_bits], words[cfg.spike_bits :]
        read = stream.Signature(self.item).create()
        waiting, held = read, fetch.o.valid
        if pending.early:  # a block RAM's output takes long
            m.submodules.kept = kept = Fetch(self.item)
            m.d.comb += [kept.i.payload.eq(read.payload), kept.i.valid.eq(read.valid), read.ready.eq(kept.i.ready)]
            m.d.comb += [pending.following.eq(current.tag.item), pending.moves.eq(kept.i.ready)]
            waiting, held = kept.o, fetch.o.valid | kept.o.valid
        found = {
            "e": current.row, "u": self.potentials,
            "s": self._at_step(spikes, current.tag.step), "m": self._at_step(masks, current.tag.step),
        }  # fmt: skip
        entering = Signal(self.item)
        m.d.comb += [
            entering.tag.eq(current.tag),
            entering.tag.address.eq(self.dst + current.tag.address),  # from here on where the error goes
            *(entering.inputs[name].eq(found[name]) for name, _ in steps.inputs if name in found),
            read.payload.eq(entering),
            read.valid.eq(fetch.o.valid),
            fetch.o.ready.eq(read.ready),
            steps.i.payload.eq(waiting.payload),
            steps.i.valid.eq(waiting.valid & pending.free),
            waiting.ready.eq(steps.i.ready & pending.free),
            pending.item.eq(waiting.payload.tag.item),
            pending.take.eq(steps.i.valid & steps.i.ready),
            pending.done_item.eq(steps.tag.item),
            pending.done.eq(steps.done),
        ]

        read_leaks(m, self, current.tag, entering.inputs)

        there, dx, terms = steps.there.dx, steps.outputs.dx, steps.outputs.g if cfg.learns else None
        if cfg.spare:
            beyond = steps.tag.step > cfg.last_step
            beyond = beyond & ~steps.tag.carry if cfg.chunks > 1 else beyond
            dx, terms = Mux(beyond, 0, dx), Mux(beyond, 0, terms) if cfg.learns else None
        m.submodules.history = history = History(cfg, self.items)
        m.d.comb += [
            history.item.eq(steps.tag.item),
            history.step.eq(steps.tag.step),
            history.first.eq(steps.tag.step == last),
            history.bits.eq(Cat(dx[n : n + width - 1].any() for n in range(0, cfg.row_bits, width))),
            history.en.eq(there),
            self.error_address.eq(Cat(steps.tag.step[: cfg.step_bits], steps.tag.address)),
            self.error_en.eq(there),
            self.errors.eq(dx),
            self.mask_address.eq(steps.tag.address),
            self.mask_en.eq(there & (steps.tag.step == 0)),
            self.mask.eq(history.word),
            self.busy.eq(self.i.valid | held | pending.busy),
        ]
        if cfg.learns:
            with m.If(steps.there.g):
                m.d.comb += [
                    self.error_address.eq(Cat(steps.tag.step[: cfg.step_bits], steps.tag.address + cfg.leak_terms)),
                    self.error_en.eq(1),
                    self.errors.eq(terms),
                ]
        return m
