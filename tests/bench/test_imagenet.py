"""The networks on ImageNet that the reference's energy is published of."""

from dataclasses import replace

import pytest

from trident.bench.energy.imagenet import (
    PUBLISHED,
    SAMPLES,
    TIMESTEPS,
    networks,
    reference_efficiency,
    tool_efficiency,
    tool_networks,
)
from trident.host.energy.reference import PASSES
from trident.host.energy.table import EnergyTable

NEUROMC = EnergyTable.load("neuromc")
MACS = {"resnet18": 1814073344, "resnet50": 4089184256, "vgg16": 15470264320}  # of an image, as is well known
# Of S-ResNet18 as SpikingJelly has it, microjoules of all convolutions for a sample and a timestep, by its own function
CONVOLUTIONS = {"forward": 3377.8779908, "backward": 5173.5055637, "weight_grad": 2451.7103751}


@pytest.mark.parametrize("name", MACS)
def test_multiply_accumulates(name):
    assert sum(stage.dense.macs for stage in networks()[name]) == SAMPLES * TIMESTEPS * MACS[name]


def test_all_convolutions_cost_what_spikingjelly_says():
    convolutions = [stage.dense for stage in networks()["resnet18"] if stage.normalised]
    for name, theirs in CONVOLUTIONS.items():
        layers = [layer for layer in convolutions if name != "backward" or not layer.values]
        once = [replace(layer, samples=1, timesteps=1) for layer in layers]
        assert sum(NEUROMC.total(PASSES[name](layer)) for layer in once) / 1e6 == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_of_the_authors_tool_cost_what_is_published(name):
    stages, (without, including) = tool_networks()[name], PUBLISHED[name]
    assert tool_efficiency(stages, NEUROMC, False) == pytest.approx(without, rel=3e-3)
    assert tool_efficiency(stages, NEUROMC, True) == pytest.approx(including, rel=0.015)


def test_what_the_authors_tool_leaves_out():
    """The first layer and linear ones; and the shortcuts of one network are as large as what they go beside."""
    for name, stages in tool_networks().items():
        left = len(networks()[name]) - len(stages)
        assert left == (4 if name == "vgg16" else 2) and all(stage.fires for stage in stages)
    sizes = [stage.dense.kernel.size for stage in tool_networks()["resnet18"]]
    assert set(sizes) == {(3, 3)} and len(sizes) == 19
    assert {stage.dense.kernel.size for stage in tool_networks()["resnet50"]} == {(1, 1), (3, 3)}


def test_layers_without_their_strides():
    strided = next(stage for stage in networks()["resnet18"] if stage.dense.kernel.stride == (2, 2))
    back = strided.unstrided
    assert (back.height, back.width) == (2 * strided.dense.height, 2 * strided.dense.width)
    assert back.macs == 4 * strided.dense.macs and back.read == strided.dense.read


def test_norms_and_adam_cost_something():
    for name, stages in networks().items():
        found = [reference_efficiency(stages, NEUROMC, everything) for everything in (False, True)]
        assert found[1] < found[0] < PUBLISHED[name][0]
