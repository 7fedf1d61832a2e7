"""Energy of a core from its counters: what each engine and unit did, as operations and bits of memories."""

from collections import Counter
from dataclasses import dataclass

from trident.host.energy.counts import Counts
from trident.hw.errors import TridentError
from trident.hw.isa.config import PRESETS, CoreConfig

PARTS = ("forward", "neuron", "norm", "backward", "neuron_grad", "weight_grad", "update")
"""What energy is told of: the engines, the units behind them, and the update. Windows, and sums that are added, count
as norm; loss, send, pooling and dropout as neuron_grad."""

CHANNELS = 16  # additions that the reference makes before a sum goes to memory and back


@dataclass(frozen=True)
class Convention:
    """How what lies in a core is priced.

    memory_sums: sums of forward and backward go to a memory and come back once for every 16 additions, as in the
    reference's arrays, whose registers are of 16 bits; otherwise they stay in registers of the accumulators' width,
    which each addition reads and writes. global_states: states of the optimiser are in the global memory, instead of
    one like that of weights.
    """

    memory_sums: bool = False
    global_states: bool = False


OWN = Convention()
REFERENCE = Convention(memory_sums=True, global_states=True)


def require_counters(cfg: CoreConfig):
    """Raises :class:`TridentError` for a core that does not count what is priced."""
    if cfg.counters != "all":
        complete = ", ".join(name for name, preset in PRESETS.items() if preset.counters == "all")
        raise TridentError(
            f"an energy needs counters=all, and this core has counters={cfg.counters}: the presets that count "
            f"everything are {complete}"
        )


def core_counts(counters: dict[str, float], cfg: CoreConfig, convention: Convention = OWN) -> dict[str, Counts]:
    """Operations and bits by :data:`PARTS`, of what the counters of a core, or their sum over cores, have counted.

    An addition or multiplication is counted in every lane; a step of a vector program is one of each, a comparison and
    a selection. The exact addition of an engine is priced as the table's addition of 16 bits, though it is one of
    integers without a rounding. What an engine adds is held in registers while it serves several sums.

    Raises :class:`TridentError` for a core that counts less, see :func:`require_counters`.
    """
    require_counters(cfg)
    parts = {name: Counts() for name in PARTS}
    row, word, width, lanes = cfg.row_bits, cfg.spike_bits, cfg.width, cfg.lanes
    of = Counter(counters).__getitem__
    for engine in ("forward", "backward", "weight_grad"):
        counts, adds = parts[engine], lanes * of(f"{engine}.useful")
        multiplies = engine == "backward"
        counts.do(adds, "add", "multiply" if multiplies else "select")
        counts.access("register", width * adds, row * of(f"{engine}.rows"))
        if multiplies:  # the second operand, and the product
            counts.access("register", 2 * width * adds, width * (adds + of("backward.issued") * cfg.backward_cols))
        if convention.memory_sums:
            counts.access("register", width * adds, width * adds)
            if engine != "weight_grad":
                counts.access("sums", width * adds / CHANNELS, width * adds / CHANNELS)
        else:
            drained = lanes * of(f"{engine}.drained")
            counts.access("register", cfg.accumulator_bits * (adds + drained), cfg.accumulator_bits * adds)

    forward, backward, weight_grad = (parts[engine] for engine in ("forward", "backward", "weight_grad"))
    neuron, norm, neuron_grad, update = (parts[name] for name in ("neuron", "norm", "neuron_grad", "update"))
    forward.access("weights", row * of("forward.rows"))
    forward.access("spikes", word * of("forward.words"))
    backward.access("weights", row * of("backward.rows"))
    backward.access("masks", word * of("error_masks.reads"))
    # A lane of a row, at the timesteps of all columns
    backward.access("errors", width * cfg.backward_cols * of("backward.issued"))
    # All lanes of a row, at those timesteps; so do the units behind the engines, such as a norm
    weight_grad.access("errors", row * cfg.backward_cols * of("weight_grad.rows"))
    behind = of("errors.reads") - of("backward.issued") - of("weight_grad.rows")
    norm.access("errors", row * cfg.backward_cols * behind)
    weight_grad.access("spikes", word * of("weight_grad.words"))

    for unit, counts in {
        "neuron": neuron, "leak": neuron, "norm": norm, "add": norm, "add_errors": norm, "neuron_grad": neuron_grad,
        "loss": neuron_grad, "update": update,
    }.items():  # fmt: skip
        steps = lanes * of(f"mac.{unit}")
        counts.do(steps, "add", "multiply", "select", "compare")
        counts.access("register", width * steps, width * steps)
    neuron.access("spikes", 0, word * of("spikes.writes"))
    neuron.access("masks", 0, word * of("masks.writes"))
    others = of("spikes.reads") - of("forward.words") - of("weight_grad.words")
    neuron_grad.access("spikes", word * others)
    neuron_grad.access("masks", word * of("masks.reads"), word * of("error_masks.writes"))
    # Words of spikes and of masks, which are read once and kept for the other timesteps
    kept = of("masks.reads") if cfg.timesteps > 1 else 0
    neuron_grad.access("register", 2 * word * (of("errors.writes") - kept), 2 * word * kept)
    neuron_grad.access("errors", 0, row * of("errors.writes"))

    states = "optimizer" if convention.global_states else "weights"
    update.access("weights", row * (of("weights.reads") - of("forward.rows") - of("backward.rows")))
    update.access("weights", 0, row * of("weights.writes"))
    update.access(states, row * of("momentum.reads"), row * of("momentum.writes"))
    for memory, part, price, bits in (
        ("potentials", neuron_grad, "potentials", row), ("functions", neuron_grad, "weights", 2 * width),
        ("squares", update, states, row), ("raw", update, "weights", row), ("sums", norm, "sums", row),
        ("winners", norm, "masks", cfg.winner_bits),
    ):  # fmt: skip
        part.access(price, *(bits * of(f"{memory}.{access}") for access in ("reads", "writes")))
    # Of gradients, the update reads and clears a row for each that it writes; the rest are sums of weight_grad
    rows, gradient = of("weights.writes"), cfg.gradient_row_bits * cfg.weight_grad_cols
    update.access("gradients", gradient * rows, gradient * rows)
    weight_grad.access("gradients", *(gradient * (of(f"gradients.{access}") - rows) for access in ("reads", "writes")))
    return parts

