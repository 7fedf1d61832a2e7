"""What the parameters of a core can be, each by itself and together."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.fixed import EXACT_BITS
from trident.hw.isa.job import JOB, JOB_NUMBER_BITS
from trident.hw.isa.losses import LOSSES, READOUT_LOSSES
from trident.hw.isa.microcode import UPDATE_NUMBERS, number_fields
from trident.hw.isa.neurons import CHARGES, RESETS, SURROGATES
from trident.hw.isa.optimisers import OPTIMISERS
from trident.hw.isa.program import QUEUE_STATE
from trident.hw.isa.registry import PLACES, first_engine
from trident.hw.isa.tables import PIECE_BITS

if TYPE_CHECKING:
    from trident.hw.isa.config import CoreConfig

DECLARED: dict[str, Iterable[str]] = {
    "charge": CHARGES, "reset": RESETS, "surrogate": SURROGATES, "optimiser": OPTIMISERS,
    "loss": LOSSES,
}  # fmt: skip
COMPACT_PROGRAMS: dict[str, tuple] = {
    "charge": ("lif",), "reset": ("hard", "soft"), "surrogate": ("rectangle", "triangle"), "detach": (True,),
    "optimiser": ("sgd",), "loss": ("table",), "others": ("",),
}  # fmt: skip
"""What a core with a shared engine can have: its firmware gives units three numbers, and updates by itself."""
NEURONS = 1 << JOB.shape()["neuron"].width  # that a job can tell apart
COUNTERS = ("all", "few", "running")
FEW_JOBS = 1 << QUEUE_STATE["job"].width  # whose numbers the states of queues hold

NUMBER_BITS = 16  # a constant in a job, see trident.hw.isa.job.JOB
LOSS_ENTRIES = 1 << 17  # of all loss tables: what the address of a packet reaches, see trident.hw.isa.packets.HEADER
FLOAT_GRADIENTS = 16  # of gradient_bits: gradients are floats

LIMITS = {  # from and to
    "lanes": (1, 32),
    "forward_cols": (1, 32),
    "backward_cols": (1, 32),
    "weight_grad_cols": (1, 32),
    "timesteps": (1, 32),
    "loss_tables": (1, 1 << 16),
    "soft_targets": (0, 1 << 12),
    "voters": (1, 256),
    "chunks": (1, 256),
    "spare": (0, 31),
    "carry_words": (1, 1 << 15),
    "pool": (1, 8),
    "walks": (1, 16),
    "window": (1, 8),
    "join": (1, 8),
    "winner_words": (0, 1 << 15),
    "sum_words": (0, 1 << 16),
    "leak_groups": (1, 256),
    "words": (1, 8),
    "accumulators": (1, 1024),
    "exp": (4, 8),
    "frac": (2, 15),
    "accumulator_bits": (8, EXACT_BITS),
    "accumulator_place": (-64, 0),
    "gradient_bits": (FLOAT_GRADIENTS, EXACT_BITS),
    "mul_stages": (1, 4),
    "round_stages": (1, 4),
    "weight_rows": (1, 1 << 16),
    "spike_words": (4, 1 << 15),
    "error_words": (2, 1 << 15),
    "jobs": (4, 1 << JOB_NUMBER_BITS),
    "program_words": (8, 1 << JOB_NUMBER_BITS),
}


def _power_of_two(value: int) -> bool:
    return value & (value - 1) == 0


def check_config(cfg: "CoreConfig"):
    """Raise :class:`TridentError` unless a core can have this configuration; it names the parameter and the limit."""
    for name, (low, high) in LIMITS.items():
        value = getattr(cfg, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise TridentError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    if cfg.width > NUMBER_BITS:
        raise TridentError(
            f"a float of {cfg.exp} exponent and {cfg.frac} fraction bits has {cfg.width} bits with its sign, "
            f"more than the {NUMBER_BITS} that a job's constants have"
        )
    booleans = ("detach", "planes", "kernels", "standardise", "batch_norm", "adds", "dropout", "overlap",
                "prefetch_jobs", "short_paths", "shared_engine", "standalone")  # fmt: skip
    for name in booleans:
        if not isinstance(getattr(cfg, name), bool):
            raise TridentError(f"{name} must be true or false, not {getattr(cfg, name)!r}")
    for name in ("lanes", "words", "forward_cols", "backward_cols", "weight_grad_cols"):
        if not _power_of_two(getattr(cfg, name)):
            raise TridentError(f"{name} must be a power of two, not {getattr(cfg, name)}")
    for name in ("forward_cols", "backward_cols"):
        if cfg.timesteps % getattr(cfg, name):
            raise TridentError(f"{name} of {getattr(cfg, name)} must divide timesteps, which is {cfg.timesteps}")
    if cfg.spare >= cfg.timesteps:
        raise TridentError(f"spare of {cfg.spare} must be less than timesteps, which is {cfg.timesteps}")
    if cfg.planes and cfg.forward_cols > 1:
        raise TridentError(f"planes of real values need forward_cols of 1, not {cfg.forward_cols}")
    if cfg.lanes % cfg.weight_grad_cols:
        raise TridentError(f"weight_grad_cols of {cfg.weight_grad_cols} must divide lanes, which is {cfg.lanes}")
    for name, fixed in (("accumulator_bits", cfg.fixed), ("gradient_bits", cfg.fixed_of("weight_grad"))):
        if fixed.limit(cfg.format, 2, room=1) <= cfg.format.bias:
            raise TridentError(
                f"{name} of {fixed.bits} from 2**{fixed.place} on are too few: a sum must take more than one "
                "number of 1"
            )
    for place in PLACES:
        if cfg.engine(place) != first_engine(place):
            option = f"{place}_engine of {getattr(cfg, f'{place}_engine')!r}"
            require(cfg.capabilities, option, (Capability.ENGINES,))
    for name, known in DECLARED.items():
        if getattr(cfg, name) not in known:
            raise TridentError(f"{name} must be one of {', '.join(known)}, not {getattr(cfg, name)!r}")
    if cfg.tables and cfg.frac < PIECE_BITS:
        raise TridentError(
            f"the function {cfg.tables[0].text} needs frac of at least {PIECE_BITS}, not {cfg.frac}: its table "
            f"has {1 << PIECE_BITS} pieces per power of two"
        )
    if cfg.learns and not cfg.exact:
        raise TridentError(
            f"{next(own.learned for own in cfg.neurons if own.learns)}s that are learned need exact gradients: "
            f"gradient_bits of more than {FLOAT_GRADIENTS}, not {cfg.gradient_bits}"
        )
    if len(cfg.neurons) > NEURONS:
        raise TridentError(f"a core has at most {NEURONS} neurons, not {len(cfg.neurons)}")
    for program in (*cfg.forward_programs, *cfg.backward_programs, *cfg.leak_programs):
        number_fields(program)
    smooth = {own.surrogate: None for own in cfg.neurons if own.backward.tables}
    if len(smooth) > 1:
        raise TridentError(f"a core has room for the table of one surrogate, not of {' and '.join(smooth)}")
    number_fields(cfg.update_program, UPDATE_NUMBERS)
    if cfg.counters not in COUNTERS:
        raise TridentError(f"counters must be one of {', '.join(COUNTERS)}, not {cfg.counters!r}")
    if cfg.weight_rows % cfg.lanes:
        raise TridentError(f"weight_rows of {cfg.weight_rows} must be a multiple of lanes, which is {cfg.lanes}")
    if (cfg.batch_norm or cfg.adds or cfg.window > 1) != (cfg.sum_words > 0):
        needs = "are for" if cfg.sum_words else "are needed for"
        raise TridentError(f"sum_words of {cfg.sum_words}: words of sums {needs} batch_norm, adds or a window of sums")
    if (max(cfg.window, cfg.join) > 1) != (cfg.winner_words > 0):
        needs = "are for" if cfg.winner_words else "are needed for"
        raise TridentError(f"winner_words of {cfg.winner_words}: words of winners {needs} a window or join of pixels")
    if cfg.overlap and not cfg.winner_words:
        raise TridentError("overlap is of windows: it needs a window or join of 2 pixels or more")
    if cfg.shared_engine:
        _check_shared(cfg)
    elif cfg.standalone:
        raise TridentError("standalone takes a shared_engine: other cores are the same with and without others")
    if cfg.chunks > 1 and not cfg.exact:
        raise TridentError(
            f"chunks of {cfg.chunks} need exact gradients, which no chunk rounds: gradient_bits of more than "
            f"{FLOAT_GRADIENTS}"
        )
    if cfg.voters > 1 and cfg.loss in READOUT_LOSSES:
        raise TridentError(f"voters of {cfg.voters} count spikes, so the loss cannot be {cfg.loss}")
    if cfg.soft_targets and cfg.loss == "table":
        raise TridentError(f"soft_targets of {cfg.soft_targets} are of a softmax: loss cannot be table")
    entries = 1 << cfg.loss_bits + cfg.label_bits
    if entries > LOSS_ENTRIES:
        of = f" of {cfg.voters} voters" if cfg.voters > 1 else ""
        raise TridentError(
            f"loss_tables of {cfg.loss_tables} with {cfg.steps} timesteps{of} take {entries} entries, more than the "
            f"{LOSS_ENTRIES} that can be written"
        )
    needed = max(cfg.entries_per_word(engine) for engine in PLACES)
    if cfg.accumulators < needed:
        raise TridentError(
            f"accumulators of {cfg.accumulators} must be at least {needed} for {cfg.lanes} lanes and "
            f"{cfg.timesteps} timesteps"
        )


def _check_shared(cfg: "CoreConfig"):
    """Raise TridentError for what a shared engine cannot be built with."""
    for name in ("lanes", "words", "forward_cols", "backward_cols", "weight_grad_cols"):
        if getattr(cfg, name) != 1:
            raise TridentError(f"with shared_engine, {name} must be 1, not {getattr(cfg, name)}")
    if cfg.chunks > 1 or cfg.spare:
        require(cfg.capabilities, f"a sample of {cfg.steps} timesteps", (Capability.CHUNKS,))
    if cfg.planes:
        require(cfg.capabilities, "real-valued input, or the mean of pixels,", (Capability.PLANES,))
    if cfg.kernels:
        require(cfg.capabilities, "kernels", (Capability.KERNELS,))
    if cfg.standardise:
        require(cfg.capabilities, "standardise", (Capability.STANDARDISE,))
    if cfg.batch_norm:
        require(cfg.capabilities, "batch_norm", (Capability.BATCH_NORM,))
    if cfg.adds:
        require(cfg.capabilities, "adds", (Capability.ADDS,))
    if cfg.window > 1:
        require(cfg.capabilities, f"window of {cfg.window}", (Capability.WINDOWS,))
    if cfg.join > 1:
        require(cfg.capabilities, f"join of {cfg.join}", (Capability.JOIN,))
    if cfg.pool > 1:
        require(cfg.capabilities, f"pool of {cfg.pool}", (Capability.POOL,))
    if cfg.dropout:
        require(cfg.capabilities, "dropout", (Capability.DROPOUT,))
    if cfg.walks > 1:
        what = "a network whose spikes or sums are added, or spikes read by several layers,"
        require(cfg.capabilities, what, (Capability.WALKS,))
    if cfg.loss_tables > 1:
        require(cfg.capabilities, f"loss_tables of {cfg.loss_tables}, for class weights,", (Capability.LOSS_TABLES,))
    if cfg.voters > 1:
        require(cfg.capabilities, f"voters of {cfg.voters}", (Capability.VOTERS,))
    if cfg.jobs > FEW_JOBS:
        raise TridentError(f"with shared_engine, jobs must be at most {FEW_JOBS}, not {cfg.jobs}")
    if cfg.timesteps not in (2, 4, 8):
        raise TridentError(f"with shared_engine, timesteps must be 2, 4 or 8, not {cfg.timesteps}")
    if cfg.counters != "running":
        raise TridentError(f"with shared_engine, counters must be running, not {cfg.counters}")
    for name, known in COMPACT_PROGRAMS.items():
        if getattr(cfg, name) not in known:
            require(cfg.capabilities, f"{name} of {getattr(cfg, name)}", (Capability.PROGRAMS,))
    if cfg.exact:
        raise TridentError(
            f"with shared_engine, gradients are floats: gradient_bits must be {FLOAT_GRADIENTS}, not "
            f"{cfg.gradient_bits}"
        )
