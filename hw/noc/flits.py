"""What travels between routers: flits, and the link with its credits."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import MeshConfig


def flit_layout(mesh: MeshConfig) -> data.StructLayout:
    """One flit: its payload and whether it is its packet's last. A packet of one flit is first and last in one."""
    return data.StructLayout({"data": mesh.flit, "last": 1})


def phit_layout(mesh: MeshConfig) -> data.StructLayout:
    """What a link carries in a cycle: all of a flit or a part, the lowest first; ``last`` with its packet's last."""
    return data.StructLayout({"data": mesh.link_bits, "last": 1})


def link_signature(mesh: MeshConfig) -> wiring.Signature:
    """A link from its sender's view.

    Members
    -------
    valid : Out(1); flit : Out, see :func:`phit_layout`; channel : Out, the virtual channel that the flit travels in
    credit : In(channels), a pulse per virtual channel: the receiver has freed the place of one flit

    The sender counts the free places of each channel, from ``link_places`` on. It begins a packet only when all of it
    finds a place, or, for a packet of one flit, when one is free; so a packet that has begun never waits for room.
    Packets of a link do not interleave, whatever their channels. All signals come from registers.
    """
    return wiring.Signature({
        "valid": Out(1),
        "flit": Out(phit_layout(mesh)),
        "channel": Out(max((mesh.channels - 1).bit_length(), 1)),
        "credit": In(mesh.channels),
    })  # fmt: skip
