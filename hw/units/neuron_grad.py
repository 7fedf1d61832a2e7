"""The neuron-gradient unit: from the error at a neuron's spikes to the error at its potential."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import every_lane, mac_request, select_lanes
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.history import History
from trident.hw.units.parts.passes import PassLoop
from trident.hw.units.parts.pending import Pending


class NeuronGradUnit(wiring.Component):
    """``d[t] = h[t] * e[t] + leak * (1 - s[t]) * d[t+1]``, last timestep first, the reset detached.

    Rectangle: h is the stored bit, one multiply-add. Triangle: ``h = max(0, 1 - |u - threshold| / window)`` from the
    stored potential, four passes: ``1 * u - threshold``; ``slope * |.| + 1``; ``h * e``; then as above. With a soft
    reset the factor (1 - s) is absent. Beside the errors, a mask word says which of them are not zero.

    Members
    -------
    job : In, constants; ``dst`` is the first error word that is written, ``aux`` the layer's first spike word
    i : stream of rows of e
    request, result... : a client of the shared multiply-adder
    spike_address, spike_en, spikes, masks : read port for the layer's spike and mask words; spike_hold : Out(1), it
        must keep its output
    potential_address, potential_en, potentials : read port for potentials
    error_address, error_en, errors : write port for errors (row = word, timestep)
    mask_address, mask_en, mask : write port for error masks
    busy : Out(1), a neuron is under way
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.payloads = Payloads(cfg, "backward")
        triangle = cfg.surrogate == "triangle"
        self.tag = data.StructLayout({
            "tag": self.payloads.place,
            "spikes": cfg.lanes,
            "turn": 2 if triangle else 0,  # passes made so far
            "error": cfg.row_bits if triangle else 0,
        })  # fmt: skip
        self.item = data.StructLayout({"row": cfg.row_bits, "tag": self.tag})
        super().__init__({
            "job": In(JOB.shape()),
            "i": In(stream.Signature(neuron_item(self.payloads))),
            "request": Out(stream.Signature(mac_request(cfg, self.tag.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(self.tag.size),
            "result_valid": In(1),
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
        cfg, job, width = self.cfg, self.job, self.cfg.width
        fmt = cfg.format
        triangle = cfg.surrogate == "triangle"
        items = cfg.accumulators // cfg.entries_per_word("backward")
        m.submodules.state = state = memory.Memory(shape=cfg.row_bits, depth=items, init=[])
        before, after = state.read_port(domain="comb"), state.write_port()
        m.submodules.pending = pending = Pending(cfg, items)

        # Read the layer's own spikes and surrogate for the row that comes in
        m.submodules.fetch = fetch = Fetch(neuron_item(self.payloads))
        wiring.connect(m, wiring.flipped(self.i), fetch.i)
        address = Signal(cfg.address_bits)
        m.d.comb += [
            address.eq(job.aux + self.i.payload.tag.address),
            self.spike_address.eq(address),
            self.spike_en.eq(fetch.en),
            self.spike_hold.eq(fetch.o.valid),
            self.potential_address.eq(Cat(self.i.payload.tag.step[: cfg.step_bits], address)),
            self.potential_en.eq(fetch.en),
        ]
        current = fetch.o.payload
        entering = Signal(self.item)
        source, read = stream.Signature(self.item).create(), stream.Signature(self.item).create()
        waiting, held = read, fetch.o.valid
        if pending.early:  # a block RAM's output takes long
            m.submodules.kept = kept = Fetch(self.item)
            m.d.comb += [kept.i.payload.eq(read.payload), kept.i.valid.eq(read.valid), read.ready.eq(kept.i.ready)]
            m.d.comb += [pending.following.eq(current.tag.item), pending.moves.eq(kept.i.ready)]
            waiting, held = kept.o, fetch.o.valid | kept.o.valid
        spiked = self._at_step(self.spikes, current.tag.step)
        m.d.comb += [
            entering.tag.tag.eq(current.tag),
            entering.tag.tag.address.eq(job.dst + current.tag.address),  # from here on where the error goes
            entering.tag.spikes.eq(0 if cfg.reset == "soft" else spiked),
            read.payload.eq(entering),
            read.valid.eq(fetch.o.valid),
            fetch.o.ready.eq(read.ready),
            source.payload.eq(waiting.payload),
            source.valid.eq(waiting.valid & pending.free),
            waiting.ready.eq(source.ready & pending.free),
            pending.item.eq(waiting.payload.tag.tag.item),
            pending.take.eq(source.valid & source.ready),
        ]
        if triangle:
            m.d.comb += [entering.row.eq(self.potentials), entering.tag.error.eq(current.row)]
            m.submodules.passes = passes = PassLoop(self.item, depth=cfg.mac_stages + 2)
            wiring.connect(m, source, passes.i)
            going = passes.o
        else:
            m.d.comb += entering.row.eq(select_lanes(cfg, self._at_step(self.masks, current.tag.step), current.row, 0))
            going = source

        tag = going.payload.tag
        row = going.payload.row
        request = self.request.payload
        step = tag.tag.step
        carried = Mux(step == cfg.timesteps - 1, 0, select_lanes(cfg, ~tag.spikes, before.data, 0))
        m.d.comb += [
            before.addr.eq(tag.tag.item),
            self.request.valid.eq(going.valid),
            going.ready.eq(self.request.ready),
            request.tag.eq(tag),
            # the last pass, the only one of the rectangle
            request.a.eq(every_lane(cfg, job.leak[:width])),
            request.b.eq(carried),
            request.c.eq(row),
        ]
        if triangle:
            one = Const(fmt.one, width)
            sign = width - 1
            magnitudes = Cat(Cat(row[n : n + sign], Const(0, 1)) for n in range(0, cfg.row_bits, width))
            positive = select_lanes(cfg, ~Cat(row[n + sign] for n in range(0, cfg.row_bits, width)), row, 0)
            with m.Switch(tag.turn):
                with m.Case(0):
                    m.d.comb += [
                        request.a.eq(every_lane(cfg, one)),
                        request.b.eq(row),
                        request.c.eq(every_lane(cfg, Cat(job.threshold[:sign], ~job.threshold[sign]))),
                    ]
                with m.Case(1):
                    m.d.comb += [
                        request.a.eq(every_lane(cfg, job.slope[:width])),
                        request.b.eq(magnitudes),
                        request.c.eq(every_lane(cfg, one)),
                    ]
                with m.Case(2):
                    m.d.comb += [
                        request.a.eq(positive),
                        request.b.eq(tag.error),
                        request.c.eq(every_lane(cfg, Const(fmt.negative_zero, width))),
                    ]

        done = Signal(self.tag)
        m.d.comb += done.eq(self.result_tag)
        final = self.result_valid & ((done.turn == 3) if triangle else 1)
        if triangle:
            m.d.comb += [
                passes.back.row.eq(self.result),
                passes.back.tag.eq(done),
                passes.back.tag.turn.eq(done.turn + 1),
                passes.back_valid.eq(self.result_valid & ~final),
            ]
        m.submodules.history = history = History(cfg, items)
        m.d.comb += [
            history.item.eq(done.tag.item),
            history.step.eq(done.tag.step),
            history.first.eq(done.tag.step == cfg.timesteps - 1),
            history.bits.eq(Cat(self.result[n : n + width - 1].any() for n in range(0, cfg.row_bits, width))),
            history.en.eq(final),
            self.error_address.eq(Cat(done.tag.step[: cfg.step_bits], done.tag.address)),
            self.error_en.eq(final),
            self.errors.eq(self.result),
            self.mask_address.eq(done.tag.address),
            self.mask_en.eq(final & (done.tag.step == 0)),
            self.mask.eq(history.word),
            after.addr.eq(done.tag.item),
            after.en.eq(final),
            after.data.eq(self.result),
        ]
        m.d.comb += [
            pending.done_item.eq(done.tag.item),
            pending.done.eq(final),
            self.busy.eq(self.i.valid | held | pending.busy),
        ]
        return m
