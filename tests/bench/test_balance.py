"""The bench of balance: what its figures are of, with the search in its real size."""

import pytest

from trident.bench.chip.meshes import measure_deep
from trident.bench.mapping.balance import NETWORKS, measure_balance
from trident.snn.network.network import Network


def test_the_networks_have_the_weights_of_their_namesakes():
    """By hand, without biases: VGG-16 has 138.3 million, ResNet-18 with 3 x 3 shortcuts of kernel 1 has 11.7."""
    networks = {name: Network.parse(net, bias=False) for name, net in NETWORKS.items()}
    weights = {name: sum(layer.weights for layer in network.layers) for name, network in networks.items()}
    assert weights == {"resnet18": 11_678_912, "vgg16": 138_344_128}


@pytest.mark.parametrize("name", NETWORKS)
def test_reaches_its_bounds(name):
    figures = {figure.name: figure for figure in measure_balance(f"map.balance.{name}")}
    assert len(figures) == 11 and all(figure.name.startswith(f"map.balance.{name}") for figure in figures.values())
    assert all(figure.reached for figure in figures.values() if figure.bound)
    worst = figures[f"map.balance.{name}"].value
    assert 1 <= worst == max(figures[f"map.balance.{name}.{what}"].value for what in ("work", "storage")) <= 1.25
    assert figures[f"map.balance.{name}.work_alone.storage"].value > worst


def test_other_figures_are_left_alone():
    assert not list(measure_balance("map.qap")) and not list(measure_deep("map.balance.vgg16"))
