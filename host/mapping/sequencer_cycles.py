"""Cycles of the sequencer, whose six queues take turns to have their next jobs loaded."""

from trident.host.compile.bands import count_bands
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network

TURN = 12  # of a job, beside its words that are read: its tokens are given, its instruction is read, it starts
OTHERS = 3  # jobs of a sample that are of no engine: the loss, or errors that come in, send and notify


def job_starts(network: Network, cfg: CoreConfig, layers: range, owners: int) -> tuple[tuple[int, int, int], int]:
    """Jobs per sample of forward, backward and weight_grad on a core with these layers, whose errors go to so many
    cores of others; and the cycles in which all jobs of a sample, and their further walks, are loaded."""
    forward = backward = weight_grad = further = 0
    for layer in (network.layers[n] for n in layers):
        bands = max(count_bands(part, cfg.lanes) for part in layer.parts)
        readers = [reader for reader in network.spike_readers[layer.number] if reader.number in layers]
        back = max((count_bands(reader, cfg.lanes) for reader in readers), default=0)
        forward, backward = forward + bands, backward + back
        weight_grad += layer.walks + sum(
            len(part.reads) * (count_bands(part, cfg.lanes) - 1) for part in layer.parts
        )
        further += (layer.walks - 1) * bands + max(len(readers) - 1, 0) * back
    chunks = cfg.chunks
    engines, further = (chunks * forward, chunks * (backward + owners), chunks * weight_grad), chunks * further
    return engines, (TURN + cfg.job_words) * (sum(engines) + OTHERS) + (cfg.job_words + 2) * further
