"""An assembler for the controller: instructions, labels and data, written as calls."""

from dataclasses import dataclass

from trident.hw.compact.instructions import ADDRESS_BITS, Flag, Func, Op, Read, Write, encode
from trident.hw.errors import TridentError

ZERO = 0  # the register that firmware keeps at zero
LARGE = 1 << ADDRESS_BITS  # the first number that an instruction does not hold


@dataclass(frozen=True)
class Image:
    """What a processor's memories hold at first, each a power of two of words: ``code`` of 20 bits, ``data`` of 16."""

    code: list[int]
    data: list[int]


def _padded(words: list[int]) -> list[int]:
    """The words and zeros behind them, a power of two in all."""
    return words + [0] * ((1 << (len(words) - 1).bit_length()) - len(words))


class Assembler:
    """Collects a program; :meth:`image` gives the words of the memories.

    A register is a number from 0 to 15, a label or a datum a name.
    """

    def __init__(self, what: str = ""):
        """``what``: begins the sentence that says that there is no room."""
        self.what = what
        self.code: list[tuple[Op, int, int | str | tuple[str, int], int]] = []
        self.labels: dict[str, int] = {}
        self.data: dict[str, tuple[list[int], int]] = {}  # first values, alignment
        self.blocks: set[str] = set()

    # Data
    def var(self, name: str, *values: int, align: int = 1):
        """A datum of one word or more, with its first values. Those of zeros lie from ``state`` to ``state_end``."""
        self.data[name] = list(values) or [0], align

    def variables(self, *names: str):
        """Data of one word each, zero at first."""
        for name in names:
            self.var(name)

    def block(self, name: str, words: int, align: int = 1):
        """A datum whose words are written before they are read."""
        self.data[name] = [0] * words, align
        self.blocks.add(name)

    # Instructions
    def label(self, name: str):
        if name in self.labels:
            raise TridentError(f"the label {name} is there twice")
        self.labels[name] = len(self.code)

    def emit(self, op: Op, rd: int = 0, low: int | str | tuple[str, int] = 0, rs: int = 0):
        self.code.append((op, rd, low, rs))

    def alu(self, func: Func, rd: int, rs: int):
        self.emit(Op.ALU, rd, func, rs)

    def mov(self, rd: int, rs: int):
        self.alu(Func.MOV, rd, rs)

    def add(self, rd: int, rs: int):
        self.alu(Func.ADD, rd, rs)

    def sub(self, rd: int, rs: int):
        self.alu(Func.SUB, rd, rs)

    def addi(self, rd: int, value: int):
        self.emit(Op.ADDI, rd, self._signed(value))

    def cmpi(self, rd: int, value: int):
        self.emit(Op.CMPI, rd, self._signed(value))

    def andi(self, rd: int, value: int):
        self.emit(Op.ANDI, rd, self._signed(value))

    def ori(self, rd: int, value: int):
        self.emit(Op.ORI, rd, self._unsigned(value))

    def li(self, rd: int, value: int | str, offset: int = 0):
        """A number from 0 to 65535, or the address of a datum's word."""
        if isinstance(value, str):
            self.emit(Op.LDI, rd, (value, offset))
        elif value < LARGE:
            self.emit(Op.LDI, rd, value)
        else:
            name = f"={value}"
            self.var(name, value)
            self.lda(rd, name)

    def ld(self, rd: int, rs: int, offset: int = 0):
        self.emit(Op.LD, rd, offset, rs)

    def st(self, rd: int, rs: int, offset: int = 0):
        self.emit(Op.ST, rd, offset, rs)

    def lda(self, rd: int, name: str):
        self.emit(Op.LDA, rd, name)

    def sta(self, rd: int, name: str):
        self.emit(Op.STA, rd, name)

    def read(self, rd: int, port: Read):
        self.emit(Op.IN, rd, port)

    def write(self, port: int, rd: int = ZERO):
        self.emit(Op.OUT, rd, port)

    def bt(self, flag: Flag, label: str):
        self.emit(Op.BT, flag, label)

    def bf(self, flag: Flag, label: str):
        self.emit(Op.BF, flag, label)

    def go(self, label: str):
        self.bt(Flag.TRUE, label)

    def call(self, label: str):
        self.emit(Op.CALL, 0, label)

    def ret(self):
        self.emit(Op.RET)

    def shift(self, rd: int, rs: int, places: int, scratch: int):
        """``rd = rs >> places``, by a multiplication."""
        self.li(scratch, 1 << 16 - places)
        self.write(Write.FACTOR1, scratch)
        self.write(Write.FACTOR0, rs)
        self.read(rd, Read.PRODUCT_HIGH)

    @staticmethod
    def _signed(value: int) -> int:
        if not -LARGE // 2 <= value < LARGE // 2:
            raise TridentError(f"an instruction holds a number from {-LARGE // 2} to {LARGE // 2 - 1}, not {value}")
        return value % LARGE

    @staticmethod
    def _unsigned(value: int) -> int:
        if not 0 <= value < LARGE:
            raise TridentError(f"an instruction holds a number from 0 to {LARGE - 1}, not {value}")
        return value

    # The result
    def image(self) -> Image:
        """The words of both memories, from address 0. Raises TridentError for what has no room."""
        place, end = {}, 0
        state = [item for item in self.data.items() if not any(item[1][0]) and item[0] not in self.blocks]
        others = [item for item in self.data.items() if item not in state]
        for part in (state, others):
            place["state_end" if part is others else "state"] = end
            for name, (values, align) in sorted(part, key=lambda item: item[1][1]):
                end += -end % align
                place[name] = end
                end += len(values)
        for words, kind in ((len(self.code), "code"), (end, "data")):
            if words > LARGE:
                raise TridentError(f"{self.what} the controller needs {words} words of {kind}, it has {LARGE}")
        if both := self.labels.keys() & place.keys():
            raise TridentError(f"{', '.join(sorted(both))}: labels and data of one name")
        code, data = [], [0] * max(end, 2)
        for op, rd, low, rs in self.code:
            if isinstance(low, tuple):
                low = place[low[0]] + low[1]
            elif isinstance(low, str):
                low = self.labels[low] if low in self.labels else place[low]
            code.append(encode(op, rd, low, rs))
        for name, (values, _) in self.data.items():
            data[place[name] : place[name] + len(values)] = values
        return Image(_padded(code), _padded(data))
