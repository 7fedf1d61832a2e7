"""Losses: their errors are the derivatives of their values, also PyTorch's."""

import numpy as np
import pytest

from trident.snn.losses import PER_CLASS, SOFTMAX, Loss

STEPS, CLASSES = 6, 4
CASES = [Loss(name, *rates) for name in (*PER_CLASS, *SOFTMAX) for rates in ((0.0, 1.0), (0.125, 0.625))]


def _counts(samples: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.integers(0, STEPS + 1, (samples, CLASSES)).astype(float), rng.integers(0, CLASSES, samples)


@pytest.mark.parametrize("loss", CASES, ids=str)
def test_errors_are_derivatives(loss):
    counts, labels = _counts()
    errors, small = loss.errors(counts, labels, STEPS), 1e-6
    for n in range(CLASSES):
        more, less = counts.copy(), counts.copy()
        more[:, n] += small
        less[:, n] -= small
        slope = (loss.values(more, labels, STEPS) - loss.values(less, labels, STEPS)) / (2 * small)
        np.testing.assert_allclose(errors[:, n], slope, rtol=1e-6, atol=1e-9)


def test_a_sure_and_right_answer_costs_nothing():
    counts, labels = np.array([[0, 50, 0, 0.0]]), np.array([1])
    assert Loss("cross-entropy").values(counts, labels, 50) == pytest.approx(0)
    assert np.abs(Loss("cross-entropy").errors(counts, labels, 50)).max() < 1e-20


@pytest.mark.oracle
@pytest.mark.parametrize("name, scale", [("cross-entropy", 1.0), ("rate-cross-entropy", 1 / STEPS)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_is_pytorchs(name, scale, smoothing):
    torch = pytest.importorskip("torch", reason="the oracle extra is not installed")
    counts, labels = _counts()
    logits = torch.tensor(counts, requires_grad=True)
    wanted = torch.nn.functional.cross_entropy(
        logits * scale, torch.tensor(labels), label_smoothing=smoothing, reduction="none"
    )
    wanted.sum().backward()
    loss = Loss(name, smoothing / CLASSES, 1 - smoothing + smoothing / CLASSES)
    np.testing.assert_allclose(loss.values(counts, labels, STEPS), wanted.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(loss.errors(counts, labels, STEPS), logits.grad.numpy(), rtol=1e-9, atol=1e-15)
