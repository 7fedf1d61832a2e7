"""Faults: kept until the next start, with the job of the first one; those of other cores only skip."""

from amaranth.sim import Simulator

from trident.hw.core.faults import Faults
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault

# (fault that is raised in the cycle, its job, another core's, start), then what is seen: flags, job, skip
CYCLES = [
    ((None, 0, 0, 1), (0, 0, 0)),
    ((Fault.NEURON, 7, 0, 0), (1 << Fault.NEURON, 7, 0)),
    ((Fault.FORWARD, 3, 0, 0), (1 << Fault.NEURON | 1 << Fault.FORWARD, 7, 0)),
    ((None, 0, 1, 0), (1 << Fault.NEURON | 1 << Fault.FORWARD, 7, 1)),
    ((Fault.UPDATE, 9, 0, 0), (1 << Fault.NEURON | 1 << Fault.FORWARD | 1 << Fault.UPDATE, 7, 1)),
    ((None, 0, 0, 1), (0, 0, 0)),
    ((Fault.UPDATE, 4, 0, 0), (1 << Fault.UPDATE, 4, 0)),
    ((Fault.BACKWARD, 5, 0, 0), (1 << Fault.UPDATE | 1 << Fault.BACKWARD, 4, 1)),
    ((None, 0, 0, 1), (0, 0, 0)),
    ((Fault.NEURON_GRAD, 2, 0, 0), (1 << Fault.NEURON_GRAD, 2, 1)),
    ((None, 0, 0, 1), (0, 0, 0)),
    ((Fault.WEIGHT_GRAD, 1, 0, 0), (1 << Fault.WEIGHT_GRAD, 1, 1)),
    ((None, 0, 0, 0), (1 << Fault.WEIGHT_GRAD, 1, 1)),
]


def test_faults_cycle_by_cycle():
    design, checked = Faults(CoreConfig()), []

    async def bench(ctx):
        for (fault, job, others, start), (flags, first, skip) in CYCLES:
            ctx.set(design.raised, 0 if fault is None else 1 << fault)
            for n in Fault:
                ctx.set(design.number[n], job if n == fault else 99)
            ctx.set(design.others, others)
            ctx.set(design.start, start)
            await ctx.tick()
            assert ctx.get(design.flags) == flags
            assert ctx.get(design.status) == flags | first << 8
            assert ctx.get(design.skip) == skip
            checked.append(flags)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(checked) == len(CYCLES)


def test_gradient_faults_are_those_before_the_update():
    assert GRADIENT_FAULTS == 1 << Fault.BACKWARD | 1 << Fault.NEURON_GRAD | 1 << Fault.WEIGHT_GRAD
