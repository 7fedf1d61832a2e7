"""The addition unit: its RTL against golden, row by row and mask by mask."""

import pytest

from tests.cocotb.units import BENCHES, check_unit


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("addition", config, stalls) > 0
