"""Averaging is exact and in one order; weights that are not the network's are refused."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from tests.host.federated.case import same
from trident.host.federated.weights import average, check, differing, initial
from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import to_values
from trident.snn.network.network import Network

HALF, NETWORK = FloatFormat(5, 10), Network.parse("6-5-3")


def random_weights(rng):
    bits = {name: rng.integers(0, 1 << 16, shape) for name, shape in NETWORK.tensors.items()}
    # No infinity and no NaN
    return {name: np.where(b & 0x7C00 == 0x7C00, b & 0xBFFF, b).astype(np.uint16) for name, b in bits.items()}


def nearest_half(value: Fraction) -> int:
    """The magnitude's raw bits, to nearest even, by search in exact arithmetic."""
    codes = np.arange(0x7C00)
    values = to_values(codes, HALF)
    at = int(np.searchsorted(values, float(value)))
    near = [code for code in range(max(at - 2, 0), min(at + 3, 0x7C00))]
    return min(near, key=lambda code: (abs(Fraction(float(values[code])) - value), code & 1))


def test_the_mean_is_the_exact_one_rounded_once():
    rng = np.random.default_rng(5)
    members = [(worker, int(rng.integers(16, 900)), random_weights(rng)) for worker in range(5)]
    mean, total = average(members, HALF), sum(samples for _, samples, _ in members)
    for name, found in mean.items():
        for at in np.ndindex(found.shape):
            exact = sum(samples * Fraction(float(to_values(w[name][at], HALF))) for _, samples, w in members)
            assert int(found[at]) & 0x7FFF == nearest_half(abs(exact) / total)
            assert not exact or (int(found[at]) >> 15) == (exact < 0)


def test_the_order_of_arrival_does_not_matter():
    rng = np.random.default_rng(6)
    members = [(worker, 100 + worker, random_weights(rng)) for worker in range(4)]
    means = [average(list(order), HALF) for order in permutations(members)]
    assert all(same(means[0], other) for other in means[1:])


def test_one_worker_gets_its_own_back_signed_zeros_too():
    own = random_weights(np.random.default_rng(7))
    own["linear1.weight"][0, 0, :2] = 0x8000, 0x0000
    assert same(average([(3, 17, own)], HALF), own)


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda w: w.pop("linear2.bias"), "weights without linear2.bias"),
    (lambda w: w.update(other=w["linear1.bias"]), "weights with other"),
    (lambda w: w.update({"linear1.weight": w["linear1.weight"][:, :-1]}),
     r"linear1.weight of shape \(1, 5, 5\), not \(1, 6, 5\)"),
    (lambda w: w.update({"linear2.bias": w["linear2.bias"][None]}), "linear2.bias of shape"),
    (lambda w: w.update({"linear1.weight": w["linear1.weight"].astype(np.float32)}), "of float32, not uint16"),
    (lambda w: w["linear2.weight"].__setitem__((0, 2, 1), 0x7E00), r"linear2.weight with NaN, first at \(0, 2, 1\)"),
    (lambda w: w["linear2.bias"].__setitem__(2, 0xFC00), r"linear2.bias with infinity, first at \(2,\)"),
])  # fmt: skip
def test_wrong_weights_are_refused(change, sentence):
    weights = initial(NETWORK, 0, HALF)
    check(weights, NETWORK, HALF)
    change(weights)
    with pytest.raises(TridentError, match=sentence):
        check(weights, NETWORK, HALF)


def test_the_first_difference_is_named():
    ours, theirs = initial(NETWORK, 0, HALF), initial(NETWORK, 0, HALF)
    assert differing(ours, theirs) == (0, "")
    theirs["linear2.weight"][0, 2, 1] ^= 1
    count, first = differing(ours, theirs)
    assert count == 1 and first.startswith("linear2.weight at (0, 2, 1): 0x")
