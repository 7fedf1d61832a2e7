"""Losses: their errors are the derivatives of their values, also PyTorch's."""

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.snn.losses import MEMBRANE, PER_CLASS, SOFTMAX, Loss, balanced, softened

STEPS, CLASSES = 6, 4
WEIGHTS = (1.0, 0.25, 3.0, 0.0)
CASES = [
    Loss(name, *rates, weights)
    for name in (*PER_CLASS, *SOFTMAX, MEMBRANE)
    for rates, weights in (((0.0, 1.0), ()), ((0.125, 0.625), ()), ((0.125, 0.625), WEIGHTS))
]


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


@pytest.mark.oracle
@pytest.mark.parametrize("share, temperature", [(0.0, 1.0), (0.75, 1.0), (1.0, 4.0)])
def test_soft_targets_are_pytorchs(share, temperature):
    torch = pytest.importorskip("torch", reason="the oracle extra is not installed")
    counts, labels = _counts()
    teacher, loss = np.random.default_rng(5).normal(0, 3, counts.shape), Loss("rate-cross-entropy")
    soft = softened(teacher, temperature, loss.wanted(labels, CLASSES), share)
    known = torch.softmax(torch.tensor(teacher) / temperature, 1)
    targets = (1 - share) * torch.nn.functional.one_hot(torch.tensor(labels), CLASSES).double() + share * known
    logits = torch.tensor(counts, requires_grad=True)
    values = torch.nn.functional.cross_entropy(logits / STEPS, targets, reduction="none")
    values.sum().backward()
    np.testing.assert_allclose(loss.values(counts, labels, STEPS, soft), values.detach(), rtol=1e-12)
    np.testing.assert_allclose(loss.errors(counts, labels, STEPS, soft), logits.grad, rtol=1e-9, atol=1e-15)


def test_a_sure_and_right_answer_costs_nothing():
    counts, labels = np.array([[0, 50, 0, 0.0]]), np.array([1])
    assert Loss("cross-entropy").values(counts, labels, 50) == pytest.approx(0)
    assert np.abs(Loss("cross-entropy").errors(counts, labels, 50)).max() < 1e-20


@pytest.mark.oracle
@pytest.mark.parametrize("name, scale", [("cross-entropy", 1.0), ("rate-cross-entropy", 1 / STEPS)])
@pytest.mark.parametrize("smoothing, weights", [(0.0, ()), (0.3, ()), (0.0, WEIGHTS), (0.3, WEIGHTS)])
def test_cross_entropy_is_pytorchs(name, scale, smoothing, weights):
    """Also with its own weights of classes, which without smoothing are those of samples."""
    torch = pytest.importorskip("torch", reason="the oracle extra is not installed")
    counts, labels = _counts()
    logits = torch.tensor(counts, requires_grad=True)
    wanted = torch.nn.functional.cross_entropy(
        logits * scale, torch.tensor(labels), label_smoothing=smoothing, reduction="none"
    )
    if weights:
        own = torch.tensor(weights, dtype=logits.dtype)
        wanted = wanted * own[labels]
        if not smoothing:
            theirs = torch.nn.functional.cross_entropy(logits * scale, torch.tensor(labels), own, reduction="none")
            torch.testing.assert_close(wanted, theirs)
    wanted.sum().backward()
    loss = Loss(name, smoothing / CLASSES, 1 - smoothing + smoothing / CLASSES, weights)
    np.testing.assert_allclose(loss.values(counts, labels, STEPS), wanted.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(loss.errors(counts, labels, STEPS), logits.grad.numpy(), rtol=1e-9, atol=1e-15)


@pytest.mark.oracle
def test_weighted_mean_squared_error_is_pytorchs():
    torch = pytest.importorskip("torch", reason="the oracle extra is not installed")
    counts, labels = _counts()
    rates = torch.tensor(counts, requires_grad=True)
    onehot = torch.nn.functional.one_hot(torch.tensor(labels), CLASSES)
    squares = torch.nn.functional.mse_loss(rates / STEPS, onehot.to(rates.dtype), reduction="none")
    wanted = squares.mean(1) * torch.tensor(WEIGHTS)[labels]
    wanted.sum().backward()
    loss = Loss(weights=WEIGHTS)
    np.testing.assert_allclose(loss.values(counts, labels, STEPS), wanted.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(loss.errors(counts, labels, STEPS), rates.grad.numpy(), rtol=1e-9)


def test_balanced_classes_count_alike():
    labels = np.array([0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 0, 0])
    weights = balanced(labels, 3)
    assert weights == (0.5, 2, 2)
    assert (np.bincount(labels, np.array(weights)[labels]) == 4).all()
    with pytest.raises(TridentError, match="class 3 has no training sample, so class weights cannot be balanced"):
        balanced(labels, 4)
