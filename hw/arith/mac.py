"""Multiply-adders that several units share."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.add import FloatAdd
from trident.hw.arith.mul import FloatMul
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.microcode import SCALE_BITS


def mac_request(cfg: CoreConfig, tag_bits: int) -> data.StructLayout:
    """``a * b * 2**scale + c`` for every lane; ``tag`` comes back with the result. Where there are function tables,
    lanes have scales of their own, otherwise they have one."""
    scales = data.ArrayLayout(signed(SCALE_BITS), cfg.lanes if cfg.tables else 1)
    return data.StructLayout({
        "a": cfg.row_bits, "b": cfg.row_bits, "c": cfg.row_bits, "scales": scales, "tag": tag_bits,
    })  # fmt: skip


def choose(m: Module, clients, shape) -> tuple[Signal, Signal]:
    """Take a request of the lowest client that has one; returns it and a bit per client, whose it is."""
    chosen, grant = Signal(shape, name="chosen"), Signal(len(clients), name="grant")
    for n, client in reversed(list(enumerate(clients))):
        m.d.comb += client.ready.eq(grant[n])
        with m.If(client.valid):
            m.d.comb += [chosen.eq(client.payload), grant.eq(1 << n)]
    return chosen, grant


def connect_clients(m: Module, mac, units):
    """Connect units to the multiply-adders that they share, in the order in which they are served."""
    for n, unit in enumerate(units):
        m.d.comb += [
            mac.i[n].valid.eq(unit.request.valid),
            mac.i[n].payload.eq(unit.request.payload),
            unit.request.ready.eq(mac.i[n].ready),
            unit.result.eq(mac.o),
            unit.result_tag.eq(mac.o_tag),
            unit.result_valid.eq(mac.o_valid[n]),
        ]


class SharedMac(wiring.Component):
    """``lanes`` multiply-adds per cycle for the units that compute little: neurons, their gradients, the update.

    The product is rounded, then the sum. Requests are served lowest client first; a result goes to its client
    ``latency`` cycles later and cannot wait. With ``short_paths`` the last client, when it begins, waits a cycle, and
    when it ends, another may have to.

    Members
    -------
    i : streams of requests, one per client
    o, o_tag : Out, the result and its tag, for all clients
    o_valid : Out(clients), whose result it is
    nonfinite : Out(1), the result is infinite
    """

    def __init__(self, cfg: CoreConfig, tag_bits: list[int]):
        self.cfg, self.tag_bits = cfg, max(tag_bits)
        self.clients = len(tag_bits)
        super().__init__({
            "i": In(stream.Signature(mac_request(cfg, self.tag_bits))).array(self.clients),
            "o": Out(cfg.row_bits),
            "o_tag": Out(self.tag_bits),
            "o_valid": Out(self.clients),
            "nonfinite": Out(1),
        })  # fmt: skip

    @property
    def latency(self) -> int:
        return self.cfg.mac_stages

    def elaborate(self, platform):
        m = Module()
        cfg, width = self.cfg, self.cfg.width
        shape, clients = mac_request(cfg, self.tag_bits), self.i
        if cfg.short_paths:  # the last client has turns of its own: it is ready without a look at the others
            clients = [stream.Signature(shape).create() for _ in self.i]
            turn = Signal()
            m.d.sync += turn.eq(self.i[-1].valid & ~Cat(source.valid for source in self.i[:-1]).any())
            for n, (source, client) in enumerate(zip(self.i, clients, strict=True)):
                mine = turn if n == self.clients - 1 else ~turn
                m.d.comb += [
                    client.payload.eq(source.payload),
                    client.valid.eq(source.valid & mine),
                    source.ready.eq(client.ready if n else mine),
                ]
        chosen, grant = choose(m, clients, shape)
        if cfg.short_paths:  # what the clients read from memories ends in a register
            requested, requested_grant = chosen, grant
            chosen, grant = Signal.like(requested, name="request"), Signal.like(requested_grant, name="client")
            m.d.sync += [chosen.eq(requested), grant.eq(requested_grant)]

        def delay(value, cycles, name):
            for n in range(cycles):
                stage = Signal.like(value, name=f"{name}{n}")
                m.d.sync += stage.eq(value)
                value = stage
            return value

        addend = delay(chosen.c, cfg.mul_stages, "addend")
        flags, scales = [], [chosen.scales[n] for n in range(cfg.lanes if cfg.tables else 1)]
        for lane in range(cfg.lanes):
            low = lane * width
            m.submodules[f"mul_{lane}"] = mul = FloatMul(
                cfg.format, cfg.mul_stages, subnormals=cfg.multiplier_subnormals, scale_bits=SCALE_BITS
            )
            m.submodules[f"add_{lane}"] = add = FloatAdd(cfg.format, cfg.fixed, cfg.round_stages)
            m.d.comb += [
                mul.a.eq(chosen.a[low : low + width]),
                mul.b.eq(chosen.b[low : low + width]),
                mul.scale.eq(scales[lane % len(scales)]),
                add.a.eq(mul.o),
                add.b.eq(addend[low : low + width]),
                self.o[low : low + width].eq(add.o),
            ]
            flags.append(add.nonfinite)
        done = delay(Cat(grant, chosen.tag), cfg.mul_stages + add.latency, "tag")
        m.d.comb += [
            self.o_valid.eq(done[: self.clients]),
            self.o_tag.eq(done[self.clients :]),
            self.nonfinite.eq(Cat(flags).any()),
        ]
        return m


def every_lane(cfg: CoreConfig, value):
    """The same number in every lane of a row."""
    return Cat(value for _ in range(cfg.lanes))


def select_lanes(cfg: CoreConfig, chosen, row, otherwise):
    """Lanes of ``row`` where the bit of ``chosen`` is set, the number ``otherwise`` in the others."""
    width = cfg.width
    return Cat(
        Mux(chosen[lane], row[lane * width : (lane + 1) * width], otherwise) for lane in range(cfg.lanes)
    )
