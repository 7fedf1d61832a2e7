"""Errors for the neuron-gradient unit: those that other cores have summed, and those of the loss."""

from trident.hw.compact.assembler import ZERO, Assembler
from trident.hw.compact.firmware.data import LOSS, RECORD, Record, Ring, Task, half, ring, task_off, task_on
from trident.hw.compact.firmware.registers import COUNT, JOBP, MORE, QUEUE, R1, R2, R3, R4, R5, TEMP
from trident.hw.compact.instructions import Flag, Func, Read, Write
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import Opcode
from trident.hw.isa.packets import Rows

LEAVING = LOSS + 1  # what the task does after all rows


def assemble(a: Assembler, cfg: CoreConfig, mesh: MeshConfig):
    a.variables("errors_doing", "errors_groups", "errors_pass", "errors_left", "errors_now",
                "errors_group", "errors_step", "errors_address", "errors_positions", "loss_word",
                "loss_number", "loss_classes", "loss_label")  # fmt: skip
    a.label("begin_errors")
    a.call("gradient")
    a.ld(R1, QUEUE, Record.KIND)
    a.sta(R1, "errors_doing")
    a.ld(R3, JOBP, half("groups"))
    a.sta(R3, "errors_groups")
    task_on(a, Task.ERRORS)
    a.cmpi(R1, LOSS)
    a.bt(Flag.Z, "begin_loss")
    _begin_receive(a, cfg)
    _begin_loss(a)

    a.label("task_errors")
    a.lda(R1, "errors_doing")
    a.cmpi(R1, LOSS)
    a.bt(Flag.Z, "loss")
    a.bf(Flag.C, "receive")
    a.bt(Flag.GRAD_BUSY, "errors_end")
    a.li(R5, "rings", RECORD * Rows.ERRORS)
    a.ld(R1, R5, Ring.OWED)
    a.cmpi(R1, 0)
    a.bf(Flag.Z, "errors_end")
    task_off(a, Task.ERRORS)
    a.li(R1, Opcode.RECEIVE)
    a.go("finish")
    a.label("errors_end")
    a.ret()
    _receive(a, cfg)
    _loss(a, cfg)


def _begin_receive(a: Assembler, cfg: CoreConfig):
    a.sta(R3, "errors_left")
    a.ld(R1, JOBP, half("pass_groups"))
    a.andi(R1, 0xFF)
    a.sta(R1, "errors_pass")
    a.alu(Func.CMP, R3, R1)
    a.bt(Flag.C, "begin_receive_pass")
    a.mov(R1, R3)
    a.label("begin_receive_pass")
    a.sta(R1, "errors_now")
    a.sta(R1, "errors_group")
    a.sta(ZERO, "errors_address")
    a.li(R1, cfg.timesteps - 1)
    a.sta(R1, "errors_step")
    a.write(Write.GRAD_ADDRESS)
    a.write(Write.GRAD_TAG, R1)
    a.ld(R1, JOBP, half("count"))
    a.sta(R1, "errors_positions")
    a.ld(R1, JOBP, half("source"))
    a.andi(R1, 0xFF)
    a.li(R5, "rings", RECORD * Rows.ERRORS)
    a.st(R1, R5, Ring.SOURCE)
    a.ret()


# What is kept in registers while rows go to the neuron-gradient unit
FEED = {QUEUE: "errors_address", JOBP: "errors_group", MORE: "errors_step", COUNT: "errors_now"}


