"""The listing of a minibatch's program in docs/dataflow.md, disassembled from what the compiler makes."""

import re

from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.core_plan import CorePlan
from trident.host.compile.job_kinds import UPDATES, WALKS
from trident.host.compile.program import Program
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.operations import QUEUE_OF, QUEUES
from trident.hw.isa.tokens import Token
from trident.snn.network.network import Network

NETWORK = "64-128-10"


def _tokens(tokens: tuple[Token, ...]) -> str:
    return ", ".join(token.name for token in tokens)


def _place(plan: CorePlan, job: int) -> str:
    """The layer of a job, as far as it has one."""
    kind, layer, *_ = plan.names[job]
    if kind not in (*WALKS, *UPDATES):
        return f"layer {plan.layers[-1].layer.number + 1}" if kind in ("errors", "send") else ""
    to, biases = "to " * (kind == "backward"), ", biases" if kind == "update_bias" else ""
    return f"{to}layer {plan.layers[layer].layer.number + 1}{biases}"


def disassemble(plan: CorePlan, program: Program) -> str:
    """The setup, then per queue one line per instruction: opcode, job, tokens awaited, tokens given."""
    counts = ", ".join(f"{token.name} {count}" for token, count in program.first.items() if count)
    slots = program.slots
    ((loops, after),) = program.phases
    lines = [f"setup: {counts}; {slots['slots']} slots of spikes, {slots['error_slots']} of errors"]
    for queue in QUEUES:
        lines.append(f"{queue.name.lower()}:")
        loop = [(opcode, job, "  each sample: ") for opcode, job in loops[queue]]
        for opcode, job, when in loop + [(opcode, job, "  at the end:  ") for opcode, job in after[queue]]:
            text = ""
            if opcode in QUEUE_OF:
                wait, post = program.tokens[job]
                text = f"job {job:2}  {_place(plan, job):16}"
                if wait:
                    text += f"  wait {_tokens(wait)}"
                if post:
                    text += f"  post {_tokens(post)}"
            lines.append(f"{when}{opcode.name.lower():12} {text}".rstrip())
    return "\n".join(lines)


def listing() -> str:
    """The training program of :data:`NETWORK` on one core of preset SMALL."""
    plan = ChipPlan(Network.parse(NETWORK), CoreConfig.preset("SMALL"))
    return disassemble(plan.plans[0], plan.programs(train=True)[0])


def fill_listing(page: str) -> str:
    """The page with its listing replaced."""
    text = f"<!-- program -->\n```\n{listing()}\n```\n<!-- end program -->"
    return re.sub(r"<!-- program -->\n.*?<!-- end program -->", lambda _: text, page, flags=re.DOTALL)
