"""Cases of rows that are added to others."""

import numpy as np

from tests.cocotb.placing import Case, Placing
from trident.hw.isa.job import JOB
from trident.hw.isa.spaces import Space
from trident.sim.golden.addition import addition

_ADDRESSES = 1 << JOB.shape()["aux"].width


class AddPlacing(Placing):
    """Two images of rows anywhere in a memory, and a third for their sums, or one of them."""

    def addition(self) -> Case:
        """Errors and their masks; sums are added likewise."""
        rng, cfg = self.rng, self.cfg
        y, x = (int(n) for n in rng.integers(1, (4, 5)))
        channels = int(rng.integers(1, 2 * cfg.lanes + 2))
        shape = (y, x, cfg.timesteps, channels)
        words, take = y * x * -(-channels // cfg.lanes), int(rng.integers(2))
        own, other = (self._values(shape) * self._spikes(shape) for _ in range(2))
        flat = (part.reshape(-1, cfg.timesteps, channels) for part in (own, other))
        total, fault = addition(*flat, self.sums, cfg.multiplier_subnormals)
        total = total.reshape(shape)
        bases = [int(n) * (words + 2) for n in rng.permutation(3)]  # of the row that is src, of the other, of sums
        if rng.random() < 0.6:
            bases[2] = bases[rng.integers(2)]
        src, beside, dst = bases
        job = {"src": src, "dst": dst, "aux": (beside - dst) % _ADDRESSES, "count": words, "take": take}
        case = self._case(job)
        case.fault = bool(fault.any())
        first, second = (own, other) if take else (other, own)
        before = self._rows(src, first) | self._rows(beside, second)
        behind = (dst + words) << cfg.step_bits
        before.setdefault(behind, 1)  # must stay
        case.memories = {Space.ERRORS: before, Space.ERROR_MASKS: {}}
        after = before | self._rows(dst, total)
        case.after[Space.ERRORS] = {address: (row, -1, f"row {address}") for address, row in after.items()}
        masks = self._image(dst, (total != 0).astype(np.uint8))
        case.after[Space.ERROR_MASKS] = {address: (word, -1, f"mask {address}") for address, word in masks.items()}
        return case
