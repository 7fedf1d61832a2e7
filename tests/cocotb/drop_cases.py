"""Cases of dropout: images of neurons, or of windows of them, of which a hash drops some."""

import numpy as np

from tests.cocotb.placing import Case, Placing
from trident.host.compile.packing import blocks
from trident.hw.isa.dropout import POWERS, WORD, halves, left_below
from trident.hw.isa.job import SAMPLE_BITS
from trident.hw.isa.spaces import Space
from trident.sim.golden.drop import drop, hashes, kept


class DropPlacing(Placing):
    """Images anywhere in the memories of spikes and masks, words behind them that must stay."""

    def drop(self) -> Case:
        """Any sample of any number of copies; often in place, as where windows are, and at times nothing is dropped."""
        rng, cfg = self.rng, self.cfg
        y, x, size = (int(n) for n in rng.integers(1, (5, 5, 4)))
        channels = int(rng.integers(1, 2 * cfg.lanes + 2))
        key, sample, step = (int(rng.integers(0, 1 << bits)) for bits in (32, 8, 6))
        first = int(rng.integers(0, step + 1))
        shape = (1, y, x, cfg.timesteps, channels)
        spikes, masks = (rng.random(shape) < 0.6), (rng.random((1, size * y, size * x, *shape[3:])) < 0.8)
        spikes, masks = spikes.astype(np.uint8), masks.astype(np.uint8)
        where = np.array([(first + sample * step) % (1 << SAMPLE_BITS)]), (y, x, channels)
        edge = rng.choice(hashes(key, *where).ravel().clip(1))  # a neuron that is the first to be dropped
        p = float(rng.choice([0, *POWERS, *[1 - edge / (1 << WORD)] * 5, 2.0**-WORD, 1 - 2.0**-WORD]))
        left = kept(key, p, *where)
        (dropped,), (after,) = drop(spikes, masks, left, size)
        groups = blocks(channels, cfg.lanes)
        words = y * x * groups
        src, aux = int(rng.integers(0, 9)), int(rng.integers(0, 9))
        dst = src if rng.random() < 0.5 else src + words + int(rng.integers(0, 3))
        job = {
            "src": src, "dst": dst, "aux": aux, "groups": groups, "src_y": y, "src_x": x, "last_tap": size - 1,
            "count": size * x * groups, "threshold": left_below(p) * (p > 0), "pass_step": first, "tap_step": step,
            **halves(key),
        }  # fmt: skip
        case = self._case(job, label=sample)
        before = {space: self._image(base, values) for space, base, values in (
            (Space.SPIKES, src, spikes[0]), (Space.MASKS, aux, masks[0]),
        )}  # fmt: skip
        behind = {Space.SPIKES: dst + words, Space.MASKS: aux + size**2 * words}
        for space, address in behind.items():  # what must stay
            before[space][address] = int(rng.integers(0, 2)) * ((1 << cfg.spike_bits) - 1)
        case.memories = {space: dict(image) for space, image in before.items()}
        written = {Space.SPIKES: (dst, dropped, x), Space.MASKS: (aux, after, size * x)}
        for space, (base, values, width) in written.items():
            expected = before[space] | self._image(base, values)
            case.after[space] = self._places(expected, min(expected), groups, width)
        return case
