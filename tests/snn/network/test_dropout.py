"""Networks with dropout: how they are written, what their layers read, and what is refused."""

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.planes import PLANES_JOB
from trident.snn.network.builder import Builder
from trident.snn.network.files import dumps, loads
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm
from trident.snn.neuron_settings import NeuronSettings


@pytest.mark.parametrize("text, p, power", [("drop", 0.5, 1), ("drop0.5", 0.5, 1), ("drop0.75", 0.75, 2),
                                            ("drop0.875", 0.875, 3)])  # fmt: skip
def test_a_shorthand(text, p, power):
    """In training a spike counts for so much more; in inference it counts for 1."""
    network = Network.parse(f"8x8x1-4c3-mp2-{text}-16-{text}-10")
    assert network.node("drop3").p == p and loads(dumps(network)) == network
    first, second, last = network.layers
    assert (first.drop, first.pool, second.drop, last.drop) == (p, 2, p, 0) and not network.held
    assert first.rewrites and second.rewrites and not last.rewrites
    assert network.drops == (first, second) and not network.branches
    (read,) = last.reads
    assert (read.source, read.count, read.tested.count, read.tested.job) == (1, 2**power, 1, 0)
    assert PLANES_JOB.from_bits(read.job).place == power
    kind = NeuronSettings(surrogate="atan").at(second)
    assert (kind.pooled, kind.averaged, kind.pixel_share, str(kind.kind)) == (
        True, True, 2**power, "lif/hard/atan/pooled/averaged",
    )  # fmt: skip
    assert [bool(layer.norm) for layer in with_norm(network, "bn").layers] == [True, True, False]


@pytest.mark.parametrize("text, p", [("drop0.1", 0.1), ("drop0.2", 0.2), ("drop0.05", 0.05), ("drop0.9375", 0.9375)])
def test_another_share(text, p):
    """What reads it holds its weights times 1 / (1 - p) for training; a spike counts for 1, and so does an error."""
    network = Network.parse(f"8x8x1-4c3-mp2-{text}-16-{text}-10")
    assert loads(dumps(network)) == network and [layer.drop for layer in network.layers] == [p, p, 0]
    assert network.held == {"linear4.weight": 1 / (1 - p), "linear6.weight": 1 / (1 - p)}
    (read,) = network.layers[-1].reads
    assert (read.count, read.job, read.tested.job, read.held, read.tested.held) == (1, 0, 0, 1 / (1 - p), 1)
    kind = NeuronSettings(surrogate="atan").at(network.layers[1])
    assert (kind.pooled, kind.averaged, kind.pixel_share) == (True, False, 1)


@pytest.mark.parametrize("text, words", [
    ("64-drop-10", "'drop' must follow a layer or its pooling"),
    ("8x8x1-4c3-sew4-drop-10", "'drop' must follow a layer or its pooling"),
    ("64-12-drop-drop-10", "'drop' must follow a layer or its pooling"),
    ("64-12-drop", "must end with a linear layer, one output per class, not 'drop'"),
    ("64-12-drop1.5-10", "dropout 'drop2': p must be a number above 0 and below 1, not 1.5"),
    ("64-12-drop0-10", "dropout 'drop2': p must be a number above 0 and below 1, not 0.0"),
    ("64-12-drop.5-10", "'drop.5' is no number of outputs"),
    ("8x8x1-4c3-drop-mp2-10", "'mp2' must follow a layer and have a window of 2 pixels or more"),
    ("64-12-drop0.000007-10", "dropout 'drop2': a p of 7e-06 rounds to 0 or 1: a core drops multiples of 2**-16"),
    ("64-12-drop0.999999-10", "dropout 'drop2': a p of 0.999999 rounds to 0 or 1: a core drops multiples of 2**-16"),
    ("8x8x1-4c3-drop0.2-4c3ws-10", "conv 'conv3' reads what a dropout leaves, so its standardised weights would count"
     " for 1.25 times as much: a core has that for a p of 0.5, 0.75, 0.875"),
    ("8x8x1-4c3-ap2-drop-10", "dropout 'drop3' must drop spikes or the largest of windows, not the average of poo"),
    ("8x8x1-4c3-gap-drop-10", "dropout 'drop3' must drop the spikes of a neuron node or of its pool, not the output o"),
    ("8x8x1-4c3-drop-sew4-10", "dropout 'drop2' must be read by one conv or linear or flatten node alone, not by"),
])  # fmt: skip
def test_refusals(text, words):
    with pytest.raises(TridentError) as refused:
        assert Network.parse(text).layers
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("kinds, words", [
    ("dropout linear neuron", "dropout 'dropout1' must drop the spikes of a neuron node or of its pool, not the o"),
    ("linear neuron dropout", "the network's output must be the neurons behind its last layer, not 'dropout1'"),
    ("linear dropout neuron", "linear 'linear1' must be read by one neuron or readout or norm or pool node alone, n"),
    ("conv neuron flatten dropout linear neuron", "must drop the spikes of a neuron node or of its pool, not the"),
])  # fmt: skip
def test_what_no_core_computes(kinds, words):
    build = Builder((2, 2, 3) if "conv" in kinds else (1, 1, 6))
    fields = {"linear": {"outputs": 4}, "conv": {"channels": 4, "kernel": 1}}
    for kind in kinds.split():
        build.add(kind, **fields.get(kind, {}))
    with pytest.raises(TridentError) as refused:
        assert build.network().layers
    assert words in str(refused.value)


def test_neurons_that_several_read():
    build = Builder((1, 1, 6))
    build.add("linear", outputs=4)
    fired = build.add("neuron")
    dropped = build.add("linear", build.add("dropout"), outputs=4)
    build.add("add", build.add("neuron", dropped), fired)
    build.add("linear", outputs=2)
    build.add("neuron")
    with pytest.raises(TridentError, match="'neuron1' must be read by one dropout node alone, not by dropout"):
        assert build.network().layers
    with pytest.raises(TridentError, match="dropout 'dropout1': p must be a number above 0 and below 1, not True"):
        Builder((1, 1, 6)).add("dropout", p=True)
