"""The registers of a core: its state, and its counters."""

from dataclasses import replace

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.limits import FEW_JOBS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import QUEUES
from trident.hw.isa.registers import ENGINE_COUNTERS, MAGIC, config_digest, counted, registers, state
from trident.hw.isa.spaces import Space
from trident.hw.isa.tokens import TOKEN_BITS, Token
from trident.hw.isa.words import WORD


def increments(cfg: CoreConfig) -> data.StructLayout:
    """How much each counter may grow in one cycle."""
    wide = {"spikes.reads": 2, "errors.reads": 2, "weights.reads": 2, "potentials.reads": 2}
    wide["functions.reads"] = cfg.lanes.bit_length()
    for engine in ("forward", "backward", "weight_grad"):
        payloads = Payloads(cfg, engine)
        wide |= {
            f"{engine}.useful": payloads.cols.bit_length(),
            f"{engine}.skipped": payloads.vectors.bit_length(),
        }
    return data.StructLayout({name: wide.get(name, 1) for name in counted(cfg)})


class Counters(wiring.Component):
    """A 32-bit counter per name of :func:`counted` (they wrap around), and the state registers, by index.

    The counters lie in a small memory, and begin at zero when the core is reset. Beside it, each has a few bits that
    gather what it grows by; one counter per cycle has them added, all in turn. One that is read has its turn in the
    next cycle, so what is read is exact; it comes a cycle later. At most every third cycle may read.

    Members
    -------
    counted : In, increments by name; state : In, the words of :func:`state` after magic and config
    query, query_count : the count of a token
    read : In(1), ``address``, which has been there for a cycle, is read; rdata : Out(32), two cycles later
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__({
            "counted": In(increments(cfg)),
            "state": In(WORD).array(len(state(cfg)) - 2),
            "query": Out(range(len(Token))),
            "query_count": In(TOKEN_BITS),
            "read": In(1),
            "address": In(range(len(registers(cfg)))),
            "rdata": Out(WORD),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        shape = increments(self.cfg)
        names = counted(self.cfg)
        count = len(names)
        m.submodules.totals = totals = memory.Memory(shape=WORD, depth=count, init=[])
        total, sum_ = totals.read_port(domain="comb"), totals.write_port()
        # Whose turn it is, and in the next cycle it is in ``at``
        turn, at = Signal(range(count)), Signal(range(count))
        token = len(state(self.cfg))  # the first of them, and of counters
        counter = token + len(Token)
        kind, index = Signal(2), Signal(range(count))  # of the address, a cycle late
        m.d.sync += [
            kind.eq(Cat(self.address >= token, self.address >= counter)),
            index.eq(self.address - counter),
            self.query.eq(self.address - token),
        ]
        fresh = Signal(init=1)  # counters that have not had a turn since the reset hold what was before
        empty = Signal()  # the one in ``at`` has not
        m.d.sync += [at.eq(turn), empty.eq(fresh)]
        with m.If(self.read & kind[1]):
            m.d.sync += [at.eq(index), empty.eq(fresh & (index >= turn))]
        with m.Else():
            m.d.sync += turn.eq(Mux(turn == count - 1, 0, turn + 1))
            with m.If(turn == count - 1):
                m.d.sync += fresh.eq(0)
        grown = Signal.like(self.counted)
        m.d.sync += grown.eq(self.counted)
        following = []  # what each has gathered in the next cycle
        for n, name in enumerate(names):
            most = (1 << shape[name].width) - 1
            # Reads may take every third turn
            bits = Signal(range((3 * count // 2 + 3) * most + 1), name=name.replace(".", "_"))
            after = Signal.like(bits)
            m.d.comb += after.eq(Mux(at == n, 0, bits) + grown[name])
            m.d.sync += bits.eq(after)
            following.append(after)
        added = Signal(max(len(after) for after in following))  # what the one in ``at`` has gathered
        m.d.sync += added.eq(Array(following)[Mux(self.read & kind[1], index, turn)])
        m.d.comb += [
            total.addr.eq(at),
            sum_.addr.eq(at),
            sum_.data.eq(Mux(empty, 0, total.data) + added),
            sum_.en.eq(1),
        ]
        words = [Const(MAGIC, WORD), Const(config_digest(self.cfg, self.mesh), WORD), *self.state]
        word, summed, reading = Signal(WORD), Signal(WORD), Signal(2)  # reading: a word; a sum
        m.d.sync += reading[0].eq(self.read)
        with m.If(self.read):
            m.d.sync += [word.eq(Mux(kind[0], self.query_count, Array(words)[self.address])), reading[1].eq(kind[1])]
        with m.If(reading[0]):
            m.d.sync += summed.eq(sum_.data)
        m.d.comb += self.rdata.eq(Mux(reading[1], summed, word))
        return m


def connect_counters(
    m: Module, cfg: CoreConfig, mesh: MeshConfig, engines, memories, sequencer, ejector, faults, increments: dict
):
    """Make the registers and counters that the host reads, and connect them; ``increments``: of counters that neither
    engines nor memories have, by name."""
    m.submodules.counters = counters = Counters(cfg, mesh)
    increments = increments | memories.counted() | {
        f"{name}.{counter}": getattr(engine.activity, field)
        for name, engine in engines.items() for counter, field in ENGINE_COUNTERS.items()
    }  # fmt: skip
    increments["cycles"] = sequencer.running
    everything = set(counted(replace(cfg, counters="all")))
    if set(increments) != everything:
        raise ValueError(f"counters and increments differ in {set(increments) ^ everything}")
    m.d.comb += [counters.counted[name].eq(increments[name]) for name in counted(cfg)]
    words = [faults.status, *(Cat(sequencer.state[n : n + 3]) for n in range(0, len(QUEUES), 3))]
    words += [Cat(sequencer.upper)] if cfg.jobs > FEW_JOBS else []
    m.d.comb += [register.eq(value) for register, value in zip(counters.state, words, strict=True)]
    m.d.comb += [
        sequencer.query.eq(counters.query),
        counters.query_count.eq(sequencer.query_count),
        counters.read.eq(ejector.select[Space.REGISTERS]),
        counters.address.eq(ejector.address),
        ejector.rdata[Space.REGISTERS].eq(counters.rdata),
    ]
