"""The loss unit: its RTL against golden output by output, the table against the derivative of the loss."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FP16
from trident.hw.isa.spaces import table_address
from trident.sim.golden.format import to_values
from trident.sim.golden.loss import loss_table
from trident.snn.losses import Loss


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("loss", config, stalls) > 0


@pytest.mark.parametrize("steps, classes, targets", [(1, 2, (0.0, 1.0)), (4, 3, (0.0, 1.0)), (8, 10, (0.25, 0.75))])
def test_table_is_the_derivative(steps, classes, targets):
    """One more spike of a neuron changes the loss by the table's mean over that spike, within FP16's rounding."""
    table = to_values(loss_table(steps, classes, 1.0, FP16, Loss("mse", *targets)), FP16)

    def loss(counts, label):
        return np.mean((counts / steps - np.where(np.arange(classes) == label, *reversed(targets))) ** 2)

    counts = np.arange(classes) % (steps + 1)
    for label, neuron in ((0, 0), (0, 1), (1, 0)):
        for fired in range(steps):
            less, more = counts.copy(), counts.copy()
            less[neuron], more[neuron] = fired, fired + 1
            change = loss(more, label) - loss(less, label)
            row = table[int(neuron == label)]
            assert (row[fired] + row[fired + 1]) / 2 == pytest.approx(change, rel=2**-9, abs=2**-12)


@pytest.mark.parametrize("steps", [1, 4, 5, 8])
def test_table_addresses_differ(steps):
    cfg = CoreConfig(timesteps=steps)
    addresses = {table_address(cfg, count, target) for count in range(steps + 1) for target in (False, True)}
    assert len(addresses) == 2 * (steps + 1)
