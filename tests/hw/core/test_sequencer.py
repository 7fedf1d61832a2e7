"""The sequencer: programs, loops, tokens and slots, with engines that take a random time."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from amaranth.sim import Simulator

from trident.host.compile.program import Program
from trident.hw.core.sequencer import Sequencer
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB, JOB_INDEX_BITS
from trident.hw.isa.operations import QUEUES, Opcode
from trident.hw.isa.tokens import Token, pack_tokens

JOBS = 8


def _program(instructions, tokens=None, first=None, slots=1, error_slots=1, remote_slots=1) -> Program:
    """The program of instructions as (opcode, job), tokens per job as (wait, post), first counts and slots."""
    program = Program(slots, error_slots, remote_slots)
    program.first |= first or {}
    for opcode, job in instructions:
        if opcode == Opcode.LOOP:
            program.end_loop()
        elif opcode in (Opcode.BARRIER, Opcode.HALT):
            program.together(opcode)
        else:
            program.run(opcode, job, *(tokens or {}).get(job, ((), ())))
    return program


def _job(program: Program, number: int) -> list[int]:
    wait, post = (pack_tokens(tokens) for tokens in program.tokens.get(number, ((), ())))
    return JOB.pack(
        src=100 * number, src_slot=3, aux=100 * number + 1, aux_slot=5, dst=100 * number + 2, dst_slot=7,
        count=number, wait=wait, post=post,
    )  # fmt: skip


LOOP = (Opcode.LOOP, 0)
HALT = (Opcode.HALT, 0)


@dataclass(frozen=True)
class Ran:
    """One job that ran: its queue and kind of operation, its number, its pointers, the slot, and when."""

    queue: Opcode
    kind: int
    number: int
    pointers: tuple[int, int, int]
    slot: int
    start: int
    end: int


def _run(program, samples: int, seed: int = 0, prefetch: bool = True, limit: int = 4000, given=(), early=(), again=0):
    """Run a program: the jobs that ran, and the cycle in which it halted, or None.

    given: (cycle, token), what other cores give; early: tokens that they give between arming and start; again: how many
    more times it is started, without arming.
    """
    sizes = {"jobs": JOBS, "program_words": 64}
    design = Sequencer(CoreConfig(lanes=2, weight_rows=8, prefetch_jobs=prefetch, **sizes))
    rng = np.random.default_rng(seed)
    log, halted = [], []

    async def pulse(ctx, port):
        ctx.set(port, 1)
        await ctx.tick()
        ctx.set(port, 0)

    async def load(ctx):
        for write, address, values in (
            (design.program_write, design.program_address, dict(enumerate(program.words))),
            (design.jobs_write, design.jobs_address, {
                job << JOB_INDEX_BITS | index: word
                for job in range(JOBS) for index, word in enumerate(_job(program, job))
            }),
        ):  # fmt: skip
            ctx.set(write, 1)
            for at, word in values.items():
                ctx.set(address, at)
                ctx.set(design.host_wdata, word)
                await ctx.tick()
            ctx.set(write, 0)
        await pulse(ctx, design.arm)
        await ctx.tick().repeat(90)
        for token in early:
            ctx.set(design.incoming, token)
            await pulse(ctx, design.incoming_en)

    async def once(ctx):
        ctx.set(design.samples, samples)
        await pulse(ctx, design.start)
        left, current = [0] * len(QUEUES), [None] * len(QUEUES)
        for cycle in range(limit):
            ctx.set(design.incoming_en, 0)
            for at, token in given:
                if at == cycle:
                    ctx.set(design.incoming, token)
                    ctx.set(design.incoming_en, 1)
            if ctx.get(design.halted):
                halted.append(cycle)
                return
            going = [ctx.get(design.go[n]) for n in range(len(QUEUES))]
            for n, go in enumerate(going):
                if go:
                    assert left[n] == 0, "an engine is started while it runs"
                    job = design.job[n]
                    current[n] = (
                        QUEUES[n], ctx.get(design.kind[n]), ctx.get(design.number[n]),
                        tuple(ctx.get(job[name]) for name in ("src", "aux", "dst")), ctx.get(design.slot[n]), cycle,
                    )  # fmt: skip
                    assert ctx.get(job["count"]) == ctx.get(design.number[n])
            await ctx.tick()
            for n, go in enumerate(going):
                if go:
                    left[n] = int(rng.integers(1, 30))
                elif left[n]:
                    left[n] -= 1
                    if left[n] == 0:
                        log.append(Ran(*current[n], cycle))
                ctx.set(design.busy[n], left[n] > 0)

    async def bench(ctx):
        await load(ctx)
        for _ in range(again + 1):
            await once(ctx)
            await ctx.tick()

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return log, halted[-1] if len(halted) == again + 1 else None


def _of(log: list[Ran], queue: Opcode) -> list[Ran]:
    return sorted((ran for ran in log if ran.queue == queue), key=lambda ran: ran.start)


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("slots", [1, 2, 3, 15])
def test_producer_and_consumer(prefetch, slots):
    """Forward makes, weight_grad uses: never more than ``slots`` samples apart, every sample once, in order, each
    pointer in the slot of its own kind."""
    program = _program(
        [(Opcode.FORWARD, 2), (Opcode.WEIGHT_GRAD, 5), LOOP, (Opcode.BARRIER, 0), (Opcode.UPDATE, 3), HALT],
        {2: ((Token.SLOT_FREE,), (Token.ERRORS_READY,)), 5: ((Token.ERRORS_READY,), (Token.SLOT_FREE,))},
        {Token.SLOT_FREE: slots}, slots, error_slots=2,
    )  # fmt: skip
    samples = 7 if slots < 7 else 2 * slots + 3
    log, halted = _run(program, samples, slots, prefetch)
    assert halted is not None
    made, used, updates = (_of(log, queue) for queue in (Opcode.FORWARD, Opcode.WEIGHT_GRAD, Opcode.UPDATE))
    assert len(made) == len(used) == samples and len(updates) == 1
    for n, (make, use) in enumerate(zip(made, used, strict=True)):
        slot = n % slots
        assert (make.number, make.slot, make.pointers) == (2, slot, (200 + 3 * slot, 201 + 5 * slot, 202 + 7 * slot))
        assert (use.number, use.slot, use.pointers) == (5, slot, (500 + 3 * slot, 501 + 5 * (n % 2), 502 + 7 * slot))
        assert use.start > make.end
        if n >= slots:
            assert make.start > used[n - slots].end
    assert updates[0].start > max(ran.end for ran in made + used)
    # A queue that has nothing to do in the loop does not count samples
    assert (updates[0].number, updates[0].pointers) == (3, (300, 301, 302))


# Which slots the pointers src, aux and dst of a queue follow
POINTERS = {
    Opcode.FORWARD: ("spikes", "spikes", "spikes"),
    Opcode.BACKWARD: ("errors", "spikes", "errors"),
    Opcode.WEIGHT_GRAD: ("spikes", "errors", "spikes"),
    Opcode.RECEIVE: ("spikes", "spikes", "errors"),
    Opcode.SEND: ("spikes", "spikes", "remote"),
}


@pytest.mark.parametrize("queue", POINTERS)
def test_slots_of_every_kind(queue):
    """5 slots of spikes, 2 of errors, 7 of the next stage's spikes."""
    counts = {"spikes": 5, "errors": 2, "remote": 7}
    program = _program([(queue, 4), LOOP, HALT], {}, {}, counts["spikes"], counts["errors"], counts["remote"])
    log, halted = _run(program, 16)
    assert halted is not None and len(log) == 16
    for n, ran in enumerate(log):
        expected = [400 + m + step * (n % counts[kind])
                    for m, (step, kind) in enumerate(zip((3, 5, 7), POINTERS[queue], strict=True))]  # fmt: skip
        assert list(ran.pointers) == expected


