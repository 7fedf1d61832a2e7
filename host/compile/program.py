"""The programs of a core: what its queues run for every sample and after a minibatch, and which tokens order that."""

from trident.host.compile.core_plan import CorePlan
from trident.host.compile.sum_places import added_errors
from trident.hw.isa.job import ERROR_SLOTS
from trident.hw.isa.operations import QUEUE_OF, QUEUES, Opcode
from trident.hw.isa.program import INSTRUCTION, SETUP
from trident.hw.isa.tokens import Token

_Part = dict[Opcode, list[tuple[Opcode, int]]]


class Program:
    """One program: its words, and the tokens of every job that it runs.

    It has one phase or, where a minibatch is computed layer by layer, several, of which every queue begins one when all
    have ended the one before. In a phase every queue has its own instructions, as pairs of opcode and job: ``loop``,
    those of every sample, then ``after``.
    """

    def __init__(self, slots: int, error_slots: int, remote_slots: int, serial_slots: int = 0):
        self.slots = {
            "slots": slots, "error_slots": error_slots, "remote_slots": remote_slots, "serial_slots": serial_slots,
        }  # fmt: skip
        self.first = dict.fromkeys(Token, 0)
        self.tokens: dict[int, tuple[tuple[Token, ...], tuple[Token, ...]]] = {}
        self.phases: list[tuple[_Part, _Part]] = []
        self._begin_phase()

    def run(self, opcode: Opcode, job: int, wait: tuple = (), post: tuple = ()):
        """Append an instruction to its queue; a job has the same tokens wherever it is run."""
        self.tokens[job] = tuple(sorted(set(wait))), tuple(sorted(set(post)))
        self._part[QUEUES[QUEUE_OF[opcode][0]]].append((opcode, job))

    def _begin_phase(self) -> None:
        loop: _Part = {queue: [] for queue in QUEUES}
        after: _Part = {queue: [] for queue in QUEUES}
        self.phases.append((loop, after))
        self._part = loop

    def end_loop(self):
        """What follows runs once, after the last sample."""
        self._part = self.phases[-1][1]

    def next_phase(self):
        """What follows begins when every queue has ended what was before."""
        self.together(Opcode.BARRIER)
        self._begin_phase()

    def together(self, opcode: Opcode):
        """A BARRIER or HALT, which every queue comes to."""
        for queue in QUEUES:
            self._part[queue].append((opcode, 0))

    @property
    def opcodes(self) -> set[Opcode]:
        """All that the program runs."""
        parts = (part for phase in self.phases for part in phase)
        return {opcode for part in parts for queue in part.values() for opcode, _ in queue}

    @property
    def trains(self) -> bool:
        """It has a backward pass."""
        return Opcode.WEIGHT_GRAD in self.opcodes

    @property
    def words(self) -> list[int]:
        counts = {f"token{token.value}": count for token, count in self.first.items()}
        setup = SETUP.pack(**counts, **self.slots)
        jumps: list[tuple[Opcode, int]] = []
        instructions: list[tuple[Opcode, int]] = []
        for queue in QUEUES:
            first = len(setup) + len(QUEUES)
            jumps.append((Opcode.JUMP, first + len(instructions)))
            for loops, after in self.phases:
                begin = first + len(instructions)
                if loop := loops[queue]:
                    loop = [(Opcode.ENTER, begin + len(loop) + 2), *loop, (Opcode.LOOP, begin + 1)]
                instructions += loop + after[queue]
        return setup + [INSTRUCTION.pack(opcode=opcode, job=job)[0] for opcode, job in jumps + instructions]


def inputs_ready(count: int) -> tuple[Token, ...]:
    """What forward waits for: a token from each core of the stage before, or from the host."""
    return tuple(Token[f"INPUT_READY{n}"] for n in range(count))


def next_free(count: int) -> tuple[Token, ...]:
    """What send waits for: a token from each core of the next stage."""
    return tuple(Token[f"NEXT_FREE{n}"] for n in range(count))


def _begin(plan: CorePlan, remote_slots: int) -> Program:
    program = Program(
        min(plan.spike_slots, plan.credits), min(plan.error_slots, ERROR_SLOTS), remote_slots if plan.receivers else 1,
        plan.spike_slots if plan.serial else 0,
    )  # fmt: skip
    program.first[Token.SLOT_FREE] = program.first[Token.SENT] = plan.credits
    for token in next_free(plan.receivers):
        program.first[token] = remote_slots
    return program


def run_chunks(program: Program, plan: CorePlan, kind: str, layer: int, wait: tuple = (), post: tuple = ()):
    """The jobs of a layer, of which none but its own may come between: one for each band and, in it, each chunk of
    timesteps, of weight_grad for each chunk, walk and band; backward begins with the last chunk."""
    chunks = range(plan.cfg.chunks)
    numbers = [plan.job(kind, layer, chunk, 0, n) for n in plan.bands(kind, layer) for chunk in chunks]
    if kind == "weight_grad":
        chunks, reads = plan.gradient_chunks(layer), range(len(plan.layers[layer].gradients))
        numbers = [plan.job(kind, layer, chunk, read) for chunk in chunks for read in reads]
    if kind == "weight_grad" and plan.layers[layer].leaks:
        numbers += [plan.job("leak_grad", layer, chunk) for chunk in range(plan.cfg.chunks)]
    numbers = numbers[::-1] if kind == "backward" else numbers
    for n, number in enumerate(numbers):
        program.run(Opcode[kind.upper()], number, wait if n == 0 else (), post if n == len(numbers) - 1 else ())


