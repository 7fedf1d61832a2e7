"""Real values as planes in golden: against sums of integers, and a network's gradients against the fast twin's."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.hw.engines.windows import CASES, SUMS, joins, sides
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.planes import Planes
from trident.sim.golden.forward import forward
from trident.sim.golden.planes import forward_planes, plane_terms, weight_grad_planes
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.golden.weight_grad import weight_grad
from trident.sim.twin import FloatTwin
from trident.snn.data.encoding import plane_values
from trident.snn.network.kernel import PIXEL
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

PLANES = [Planes(8, -8), Planes(8, -7, True), Planes(3, 2), Planes(1, -1, True)]


def _floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("planes", PLANES)
@pytest.mark.parametrize("kernel", CASES)
def test_sums(kernel, planes):
    """Of multiples of 2**-16, whose products with planes lie in the sums' places: exact, and rounded by NumPy."""
    rng = np.random.default_rng(kernel.taps)
    inside, outside = sides(kernel)
    bits = np.zeros((2, 9, *inside, 3), np.uint8)
    bits[:, : planes.bits] = rng.integers(0, 2, (2, planes.bits, *inside, 3))
    values, given = plane_values(bits, planes), np.ascontiguousarray(bits.transpose(0, 2, 3, 1, 4))
    weights, biases = (
        np.rint(_floats(rng, *shape) * 2.0**8).astype(np.float32) / 2.0**12 for shape in ((kernel.taps, 3, 5), (5,))
    )
    x, fault = SUMS.rounded(*forward_planes(forward, given, weights, biases, True, kernel, 99, planes, SUMS))
    errors = np.rint(_floats(rng, 2, *outside, 9, 5) * 2.0**8).astype(np.float32) / 2.0**12
    gradients, at_biases, wrong = weight_grad_planes(weight_grad, given, errors, True, kernel, 99, planes, SUMS)

    expected = np.zeros((2, *outside, 5)) + biases
    summed = np.zeros_like(gradients)
    for n in range(2):
        for tap, at, to in joins(kernel):
            expected[n][to] += values[n][at] @ weights[tap].astype(float)
            summed[tap] += np.outer(values[n][at], errors[n][to][0])
    assert (x == expected.astype(np.float16)[..., None, :]).all() and x.shape[3] == 9
    assert (gradients == summed).all() and (at_biases == errors[..., 0, :].sum(axis=(0, 1, 2))).all()
    assert not fault.any() and not wrong.any()


def test_terms_are_rounded_once():
    """To the last place of the sums, ties to even."""
    least = 2.0**-24
    terms = plane_terms(np.array([1, 2, 3, 5, -3], np.float32) * np.float32(least), Planes(2, -1), SUMS)
    assert (terms / least).tolist() == [[0, 1, 2, 2, -2], [1, 2, 3, 5, -3]]


def test_what_is_too_large_is_a_fault_where_it_is_added():
    for bits, faults in (([1, 0], False), ([0, 1], True)):
        given = np.array(bits, np.uint8).reshape(1, 1, 1, 2, 1)
        weights = np.full((1, 1, 1), 30000, np.float32)
        planes, none = Planes(2, 1), np.zeros(1, np.float32)
        _, fault = forward_planes(forward, given, weights, none, False, PIXEL, 64, planes, SUMS)
        assert fault.tolist() == [[faults]]
        errors = np.full((1, 1, 1, 2, 1), 30000, np.float32)
        *_, fault = weight_grad_planes(weight_grad, given, errors, False, PIXEL, 64, planes, SUMS)
        assert fault.tolist() == [faults]


@pytest.mark.parametrize("text, neuron", [
    ("9-7-3", {}), ("6x5x2-4c3s2-5-3", {"surrogate": "triangle", "reset": "soft"}),
    ("5x5x1-3c3-3", {"neuron": "synaptic", "detach": False, "surrogate": "triangle"}),
])  # fmt: skip
@pytest.mark.parametrize("planes", [Planes(8, -8), Planes(8, -6, True)])
def test_gradients_are_those_of_the_twin(text, neuron, planes):
    """In a format of 24 significant bits, so that rounding does not hide a wrong formula; the twin knows no planes."""
    network, settings = replace(Network.parse(text), planes=planes), NeuronSettings(**neuron)
    # What the trainer reads of a configuration; a core's own is held to 16 bits
    core = CoreConfig.preset("SMALL", planes=True, **settings.core(network.layers))
    fixed, fmt = FixedFormat(53, -30), FloatFormat(8, 23)
    cfg = SimpleNamespace(
        format=fmt, fixed=fixed, fixed_of=lambda engine: fixed, exact=True, steps=8,
        update_program=core.update_program, loss="table", multiplier_subnormals=True, engine=core.engine,
        neurons=core.neurons, soft_targets=0,
    )  # fmt: skip
    train = TrainSettings(timesteps=8)
    golden = GoldenTrainer(network, settings, cfg, loss=train.losses(3))
    twin = FloatTwin(network, settings, train, np.float64)
    for name, values in golden.weights.items():
        twin.weights[name][:] = values
    rng = np.random.default_rng(2)
    bits, labels = rng.integers(0, 2, (6, 8, *network.in_shape)).astype(np.uint8), rng.integers(0, 3, 6)
    (trace,) = golden.train(bits, labels, golden.loss_constants(train.loss_scale))
    for spikes, expected in zip(trace.spikes, twin.forward(bits), strict=True):
        assert (spikes.transpose(3, 0, 1, 2, 4) == expected.spikes).all()
    assert not golden.faults.any() and 0 < trace.spikes[0].mean() < 1
    for name, expected in twin.gradients(bits, labels).items():
        assert np.abs(golden.gradients[0][name] - expected).max() <= 1e-5 * np.abs(expected).max() > 0
