"""Registers that the host reads: who the core is, what it waits for, what it has done."""

from dataclasses import replace
from zlib import crc32

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB_NUMBER_BITS
from trident.hw.isa.limits import FEW_JOBS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.program import QUEUE_STATE
from trident.hw.isa.spaces import raw_spaces
from trident.hw.isa.tokens import Token

MAGIC = 0x54524944  # "TRID"

# Counters that every engine has, and the field of its activity that each counts
ENGINE_COUNTERS = {
    "running": "running",
    "issued": "issued",
    "useful": "useful",
    "drained": "drained",
    "stalled": "stalled",
    "rows": "row",
    "words": "word",
    "skipped": "skipped",
}

# What is counted while the core runs or not, but for cycles; of units and memories that not every core has, see below
COUNTED = (
    *(f"{engine}.{name}" for engine in ("forward", "backward", "weight_grad") for name in ENGINE_COUNTERS),
    "update.running",
    "receive.running",
    "send.running",
    "reduce.running",
    "mac.neuron",
    "mac.neuron_grad",
    "mac.update",
    *(f"{memory}.{access}"
      for memory in ("spikes", "masks", "errors", "error_masks", "gradients", "momentum", "weights")
      for access in ("reads", "writes")),
    "noc.flits_in",
    "noc.flits_out",
)  # fmt: skip

# Units whose multiply-adds are counted, and memories, with what says whether a core has them
OWN_UNITS = {
    "loss": lambda cfg: cfg.loss != "table",
    "norm": lambda cfg: cfg.batch_norm,
    "leak": lambda cfg: cfg.learns,
    "add": lambda cfg: cfg.adds,
    "add_errors": lambda cfg: cfg.adds,
}
OWN_MEMORIES = {
    "potentials": lambda cfg: cfg.keeps_potentials,
    "functions": lambda cfg: cfg.tables,
    "squares": lambda cfg: "r" in cfg.update_program.inputs,
    "raw": raw_spaces,
    "sums": lambda cfg: cfg.sum_words,
    "winners": lambda cfg: cfg.winner_words,
}

# With counters = "few"
_FEW = (
    *(f"{engine}.{name}" for engine in ("forward", "backward", "weight_grad") for name in ("running", "useful")),
    "noc.flits_out",
)  # fmt: skip

# With counters = "running"; the controller of a small core keeps them
RUNNING = tuple(f"{engine}.running" for engine in ("forward", "backward", "weight_grad"))

# queues: the states of three queues in a word, see trident.hw.isa.program.QUEUE_STATE
STATE = ("magic", "config", "status", "queues0", "queues1")
UPPER_BITS = JOB_NUMBER_BITS - QUEUE_STATE["job"].width  # of the number of a queue's job
TOKEN_COUNTS = tuple(f"token.{token.name.lower()}" for token in Token)


def own_units(cfg: CoreConfig) -> tuple[str, ...]:
    """Units of a core, beside those of all, whose multiply-adds are counted."""
    return tuple(name for name, has in OWN_UNITS.items() if has(cfg))


def own_memories(cfg: CoreConfig) -> tuple[str, ...]:
    """Memories of a core, beside those of all, whose accesses are counted: of the function table in every lane."""
    return tuple(name for name, has in OWN_MEMORIES.items() if has(cfg))


def counted(cfg: CoreConfig) -> tuple[str, ...]:
    """The counters that a core of this configuration has, ``cycles`` first."""
    if cfg.counters != "all":
        return "cycles", *{"few": _FEW, "running": RUNNING}[cfg.counters]
    accesses = (f"{memory}.{access}" for memory in own_memories(cfg) for access in ("reads", "writes"))
    return "cycles", *COUNTED, *(f"mac.{unit}" for unit in own_units(cfg)), *accesses


def state(cfg: CoreConfig) -> tuple[str, ...]:
    """The state of a core; with many jobs ``upper``, the :data:`UPPER_BITS` of the job of each queue, as well."""
    return *STATE, *(("upper",) if cfg.jobs > FEW_JOBS else ())


def registers(cfg: CoreConfig) -> tuple[str, ...]:
    """The registers of a core by index: its state, the counts of its tokens, its counters."""
    return *state(cfg), *TOKEN_COUNTS, *counted(cfg)


def config_digest(cfg: CoreConfig, mesh: MeshConfig) -> int:
    """32 bits that tell one configuration of a core from another; cores of meshes of all sizes are the same."""
    return crc32(repr((cfg, replace(mesh, width=1, height=1))).encode())
