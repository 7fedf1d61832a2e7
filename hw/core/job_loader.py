"""The words of a job, on their way from the memory to the units that they are for."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.core.slots import slots_layout
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB, POINTERS, SAMPLE_BITS
from trident.hw.isa.operations import JOBS, QUEUES, Opcode
from trident.hw.isa.words import WORD

ADDRESS = 16  # bits of a pointer in a job, beside which its slot's step lies

MORE = next(n for n, row in enumerate(JOB.rows) if "more" in {field.name for field in row})

# Which slot the pointers of a queue's jobs belong to, where it is not that of the spikes
_POINTERS = {
    (row.queue, number): row.pointers[name]
    for number, name in enumerate(POINTERS) for row in JOBS if row.pointers.get(name, "spikes") != "spikes"
}  # fmt: skip


class JobLoader(wiring.Component):
    """Puts the words that are read into the job of a queue, pointers moved to the sample's slots.

    A pointer (src, aux, dst) becomes itself plus the slot times the step beside it. A word is in the job two cycles
    after it is read; without ``prefetch_jobs``, where ``word`` comes a cycle later and is written to the job that the
    units see, three. With ``prefetch_jobs`` the units see the job from the cycle after ``take`` on.

    Members
    -------
    word : In(32), what is read; index : In, which word that is, a cycle before it is there; loading : In(1), with the
        word (as the memory gives it), it is one for the job
    slots : In, of the sample; owner_bit : In, the queue, one bit of each; all three hold while a job is loaded
    take : In(1), the job that has been loaded begins, with ``prefetch_jobs``
    walk : In, with ``walks``, of which walk of the job the words are, 0: of the first, which is the job
    more : Out(1), with the last word: another walk follows
    walk_word, walk_index : Out, a word of a further walk; walk_en : Out, the queue that it is for, one bit of each
    job, slot : Out, per queue the job that runs and its sample's slot of spikes; sample : Out, with dropout, of the
        queue forward the number of that sample
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        queues = len(QUEUES)
        super().__init__({
            "word": In(WORD),
            "index": In(range(JOB.words + 2)),
            "loading": In(1),
            "slots": In(slots_layout(cfg)),
            "owner_bit": In(queues),
            "take": In(1),
            "walk": In(range(cfg.walks)),
            "more": Out(1),
            "walk_word": Out(WORD),
            "walk_index": Out(range(JOB.words)),
            "walk_en": Out(queues),
            "job": Out(JOB.shape()).array(queues),
            "slot": Out(cfg.slot_bits).array(queues),
            **({"sample": Out(SAMPLE_BITS)} if cfg.dropout else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, fields = self.cfg, self.cfg.job_words
        late = not cfg.prefetch_jobs  # ``word`` is what the memory gave a cycle ago
        word, slots, owner_bit = self.word, self.slots, self.owner_bit
        number = Signal(range(JOB.words))  # of what the memory gives
        slot, slot_next = Signal(cfg.slot_bits), Signal(cfg.slot_bits)
        product, base = Signal(ADDRESS), Signal(WORD)
        place = [Signal(range(JOB.words), name=f"place{n}") for n in range(2)]
        loads = [Signal(name=f"loads{n}") for n in range(2)]
        m.d.comb += slot_next.eq(slots.spikes)
        for (queue, pointer), kind in _POINTERS.items():
            with m.If(owner_bit[queue] & (number == pointer)):
                m.d.comb += slot_next.eq(slots[kind])
        m.d.sync += [
            number.eq(self.index), slot.eq(slot_next), place[0].eq(number), loads[0].eq(self.loading),
            base.eq(word), product.eq(word[ADDRESS:] * (slot if late else slot_next)), place[1].eq(place[0]),
            loads[1].eq(loads[0]),
        ]  # fmt: skip
        at, load = (place[1], loads[1]) if late else (place[0], loads[0])
        moved = Signal(WORD)
        m.d.comb += moved.eq(base)
        with m.If(at < 3):
            m.d.comb += moved[:ADDRESS].eq(base[:ADDRESS] + product)
        own = load  # the words of the job itself
        if cfg.walks > 1:
            own = load & ~self.walk.any()
            last = Cat(Const(0, MORE * WORD), moved, Const(0, (JOB.words - 1 - MORE) * WORD))
            more = load & JOB.shape()(last).more
            if fields > MORE + 1:  # a word follows that says it
                said, more = more, Signal()
                m.d.sync += more.eq(said)
            m.d.comb += [
                self.more.eq(more),
                self.walk_word.eq(moved),
                self.walk_index.eq(at),
                self.walk_en.eq(owner_bit & (load & ~own).replicate(len(owner_bit))),
            ]
        for n in range(len(QUEUES)):
            job = self.job[n].as_value()
            if cfg.prefetch_jobs:
                loaded, loaded_slot = Signal(fields * WORD, name=f"loaded{n}"), Signal(cfg.slot_bits, name=f"slot{n}")
                with m.If(self.take & owner_bit[n]):
                    m.d.sync += [job[: fields * WORD].eq(loaded), self.slot[n].eq(loaded_slot)]
            else:
                loaded, loaded_slot = job, self.slot[n]
            with m.If(own & owner_bit[n]):
                m.d.sync += loaded_slot.eq(slots.spikes)
                for k in range(fields):
                    with m.If(at == k):
                        m.d.sync += loaded[k * WORD : (k + 1) * WORD].eq(moved)
        if cfg.dropout:
            owned, loaded = owner_bit[Opcode.FORWARD], self.sample
            if cfg.prefetch_jobs:
                loaded = Signal(SAMPLE_BITS, name="loaded_sample")
                with m.If(self.take & owned):
                    m.d.sync += self.sample.eq(loaded)
            with m.If(own & owned):
                m.d.sync += loaded.eq(slots.number)
        return m
