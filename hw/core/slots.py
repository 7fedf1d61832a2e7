"""Slots: which part of each memory a sample has, and which the next sample of a queue."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import SAMPLE_BITS, SERIAL_BITS, SLOT_BITS


def slots_layout(cfg: CoreConfig) -> data.StructLayout:
    """The slots that a queue's sample has: of spikes, of errors, and of spikes of the next stage; and its number, where
    units need that."""
    number = {"number": SAMPLE_BITS} if cfg.dropout else {}
    return data.StructLayout({
        "spikes": cfg.slot_bits, "errors": cfg.error_slot_bits, "remote": cfg.slot_bits, **number,
    })  # fmt: skip


def slots_setup(cfg: CoreConfig) -> data.StructLayout:
    """How many slots of each kind a program uses, as the last word of its setup says."""
    serial = {"serial_slots": SERIAL_BITS} if cfg.batch_norm else {}
    return data.StructLayout({"slots": SLOT_BITS, "error_slots": 2, "remote_slots": SLOT_BITS, **serial})


def next_slots(m: Module, cfg: CoreConfig, setup, held):
    """The slots of the sample behind the one that has the slots ``held``, and how many slots of spikes there are, by
    what the ``setup`` of the program says."""
    counts = {"spikes": setup.slots, "errors": setup.error_slots, "remote": setup.remote_slots}
    for name in ("spikes", "errors") if cfg.batch_norm else ():
        counts[name] = Mux(setup.serial_slots.any(), setup.serial_slots, counts[name])
    following = Signal(slots_layout(cfg))
    for name, count in counts.items():
        m.d.comb += following[name].eq(Mux(held[name] + 1 == count, 0, held[name] + 1))
    if cfg.dropout:
        m.d.comb += following.number.eq(held.number + 1)
    return following, counts["spikes"]
