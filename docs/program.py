"""The listing of a minibatch's program in docs/dataflow.md, disassembled from what the compiler makes."""

import re

from host.compiler import KINDS, Plan
from host.network import Network
from hw.config import CoreConfig
from hw.layouts import INSTRUCTION, TOKEN_BITS, Opcode, Token

NETWORK = "64-128-10"


def _tokens(bits: int) -> str:
    return ", ".join(token.name for token in Token if bits >> token & 1)


def _place(plan: Plan, opcode: Opcode, job: int) -> str:
    if job < 2:  # receive, send
        return ""
    layer, kind = divmod(job - 2, len(KINDS))
    number = len(plan.layers) if opcode == Opcode.LOSS else layer + 1
    return f"layer {number}{', biases' if KINDS[kind] == 'update_bias' else ''}"


def disassemble(plan: Plan, program: list[int]) -> str:
    """One line per word: number, opcode, job, tokens that are awaited, tokens that are given."""
    counts = {token.name: program[0] >> TOKEN_BITS * token & (1 << TOKEN_BITS) - 1 for token in Token}
    lines = [f" 0  tokens       {', '.join(f'{name} {count}' for name, count in counts.items() if count)}"]
    for n, word in enumerate(program[1:], 1):
        fields = INSTRUCTION.unpack([word])
        opcode, job = Opcode(fields["opcode"]), fields["job"]
        if opcode == Opcode.LOOP:
            text = f"to {job}, {fields['post']} slots"
        elif opcode in (Opcode.BARRIER, Opcode.HALT):
            text = ""
        else:
            text = f"job {job:2}  {_place(plan, opcode, job):16}"
            if waits := _tokens(fields["wait"]):
                text += f"  wait {waits}"
            if posts := _tokens(fields["post"]):
                text += f"  post {posts}"
        lines.append(f"{n:2}  {opcode.name.lower():12} {text}".rstrip())
    return "\n".join(lines)


def listing() -> str:
    """The training program of :data:`NETWORK` on preset SMALL."""
    plan = Plan(Network.parse(NETWORK), CoreConfig.preset("SMALL"))
    return disassemble(plan, plan.training_program())


def fill_listing(page: str) -> str:
    """The page with its listing replaced."""
    text = f"<!-- program -->\n```\n{listing()}\n```\n<!-- end program -->"
    return re.sub(r"<!-- program -->\n.*?<!-- end program -->", lambda _: text, page, flags=re.DOTALL)
