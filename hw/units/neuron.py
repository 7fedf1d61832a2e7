"""The neuron unit: a neuron's forward pass over the timesteps, one spike bit and one surrogate bit each."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import mac_request
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.lib.fetch import Fetch
from trident.hw.units.leak import leak_ports, read_leaks
from trident.hw.units.parts.history import History
from trident.hw.units.parts.pending import Pending
from trident.hw.units.parts.steps import VectorSteps, connect_steps


class NeuronUnit(wiring.Component):
    """Runs the layer's forward program: from rows of x to spikes s, surrogate bits m and potentials u. A readout has no
    spikes: where these would be, its outputs z of the last timestep go, ``output_words`` words per group.

    A neuron's next timestep may follow when its last one has come back; other neurons fill the time between. States are
    0 at the first timestep, or, with ``carry``, what the chunk before has left. Nothing fires behind the sample's end.

    Members
    -------
    dst : In, the layer's first word; which, numbers, keys : In, the layer's neuron and its constants, see
        :class:`VectorSteps`
    aux : In, with readouts, the first word of their outputs; ends : In(1), with those, or where timesteps are
        ``spare``: this chunk is the last
    carry : In(1), with several chunks: states go on
    leak, leak_address, leaks : where neurons learn their leaks, the layer's first row of them, In, and a read port
    i : stream of rows of x
    request, result... : a client of the shared multiply-adder
    word_address, word_en, spikes : write port for spikes; mask_address, mask_en, masks : for masks
    row_address, row_en, potentials : write port for potentials (row = word, timestep)
    busy : Out(1), a neuron is under way
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "forward")
        self.items = cfg.items("forward")
        many, self.reads = cfg.chunks > 1, cfg.reads_out

        def begins(tag):
            first = (tag.step == 0) & ~self.carry if many else tag.step == 0
            return first | self._beyond(tag) if cfg.spare else first

        self.steps = steps = VectorSteps(
            cfg, cfg.forward_programs, self.payloads.place, self.items, lambda tag: tag.item, begins,
            lambda tag: tag.address,
        )  # fmt: skip
        super().__init__({
            "dst": In(cfg.address_bits),
            "carry": In(int(many)),
            "which": In(steps.which.shape()),
            "aux": In(cfg.address_bits if self.reads else 0),
            "ends": In(int(self.reads or cfg.spare > 0)),
            "numbers": In(steps.numbers.shape()),
            "keys": In(steps.keys.shape()),
            **leak_ports(cfg),
            "i": In(stream.Signature(neuron_item(self.payloads))),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(steps.going.size),
            "result_valid": In(1),
            "word_address": Out(cfg.address_bits),
            "word_en": Out(1),
            "spikes": Out(cfg.spike_bits),
            "mask_address": Out(cfg.address_bits),
            "mask_en": Out(1),
            "masks": Out(cfg.spike_bits),
            "row_address": Out(cfg.address_bits + cfg.step_bits),
            "row_en": Out(1),
            "potentials": Out(cfg.row_bits),
            "busy": Out(1),
        })  # fmt: skip

    def _beyond(self, tag):
        """The timestep is behind the sample's end."""
        return (tag.step > self.cfg.last_step) & self.ends

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        m.submodules.pending = pending = Pending(cfg, self.items)
        m.submodules.steps = steps = self.steps
        connect_steps(m, self, steps)

        rows = self.i
        if pending.early:
            m.submodules.fetch = fetch = Fetch(neuron_item(self.payloads))
            wiring.connect(m, wiring.flipped(self.i), fetch.i)
            rows = fetch.o
            m.d.comb += [pending.following.eq(self.i.payload.tag.item), pending.moves.eq(fetch.i.ready)]
        read_leaks(m, self, rows.payload.tag, steps.i.payload.inputs)
        enters, closes, closing = Signal(), Signal(), Signal()  # a row of a readout's outputs; it is under way
        m.d.comb += [
            steps.i.payload.inputs.x.eq(rows.payload.row),
            steps.i.payload.tag.eq(rows.payload.tag),
            steps.i.valid.eq(rows.valid & enters),
            rows.ready.eq(steps.i.ready & enters),
            enters.eq(pending.free & ~(closing & closes)),
            pending.item.eq(rows.payload.tag.item),
            pending.take.eq(steps.i.valid & steps.i.ready),
            pending.done_item.eq(steps.tag.item),
            pending.done.eq(steps.done),
        ]

        # The bits go to memory a cycle later, because the comparisons take long
        outputs, there = steps.outputs, steps.there
        last, read_out = steps.tag.step == cfg.timesteps - 1, Signal()
        returned = there.s | there.z if self.reads else there.s
        compared, kept, late = Signal(), Signal.like(steps.tag), Signal(cfg.address_bits)
        address = self.dst + steps.tag.address
        m.d.sync += [
            compared.eq(returned), kept.eq(steps.tag), late.eq(address), self.mask_en.eq(returned & last),
        ]  # fmt: skip
        fired = Mux(self._beyond(steps.tag), 0, outputs.s) if cfg.spare else outputs.s
        for name, bits, word in (("spike", fired, self.spikes), ("mask", outputs.m, self.masks)):
            m.submodules[f"{name}_history"] = history = History(cfg, self.items)
            m.d.sync += history.bits.eq(bits)
            m.d.comb += [
                history.item.eq(kept.item),
                history.step.eq(kept.step),
                history.first.eq(kept.step == 0),
                history.en.eq(compared),
                word.eq(history.word),
            ]
        m.d.comb += [
            self.mask_address.eq(late),
            self.word_address.eq(late),
            self.word_en.eq(self.mask_en & ~read_out),
            self.row_address.eq(Cat(steps.tag.step[: cfg.step_bits], address[: cfg.address_bits])),
            self.row_en.eq(there.u),
            self.potentials.eq(outputs.u),
            self.busy.eq(self.i.valid | rows.valid | pending.busy | compared | closing),
        ]

        # Outputs of a readout, word after word; the next group's have to wait
        if self.reads:
            words = cfg.output_words
            row, left = Signal(max(cfg.row_bits, words * cfg.spike_bits)), Signal(range(words + 1))
            place = Signal(cfg.address_bits)
            m.d.comb += [
                read_out.eq(Array(bool(own.readout) for own in cfg.neurons)[self.which]),
                closes.eq(read_out & self.ends & (rows.payload.tag.step == cfg.last_step)),
            ]
            with m.If(pending.take & closes):
                m.d.sync += closing.eq(1)
            with m.If(there.z & (steps.tag.step == cfg.last_step if cfg.spare else last) & self.ends):
                m.d.sync += [row.eq(outputs.z), left.eq(words), place.eq(self.aux + steps.tag.address * words)]
            with m.If(left.any()):
                m.d.comb += [self.word_en.eq(1), self.word_address.eq(place), self.spikes.eq(row[: cfg.spike_bits])]
                m.d.sync += [row.eq(row >> cfg.spike_bits), place.eq(place + 1), left.eq(left - 1)]
                with m.If(left == 1):
                    m.d.sync += closing.eq(0)
        return m
