"""The memories of a core with those of units that not every core has."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Signal
from amaranth.lib.memory import Memory

from trident.hw.core.memories import Memories
from trident.hw.isa.spaces import Space
from trident.hw.lib.memory import SharedMemory


class UnitMemories(Memories):
    """As :class:`Memories`, and how the units for sums, norms, windows and leaks are connected to them."""

    def connect_sums(self, forward, storing, fire, norm=None, window=None):
        """Sums before and behind a norm or windows. Those of the forward engine are kept while it is ``storing``; of
        the others one runs at a time."""
        m, cfg, sums = self.m, self.cfg, self.sums
        tag = forward.o.payload.tag
        m.d.comb += [
            sums.read_address[0].eq(fire.sum_address),
            sums.read_en[0].eq(fire.sum_en),
            fire.sums.eq(sums.read_data[0]),
            sums.write_address.eq(Cat(tag.step[: cfg.step_bits], (forward.job.dst + tag.address)[: cfg.address_bits])),
            sums.write_en.eq(storing & forward.o.valid),
            sums.write_data.eq(forward.o.payload.row),
        ]
        for unit in filter(None, (norm, window)):
            m.d.comb += unit.sums.eq(sums.read_data[0])
            with m.If(unit.busy):
                m.d.comb += [
                    sums.read_address[0].eq(unit.sum_address),
                    sums.read_en[0].eq(unit.sum_en),
                    sums.write_address.eq(unit.sum_write_address),
                    sums.write_en.eq(unit.sum_write),
                    sums.write_data.eq(unit.sum_data),
                ]

    def keep_errors(self, keeping, backward, dst):
        """While it is ``keeping``, errors of the backward engine are written as they are, from the word ``dst`` on."""
        m, tag, cols = self.m, backward.o.payload.tag, self.cfg.backward_cols
        error_bits = (cols - 1).bit_length()
        row = Cat(tag.step[: self.cfg.step_bits], (dst + tag.address)[: self.cfg.address_bits])
        with m.If(keeping):
            m.d.comb += [
                self.errors.write_address.eq(row >> error_bits),
                self.errors.write_en.eq(backward.o.valid << row[:error_bits]),
                self.errors.write_data.eq(backward.o.payload.row[: self.cfg.row_bits].replicate(cols)),
            ]

    def connect_spread(self, spread, *units):
        """Winners, of which ``units`` one at a time writes, and errors that are spread while the backward engine is
        idle and nothing else makes errors."""
        m, cfg, errors = self.m, self.cfg, self.errors
        m.submodules.winners = self.winners = winners = SharedMemory(cfg.winner_bits, cfg.winner_words, 1)
        error_bits = (cfg.backward_cols - 1).bit_length()
        chosen = Signal(max(error_bits, 1))
        with m.If(spread.error_en):
            m.d.sync += chosen.eq(spread.error_step[:error_bits])
        m.d.comb += [
            winners.write_en.eq(reduce(or_, (unit.winner_en for unit in units))),
            winners.read_address[0].eq(spread.winner_address),
            winners.read_en[0].eq(spread.winner_en),
            spread.winners.eq(winners.read_data[0]),
            spread.errors.eq(Array(
                errors.read_data[1][n * cfg.row_bits : (n + 1) * cfg.row_bits] for n in range(cfg.backward_cols)
            )[chosen]),
        ]  # fmt: skip
        for unit in units:
            with m.If(unit.busy):
                m.d.comb += [winners.write_address.eq(unit.winner_address), winners.write_data.eq(unit.winner)]
        with m.If(spread.busy):
            m.d.comb += [
                errors.read_address[1].eq(Cat(spread.error_step[error_bits : cfg.step_bits], spread.error_word)),
                errors.read_en[1].eq(spread.error_en.replicate(cfg.lanes)),
            ]
        with m.If(spread.busy & ~spread.job.final):
            self._write_errors(spread, spread.error_address, spread.error_write, spread.error_data)

    def connect_norm(self, norm, weight_grad):
        """What the norm unit reads and writes while engines and update are idle: weights and what is beside them,
        errors and gradients."""
        m, cfg = self.m, self.cfg
        raw, gradients = self.spaces[Space.RAW], self.gradients
        grad_bits = (cfg.weight_grad_cols - 1).bit_length()
        m.d.comb += [
            norm.weights.eq(self.weights.row_data), norm.raw.eq(raw.read_data[0]), norm.errors.eq(weight_grad.row_data),
        ]  # fmt: skip
        with m.If(norm.busy):
            m.d.comb += [
                self.weights.update_address.eq(norm.row_address),
                self.weights.update_read.eq(norm.row_read),
                raw.read_address[0].eq(norm.row_address),
                raw.read_en[0].eq(norm.row_read),
                raw.write_address.eq(norm.row_address),
                raw.write_en.eq(norm.raw_write),
                raw.write_data.eq(norm.raw_data),
                gradients.write_address.eq(norm.gradient_address >> grad_bits),
                gradients.write_en.eq(norm.gradient_write << norm.gradient_address[:grad_bits]),
                gradients.write_data.eq(norm.gradients.replicate(cfg.weight_grad_cols)),
            ]
            self._write_errors(norm, norm.error_address, norm.error_write, norm.error_data)

    def connect_adds(self, add, add_errors):
        """Sums and errors that are added while nothing else in their queues reads or writes such."""
        m, cfg, sums, errors = self.m, self.cfg, self.sums, self.errors
        error_bits = (cfg.backward_cols - 1).bit_length()
        chosen = Signal(max(error_bits, 1))
        with m.If(add_errors.row_en):
            m.d.sync += chosen.eq(add_errors.row_step[:error_bits])
        m.d.comb += [
            add.rows.eq(sums.read_data[0]),
            add_errors.rows.eq(Array(
                errors.read_data[1][n * cfg.row_bits : (n + 1) * cfg.row_bits] for n in range(cfg.backward_cols)
            )[chosen]),
        ]  # fmt: skip
        with m.If(add.busy):
            m.d.comb += [
                sums.read_address[0].eq(Cat(add.row_step[: cfg.step_bits], add.row_word)),
                sums.read_en[0].eq(add.row_en),
                sums.write_address.eq(add.row_address),
                sums.write_en.eq(add.row_write),
                sums.write_data.eq(add.row_data),
            ]
        with m.If(add_errors.busy):
            m.d.comb += [
                errors.read_address[1].eq(Cat(add_errors.row_step[error_bits : cfg.step_bits], add_errors.row_word)),
                errors.read_en[1].eq(add_errors.row_en.replicate(cfg.lanes)),
            ]
            self._write_errors(add_errors, add_errors.row_address, add_errors.row_write, add_errors.row_data)

    def connect_leaks(self, leak, tie, readers):
        """What neurons read of leaks, a row per group, in a memory of their own; gradients that are tied while engines
        and update are idle."""
        m, cfg, gradients = self.m, self.cfg, self.gradients
        m.submodules.leaks = leaks = Memory(shape=cfg.row_bits, depth=cfg.leak_groups, init=[])
        write = leaks.write_port()
        m.d.comb += [
            write.addr.eq(leak.leak_address), write.en.eq(leak.leak_write), write.data.eq(leak.leak),
            leak.weights.eq(self.weights.row_data),
        ]  # fmt: skip
        for unit in readers:
            port = leaks.read_port(domain="comb")
            m.d.comb += [port.addr.eq(unit.leak_address), unit.leaks.eq(port.data)]
        with m.If(leak.busy):
            m.d.comb += [self.weights.update_address.eq(leak.row_address), self.weights.update_read.eq(leak.row_read)]
        grad_bits, width = (cfg.weight_grad_cols - 1).bit_length(), gradients.width
        chosen = tie.gradient_address[:grad_bits]
        m.d.comb += tie.gradients.eq(
            Array(gradients.read_data[0][n * width : (n + 1) * width] for n in range(cfg.weight_grad_cols))[chosen]
        )
        with m.If(tie.busy):
            m.d.comb += [
                gradients.read_address[0].eq(tie.gradient_address >> grad_bits),
                gradients.read_en[0].eq(tie.gradient_read),
                gradients.write_address.eq(tie.gradient_address >> grad_bits),
                gradients.write_en.eq(tie.gradient_write << chosen),
                gradients.write_data.eq(tie.gradient_data.replicate(cfg.weight_grad_cols)),
            ]

    def _write_errors(self, unit, address, write, row):
        """Errors, and their masks, that a unit writes instead of neuron_grad."""
        cols = self.cfg.backward_cols
        error_bits = (cols - 1).bit_length()
        self.m.d.comb += [
            self.errors.write_address.eq(address >> error_bits),
            self.errors.write_en.eq(write << address[:error_bits]),
            self.errors.write_data.eq(row.replicate(cols)),
        ]
        self.m.d.sync += [
            self.error_masks.write_address.eq(unit.mask_address),
            self.error_masks.write_en.eq(unit.mask_en),
            self.error_masks.write_data.eq(unit.mask),
        ]
