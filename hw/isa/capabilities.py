"""What a core may have or lack by its kind, so that what needs it is refused before anything is built."""

from collections.abc import Iterable
from enum import Enum

from trident.hw.errors import TridentError


class Capability(Enum):
    """What operations and options need: its name in messages, and which cores have it not."""

    ENGINES = "exchangeable engines", "a core with a shared_engine"  # each place has an engine that is chosen by name
    PROGRAMS = "vector programs", "a core with a shared_engine"  # beyond those that its firmware knows
    PLANES = "planes of real values", "a core without planes or with a shared_engine"
    POOL = "a pool unit", "a core with pool of 1 or a shared_engine"
    WALKS = "sums of several walks", "a core with walks of 1 or a shared_engine"
    KERNELS = "convolutions of any kind", "a core without kernels or with a shared_engine"
    CHUNKS = "chunks of timesteps", "a core with a shared_engine"
    LOSS_TABLES = "a loss table of every label", "a core with a shared_engine"
    VOTERS = "several voters for a class", "a core with voters of 1 or a shared_engine"
    STANDARDISE = "a unit for standardised weights", "a core without standardise or with a shared_engine"
    BATCH_NORM = "a unit for batch norm", "a core without batch_norm or with a shared_engine"
    SUMS = "a memory of sums", "a core without batch_norm and adds and with window of 1, or with a shared_engine"
    ADDS = "units that add sums", "a core without adds or with a shared_engine"
    WINDOWS = "windows of sums", "a core with window of 1 or a shared_engine"
    JOIN = "windows of spikes that overlap", "a core with join of 1 or a shared_engine"
    SPREAD = "a memory of winners", "a core with window and join of 1, or with a shared_engine"
    LEAKS = "leaks that are learned", "a core whose neurons learn none or with a shared_engine"
    DROPOUT = "a dropout unit", "a core without dropout or with a shared_engine"
    NEIGHBOURS = "neighbours", "a standalone core"  # rows and tokens come from other cores and go there

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def lacking(self) -> str:
        return self.value[1]


def require(has: frozenset[Capability], what: str, needs: Iterable[Capability]):
    """Raise :class:`TridentError` if ``what``, an operation or an option, needs one that a core has not."""
    for capability in needs:
        if capability not in has:
            raise TridentError(f"{what} needs {capability.label}, which {capability.lacking} has not")
