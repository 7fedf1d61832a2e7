"""What a tally counts, and what is found in it."""

import re
from dataclasses import asdict

import numpy as np
import pytest

from trident.host.train.findings import findings
from trident.host.train.tally import Tally
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

COUNTS = np.array([[4, 0, 1], [0, 3, 3], [0, 0, 0], [0, 2, 1], [1, 2, 5]])
LABELS = np.array([0, 1, 0, 2, 2])


def test_counts():
    tally = Tally()
    tally.add(COUNTS[:2], LABELS[:2], 4)
    tally = Tally(**asdict(tally))  # as a checkpoint keeps it
    tally.add(COUNTS[2:], LABELS[2:], 4)
    assert (tally.samples, tally.correct, tally.undecided, tally.silent) == (5, 2, 2, 1)
    assert tally.accuracy == 0.4
    assert tally.confusion == [[1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0]]
    assert tally.recall == [0.5, 0, 0.5]
    losses = ((COUNTS / 4 - np.eye(3)[LABELS]) ** 2).mean(axis=1)
    assert tally.mean_loss == (losses[:2].sum() + losses[2:].sum()) / 5


def test_a_class_without_samples_has_no_recall():
    tally = Tally()
    tally.add(COUNTS[:1], LABELS[:1], 4)
    assert tally.recall == [1, None, None]


GOOD = {"firing": [0.2, 0.1], "zeros": [0.5, 0.4], "losses": [0.1, 0.05], "skipped": 0.0, "pruned": [0.0, 0.0]}


def found(tested: np.ndarray = COUNTS[[0, 3, 4]], **changes) -> list[str]:
    tally = Tally()
    tally.add(tested, np.arange(len(tested)) % 3, 4)
    values = GOOD | changes
    network = Network.parse("6-5-3")
    return findings(network, NeuronSettings(), TrainSettings(), tested=tally, **values)


def test_nothing_is_found_in_a_network_that_learns():
    assert found() == []
    assert found(losses=[0.1]) == []
    assert found(losses=[0.005, 0.005]) == []  # as low as it gets


@pytest.mark.parametrize("changes, words", [
    ({"firing": [0.0, 0.0]}, "linear1 has not fired once.*Lower --threshold"),
    ({"firing": [0.2, 0.0]}, "linear2 has not fired once"),
    ({"zeros": [1.0, 0.4]}, "every error of linear1 was zero.*Widen --window"),
    ({"zeros": [1.0, 1.0]}, "every error of linear1 and linear2 was zero"),
    ({"tested": np.zeros((4, 3), int)}, "100 % of the test samples make no output neuron fire.*--timesteps"),
    ({"tested": np.array([[1, 1, 0], [3, 0, 0], [0, 2, 0]])}, "33 % .* make several classes fire equally"),
    ({"tested": np.array([[0, 2, 1]] * 4)}, "is taken for class 1.*Lower --lr"),
    ({"losses": [0.1, 0.0999]}, "the loss has not moved in 2 epochs: 0.1000 then, 0.0999 now. Raise --lr"),
    ({"tested": np.full((4, 3), 4), "losses": [0.6]}, "make several classes fire all the time. Lower --lr"),
    ({"skipped": 0.5}, "50 % of the minibatches of this epoch overflowed.*--loss-scale"),
])  # fmt: skip
def test_what_keeps_a_network_from_learning(changes, words):
    sentences = found(**changes)
    assert len(sentences) == 1
    assert re.search(words, sentences[0])


def test_a_layer_without_weights_is_told_where_weights_are_pruned():
    tally = Tally()
    tally.add(COUNTS[[0, 3, 4]], np.arange(3), 4)
    values = GOOD | {"pruned": [0.5, 1.0]}
    pruned, plain = (
        findings(Network.parse("6-5-3"), NeuronSettings(), TrainSettings(prune=prune), tested=tally, **values)
        for prune in (0.25, 0.0)
    )
    assert pruned == ["every weight of linear2 is 0, so nothing goes through. Lower --prune, which is 0.25"]
    assert plain == []


def test_a_layer_that_does_not_fire_is_not_said_to_have_no_errors():
    assert len(found(firing=[0.0, 0.0], zeros=[1.0, 1.0])) == 1