def _receive(a: Assembler, cfg: CoreConfig):
    """Rows of the ring, packet by packet."""
    a.label("receive")
    ring(a, Rows.ERRORS)
    a.call("ring_packet")
    a.bt(Flag.Z, "errors_end")
    a.call("feed_load")
    a.label("receive_row")
    a.ld(R1, R3)
    a.addi(R3, 1)
    a.call("feed")
    a.addi(R4, -1)
    a.bf(Flag.Z, "receive_row")
    a.call("ring_taken")
    a.label("feed_store")
    for register, name in FEED.items():
        a.sta(register, name)
    a.ret()

    a.label("feed_load")
    for register, name in FEED.items():
        a.lda(register, name)
    a.ret()

    # R1 is the next row. Every row gets the place that it had when it left the engine of the core that sent it: for
    # every position, every pass over the groups, all timesteps from the last one on
    a.label("feed")
    a.bf(Flag.GRAD_READY, "feed")
    a.write(Write.GRAD_ROW, R1)
    a.addi(JOBP, -1)
    a.bt(Flag.Z, "feed_step")
    a.ret()
    a.label("feed_step")
    a.mov(JOBP, COUNT)
    a.addi(MORE, -1)
    a.bt(Flag.C, "feed_place")
    a.li(MORE, cfg.timesteps - 1)  # behind the pass
    a.add(QUEUE, COUNT)
    a.lda(TEMP, "errors_left")
    a.sub(TEMP, COUNT)
    a.bf(Flag.Z, "feed_next")
    a.lda(TEMP, "errors_positions")
    a.addi(TEMP, -1)
    a.sta(TEMP, "errors_positions")
    a.bf(Flag.Z, "feed_position")
    a.li(TEMP, LEAVING)
    a.sta(TEMP, "errors_doing")
    a.label("feed_position")
    a.lda(TEMP, "errors_groups")
    a.label("feed_next")
    a.sta(TEMP, "errors_left")
    a.lda(COUNT, "errors_pass")
    a.alu(Func.CMP, TEMP, COUNT)
    a.bt(Flag.C, "feed_full")
    a.mov(COUNT, TEMP)
    a.label("feed_full")
    a.mov(JOBP, COUNT)
    a.label("feed_place")
    a.write(Write.GRAD_ADDRESS, QUEUE)
    a.write(Write.GRAD_TAG, MORE)
    a.ret()


def _begin_loss(a: Assembler):
    a.label("begin_loss")
    a.sta(ZERO, "errors_group")
    a.li(R1, half("aux"))
    a.ld(R2, QUEUE, Record.SPIKES)
    a.call("pointer")
    a.sta(R1, "loss_word")
    a.ld(R1, JOBP, half("src"))
    a.sta(R1, "loss_number")
    a.ld(R1, JOBP, half("count"))
    a.sta(R1, "loss_classes")
    a.call("label")
    a.sta(R1, "loss_label")
    a.ret()

    a.label("label")  # R1: of the sample of the queue at hand
    a.ld(R1, QUEUE, Record.SPIKES)
    a.li(R2, "labels")
    a.add(R1, R2)
    a.ld(R1, R1)
    a.ret()


def _loss(a: Assembler, cfg: CoreConfig):
    """The error of one neuron: of how often it has fired, and whether it is the label's."""
    a.label("loss")
    a.lda(R1, "loss_word")
    a.write(Write.ADDRESS, R1)
    a.addi(R1, 1)
    a.sta(R1, "loss_word")
    a.read(R1, Read.WORDS)
    a.li(R2, 0)
    for step in range(cfg.timesteps):
        a.mov(R3, R1)
        a.andi(R3, 1 << step)
        a.bt(Flag.Z, f"loss_step{step}")
        a.addi(R2, 1)
        a.label(f"loss_step{step}")
    a.lda(R3, "loss_number")
    a.lda(R1, "loss_label")
    a.alu(Func.CMP, R3, R1)
    a.bf(Flag.Z, "loss_other")
    a.addi(R2, 1 << cfg.timesteps.bit_length())
    a.label("loss_other")
    a.li(R1, "loss_table")
    a.add(R2, R1)
    a.ld(R1, R2)
    a.lda(R2, "loss_classes")
    a.alu(Func.CMP, R3, R2)
    a.bf(Flag.C, "loss_class")
    a.li(R1, 0)
    a.label("loss_class")
    a.addi(R3, 1)
    a.sta(R3, "loss_number")
    a.lda(R4, "errors_group")
    a.li(R3, cfg.timesteps - 1)
    a.label("loss_wait")
    a.bf(Flag.GRAD_READY, "loss_wait")
    a.write(Write.GRAD_ADDRESS, R4)
    a.write(Write.GRAD_TAG, R3)
    a.write(Write.GRAD_ROW, R1)
    a.addi(R3, -1)
    a.bt(Flag.C, "loss_wait")
    a.addi(R4, 1)
    a.sta(R4, "errors_group")
    a.lda(R1, "errors_groups")
    a.alu(Func.CMP, R4, R1)
    a.bf(Flag.Z, "loss_end")
    a.li(R1, LEAVING)
    a.sta(R1, "errors_doing")
    a.label("loss_end")
    a.ret()
