"""The kinds of jobs of a core, and how many of each its layers need."""

from trident.host.compile.bands import count_bands
from trident.hw.isa.operations import Opcode
from trident.snn.network.network import Network

# Jobs of a layer and chunk, of a layer, of a core, and for each core of the stage before: what they run, and what of,
# for messages
CHUNK_JOBS = {
    "forward": (Opcode.FORWARD, ""), "backward": (Opcode.BACKWARD, ""), "weight_grad": (Opcode.WEIGHT_GRAD, "")
}  # fmt: skip
POOL_JOBS = {"pool": (Opcode.POOL, " of the spikes")}  # of a pooled layer and chunk
DROP_JOBS = {"drop": (Opcode.DROP, " of the spikes")}  # of a layer with a dropout, and chunk
NORM_JOBS = {
    "norm": (Opcode.NORM, ""), "norm_frozen": (Opcode.NORM, ""), "norm_errors": (Opcode.NORM, " of the errors"),
}  # fmt: skip
FIRE_JOBS = {"fire": (Opcode.FIRE, "")}  # of a layer with a norm, windows or sums that are added, and chunk
ADDS = {"add": (Opcode.ADD, " of sums")}  # of a layer that adds those of others, and chunk, for each of these
ADD_ERRORS = {"add_errors": (Opcode.ADD_ERRORS, " of the errors")}  # likewise of a layer whose sums others add
SPREAD_JOBS = {"spread": (Opcode.SPREAD, " of the errors")}  # of a layer with windows of sums or of spikes, and chunk
WINDOW_JOBS = {"window": (Opcode.WINDOW, " of the sums")}
JOIN_JOBS = {"join": (Opcode.JOIN, " of the spikes")}
LEAK_GRADIENTS = {"leak_grad": (Opcode.WEIGHT_GRAD, " of the leaks")}  # of a layer that learns them, and chunk
LEAK_JOBS = {"leak": (Opcode.LEAK, ""), "tie": (Opcode.TIE, " of the leaks")}  # of such a layer
WINNER_JOBS = WINDOW_JOBS | JOIN_JOBS | SPREAD_JOBS
ADD_JOBS = ADDS | ADD_ERRORS
OTHER_JOBS = POOL_JOBS | DROP_JOBS | NORM_JOBS | FIRE_JOBS | WINNER_JOBS | LEAK_GRADIENTS | LEAK_JOBS | ADD_JOBS
LAYER_JOBS = {"update": (Opcode.UPDATE, ""), "update_bias": (Opcode.UPDATE, "")}
CORE_JOBS = {
    "send": (Opcode.SEND, " of the spikes"), "errors": (Opcode.RECEIVE, " of the errors"),
    "free": (Opcode.NOTIFY, " of free room"), "ready": (Opcode.NOTIFY, " of the replica before"),
    "reduce": (Opcode.REDUCE, " of the gradients"), "reduced": (Opcode.NOTIFY, " of reduced gradients"),
    "vote": (Opcode.NOTIFY, " of complete gradients"),
}  # fmt: skip
OWNER_JOBS = {"owner": (Opcode.BACKWARD, " to core {} of the stage before")}
PHASE_WORDS = 6 * 4  # of a program: a loop and two barriers of every queue
WALKS, UPDATES, SINGLE = tuple(CHUNK_JOBS), tuple(LAYER_JOBS), tuple(CORE_JOBS)


def bands(network: Network, layers: range, lanes: int, chunks: int) -> int:
    """The most jobs that grouped convolutions among these layers have more than others would have."""
    more = 0
    for n in layers:
        layer = network.layers[n]
        for part in layer.parts:
            beyond = count_bands(part, lanes) - 1
            readers = sum(len(network.spike_readers[source]) for source in part.sources if source is not None)
            more += beyond * (chunks * (layer.walks + readers + len(part.reads)) + len(UPDATES))
    return more


def sequencer_needs(
    network: Network, layers: range, lanes: int, owners: int = 0, chunks: int = 1, last: bool = True
) -> dict[str, int]:  # fmt: skip
    """Parameters of the sequencer that these layers on a core of so many lanes need at least, whose errors go to so
    many cores of others and whose samples have so many chunks of timesteps; ``last``: their errors are the loss's."""
    readers = [[reader for reader in network.spike_readers[n] if reader.number in layers] for n in layers]
    reads = sum(network.layers[n].walks - 1 for n in layers)  # beyond one of each
    walks = reads + sum(max(len(own) - 1, 0) for own in readers)
    pools = sum(network.layers[n].pool > 1 for n in layers)
    norms = sum(bool(network.layers[n].norm) for n in layers)
    own = chunks * (2 * len(layers) + sum(map(bool, readers)) + len(POOL_JOBS) * pools + reads)
    own += len(UPDATES) * sum(len(network.layers[n].parts) for n in layers)
    windows = sum(network.layers[n].windows is not None for n in layers)
    own += chunks * len(DROP_JOBS) * sum(network.layers[n].drop > 0 for n in layers)
    own += len(NORM_JOBS) * norms + chunks * 2 * windows  # each of one kind, and a spread
    own += chunks * sum(network.layers[n].keeps_sums + 2 * len(network.layers[n].adds) for n in layers)
    own += (len(LEAK_JOBS) + chunks) * sum(network.layers[n].learns for n in layers)
    own += bands(network, layers, lanes, chunks)
    own += chunks * owners + (0 if last else chunks - 1)
    words = own + 40 + PHASE_WORDS * (2 * norms + any(network.layers[n].learns for n in layers))
    return {"jobs": own + walks * chunks + len(SINGLE), "program_words": words}
