"""Layers with windows, of which is kept which pixel is the largest: what their sums or spikes need, and their jobs."""

from typing import TYPE_CHECKING

from trident.host.compile.leaks import leak_field
from trident.host.compile.packing import WeightMap
from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.sim.golden.constants import NeuronConstants
from trident.snn.network.layers import Layer

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan

_ADDRESSES = 1 << JOB.shape()["src"].width


def check_windows(layer: Layer, cfg: CoreConfig):
    """Raise :class:`TridentError` for windows, of a layer's sums or of its spikes, that a core cannot have."""
    if layer.windows is None:
        return
    kind, needs = ("window", Capability.WINDOWS) if layer.window else ("join", Capability.JOIN)
    what = "takes the largest sums of" if layer.window else "has its spikes joined by"
    require(cfg.capabilities, f"{layer.neuron!r} {what} windows of {layer.windows}, which", (needs,))
    if layer.windows.size > (most := getattr(cfg, kind)):
        raise TridentError(f"the core has {kind} of {most}, {layer.neuron!r} needs {layer.windows.size}")
    if layer.windows.overlap and not cfg.overlap:
        raise TridentError(f"the core has overlap of false, {layer.neuron!r} has windows of {layer.windows}")


def window_words(weights: WeightMap) -> int:
    """Words of a layer's windows in a chunk of timesteps."""
    y, x, _ = weights.layer.windows_shape
    return y * x * weights.neuron_groups


def window_jobs(plan: "CorePlan", n: int, chunk: int, neuron: NeuronConstants) -> dict[int, dict]:
    """Of a core's layer and a chunk of timesteps: the largest of windows of sums, or the spikes of joined ones, and
    what spreads their errors."""
    placed, layer, windows = plan.layers[n], plan.layers[n].layer, plan.layers[n].layer.windows
    assert placed.winners is not None and windows is not None
    (y, x, _), (height, width, _), groups = layer.windows_shape, layer.pixels_shape, placed.weights.groups
    if layer.line > 1:  # windows of words: the outputs of one are in groups one after another
        groups, x, width = 1, placed.weights.neuron_groups, groups
    line = width * groups
    kind, source, target = "join", placed.spikes, placed.pooled
    src, dst = source.base + source.chunk * chunk, target.base + target.chunk * chunk
    if layer.window:  # the sums of one chunk are there at a time
        assert placed.sums is not None
        kind, source, target = "window", plan.scaled if layer.norm else placed.sums, plan.behind_norm(placed)
        src, dst = source.base, target.in_chunk(chunk)
    shared = {
        "aux_slot": placed.winners.step, "groups": groups, "src_y": y, "src_x": x, "words": windows.stride,
        "last_tap": windows.size - 1, "last_y": height - 1, "last_x": width - 1,
    }  # fmt: skip
    winners = placed.winners.base + placed.winners.chunk * chunk
    # Along a side, the last window that the first pixel is in, and its place there
    number, place = divmod(windows.padding, windows.stride)
    words = number * (x + 1) * groups
    own = neuron.of_layer(layer.number).backward | leak_field(placed) if layer.join else {}
    # From the windows' errors to those at pixels, of joined spikes through the neurons
    errors, pixels = (plan.window_errors, placed.made) if layer.join else (placed.made, placed.errors)
    return {
        plan.job(kind, n, chunk): shared | {
            "src": (src - windows.padding * (line + groups)) % _ADDRESSES, "src_slot": source.step, "dst": dst,
            "dst_slot": target.step, "aux": winners, "count": line, "origin": windows.padding,
            "tap_step": (windows.stride - 1) * groups + 1, "pass_step": windows.stride * line,
        },
        plan.job("spread", n, chunk): shared | own | {
            "src": errors.in_chunk(chunk) + words, "src_slot": errors.step, "aux": winners + words, "count": x * groups,
            "dst": pixels.in_chunk(chunk), "dst_slot": pixels.step,
            "origin": place, "pass_groups": number, "final": int(bool(layer.join)),
            "exponent": plan.cfg.fixed.limit(plan.cfg.format, windows.most, room=1),
            "carry": int(bool(layer.join) and chunk + 1 < plan.cfg.chunks),
        },
    }  # fmt: skip
