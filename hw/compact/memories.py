"""The memories of a small core, each with one port to read and one to write."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory

from trident.hw.compact.engine import word_bits
from trident.hw.compact.instructions import Read, Write
from trident.hw.isa.config import CoreConfig

MOVING = (Write.WEIGHTS, Write.MOMENTUM, Write.GRADIENTS, Write.ERRORS, Write.WORDS, Write.POTENTIALS)


def connect_memories(m: Module, cfg: CoreConfig, processor, write: dict, engine, neuron, grad, data: dict) -> Signal:
    """Make the memories; the controller's access comes before that of the units, which are idle then.

    write: per port, OUT writes it. data: per port what IN finds; filled for the memories. All are at the address of the
    port ADDRESS, which moves on with each access. Returns whether an access must wait.
    """
    value, address = processor.value, Signal(max(word_bits(cfg), cfg.address_bits + cfg.step_bits))
    read = {port: processor.read & (processor.port == port) for port in Read}

    def rows(port: str, depth: int, reader=(), writer=()):
        """A memory of rows and its unit: reader is (address, enable), writer those and data. Returns what is read."""
        m.submodules[port.lower()] = words = memory.Memory(shape=cfg.width, depth=depth, init=[])
        out, into = words.read_port(), words.write_port()
        mine, written = read[Read[port]], write[Write[port]]
        m.d.comb += [out.addr.eq(address), into.addr.eq(address), into.data.eq(value)]
        m.d.comb += [out.en.eq(mine), into.en.eq(written)]
        if reader:
            with m.If(~mine):
                m.d.comb += [out.addr.eq(reader[0]), out.en.eq(reader[1])]
        if writer:
            with m.If(~written):
                m.d.comb += [into.addr.eq(writer[0]), into.en.eq(writer[1]), into.data.eq(writer[2])]
        data[Read[port]] = out.data
        return out.data

    weights = rows("WEIGHTS", cfg.weight_rows, (engine.weight_address, engine.weight_en))
    rows("MOMENTUM", cfg.weight_rows)
    gradients = rows("GRADIENTS", cfg.weight_rows, (engine.read_tile, engine.read_en),
                     (engine.write_tile, engine.write_en, engine.write_data))  # fmt: skip
    errors = rows("ERRORS", cfg.error_rows, (engine.error_address, engine.error_en),
                  (grad.error_address, grad.error_en, grad.errors))  # fmt: skip
    m.d.comb += [engine.weights.eq(weights), engine.read_data.eq(gradients), engine.errors.eq(errors)]
    if cfg.keeps_potentials:
        m.d.comb += grad.potentials.eq(rows(
            "POTENTIALS", cfg.spike_words << cfg.step_bits, (grad.potential_address, grad.potential_en),
            (neuron.row_address, neuron.row_en, neuron.potentials),
        ))  # fmt: skip

    # Spikes and masks side by side, error masks behind them; neuron_grad reads first, then the controller, which is
    # served a cycle after it has asked, as an instruction comes too late to stop the engine
    m.submodules.words = words = memory.Memory(
        shape=2 * cfg.spike_bits, depth=cfg.spike_words + cfg.error_words, init=[]
    )
    out, into = words.read_port(), words.write_port()
    word_en, written, read_back, kept = read[Read.WORDS], write[Write.WORDS], Signal(), Signal(2 * cfg.spike_bits)
    served, waits = Signal(), Signal()
    m.d.comb += [
        out.addr.eq(Mux(grad.spike_en, grad.spike_address, Mux(served, address, engine.word_address))),
        out.en.eq(engine.word_en | served | grad.spike_en),
        engine.word_ready.eq(~served & ~grad.spike_en),
        waits.eq(word_en & (~served | grad.spike_en)),
        engine.word_data.eq(out.data),
        Cat(grad.spikes, grad.masks).eq(Mux(read_back, out.data, kept)),
    ]
    m.d.sync += [read_back.eq(grad.spike_en), served.eq(waits)]
    with m.If(read_back):
        m.d.sync += kept.eq(out.data)
    data[Read.WORDS] = out.data
    m.d.comb += [into.addr.eq(address), into.data.eq(value), into.en.eq(written)]
    # Neuron and neuron_grad have their results from one adder, so never in one cycle; neuron writes a cycle later
    mask_en, mask_address, mask = Signal(), Signal.like(grad.mask_address), Signal.like(grad.mask)
    m.d.sync += [mask_en.eq(grad.mask_en), mask_address.eq(grad.mask_address), mask.eq(grad.mask)]
    with m.If(neuron.word_en):
        m.d.comb += [into.addr.eq(neuron.word_address), into.data.eq(Cat(neuron.spikes, neuron.masks)), into.en.eq(1)]
    with m.Elif(mask_en):
        m.d.comb += [into.addr.eq(cfg.spike_words + mask_address), into.data.eq(mask), into.en.eq(1)]
    hold = Signal()  # the controller must wait
    m.d.comb += hold.eq(waits | written & (neuron.word_en | mask_en))

    reads = processor.take & (processor.port >= Read.WEIGHTS) & (processor.port <= Read.POTENTIALS)
    with m.If(write[Write.ADDRESS]):
        m.d.sync += address.eq(value)
    with m.Elif(Cat(reads, *(write[port] for port in MOVING)).any() & ~hold):
        m.d.sync += address.eq(address + 1)
    return hold
