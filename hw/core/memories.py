"""The memories of a core and who reads and writes them."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, Signal

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.registers import own_memories
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces, space_bits
from trident.hw.lib.memory import SharedMemory, WeightMemory
from trident.hw.lib.parts import to_lanes, to_parts


class Memories:
    """A core's memories: made with the core's module, then connected to its units.

    spaces: the memories by the space that packets name them by.
    """

    def __init__(self, m: Module, cfg: CoreConfig):
        self.m, self.cfg = m, cfg
        rows, width = cfg.weight_rows, cfg.row_bits
        grad_cols, error_cols = cfg.weight_grad_cols, cfg.backward_cols
        m.submodules.weights = self.weights = WeightMemory(cfg)
        m.submodules.gradients = self.gradients = SharedMemory(
            cfg.gradient_row_bits, rows // grad_cols, 1, granules=grad_cols
        )
        m.submodules.momentum = self.momentum = SharedMemory(width, rows, 1)
        m.submodules.spikes = self.spikes = SharedMemory(cfg.spike_bits, cfg.spike_words, 3)
        m.submodules.masks = self.masks = SharedMemory(cfg.spike_bits, cfg.spike_words, 1)
        m.submodules.errors = self.errors = SharedMemory(
            width, cfg.error_rows // error_cols, 2, granules=error_cols, banks=cfg.lanes
        )
        m.submodules.error_masks = self.error_masks = SharedMemory(cfg.spike_bits, cfg.error_words, 1)
        self.spaces = {
            Space.WEIGHTS: self.weights,
            Space.GRADIENTS: self.gradients,
            Space.MOMENTUM: self.momentum,
            Space.SPIKES: self.spikes,
            Space.MASKS: self.masks,
            Space.ERRORS: self.errors,
            Space.ERROR_MASKS: self.error_masks,
        }
        if cfg.keeps_potentials:
            m.submodules.potentials = potentials = SharedMemory(
                width, cfg.spike_words << cfg.step_bits, 2 if cfg.loss == "steps" else 1
            )
            self.spaces[Space.POTENTIALS] = potentials
        if cfg.tables:
            bits = space_bits(cfg)[Space.FUNCTIONS]
            m.submodules.functions = functions = SharedMemory(bits, cfg.function_lines, cfg.lanes)
            self.spaces[Space.FUNCTIONS] = functions
        if "r" in cfg.update_program.inputs:
            m.submodules.squares = squares = SharedMemory(width, rows, 1)
            self.spaces[Space.SQUARES] = squares
        if cfg.sum_words:
            m.submodules.sums = self.sums = SharedMemory(width, cfg.sum_words << cfg.step_bits, 1)
        if raw_spaces(cfg):
            m.submodules.raw = self.spaces[Space.RAW] = SharedMemory(width, rows, 1)

    def connect_host(self, host):
        """Packets that read and write memories; ``host`` is the :class:`Ejector`."""
        for space, memory in self.spaces.items():
            written, read = host.wdata, memory.host_rdata
            if space == Space.GRADIENTS and self.cfg.exact:  # which travel in parts
                bits = self.cfg.gradient_bits
                written, read = to_lanes(self.cfg, written, bits), to_parts(self.cfg, read, bits)
            self.m.d.comb += [
                memory.host_select.eq(host.select[space]),
                memory.host_write.eq(host.select[space] & host.write),
                memory.host_address.eq(host.address),
                memory.host_wdata.eq(written),
                host.rdata[space].eq(read),
            ]

    def connect_weights(self, forward, backward, update):
        """Rows for forward, columns for backward; both ports are the update's while those are idle."""
        m, weights = self.m, self.weights
        m.d.comb += [
            weights.row_tile.eq(forward.row_tile),
            weights.row_number.eq(forward.row_number),
            weights.row_en.eq(forward.row_en),
            forward.row_data.eq(weights.row_data),
            weights.col_tile.eq(backward.row_tile),
            weights.col_number.eq(backward.row_number),
            weights.col_en.eq(backward.row_en),
            backward.row_data.eq(weights.col_data),
            weights.update_address.eq(update.row_address),
            weights.update_read.eq(update.reads("weights")),
            update.weights.old.eq(weights.row_data),
            weights.update_write_address.eq(update.row_write_address),
            weights.update_write.eq(update.weights.write),
            weights.update_data.eq(update.weights.new),
        ]

    def connect_gradients(self, weight_grad, update):
        """Gradients, what the optimiser keeps, and raw weights."""
        m, cfg, gradients = self.m, self.cfg, self.gradients
        grad_cols, width = cfg.weight_grad_cols, gradients.width
        grad_bits = (grad_cols - 1).bit_length()
        beat_bits = cfg.lane_bits - grad_bits
        sub = Signal(max(grad_bits, 1))
        with m.If(update.gradient_read):
            m.d.sync += sub.eq(update.gradient_address[:grad_bits])
        m.d.comb += [
            gradients.read_address[0].eq(
                Mux(
                    update.busy,
                    update.gradient_address >> grad_bits,
                    Cat(weight_grad.read_beat[:beat_bits], weight_grad.read_tile),
                )
            ),
            gradients.read_en[0].eq(weight_grad.read_en | update.gradient_read),
            weight_grad.read_data.eq(gradients.read_data[0]),
            update.gradients.eq(
                Array(gradients.read_data[0][n * width : (n + 1) * width] for n in range(grad_cols))[sub]
            ),
        ]
        for space in (*kept_spaces(cfg), *([Space.RAW] if cfg.standardise else [])):
            memory, name = self.spaces[space], space.name.lower()
            port = getattr(update, name)
            m.d.comb += [
                memory.read_address[0].eq(update.row_address),
                memory.read_en[0].eq(update.reads(name)),
                port.old.eq(memory.read_data[0]),
                memory.write_address.eq(update.row_write_address),
                memory.write_en.eq(port.write),
                memory.write_data.eq(port.new),
            ]
        with m.If(update.gradient_clear):
            m.d.comb += [
                gradients.write_address.eq(update.gradient_clear_address >> grad_bits),
                gradients.write_en.eq(1 << update.gradient_clear_address[:grad_bits]),
            ]
        with m.Else():
            m.d.comb += [
                gradients.write_address.eq(Cat(weight_grad.write_beat[:beat_bits], weight_grad.write_tile)),
                gradients.write_en.eq(weight_grad.write_en),
                gradients.write_data.eq(weight_grad.write_data),
            ]

    def connect_spikes(self, engines, neuron, neuron_grad, loss, send, ejector, pool=None, drop=None, join=None):
        """Spikes and masks: a reader per engine, and one for neuron_grad, loss, send, pool, drop and join; neuron,
        pool, drop and join, of which one runs at a time, write before other cores' spikes."""
        rewriting = [(pool, pool.spike_address)] if pool else []  # units, and which masks they read
        rewriting += [(drop, drop.stored_address)] if drop else []
        rewriting += [(join, None)] if join else []
        m, spikes, masks = self.m, self.spikes, self.masks
        for n, engine in enumerate(engines):
            m.d.comb += [
                spikes.read_address[n].eq(engine.word_address),
                spikes.read_en[n].eq(engine.word_en),
                engine.word_data.eq(spikes.read_data[n]),
            ]
        last = len(engines)
        m.d.comb += [
            neuron_grad.spikes.eq(spikes.read_data[last]),
            loss.spikes.eq(spikes.read_data[last]),
            send.spikes.eq(spikes.read_data[last]),
            masks.read_address[0].eq(neuron_grad.spike_address),
            masks.read_en[0].eq(neuron_grad.spike_en),
            neuron_grad.masks.eq(masks.read_data[0]),
            masks.write_address.eq(neuron.mask_address),
            masks.write_en.eq(neuron.mask_en),
            masks.write_data.eq(neuron.masks),
        ]
        with m.If(neuron_grad.spike_en | neuron_grad.spike_hold):  # it reads, or must not lose what it has read
            m.d.comb += [
                spikes.read_address[last].eq(neuron_grad.spike_address),
                spikes.read_en[last].eq(neuron_grad.spike_en),
            ]
        with m.Elif(loss.spike_request):
            m.d.comb += [
                loss.spike_grant.eq(1),
                spikes.read_address[last].eq(loss.spike_address),
                spikes.read_en[last].eq(1),
            ]
        with m.Elif(send.spike_request):
            m.d.comb += [
                send.spike_grant.eq(1),
                spikes.read_address[last].eq(send.spike_address),
                spikes.read_en[last].eq(1),
            ]
        for unit, stored in rewriting:
            with m.Elif(unit.spike_request):
                m.d.comb += [
                    unit.spike_grant.eq(1),
                    spikes.read_address[last].eq(unit.spike_address),
                    spikes.read_en[last].eq(1),
                ]
                if stored is not None:
                    m.d.comb += [masks.read_address[0].eq(stored), masks.read_en[0].eq(1)]
        writing = reduce(or_, [unit.word_en for unit, _ in rewriting] or [0])
        m.d.comb += ejector.word_ready.eq(~neuron.word_en & ~writing)
        with m.If(neuron.word_en):
            m.d.comb += [
                spikes.write_address.eq(neuron.word_address),
                spikes.write_en.eq(1),
                spikes.write_data.eq(neuron.spikes),
            ]
        for unit, _ in rewriting:
            with m.Elif(unit.word_en):
                m.d.comb += [
                    spikes.write_address.eq(unit.word_address),
                    spikes.write_en.eq(1),
                    spikes.write_data.eq(unit.word),
                ]
        with m.Else():
            m.d.comb += [
                spikes.write_address.eq(ejector.word_address),
                spikes.write_en.eq(ejector.word_en),
                spikes.write_data.eq(ejector.word),
            ]

        for unit, stored in rewriting:
            m.d.comb += unit.spikes.eq(spikes.read_data[last])
            if stored is None:
                continue
            m.d.comb += unit.masks.eq(masks.read_data[0])
            with m.If(unit.mask_en):
                m.d.comb += [
                    masks.write_address.eq(unit.mask_address),
                    masks.write_en.eq(1),
                    masks.write_data.eq(unit.mask),
                ]
        if Space.POTENTIALS in self.spaces:
            potentials = self.spaces[Space.POTENTIALS]
            m.d.comb += [
                potentials.write_address.eq(neuron.row_address),
                potentials.write_en.eq(neuron.row_en),
                potentials.write_data.eq(neuron.potentials),
                potentials.read_address[0].eq(neuron_grad.potential_address),
                potentials.read_en[0].eq(neuron_grad.potential_en),
                neuron_grad.potentials.eq(potentials.read_data[0]),
            ]
            if self.cfg.loss == "steps":
                m.d.comb += [
                    potentials.read_address[1].eq(loss.potential_address),
                    potentials.read_en[1].eq(loss.potential_en),
                    loss.potentials.eq(potentials.read_data[1]),
                ]

    def connect_errors(self, neuron_grad):
        """What the neuron-gradient unit writes: errors and their masks."""
        errors, error_masks = self.errors, self.error_masks
        cols = self.cfg.backward_cols
        error_bits = (cols - 1).bit_length()
        # A mask is much logic, and its memory far: it is written a cycle later, long before a job needs it
        self.m.d.sync += [
            error_masks.write_address.eq(neuron_grad.mask_address),
            error_masks.write_en.eq(neuron_grad.mask_en),
            error_masks.write_data.eq(neuron_grad.mask),
        ]
        self.m.d.comb += [
            errors.write_address.eq(neuron_grad.error_address >> error_bits),
            errors.write_en.eq(neuron_grad.error_en << neuron_grad.error_address[:error_bits]),
            errors.write_data.eq(neuron_grad.errors.replicate(cols)),
        ]

    def connect_functions(self, *units):
        """The function table, a reader per lane. The update and norms read when nothing else does, the loss before it
        gives errors to neuron_grad."""
        if Space.FUNCTIONS not in self.spaces:
            return
        functions, m = self.spaces[Space.FUNCTIONS], self.m
        for unit in units:
            for lane in range(self.cfg.lanes if hasattr(unit, "tables") else 0):
                m.d.comb += unit.tables[lane].eq(functions.read_data[lane])
                with m.If(unit.table_en):
                    m.d.comb += [
                        functions.read_address[lane].eq(unit.table_address[lane]), functions.read_en[lane].eq(1),
                    ]  # fmt: skip

    def read_errors(self, backward, weight_grad, norm=None):
        """Reader 0 gives rows to weight_grad, or to the norm unit while that is idle, reader 1 operands to backward."""
        m, cfg, errors, error_masks = self.m, self.cfg, self.errors, self.error_masks
        error_cols, width = cfg.backward_cols, cfg.row_bits
        error_bits = (error_cols - 1).bit_length()
        chunk_bits = cfg.step_bits - error_bits
        chosen = Signal(max(error_bits, 1))
        word, number, en = weight_grad.row_tile, weight_grad.row_number, weight_grad.row_en
        if norm:
            word, number = Mux(norm.busy, norm.error_word, word), Mux(norm.busy, norm.error_step, number)
            en = en | norm.error_en
        with m.If(en):
            m.d.sync += chosen.eq(number[:error_bits])
        m.d.comb += [
            errors.read_address[0].eq(Cat(number[error_bits : cfg.step_bits], word)),
            errors.read_en[0].eq(en.replicate(cfg.lanes)),
            weight_grad.row_data.eq(
                Array(errors.read_data[0][n * width : (n + 1) * width] for n in range(error_cols))[chosen]
            ),
            errors.read_address[1].eq(Cat(backward.error_beat[:chunk_bits], backward.error_word)),
            errors.read_en[1].eq(backward.error_en),
            backward.error_data.eq(errors.read_data[1]),
            error_masks.read_address[0].eq(backward.word_address),
            error_masks.read_en[0].eq(backward.word_en),
            backward.word_data.eq(error_masks.read_data[0]),
        ]

    def counted(self) -> dict:
        """Accesses of this cycle, by the name of their counter."""
        spikes, masks, errors, weights = self.spikes, self.masks, self.errors, self.weights
        own = {name: getattr(self, name, None) or self.spaces[Space[name.upper()]] for name in own_memories(self.cfg)}
        return {
            **{f"{name}.reads": sum(memory.read_en) for name, memory in own.items()},
            **{f"{name}.writes": memory.write_en for name, memory in own.items()},
            "spikes.reads": sum(spikes.read_en),
            "spikes.writes": spikes.write_en,
            "masks.reads": masks.read_en[0],
            "masks.writes": masks.write_en,
            "errors.reads": sum(en.any() for en in errors.read_en),
            "errors.writes": errors.write_en.any(),
            "error_masks.reads": self.error_masks.read_en[0],
            "error_masks.writes": self.error_masks.write_en,
            "gradients.reads": self.gradients.read_en[0],
            "gradients.writes": self.gradients.write_en.any(),
            "momentum.reads": self.momentum.read_en[0],
            "momentum.writes": self.momentum.write_en,
            "weights.reads": weights.row_en + weights.col_en + weights.update_read,
            "weights.writes": weights.update_write,
        }
