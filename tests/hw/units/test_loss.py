"""The loss unit: its RTL against golden output by output, the table against the derivative of the loss."""

from itertools import product

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FP16
from trident.hw.isa.spaces import table_address
from trident.sim.golden.format import to_values
from trident.sim.golden.loss import loss_table
from trident.snn.losses import MEMBRANE, PER_CLASS, SOFTMAX, Loss


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("loss", config, stalls) > 0


@pytest.mark.parametrize("steps, classes, targets", [(1, 2, (0.0, 1.0)), (4, 3, (0.0, 1.0)), (8, 10, (0.25, 0.75))])
def test_table_is_the_derivative(steps, classes, targets):
    """One more spike of a neuron changes the loss by the table's mean over that spike, within FP16's rounding."""
    (table,) = to_values(loss_table(steps, classes, 1.0, FP16, Loss("mse", *targets)), FP16)

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
    cfg = CoreConfig(timesteps=steps, loss_tables=3)
    places = product(range(steps + 1), (False, True), range(3))
    addresses = {table_address(cfg, *place) for place in places}
    assert len(addresses) == 2 * (steps + 1) * 3 and max(addresses) < 1 << cfg.loss_bits + cfg.label_bits


@pytest.mark.parametrize("name", [*PER_CLASS, *SOFTMAX, MEMBRANE])
def test_weights_of_1_change_no_bit(name):
    """And one of 2 doubles what is of the label's error."""
    plain, one, other = (
        loss_table(8, 3, 256.0, FP16, Loss(name, 0.1, 0.8, weights)) for weights in ((), (1.0,) * 3, (1.0, 2.0, 1.0))
    )
    assert plain.shape[0] == 1 and (one == plain).all() and (other[[0, 2]] == plain).all()
    own, doubled = to_values(plain[0], FP16), to_values(other[1], FP16)
    assert (doubled[1] == 2 * own[1]).all() and (doubled[0] == own[0] * (2 if name in PER_CLASS else 1)).all()
