"""Jobs of layers whose neurons learn their leaks."""

from typing import TYPE_CHECKING

from trident.host.compile.fields import limit_of_sums
from trident.hw.isa.job import JOB
from trident.sim.golden.constants import NeuronConstants

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan
    from trident.host.compile.placed import PlacedLayer


def leak_field(placed: "PlacedLayer", group: int = 0) -> dict[str, int]:
    """Where the neurons of a layer find what they learn, for jobs that they run in, from a group of lanes on."""
    return {"source": placed.leaks.base + group} if placed.leaks else {}


def leak_jobs(plan: "CorePlan", n: int, neuron: NeuronConstants) -> dict[int, dict]:
    """Of a core's layer: what its neurons read of their leaks and, where they share one, the sum of its gradients."""
    placed = plan.layers[n]
    assert placed.leaks is not None
    tile, groups = placed.tile + placed.weights.leak_tile, placed.weights.groups
    channels = placed.layer.out_channels if placed.layer.voters == 1 else groups * plan.cfg.lanes
    own = {plan.job("leak", n): {
        "tile": tile, "groups": groups, "count": channels, "dst": placed.leaks.base,
        **neuron.of_layer(placed.layer.number).leak,
    }}  # fmt: skip
    if placed.layer.shares_leak:
        own[plan.job("tie", n)] = {"tile": tile, "count": groups}
    return own


def leak_gradient(plan: "CorePlan", n: int, samples: int, chunk: int, weight_grad: dict) -> dict[str, int]:
    """A weight_grad job over nothing, beside which are the leaks as if they were biases, and the terms of their
    gradients as if they were errors; ``weight_grad``: that of the layer's own weights."""
    placed = plan.layers[n]
    y, x, _ = placed.layer.out_shape
    shared = ("group_step", "pass_step", "pass_groups", "group_entries", "words")
    terms = plan.cfg.leak_terms + placed.made.in_chunk(chunk)
    tile = placed.tile + placed.weights.leak_tile - placed.weights.groups
    return {name: weight_grad[name] for name in shared} | {
        "groups": placed.weights.groups, "src": placed.inputs[0].base, "src_slot": placed.inputs[0].step, "aux": terms,
        "aux_slot": placed.made.step,
        "src_y": 0, "src_x": 0,
        "blocks": 1, "bias": 1, "block_step": placed.weights.groups, "tap_step": placed.weights.groups,
        "tile": tile % (1 << JOB.shape()["tile"].width), "origin": 0, "last_y": y - 1, "last_x": x - 1, "last_tap": 0,
        "stride2": 0, "exponent": limit_of_sums(plan.network, placed.layer.number, "leak", plan.cfg, samples),
    }  # fmt: skip
