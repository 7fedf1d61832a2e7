"""The comparator: what a chip has computed against golden, bit by bit, in the order of the data flow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trident.host.driver.driver import BatchResult
from trident.host.driver.session import ChipSession
from trident.hw.errors import Failure
from trident.hw.isa.faults import Fault
from trident.hw.isa.operations import writer
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.trace import Trace
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.network.network import Tensors

# Names of the dimensions of a parameter, by how many it has
_DIMENSIONS = {1: ("out",), 3: ("tap", "in", "out")}


class Divergence(Failure):
    """RTL and golden differ; the message says where first."""


@dataclass(frozen=True)
class Mismatch:
    """The first place where RTL and golden differ, as raw bits.

    unit: which unit wrote the value; what: which value of it; layer: from 0; sample: within the minibatch, or None
    where there is none; step: timestep, or None; index: names and numbers of the value's place; cycle: when it was
    seen.
    """

    unit: str
    what: str
    expected: int
    found: int
    cycle: int
    layer: int | None = None
    sample: int | None = None
    step: int | None = None
    index: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        places = (("layer", self.layer), ("sample", self.sample), ("timestep", self.step), *self.index)
        where = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        bits = f"expected {self.expected:#06x}, found {self.found:#06x}"
        return f"{self.unit}: {self.what} at {where or 'the end'}: {bits}, by cycle {self.cycle}"


class Comparator:
    """Memories and answers of the chip of ``session`` against ``golden``: without a tolerance, the first difference."""

    def __init__(self, golden: GoldenTrainer, session: ChipSession):
        self.golden, self.session = golden, session
        self.plan, self.network, self.cfg = session.plan, session.plan.network, session.cfg
        self.replicas = self.plan.partition.replicas

    @property
    def _cycle(self) -> int:
        return self.session.driver.chip.cycles

    # What comes back of a run
    def answers(self, counts: np.ndarray, faults: Sequence[int], found: BatchResult) -> Mismatch | None:
        """Spike counts (N, classes), then the faults of every logical core."""
        return self.counts(counts, found.counts) or self.faults(faults, found.faults)

    def counts(self, wanted: np.ndarray, found: np.ndarray) -> Mismatch | None:
        """Spikes that the last layer fired, or what its readouts say, (N, classes)."""
        last = self.network.layers[-1]
        if last.readout:
            wanted, found = (to_bits(values, self.golden.fmt) for values in (wanted, found))
        at = _first(wanted, found)
        if at is None:
            return None
        return Mismatch(
            "send", "output" if last.readout else "spike count", int(wanted[at]), int(found[at]), self._cycle,
            last.number, at[0], None, (("class", at[1]),),
        )  # fmt: skip

    def faults(self, wanted: Sequence[int], found: Sequence[int]) -> Mismatch | None:
        """Fault bits of every logical core."""
        at = _first(wanted, found)
        if at is None:
            return None
        core = at[0]
        first = next(fault for fault in Fault if (int(wanted[core]) ^ found[core]) >> fault & 1)
        return Mismatch(
            first.name.lower(), "fault bits", int(wanted[core]), found[core], self._cycle,
            index=(("logical core", core), ("mesh core", self.plan.placement[core])),
        )  # fmt: skip

    # Parameters
    def state(self, spaces: Sequence[Space], unit: str = "") -> tuple[int, Mismatch | None]:
        """How many weights, momenta or gradients of all replicas differ from what golden has, and the first."""
        count, first = 0, None
        for space in spaces:
            for replica in range(self.replicas):
                wanted = self.golden.bits(space, replica)
                found = self.session.read(space, replica)
                count += sum(int((found[name] != wanted[name]).sum()) for name in wanted)
                first = first or self.tensors(space, wanted, found, replica, unit=unit)
        return count, first

    def tensors(
        self, space: Space, wanted: Tensors, found: Tensors, replica: int, sample: int | None = None, unit: str = "",
        reverse: bool = False,
    ) -> Mismatch | None:  # fmt: skip
        """Parameters by name, as raw bits; ``reverse``: those of the last layer first."""
        for layer in self.network.parts[:: -1 if reverse else 1]:
            for name in layer.parameters:
                at = _first(wanted[name], found[name]) if name in wanted else None
                if at is not None:
                    index = tuple(zip(_DIMENSIONS[len(at)], at, strict=True))
                    return Mismatch(
                        unit or writer(space), f"{space.name.lower()} of {name}", int(wanted[name][at]),
                        int(found[name][at]), self._cycle, layer.number, sample, None,
                        (("replica", replica), *index) if self.replicas > 1 else index,
                    )  # fmt: skip
        return None

    # What the samples of a minibatch have left in memory
    def samples(self, traces: list[Trace]) -> Mismatch | None:
        """Spikes, masks, potentials, errors and error masks of all layers, as far as they are still there."""
        return self.forward(traces) or self.backward(traces)

    def forward(self, traces: list[Trace]) -> Mismatch | None:
        """What the forward pass has left, sample by sample."""
        session = self.session
        held = [session.held(len(traces), layer.number) for layer in self.network.layers]
        for sample, trace in enumerate(traces):
            layers = [layer for layer in self.network.layers if layer.fires and sample in held[layer.number]]
            for n in (layer.number for layer in layers):
                if self.network.layers[n].readout:
                    outputs = session.read_outputs(n, sample).ravel()
                    if mismatch := self.counts(trace.outputs, [to_values(outputs, self.golden.fmt)]):
                        return replace(mismatch, unit="neuron", sample=sample)
                    pairs = []
                else:
                    pairs = [(Space.SPIKES, trace.spikes[n], session.read_spikes(Space.SPIKES, n, sample))]
                if self.cfg.keeps_potentials:
                    potentials = to_bits(trace.potentials[n], self.golden.fmt)
                    pairs.append((Space.POTENTIALS, potentials, session.read_potentials(n, sample)))
                pairs.append((Space.MASKS, trace.masks[n], session.read_spikes(Space.MASKS, n, sample)))
                for space, wanted, found in pairs:
                    if mismatch := self._image(space, n, sample, wanted, found):
                        return mismatch
                if self.network.layers[n].rewrites:
                    found = session.read_spikes(Space.SPIKES, n, sample, pooled=True)
                    if mismatch := self._image(Space.SPIKES, n, sample, trace.pooled[n], found):
                        unit = "drop" if self.network.layers[n].drop else "pool"
                        return replace(mismatch, unit=unit, what="spikes that layers above read")
        return None

    def backward(self, traces: list[Trace]) -> Mismatch | None:
        """What the backward pass has left, sample by sample."""
        session = self.session
        held = [session.held(len(traces), layer.number, errors=True) for layer in self.network.layers]
        for sample, trace in enumerate(traces):
            for n in (layer.number for layer in reversed(self.network.layers) if sample in held[layer.number]):
                errors = to_bits(trace.errors[n], self.golden.fmt)
                masks = (trace.errors[n] != 0).astype(np.uint8)
                mismatch = self._image(Space.ERRORS, n, sample, errors, session.read_errors(n, sample))
                mismatch = mismatch or self._image(
                    Space.ERROR_MASKS, n, sample, masks, session.read_spikes(Space.ERROR_MASKS, n, sample)
                )
                if self.network.layers[n].learns and not mismatch:
                    terms = to_bits(trace.leak_terms[n], self.golden.fmt)
                    mismatch = self._image(Space.ERRORS, n, sample, terms, session.read_errors(n, sample, terms=True))
                    mismatch = mismatch and replace(mismatch, what="terms of the leaks' gradients")
                if mismatch:
                    return mismatch
        return None

    def _image(self, space: Space, layer: int, sample: int, wanted, found) -> Mismatch | None:
        """Arrays (y, x, T, channel): the earliest timestep first, for errors the latest."""
        of = self.network.layers[layer]
        first = space in (Space.ERRORS, Space.ERROR_MASKS) and of.planes and of.norm  # has the sum over time, alone
        steps = slice(0, 1 if first else None)
        wanted, found = (np.moveaxis(np.asarray(array)[:, :, steps], 2, 0) for array in (wanted, found))
        last_first = space in (Space.ERRORS, Space.ERROR_MASKS)
        order = slice(None, None, -1) if last_first else slice(None)
        at = _first(wanted[order], found[order])
        if at is None:
            return None
        step, y, x, channel = (len(wanted) - 1 - at[0] if last_first else at[0]), *at[1:]
        return Mismatch(
            writer(space), space.name.lower(), int(wanted[step, y, x, channel]), int(found[step, y, x, channel]),
            self._cycle, layer, sample, step, (("y", y), ("x", x), ("channel", channel)),
        )  # fmt: skip


def _first(wanted, found) -> tuple[int, ...] | None:
    """The first place where two arrays differ."""
    wrong = np.argwhere(np.asarray(wanted) != np.asarray(found))
    return tuple(map(int, wrong[0])) if len(wrong) else None
