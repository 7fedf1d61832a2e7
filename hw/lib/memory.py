"""The memories of a core, each with its readers, one writer, and the host behind them."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig


def host_ports(address_bits: int, data_bits: int) -> dict:
    """Access of the host to one memory while the engines are idle; ``host_rdata`` comes a cycle after the address."""
    return {
        "host_select": In(1),
        "host_write": In(1),
        "host_address": In(address_bits),
        "host_wdata": In(data_bits),
        "host_rdata": Out(data_bits),
    }


class SharedMemory(wiring.Component):
    """A memory of ``depth`` words of ``granules`` rows, with ``readers`` synchronous read ports and one write port.

    A reader's output holds while its enable is low. Reading a word in the cycle that writes it gives the old word. The
    host addresses single rows and borrows reader 0 or the writer. With ``banks``, each row is cut into so many memories
    with enables of their own, so that who needs a part of a row does not pay for the rest.

    Members
    -------
    read_address, read_en (one bit per bank), read_data : one of each per reader
    write_address, write_en (one bit per granule), write_data
    host_* : see :func:`host_ports`
    """

    def __init__(self, width: int, depth: int, readers: int, granules: int = 1, banks: int = 1):
        self.width, self.depth, self.readers, self.granules, self.banks = width, depth, readers, granules, banks
        self.granule_bits = (granules - 1).bit_length()
        address = max((depth - 1).bit_length(), 1)
        super().__init__({
            "read_address": In(address).array(readers),
            "read_en": In(banks).array(readers),
            "read_data": Out(width * granules).array(readers),
            "write_address": In(address),
            "write_en": In(granules),
            "write_data": In(width * granules),
            **host_ports(address + self.granule_bits, width),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        width, part = self.width, self.width // self.banks
        host_word = self.host_address[self.granule_bits :]
        host_granule = self.host_address[: self.granule_bits]
        parts = [[] for _ in range(self.readers)]  # what each reader gets from each bank
        written = Mux(self.host_write, self.host_wdata.replicate(self.granules), self.write_data)
        for bank in range(self.banks):
            words = memory.Memory(shape=part * self.granules, depth=self.depth, init=[])
            m.submodules[f"bank{bank}" if self.banks > 1 else "words"] = words
            for n in range(self.readers):
                port = words.read_port()
                host = self.host_select & ~self.host_write if n == 0 else 0
                m.d.comb += [
                    port.addr.eq(Mux(host, host_word, self.read_address[n])),
                    port.en.eq(host | self.read_en[n][bank]),
                ]
                parts[n].append(port.data)
            write = words.write_port(granularity=part) if self.granules > 1 else words.write_port()
            of_bank = (written[low : low + part] for low in range(bank * part, width * self.granules, width))
            m.d.comb += [
                write.addr.eq(Mux(self.host_write, host_word, self.write_address)),
                write.data.eq(Cat(of_bank)),
                write.en.eq(Mux(self.host_write, 1 << host_granule, self.write_en)),
            ]
        for n, data in enumerate(parts):
            rows = (bank[low : low + part] for low in range(0, part * self.granules, part) for bank in data)
            m.d.comb += self.read_data[n].eq(Cat(rows))
        chosen = Signal(max(self.granule_bits, 1))
        m.d.sync += chosen.eq(host_granule)
        rows = Array(self.read_data[0][n * width : (n + 1) * width] for n in range(self.granules))
        m.d.comb += self.host_rdata.eq(rows[chosen])
        return m


class WeightMemory(wiring.Component):
    """Weights that rows and columns are read from without conflict: ``lanes`` banks, skewed.

    A tile is a square of ``lanes`` inputs by ``lanes`` outputs. Row ``number`` holds one input's weights to all
    outputs; the weight to output k lies in bank ``(k + number) mod lanes``. So a column, one output's weights from all
    inputs, has each of its values in another bank too. Reads take one cycle; outputs hold while the enable is low.

    Members
    -------
    row_tile, row_number, row_en, row_data : read port for rows (forward)
    col_tile, col_number, col_en, col_data : read port for columns (backward); also the port that writes
    update_* : read and write port for rows while forward and backward are idle; address = tile * lanes + number
    host_* : see :func:`host_ports`
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        rows = max((cfg.weight_rows - 1).bit_length(), 1)
        super().__init__({
            "row_tile": In(cfg.address_bits),
            "row_number": In(cfg.vector_bits),
            "row_en": In(1),
            "row_data": Out(cfg.row_bits),
            "col_tile": In(cfg.address_bits),
            "col_number": In(cfg.vector_bits),
            "col_en": In(1),
            "col_data": Out(cfg.row_bits),
            "update_address": In(rows),
            "update_read": In(1),
            "update_write_address": In(rows),
            "update_write": In(1),
            "update_data": In(cfg.row_bits),
            **host_ports(rows, cfg.row_bits),
        })  # fmt: skip

    def _rotate(self, m, row, amount, name):
        """``result[k] = row[(k + amount) mod lanes]``, one multiplexer layer per bit of ``amount``."""
        for n in range(self.cfg.lane_bits):
            shift = self.cfg.width << n
            turned = Signal(self.cfg.row_bits, name=f"{name}{n}")
            m.d.comb += turned.eq(Mux(amount[n], Cat(row[shift:], row[:shift]), row))
            row = turned
        return row

    def elaborate(self, platform):
        m = Module()
        cfg, bits, width = self.cfg, self.cfg.lane_bits, self.cfg.width
        rows = len(self.update_address)
        borrowed = self.update_read | self.host_select
        row_address, col_tile, write_address = Signal(rows), Signal(rows), Signal(rows)
        writing = self.update_write | self.host_write
        write_data = Mux(self.host_write, self.host_wdata, self.update_data)
        m.d.comb += [
            row_address.eq(
                Mux(
                    borrowed,
                    Mux(self.host_select, self.host_address, self.update_address),
                    Cat(self.row_number[:bits], self.row_tile),
                )
            ),
            col_tile.eq(self.col_tile),
            write_address.eq(Mux(self.host_write, self.host_address, self.update_write_address)),
        ]
        row_number, col_number = Signal(max(bits, 1)), Signal(max(bits, 1))
        with m.If(self.row_en | borrowed):
            m.d.sync += row_number.eq(row_address[:bits])
        with m.If(self.col_en):
            m.d.sync += col_number.eq(self.col_number[:bits])
        # bank b stores lane (b - number) mod lanes
        minus = Signal(max(bits, 1))
        m.d.comb += minus.eq(-write_address[:bits])
        stored = self._rotate(m, write_data, minus, "stored")
        row_banks, col_banks = [], []
        for b in range(cfg.lanes):
            m.submodules[f"bank{b}"] = bank = memory.Memory(shape=width, depth=cfg.weight_rows, init=[])
            row, col, write = bank.read_port(), bank.read_port(), bank.write_port()
            m.d.comb += [
                row.addr.eq(row_address),
                row.en.eq(self.row_en | borrowed),
                col.addr.eq(Cat((b - self.col_number)[:bits], col_tile)),
                col.en.eq(self.col_en),
                write.addr.eq(write_address),
                write.en.eq(writing),
                write.data.eq(stored[b * width : (b + 1) * width]),
            ]
            row_banks.append(row.data)
            col_banks.append(col.data)
        m.d.comb += [
            self.row_data.eq(self._rotate(m, Cat(row_banks), row_number, "row")),
            self.col_data.eq(self._rotate(m, Cat(col_banks), col_number, "col")),
            self.host_rdata.eq(self.row_data),
        ]
        return m
