"""The listing of a minibatch's program in docs/dataflow.md, disassembled from what the compiler makes."""

import re

from host.compiler import Plan
from host.network import Network
from host.program import Program
from host.stage_plan import KINDS, StagePlan
from hw.config import CoreConfig
from hw.layouts import INSTRUCTION, SETUP, Opcode, Token

NETWORK = "64-128-10"


def _tokens(bits: int) -> str:
    return ", ".join(token.name for token in Token if bits >> token & 1)


def _place(plan: StagePlan, job: int) -> str:
    """The layer of a job, as far as it has one."""
    kind, layer = next(name for name, number in plan.numbers.items() if number == job)
    if kind not in KINDS:
        return f"layer {plan.layers[-1].number + 1}" if kind in ("errors", "send") else ""
    return f"layer {plan.layers[layer].number + 1}{', biases' if kind == 'update_bias' else ''}"


def disassemble(plan: StagePlan, program: Program) -> str:
    """One line per instruction: number, opcode, job, tokens that are awaited, tokens that are given."""
    counts = ", ".join(f"{token.name} {count}" for token, count in program.first.items() if count)
    slots = f"{program.slots} slots of spikes, {program.error_slots} of errors"
    lines = [f" 0  setup        {counts}; {slots}"]
    for n, word in enumerate(program.instructions, SETUP.words):
        fields = INSTRUCTION.unpack([word])
        opcode, job = Opcode(fields["opcode"]), fields["job"]
        if opcode == Opcode.LOOP:
            text = f"to {job}"
        elif opcode in (Opcode.BARRIER, Opcode.HALT):
            text = ""
        else:
            wait, post = program.tokens[job]
            text = f"job {job:2}  {_place(plan, job):16}"
            if wait:
                text += f"  wait {_tokens(wait)}"
            if post:
                text += f"  post {_tokens(post)}"
        lines.append(f"{n:2}  {opcode.name.lower():12} {text}".rstrip())
    return "\n".join(lines)


def listing() -> str:
    """The training program of :data:`NETWORK` on one core of preset SMALL."""
    plan = Plan(Network.parse(NETWORK), CoreConfig.preset("SMALL"))
    return disassemble(plan.plans[0], plan.programs(train=True)[0])


def fill_listing(page: str) -> str:
    """The page with its listing replaced."""
    text = f"<!-- program -->\n```\n{listing()}\n```\n<!-- end program -->"
    return re.sub(r"<!-- program -->\n.*?<!-- end program -->", lambda _: text, page, flags=re.DOTALL)
