"""Cycles of the sequencer, whose six queues take turns to have their next jobs loaded."""

from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network

TURN = 12  # of a job, beside its words that are read: its tokens are given, its instruction is read, it starts
OTHERS = 3  # jobs of a sample that are of no engine: the loss, or errors that come in, send and notify


def job_starts(network: Network, cfg: CoreConfig, layers: range, owners: int) -> tuple[tuple[int, int, int], int]:
    """Jobs per sample of forward, backward and weight_grad on a core with these layers, whose errors go to so many
    cores of others; and the cycles in which all jobs of a sample, and their further walks, are loaded."""
    chunks, walks = cfg.chunks, sum(network.layers[n].walks for n in layers)
    readers = [sum(reader.number in layers for reader in network.spike_readers[n]) for n in layers]
    engines = chunks * len(layers), chunks * sum(map(bool, readers)) + owners, chunks * walks
    further = chunks * (walks - len(layers) + sum(max(many - 1, 0) for many in readers))
    return engines, (TURN + cfg.job_words) * (sum(engines) + OTHERS) + (cfg.job_words + 2) * further
