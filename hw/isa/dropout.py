"""Which neurons dropout leaves: a hash of a key and of where a neuron is, for units, golden and float twin alike.

A key is of a layer and a minibatch, see :func:`trident.sim.golden.drop.layer_key`. The hash is the round of the block
cipher Speck (Beaulieu et al. 2013) with blocks of 32 bits, done :data:`ROUNDS` times with the words of
:func:`round_key`: additions, rotations and exclusive ors of 16 bits, which need no multiplier. It begins with the pixel
and the channel, so it does not depend on lanes, and a neuron is left where the second word, its bits in reverse order,
is below :func:`left_below`: of the last bits that then come first, two are 0 of a quarter of all neurons.
"""

from typing import Any

WORD = 16
ROUNDS = 9
POWERS = {0.5: 1, 0.75: 2, 0.875: 3}
"""By the share p that is dropped: k, where 2**-k are left, whose spikes count for 2**k: readers shift what they add. Of
another p readers hold their weights times 1 / (1 - p)."""
_ALL = (1 << WORD) - 1


def left_below(p: float) -> int:
    """How many of the 2**16 values of a hash leave a neuron: the share that is dropped is p to the nearest 2**-16."""
    return round((1 - p) * (1 << WORD))


def halves(key: int) -> dict[str, int]:
    """The fields of a job that have a key."""
    return {"low": key & _ALL, "high": key >> WORD}


def turned(value: Any, places: int) -> Any:
    """A word, its bits moved up by so many places, and those that leave it to the other end."""
    return (value << places | value >> WORD - places) & _ALL


def round_key(words: tuple[Any, Any, Any], number: int) -> Any:
    """What a round adds: one of the sample's number and the lower and upper half of the key, and its own number."""
    return words[number % 3] ^ number


def hash_round(x: Any, y: Any, key: Any) -> tuple[Any, Any]:
    """Two words after a round: integers, arrays of them or signals."""
    x = (turned(x, WORD - 7) + y & _ALL) ^ key
    return x, turned(y, 2) ^ x
