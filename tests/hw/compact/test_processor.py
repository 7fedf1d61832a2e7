"""The controller's processor against a model of its instructions: random programs, and the assembler's refusals."""

import random

import pytest
from amaranth.sim import Simulator

from trident.hw.compact.assembler import Assembler, Image
from trident.hw.compact.instructions import Flag, Func, Op, Read, Write
from trident.hw.compact.processor import Processor
from trident.hw.errors import TridentError

SHIFT = 4
DATA = 1024  # words that the random programs have
PORTS = {port: 1000 * port + 17 for port in Read}  # what IN finds
MASK = 0xFFFF


def _model(image: Image, holds: dict[int, int]) -> tuple[list[tuple[int, int, int]], int]:
    """What a program writes, up to an OUT to the highest port: (cycle, port, value).

    holds: cycles that the n-th access to a port waits.
    """
    memory, registers, stack = list(image.data), [0] * 16, []
    zero = carry = pc = accesses = 0
    cycle, written = 1, []
    while True:
        word, pc = image.code[pc], pc + 1
        op, rd, rs, low = word >> 16, word >> 12 & 15, word >> 8 & 15, word & 0xFFF
        signed = low - 0x1000 if low & 0x800 else low
        a, b = registers[rd], registers[rs]
        value = None
        total, flagged = 0, op in (Op.ALU, Op.ADDI, Op.CMPI, Op.ANDI, Op.ORI)
        if op in (Op.IN, Op.OUT):
            cycle += holds.get(accesses, 0)
            accesses += 1
        if op in (Op.ADDI, Op.CMPI):
            total = a + (signed & MASK) if op == Op.ADDI else a + (~signed & MASK) + 1
            value = total & MASK
        elif op == Op.ALU:
            func = low & 0xFF
            subtracts = func & 1
            total = a + (b ^ MASK) + 1 if subtracts else a + b
            value = {0: b, 1: a & b, 2: a | b, 3: a >> SHIFT | b << 16 - SHIFT & MASK}[func & 3]
            if func & 4:
                value = total & MASK
        elif op in (Op.LDI, Op.ORI):
            value = low if op == Op.LDI else a | low
            total = a + low
        elif op == Op.ANDI:
            value, total = a & signed & MASK, a + (signed & MASK)
        elif op in (Op.LD, Op.LDA):
            value = memory[(b | low & 0xFF if op == Op.LD else low) % DATA]
        elif op in (Op.ST, Op.STA):
            memory[(b | low & 0xFF if op == Op.ST else low) % DATA] = a
        elif op == Op.IN:
            value = PORTS[Read(low & 0xFF)]
        elif op == Op.OUT:
            written.append((cycle, low & 0xFF, a))
            if low & 0xFF == max(Write):
                return written, cycle
        elif op in (Op.BT, Op.BF):
            flag = {Flag.TRUE: 1, Flag.Z: zero, Flag.C: carry}.get(rd, rd & 1)
            pc = low if flag == (op == Op.BT) else pc
        elif op == Op.CALL:
            stack.append(pc)
            pc = low
        elif op == Op.RET:
            pc = stack.pop()
        if flagged:
            zero, carry = int(value == 0), total >> 16
        keeps = op == Op.CMPI or (op == Op.ALU and low & 8)
        if value is not None and not keeps:
            registers[rd] = value
        cycle += 2 if op in (Op.LD, Op.LDA, Op.IN) else 1


def _program(rng) -> Image:
    """Registers with numbers, then instructions by chance, some in calls and behind forward branches, then all
    registers on a port."""
    a = Assembler()
    for register in range(16):
        a.li(register, rng.randrange(1 << 12))
        for _ in range(rng.randrange(5)):
            a.add(register, register)
    labels = 0
    for n in range(120):
        kind, rd, rs = rng.choice(list(Op)), rng.randrange(16), rng.randrange(16)
        if kind == Op.ALU:
            a.alu(rng.choice(list(Func)), rd, rs)
        elif kind in (Op.ADDI, Op.CMPI, Op.ANDI, Op.LDI, Op.ORI):
            a.emit(kind, rd, rng.choice((0, 1, 0x7FF, 0x800, 0xFFF, rng.randrange(1 << 12))))
        elif kind in (Op.LD, Op.ST):
            a.li(rs, rng.randrange(4) * 256)
            a.emit(kind, rd, rng.randrange(256), rs)
        elif kind in (Op.LDA, Op.STA):
            a.emit(kind, rd, rng.randrange(DATA))
        elif kind == Op.IN:
            a.read(rd, rng.choice(list(Read)))
        elif kind == Op.OUT:
            a.write(rng.randrange(max(Write)), rd)
        elif kind in (Op.BT, Op.BF):
            a.emit(kind, rng.choice(list(Flag)), f"ahead{labels}")
            for _ in range(rng.randrange(3)):
                a.addi(rd, rng.randrange(100))
            a.label(f"ahead{labels}")
            labels += 1
        elif kind == Op.CALL:
            a.call(f"sub{n}")
            a.go(f"back{n}")
            a.label(f"sub{n}")
            a.sub(rd, rs)
            a.ret()
            a.label(f"back{n}")
    for register in range(16):
        a.write(0, register)
    a.write(max(Write))
    return Image(a.image().code, [rng.randrange(1 << 16) for _ in range(DATA)])


def _run(image: Image, holds: dict[int, int], limit: int) -> list[tuple[int, int, int]]:
    design, written = Processor(image, SHIFT), []

    async def bench(ctx):
        ctx.set(design.flags, sum((flag & 1) << flag for flag in Flag if flag not in (Flag.TRUE, Flag.Z, Flag.C)) | 1)
        accesses, waited, data = 0, 0, 0
        for cycle in range(limit + 2):
            # The port of an instruction that has just been fetched decides whether it must wait
            asks = ctx.get(design.read) or ctx.get(design.write)
            hold = asks and waited < holds.get(accesses, 0)
            ctx.set(design.hold, int(hold))
            ctx.set(design.data, data)
            if asks:
                waited += 1
                if not hold:
                    if ctx.get(design.write):
                        written.append((cycle, ctx.get(design.port), ctx.get(design.value)))
                    data = PORTS.get(ctx.get(design.port), 0)
                    accesses, waited = accesses + 1, 0
            await ctx.tick()

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return written


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed):
    """Every OUT has its value and its cycle, with ports that make it wait and without."""
    rng = random.Random(seed)
    image = _program(rng)
    holds = {n: rng.randrange(4) for n in range(200)} if seed % 2 else {}
    expected, cycles = _model(image, holds)
    assert len(expected) > 17
    assert _run(image, holds, cycles) == expected


def test_refusals():
    a = Assembler("with jobs of 9")
    with pytest.raises(TridentError, match="an instruction holds a number from -2048 to 2047, not 2048"):
        a.addi(1, 2048)
    with pytest.raises(TridentError, match="an instruction holds a number from 0 to 4095, not -1"):
        a.ori(1, -1)
    a.label("here")
    with pytest.raises(TridentError, match="the label here is there twice"):
        a.label("here")
    a.var("here")
    with pytest.raises(TridentError, match="here: labels and data of one name"):
        a.image()
    a.block("much", 1 << 12)
    with pytest.raises(TridentError, match="with jobs of 9 the controller needs 4097 words of data, it has 4096"):
        a.image()