def test_operations_that_share_a_queue():
    """LOSS runs in receive's queue, REDUCE and NOTIFY in update's; their kinds tell them apart."""
    program = _program([
        (Opcode.LOSS, 1), (Opcode.RECEIVE, 4), LOOP, (Opcode.REDUCE, 2), (Opcode.NOTIFY, 3), (Opcode.UPDATE, 5), HALT,
    ])  # fmt: skip
    log, halted = _run(program, 2)
    assert halted is not None
    assert [(ran.kind, ran.number) for ran in _of(log, Opcode.RECEIVE)] == [(1, 1), (0, 4)] * 2
    assert [(ran.kind, ran.number) for ran in _of(log, Opcode.UPDATE)] == [(1, 2), (2, 3), (0, 5)]


def test_many_instructions_of_one_queue():
    """All run, in order, while the other queues have come to the end long ago."""
    log, halted = _run(_program([*((Opcode.SEND, job) for job in range(8)), HALT]), 1, 2)
    assert halted is not None
    assert [ran.number for ran in log] == list(range(8))


def test_without_samples_only_what_follows_the_loop_runs():
    program = _program([(Opcode.FORWARD, 1), (Opcode.SEND, 2), LOOP, (Opcode.BARRIER, 0), (Opcode.UPDATE, 3), HALT])
    log, halted = _run(program, 0)
    assert halted is not None
    assert [(ran.queue, ran.number) for ran in log] == [(Opcode.UPDATE, 3)]


def test_missing_token_holds_the_engine():
    log, halted = _run(_program([(Opcode.SEND, 1), HALT], {1: ((Token.SENT,), ())}), 1, 3, limit=300)
    assert not log and halted is None


def test_tokens_given_before_the_start_are_kept():
    """Another core may be quicker: what it gives between arming and start counts."""
    program = _program([(Opcode.FORWARD, 1), LOOP, HALT], {1: ((Token.INPUT_READY1,), ())})
    log, halted = _run(program, 2, early=[Token.INPUT_READY1] * 2)
    assert halted is not None and len(log) == 2


def test_halt_waits_for_late_tokens():
    """A token that is taken comes back from another core long after all engines are idle; the next run finds it."""
    program = _program([(Opcode.SEND, 1), LOOP, HALT], {1: ((Token.NEXT_FREE2,), ())}, {Token.NEXT_FREE2: 2})
    back = [(900, Token.NEXT_FREE2), (1000, Token.NEXT_FREE2)]
    log, halted = _run(program, 2, given=back, again=2)
    assert len(log) == 6 and 1000 < halted < 1080


def test_halt_waits_for_surplus_tokens_to_be_taken():
    """A token too many is not a first count either: such a program never halts."""
    program = _program([(Opcode.SEND, 1), HALT], {1: ((), (Token.SENT,))})
    log, halted = _run(program, 1, limit=400)
    assert len(log) == 1 and halted is None


def test_a_token_that_two_queues_want_goes_to_one():
    """Loss and backward share the neuron-gradient unit: in the cycle in which its token is there, both ask for it."""
    unit = ((Token.UNIT_FREE,), (Token.UNIT_FREE,))
    program = _program([(Opcode.LOSS, 1), (Opcode.BACKWARD, 2), LOOP, HALT], {1: unit, 2: unit}, {Token.UNIT_FREE: 1})
    for seed in range(4):
        log, halted = _run(program, 12, seed)
        assert halted is not None, "all tokens are back"
        ordered = sorted(log, key=lambda ran: ran.start)
        assert len(ordered) == 24
        assert all(one.end <= other.start for one, other in pairwise(ordered)), "both ran at once"
