"""From word requests to matrices: read spike words and put those that share a row of weights side by side."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.streams import Buffer


class Gather(wiring.Component):
    """Read the requested spike words and collect them into a matrix; one word per cycle, 2 cycles latency, 4 with
    ``short_paths``, where the address is made in two cycles of its own.

    Members
    -------
    i : stream of word requests; the one with ``last`` completes its matrix, words not requested are zero
    o : stream of matrices
    blocks, row : In, words per pixel, and per row of the image; of several walks each request has them
    planes : In(1), a word holds planes where it holds timesteps otherwise
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
            "row": In(cfg.address_bits),
            "planes": In(1),
            "address": Out(cfg.address_bits),
            "en": Out(1),
            "data": In(cfg.spike_bits),
            "fetched": Out(1),
            "busy": Out(1),
        })  # fmt: skip

    @staticmethod
    def _place(m: Module, requests, placed):
        """Connect ``requests`` to ``placed``, with the address that its parts add up to."""
        parts, request = requests.payload.parts, requests.payload.request
        m.d.comb += [
            placed.valid.eq(requests.valid),
            placed.payload.request.eq(request),
            placed.payload.address.eq(parts[0] + parts[1] + request.start),
            requests.ready.eq(placed.ready),
        ]

    def elaborate(self, platform):
        m = Module()
        cfg, payloads = self.payloads.cfg, self.payloads
        several = payloads.walks > 1
        # A request, first with the words before its row and within the row, then with the word's address
        parts = data.StructLayout({"request": payloads.request, "parts": data.ArrayLayout(cfg.address_bits, 2)})
        place = data.StructLayout({"request": payloads.request, "address": cfg.address_bits})
        requests, placed = stream.Signature(parts).create(), stream.Signature(place).create()
        m.submodules.fetch = fetch = Fetch(place)
        m.d.comb += [
            requests.payload.request.eq(self.i.payload),
            requests.payload.parts[0].eq(self.i.payload.y * (self.i.payload.row if several else self.row)),
            requests.payload.parts[1].eq(self.i.payload.x * (self.i.payload.blocks if several else self.blocks)),
            requests.valid.eq(self.i.valid),
            self.i.ready.eq(requests.ready),
        ]
        held = [fetch.o.valid]
        if cfg.short_paths:
            m.submodules.multiplied, m.submodules.buffer = register, buffer = Fetch(parts), Buffer(place)
            wiring.connect(m, requests, register.i)
            self._place(m, register.o, buffer.i)
            placed = buffer.o
            held += [register.o.valid, buffer.o.valid]
        else:
            self._place(m, requests, placed)
        m.d.comb += [
            fetch.i.payload.eq(placed.payload),
            fetch.i.valid.eq(placed.valid),
            placed.ready.eq(fetch.i.ready),
            self.address.eq(placed.payload.address),
            self.en.eq(fetch.en),
            self.fetched.eq(fetch.en & placed.payload.request.fetch),
            self.busy.eq(Cat(held).any()),
        ]

        request = fetch.o.payload.request
        ones = Const((1 << cfg.timesteps) - 1, cfg.spike_bits)
        if payloads.planes:  # a bias is added once
            ones = Mux(self.planes, 1, ones)
        word = Mux(request.ones, ones, Mux(request.fetch, self.data, 0))
        position = Signal(range(max(payloads.words, 2)))
        built = Signal(payloads.matrix)
        full = Signal(payloads.matrix)
        m.d.comb += [full.eq(built), full.meta.eq(request.meta)]
        for n in range(payloads.words):
            with m.If(position == n):
                m.d.comb += full.words[n].eq(word)
                if payloads.marks:
                    m.d.comb += full.ones[n].eq(request.ones)
                if payloads.engine == "backward":
                    m.d.comb += full.addresses[n].eq(fetch.o.payload.address)

        last = request.last if payloads.words > 1 else Const(1)
        m.d.comb += fetch.o.ready.eq(~last | ~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(fetch.o.valid & fetch.o.ready):
            with m.If(last):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(full), position.eq(0), built.eq(0)]
            with m.Else():
                m.d.sync += [built.eq(full), position.eq(position + 1)]
        return m
