"""The configuration of a core from what a user asks for, with memories that the network fits into."""

import re
from dataclasses import replace
from typing import Any

from trident.host.compile.chip_plan import MINIBATCH, wanted_slots
from trident.host.compile.core_plan import CorePlan
from trident.host.compile.job_kinds import sequencer_needs
from trident.host.compile.packing import WeightMap
from trident.host.compile.walks import odd_kernel
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.limits import FEW_JOBS, LIMITS
from trident.hw.isa.registry import PLACES
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition, undivided

# The largest that CoreConfig takes: the plan in such a core says what the network needs
MEMORIES = (
    "weight_rows", "spike_words", "error_words", "sum_words", "winner_words", "carry_words", "leak_groups", "jobs",
    "program_words",
)  # fmt: skip
_LARGEST = {name: LIMITS[name][1] for name in MEMORIES}
MOST_STEPS, MOST_CHUNKS = LIMITS["timesteps"][1], 64  # of a sample that is cut into words as long as can be
COLS = ("forward_cols", "backward_cols")  # of timesteps


def configure(preset: str, **changes: int | str | None) -> CoreConfig:
    """A preset with what the user changed; ``None`` leaves a parameter as the preset has it.

    ``cols`` stands for the columns of all three engines; spike words hold the timesteps as :func:`words_for` says,
    unless the change names ``chunks`` or ``spare``. Accumulators grow with what is changed, unless they are given.
    Raises :class:`TridentError` for an unknown preset or parameter and for a value that is not allowed.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    cols = changes.pop("cols", None)
    for engine in ("forward", "backward", "weight_grad") if cols is not None else ():
        changes.setdefault(f"{engine}_cols", cols)
    if isinstance(steps := changes.get("timesteps"), int) and not {"chunks", "spare"} & set(changes):
        own = [changes.get(name, getattr(CoreConfig.preset(preset), name)) for name in COLS]
        changes |= words_for(steps, max((n for n in own if n in range(1, MOST_STEPS + 1)), default=1))
    if "accumulators" in changes:
        return CoreConfig.preset(preset, **changes)
    # Enough for any combination that the other limits allow, so that those are reported and not this
    roomy = CoreConfig.preset(preset, **changes, accumulators=1024)
    needed = max(roomy.entries_per_word(engine) for engine in PLACES)
    return replace(roomy, accumulators=max(CoreConfig.preset(preset).accumulators, needed))


def words_for(steps: int, cols: int = 1) -> dict[str, int]:
    """The words of a sample of so many timesteps: as few as can be, and no longer than they must. Columns of timesteps
    divide a word's, so what the last word holds more than the sample is spare.

    Raises TridentError for more timesteps than a sample can have.
    """
    most = MOST_STEPS * MOST_CHUNKS
    if not 1 <= steps <= most:
        raise TridentError(f"timesteps must be a whole number from 1 to {most}, not {steps}")
    chunks = -(-steps // MOST_STEPS)
    word = -(-steps // (chunks * cols)) * cols
    return {"timesteps": word, "chunks": chunks, "spare": word * chunks - steps}


def pool_of(network: Network) -> int:
    """The pool of a core for the network: the side of windows that divide an image, or 1 where there are none.

    Raises TridentError for windows of several sizes.
    """
    sizes = sorted({layer.pool for layer in network.layers} - {1})
    if len(sizes) > 1:
        raise TridentError(
            f"a core takes averages and sums of windows of one size, not of {' and '.join(map(str, sizes))} pixels"
        )
    return sizes[0] if sizes else 1


def windows_of(network: Network) -> dict[str, int | bool]:
    """What a core for the network needs for windows of sums, and of spikes that overlap: its parameters window, join
    and overlap, and some winner_words."""
    found = {
        "window": max((max(layer.window.size, 2) for layer in network.layers if layer.window), default=1),
        "join": max((max(layer.join.size, 2) for layer in network.layers if layer.join), default=1),
        "overlap": any(layer.windows.overlap for layer in network.layers if layer.windows),
    }
    return found | {"winner_words": int(max(found["window"], found["join"]) > 1)}


def walks_of(network: Network) -> int:
    """The walks that a core for the network needs: those of a layer's spikes or of its readers' errors, the most; at
    least 2 where means are read, whose errors are divided in a walk."""
    least = 2 if any(layer.mean > 1 for layer in network.layers) else 1
    return max(least, *(layer.walks for layer in network.layers), *map(len, network.spike_readers))


def kernels_of(network: Network, cfg: CoreConfig) -> bool:
    """Whether a core for the network needs kernels of any shape. Raises TridentError for one that cannot have them."""
    odd = [part for part in network.parts if not part.plain]
    if odd and cfg.shared_engine:
        require(cfg.capabilities, odd_kernel(odd[0]), (Capability.KERNELS,))
    return bool(odd)


def fit(
    network: Network, cfg: CoreConfig, fixed: frozenset[str] = frozenset(), minibatch: int = MINIBATCH,
    replicas: int = 1,
) -> CoreConfig:  # fmt: skip
    """``cfg`` with the memories and tables that ``network`` needs, or each of its ``replicas``: those too small grow to
    the next power of two.

    What ``fixed`` names stays as it is. Raises :class:`TooLarge`, with the number of words that are missing, when the
    network does not fit a core whose other memories are as large as they can be.
    """
    largest = _largest_for(network, cfg, fixed)
    room = _LARGEST["weight_rows"] * cfg.lanes
    if network.weights > room:  # a plan of it might not fit this computer
        raise TooLarge(
            f"the network has {network.weights} weights, {network.weights - room} more than the largest weight memory "
            f"of {cfg.lanes} lanes holds, {room}"
        )
    partition = replace(Partition.single(network), replicas=replicas)
    partition.check(network, cfg.lanes)
    slots = wanted_slots(network, partition, 0, minibatch)
    plan = CorePlan(network, partition, 0, 0, replace(cfg, **largest), slots, minibatch)
    needed = {
        "weight_rows": plan.rows,
        "spike_words": plan.spike_words,
        "error_words": plan.error_words,
        "sum_words": plan.sum_words,
        "winner_words": plan.winner_words,
        "carry_words": max(_carried(layer, cfg) for layer in network.layers),
        "leak_groups": plan.leak_groups,
        **plan.sequencer_needs,
    }
    return _grow(cfg, needed, largest)


def _carried(layer: Layer, cfg: CoreConfig) -> int:
    """Words of a layer whose neurons' states go on from chunk to chunk."""
    y, x, _ = layer.out_shape
    return y * x * WeightMap(layer, cfg).neuron_groups * layer.fires if cfg.chunks > 1 else 1


