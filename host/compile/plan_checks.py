"""What a network needs of a core, and a plan of what fits into a job and the sequencer."""

from typing import TYPE_CHECKING

from trident.host.compile.fields import limit_of_sums
from trident.host.compile.walks import as_convolution, odd_kernel
from trident.host.compile.windows import check_windows
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.registry import PLACES
from trident.snn.network.network import Network

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan

LARGEST_WINDOW = 1 << JOB.shape()["last_tap"].width  # pixels along a side of a convolution's


def check_network(network: Network, numbers: range, cfg: CoreConfig):
    """Raise :class:`TridentError`, naming the node, for what a core has not that has the layers with these numbers."""
    if network.adds:
        require(cfg.capabilities, f"{network.adds[0].neuron!r}, behind added sums,", (Capability.ADDS,))
    if network.batch_norm:
        require(cfg.capabilities, repr(network.norms[0].name), (Capability.BATCH_NORM,))
        if cfg.chunks > 1:
            raise TridentError(f"{network.norms[0]} is of samples of one chunk of timesteps, not of {cfg.chunks}")
        if cfg.spare:
            raise TridentError(
                f"{network.norms[0]} is of samples that fill their spike words, not of {cfg.steps} timesteps in words "
                f"of {cfg.timesteps}"
            )
    for layer in network.layers:
        check_windows(layer, cfg)
        for odd in layer.parts:
            if not odd.plain:
                require(cfg.capabilities, odd_kernel(odd), (Capability.KERNELS,))
    if (late := network.delays) and cfg.timesteps > 1:
        raise TridentError(
            f"{late[0].node!r} reads spikes of t-{late[0].delay}, for which a core has timesteps of 1 "
            f"and chunks of {cfg.steps}, not timesteps of {cfg.timesteps}"
        )
    if (last := network.layers[-1]).voters > cfg.voters and last.number in numbers:
        require(cfg.capabilities, f"{last.neuron!r}, of {last.voters} voters for a class,", (Capability.VOTERS,))
        raise TridentError(f"the core has voters of {cfg.voters}, {last.neuron!r} needs {last.voters}")
    for layer in (network.layers[number] for number in numbers):
        if layer.learns and layer.window:
            raise TridentError(
                f"{layer.neuron!r} takes the largest sums of windows and learns its {layer.learned}s, which no core "
                "does both"
            )


def check_limits(plan: "CorePlan"):
    """Raise :class:`TridentError` for jobs and sums that a core cannot have, :class:`TooLarge` for a lack of room."""
    cfg, last = plan.cfg, plan.layers[-1]
    if plan.is_last and cfg.loss == "steps" and last.weights.groups > cfg.items("backward"):
        raise TooLarge(
            f"a loss of every timestep has {last.layer.out_channels} classes in {last.weights.groups} groups of "
            f"{cfg.lanes} lanes under way at once, a core with accumulators of {cfg.accumulators} has room for "
            f"{cfg.items('backward')}"
        )
    carried = max(placed.spikes.chunk for placed in plan.layers) if cfg.chunks > 1 else 0
    for parameter, needed in (plan.sequencer_needs | {"carry_words": carried}).items():
        if needed > getattr(cfg, parameter):
            chunks = f" of {cfg.chunks} chunks of timesteps" if cfg.chunks > 1 else ""
            raise TooLarge(
                f"{len(plan.layers)} layers{chunks} need {parameter} of at least {needed}, the core has "
                f"{getattr(cfg, parameter)}"
            )
    images = (part.layer.image for placed in plan.layers for part in placed.parts)
    y, x, _ = max(images, key=lambda image: max(image[:2]))
    if max(y, x) > 255:
        raise TooLarge(f"an image of {y}x{x} pixels is larger than 255 in one direction")
    for n in plan.inner:
        below = plan.layers[n].layer
        if below.window and cfg.chunks > 1 and len(plan.spans(n)) > 1:
            raise TridentError(
                f"{below.neuron!r} takes the largest sums of windows and a grouped convolution reads it in several "
                "parts, which no core does in chunks of timesteps"
            )
        if below.pool not in (1, cfg.pool):
            raise TridentError(f"the core has pool of {cfg.pool}, {below.neuron!r} needs {below.pool}")
        for layer in (reader.layer for reader in plan.readers[n]):
            y, x, _ = as_convolution(layer).image
            fits = max(y, x) <= LARGEST_WINDOW and (y == x or cfg.kernels)
            if plan.by_position(n) and layer.kind == "linear" and not fits:
                raise TridentError(
                    f"{layer.node!r} reads an image of {y}x{x} pixels that is pooled, that others read or whose "
                    f"neurons learn their leaks: to a linear node a core gives square ones alone, of {LARGEST_WINDOW} "
                    "pixels at most"
                )
    for owner in range(plan.owners):
        assert plan.before is not None  # the owners are its cores
        plan.walk_to_owner(plan.layers[0].layer, plan.before, owner)
    for placed in plan.layers:
        for engine in PLACES:
            limit_of_sums(plan.network, placed.layer.number, engine, cfg)
