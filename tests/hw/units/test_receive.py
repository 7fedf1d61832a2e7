"""The receive unit: rows from other cores get the places that they had in the backward engine of the sender."""

import pytest

from tests.cocotb.units import BENCHES, check_unit


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_the_order_of_backward(config, stalls):
    """Row by row the tags of the stream that tests/hw/engines/test_backward.py expects of the sender, with its job."""
    assert check_unit("receive", config, stalls) > 0
