"""The training program of a network with batch norms: layer by layer, a whole minibatch at a time.

A norm needs the sums of all samples before any neuron behind it fires, and the errors of all samples before any error
in front of it is known. So a program has phases, which every queue ends before any goes on; within a phase samples
follow each other as always. All samples are in memory at once, so no slot has to be waited for; tokens only keep a
queue from running so far ahead of another that a count would overflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trident.host.compile.core_plan import CorePlan
from trident.host.compile.program import (
    Program,
    inputs_ready,
    run_backward,
    run_chunks,
    run_fire,
    run_forward,
    run_leaks,
    run_update,
)
from trident.host.compile.sum_places import makes_errors
from trident.hw.isa.job import ERROR_SLOTS
from trident.hw.isa.operations import Opcode
from trident.hw.isa.tokens import Token
from trident.snn.network.layers import Layer, adders_of

AHEAD = 8  # samples that a queue may be ahead of another


@dataclass
class Phase:
    """What the queues run for every sample, in the order of a sample's data, and the layer that is normalised then:
    its sums or, of ``backward``, its errors; None: the last phase."""

    steps: list[tuple[str, int]] = field(default_factory=list)
    normalised: int | None = None
    backward: bool = False

    def numbers(self, *kinds: str) -> list[int]:
        """The layers that steps of these kinds are of."""
        return [n for kind, n in self.steps if kind in kinds]


def serial_phases(layers: Sequence[Layer]) -> list[Phase]:
    """The phases of a network of these layers."""
    phases = [Phase()]
    for n, layer in enumerate(layers):
        phases[-1].steps.append(("forward", n))
        if layer.norm:
            phases[-1].normalised = n
            phases.append(Phase([("fire", n)] if layer.fires or layer.window or layer.adds else []))
        if layer.pool > 1:
            phases[-1].steps.append(("pool", n))
        if layer.join:
            phases[-1].steps.append(("join", n))
        if layer.drop:
            phases[-1].steps.append(("drop", n))
    last, adders = len(layers) - 1, adders_of(layers)
    phases[-1].steps += [("send", last), ("errors", last)]
    for n in reversed(range(len(layers))):
        if n < last and makes_errors(layers[n], adders):
            phases[-1].steps.append(("backward", n))
        if layers[n].norm:
            phases[-1].normalised, phases[-1].backward = n, True
            phases.append(Phase())
        if layers[n].learns or not all(part.fixed for part in layers[n].parts):
            phases[-1].steps.append(("weight_grad", n))
    return phases


def serial_training(plan: CorePlan, replica: int, update: bool = True) -> Program:
    """One minibatch, as :func:`trident.host.compile.program.training`, of a core that has the whole network."""
    program = Program(plan.credits, ERROR_SLOTS, 1, plan.spike_slots)
    program.first[Token.UNIT_FREE] = 1
    for token in (Token.SLOT_FREE, Token.SENT, Token.BACKWARD_DONE):
        program.first[token] = AHEAD
    run_leaks(program, plan)
    phases = serial_phases([placed.layer for placed in plan.layers])
    for phase in phases:
        _run_samples(program, plan, phase, phase is phases[0])
        program.end_loop()
        if phase.normalised is not None:
            program.together(Opcode.BARRIER)
            program.run(Opcode.NORM, plan.job("norm_errors" if phase.backward else "norm", phase.normalised))
            program.next_phase()
    program.together(Opcode.BARRIER)
    if update:
        run_update(program, plan, replica)
    program.together(Opcode.HALT)
    return program


def _run_samples(program: Program, plan: CorePlan, phase: Phase, first: bool):
    """The jobs of every sample in a phase, with their tokens."""
    top = len(plan.layers) - 1
    loss = ("errors", top) in phase.steps
    backward, gradients = phase.numbers("backward"), phase.numbers("weight_grad")
    # Gradients of errors that this phase makes wait for those; others are there
    made = [n for n in gradients if n != phase.normalised and (n in backward or (loss and n == top))]
    ahead = bool(made) or loss  # queues run side by side
    begins = next((step for step in phase.steps if step[0] in ("forward", "fire", "backward")), None)
    ends = ("weight_grad", gradients[-1]) if made else ("errors", top)
    for kind, n in phase.steps:
        wait: tuple[Token, ...] = ()
        post: tuple[Token, ...] = ()
        if ahead and (kind, n) == begins:
            wait += (Token.SLOT_FREE,)
        if ahead and (kind, n) == ends:
            post += (Token.SLOT_FREE,)
        if kind == "forward" and n == 0:
            wait += inputs_ready(plan.senders)
            post += (Token.INPUT_FREE,)
        if loss and (kind, n) == begins:
            wait += (Token.SENT,)
        fires = kind == ("fire" if plan.layers[n].layer.norm else "forward")
        if fires and n == top:
            post += (Token.OUTPUT_READY, Token.LOSS_READY)
        if kind == "errors":
            wait += (Token.LOSS_READY, Token.UNIT_FREE, *((Token.BACKWARD_DONE,) if backward else ()))
            post += (Token.UNIT_FREE, *((Token.ERRORS_READY,) if top in made else ()))
            post += (Token.TOP_READY,) if backward else ()
        if kind == "backward":
            wait += (Token.UNIT_FREE, *((Token.TOP_READY,) if loss and n == backward[0] else ()))
            post += (Token.UNIT_FREE, *((Token.LOWER_READY,) if n in made else ()))
            post += (Token.BACKWARD_DONE,) if loss and n == backward[-1] else ()
        if kind == "weight_grad" and n in made:
            wait += (Token.ERRORS_READY if n == top else Token.LOWER_READY,)
        _run(program, plan, kind, n, wait, post)
    if first:
        program.run(Opcode.NOTIFY, plan.job("free"), (Token.INPUT_FREE,))


def _run(program: Program, plan: CorePlan, kind: str, n: int, wait: tuple[Token, ...], post: tuple[Token, ...]):
    match kind:
        case "send":
            program.run(Opcode.SEND, plan.job("send"), (Token.OUTPUT_READY,), (Token.SENT,))
        case "errors":
            program.run(Opcode.LOSS, plan.job("errors"), wait, post)
        case "fire":
            run_fire(program, plan, n, 0, wait, post)
        case "backward":
            run_backward(program, plan, n, wait, post)
        case "forward" if not plan.layers[n].layer.norm:
            fired = tuple(token for token in post if token != Token.INPUT_FREE)
            run_forward(program, plan, n, wait, tuple(token for token in post if token not in fired), fired)
        case _:
            run_chunks(program, plan, kind, n, wait, post)
