"""Traffic of training steps, against an independent model of S-ResNet18 and S-VGG16, whose totals are here."""

import pytest

from trident.host.cli.traffic import DEFAULT
from trident.host.energy.dram import GPUS, ORDERS, Step, chip_traffic, gpu_traffic
from trident.snn.network.network import Network

VGG16 = "{0}x{0}x3-64c3-64c3-mp2-128c3-128c3-mp2-256c3-256c3-256c3-mp2-512c3-512c3-512c3-mp2-512c3-512c3-512c3-mp2-{1}"
MEMORY = 20 * 256 * 1024

# MB by the other model, 16 samples, T = 4: six orders of the chip, then the GPU fused in fp16 and fp32, and eager
TOTALS = {
    DEFAULT: (131.40, 147.66, 279.78, 370.32, 610.09, 1163.67, 2287.63, 4262.65, 6377.07, 12441.54),
    VGG16.format(224, "4096-4096-1000r"): (
        1822.04, 2715.80, 5435.74, 7390.74, 14111.39, 25553.93, 43982.37, 82524.01, 134209.19, 262977.65,
    ),
    VGG16.format(32, "512-10r"): (158.74, 166.46, 217.77, 250.31, 358.02, 797.82, 1287.15, 2122.95, 3130.81, 5810.27),
}  # fmt: skip


@pytest.mark.parametrize("net", TOTALS, ids=("S-ResNet18", "S-VGG16 224", "S-VGG16 32"))
def test_totals_of_another_model(net):
    step = Step(Network.parse(net, bias=False), 16, 4, MEMORY)
    found = [chip_traffic(step, order) for order in ORDERS.values()]
    found += [gpu_traffic(step, gpu) for gpu in GPUS]
    megabytes = [sum(counts.values()) / 1e6 for counts in found]
    # The mean in front of the last layer of the residual network takes two bits here and one there
    assert megabytes == pytest.approx(TOTALS[net], rel=1e-4)


def test_what_fits_the_chip_stays_there():
    network = Network.parse("8x8x1-4c3-4c3-10", bias=False)
    for memory, away in ((1e9, False), (1e3, True)):
        found = chip_traffic(Step(network, 4, 4, memory), ORDERS["stored"])
        assert bool(found["errors"]) == bool(found["sums"]) == away


def test_by_hand():
    """Two layers of 16 inputs, 8 hidden and 4 outputs; 2 samples, 3 timesteps, nothing fits."""
    step = Step(Network.parse("16-8-4", bias=False), 2, 3, 1)
    found, weights = chip_traffic(step, ORDERS["serial"]), 16 * 8 + 8 * 4
    assert found["weights"] == 3 * 2 * weights and found["momenta"] == 2 * 2 * weights
    assert found["samples"] == 2 * 2 * 16
    assert found["masks"] == 2 * 6 * (8 + 4) / 8
    assert found["spikes"] == 2 * 6 * (8 + 4) / 8 + 2 * 6 * 8 / 8  # hidden ones are read twice more
    assert found["errors"] == 2 * 2 * 6 * (8 + 4)
    assert "sums" not in found


def test_orders_stand_from_the_least_traffic_on():
    step = Step(Network.parse(DEFAULT, bias=False), 16, 4, MEMORY)
    totals = [sum(chip_traffic(step, order).values()) for order in ORDERS.values()]
    assert totals == sorted(totals)
