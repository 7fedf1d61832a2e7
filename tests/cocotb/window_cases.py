"""Cases of windows that may overlap, of the second layer's sums or spikes, and of their errors."""

from dataclasses import replace

import numpy as np

from tests.cocotb.placing import Case, Placing, payload_of
from trident.host.compile.chip_plan import ChipPlan
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_values
from trident.sim.golden.join import join
from trident.sim.golden.spread import spread_errors
from trident.sim.golden.window import first_largest, largest
from trident.snn.network.builder import Builder

LARGEST = 3  # windows of the cores that have these units


def with_windows(cfg: CoreConfig) -> CoreConfig:
    """A core that has these units; some have windows that overlap."""
    return replace(
        cfg, window=LARGEST, join=LARGEST, overlap=cfg.charge != "synaptic", winner_words=1024, sum_words=1024,
        program_words=256,
    )  # fmt: skip


class WindowPlacing(Placing):
    """The second layer of a network with a pool before or behind its neurons. Winners are where masks are here."""

    def window(self) -> Case:
        """The largest of every window, and whose they are."""
        self._windowed(joined=False)
        placed, steps = self.placed, self.cfg.timesteps
        values = self._values((*self.layer.sum_shape[:2], steps, self.layer.out_channels), 2.0)
        values[self.rng.random(values.shape) < 0.3] = 0.0  # so that some are equal
        values[self.rng.random(values.shape) < 0.1] = -0.0
        case = self._case(self._job("window") | {"aux": placed.winners.at(self.sample)})
        case.memories = {Space.POTENTIALS: self._rows(placed.sums.base, values), Space.MASKS: {}}
        (found,), (winners,) = largest(values[None], self.windows, self.fmt)
        case.after = {
            Space.POTENTIALS: self._found(self._rows(self.plan.largest.base, found), "largest"),
            Space.MASKS: self._used(self._winners(winners), winners),
        }
        return case

    def join(self) -> Case:
        """Joined spikes, and whose errors those of windows are."""
        self._windowed(joined=True)
        placed, (y, x, channels) = self.placed, self.layer.out_shape
        spikes = self._spikes((y, x, self.cfg.timesteps, channels))
        src, dst = placed.spikes.at(self.sample), placed.pooled.at(self.sample)
        job = self._job("join")
        job["src"] = (job["src"] + src - placed.spikes.base) % (1 << 16)
        case = self._case(job | {"aux": placed.winners.at(self.sample), "dst": dst})
        case.memories = {Space.SPIKES: self._image(src, spikes), Space.MASKS: {}}
        (found,), (winners,) = join(spikes[None], self.windows)
        case.after = {
            Space.SPIKES: self._found(self._image(dst, found) | self._image(src, spikes), "spikes"),
            Space.MASKS: self._used(self._winners(winners), winners),
        }
        return case

    def spread(self) -> Case:
        """Errors of windows at their largest pixels, in memory or on their way to neurons."""
        joined = bool(self.rng.integers(2))
        self._windowed(joined)
        layer, placed, cfg, bits = self.layer, self.placed, self.cfg, self.cfg.step_bits
        shape = (*layer.windows_shape[:2], cfg.timesteps, layer.out_channels)
        errors = self._values(shape)
        errors *= self._spikes(shape)
        large = self.rng.integers(3)  # of an error, and of sums of them
        if large:
            number = np.inf if large == 1 else float(to_values(self.fmt.inf - 1, self.fmt))
            errors[..., int(self.rng.integers(shape[2])), 0] = number
        pixels = (1, *layer.pixels_shape[:2], cfg.timesteps, layer.out_channels)
        keys = self.rng.integers(1, 9, pixels)
        if large == 2:  # at one pixel, that several windows have if they overlap
            at = max(self.windows.stride - self.windows.padding, 0)
            keys[:, at : at + 1, at : at + 1] = 9
        winners = first_largest(keys, self.windows)
        job, dst = self._job("spread"), placed.errors.at(self.sample)
        job["aux"] += placed.winners.at(self.sample) - placed.winners.base
        case = self._case(job | {"dst": dst})
        case.memories = {
            Space.ERRORS: self._rows(self.plan.window_errors.base, errors), Space.MASKS: self._winners(winners[0]),
            Space.ERROR_MASKS: {},
        }  # fmt: skip
        sums = self.sums if cfg.overlap else None
        (found,), fault = spread_errors(errors[None], winners, self.windows, layer.pixels_shape, sums)
        case.fault = bool(fault.any())
        rows = self._rows(dst, found)
        if not joined:
            case.after = {
                Space.ERRORS: self._found(rows, "errors"),
                Space.ERROR_MASKS: self._found(self._image(dst, (found != 0).astype(np.uint8)), "masks"),
            }
            return case
        words, items, shape = len(rows) // cfg.timesteps, cfg.items("backward"), error_item(Payloads(cfg, "backward"))
        for first in range(0, words, items):
            for t in reversed(range(cfg.timesteps)):
                for item, word in enumerate(range(first, min(first + items, words))):
                    tag = {"address": word, "item": item, "step": t}
                    payload, mask = payload_of(shape, rows[(dst + word) << bits | t], tag)
                    case.outputs.append((payload, mask, f"word {word}, timestep {t}"))
        return case

    def _windowed(self, joined: bool):
        """Put a pool before or behind the second layer's neurons; make the layer large enough."""
        rng, last = self.rng, self.network.layers[-1]
        self.cfg = with_windows(self.cfg)
        size = int(rng.integers(2, LARGEST + 1))
        stride = int(rng.integers(1 if self.cfg.overlap else size, size + 2))
        if rng.random() < 0.3:  # so far apart that pixels lie between windows
            stride = size + 2
        padding = int(rng.integers(0, size // 2 + 1))
        y, x = (int(n) for n in rng.integers(size, 8, 2))
        if size == stride and not padding:
            y += not (y % size or x % size)  # they are not to divide the image
        build = Builder((y, x, int(rng.integers(1, 4))))
        build.add("conv", channels=2, kernel=1)
        build.add("neuron")
        build.add("conv", channels=min(last.out_channels, 5), kernel=1, bias=False)
        for kind in ("neuron", "pool") if joined else ("pool", "neuron"):
            build.add(kind, **({"size": size, "stride": stride, "padding": padding} if kind == "pool" else {}))
        build.add("flatten")
        build.add("linear", outputs=2)
        build.add("neuron")
        self.network = build.network()
        self.plan = ChipPlan(self.network, self.cfg).plans[0]
        _, self.placed, _ = self.plan.layers
        self.layer = self.placed.layer
        self.windows = self.layer.windows
        self.sample = int(rng.integers(0, self.plan.spike_slots))

    def _winners(self, winners: np.ndarray) -> dict[int, int]:
        """Words of winners (windows y, windows x, T, channels): columns in windows, then rows, bit by bit."""
        base, words = self.placed.winners.at(self.sample), {}
        row, column = np.divmod(winners, self.windows.size)
        planes = [place >> n & 1 for place in (column, row) for n in range(self.cfg.tap_bits)]
        for n, plane in enumerate(planes):
            for address, word in self._image(base, plane.astype(np.uint8)).items():
                words[address] = words.get(address, 0) | word << n * self.cfg.spike_bits
        return words

    def _used(self, words: dict[int, int], winners: np.ndarray) -> dict[int, tuple[int, int, str]]:
        """Words of winners in the lanes that have a channel."""
        planes, bits = range(2 * self.cfg.tap_bits), self.cfg.spike_bits
        used = self._image(min(words), np.ones_like(winners))
        return {
            address: (word, sum(used[address] << n * bits for n in planes), f"winners of window {address - min(words)}")
            for address, word in words.items()
        }

    def _found(self, elements: dict[int, int], what: str) -> dict[int, tuple[int, int, str]]:
        return {address: (value, -1, f"{what}, element {address}") for address, value in elements.items()}
