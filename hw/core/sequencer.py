"""The sequencer: a thread of instructions per queue, tokens between them."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.core.job_loader import JobLoader
from trident.hw.core.kinds import kind_bits, kinds_of_queues
from trident.hw.core.slots import next_slots, slots_layout, slots_setup
from trident.hw.core.tokens import TOKENS, TokenCounters
from trident.hw.core.walk_table import WalkTable
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB, JOB_INDEX_BITS, SAMPLE_BITS
from trident.hw.isa.limits import FEW_JOBS
from trident.hw.isa.operations import QUEUES, Opcode
from trident.hw.isa.program import INSTRUCTION, QUEUE_STATE, SETUP
from trident.hw.isa.registers import UPPER_BITS
from trident.hw.isa.tokens import NO_TOKEN, TOKEN_BITS, TOKEN_LIST, TOKEN_NUMBER_BITS, token_place
from trident.hw.isa.words import WORD
from trident.hw.lib.onehot import bit_number, lowest_bit

# Places of the words that say which tokens a job waits for and gives
WAIT, POST = (Const(JOB.words - n, JOB_INDEX_BITS) for n in (2, 1))
LAST = 8 * (SETUP.words - 1)  # counts for which the words of the setup before the last have room


class Sequencer(wiring.Component):
    """Six threads, one per queue, that take turns: each runs its own instructions, one job at a time.

    A program is its :data:`SETUP`, then one JUMP per queue to the queue's first instruction. LOOP goes back
    until every sample has been dispatched, and moves on to the next slot of each kind, so that consecutive samples use
    different memory; ENTER begins a loop with the first sample, and passes it by if there are no samples. Every queue
    comes to the same BARRIERs and to HALT; they go on when all have come.

    A turn: give the tokens of the job that has ended; fetch instructions up to the next job; if its tokens are there,
    take them, load the job's words, pointers moved to the sample's slot, and start. A queue whose tokens are missing
    gets no turn until some token is given. From a job's end to the next one's start, with a token given and one taken,
    ``cfg.job_words + 16`` cycles; with ``prefetch_jobs``, where the words of the next job are loaded meanwhile, 8. One
    more for each further token that is given, two for each that is taken, and with ``prefetch_jobs`` one for all
    these; more when other queues have their turn.

    ``arm`` sets the tokens to their first counts; a program that ends leaves them so, because HALT waits for that. A
    token that comes from another core before ``start`` is kept.

    Members
    -------
    arming : Out(1), tokens are being set: ``start`` must wait
    arm, start : In(1), pulses, the latter with the number of ``samples``; running : Out(1); halted : Out(1), a pulse
    incoming, incoming_en : In, a token from another core
    sample : Out, with dropout, the number of the sample of the queue forward, from 0
    job, number, slot, kind : Out, per queue the job that runs, its number, its sample's slot of spikes, which of the
        queue's operations it is; go : Out, a pulse, the job is there a cycle before
    walk, further : of the queues forward and backward, with ``walks``, which further walk of its job an engine asks
        for, and its fields, see :class:`WalkTable`
    busy : In, per queue, from the cycle after ``go`` until the engine is done
    slots : Out, slots of spikes
    query, query_count : the count of a token, for the host
    state : Out, per queue its job, whether it waits for tokens, whether it runs; upper : Out, with many jobs, the upper
        bits of its job's number
    active : Out, queues whose engine runs
    program_*, jobs_* : host ports; both are one memory
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
            "samples": In(SAMPLE_BITS),
            "running": Out(1),
            "halted": Out(1),
            "incoming": In(range(TOKENS)),
            "incoming_en": In(1),
            "job": Out(JOB.shape()).array(queues),
            "number": Out(cfg.job_number_bits).array(queues),
            "slot": Out(cfg.slot_bits).array(queues),
            "kind": Out(kind_bits(cfg)).array(queues),
            **({"sample": Out(SAMPLE_BITS)} if cfg.dropout else {}),
            "walk": In(range(cfg.walks)).array(2),
            "further": Out(JOB.shape()).array(2),
            "go": Out(1).array(queues),
            "busy": In(1).array(queues),
            "slots": Out(cfg.slot_bits),
            "query": In(range(TOKENS)),
            "query_count": Out(TOKEN_BITS),
            "state": Out(QUEUE_STATE).array(queues),
            **({"upper": Out(UPPER_BITS).array(queues)} if cfg.jobs > FEW_JOBS else {}),
            "active": Out(queues),
            "program_write": In(1),
            "program_address": In(self.program_bits),
            "jobs_write": In(1),
            "jobs_address": In(self.job_bits + JOB_INDEX_BITS),
            "host_wdata": In(WORD),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, queues, prefetch = self.cfg, len(QUEUES), self.cfg.prefetch_jobs
        first = cfg.jobs << JOB_INDEX_BITS  # of the program's words
        m.submodules.words = words = memory.Memory(shape=WORD, depth=first + cfg.program_words, init=[])
        read, write = words.read_port(), words.write_port()
        m.d.comb += [
            write.en.eq(self.program_write | self.jobs_write),
            write.addr.eq(Mux(self.program_write, first + self.program_address, self.jobs_address)),
            write.data.eq(self.host_wdata),
        ]
        m.submodules.tokens = tokens = TokenCounters()
        step = Signal(range(LAST + 1))  # in a list of tokens, or through all of them
        # A block RAM's output takes long: a small core, whose clock is fast, has it a cycle later, and so what other
        # cores and the host send
        late = not prefetch
        inputs = [read.data, self.incoming, self.incoming_en, self.arm, self.start, self.samples]
        for n, value in enumerate(inputs) if late else ():
            inputs[n] = Signal.like(value, name=f"late{n}")
            m.d.sync += inputs[n].eq(value)
        word, incoming, incoming_en, arm, start, all_samples = inputs
        numbers = [word[token_place(n) :][:TOKEN_NUMBER_BITS] for n in range(TOKEN_LIST)]
        number, following_number = Array(numbers)[step[:3]], Array([*numbers[1:], NO_TOKEN])[step[:3]]
        if late:  # the list moves down instead
            number, following_number = numbers[:2]
        through, arming = Signal(init=1), Signal()  # step is a token; tokens are being set
        m.d.sync += self.arming.eq(arming)
        some = number != NO_TOKEN  # the list is not empty
        last = following_number == NO_TOKEN
        free = ~incoming_en  # the counts are
        m.d.comb += [
            tokens.incoming.eq(incoming),
            tokens.incoming_en.eq(incoming_en),
            tokens.token.eq(Mux(through, step, number)),
            tokens.value.eq(word.word_select(step[:3], TOKEN_BITS)),
            tokens.query.eq(self.query),
            self.query_count.eq(tokens.query_count),
        ]

        # What each queue does
        active, full, blocked, stopped = (Signal(queues, name=n) for n in ("active", "full", "blocked", "stopped"))
        waiting = [Signal(self.job_bits, name=f"waiting{n}") for n in range(queues)]  # the job that is to start
        kinds = [Signal(kind_bits(cfg), name=f"kind{n}") for n in range(queues)]
        busy = Signal(queues)  # a cycle late, because it comes through much logic
        m.d.sync += busy.eq(Cat(self.busy))
        ended, ready, room = Signal(queues), Signal(queues), Signal(queues)
        starting = Signal(queues)  # have been started, and are not seen to be busy yet
        m.d.sync += starting.eq(Cat(self.go))
        m.d.comb += [
            self.active.eq(active),
            ended.eq(active & ~busy & ~Cat(self.go) & ~starting),
            ready.eq(full & ~active & ~blocked),
            room.eq(~full & ~stopped if prefetch else ~full & ~stopped & ~active),
        ]
        for n in range(queues):
            m.d.comb += [
                self.state[n].job.eq(waiting[n]),
                self.state[n].blocked.eq(full[n] & blocked[n]),
                self.state[n].active.eq(active[n]),
            ]
            if cfg.jobs > FEW_JOBS:
                m.d.comb += self.upper[n].eq(waiting[n] >> len(self.state[n].job))

        # The thread whose turn it is
        owner = Signal(range(queues))
        owner_bit = Signal(queues)  # its bit
        slots_of = slots_layout(cfg)
        thread = data.StructLayout({"counter": self.program_bits, "slots": slots_of, "left": SAMPLE_BITS})
        m.submodules.threads = threads = memory.Memory(shape=thread, depth=queues, init=[])
        now, then = threads.read_port(domain="comb"), threads.write_port()
        m.d.comb += [
            owner_bit.eq(1 << owner),
            now.addr.eq(owner),
            then.addr.eq(owner),
            then.data.eq(now.data),
            then.data.counter.eq(now.data.counter + 1),
        ]
        instruction = INSTRUCTION.shape()(word)
        kinds_of = kinds_of_queues(cfg)
        kind_of = Array(kinds_of.get(code, 0) for code in range(1 << len(instruction.opcode)))
        setup = Signal(slots_setup(cfg))
        following, spike_slots = next_slots(m, cfg, setup, now.data.slots)
        m.d.comb += self.slots.eq(spike_slots)
        halting = Signal()
        samples = Signal(SAMPLE_BITS)

        # The job that is being loaded
        index = Signal(range(JOB.words + 2))
        loading, walk = Signal(), Signal(range(cfg.walks))
        m.submodules.loader = loader = JobLoader(cfg)
        if cfg.walks > 1:
            for n in range(2):
                m.submodules[f"walks{n}"] = table = WalkTable(cfg)
                m.d.comb += [
                    table.word.eq(loader.walk_word),
                    table.index.eq(loader.walk_index),
                    table.number.eq(loader.walk),
                    table.en.eq(loader.walk_en[n]),
                    table.take.eq(loader.take & owner_bit[n]),
                    table.walk.eq(self.walk[n]),
                    self.further[n].eq(table.job),
                ]
        waiting_here = Array(waiting)[owner]
        number_here = Array(self.number)[owner][: self.job_bits] if prefetch else waiting_here
        m.d.comb += [
            read.en.eq(0),
            loader.word.eq(word),
            loader.index.eq(index),
            loader.loading.eq(loading),
            loader.slots.eq(now.data.slots),
            loader.owner_bit.eq(owner_bit),
            loader.walk.eq(walk),
        ]
        for n in range(queues):
            m.d.comb += [self.job[n].eq(loader.job[n]), self.slot[n].eq(loader.slot[n])]
        m.d.sync += loading.eq(0)
        if cfg.dropout:
            m.d.comb += self.sample.eq(loader.sample)
        if not prefetch:
            m.d.comb += [self.number[n].eq(waiting[n]) for n in range(queues)]
            m.d.comb += [self.kind[n].eq(kinds[n]) for n in range(queues)]

        pauses = {}  # states in which a late word is waited for: what follows, and what holds meanwhile

        def read_then(state: str, *held):
            m.next = f"{state}_READ" if late else state
            pauses[f"{state}_READ"] = state, held

        def next_number():
            if late:
                # See token_place
                moved = [*numbers[1:4], Const(0, 1), *numbers[4:], Const(NO_TOKEN, TOKEN_NUMBER_BITS)]
                m.d.sync += word.eq(Mux(free, Cat(moved), word))
            with m.If(free):
                m.d.sync += step.eq(step + 1)

        def ready_to_start():  # the job whose tokens have been taken
            m.d.sync += [full.eq(full & ~owner_bit), step.eq(0)]
            m.d.comb += loader.take.eq(1)
            for n in range(queues) if prefetch else ():
                with m.If(owner_bit[n]):
                    m.d.sync += [self.number[n].eq(waiting[n]), self.kind[n].eq(kinds[n])]
            m.next = "START" if prefetch else "LOAD"

        m.d.sync += [self.halted.eq(0), *(go.eq(0) for go in self.go)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [step.eq(0), owner.eq(0)]
                m.d.comb += arming.eq(arm)
                with m.If(start):
                    m.d.sync += [self.running.eq(1), samples.eq(all_samples)]
                    m.next = "BEGIN"
                with m.Elif(arm):
                    m.next = "ARM"
            with m.State("ARM"):  # a word of the setup has eight counts
                m.d.comb += [arming.eq(1), read.addr.eq(first + step[3:]), read.en.eq(1)]
                read_then("ARMED", arming.eq(1))
            with m.State("ARMED"):
                m.d.comb += [arming.eq(1), tokens.set.eq(step < TOKENS)]
                with m.If(free):
                    m.d.sync += step.eq(step + 1)
                    m.next = "ARM"
                    with m.If(step == LAST):
                        m.d.sync += setup.eq(word)
                        m.next = "IDLE"
            with m.State("BEGIN"):  # every thread at its JUMP
                m.d.comb += [
                    then.en.eq(1),
                    then.data.counter.eq(SETUP.words + owner),
                ]
                m.d.sync += [owner.eq(owner + 1), through.eq(0)]
                with m.If(owner == queues - 1):
                    m.next = "PICK"
            with m.State("PICK"):
                chosen = Signal(queues)
                m.d.comb += chosen.eq(Mux(ended.any(), ended, Mux(ready.any(), ready, room)))
                m.d.sync += owner.eq(bit_number(lowest_bit(chosen)))
                with m.If(ended.any()):
                    m.next = "POST"
                with m.Elif(ready.any()):
                    m.next = "WAIT"
                with m.Elif(room.any()):
                    m.next = "FETCH"
                with m.Elif(stopped.all() & ~active.any() & ~full.any()):
                    m.d.sync += stopped.eq(0)
                    with m.If(halting):
                        m.d.sync += through.eq(1)
                        m.next = "SETTLE"
            with m.State("POST"):
                m.d.comb += [read.addr.eq(Cat(POST, number_here)), read.en.eq(1)]
                read_then("POSTED")
            with m.State("POSTED"):
                next_number()
                with m.If(free):
                    m.d.comb += tokens.add.eq(some)
                    with m.If(last):
                        m.d.sync += [active.eq(active & ~owner_bit), step.eq(0)]
                        m.next = "PICK" if prefetch else "FETCH"
                        if not prefetch:
                            with m.If((stopped & owner_bit).any()):
                                m.next = "PICK"
            with m.State("FETCH"):
                m.d.comb += [read.addr.eq(first + now.data.counter), read.en.eq(1)]
                read_then("DECODE")
            with m.State("DECODE"):
                m.d.comb += then.en.eq(1)
                m.next = "FETCH"
                with m.Switch(instruction.opcode):
                    with m.Case(Opcode.JUMP):
                        m.d.comb += then.data.counter.eq(instruction.job)
                    with m.Case(Opcode.ENTER):
                        m.d.comb += [then.data.left.eq(samples), then.data.slots.eq(0)]
                        with m.If(samples == 0):
                            m.d.comb += then.data.counter.eq(instruction.job)
                    with m.Case(Opcode.LOOP):
                        m.d.comb += [then.data.left.eq(now.data.left - 1), then.data.slots.eq(following)]
                        with m.If(now.data.left != 1):
                            m.d.comb += then.data.counter.eq(instruction.job)
                    with m.Case(Opcode.BARRIER, Opcode.HALT):
                        m.d.sync += [stopped.eq(stopped | owner_bit), halting.eq(instruction.opcode == Opcode.HALT)]
                        m.next = "PICK"
                    with m.Default():
                        m.d.sync += full.eq(full | owner_bit)
                        for n in range(queues):
                            with m.If(owner_bit[n]):
                                m.d.sync += [waiting[n].eq(instruction.job), kinds[n].eq(kind_of[instruction.opcode])]
                        m.next = "LOAD" if prefetch else "WAIT"
                m.d.sync += index.eq(0)
            with m.State("WAIT"):
                m.d.comb += [read.addr.eq(Cat(WAIT, waiting_here)), read.en.eq(1)]
                m.d.sync += index.eq(0)
                read_then("LOOK")
            with m.State("LOOK"):
                next_number()
                with m.If(free):
                    with m.If(some & (tokens.count == 0)):
                        m.d.sync += [blocked.eq(blocked | owner_bit), step.eq(0)]
                        m.next = "PICK"
                    if prefetch:  # one token, or none: taken at once
                        with m.Elif(last & (step == 0)):
                            m.d.comb += tokens.take.eq(some)
                            ready_to_start()
                    with m.Elif(last):
                        m.d.sync += step.eq(0)
                        m.next = "TAKE"
                if late:
                    with m.If(free & last):
                        m.d.sync += word.eq(read.data)
            with m.State("TAKE"):
                next_number()
                with m.If(free):
                    m.d.comb += tokens.take.eq(some)
                    with m.If(last):
                        ready_to_start()
            with m.State("LOAD"):
                loaded_job = waiting_here + loader.walk if cfg.walks > 1 else waiting_here
                m.d.comb += [read.addr.eq(Cat(index[:JOB_INDEX_BITS], loaded_job)), read.en.eq(index < cfg.job_words)]
                m.d.sync += [index.eq(index + 1), loading.eq(index < cfg.job_words)]
                with m.If(index == cfg.job_words + 1 + late):
                    m.next = "PICK" if prefetch else "START"
                    if cfg.walks > 1:
                        m.d.sync += walk.eq(0)
                        with m.If(loader.more):
                            m.d.sync += [walk.eq(walk + 1), index.eq(0)]
                            m.next = "LOAD"
            with m.State("START"):
                m.d.sync += active.eq(active | owner_bit)
                m.d.sync += [go.eq(owner_bit[n]) for n, go in enumerate(self.go)]
                m.next = "PICK"
            with m.State("SETTLE"):
                m.d.comb += [read.addr.eq(first + step[3:]), read.en.eq(1)]
                read_then("SETTLED")
            with m.State("SETTLED"):
                m.d.sync += step.eq(step + 1)
                m.next = "SETTLE"
                with m.If(incoming_en | (tokens.count != tokens.value)):
                    m.d.sync += step.eq(0)
                with m.Elif(step == TOKENS - 1):
                    m.d.sync += [self.halted.eq(1), self.running.eq(0)]
                    m.next = "IDLE"
            for pause, (state, held) in pauses.items() if late else ():
                with m.State(pause):
                    m.d.comb += held
                    m.next = state
        with m.If(incoming_en | tokens.add):
            m.d.sync += blocked.eq(0)
        return m
