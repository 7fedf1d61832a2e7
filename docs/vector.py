"""The text of docs/vector.md, from the declarations of neurons, surrogates and optimisers."""

from collections.abc import Iterator

import numpy as np

from trident.hw.isa.batch_norm import norm_passes
from trident.hw.isa.charges import CHARGES, LEARNED, leak_program
from trident.hw.isa.config import PRESETS
from trident.hw.isa.limits import COMPACT_PROGRAMS
from trident.hw.isa.losses import EXPONENTIAL, loss_programs
from trident.hw.isa.neurons import (
    ALPHAS,
    READOUTS,
    RESETS,
    SURROGATES,
    NeuronKind,
    neuron_grad_program,
    neuron_program,
)
from trident.hw.isa.optimisers import OPTIMISERS, RECIPROCAL, SQRT, optimiser, prunes
from trident.hw.isa.passes import Pass, programs_of
from trident.hw.isa.standardise import gradient_passes, gradient_program, weight_passes
from trident.hw.isa.tables import PIECE_BITS
from trident.hw.isa.vector import Bit, Input
from trident.hw.isa.vector_program import STEPS, Program
from trident.sim.golden.format import to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.tables import table_errors

PRESET = "SMALL"  # whose numbers the tables are measured in
LEAST = 2.0**-13  # of what errors of tables are counted for: twice the least normal number

BEGIN = f"""# Vector programs

<!-- Written by `python -m docs` from hw/isa/charges.py, neurons.py, optimisers.py, standardise.py, batch_norm.py and
losses.py. -->

What is done to every neuron, error and parameter is declared once, as the formula that it is:
[charges.py](../hw/isa/charges.py), [neurons.py](../hw/isa/neurons.py), [optimisers.py](../hw/isa/optimisers.py),
[losses.py](../hw/isa/losses.py), [standardise.py](../hw/isa/standardise.py), [batch_norm.py](../hw/isa/batch_norm.py).
A declaration is a *vector program* of at most {STEPS} steps. A step is a
multiply-add `a · b + c` in every lane; the product is rounded, then the sum. Operands may be negated, made positive or
selected by a bit on their way, and cost no step. From the declaration come

- the microcode: what every step finds, what is kept from step to step and when a result is there
  ([hw/isa/microcode.py](../hw/isa/microcode.py)), and from that the RTL's units
  ([hw/units/parts/steps.py](../hw/units/parts/steps.py)),
- the golden kernel, compiled by numba ([sim/golden/vector.py](../sim/golden/vector.py)), whose bits the units must
  have,
- the float model ([sim/twin.py](../sim/twin.py)); tests compare its backward pass in float64 with PyTorch's
  differentiation of its forward pass, of SpikingJelly's neurons and of snnTorch's, to 1e-9 of the largest gradient
  ([tests/sim/test_neurons.py](../tests/sim/test_neurons.py)),
- the formulas on this page.

A core is built for the neurons of a network, up to eight: `make train NEURON=synaptic SURROGATE=atan RESET=none` makes
another simulation than `make train`, and layers of a network file may have neurons of their own
([network.md](network.md)). Smooth surrogates share one table, so all layers that have one have the same. A core with a
shared engine has the neuron lif, detached, with the resets
{" and ".join(COMPACT_PROGRAMS["reset"])} and the surrogates {" and ".join(COMPACT_PROGRAMS["surrogate"])}.

Names: x is the input of a neuron, u its potential before a reset, v what the timestep before has left of it, s its
spike, m whether u is within the window, e the error at the spike, d the error at the next timestep's u, dx the error
at x. `←` is what the next timestep finds; in the backward pass that is the one before.
"""


