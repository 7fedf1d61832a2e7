"""The neuron unit: leaky integrate-and-fire over the timesteps, one spike bit and one surrogate bit each."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.compare import sort_key
from trident.hw.arith.mac import every_lane, mac_request, select_lanes
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.history import History
from trident.hw.units.parts.passes import PassLoop
from trident.hw.units.parts.pending import Pending

KEYS = ("threshold", "low", "high")  # constants that potentials are compared with


class NeuronUnit(wiring.Component):
    """``u[t] = leak * u[t-1] + x[t]``; a spike where u >= threshold; then the reset.

    Hard reset: u becomes 0 after a spike. Soft reset: the threshold is subtracted, a second pass through the
    multiply-adder (``1 * u + (-threshold)``). The surrogate bit is 1 where low < u < high; a surrogate that needs the
    potential has u stored instead. A neuron's next timestep may follow when its last one has come back; other neurons
    fill the time between. Initial potential 0.

    Members
    -------
    job : In, constants; ``dst`` is the layer's first word; keys : In, ``threshold``, ``low`` and ``high`` as
        :func:`sort_key` has them
    i : stream of rows of x
    request, result... : a client of the shared multiply-adder
    word_address, word_en, spikes, masks : write port for spike and mask words
    row_address, row_en, potentials : write port for potentials (row = word, timestep)
    busy : Out(1), a neuron is under way
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "forward")
        self.item = data.StructLayout({
            "row": cfg.row_bits, "tag": self.payloads.place, "again": 1, "spikes": cfg.lanes,
        })  # fmt: skip
        self.tag = data.StructLayout({"tag": self.payloads.place, "again": 1})
        super().__init__({
            "job": In(JOB.shape()),
            "keys": In(data.StructLayout({name: cfg.width for name in KEYS})),
            "i": In(stream.Signature(neuron_item(self.payloads))),
            "request": Out(stream.Signature(mac_request(cfg, self.tag.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(self.tag.size),
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
        cfg, job, width = self.cfg, self.job, self.cfg.width
        fmt = cfg.format
        soft = cfg.reset == "soft"
        items = cfg.accumulators // cfg.entries_per_word("forward")
        m.submodules.state = state = memory.Memory(shape=cfg.row_bits, depth=items, init=[])
        before, after = state.read_port(domain="comb"), state.write_port()
        m.submodules.pending = pending = Pending(cfg, items)

        # New rows, and with a soft reset the same neurons once more
        rows = self.i
        if pending.early:
            m.submodules.fetch = fetch = Fetch(neuron_item(self.payloads))
            wiring.connect(m, wiring.flipped(self.i), fetch.i)
            rows = fetch.o
            m.d.comb += [pending.following.eq(self.i.payload.tag.item), pending.moves.eq(fetch.i.ready)]
        source = stream.Signature(self.item).create()
        m.d.comb += [
            source.payload.row.eq(rows.payload.row),
            source.payload.tag.eq(rows.payload.tag),
            source.valid.eq(rows.valid & pending.free),
            rows.ready.eq(source.ready & pending.free),
            pending.item.eq(rows.payload.tag.item),
            pending.take.eq(source.valid & source.ready),
        ]
        if soft:
            m.submodules.passes = passes = PassLoop(self.item, depth=cfg.mac_stages + 2)
            wiring.connect(m, source, passes.i)
            going = passes.o
        else:
            going = source
        tag = going.payload.tag
        out = Signal(self.tag)
        m.d.comb += [
            before.addr.eq(tag.item),
            out.tag.eq(tag),
            out.again.eq(going.payload.again),
            self.request.valid.eq(going.valid),
            going.ready.eq(self.request.ready),
            self.request.payload.tag.eq(out),
        ]
        minus_threshold = Cat(job.threshold[: width - 1], ~job.threshold[width - 1])
        with m.If(going.payload.again):
            m.d.comb += [
                self.request.payload.a.eq(every_lane(cfg, Const(fmt.one, width))),
                self.request.payload.b.eq(going.payload.row),
                self.request.payload.c.eq(
                    select_lanes(cfg, going.payload.spikes, every_lane(cfg, minus_threshold), fmt.negative_zero)
                ),
            ]
        with m.Else():
            m.d.comb += [
                self.request.payload.a.eq(every_lane(cfg, job.leak[:width])),
                self.request.payload.b.eq(Mux(tag.step == 0, 0, before.data)),
                self.request.payload.c.eq(going.payload.row),
            ]

        # What comes back: a potential, or (soft reset, second pass) the potential after the reset
        done = Signal(self.tag)
        step = done.tag.step
        fired, near = Signal(cfg.lanes), Signal(cfg.lanes)
        m.d.comb += done.eq(self.result_tag)
        for lane in range(cfg.lanes):
            key = sort_key(self.result[lane * width : (lane + 1) * width])
            m.d.comb += [
                fired[lane].eq(key >= self.keys.threshold),
                near[lane].eq((key > self.keys.low) & (key < self.keys.high)),
            ]
        fresh = self.result_valid & ~done.again
        final = self.result_valid & (done.again if soft else 1)
        # The bits go to memory a cycle later, because the comparisons take long
        compared, kept, late = Signal(), Signal.like(done.tag), Signal(cfg.address_bits)
        address = job.dst + done.tag.address
        m.d.sync += [
            compared.eq(fresh), kept.eq(done.tag), late.eq(address),
            self.word_en.eq(fresh & (step == cfg.timesteps - 1)),
        ]  # fmt: skip
        for name, bits, word in (("spike", fired, self.spikes), ("mask", near, self.masks)):
            m.submodules[f"{name}_history"] = history = History(cfg, items)
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
            self.row_address.eq(Cat(step[: cfg.step_bits], address[: cfg.address_bits])),
            self.row_en.eq(fresh),
            self.potentials.eq(self.result),
            after.addr.eq(done.tag.item),
            after.en.eq(final),
            after.data.eq(self.result if soft else select_lanes(cfg, ~fired, self.result, 0)),
        ]
        if soft:
            m.d.comb += [
                passes.back.row.eq(self.result),
                passes.back.tag.eq(done.tag),
                passes.back.again.eq(1),
                passes.back.spikes.eq(fired),
                passes.back_valid.eq(fresh),
            ]

        m.d.comb += [
            pending.done_item.eq(done.tag.item),
            pending.done.eq(final),
            self.busy.eq(self.i.valid | rows.valid | pending.busy | compared),
        ]
        return m
