"""Send: spikes of the last layer to other cores or the host, then a token with the sample's label."""

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware.data import ROUTE, Record, Task, half, header, task_off, task_on
from trident.hw.compact.firmware.registers import COUNT, JOBP, LAST, MORE, QUEUE, R1, R2, R3, R4
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import Opcode
from trident.hw.isa.packets import PUT, TOKEN, Packet, Packing
from trident.hw.isa.tokens import NO_TOKEN

NO_TARGET = header(TOKEN, token=NO_TOKEN)  # of a job that gives none; its halfword is as a header


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.variables("send_src", "send_base", "send_put", "send_runs", "send_words", "send_groups",
                "send_blocks", "send_route", "send_label")  # fmt: skip
    a.label("begin_send")
    a.li(R1, half("src"))
    a.ld(R2, QUEUE, Record.SPIKES)
    a.call("pointer")
    a.sta(R1, "send_src")
    a.li(R1, half("dst"))
    a.ld(R2, QUEUE, Record.REMOTE)
    a.call("pointer")
    a.sta(R1, "send_base")
    a.sta(R1, "send_put")
    for field, name in (("count", "send_runs"), ("groups", "send_words"), ("blocks", "send_blocks"),
                        ("target", "send_route")):  # fmt: skip
        a.ld(R1, JOBP, half(field))
        a.sta(R1, name)
    a.lda(R1, "send_words")
    a.sta(R1, "send_groups")
    a.call("label")
    a.sta(R1, "send_label")
    task_on(a, Task.SEND)
    a.ret()
    _send(a, Packing(mesh, cfg.spike_bits))
    _token(a)


def _send(a: Assembler, packing: Packing):
    """One packet of a run of words; a packet does not go on from run to run."""
    per, longest = packing.per_flit, packing.per_packet
    a.label("task_send")
    a.bf(Flag.OUT, "send_end")
    a.lda(R1, "send_runs")
    a.cmpi(R1, 0)
    a.bt(Flag.Z, "send_token")
    a.lda(COUNT, "send_words")
    a.li(R4, longest)
    a.alu(Func.CMP, COUNT, R4)
    a.bt(Flag.C, "send_size")
    a.mov(R4, COUNT)
    a.label("send_size")
    a.sub(COUNT, R4)
    a.mov(R1, R4)  # words of the last flit, less one
    a.addi(R1, -1)
    a.andi(R1, per - 1)
    a.li(R2, header(PUT, rest=1))
    a.write(Write.FACTOR0, R1)
    a.write(Write.FACTOR1, R2)
    a.read(R1, Read.PRODUCT)
    a.lda(R2, "send_route")
    a.andi(R2, ROUTE)
    a.alu(Func.OR, R1, R2)
    a.ori(R1, header(PUT, packet=Packet.SPIKES))
    a.write(Write.SEND, R1)
    a.lda(R1, "send_put")
    a.write(Write.SEND, R1)
    a.add(R1, R4)
    a.sta(R1, "send_put")
    a.lda(R1, "send_src")
    a.write(Write.ADDRESS, R1)
    a.add(R1, R4)
    a.sta(R1, "send_src")

    a.label("send_flit")
    a.cmpi(R4, per)
    a.bf(Flag.C, "send_short")
    for register in (R1, R2):
        for _ in range(per // 2):
            a.read(R3, Read.WORDS)
            a.alu(Func.INS, register, R3)
    a.write(Write.SEND, R1)
    a.addi(R4, -per)
    a.bt(Flag.Z, "send_last")
    a.write(Write.SEND, R2)
    a.go("send_flit")
    a.label("send_short")  # words lie lowest in a flit that is not full
    a.li(MORE, per)
    a.label("send_word")
    a.li(R3, 0)
    a.cmpi(R4, 0)
    a.bt(Flag.Z, "send_no_word")
    a.read(R3, Read.WORDS)
    a.addi(R4, -1)
    a.label("send_no_word")
    a.alu(Func.INS, R1, R2)
    a.alu(Func.INS, R2, R3)
    a.addi(MORE, -1)
    a.bf(Flag.Z, "send_word")
    a.write(Write.SEND, R1)
    a.label("send_last")
    a.write(Write.SEND_LAST, R2)

    a.cmpi(COUNT, 0)
    a.bf(Flag.Z, "send_store")
    a.lda(R1, "send_runs")
    a.addi(R1, -1)
    a.sta(R1, "send_runs")
    a.lda(COUNT, "send_groups")
    a.lda(R1, "send_base")
    a.lda(LAST, "send_blocks")
    a.add(R1, LAST)
    a.sta(R1, "send_base")
    a.sta(R1, "send_put")
    a.label("send_store")
    a.sta(COUNT, "send_words")
    a.label("send_end")
    a.ret()


def _token(a: Assembler):
    a.label("send_token")
    a.lda(R1, "send_route")
    a.li(R2, NO_TARGET)
    a.alu(Func.CMP, R1, R2)
    a.bt(Flag.C, "send_finish")
    a.lda(R2, "send_label")
    a.call("give")
    a.label("send_finish")
    task_off(a, Task.SEND)
    a.li(R1, Opcode.SEND)
    a.go("finish")

    a.label("give")  # the token of a job's halfword R1, with the value R2
    a.li(R3, NO_TARGET | ROUTE)
    a.alu(Func.AND, R1, R3)
    a.ori(R1, header(TOKEN, packet=Packet.TOKEN))
    a.write(Write.SEND, R1)
    a.write(Write.SEND_LAST, R2)
    a.ret()