def fit_sequencer(
    network: Network, partition: Partition, cfg: CoreConfig, fixed: frozenset[str] = frozenset()
) -> CoreConfig:
    """``cfg`` with the tables that the cores of ``partition`` need, and room for their neurons' states; other memories
    stay as they are."""
    needed: dict[str, int] = {}
    for n, stage in enumerate(partition.stages):
        before = partition.before(n, network)
        owners = 0 if before is None else partition.stages[before].cores
        last = partition.after(n, network) is None
        own = sequencer_needs(network, stage.layers, cfg.lanes, owners, cfg.chunks, last)
        own["carry_words"] = max(_carried(network.layers[number], cfg) for number in stage.layers)
        needed = {name: max(value, needed.get(name, 0)) for name, value in own.items()}
    largest = {name: size for name, size in _largest(cfg, fixed).items() if name in needed}
    return _grow(cfg, needed, largest)


def _largest(cfg: CoreConfig, fixed: frozenset[str]) -> dict[str, Any]:
    """How large the memories of such a core can be, but for those that are ``fixed``."""
    sizes = _LARGEST | ({"jobs": FEW_JOBS} if cfg.shared_engine else {})
    return {name: size for name, size in sizes.items() if name not in fixed}


def fit_chip(
    network: Network, partition: Partition, cfg: CoreConfig, fixed: frozenset[str], minibatch: int
) -> CoreConfig:  # fmt: skip
    """``cfg`` for the cores of ``partition``: as :func:`fit` where each has the whole network, which is of those that
    are not divided, else as :func:`fit_sequencer`."""
    if undivided(network):
        return fit(network, cfg, fixed, minibatch, partition.replicas)
    return fit_sequencer(network, partition, cfg, fixed)


def roomiest(network: Network, cfg: CoreConfig, fixed: frozenset[str]) -> CoreConfig:
    """``cfg`` as large as :func:`fit_chip` may make it, with which partitions are compared."""
    return replace(cfg, **_largest_for(network, cfg, fixed)) if undivided(network) else cfg


def _largest_for(network: Network, cfg: CoreConfig, fixed: frozenset[str]) -> dict[str, Any]:
    """As :func:`_largest`, without memories of units that the network does not need."""
    largest = _largest(cfg, fixed)
    if not (network.norms or network.windows or network.adds):
        largest.pop("sum_words", None)
    if not any(layer.windows for layer in network.layers):
        largest.pop("winner_words", None)
    return largest


def _grow(cfg: CoreConfig, needed: dict[str, int], largest: dict[str, int]) -> CoreConfig:
    """Parameters that are smaller than needed grow to the next power of two, or to the largest."""
    grown: dict[str, Any] = {
        name: min(1 << (needed[name] - 1).bit_length(), size)
        for name, size in largest.items() if needed[name] > getattr(cfg, name)
    }  # fmt: skip
    return replace(cfg, **grown)


def parse_changes(pairs: tuple[str, ...]) -> dict[str, int | str]:
    """``name=value`` texts as a dictionary; whole numbers become int, true and false bool.

    Raises :class:`TridentError` for a text without ``=`` and for a name that is given twice.
    """
    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise TridentError(f"a core parameter is given as name=value, not {pair!r}")
        name, text = name.strip(), text.strip()
        if name in changes:
            raise TridentError(f"core parameter {name} is given twice")
        words = {"true": True, "false": False}
        number = re.fullmatch("-?[0-9]{1,9}", text)
        changes[name] = words[text] if text in words else int(text) if number else text
    return changes
