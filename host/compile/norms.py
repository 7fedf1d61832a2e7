"""Jobs of layers whose sums are kept before neurons take them, for a batch norm or windows."""

from typing import TYPE_CHECKING

from trident.host.compile.leaks import leak_field
from trident.hw.isa.batch_norm import NUMBERS
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.norm import NormConstants
from trident.snn.network.layers import Layer

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan


def norm_jobs(plan: "CorePlan", n: int) -> dict[int, dict]:
    """Of a core's layer with a norm: of its sums in training and in inference, and of its errors.

    Raises what :meth:`NormConstants.of` raises.
    """
    placed = plan.layers[n]
    scaled, made = plan.normed(placed), placed.errors if placed.layer.window else placed.made
    assert placed.sums is not None
    y, x, _ = placed.layer.sum_shape
    single = placed.layer.planes is not None  # errors are sums over time

    def numbers(constants: NormConstants) -> dict[str, int]:
        own = {"token": constants.power, "exponent": constants.limit}
        return own | {field: constants.bits[name] for name, field in NUMBERS.items()}

    samples = plan.minibatch
    shared = {
        "src": placed.sums.base, "dst": scaled.base, "tile": placed.tile + placed.weights.norm_tile,
        "groups": placed.weights.groups, "count": y * x, **numbers(NormConstants.of(placed.layer, plan.cfg, samples)),
    }  # fmt: skip
    # All samples in one job, or one in each
    assert placed.layer.norm is not None
    ways = {"channel": int(placed.layer.norm.frozen), "take": 1}
    minibatch = {"blocks": plan.spike_slots, "tap_step": placed.sums.step, "pass_step": scaled.step}
    sample = {"blocks": 1, "src_slot": placed.sums.step, "dst_slot": scaled.step}
    errors = {
        "aux": made.base, "block_step": made.step, "dst": placed.errors.base, "pass_step": placed.errors.step,
        "final": int(single), **numbers(NormConstants.of(placed.layer, plan.cfg, samples, single)),
    }  # fmt: skip
    return {
        plan.job("norm", n): shared | minibatch | ways,
        plan.job("norm_frozen", n): shared | sample | {"channel": 1},
        plan.job("norm_errors", n): shared | minibatch | errors | {"outgoing": 1},
    }


def merge_fields(plan: "CorePlan", n: int, samples: int, copies: int, first: bool) -> dict[int, dict]:
    """What the norm jobs of a core's layer say of the core, which has so many samples of a minibatch, beside so many
    other ``copies`` of the network; the ``first`` one has the gradients of the norm."""
    ring = {"blocks": samples, "pass_groups": copies}
    return {plan.job("norm", n): ring, plan.job("norm_errors", n): ring | {"carry": int(not first)}}


def ends(cfg: CoreConfig, layer: Layer, chunk: int) -> dict[str, int]:
    """What tells neurons that a chunk of timesteps is the last, where they ask: readouts, and where a sample ends
    within a word."""
    return {"ends": int(chunk + 1 == cfg.chunks)} if layer.readout or cfg.spare else {}


def fire_job(plan: "CorePlan", n: int, chunk: int, neuron: dict[str, int]) -> dict[int, dict]:
    """The neurons of a core's layer in a chunk of timesteps; ``neuron``: the constants of their forward pass."""
    placed, layer = plan.layers[n], plan.layers[n].layer
    source = plan.taken(placed)
    outputs = {"aux": placed.spikes.base, "aux_slot": placed.spikes.step}
    return {plan.job("fire", n, chunk): {
        "src": source.in_chunk(chunk), "src_slot": source.step, "dst": placed.spikes.base + placed.spikes.chunk * chunk,
        "dst_slot": placed.spikes.step, "count": placed.spikes.chunk, "groups": placed.weights.groups,
        "carry": int(chunk > 0), **neuron, **leak_field(placed),
        **(outputs if layer.readout else {}), **ends(plan.cfg, layer, chunk),
    }}  # fmt: skip
