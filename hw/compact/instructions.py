"""Instructions of the controller's processor, and what it finds at its ports: declared once for all who use them."""

from enum import IntEnum

INSTRUCTION_BITS = 20
ADDRESS_BITS = 12  # of code, and of data


class Op(IntEnum):
    """Instructions: the operation in bits 16 to 19, rd in 12 to 15, rs in 8 to 11; imm12 is bits 0 to 11, imm8 0 to 7.

    ALU, ADDI, CMPI, ANDI and ORI set the flags Z and C. One cycle, but two for LD, LDA and IN, and the waits of ports.
    """

    ALU = 0  # rd = rd (Func in imm8) rs
    ADDI = 1  # rd = rd + imm12, which is signed
    LDI = 2  # rd = imm12
    ORI = 3  # rd = rd | imm12
    CMPI = 4  # rd - imm12, which is signed, for its flags
    ANDI = 5  # rd = rd & imm12, which is signed
    LD = 6  # rd = data[rs | imm8]
    ST = 7  # data[rs | imm8] = rd
    IN = 8  # rd = port imm8
    OUT = 9  # port imm8 = rd
    BT = 10  # go to imm12 if the Flag in rd's place is set
    BF = 11  # go to imm12 if it is not
    CALL = 12  # go to imm12; RET goes on behind
    RET = 13
    LDA = 14  # rd = data[imm12]
    STA = 15  # data[imm12] = rd


class Func(IntEnum):
    """What ALU does; bit 2 asks for the adder, bit 3 keeps rd as it is."""

    MOV = 0  # rs
    AND = 1
    OR = 2
    INS = 3  # rd shifted down by a spike word; the lowest bits of rs come in at the top
    ADD = 4
    SUB = 5
    TST = 9  # rd & rs, for its flags
    CMP = 13  # rd - rs, for its flags


class Flag(IntEnum):
    """What a branch can ask for; from IN on as it was a cycle ago, so two cycles after an OUT or IN they are right."""

    TRUE = 0
    Z = 1  # the last result was zero
    C = 2  # the last addition had a carry, the last subtraction no borrow
    IN = 3  # a phit is at hand that PULL does not take
    IN_LAST = 4  # it is its packet's last
    OUT = 5  # there is room for a whole packet, and GIVE is done
    BUSY = 6  # the engine or the neuron unit works
    ROW = 7  # a row has left the engine
    GRAD_READY = 8  # the neuron-gradient unit takes a row
    GRAD_BUSY = 9
    RESULT = 10  # the multiply-add that was asked for is done
    REDUCE = 11  # the engine takes a gradient that is to leave
    PARTIAL = 12  # there is room for a packet of partial sums
    PAIR = 13  # two rows have left the engine


class Read(IntEnum):
    """Ports that IN reads."""

    PHIT = 0  # of a packet, which is taken; waits for it
    PACKET = 1  # bits 8 to 10 of the phit at hand: what the packet is
    FIELD = 2  # bits 11 to 15: its header's first field
    ROW = 3  # the row that has left the engine, which is taken
    RESULT = 4  # of the multiply-add
    FAULTS = 5
    PLACE = 6  # x and y of the core
    CYCLES = 7  # since the reset, 16 bits
    PRODUCT = 8  # of both FACTORs, 16 bits
    WEIGHTS = 9  # the words of the memories at ADDRESS, which moves on
    MOMENTUM = 10
    GRADIENTS = 11
    ERRORS = 12
    WORDS = 13  # spikes, and beside them masks; behind them error masks
    POTENTIALS = 14
    PRODUCT_HIGH = 15  # the 16 bits above those of PRODUCT


class Write(IntEnum):
    """Ports that OUT writes."""

    SEND = 0  # a phit
    SEND_LAST = 1  # its packet's last
    ADDRESS = 2  # of the memories
    WEIGHTS = 3
    MOMENTUM = 4
    GRADIENTS = 5
    ERRORS = 6
    WORDS = 7
    POTENTIALS = 8
    FACTOR0 = 9
    FACTOR1 = 10
    A = 11  # of a multiply-add; also the leak of the neurons
    B = 12
    C = 13
    SCALE = 14  # as a job has it, and go
    MODE = 15  # see Mode
    START = 16  # bit n: operation n of the engine
    PARTIAL = 17  # row for backward or reduce to add to
    REDUCE = 18  # the gradient that leaves, with the row added to it
    GRAD_TAG = 19  # timestep, and behind it the number of the neuron in its pass
    GRAD_ADDRESS = 20  # word of the layer
    GRAD_ROW = 21  # error for the neuron-gradient unit; address and number move on
    GRAD_AUX = 22  # first words of the layer's spikes
    GRAD_DST = 23  # and errors
    THRESHOLD = 24  # of the neurons, where their kind needs it
    SLOPE = 25
    KEY_THRESHOLD = 26  # constants that potentials are compared with, see trident.hw.arith.compare.sort_key
    KEY_LOW = 27
    KEY_HIGH = 28
    ROUTE_ADDRESS = 29  # group
    ROUTE = 30  # its entry of the router's multicast table
    ACTIVE = 31  # queues that run a job
    CLEAR_FAULTS = 32
    SRC = 33  # the engine's job from here on, see trident.hw.compact.walker.shared_job
    BLOCKS = 34
    IMAGE = 35  # src_y and src_x
    SHAPE = 36  # last_x, last_tap, stride2 and bias, as a job has them
    LAST_Y = 37  # and origin, likewise
    TILE = 38
    BLOCK_STEP = 39
    TAP_STEP = 40
    PASS_STEP = 41
    GROUP_STEP = 42
    GROUPS = 43
    PASS_GROUPS = 44
    DST = 45
    GIVE = 46  # rows that leave the engine end the packet, two by two while they are there: so many pairs less one
    PULL = 47  # the rest of the packet at hand is partial sums


class Mode(IntEnum):
    """Bits of the port MODE."""

    TAKE = 0  # backward and reduce add to partial sums
    AWAY = 1  # rows of backward leave through ROW
    REDUCING = 2  # rows of gradients do


def encode(op: Op, rd: int = 0, low: int = 0, rs: int = 0) -> int:
    """An instruction; ``low`` is imm12, or imm8 below ``rs``."""
    return op << 16 | rd << 12 | rs << 8 | low & 0xFFF