LEARNED_TEXT = """The neurons plif and leaky learn their leaks. g are terms of the gradient, to be summed over time;
`leak` is what a [unit](units/leak.md) makes of the parameter w before the first sample of a minibatch, for plif
1 − σ(w), one w for a layer, for leaky w itself, one for each channel:
"""
THRESHOLD_TEXT = """With `LEARN_THRESHOLD=layer` or `channel` lif, if and synaptic neurons learn their threshold,
which is the parameter w itself, one for a layer or for each channel; low and high are then −window and window. Here of
a lif neuron, detached, with the surrogate `atan`:
"""
OPTIMISER_TEXT = """## Optimisers

g is the gradient, summed over a minibatch and times the loss scale, w the parameter, v and r what is kept of it. A step
is minus_rate · 2^scale. Adam's mean of squares r has to fit the format: `shrink` gives g a range in which squares of
mean gradients from some 1e-5 to 0.1 are normal numbers of FP16. If a moment overflows, the update is undone and that
range moved by a factor of 2, as often as it takes; the loss scale stays. Smaller squares are flushed to zero, and
`epsilon`, which moves along from the fourth time on, bounds the step. What begins at zero is made up for in
`minus_rate` and `epsilon`, which the host sends with every minibatch. The functions are tables:
"""
PRUNE_TEXT = """With `PRUNE`, each of them ends with a soft threshold, sign(w) · max(0, |w| − prune), a step more;
`prune` is the learning rate times λ for weights, and 0 for biases, gains and offsets. Here of `sgd`:
"""
STANDARD_TEXT = """## Standardised weights

Programs of passes over the n weights w of an output channel, n its fan-in, and those of channels, once behind a pass
([units/standardise.md](units/standardise.md)). z is what the engines see, `total` the sum of all `term`, exact, divided
by 2^k with k = ⌊log2 n⌋, and rounded once. `part` is 2^k / n, `unbiased` n / (n − 1), `floor` ε; `spread` is k, `half`
its half, `rest` what is left of it. The optimiser runs with the gradient of raw weights in the place of g. Where it
prunes, z is 0 where w is, its gradient there not summed, and −mean · inverse in the place of z in that of raw weights.
"""
NORM_TEXT = """## Batch norm

Programs of passes over the n values x that a minibatch has of a channel, forward and backward, and those of channels,
as above ([units/norm.md](units/norm.md)). z is x normalised, y what neurons take, g the error at y, which becomes that
at x. `part` is 2^k / n with k = ⌊log2 n⌋, `power` k, `floor` ε, `momentum` the share of a minibatch in what is kept and
`keep` the rest, `share` momentum · n / (n − 1). Inference takes z from the *running statistics*.
"""
LOSS_TEXT = """## Losses

Of a loss that a class has by itself, the host fills a table: the error by spikes fired and by whether it is the label's
class. A softmax is of the outputs z: what readouts say, or a table's values of the spikes fired. `most` is the
largest z, `total` the sum of all x, exact and rounded once; hit and miss are what is wanted of the label's class and of
others, times gain. With weights of classes every label has a table, or these three numbers, of its own. exp(−x) is a
table as those above, off by at most {off:.2f} last places of 1.
"""


