"""Cycles that the controller of a small core takes for a sample, beside those of its engine."""

from itertools import pairwise

from trident.host.compile.packing import blocks
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Packing
from trident.snn.network.network import Network
from trident.snn.network.partition import Stage

# Of the firmware, in cycles, with what its loop takes in between
JOB = 600  # tokens, set-up and end of a job
ROW_PACKET, ROW = 150, 13  # of errors that come in, with the credit for them
SUM_PACKET = 150  # of partial sums that come in, with the credit
SENT_PACKET = 105  # of rows that leave, with the credit that comes back
RUN = 150  # words of spikes that lie together and leave
SPIKE_PACKET = 60  # that comes in
CLASS = 60  # of the loss
UPDATE_ROW, REDUCE_ROW = 66, 46  # per minibatch

# Controller and engine work at once, but wait for each other: so much of the controller's cycles, and all those of the
# starts of jobs, is not beside the engine's, and so much adds to the time that a sample takes through a stage. Cores
# that sum their errors in turn wait for each other too, so much longer for each. Fitted to chips that were simulated.
APART, LATENCY, IN_TURN = 0.25, 0.65, 0.05


def row_packets(cfg: CoreConfig, mesh: MeshConfig, positions: int, groups: int) -> int:
    """Packets of rows of an image of so many positions and groups of lanes: a pass over the groups ends its packet."""
    longest = Packing(mesh, cfg.row_bits).per_packet
    tile = max(cfg.accumulators // cfg.timesteps, 1)
    passes = [tile] * (groups // tile) + [groups % tile] * (groups % tile > 0)
    return positions * sum(-(-count * cfg.timesteps // longest) for count in passes)


def jobs(stage: Stage, below: tuple[int, ...]) -> int:
    """Jobs per sample of a core of ``stage``, the layer below cut as ``below`` says: forward and weight_grad of every
    layer, backward of all but the first one, and of that one for every slice below; receive or loss, and send."""
    return 3 * len(stage.layers) + 1 + max(len(below) - 1, 0)


def controller_cycles(
    network: Network, cfg: CoreConfig, mesh: MeshConfig, stage: Stage, share: tuple[int, int], below: tuple[int, ...]
) -> int:
    """Of a core of ``stage`` with the channels ``share`` of its last layer; ``below``: where the layer below is cut."""
    layer, lanes = network.layers[stage.last], cfg.lanes
    y, x, channels = layer.out_shape
    groups, last = blocks(share[1] - share[0], lanes), layer is network.layers[-1]
    total = JOB * jobs(stage, below)
    if last:
        total += CLASS * groups * lanes
    else:
        total += row_packets(cfg, mesh, y * x, groups) * ROW_PACKET + y * x * groups * cfg.timesteps * ROW
    whole = share == (0, channels)
    words = Packing(mesh, cfg.spike_bits).per_packet
    total += RUN * (-(-y * x * groups // words) if whole else y * x)
    in_y, in_x, in_channels = network.layers[stage.first].image
    cuts = list(pairwise(below))
    for low, high in cuts or [(0, in_channels)]:
        own = blocks(high - low, lanes)
        total += SPIKE_PACKET * (-(-in_y * in_x * own // words) if len(cuts) < 2 else in_y * in_x)
        if cuts:
            packets = row_packets(cfg, mesh, in_y * in_x, own)
            total += packets * (SENT_PACKET + SUM_PACKET * (stage.cores > 1))
    return total


def update_cycles(cfg: CoreConfig) -> int:
    """Cycles per row of weights, whatever the core."""
    return UPDATE_ROW