def _run_bands(
    program: Program, plan: CorePlan, kind: str, layer: int, chunk: int, wait: tuple, post: tuple = ()
):  # fmt: skip
    """The jobs of a layer in a chunk of timesteps."""
    bands = plan.bands(kind, layer)
    for n in bands:
        number = plan.job(kind, layer, chunk, 0, n)
        program.run(Opcode[kind.upper()], number, () if n else wait, post if n == bands[-1] else ())


def run_forward(program: Program, plan: CorePlan, n: int, wait: tuple = (), read: tuple = (), fired: tuple = ()):
    """Forward and neurons of a layer, chunk by chunk; ``read`` is given when its inputs have been read, ``fired`` when
    its neurons have. Of inference, where there is a norm."""
    placed, last = plan.layers[n], plan.cfg.chunks - 1
    if not placed.sums:
        run_chunks(program, plan, "forward", n, wait, fired + read)
        return
    for chunk in range(plan.cfg.chunks):
        _run_bands(
            program, plan, "forward", n, chunk, wait if chunk == 0 else (), read if chunk == last else ()
        )  # fmt: skip
        if placed.layer.norm:
            program.run(Opcode.NORM, plan.job("norm_frozen", n))
        run_fire(program, plan, n, chunk, (), fired if chunk == last else ())


def run_fire(program: Program, plan: CorePlan, n: int, chunk: int = 0, wait: tuple = (), post: tuple = ()):
    """The neurons of a layer whose sums are kept, of windows the largest of these, and before that what is added; there
    may be nothing to do."""
    layer = plan.layers[n].layer
    jobs = [(Opcode.WINDOW, plan.job("window", n, chunk))] if layer.window else []
    jobs += [(Opcode.ADD, plan.job("add", n, chunk, k)) for k in range(len(layer.adds))]
    jobs += [(Opcode.FIRE, plan.job("fire", n, chunk))] if layer.fires else []
    _run_jobs(program, jobs, wait, post)


def _run_jobs(program: Program, jobs: list[tuple[Opcode, int]], wait: tuple, post: tuple):
    """Jobs of a queue of which the first has to wait, and the last gives tokens."""
    for k, (opcode, number) in enumerate(jobs):
        program.run(opcode, number, () if k else wait, post if k == len(jobs) - 1 else ())


def run_backward(program: Program, plan: CorePlan, n: int, wait: tuple = (), post: tuple = ()):
    """Errors at a layer's sums, from those of its readers and of what adds its sums; those of windows go to their
    largest pixels at once. Of several bands one follows another, as each has its neurons' states from chunk to chunk
    where those of the last have been."""
    layer, bands, jobs = plan.layers[n].layer, plan.bands("backward", n), []
    chunks, alone = range(plan.cfg.chunks)[::-1], len(bands) > 1 and not layer.windows
    if alone:
        jobs += [(Opcode.BACKWARD, plan.job("backward", n, chunk, 0, band)) for band in bands for chunk in chunks]
    for chunk in chunks:
        jobs += [(Opcode.BACKWARD, plan.job("backward", n, chunk, 0, band)) for band in bands if not alone]
        spread = [(Opcode.SPREAD, plan.job("spread", n, chunk))] if layer.windows else []
        jobs += spread if layer.join else []
        added = range(added_errors(layer, plan.network.adders))
        jobs += [(Opcode.ADD_ERRORS, plan.job("add_errors", n, chunk, k)) for k in added]
        jobs += spread if layer.window else []
    _run_jobs(program, jobs, wait, post)


def run_leaks(program: Program, plan: CorePlan):
    """What neurons read of their leaks, before the first sample."""
    learning = [n for n, placed in enumerate(plan.layers) if placed.leaks]
    if learning:
        program.end_loop()
        for n in learning:
            program.run(Opcode.LEAK, plan.job("leak", n))
        program.next_phase()


def _forward(program: Program, plan: CorePlan, done: tuple, read: tuple, sent: tuple):
    """Forward and send; ``done`` is given when the stage's spikes are complete, ``read`` when no layer reads what it
    was sent any more."""
    count, below = len(plan.layers), plan.layers[0].layer.sources[0]
    last = max(n for n, placed in enumerate(plan.layers) for part in placed.parts if below in part.layer.sources)
    for n in range(count):
        wait = (*inputs_ready(plan.senders), Token.SLOT_FREE, Token.SENT) if n == 0 else ()
        run_forward(program, plan, n, wait, read if n == last else (), done if n == count - 1 else ())
        if plan.layers[n].layer.pool > 1:
            run_chunks(program, plan, "pool", n)
        if plan.layers[n].layer.join:
            run_chunks(program, plan, "join", n)
        if plan.layers[n].layer.drop:
            run_chunks(program, plan, "drop", n)
    program.run(Opcode.SEND, plan.job("send"), (Token.OUTPUT_READY, *next_free(plan.receivers)), sent)


