"""Traffic of made-up networks, to train and to measure placers."""

from itertools import pairwise

import numpy as np

from trident.host.mapping.traffic import Flow, Traffic
from trident.hw.isa.job import FAN
from trident.hw.noc.topology import HOST


def pipeline(cores: int, seed: int, replicas: int = 4) -> Traffic:
    """The flows of replicas of a pipeline of stages of one to four cores: spikes and errors between all cores of
    neighbouring stages, gradients from replica to replica."""
    rng, members = np.random.default_rng(seed), cores // replicas
    cuts = [0]
    while cuts[-1] < members:
        cuts.append(min(cuts[-1] + int(rng.integers(1, FAN + 1)), members))
    stages = [range(first, end) for first, end in pairwise(cuts)]
    spikes, rows = rng.integers(4, 33, len(stages)), rng.integers(8, 65, len(stages))
    flows = []
    for first in range(0, replicas * members, members):
        flows += [(HOST, first + core, 16.0, "spikes") for core in stages[0]]
        flows += [(first + core, HOST, 1.0, "spikes") for core in stages[-1]]
        for number, (stage, above) in enumerate(pairwise(stages)):
            for core in stage:
                for other in above:
                    flows.append((first + core, first + other, float(spikes[number]), "spikes"))
                    flows.append((first + other, first + core, 2.0 * spikes[number] / len(above), "errors"))
    last = (replicas - 1) * members
    for number, stage in enumerate(stages):
        for core in stage:
            for replica in range(0, last, members):
                flows.append((replica + core, replica + members + core, rows[number] / 8, "gradients"))
                flows.append((last + core, replica + core, rows[number] / 8, "gradients"))
    return Traffic(replicas * members, tuple(Flow(a, frozenset({b}), float(n), kind) for a, b, n, kind in flows))
