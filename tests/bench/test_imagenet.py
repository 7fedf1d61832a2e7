"""The networks on ImageNet that the reference's energy is published of."""

from dataclasses import replace

import pytest

from trident.bench.energy.imagenet import PUBLISHED, SAMPLES, TIMESTEPS, networks, reference_efficiency
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


def test_strides_and_what_is_beside_the_engines_cost_something():
    for name, stages in networks().items():
        found = {
            (strided, everything): reference_efficiency(stages, NEUROMC, strided, everything)
            for strided in (False, True) for everything in (False, True)
        }  # fmt: skip
        assert found[True, True] < found[True, False] and found[False, True] < found[False, False]
        assert (found[True, False] < found[False, False]) == (name != "vgg16")
    assert found[False, False] == pytest.approx(PUBLISHED["vgg16"][0], rel=1e-3)
