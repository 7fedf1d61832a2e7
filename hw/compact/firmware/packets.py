"""Packets that come in: what each of them does."""

from trident.hw.compact.assembler import ZERO, Assembler
from trident.hw.compact.firmware.data import PLACE, RECEIVE, RECORD, RING, Ring, Task, ring, task_on
from trident.hw.compact.firmware.registers import COUNT, LAST, MORE, R1, R2, R3, R4, R5, R6, TASKS, TEMP
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Packet, Packing, Rows
from trident.hw.isa.tokens import Token


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    # R2: the header's second half; R3: what the packet is; R4: the header's first field; R5: it is all of the packet
    a.label("packet")
    a.read(R3, Read.PACKET)
    a.read(R4, Read.FIELD)
    flit(a, "packet_header", R5)
    for packet in (Packet.SPIKES, Packet.TOKEN, Packet.ROWS, Packet.CREDIT, Packet.WRITE, Packet.READ):
        a.cmpi(R3, packet)
        a.bt(Flag.Z, packet.name)
    a.go("START")
    _spikes(a, cfg, mesh)
    _token(a)
    _rows(a)
    _credit(a)
    _start(a)


def flit(a: Assembler, name: str, last: int):
    """R1 and R2: the next flit; ``last``: whether it is the packet's last. All of a packet is on its way."""
    a.read(R1, Read.PHIT)
    a.li(last, 0)
    a.label(name)
    a.bf(Flag.IN, name)
    a.bf(Flag.IN_LAST, f"{name}_take")
    a.li(last, 1)
    a.label(f"{name}_take")
    a.read(R2, Read.PHIT)


def _spikes(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    per = Packing(mesh, cfg.spike_bits).per_flit
    a.label(Packet.SPIKES.name)
    a.write(Write.ADDRESS, R2)
    a.label("spikes_flit")
    flit(a, "spikes_word", R3)
    a.cmpi(R3, 0)
    a.bf(Flag.Z, "spikes_last")
    for register in (R1, R2):
        for n in range(per // 2):
            a.write(Write.WORDS, register)
            if n + 1 < per // 2:
                a.alu(Func.INS, register, ZERO)
    a.go("spikes_flit")
    a.label("spikes_last")
    a.write(Write.WORDS, R1)
    a.alu(Func.INS, R1, R2)
    a.alu(Func.INS, R2, ZERO)
    a.addi(R4, -1)
    a.bt(Flag.C, "spikes_last")
    a.ret()


def _token(a: Assembler):
    a.label(Packet.TOKEN.name)
    a.cmpi(R4, Token.INPUT_READY0)
    a.bf(Flag.Z, "token_go")
    a.lda(R5, "label_slot")  # a sample's label comes with its first spikes and is kept as long as those
    a.li(R6, "labels")
    a.add(R6, R5)
    a.st(R2, R6)
    a.addi(R5, 1)
    a.lda(R6, "slots")
    a.alu(Func.CMP, R5, R6)
    a.bf(Flag.Z, "token_slot")
    a.li(R5, 0)
    a.label("token_slot")
    a.sta(R5, "label_slot")
    a.label("token_go")
    a.cmpi(R4, Token.GO)
    a.bf(Flag.Z, "token_count")
    a.cmpi(R2, 0)
    a.bt(Flag.Z, "token_count")
    a.sta(R2, "elsewhere")
    a.label("token_count")
    a.li(R6, "tokens")
    a.add(R6, R4)
    a.ld(R1, R6)
    a.addi(R1, 1)
    a.st(R1, R6)
    task_on(a, Task.QUEUES)
    a.ret()


def _rows(a: Assembler):
    """Rows go where they are waited for, or into their ring."""
    a.label(Packet.ROWS.name)
    ring(a, Rows.ERRORS)
    a.mov(MORE, TASKS)
    a.andi(R2, 1)
    a.bt(Flag.Z, "rows_errors")
    a.addi(R5, RECORD)
    a.addi(R6, RING)
    a.andi(MORE, 1 << Task.PARTIAL)
    a.bt(Flag.Z, "rows_ring")
    a.bf(Flag.PARTIAL, "rows_ring")
    a.ld(R1, R5, Ring.PACKETS)
    a.cmpi(R1, 0)
    a.bf(Flag.Z, "rows_ring")
    a.write(Write.PULL)  # backward has an even number of rows each time
    a.go("credit")

    a.label("rows_errors")
    a.andi(MORE, 1 << Task.ERRORS)
    a.bt(Flag.Z, "rows_ring")
    a.lda(R1, "errors_doing")
    a.cmpi(R1, RECEIVE)
    a.bf(Flag.Z, "rows_ring")
    a.ld(R1, R5, Ring.PACKETS)
    a.cmpi(R1, 0)
    a.bf(Flag.Z, "rows_ring")
    a.call("feed_load")
    a.label("rows_straight")
    flit(a, "rows_feed", R3)
    a.call("feed")
    a.cmpi(R3, 0)
    a.bt(Flag.Z, "rows_straight_pair")
    a.cmpi(R4, 0)
    a.bt(Flag.Z, "rows_fed")
    a.label("rows_straight_pair")
    a.mov(R1, R2)
    a.call("feed")
    a.cmpi(R3, 0)
    a.bt(Flag.Z, "rows_straight")
    a.label("rows_fed")
    a.call("credit")
    a.go("feed_store")

    a.label("rows_ring")
    a.ld(COUNT, R5, Ring.WRITE)
    a.mov(MORE, R6)
    a.add(MORE, COUNT)
    a.mov(TEMP, MORE)
    a.addi(COUNT, PLACE)
    a.andi(COUNT, RING - 1)
    a.st(COUNT, R5, Ring.WRITE)
    a.li(LAST, 0)  # rows so far
    a.label("rows_flit")
    flit(a, "rows_row", R3)
    a.addi(MORE, 2)
    a.st(R1, MORE)
    a.st(R2, MORE, 1)
    a.addi(LAST, 2)
    a.cmpi(R3, 0)
    a.bt(Flag.Z, "rows_flit")
    a.cmpi(R4, 0)
    a.bf(Flag.Z, "rows_end")
    a.addi(LAST, -1)
    a.label("rows_end")
    a.st(LAST, TEMP)
    a.ld(R1, R5, Ring.PACKETS)
    a.addi(R1, 1)
    a.st(R1, R5, Ring.PACKETS)
    a.ret()


def _credit(a: Assembler):
    a.label(Packet.CREDIT.name)
    a.lda(R1, "credits")
    a.addi(R1, 1)
    a.add(R1, R4)
    a.sta(R1, "credits")
    a.ret()


def _start(a: Assembler):
    a.label("START")
    a.cmpi(R5, 0)
    a.bf(Flag.Z, "arm")
    a.read(R1, Read.PHIT)
    a.read(R2, Read.PHIT)
    a.go("start")
