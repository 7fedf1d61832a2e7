"""The numbers that tell the operations of a queue apart."""

from trident.hw.isa.capabilities import Capability
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.operations import OPERATIONS, QUEUE_OF, Opcode


def kind_bits(cfg: CoreConfig) -> int:
    """Bits of such a number."""
    has = cfg.capabilities
    numbers = (number for opcode, (_, number) in QUEUE_OF.items() if has.issuperset(OPERATIONS[opcode].needs))
    return max(max(numbers).bit_length(), 2)


def kinds_of_queues(cfg: CoreConfig) -> dict[Opcode, int]:
    """Their numbers; those of units which came last are in cores that have these alone: the Verilog of others does not
    change with them."""
    late = {Capability.DROPOUT, Capability.JOIN, Capability.ADDS} - cfg.capabilities
    return {code: kind for code, (_, kind) in QUEUE_OF.items() if not late.intersection(OPERATIONS[code].needs)}
