"""Ports of memories, for the harnesses of units."""

from amaranth.hdl import Array, Cat, Module, Signal

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.hw.lib.memory import SharedMemory, WeightMemory


def read(m: Module, memory: SharedMemory, reader: int, address, en):
    """Connect a read port; returns its data."""
    m.d.comb += [memory.read_address[reader].eq(address), memory.read_en[reader].eq(en)]
    return memory.read_data[reader]


def granule(memory: SharedMemory, reader: int, chosen):
    """One row of a wide memory's word."""
    data = memory.read_data[reader]
    return Array(data[n * memory.width : (n + 1) * memory.width] for n in range(memory.granules))[chosen]


def bits_of(count: int) -> int:
    return (count - 1).bit_length()


def connect_functions(m: Module, cfg: CoreConfig, unit, memories: dict):
    """Connect a unit's readers of the function table, if it has some."""
    for lane in range(cfg.lanes if Space.FUNCTIONS in memories else 0):
        data = read(m, memories[Space.FUNCTIONS], lane, unit.table_address[lane], unit.table_en)
        m.d.comb += unit.tables[lane].eq(data)


def read_errors(m: Module, cfg: CoreConfig, memory: SharedMemory, word, step, en):
    """Connect a read port for errors, row by row; returns the row."""
    error_bits = bits_of(memory.granules)
    chosen = Signal(max(error_bits, 1))
    with m.If(en):
        m.d.sync += chosen.eq(step[:error_bits])
    read(m, memory, 0, Cat(step[error_bits : cfg.step_bits], word), en)
    return granule(memory, 0, chosen)


def write_errors(m: Module, unit, errors: SharedMemory, masks: SharedMemory):
    """Connect a unit's ``error`` and ``mask`` write ports."""
    write_error_rows(m, unit, errors, masks, unit.error_address, unit.error_write, unit.error_data)


def write_error_rows(m: Module, unit, errors: SharedMemory, masks: SharedMemory, address, write, row):
    """Connect a write port for rows of errors, and a unit's ``mask`` write port."""
    error_bits = bits_of(errors.granules)
    m.d.comb += [
        errors.write_address.eq(address >> error_bits),
        errors.write_en.eq(write << address[:error_bits]),
        errors.write_data.eq(row.replicate(errors.granules)),
        masks.write_address.eq(unit.mask_address),
        masks.write_en.eq(unit.mask_en),
        masks.write_data.eq(unit.mask),
    ]


def write_gradients(m: Module, unit, gradients: SharedMemory, data):
    """Connect a unit's write port for rows of gradients."""
    grad_bits = bits_of(gradients.granules)
    m.d.comb += [
        gradients.write_address.eq(unit.gradient_address >> grad_bits),
        gradients.write_en.eq(unit.gradient_write << unit.gradient_address[:grad_bits]),
        gradients.write_data.eq(data.replicate(gradients.granules)),
    ]


def read_weights(m: Module, unit, weights: WeightMemory):
    """Connect a unit's port for rows of weights."""
    m.d.comb += [
        weights.update_address.eq(unit.row_address),
        weights.update_read.eq(unit.row_read),
        unit.weights.eq(weights.row_data),
    ]


def write_sums(m: Module, unit, sums: SharedMemory):
    """Connect a unit's ports for sums."""
    m.d.comb += [
        unit.sums.eq(read(m, sums, 0, unit.sum_address, unit.sum_en)),
        sums.write_address.eq(unit.sum_write_address),
        sums.write_en.eq(unit.sum_write),
        sums.write_data.eq(unit.sum_data),
    ]
