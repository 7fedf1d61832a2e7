"""The neuron unit: a neuron's forward pass over the timesteps, one spike bit and one surrogate bit each."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import mac_request
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.history import History
from trident.hw.units.parts.pending import Pending
from trident.hw.units.parts.steps import VectorSteps, connect_steps


class NeuronUnit(wiring.Component):
    """Runs the configuration's forward program: from rows of x to spikes s, surrogate bits m and potentials u.

    A neuron's next timestep may follow when its last one has come back; other neurons fill the time between. States are
    0 at the first timestep, or, with ``carry``, what the chunk before has left.

    Members
    -------
    dst : In, the layer's first word; numbers, keys : In, constants, see :class:`VectorSteps`
    carry : In(1), with several chunks: states go on
    i : stream of rows of x
    request, result... : a client of the shared multiply-adder
    word_address, word_en, spikes, masks : write port for spike and mask words
    row_address, row_en, potentials : write port for potentials (row = word, timestep)
    busy : Out(1), a neuron is under way
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "forward")
        self.items = cfg.accumulators // cfg.entries_per_word("forward")
        many = cfg.chunks > 1
        self.steps = steps = VectorSteps(
            cfg, cfg.programs[0], self.payloads.place, self.items, lambda tag: tag.item,
            lambda tag: (tag.step == 0) & ~self.carry if many else tag.step == 0, lambda tag: tag.address,
        )  # fmt: skip
        super().__init__({
            "dst": In(cfg.address_bits),
            "carry": In(int(many)),
            "numbers": In(steps.numbers.shape()),
            "keys": In(steps.keys.shape()),
            "i": In(stream.Signature(neuron_item(self.payloads))),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(steps.going.size),
            "result_valid": In(1),
            "word_address": Out(cfg.address_bits),
            "word_en": Out(1),
            "spikes": Out(cfg.spike_bits),
            "masks": Out(cfg.spike_bits),
            "row_address": Out(cfg.address_bits + cfg.step_bits),
            "row_en": Out(1),
            "potentials": Out(cfg.row_bits),
            "busy": Out(1),
        })  # fmt: skip

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
        m.d.comb += [
            steps.i.payload.inputs.x.eq(rows.payload.row),
            steps.i.payload.tag.eq(rows.payload.tag),
            steps.i.valid.eq(rows.valid & pending.free),
            rows.ready.eq(steps.i.ready & pending.free),
            pending.item.eq(rows.payload.tag.item),
            pending.take.eq(steps.i.valid & steps.i.ready),
            pending.done_item.eq(steps.tag.item),
            pending.done.eq(steps.done),
        ]

        # The bits go to memory a cycle later, because the comparisons take long
        code, outputs = steps.code, steps.outputs
        fired = steps.returned[max(code.outputs["s"], code.outputs["m"])]
        compared, kept, late = Signal(), Signal.like(steps.tag), Signal(cfg.address_bits)
        address = self.dst + steps.tag.address
        m.d.sync += [
            compared.eq(fired), kept.eq(steps.tag), late.eq(address),
            self.word_en.eq(fired & (steps.tag.step == cfg.timesteps - 1)),
        ]  # fmt: skip
        for name, bits, word in (("spike", outputs.s, self.spikes), ("mask", outputs.m, self.masks)):
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
            self.word_address.eq(late),
            self.row_address.eq(Cat(steps.tag.step[: cfg.step_bits], address[: cfg.address_bits])),
            self.row_en.eq(steps.returned[code.outputs["u"]]),
            self.potentials.eq(outputs.u),
            self.busy.eq(self.i.valid | rows.valid | pending.busy | compared),
        ]
        return m
