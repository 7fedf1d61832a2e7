"""Words that are read again at every timestep come from their memory once."""

from amaranth.hdl import Module, Mux
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Reread(wiring.Component):
    """Keep the word that a memory gives for each of ``items`` at its first timestep, for the others. The words are in
    distributed RAM, which takes a small part of the energy of the memory.

    Members
    -------
    item : In, whose word is wanted; first : In(1), ``read`` is its word; en : In(1), keep it
    read : In, what the memory gives; word : Out, the word, in the same cycle
    """

    def __init__(self, bits: int, items: int):
        self.bits, self.items = bits, items
        super().__init__({
            "item": In(range(max(items, 2))), "first": In(1), "en": In(1), "read": In(bits), "word": Out(bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.bits, depth=self.items, init=[])
        port, write = words.read_port(domain="comb"), words.write_port()
        m.d.comb += [
            port.addr.eq(self.item),
            self.word.eq(Mux(self.first, self.read, port.data)),
            write.addr.eq(self.item),
            write.data.eq(self.read),
            write.en.eq(self.en & self.first),
        ]
        return m
