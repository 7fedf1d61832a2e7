"""The sequencer: one program for the core, a queue per engine, tokens between them."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.layouts import INSTRUCTION, JOB, QUEUES, TOKEN_BITS, WORD, Opcode, Token

TOKENS = len(Token)
ENTRY = data.StructLayout({"loss": 1, "slot": 2, "odd": 1, "job": 8, "wait": TOKENS, "post": TOKENS})
JOB_INDEX_BITS = (JOB.words - 1).bit_length()


class Launcher(wiring.Component):
    """Run the instructions of one queue in order: load the job, take the tokens, start, wait, give tokens.

    With ``prefetch`` a job is loaded while the one before it runs, and 3 cycles pass from the end of a job to the start
    of the next; without, a job has one set of registers, and ``JOB.words + 5`` cycles pass.

    Members
    -------
    i : stream of queue entries
    load, load_job : Out, asks for a job's words; load_valid, load_last, load_word : In, the words
    available : In, tokens that can be taken; take, post : Out, tokens taken and given in this cycle
    job, number, slot, odd, loss : Out, the job that runs, its number, the sample's slot of spikes, its slot of errors,
        whether it is the loss
    start : Out(1), a pulse; busy : In(1), from the cycle after ``start`` until the engine is done
    idle : Out(1); waiting : Out, tokens that are awaited and missing; running : Out(1)
    """

    def __init__(self, prefetch: bool):
        self.prefetch = prefetch
        super().__init__({
            "i": In(stream.Signature(ENTRY)),
            "load": Out(1),
            "load_job": Out(8),
            "load_valid": In(1),
            "load_last": In(1),
            "load_word": In(WORD),
            "available": In(TOKENS),
            "take": Out(TOKENS),
            "post": Out(TOKENS),
            "job": Out(JOB.shape()),
            "number": Out(8),
            "slot": Out(2),
            "odd": Out(1),
            "loss": Out(1),
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
        missing = loaded.wait & ~self.available
        m.d.comb += [
            self.job.eq(Cat(words)),
            self.load_job.eq(loaded.job),
            self.number.eq(running.job),
            self.slot.eq(running.slot),
            self.odd.eq(running.odd),
            self.loss.eq(running.loss),
            self.running.eq(busy),
            self.post.eq(Mux(busy & ~self.busy, running.post, 0)),
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
                        m.d.comb += self.take.eq(loaded.wait)
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

    Word 0 of the program holds the tokens' first counts, 4 bits each; instructions follow. LOOP goes back until every
    sample has been dispatched. It moves on to the next slot of spikes (of as many as its ``post`` field says) and to
    the other slot of errors, so that consecutive samples use different memory.

    Members
    -------
    start : In(1), a pulse with the number of ``samples``; running : Out(1); halted : Out(1), a pulse
    job, number, slot, odd, go, busy : per queue, see :class:`Launcher`; loss : Out(1), of backward's queue
    waiting : Out, per queue the tokens that are missing; active : Out, queues whose engine runs
    program_*, jobs_* : host ports of the two memories
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        queues = len(QUEUES)
        self.program_bits = (cfg.program_words - 1).bit_length()
        self.job_bits = (cfg.jobs - 1).bit_length()
        super().__init__({
            "start": In(1),
            "samples": In(WORD),
            "running": Out(1),
            "halted": Out(1),
            "job": Out(JOB.shape()).array(queues),
            "number": Out(8).array(queues),
            "slot": Out(2).array(queues),
            "odd": Out(1).array(queues),
            "loss": Out(1),
            "go": Out(1).array(queues),
            "busy": In(1).array(queues),
            "waiting": Out(TOKENS).array(queues),
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
        fetch, store = program.read_port(domain="comb"), program.write_port()
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
                self.odd[n].eq(launcher.odd),
                self.go[n].eq(launcher.start),
                launcher.busy.eq(self.busy[n]),
                self.waiting[n].eq(launcher.waiting),
                self.active[n].eq(launcher.running),
            ]
            launchers.append(launcher)
            queues.append(queue)
        m.d.comb += self.loss.eq(launchers[Opcode.BACKWARD].loss)
        quiet = Cat(launcher.idle for launcher in launchers).all()

        # One launcher at a time gets its job's words
        owner = Signal(range(len(launchers)))
        loading = Signal()
        index = Signal(range(JOB.words + 1))
        valid, last = Signal(), Signal()
        m.d.comb += [
            load.addr.eq(Cat(index[:JOB_INDEX_BITS], Array(a.load_job for a in launchers)[owner][: self.job_bits])),
            load.en.eq(loading),
        ]
        m.d.sync += [valid.eq(loading & (index != JOB.words)), last.eq(index == JOB.words - 1)]
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
                launcher.load_word.eq(load.data),
            ]

        # Tokens
        setting = Signal()
        for t in range(TOKENS):
            count = Signal(TOKEN_BITS, name=f"token_{Token(t).name.lower()}")
            given = sum(launcher.post[t] for launcher in launchers)
            taken = Cat(launcher.take[t] for launcher in launchers).any()
            with m.If(setting):
                m.d.sync += count.eq(fetch.data[t * TOKEN_BITS : (t + 1) * TOKEN_BITS])
            with m.Else():
                m.d.sync += count.eq(count + given - taken)
            for launcher in launchers:
                m.d.comb += launcher.available[t].eq(count.any())

        # Dispatch
        counter = Signal(self.program_bits)
        left = Signal(WORD)
        slot, odd = Signal(2), Signal()
        instruction = Signal(INSTRUCTION.shape())
        entry = Signal(ENTRY)
        m.d.comb += [
            fetch.addr.eq(counter),
            instruction.eq(fetch.data),
            entry.loss.eq(instruction.opcode == Opcode.LOSS),
            entry.slot.eq(slot),
            entry.odd.eq(odd),
            entry.job.eq(instruction.job),
            entry.wait.eq(instruction.wait),
            entry.post.eq(instruction.post),
        ]
        target = Mux(instruction.opcode == Opcode.LOSS, Opcode.BACKWARD, instruction.opcode)
        room = Array(queue.w_rdy for queue in queues)[target]
        for queue in queues:
            m.d.comb += queue.w_data.eq(entry)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += counter.eq(0)
                with m.If(self.start):
                    m.d.sync += [left.eq(self.samples), slot.eq(0), odd.eq(0), self.running.eq(1)]
                    m.next = "TOKENS"
            with m.State("TOKENS"):
                m.d.comb += setting.eq(1)
                m.d.sync += counter.eq(1)
                m.next = "DISPATCH"
            with m.State("DISPATCH"):
                with m.Switch(instruction.opcode):
                    with m.Case(Opcode.LOOP):
                        m.d.sync += [left.eq(left - 1), odd.eq(~odd)]
                        m.d.sync += slot.eq(Mux(slot + 1 == instruction.post[:2], 0, slot + 1))
                        m.d.sync += counter.eq(Mux(left == 1, counter + 1, instruction.job))
                    with m.Case(Opcode.BARRIER):
                        with m.If(quiet):
                            m.d.sync += counter.eq(counter + 1)
                    with m.Case(Opcode.HALT):
                        with m.If(quiet):
                            m.d.comb += self.halted.eq(1)
                            m.d.sync += self.running.eq(0)
                            m.next = "IDLE"
                    with m.Default():
                        for n, queue in enumerate(queues):
                            m.d.comb += queue.w_en.eq(room & (target == n))
                        with m.If(room):
                            m.d.sync += counter.eq(counter + 1)
        return m
