"""Votes of several neurons for a class, in the fast twin and in golden, against SpikingJelly's VotingLayer."""

import numpy as np
import pytest

from tests.sim.oracle import Oracle, golden_of, sj_layer, torch
from trident.sim.twin import FloatTwin
from trident.snn.network.network import Network, Tensors
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

pytestmark = pytest.mark.oracle


class Voting(Oracle):
    """Behind the last neurons SpikingJelly's VotingLayer, the mean of the spikes of a class's voters."""

    def rates(self, spikes: np.ndarray) -> torch.Tensor:
        """Mean votes over time (B, classes)."""
        votes = sj_layer.VotingLayer(self.network.voters, step_mode="m")
        return votes(self(spikes)[-1].flatten(2)).mean(0)


VOTING = ("12-16-20v4", "9-15v5", "6x6x2-5c3-12v3")
VOTED = {  # by loss, what it is of the mean votes, their number and that of timesteps, the target, and class weights
    "mse": lambda rates, most, wanted, of: ((rates - wanted) ** 2).mean(1) * of,
    "count-mse:0.75,0.25": lambda rates, most, wanted, of: ((rates - 0.25 - 0.5 * wanted) ** 2).mean(1) * of,
    "cross-entropy": lambda rates, most, wanted, of: torch.nn.functional.cross_entropy(
        rates * most, wanted, reduction="none", label_smoothing=0.1
    ) * of,
    "rate-cross-entropy": lambda rates, most, wanted, of: torch.nn.functional.cross_entropy(
        rates, wanted, reduction="none"
    ) * of,
}  # fmt: skip


def _voting(text: str, loss: str, timesteps: int, dtype=np.float64) -> FloatTwin:
    network = Network.parse(text)
    weights = ",".join(str(0.5 + n) for n in range(network.classes))
    smoothing = 0.1 if loss == "cross-entropy" else 0.0
    settings = TrainSettings(timesteps, seed=3, loss=loss, smoothing=smoothing, class_weights=weights)
    return FloatTwin(network, NeuronSettings(0.75, 0.125, 0.3125), settings, dtype)


def _voted_gradients(trainer: FloatTwin, spikes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, Tensors]:
    """Of the oracle: the spikes of classes (B, classes), and the gradients of all parameters."""
    oracle, settings, network = Voting(trainer), trainer.settings, trainer.network
    rates, most = oracle.rates(spikes), network.most_spikes(settings.timesteps)
    wanted = torch.nn.functional.one_hot(torch.tensor(labels), network.classes).double()
    of = oracle.weights[labels]
    (settings.loss_scale * VOTED[settings.loss](rates, most, wanted, of).sum()).backward()
    return (rates * most).detach().numpy(), oracle.gradients()


@pytest.mark.parametrize("loss", VOTED)
@pytest.mark.parametrize("text", VOTING)
def test_votes_equal_autograd(text, loss):
    """The twin, with weights of classes and smoothing, to 1e-9 of the largest gradient."""
    trainer, rng = _voting(text, loss, 5), np.random.default_rng(7)
    spikes = (rng.random((6, 5, *trainer.network.in_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, trainer.network.classes, 6)
    counts, gradients = _voted_gradients(trainer, spikes, labels)
    assert (trainer.infer(spikes) == counts.round()).all()
    assert counts.max() > 5  # more than one neuron can
    own = trainer.gradients(spikes, labels)
    for name, theirs in gradients.items():
        assert np.abs(own[name] - theirs).max() <= 1e-9 * np.abs(theirs).max() > 0


@pytest.mark.parametrize("loss", [loss for loss in VOTED if "mse" in loss])
@pytest.mark.parametrize("text", VOTING)
def test_golden_votes_equal_autograd(text, loss):
    """In a format of 24 significant bits."""
    trainer = _voting(text, loss, 5)
    golden = golden_of(trainer)
    for name, values in golden.weights.items():
        trainer.weights[name][:] = values
    rng = np.random.default_rng(11)
    spikes = (rng.random((4, 5, *trainer.network.in_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, trainer.network.classes, 4)
    counts, gradients = _voted_gradients(trainer, spikes, labels)
    (trace,) = golden.train(spikes, labels, golden.loss_constants(trainer.settings.loss_scale))
    assert (golden.counts(trace) == counts.round()).all()
    for name, expected in gradients.items():
        assert np.linalg.norm(golden.gradients[0][name] - expected) <= 1e-5 * np.linalg.norm(expected) > 0