def inference(plan: CorePlan, remote_slots: int) -> Program:
    """Forward only; ``remote_slots``: samples that a core of the next stage has room for."""
    program = _begin(plan, remote_slots)
    run_leaks(program, plan)
    _forward(program, plan, (Token.OUTPUT_READY,), (Token.INPUT_FREE,), (Token.SENT, Token.SLOT_FREE))
    program.run(Opcode.NOTIFY, plan.job("free"), (Token.INPUT_FREE,))
    program.end_loop()
    program.together(Opcode.HALT)
    return program


def training(plan: CorePlan, remote_slots: int, replica: int, update: bool = True) -> Program:
    """One minibatch: forward, loss or errors from the next stage, backward, weight_grad for every sample; then the
    gradients of all replicas are summed, and the weights updated.

    Without ``update`` the gradients stay in their memory, and the next run adds to them.
    """
    program = _begin(plan, remote_slots)
    count, several = len(plan.layers), len(plan.layers) > 1
    unit = (Token.UNIT_FREE,) if several else ()
    backs = (Token.BACKWARD_DONE,) if plan.owners else ()
    program.first[Token.ERRORS_FREE] = plan.error_slots
    for token in unit:
        program.first[token] = 1
    for token in backs:
        program.first[token] = plan.error_slots
    run_leaks(program, plan)
    done = (Token.OUTPUT_READY, Token.LOSS_READY) if plan.is_last else (Token.OUTPUT_READY,)
    _forward(program, plan, done, (), (Token.SENT,))
    made = [n for n in range(count) if n in plan.inner or (not plan.layers[n].layer.fires and plan.makes_errors(n))]
    backward = [("backward", n) for n in reversed(made)] + [("owner", k) for k in range(plan.owners)]
    errors = [plan.job("errors", 0, chunk) for chunk in reversed(plan.error_chunks)]
    _run_jobs(
        program, [(Opcode.LOSS if plan.is_last else Opcode.RECEIVE, number) for number in errors],
        (Token.ERRORS_FREE, *unit, *backs, *((Token.LOSS_READY,) if plan.is_last else ())),
        (*((Token.ERRORS_READY,) if plan.trains(count - 1) else ()), *unit, *((Token.TOP_READY,) if backward else ())),
    )  # fmt: skip
    for n, (kind, number) in enumerate(backward):
        local = kind == "backward"
        wait = ((Token.TOP_READY,) if n == 0 else ()) + (unit if local else ())
        post = (*((Token.LOWER_READY,) if plan.trains(number) else ()), *unit) if local else ()
        post += backs if n == len(backward) - 1 else ()
        if local:
            run_backward(program, plan, number, wait, post)
        else:
            away = [(Opcode.BACKWARD, plan.job(kind, number, chunk)) for chunk in reversed(range(plan.cfg.chunks))]
            _run_jobs(program, away, wait, post)
    trained = [n for n in range(count) if plan.trains(n)]
    for n in reversed(trained):
        post = (Token.INPUT_FREE, Token.SLOT_FREE, Token.ERRORS_FREE) if n == trained[0] else ()
        ready = (Token.ERRORS_READY,) if n == count - 1 else (Token.LOWER_READY,) if n in made else ()
        run_chunks(program, plan, "weight_grad", n, ready, post)
    program.run(Opcode.NOTIFY, plan.job("free"), (Token.INPUT_FREE,))
    program.end_loop()
    program.together(Opcode.BARRIER)
    if update:
        run_update(program, plan, replica)
    program.together(Opcode.HALT)
    return program


def run_update(program: Program, plan: CorePlan, replica: int):
    replicas, cores = plan.partition.replicas, plan.partition.cores
    wait: tuple[Token, ...] = ()
    if replicas > 1:
        # The queue that the gradients come to is the one that partial sums have come to until now
        if replica:
            program.run(Opcode.NOTIFY, plan.job("ready"))
        program.run(Opcode.REDUCE, plan.job("reduce"), (Token.PEER_READY,) if replica < replicas - 1 else ())
        if replica == replicas - 1:
            program.run(Opcode.NOTIFY, plan.job("reduced"))
        else:
            wait = (Token.REDUCED,)
    if cores > 1:
        program.run(Opcode.NOTIFY, plan.job("vote"))
        wait += (Token.GO,)
    jobs: list[tuple[Opcode, int]] = []
    for n, placed in enumerate(plan.layers):
        if placed.leaks and placed.layer.shares_leak:
            jobs.append((Opcode.TIE, plan.job("tie", n)))
        for number, part in enumerate(placed.parts):
            for k, band in enumerate(part.weights.bands):
                if not part.layer.fixed:
                    jobs.append((Opcode.UPDATE, plan.job("update", n, 0, number, k)))
                if part.layer.bias or (part.layer.vectors and band is part.weights.bands[-1]):
                    jobs.append((Opcode.UPDATE, plan.job("update_bias", n, 0, number, k)))
    _run_jobs(program, jobs, wait, ())
