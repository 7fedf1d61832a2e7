"""From word requests to matrices: read spike words and put those that share a row of weights side by side."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.skeleton.fetch import Fetch
from hw.skeleton.payloads import Payloads


class Gather(wiring.Component):
    """Read the requested spike words and collect them into a matrix; one word per cycle, 2 cycles latency.

    Members
    -------
    i : stream of word requests; the one with ``last`` completes its matrix, words not requested are zero
    o : stream of matrices
    blocks : In, words per pixel
    address, en, data : a synchronous read port of the spike (or error mask) memory
    fetched : Out(1), a word is read this cycle (for the counters)
    busy : Out(1), a word is on its way into a matrix
    """

    def __init__(self, payloads: Payloads):
        self.payloads = payloads
        cfg = payloads.cfg
        super().__init__({
            "i": In(stream.Signature(payloads.request)),
            "o": Out(stream.Signature(payloads.matrix)),
            "blocks": In(cfg.address_bits),
            "address": Out(cfg.address_bits),
            "en": Out(1),
            "data": In(cfg.spike_bits),
            "fetched": Out(1),
            "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, payloads = self.payloads.cfg, self.payloads
        asked = self.i.payload
        place = data.StructLayout({"request": payloads.request, "address": cfg.address_bits})
        m.submodules.fetch = fetch = Fetch(place)
        m.d.comb += [
            fetch.i.valid.eq(self.i.valid),
            self.i.ready.eq(fetch.i.ready),
            fetch.i.payload.request.eq(asked),
            fetch.i.payload.address.eq(self.address),
            self.address.eq(asked.pixel * self.blocks + asked.start),
            self.en.eq(fetch.en),
            self.fetched.eq(fetch.en & self.i.payload.fetch),
            self.busy.eq(fetch.o.valid),
        ]

        request = fetch.o.payload.request
        ones = Const(sum(1 << t for t in range(cfg.timesteps)), cfg.spike_bits)
        word = Mux(request.ones, ones, Mux(request.fetch, self.data, 0))
        position = Signal(range(max(cfg.words, 2)))
        built = Signal(payloads.matrix)
        full = Signal(payloads.matrix)
        m.d.comb += [full.eq(built), full.meta.eq(request.meta)]
        for n in range(cfg.words):
            with m.If(position == n):
                m.d.comb += full.words[n].eq(word)
                if payloads.engine == "backward":
                    m.d.comb += full.addresses[n].eq(fetch.o.payload.address)

        m.d.comb += fetch.o.ready.eq(~request.last | ~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(fetch.o.valid & fetch.o.ready):
            with m.If(request.last):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(full), position.eq(0), built.eq(0)]
            with m.Else():
                m.d.sync += [built.eq(full), position.eq(position + 1)]
        return m
