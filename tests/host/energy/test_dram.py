"""Traffic of training steps, against an independent model of S-ResNet18 and S-VGG16, whose totals are here."""

import pytest

from trident.host.cli.traffic import DEFAULT
from trident.host.energy.dram import GPUS, ORDERS, Step, chip_traffic, gpu_traffic
from trident.snn.network.network import Network

VGG16 = "{0}x{0}x3-64c3-64c3-mp2-128c3-128c3-mp2-256c3-256c3-256c3-mp2-512c3-512c3-512c3-mp2-512c3-512c3-512c3-mp2-{1}"
MEMORY = 20 * 256 * 1024

# Bytes by the other model, 16 samples, T = 4: six orders of the chip, then the GPU fused in fp16 and fp32, and eager
TOTALS = {
    DEFAULT: (131402624, 147663744, 279784320, 370322304, 610085760, 1163674240, 2287625984, 4262650112, 6377072384,
              12441542912),
    VGG16.format(224, "4096-4096-1000r"): (
        1822040960, 2715796352, 5435736960, 7390737280, 14111392640, 25553930880, 43982369792, 82524007168,
        134209188864, 262977645312,
    ),
    VGG16.format(32, "512-10r"): (
        158739328, 166456192, 217770880, 250305408, 358017920, 797819520, 1287153408, 2122948864, 3130812160,
        5810266368,
    ),
}  # fmt: skip
# The other model has a bit for each of the 512 means that the last layer of S-ResNet18 reads twice, here they have two
SECOND_BIT = 2 * 16 * 4 * 512 // 8


@pytest.mark.parametrize("net", TOTALS, ids=("S-ResNet18", "S-VGG16 224", "S-VGG16 32"))
def test_totals_of_another_model(net):
    step = Step(Network.parse(net, bias=False), 16, 4, MEMORY)
    more = {name: SECOND_BIT * (net == DEFAULT and not order.keeps) for name, order in ORDERS.items()}
    found = [sum(chip_traffic(step, order).values()) - more[name] for name, order in ORDERS.items()]
    found += [sum(gpu_traffic(step, gpu).values()) for gpu in GPUS]
    assert tuple(found) == TOTALS[net]


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
