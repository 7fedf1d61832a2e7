"""The reference's cost model, against SpikingJelly's own and against published figures."""

import pytest

from trident.host.energy.counts import Counts
from trident.host.energy.reference import (
    PASSES,
    DenseLayer,
    adam,
    efficiency,
    forward,
    neuron_errors,
    neurons,
    norm,
    norm_errors,
    through_global,
)
from trident.host.energy.table import EnergyTable
from trident.snn.network.kernel import Kernel

NEUROMC = EnergyTable.load("neuromc")

# Layers of ResNet-18 and -50 and of VGG-16: inputs, outputs, pixels of the output, kernel, stride
SHAPES = [
    (64, 64, 56, 3, 1), (64, 128, 28, 3, 2), (64, 128, 28, 1, 2), (128, 128, 28, 3, 1), (128, 64, 28, 3, 1),
    (128, 256, 14, 3, 2), (128, 256, 14, 1, 2), (256, 256, 14, 3, 1), (256, 512, 7, 3, 2), (512, 512, 7, 3, 1),
    (64, 256, 56, 1, 1), (256, 64, 56, 1, 1), (512, 128, 28, 1, 1), (1024, 256, 14, 1, 1), (512, 2048, 7, 1, 1),
    (2048, 512, 7, 1, 1), (64, 128, 112, 3, 1), (128, 256, 56, 3, 1), (256, 512, 28, 3, 1), (512, 512, 14, 3, 1),
    (48, 20, 14, 5, 1),
]  # fmt: skip

# For one sample and timestep, with neurons, in microjoules, by the tool of the reference's authors: what SpikingJelly's
# file of energy_model_validation says that it says, inputs, outputs, pixels that are walked, kernel
MAPPED = {
    "forward": {
        (64, 48, 56, 3): 130.159637, (64, 16, 56, 3): 43.386546, (64, 32, 56, 3): 86.773091,
        (64, 128, 28, 3): 87.070788,
        (128, 96, 28, 3): 129.059898, (128, 32, 28, 3): 43.019966, (128, 64, 28, 3): 86.039932,
        (128, 128, 14, 3): 43.615360, (256, 128, 14, 3): 86.715291, (128, 256, 14, 3): 87.230719,
        (256, 256, 7, 3): 45.739220, (512, 192, 7, 3): 68.415544, (512, 128, 7, 3): 45.610363,
        (64, 64, 56, 1): 22.948175,
        (64, 64, 56, 3): 173.546183, (64, 256, 56, 1): 91.792701, (256, 64, 56, 1): 79.422428,
        (64, 64, 112, 3): 693.589338, (128, 32, 112, 3): 685.342489, (256, 80, 56, 3): 852.268073,
        (256, 256, 28, 3): 684.196033, (512, 128, 28, 3): 682.134321, (512, 512, 14, 3): 691.660618,
    },
    "backward": {
        (64, 48, 56, 3): 234.569325, (64, 16, 56, 3): 81.194121, (64, 32, 56, 3): 157.881723,
        (64, 128, 56, 3): 618.007336, (128, 96, 28, 3): 232.762611, (128, 32, 28, 3): 79.089710,
        (128, 64, 28, 3): 155.926160, (128, 128, 28, 3): 309.599062,
    },
    "weight_grad": {
        (128, 64, 28, 3): 66.276622, (128, 128, 28, 3): 132.553244, (256, 128, 14, 3): 67.449445,
        (128, 256, 28, 3): 265.106489, (256, 256, 14, 3): 134.898891, (512, 192, 7, 3): 54.105554,
        (512, 128, 7, 3): 36.070369,
    },
}  # fmt: skip

# Forward as an earlier file has it, of a mapping that reads the smallest images' weights from further away
FRAGMENTS = {
    (64, 16, 56): 42.368, (64, 32, 56): 84.737, (64, 128, 28): 86.409, (128, 96, 28): 129.938, (128, 32, 28): 43.313,
    (128, 64, 28): 86.625, (128, 128, 14): 46.657, (256, 128, 14): 93.422, (128, 256, 14): 93.314,
    (256, 256, 7): 60.088, (512, 192, 7): 90.173,
}  # fmt: skip


def layer(inputs, outputs, pixels, kernel, stride=1, **more) -> DenseLayer:
    return DenseLayer(inputs, outputs, pixels, pixels, Kernel.square(kernel, stride), **more)