def vector() -> str:
    """The whole page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield BEGIN
    yield "## How a neuron charges\n\nForward and backward, here with the reset `none` and the surrogate `rectangle`.\n"
    yield from _programs((f"`{name}`", neuron_program("none", name), neuron_grad_program("none", "rectangle", name))
                         for name in CHARGES)  # fmt: skip
    yield LEARNED_TEXT
    programs = {program.name: program for program in map(leak_program, LEARNED)}
    yield from _programs((f"`{name}`", program) for name, program in programs.items())
    yield THRESHOLD_TEXT
    yield from _programs(
        (f"`{name}`", neuron_program(name, learned=True), neuron_grad_program(name, "atan", flags=("threshold",)))
        for name in RESETS
    )
    yield "## What is left after a spike\n\nOf a lif neuron; backward with the surrogate `atan`, not detached.\n"
    yield from _programs((f"`{name}`", neuron_program(name), neuron_grad_program(name, "atan", detached=False))
                         for name in RESETS)  # fmt: skip
    yield (
        "A reset to another value than 0 is one to 0, with as much less of a threshold. Detached, the default, a\n"
        "spike is a constant in the backward pass: the terms with both d and the surrogate are not there.\n"
        "With a penalty of spikes, e is `e + penalty` everywhere, one step more: `penalty` is the loss scale times\n"
        "λ / (neurons · T).\n\n"
        "## Readouts\n\n"
        "A readout does not fire. z at the last timestep is its output, e the error at it, which comes with every\n"
        "timestep; `share` is 1 / T. Here of a lif neuron.\n\n"
        "A layer whose input is the same at every timestep (`ENCODING=direct`) has its neurons' backward program with\n"
        "one more addition, `total ← total + dx`, as its weights need the sum of dx alone.\n"
    )
    kinds = {name: NeuronKind("lif", "none", readout=name) for name in READOUTS}
    yield from _programs((f"`{name}`", kind.forward, kind.backward) for name, kind in kinds.items())
    yield "## Surrogates\n"
    yield from _surrogates()
    yield OPTIMISER_TEXT
    yield from _functions()
    yield from _programs((f"`{name}`", optimiser(name)) for name in OPTIMISERS if not prunes(optimiser(name)))
    yield PRUNE_TEXT
    yield from _programs([("`sgd-prune`", optimiser("sgd-prune"))])
    yield STANDARD_TEXT
    passes = (*weight_passes()[:2], *gradient_passes(), Pass(gradient_program()), weight_passes()[2])
    yield from _programs((f"`{program.name}`", program) for program in programs_of(passes))
    yield NORM_TEXT
    yield from _programs((f"`{program.name}`", program) for program in programs_of(norm_passes()))
    cfg = PRESETS[PRESET]
    off = table_errors(lambda x: EXPONENTIAL.function(np, x, {}), Sums(cfg.format, cfg.fixed), subnormals=False)
    yield LOSS_TEXT.format(off=off.max())
    yield from _programs((f"`{program.name}`", program) for program in loss_programs())


def _programs(rows) -> Iterator[str]:
    for name, *programs in rows:
        ways = ("forward", "backward") if len(programs) == 2 else ("",)
        steps = ", ".join(f"{_steps(program)} {way}".strip() for program, way in zip(programs, ways, strict=True))
        formulas = "\n\n".join("\n".join(program.formula()) for program in programs)
        yield f"{name}: {steps}\n\n```\n{formulas}\n```\n"


def _steps(program: Program) -> str:
    count = len(program.steps)
    return f"{count} step{'s' * (count > 1)}"


def _surrogates() -> Iterator[str]:
    cfg = PRESETS[PRESET]
    sums = Sums(cfg.format, cfg.fixed)
    yield (
        "x is here the distance of u from the threshold. Smooth surrogates are tables of lines, "
        f"{1 << PIECE_BITS} in every\npower of two. The errors are those of all numbers of FP16 that are at least 0, "
        "in units of the last place of\nthe surrogate's largest value.\n\n"
        "| surrogate | formula | usual α | worst error | mean error |\n| --- | --- | ---: | ---: | ---: |"
    )
    for name, make in SURROGATES.items():
        value = make(Input("x"))
        if isinstance(value, Bit):
            yield f"| `{name}` | 1 where x < window, else 0 | | 0 | 0 |"
            continue
        tables = neuron_grad_program("none", name).tables
        if not tables:
            yield f"| `{name}` | max(0, 1 − x / window) | | | |"
        for table in tables:
            alpha = {"alpha": ALPHAS[name]}
            off = table_errors(lambda x, t=table, a=alpha: t.function(np, x, a), sums, subnormals=True)
            yield f"| `{name}` | {table.text} | {ALPHAS[name]:g} | {off.max():.2f} | {off.mean():.3f} |"
    yield ""


def _functions() -> Iterator[str]:
    cfg = PRESETS[PRESET]
    sums = Sums(cfg.format, cfg.fixed)
    x = to_values(np.arange(cfg.format.inf), cfg.format)
    yield "| function | formula | worst error | mean error |\n| --- | --- | ---: | ---: |"
    for table in (SQRT, RECIPROCAL):
        with np.errstate(divide="ignore"):
            exact = table.function(np, x, {})
        usable = (exact >= LEAST) & (exact <= x[-1]) & (x >= LEAST)
        off = table_errors(lambda x, t=table: t.function(np, x, {}), sums, subnormals=False, relative=True)[usable]
        yield f"| {table.name} | {table.text} | {off.max():.2f} | {off.mean():.3f} |"
    yield "\nErrors are in last places of the value, where value and x are from 2^−13 to the largest number.\n"
