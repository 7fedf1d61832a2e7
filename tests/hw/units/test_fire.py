"""The unit between a norm and the neurons: its RTL against the order in which neurons take rows."""

import pytest

from tests.cocotb.units import BENCHES, check_unit


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_the_order_of_neurons(config, stalls):
    assert check_unit("fire", config, stalls) > 0
