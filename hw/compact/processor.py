"""The controller's processor: 16 bits, sixteen registers, one instruction per cycle."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.compact.assembler import Image
from trident.hw.compact.instructions import ADDRESS_BITS, INSTRUCTION_BITS, Flag, Func, Op

BITS = 16
PORT_BITS = 6
DEPTH = 16  # calls within each other


class Processor(wiring.Component):
    """Run the firmware, which begins at address 0 of the code; code and data are memories of their own.

    An instruction is fetched while the one before is executed, and a branch decides in time, so each takes a cycle;
    LD, LDA and IN take two. While ``hold`` is high, IN and OUT wait.

    Members
    -------
    port : Out, the port of an IN or OUT; read : Out(1), an IN asks, its ``data`` are there in the next cycle, in which
        ``take`` is high; write, value : Out, an OUT
    hold, data : In; flags : In, one bit per :class:`Flag`, those of the arithmetic left out
    """

    def __init__(self, image: Image, shift: int):
        """``image``: words of the memories at the start; ``shift``: bits that INS moves."""
        self.image, self.shift = image, shift
        super().__init__({
            "port": Out(PORT_BITS),
            "read": Out(1),
            "take": Out(1),
            "write": Out(1),
            "value": Out(BITS),
            "hold": In(1),
            "data": In(BITS),
            "flags": In(len(Flag)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.code = instructions = memory.Memory(
            shape=INSTRUCTION_BITS, depth=len(self.image.code), init=self.image.code
        )
        m.submodules.words = words = memory.Memory(shape=BITS, depth=len(self.image.data), init=self.image.data)
        code, load, store = instructions.read_port(), words.read_port(), words.write_port()
        m.submodules.registers = registers = memory.Memory(shape=BITS, depth=16, init=[])
        first, second = registers.read_port(domain="comb"), registers.read_port(domain="comb")
        result = registers.write_port()
        m.submodules.stack = stack = memory.Memory(shape=ADDRESS_BITS, depth=DEPTH, init=[])
        back, call = stack.read_port(domain="comb"), stack.write_port()

        running = Signal()  # an instruction has been fetched
        m.d.sync += running.eq(1)
        word = code.data
        op, low = word[16:], word[:12]
        func, rs = word[:8], word[8:12]
        return_address, following = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        zero, carry = Signal(), Signal()
        last = Signal(BITS)
        a, b = first.data, second.data
        m.d.comb += [first.addr.eq(word[12:16]), second.addr.eq(rs)]

        def has(*ops):
            return Cat(op == one for one in ops).any()

        # Two cycles for what reads; OUT may wait too
        late, done = Signal(), Signal()
        reads = running & has(Op.LD, Op.LDA, Op.IN)
        waits = self.hold & has(Op.IN, Op.OUT)
        m.d.comb += done.eq(running & Mux(reads, late, ~waits))
        m.d.sync += late.eq(reads & ~late & ~waits)
        m.d.comb += [
            self.port.eq(low[:PORT_BITS]),
            self.read.eq(running & has(Op.IN) & ~late),
            self.take.eq(running & has(Op.IN) & late),
            self.write.eq(running & has(Op.OUT)),
            self.value.eq(a),
        ]

        # Arithmetic
        immediate = has(Op.ADDI, Op.CMPI, Op.ANDI, Op.LDI, Op.ORI)
        y = Signal(BITS)
        with m.If(immediate):
            m.d.comb += y.eq(Cat(low, (low[11] & ~has(Op.LDI, Op.ORI)).replicate(4)))
        with m.Else():
            m.d.comb += y.eq(b)
        subtract = has(Op.CMPI) | has(Op.ALU) & func[0]
        adds = has(Op.ADDI, Op.CMPI) | has(Op.ALU) & func[2]
        total = Signal(BITS + 2)
        m.d.comb += total.eq(Cat(subtract, a) + Cat(subtract, y ^ subtract.replicate(BITS)))
        value = Signal(BITS)
        with m.If(has(Op.LD, Op.LDA)):
            m.d.comb += value.eq(load.data)
        with m.Elif(has(Op.IN)):
            m.d.comb += value.eq(self.data)
        with m.Elif(adds):
            m.d.comb += value.eq(total[1:])
        with m.Elif(has(Op.ANDI) | has(Op.ALU) & (func[:2] == Func.AND)):
            m.d.comb += value.eq(a & y)
        with m.Elif(has(Op.ORI) | has(Op.ALU) & (func[:2] == Func.OR)):
            m.d.comb += value.eq(a | y)
        with m.Elif(has(Op.ALU) & (func[:2] == Func.INS)):
            m.d.comb += value.eq(Cat(a[self.shift :], y[: self.shift]))
        with m.Else():
            m.d.comb += value.eq(y)
        m.d.comb += [
            result.addr.eq(word[12:16]),
            result.data.eq(value),
            result.en.eq(done & (has(Op.ADDI, Op.LDI, Op.ORI, Op.ANDI, Op.LD, Op.IN, Op.LDA)
                                 | has(Op.ALU) & ~func[3])),
        ]  # fmt: skip
        with m.If(done & has(Op.ALU, Op.ADDI, Op.CMPI, Op.ANDI, Op.ORI)):
            m.d.sync += [last.eq(value), carry.eq(total[-1])]
        m.d.comb += zero.eq(last == 0)  # of a register, as the value comes late

        # Data
        address = Mux(has(Op.LDA, Op.STA), low, b[: len(load.addr)] | word[:8])
        m.d.comb += [
            load.addr.eq(address),
            store.addr.eq(address),
            store.data.eq(a),
            store.en.eq(running & has(Op.ST, Op.STA)),
        ]

        # The next instruction
        depth = Signal(range(DEPTH))
        flags = Cat(self.flags[: Flag.Z], zero, carry, self.flags[Flag.IN :])
        holds = Array(flags)[word[12:16]]
        m.d.comb += [
            back.addr.eq(depth),
            call.addr.eq(depth + 1),
            call.data.eq(return_address),
            call.en.eq(done & has(Op.CALL)),
            following.eq(return_address),
        ]
        with m.If(has(Op.BT) & holds | has(Op.BF) & ~holds | has(Op.CALL)):
            m.d.comb += following.eq(low)
        with m.Elif(has(Op.RET)):
            m.d.comb += following.eq(back.data)
        m.d.comb += [code.addr.eq(Mux(running, following, 0)), code.en.eq(done | ~running)]
        with m.If(code.en):  # ``return_address`` is the address after the instruction that is fetched
            m.d.sync += return_address.eq(code.addr[:ADDRESS_BITS] + 1)
        with m.If(done & has(Op.CALL)):
            m.d.sync += depth.eq(depth + 1)
        with m.Elif(done & has(Op.RET)):
            m.d.sync += depth.eq(depth - 1)
        return m
