"""The sequencer: programs, loops, tokens and slots, with engines that take a random time."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.config import CoreConfig
from hw.layouts import INSTRUCTION, JOB, QUEUES, TOKEN_BITS, Opcode, Token
from hw.sequencer import JOB_INDEX_BITS, Sequencer


def _instruction(opcode, job=0, wait=(), post=()):
    tokens = {"wait": sum(1 << t for t in wait), "post": sum(1 << t for t in post)}
    return INSTRUCTION.pack(opcode=opcode, job=job, **tokens)[0]


def _run(program, samples: int, seed: int, prefetch: bool, limit: int = 4000):
    """Run a program: (queue, job number, a field of its job, slot, odd, start cycle, end cycle) of every job, and
    whether the program halted."""
    sizes = {"jobs": 8, "program_words": 16, "queue_depth": 4}
    design = Sequencer(CoreConfig(lanes=2, weight_rows=8, prefetch_jobs=prefetch, **sizes))
    rng = np.random.default_rng(seed)
    log, halted = [], []

    async def bench(ctx):
        ctx.set(design.program_write, 1)
        for address, word in enumerate(program):
            ctx.set(design.program_address, address)
            ctx.set(design.host_wdata, word)
            await ctx.tick()
        ctx.set(design.program_write, 0)
        ctx.set(design.jobs_write, 1)
        for job in range(8):
            for index, word in enumerate(JOB.pack(src=100 + job, count=job)):
                ctx.set(design.jobs_address, job << JOB_INDEX_BITS | index)
                ctx.set(design.host_wdata, word)
                await ctx.tick()
        ctx.set(design.jobs_write, 0)
        ctx.set(design.start, 1)
        ctx.set(design.samples, samples)
        await ctx.tick()
        ctx.set(design.start, 0)
        left = [0] * len(QUEUES)
        current = [None] * len(QUEUES)
        for cycle in range(limit):
            if ctx.get(design.halted):
                halted.append(cycle)
                break
            going = [ctx.get(design.go[n]) for n in range(len(QUEUES))]
            for n, go in enumerate(going):
                if go:
                    assert left[n] == 0, "an engine is started while it runs"
                    current[n] = [
                        QUEUES[n], ctx.get(design.number[n]), ctx.get(design.job[n]["src"]), ctx.get(design.slot[n]),
                        ctx.get(design.odd[n]), cycle,
                    ]  # fmt: skip
            await ctx.tick()
            for n, go in enumerate(going):
                if go:
                    left[n] = int(rng.integers(1, 30))
                elif left[n]:
                    left[n] -= 1
                    if left[n] == 0:
                        log.append((*current[n], cycle))
                ctx.set(design.busy[n], left[n] > 0)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return log, bool(halted)


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("slots", [1, 2, 3])
def test_producer_and_consumer(prefetch, slots):
    """Forward makes, weight_grad uses: never more than ``slots`` samples apart, every sample once, in order."""
    tokens = slots << TOKEN_BITS * Token.SLOT_FREE
    program = [
        tokens,
        _instruction(Opcode.FORWARD, 2, (Token.SLOT_FREE,), (Token.ERRORS_READY,)),
        _instruction(Opcode.WEIGHT_GRAD, 5, (Token.ERRORS_READY,), (Token.SLOT_FREE,)),
        *INSTRUCTION.pack(opcode=Opcode.LOOP, job=1, post=slots),
        _instruction(Opcode.BARRIER),
        _instruction(Opcode.UPDATE, 3),
        _instruction(Opcode.HALT),
    ]
    samples = 7
    log, halted = _run(program, samples, slots, prefetch)
    assert halted
    made = sorted((entry for entry in log if entry[0] == Opcode.FORWARD), key=lambda entry: entry[5])
    used = sorted((entry for entry in log if entry[0] == Opcode.WEIGHT_GRAD), key=lambda entry: entry[5])
    updates = [entry for entry in log if entry[0] == Opcode.UPDATE]
    assert len(made) == len(used) == samples and len(updates) == 1
    for n, (make, use) in enumerate(zip(made, used, strict=True)):
        assert make[1:5] == (2, 102, n % slots, n % 2)
        assert use[1:5] == (5, 105, n % slots, n % 2)
        assert use[5] > make[6]
        if n >= slots:
            assert make[5] > used[n - slots][6]
    assert updates[0][5] > max(entry[6] for entry in made + used)
    assert updates[0][1:3] == (3, 103)


def test_loss_runs_in_the_queue_of_backward():
    program = [
        0, _instruction(Opcode.LOSS, 1), _instruction(Opcode.BACKWARD, 4),
        *INSTRUCTION.pack(opcode=Opcode.LOOP, job=1, post=1), _instruction(Opcode.HALT),
    ]  # fmt: skip
    log, halted = _run(program, 2, 1, True)
    assert halted
    assert [entry[:3] for entry in log] == [(Opcode.BACKWARD, 1, 101), (Opcode.BACKWARD, 4, 104)] * 2


def test_queues_that_are_full_hold_the_program():
    """More instructions for one engine than its queue holds: all run, in order."""
    program = [0, *(_instruction(Opcode.SEND, job) for job in range(8)), _instruction(Opcode.HALT)]
    log, halted = _run(program, 1, 2, True)
    assert halted
    assert [entry[1] for entry in log] == list(range(8))


def test_missing_token_holds_the_engine():
    program = [0, _instruction(Opcode.SEND, 1, (Token.SENT,)), _instruction(Opcode.HALT)]
    log, halted = _run(program, 1, 3, True, limit=300)
    assert not log and not halted
