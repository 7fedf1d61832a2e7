"""A network's cycles with its real traffic in time: units of work whose packets pass the mesh flit by flit."""

from collections.abc import Sequence

import numpy as np

from trident.host.mapping.timing.arrays import arrays, beginning
from trident.host.mapping.timing.progress import run
from trident.host.mapping.timing.routers import WORK, make_network
from trident.host.mapping.timing.trees import trees
from trident.host.mapping.timing.workload import Workload
from trident.hw.errors import TridentError


class Timing:
    """A workload that is simulated again and again, with its cores on other places."""

    def __init__(self, workload: Workload):
        self.whole, self.small = workload, workload.image
        self._work = arrays(self.small)
        self.work = 0  # cycles of busy routers that were simulated

    def __call__(self, placement: Sequence[int]) -> float:
        """Cycles per sample when logical core n sits on mesh core ``placement[n]``. Raises :class:`TridentError` for a
        workload that waits for itself."""
        small, work, mesh = self.small, self._work, self.small.mesh
        ends = [placement[unit.core] for unit in small.units]
        places = np.array([*ends, mesh.cores], np.int64)
        packets = 4 * len(work.stream) + 2 * small.samples * len(work.targets) + 64
        events = packets + 16 * (len(work.unit) + len(work.stream))
        net = make_network(mesh, packets, trees(work, places, mesh.width, mesh.cores))
        state = beginning(small, work)
        done = run(work, state, net, places, np.zeros((events, 3), np.int64))
        self.work += int(net.counts[WORK])
        if not done:
            raise TridentError("the forecast of cycles cannot follow this network: its cores wait for each other")
        return self._per_sample(state.ends, int(state.end[0]))

    def _per_sample(self, ends: np.ndarray, end: int) -> float:
        whole, samples = self.whole, self.small.samples
        half = samples // 2
        pace = (ends[samples - 1] - ends[half - 1]) / (samples - half) if samples > 1 else end
        if whole.full:
            return float(pace * self.small.scale * whole.samples / whole.batch)
        cycles = (end + (whole.samples - samples) * pace) * self.small.scale
        return float(cycles + whole.rest) / whole.batch
