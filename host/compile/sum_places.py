"""Where sums lie that norms, windows or adds take, and the errors at them, and the jobs that add."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trident.host.compile.packing import WeightMap
from trident.host.compile.regions import Allocator, Region
from trident.host.compile.windows import window_words
from trident.hw.isa.job import JOB
from trident.snn.network.layers import Layer

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan

_ADDRESSES = 1 << JOB.shape()["aux"].width


def sum_words(weights: WeightMap) -> int:
    """Words of a layer's sums, or of the errors at them, in a chunk of timesteps."""
    y, x, _ = weights.layer.sum_shape
    return y * x * weights.groups


def taken_words(weights: WeightMap) -> int:
    """Words of the sums that a layer's neurons and adds take, in a chunk of timesteps."""
    return window_words(weights) if weights.layer.window else sum_words(weights)


def place_sums(
    layers: Sequence[WeightMap], sums: Allocator, slots: int, chunks: int
) -> list[tuple[Region | None, Region | None]]:
    """Of every layer the region of the sums that forward makes, and that of those which others add; None: they are
    kept nowhere. The latter is free again when the last that adds it has done so; so sums to which all blocks of a
    network add have one region. ``slots``: samples of it."""
    last = {number: weights.layer.number for weights in layers for number in weights.layer.adds}
    free: list[Region] = []
    totals: dict[int, Region] = {}
    found: list[tuple[Region | None, Region | None]] = []
    for weights in layers:
        layer, own, words = weights.layer, None, taken_words(weights)
        free += [totals[number] for number in layer.adds if last[number] == layer.number]
        if layer.kept:
            own = next((region for region in free if region.chunk == words), None)
            if own:
                free.remove(own)
            totals[layer.number] = own = own or sums.take(words, slots, chunks)
        made = own
        if layer.norm or not layer.kept or layer.adds or layer.window:
            made = sums.take(sum_words(weights), slots if layer.norm else 1) if layer.keeps_sums else None
        found.append((made, own))
    return found


def place_errors(
    layers: Sequence[WeightMap], adders: Sequence[tuple[int, ...]], errors: Allocator, slots: int, chunks: int
) -> list[tuple[Region, Region | None]]:
    """Of every layer the region of the errors at its convolutions' sums, and that of those which its neurons make, to
    which those of the layers that add its sums, see :attr:`Network.adders`, are added; None: they lie there only until
    windows spread them. A layer without neurons that one other adds has the errors of that."""
    at: dict[int, Region | None] = {}
    made: dict[int, Region | None] = {}
    for weights in layers:
        layer = weights.layer
        number, behind = layer.number, layer.norm is not None or layer.window is not None
        shared = not layer.fires and len(adders[number]) == 1
        at[number] = None if shared and not behind else errors.take(sum_words(weights), slots, chunks)
        made[number] = None if layer.window else at[number]
        if layer.adds and behind and not shared:  # others need them when they have gone on
            made[number] = errors.take(taken_words(weights), slots, chunks)
    found = []
    for weights in reversed(layers):
        number = weights.layer.number
        if not weights.layer.fires and len(adders[number]) == 1:
            made[number] = made[adders[number][0]]
        region = at[number] or made[number]
        assert region is not None
        found.append((region, made[number]))
    return found[::-1]


def error_words(layers: Sequence[WeightMap], adders: Sequence[tuple[int, ...]], chunks: int) -> int:
    """Words of the errors of all layers, of one sample."""
    trial = Allocator("error_words", 0)
    place_errors(layers, adders, trial, 1, chunks)
    return trial.used


def added_errors(layer: Layer, adders: Sequence[tuple[int, ...]]) -> int:
    """Jobs that add errors at a layer's sums, in a chunk of timesteps: those that come from each layer which adds these
    to those of its neurons, or to the first."""
    return len(adders[layer.number]) - (not layer.fires and bool(adders[layer.number]))


def makes_errors(layer: Layer, adders: Sequence[tuple[int, ...]]) -> bool:
    """Whether backward has jobs for the errors at a layer's sums, unless it is the last: those of a layer without
    neurons may be another's as they are."""
    return layer.fires or layer.window is not None or added_errors(layer, adders) > 0


def add_jobs(plan: "CorePlan", n: int, chunk: int) -> dict[int, dict]:
    """Of a core's layer and a chunk of timesteps: what adds the sums of others to its own, and their errors to those of
    its neurons."""
    placed = plan.layers[n]
    words, found = taken_words(placed.weights), {}
    for k, number in enumerate(placed.layer.adds):
        total = plan.taken(placed)
        own, other = total if k else plan.behind_norm(placed), plan.taken(plan.layers[number])
        found[plan.job("add", n, chunk, k)] = _add(own, other, total, chunk, words)
    above = [plan.layers[number].made for number in plan.network.adders[placed.layer.number]]
    if above and not placed.layer.fires:  # those of the first, in place of its own
        first, *above = above
    for k, other in enumerate(above):
        own = placed.made if k or placed.layer.fires else first
        found[plan.job("add_errors", n, chunk, k)] = _add(own, other, placed.made, chunk, words)
    return found


def _add(own: Region, other: Region, total: Region, chunk: int, words: int) -> dict[str, int]:
    """The rows of ``own`` and ``other`` to ``total``: one of them moves from sample to sample as that does. A small
    number of the other is kept where the multiplier takes one of its own for 0."""
    taken = own != total and (other == total or own.step != total.step)
    source, beside = (own, other) if taken else (other, own)
    assert beside == total or beside.step == total.step
    return {
        "src": source.in_chunk(chunk), "src_slot": source.step, "dst": total.in_chunk(chunk), "dst_slot": total.step,
        "aux": (beside.in_chunk(chunk) - total.in_chunk(chunk)) % _ADDRESSES, "count": words, "take": int(taken),
    }  # fmt: skip
