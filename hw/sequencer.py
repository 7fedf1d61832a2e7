"""The sequencer: one program for the core, a queue per engine, tokens between them."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.layouts import INSTRUCTION, JOB, QUEUE_OF, QUEUES, SETUP, SLOT_BITS, TOKEN_BITS, WORD, Opcode, Token

TOKENS = len(Token)
SLOTS = data.StructLayout({"spikes": SLOT_BITS, "errors": 1, "remote": SLOT_BITS})
ENTRY = data.StructLayout({"kind": 2, "slots": SLOTS, "job": 8})
JOB_INDEX_BITS = (JOB.words - 1).bit_length()
WAITING = data.StructLayout({"tokens": TOKENS, "job": 8})
ADDRESS = 16  # bits of a pointer in a job, beside which its slot's step lies

# Which slot the pointers of a job (src, aux, dst) belong to, where it is not that of the spikes
_POINTERS = {
    (Opcode.BACKWARD, 0): "errors",
    (Opcode.WEIGHT_GRAD, 1): "errors",
    (Opcode.BACKWARD, 2): "errors",
    (Opcode.RECEIVE, 2): "errors",
    (Opcode.SEND, 2): "remote",
}


class Launcher(wiring.Component):
    """Run the instructions of one queue in order: load the job, take the tokens, start, wait, give tokens.

    With ``prefetch`` a job is loaded while the one before it runs, and 3 cycles pass from the end of a job to the start
    of the next; without, a job has one set of registers, and ``JOB.words + 5`` cycles pass.

    Members
    -------
    i : stream of queue entries
    load, loading : Out, asks for a job's words, and the entry whose job it is
    load_valid, load_last, load_word : In, the words, pointers moved to their slots
    available : In, tokens that can be taken; take, post : Out, tokens taken and given in this cycle
    job, number, slot, kind : Out, the job that runs, its number, the sample's slot of spikes, which of the queue's
        operations it is
    start : Out(1), a pulse; busy : In(1), from the cycle after ``start`` until the engine is done
    idle : Out(1); waiting : Out, tokens that are awaited and missing; running : Out(1)
    """

    def __init__(self, prefetch: bool):
        self.prefetch = prefetch
        super().__init__({
            "i": In(stream.Signature(ENTRY)),
            "load": Out(1),
            "loading": Out(ENTRY),
            "load_valid": In(1),
            "load_last": In(1),
            "load_word": In(WORD),
            "available": In(TOKENS),
            "take": Out(TOKENS),
            "post": Out(TOKENS),
            "job": Out(JOB.shape()),
            "number": Out(8),
            "slot": Out(SLOT_BITS),
            "kind": Out(2),
            "start": Out(1),
            "busy": In(1),
            "idle": Out(1),
            "waiting": Out(TOKENS),
            "running": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # What is being loaded, and what runs; one and the same without prefetch
        loaded, running = Signal(ENTRY), Signal(ENTRY)
        loaded_words = [Signal(WORD, name=f"loaded{n}") for n in range(JOB.words)]
        words = [Signal(WORD, name=f"job{n}") for n in range(JOB.words)] if self.prefetch else loaded_words
        busy = Signal()
        starting = Signal()
        wanted = JOB.shape()(Cat(loaded_words)).wait
        missing = wanted & ~self.available
        m.d.comb += [
            self.job.eq(Cat(words)),
            self.loading.eq(loaded),
            self.number.eq(running.job),
            self.slot.eq(running.slots.spikes),
            self.kind.eq(running.kind),
            self.running.eq(busy),
            self.post.eq(Mux(busy & ~self.busy, self.job.post, 0)),
            self.start.eq(starting),
        ]
        with m.If(self.load_valid):  # words come in order and move down to their places
            m.d.sync += Cat(loaded_words).eq(Cat(*loaded_words[1:], self.load_word))
        with m.FSM():
            with m.State("EMPTY"):
                may = 1 if self.prefetch else ~busy & ~starting
                m.d.comb += [self.i.ready.eq(may), self.idle.eq(~self.i.valid & ~busy & ~starting)]
                with m.If(self.i.valid & may):
                    m.d.sync += loaded.eq(self.i.payload)
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += self.load.eq(1)
                with m.If(self.load_valid & self.load_last):
                    m.next = "FULL"
            with m.State("FULL"):
                with m.If(~busy & ~starting):
                    m.d.comb += self.waiting.eq(missing)
                    with m.If(~missing.any()):
                        m.d.comb += self.take.eq(wanted)
                        m.d.sync += [starting.eq(1), running.eq(loaded)]
                        if self.prefetch:
                            m.d.sync += [word.eq(new) for word, new in zip(words, loaded_words, strict=True)]
                        m.next = "EMPTY"
        # The engine sees its job a cycle before the start
        with m.If(starting):
            m.d.sync += [starting.eq(0), busy.eq(1)]
        with m.If(busy & ~self.busy):
            m.d.sync += busy.eq(0)
        return m


class Sequencer(wiring.Component):
    """Fetch the program's instructions in order and put each into its engine's queue.

    The program's first words are its :data:`hw.layouts.SETUP`; instructions follow. LOOP goes back until every sample
    has been dispatched, and moves on to the next slot of each kind, so that consecutive samples use different memory.
    ``arm`` sets the tokens to their first counts; a program that ends leaves them so, because HALT waits for that. A
    token that comes from another core before ``start`` is kept.

    Members
    -------
    arming : Out(1), tokens are being set: ``start`` must wait
    arm, start : In(1), pulses, the latter with the number of ``samples``; running : Out(1); halted : Out(1), a pulse
    given, given_en : In, a token from another core
    job, number, slot, kind, go, busy : per queue, see :class:`Launcher`
    slots : Out, slots of spikes
    waiting : Out, per queue the tokens that are missing and the job that they are missing for
    active : Out, queues whose engine runs
    program_*, jobs_* : host ports of the two memories
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        queues = len(QUEUES)
        self.program_bits = (cfg.program_words - 1).bit_length()
        self.job_bits = (cfg.jobs - 1).bit_length()
        super().__init__({
            "arm": In(1),
            "arming": Out(1),
            "start": In(1),
            "samples": In(WORD),
            "running": Out(1),
            "halted": Out(1),
            "given": In(range(TOKENS)),
            "given_en": In(1),
            "job": Out(JOB.shape()).array(queues),
            "number": Out(8).array(queues),
            "slot": Out(SLOT_BITS).array(queues),
            "kind": Out(2).array(queues),
            "slots": Out(SLOT_BITS),
            "go": Out(1).array(queues),
            "busy": In(1).array(queues),
            "waiting": Out(WAITING).array(queues),
            "active": Out(queues),
            "program_write": In(1),
            "program_address": In(self.program_bits),
            "jobs_write": In(1),
            "jobs_address": In(self.job_bits + JOB_INDEX_BITS),
            "host_wdata": In(WORD),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        m.submodules.program = program = memory.Memory(shape=WORD, depth=cfg.program_words, init=[])
        m.submodules.jobs = jobs = memory.Memory(shape=WORD, depth=cfg.jobs << JOB_INDEX_BITS, init=[])
        fetch, store = program.read_port(), program.write_port()
        load, store_job = jobs.read_port(), jobs.write_port()
        m.d.comb += [
            store.addr.eq(self.program_address),
            store.data.eq(self.host_wdata),
            store.en.eq(self.program_write),
            store_job.addr.eq(self.jobs_address),
            store_job.data.eq(self.host_wdata),
            store_job.en.eq(self.jobs_write),
        ]

        launchers, queues = [], []
        for n, opcode in enumerate(QUEUES):
            name = opcode.name.lower()
            m.submodules[f"{name}_queue"] = queue = fifo.SyncFIFO(width=ENTRY.size, depth=cfg.queue_depth)
            m.submodules[f"{name}_launcher"] = launcher = Launcher(cfg.prefetch_jobs)
            m.d.comb += [
                launcher.i.payload.eq(queue.r_data),
                launcher.i.valid.eq(queue.r_rdy),
                queue.r_en.eq(launcher.i.ready),
                self.job[n].eq(launcher.job),
                self.number[n].eq(launcher.number),
                self.slot[n].eq(launcher.slot),
                self.kind[n].eq(launcher.kind),
                self.go[n].eq(launcher.start),
                launcher.busy.eq(self.busy[n]),
                self.waiting[n].tokens.eq(launcher.waiting),
                self.waiting[n].job.eq(launcher.loading.job),
                self.active[n].eq(launcher.running),
            ]
            launchers.append(launcher)
            queues.append(queue)
        quiet = Cat(launcher.idle for launcher in launchers).all()

        # One launcher at a time gets its job's words; a pointer is moved to its sample's slot on the way
        owner = Signal(range(len(launchers)))
        loading = Signal()
        index = Signal(range(JOB.words + 1))
        valid, last = Signal(), Signal()
        pointer = Signal(range(JOB.words))
        entry = Signal(ENTRY)
        slot = Signal(SLOT_BITS)
        step, word = Signal(ADDRESS), Signal(WORD)
        m.d.comb += [
            entry.eq(Array(launcher.loading for launcher in launchers)[owner]),
            load.addr.eq(Cat(index[:JOB_INDEX_BITS], entry.job[: self.job_bits])),
            load.en.eq(loading),
            slot.eq(entry.slots.spikes),
            word.eq(load.data),
            step.eq(load.data[ADDRESS:] * slot),
        ]
        for (queue, place), kind in _POINTERS.items():
            with m.If((owner == queue) & (pointer == place)):
                m.d.comb += slot.eq(entry.slots[kind])
        with m.If(pointer < 3):
            m.d.comb += word[:ADDRESS].eq(load.data[:ADDRESS] + step)
        m.d.sync += [valid.eq(loading & (index != JOB.words)), last.eq(index == JOB.words - 1), pointer.eq(index)]
        with m.If(~loading):
            for n, launcher in reversed(list(enumerate(launchers))):
                with m.If(launcher.load):
                    m.d.sync += [owner.eq(n), loading.eq(1), index.eq(0)]
        with m.Elif(index == JOB.words):
            m.d.sync += loading.eq(0)
        with m.Else():
            m.d.sync += index.eq(index + 1)
        for n, launcher in enumerate(launchers):
            m.d.comb += [
                launcher.load_valid.eq(valid & (owner == n)),
                launcher.load_last.eq(last),
                launcher.load_word.eq(word),
            ]

        # Tokens, and whether all have their first counts
        setup = SETUP.shape()
        first = Signal(setup)  # shifted in as it is read
        counts = [Signal(TOKEN_BITS, name=f"token_{token.name.lower()}") for token in Token]
        setting, changing = Signal(), Signal()
        posted = [launcher.post for launcher in launchers]
        m.d.comb += changing.eq(
            setting | self.given_en | Cat(Cat(launcher.post, launcher.take).any() for launcher in launchers).any()
        )
        with m.If(changing):  # which is seldom: the counters need not be looked at otherwise
            for token, count in zip(Token, counts, strict=True):
                given = sum(post[token] for post in posted) + (self.given_en & (self.given == token))
                taken = Cat(launcher.take[token] for launcher in launchers).any()
                with m.If(setting):
                    m.d.sync += count.eq(first[f"token{token.value}"])
                with m.Else():
                    m.d.sync += count.eq(count + given - taken)
        for n, launcher in enumerate(launchers):
            m.d.comb += launcher.available.eq(Cat(count.any() for count in counts))
            # Of the two queues that take it, one does in a cycle: the unit is never two's
            taken = Cat(other.take[Token.UNIT_FREE] for other in launchers[:n]).any() if n else 0
            with m.If(taken):
                m.d.comb += launcher.available[Token.UNIT_FREE].eq(0)
        settled = Signal()

        # Dispatch
        counter = Signal(self.program_bits)
        left = Signal(WORD)
        skipping = Signal()  # no samples: only what follows the loop
        slots = Signal(SLOTS)
        instruction = Signal(INSTRUCTION.shape())
        new = Signal(ENTRY)
        queue_of = Array(QUEUE_OF.get(code, (0, 0))[0] for code in range(1 << len(instruction.opcode)))
        kind_of = Array(QUEUE_OF.get(code, (0, 0))[1] for code in range(1 << len(instruction.opcode)))
        target = Signal(range(len(QUEUES)))
        m.d.comb += [
            fetch.addr.eq(counter),
            instruction.eq(fetch.data),
            target.eq(queue_of[instruction.opcode]),
            new.kind.eq(kind_of[instruction.opcode]),
            new.slots.eq(slots),
            new.job.eq(instruction.job),
            self.slots.eq(first.slots),
        ]
        room = Array(queue.w_rdy for queue in queues)[target]
        for queue in queues:
            m.d.comb += queue.w_data.eq(new)

        def following(slot, count):
            return Mux(slot + 1 == count, 0, slot + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += counter.eq(0)
                with m.If(self.start):
                    m.d.sync += [left.eq(self.samples), slots.eq(0), self.running.eq(1), counter.eq(SETUP.words)]
                    m.d.sync += skipping.eq(self.samples == 0)
                    m.next = "FETCH"
                with m.Elif(self.arm):
                    m.d.sync += counter.eq(1)
                    m.next = "SETUP"
            with m.State("SETUP"):
                m.d.comb += self.arming.eq(1)
                m.d.sync += [counter.eq(counter + 1), first.eq(Cat(first.as_value()[WORD:], fetch.data))]
                with m.If(counter == SETUP.words):
                    m.next = "SET"
            with m.State("SET"):
                m.d.comb += [self.arming.eq(1), setting.eq(1)]
                m.next = "IDLE"
            with m.State("FETCH"):
                with m.If(quiet):
                    same = (count == first[f"token{token.value}"] for token, count in zip(Token, counts, strict=True))
                    m.d.sync += settled.eq(Cat(same).all())
                with m.Else():
                    m.d.sync += settled.eq(0)
                m.next = "DISPATCH"
            with m.State("DISPATCH"):
                m.next = "FETCH"
                with m.If(skipping):
                    m.d.sync += [counter.eq(counter + 1), skipping.eq(instruction.opcode != Opcode.LOOP)]
                with m.Else():
                    with m.Switch(instruction.opcode):
                        with m.Case(Opcode.LOOP):
                            m.d.sync += [
                                left.eq(left - 1),
                                slots.spikes.eq(following(slots.spikes, first.slots)),
                                slots.errors.eq(following(slots.errors, first.error_slots)),
                                slots.remote.eq(following(slots.remote, first.remote_slots)),
                                counter.eq(Mux(left == 1, counter + 1, instruction.job)),
                            ]
                        with m.Case(Opcode.BARRIER):
                            with m.If(quiet):
                                m.d.sync += counter.eq(counter + 1)
                        with m.Case(Opcode.HALT):
                            with m.If(quiet & settled):
                                m.d.comb += self.halted.eq(1)
                                m.d.sync += self.running.eq(0)
                                m.next = "IDLE"
                        with m.Default():
                            for n, queue in enumerate(queues):
                                m.d.comb += queue.w_en.eq(room & (target == n))
                            with m.If(room):
                                m.d.sync += counter.eq(counter + 1)
        return m
