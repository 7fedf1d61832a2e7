"""The core's memories as the host sees them: packets that write their elements and that ask for them."""

from collections.abc import Callable

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware.data import Task, task_off, task_on
from trident.hw.compact.firmware.packets import flit
from trident.hw.compact.firmware.registers import COUNT, LAST, R1, R2, R3, R4, R5, R6
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Packet
from trident.hw.isa.spaces import Space

# Memories of rows have a port of their name
ROWS = (Space.WEIGHTS, Space.GRADIENTS, Space.MOMENTUM, Space.ERRORS)


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.variables("read_left", "read_space", "read_address")
    _write(a)
    _read(a, mesh)
    _put(a, cfg)
    _get(a, cfg)
    _element(a, cfg)


def _address(a: Assembler, then: str):
    """R5: the address in the header; R4: the space. Go on at ``then``."""
    a.mov(R5, R2)
    a.add(R5, R2)
    a.mov(R3, R4)
    a.andi(R4, 15)
    a.andi(R3, 16)
    a.bt(Flag.Z, then)
    a.addi(R5, 1)


def _write(a: Assembler):
    a.label(Packet.WRITE.name)
    _address(a, "write_flit")
    a.label("write_flit")
    flit(a, "write_element", LAST)
    a.call("put")
    a.addi(R5, 1)
    a.cmpi(LAST, 0)
    a.bt(Flag.Z, "write_flit")
    a.ret()


def _read(a: Assembler, mesh: MeshConfig):
    a.label(Packet.READ.name)
    _address(a, "read_flit")
    a.label("read_flit")
    a.read(R1, Read.PHIT)
    a.read(R2, Read.PHIT)
    a.sta(R1, "read_left")
    a.sta(R4, "read_space")
    a.sta(R5, "read_address")
    task_on(a, Task.READ)
    a.ret()

    # One packet of elements
    a.label("task_read")
    a.bf(Flag.OUT, "read_end")
    a.li(R1, 0)
    a.call("answer_header")
    a.lda(R4, "read_space")
    a.lda(R5, "read_address")
    a.lda(COUNT, "read_left")
    a.li(LAST, mesh.packet - 1)
    a.label("read_element")
    a.call("get")
    a.addi(R5, 1)
    a.addi(COUNT, -1)
    a.bt(Flag.Z, "read_close")
    a.addi(LAST, -1)
    a.bt(Flag.Z, "read_close")
    a.write(Write.SEND, R1)
    a.write(Write.SEND, R2)
    a.go("read_element")
    a.label("read_close")
    a.write(Write.SEND, R1)
    a.write(Write.SEND_LAST, R2)
    a.sta(R5, "read_address")
    a.sta(COUNT, "read_left")
    a.cmpi(COUNT, 0)
    a.bf(Flag.Z, "read_end")
    task_off(a, Task.READ)
    a.label("read_end")
    a.ret()


def _rows(a: Assembler, cfg: CoreConfig, what: str, access: Callable[[str], None]):
    """``access`` the port of space R4, if it is one of rows, at R5, and return."""
    a.write(Write.ADDRESS, R5)
    for space in (*ROWS, Space.POTENTIALS) if cfg.keeps_potentials else ROWS:
        a.cmpi(R4, space)
        a.bf(Flag.Z, f"{what}_{space.name}")
        access(space.name)
        a.ret()
        a.label(f"{what}_{space.name}")


def _own(a: Assembler, what: str):
    """R6: where the element lies; what is in the controller's own memory goes on at the label for its size."""
    a.call("element")
    for space, size in ((Space.PROGRAM, "pair"), (Space.JOBS, "pair"), (Space.LOSS_TABLE, "word")):
        a.cmpi(R4, space)
        a.bt(Flag.Z, f"{what}_{size}")


def _put(a: Assembler, cfg: CoreConfig):
    """R1 and R2 become element R5 of space R4."""
    a.label("put")
    _rows(a, cfg, "put", lambda port: a.write(Write[port], R1))
    _own(a, "put")
    a.cmpi(R4, Space.ROUTES)
    a.bf(Flag.Z, "put_bits")
    a.write(Write.ROUTE_ADDRESS, R5)
    a.write(Write.ROUTE, R1)
    a.ret()
    a.label("put_pair")
    a.st(R2, R6, 1)
    a.label("put_word")
    a.st(R1, R6)
    a.ret()
    # Spikes, masks and error masks share words: those above a word's spikes are its masks
    half = (1 << cfg.spike_bits) - 1
    a.label("put_bits")
    a.write(Write.ADDRESS, R6)
    a.read(R2, Read.WORDS)
    a.write(Write.ADDRESS, R6)
    a.cmpi(R4, Space.MASKS)
    a.bt(Flag.Z, "put_masks")
    a.andi(R1, half)
    a.li(R3, half << cfg.spike_bits)
    a.alu(Func.AND, R2, R3)
    a.go("put_both")
    a.label("put_masks")
    a.andi(R2, half)
    for _ in range(cfg.spike_bits):
        a.add(R1, R1)
    a.label("put_both")
    a.alu(Func.OR, R1, R2)
    a.write(Write.WORDS, R1)
    a.ret()


def _get(a: Assembler, cfg: CoreConfig):
    """R1 and R2: element R5 of space R4."""
    a.label("get")
    a.li(R2, 0)
    _rows(a, cfg, "get", lambda port: a.read(R1, Read[port]))
    a.cmpi(R4, Space.REGISTERS)
    a.bt(Flag.Z, "register")
    _own(a, "get")
    a.write(Write.ADDRESS, R6)
    a.read(R1, Read.WORDS)
    a.cmpi(R4, Space.MASKS)
    a.bf(Flag.Z, "get_low")
    a.shift(R1, R1, cfg.spike_bits, R3)
    a.label("get_low")
    a.andi(R1, (1 << cfg.spike_bits) - 1)
    a.ret()
    a.label("get_pair")
    a.ld(R2, R6, 1)
    a.label("get_word")
    a.ld(R1, R6)
    a.ret()


def _element(a: Assembler, cfg: CoreConfig):
    """R6: where element R5 of space R4 lies: an address, even for what has two halves."""
    a.label("element")
    a.mov(R6, R5)
    a.cmpi(R4, Space.ERROR_MASKS)
    a.bf(Flag.Z, "element_pair")
    a.li(R3, cfg.spike_words)
    a.add(R6, R3)
    a.ret()
    a.label("element_pair")
    a.add(R6, R6)
    a.li(R3, "jobs")
    a.cmpi(R4, Space.JOBS)
    a.bt(Flag.Z, "element_add")
    a.li(R3, "program")
    a.cmpi(R4, Space.PROGRAM)
    a.bt(Flag.Z, "element_add")
    a.mov(R6, R5)
    a.li(R3, "loss_table")
    a.cmpi(R4, Space.LOSS_TABLE)
    a.bt(Flag.Z, "element_add")
    a.ret()
    a.label("element_add")
    a.add(R6, R3)
    a.ret()