@pytest.mark.parametrize("name, compute, registers, memories", [
    ("forward", 0.582, 0.130, 0.754), ("backward", 1.360, 0.206, 1.083), ("weight_grad", 0.582, 0.168, 0.397),
])  # fmt: skip
def test_the_published_table_of_a_layer(name, compute, registers, memories):
    """Per dense multiply-accumulate, to a unit of its last decimal, of a timestep; weights are read in each."""
    shape = layer(128, 64, 28, 3)
    found = {part: value / shape.macs for part, value in NEUROMC.price(PASSES[name](shape)).items()}
    parts = found.pop("compute"), found.pop("register"), sum(found.values())
    assert parts == pytest.approx((compute, registers, memories), abs=1e-3)


@pytest.mark.parametrize("name", MAPPED)
def test_layers_of_the_authors_tool(name):
    """With the neurons behind forward, and those that the errors of backward come to."""
    for (inputs, outputs, pixels, kernel), published in MAPPED[name].items():
        shape = layer(inputs, outputs, pixels, kernel)
        beside = {"forward": neurons(shape.results), "backward": neuron_errors(shape.read)}.get(name, Counts())
        found = NEUROMC.total(PASSES[name](shape) + beside) / 1e6
        assert found == pytest.approx(published, rel=2e-3), (inputs, outputs, pixels, kernel)


def test_fragments_of_an_earlier_mapping():
    """With weights and spikes that come from the global memory once, which SpikingJelly's model leaves out."""
    for (inputs, outputs, pixels), published in FRAGMENTS.items():
        shape = layer(inputs, outputs, pixels, 3)
        assert NEUROMC.total(forward(shape) + through_global(shape)) / 1e6 == pytest.approx(published, rel=0.02)


@pytest.mark.oracle
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layers_cost_what_spikingjelly_says(shape):
    torch = pytest.importorskip("torch")
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter")
    inputs, outputs, pixels, kernel, stride = shape
    conv = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    spikes = (torch.rand(1, inputs, pixels * stride, pixels * stride) < 0.2).float().requires_grad_()
    found = counter.estimate_neuromc_runtime_energy(
        torch.nn.Sequential(conv), spikes, target=torch.zeros(1), loss_fn=lambda values, _: values.sum()
    ).energy_by_op
    dense = layer(*shape)
    for name, theirs in (
        ("forward", "conv.forward"), ("backward", "conv.backward.grad_input"),
        ("weight_grad", "conv.backward.grad_weight"),
    ):  # fmt: skip
        assert NEUROMC.total(PASSES[name](dense)) == pytest.approx(found[theirs], rel=1e-6), name


@pytest.mark.oracle
def test_neurons_norms_and_adam_cost_what_spikingjelly_says():
    torch = pytest.importorskip("torch")
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    sj_layer = pytest.importorskip("spikingjelly.activation_based.layer")
    steps, samples, channels, pixels = 3, 2, 12, 6
    model = torch.nn.Sequential(
        sj_layer.Conv2d(5, channels, 3, padding=1, bias=False, step_mode="m"),
        sj_layer.BatchNorm2d(channels, step_mode="m"), neuron.IFNode(step_mode="m", detach_reset=True),
    )  # fmt: skip
    spikes = (torch.rand(steps, samples, 5, pixels, pixels) < 0.3).float().requires_grad_()
    found = counter.estimate_neuromc_runtime_energy(
        model, spikes, target=torch.zeros(1), loss_fn=lambda fired, _: fired.sum(),
        optimizer=torch.optim.Adam(model.parameters()),
    ).energy_by_op  # fmt: skip
    elements = steps * samples * channels * pixels**2
    for name, counts in {
        "bn.forward": norm(elements, steps * channels), "bn.backward": norm_errors(elements, steps * channels),
        "soma.forward": neurons(elements), "soma.backward": neuron_errors(elements),
        "adam": adam(9 * 5 * channels, 2 * channels),
    }.items():  # fmt: skip
        assert NEUROMC.total(counts) == pytest.approx(found[name], rel=1e-6), name


def test_efficiency_counts_two_operations_for_each_multiply_accumulate():
    assert efficiency(1e6, 2e6) == 1.0  # 1 pJ for an operation is 1 TFLOPS per watt
