"""The test bench of a whole core: minibatches on the RTL and on golden, every memory compared bit by bit."""

from dataclasses import dataclass

import numpy as np

from host.compiler import Plan
from host.constants import UpdateConstants
from host.driver import BatchResult, CoreSession, Driver, Link
from host.network import Network
from host.settings import NeuronSettings
from hw.config import CoreConfig
from hw.layouts import GRADIENT_FAULTS, Fault, Space
from sim.golden.format import encode
from sim.golden.trainer import GoldenTrainer, Trace

# Memories of weights, and the fields of golden's layers that they hold
STATE = {
    Space.GRADIENTS: ("gradients", "bias_gradients"),
    Space.MOMENTUM: ("momenta", "bias_momenta"),
    Space.WEIGHTS: ("weights", "biases"),
}
# The unit that writes each memory
UNITS = {
    Space.SPIKES: "neuron",
    Space.MASKS: "neuron",
    Space.POTENTIALS: "neuron",
    Space.ERRORS: "neuron_grad",
    Space.ERROR_MASKS: "neuron_grad",
    Space.GRADIENTS: "weight_grad",
    Space.MOMENTUM: "update",
    Space.WEIGHTS: "update",
}


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


@dataclass(frozen=True)
class Expected:
    """What golden says about one minibatch: per sample its trace, the faults so far and the gradients so far."""

    traces: list[Trace]
    counts: np.ndarray
    faults: list[int]
    gradients: list[list[tuple[np.ndarray, np.ndarray]]]


class StepBench:
    """A network on the RTL of one core behind ``link`` and on the golden trainer, from the same weights.

    Raises what :class:`Plan` and :class:`Driver` raise.
    """

    def __init__(self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, link: Link, seed: int = 0):
        self.network, self.cfg, self.link = network, cfg, link
        self.golden = GoldenTrainer(network, neuron, cfg, seed)
        self.session = CoreSession(Driver(link, cfg), Plan(network, cfg), self.golden.constants)
        self.session.load_rows(Space.WEIGHTS, self._golden_state(Space.WEIGHTS))

    # One minibatch
    def step(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, loss_scale: float
    ) -> tuple[Mismatch | None, BatchResult]:
        """Train one minibatch, uint8 (N, T, y, x, c), on both.

        The samples run twice: without the update, so that the gradients can be compared, then from cleared gradients
        with it. Returns the first difference in the order of the data flow, or None, and what the last run returned.
        """
        golden = self.golden
        table = golden.table(loss_scale)
        self.session.set_constants(constants, table)
        golden.start_batch()
        expected = self._expect(spikes, labels, table)
        self._clear_gradients()
        found = self.session.run(spikes, labels, train=True, update=False)
        if mismatch := self._compare_samples(expected, found, len(labels)):
            return self._first_sample(expected, spikes, labels) or mismatch, found
        self._clear_gradients()
        found = self.session.run(spikes, labels, train=True)
        golden.update(constants, bool(golden.faults & GRADIENT_FAULTS))
        mismatch = self._compare_memories(expected, len(labels))
        mismatch = mismatch or self._compare_counts(expected.counts, found.counts) or self._compare_update(found)
        return mismatch, found

    def infer(self, spikes: np.ndarray) -> tuple[Mismatch | None, BatchResult]:
        """Only the forward pass of samples, uint8 (N, T, y, x, c)."""
        self.golden.start_batch()
        traces = [self.golden.infer(sample) for sample in spikes]
        counts = np.stack([self.golden.counts(trace) for trace in traces])
        found = self.session.run(spikes, np.zeros(len(spikes), np.int64), train=False)
        mismatch = self._compare_counts(counts, found.counts) or self._compare_faults(self.golden.faults, found.faults)
        for n in self._held(len(spikes), self.session.plan.spike_slots):
            mismatch = mismatch or self._compare_forward(traces[n], n)
        return mismatch, found

    def _expect(self, spikes, labels, table) -> Expected:
        traces, faults, gradients = [], [], []
        for sample, label in zip(spikes, labels, strict=True):
            traces.append(self.golden.train_sample(sample, int(label), table))
            faults.append(self.golden.faults)
            gradients.append(self._golden_state(Space.GRADIENTS))
        return Expected(traces, np.stack([self.golden.counts(trace) for trace in traces]), faults, gradients)

    def _first_sample(self, expected: Expected, spikes, labels) -> Mismatch | None:
        """Run ever more of the samples until they differ: the memories then hold the sample that did."""
        for count in range(1, len(labels) + 1):
            self._clear_gradients()
            found = self.session.run(spikes[:count], labels[:count], train=True, update=False)
            if mismatch := self._compare_samples(expected, found, count):
                return mismatch
        return None

    def _clear_gradients(self):
        zeros = [(np.zeros_like(w), np.zeros_like(b)) for w, b in self._golden_state(Space.GRADIENTS)]
        self.session.load_rows(Space.GRADIENTS, zeros)

    def _golden_state(self, space: Space) -> list[tuple[np.ndarray, np.ndarray]]:
        layers, fmt = self.golden.layers, self.golden.fmt
        return [tuple(encode(getattr(layer, name), fmt) for name in STATE[space]) for layer in layers]

    # Comparisons, in the order of the data flow
    def _held(self, count: int, slots: int) -> range:
        """Samples of a minibatch that are still in memory."""
        return range(max(0, count - slots), count)

    def _compare_samples(self, expected: Expected, found: BatchResult, count: int) -> Mismatch | None:
        """After a run of the first ``count`` samples without an update."""
        mismatch = self._compare_memories(expected, count)
        for n, layer in reversed(list(enumerate(self.session.read_rows(Space.GRADIENTS)))):
            wanted = expected.gradients[count - 1][n]
            mismatch = mismatch or self._compare_layer(Space.GRADIENTS, n, wanted, layer, sample=count - 1)
        return (
            mismatch
            or self._compare_counts(expected.counts[:count], found.counts)
            or self._compare_faults(expected.faults[count - 1], found.faults)
        )

    def _compare_memories(self, expected: Expected, count: int) -> Mismatch | None:
        plan = self.session.plan
        for n in self._held(count, plan.spike_slots):
            if mismatch := self._compare_forward(expected.traces[n], n):
                return mismatch
        for n in self._held(count, plan.error_slots):
            if mismatch := self._compare_backward(expected.traces[n], n):
                return mismatch
        return None

    def _compare_forward(self, trace: Trace, sample: int) -> Mismatch | None:
        session = self.session
        for n in range(len(self.network.layers)):
            pairs = [(Space.SPIKES, trace.spikes[n], session.read_spikes(Space.SPIKES, n, sample))]
            if self.cfg.surrogate == "triangle":
                potentials = encode(trace.potentials[n], self.golden.fmt)
                pairs.append((Space.POTENTIALS, potentials, session.read_potentials(n, sample)))
            pairs.append((Space.MASKS, trace.masks[n], session.read_spikes(Space.MASKS, n, sample)))
            for space, wanted, found in pairs:
                if mismatch := self._compare_image(space, n, sample, wanted, found):
                    return mismatch
        return None

    def _compare_backward(self, trace: Trace, sample: int) -> Mismatch | None:
        session = self.session
        for n in reversed(range(len(self.network.layers))):
            errors = encode(trace.errors[n], self.golden.fmt)
            masks = (trace.errors[n] != 0).astype(np.uint8)
            mismatch = self._compare_image(Space.ERRORS, n, sample, errors, session.read_errors(n, sample))
            mismatch = mismatch or self._compare_image(
                Space.ERROR_MASKS, n, sample, masks, session.read_spikes(Space.ERROR_MASKS, n, sample)
            )
            if mismatch:
                return mismatch
        return None

    def _compare_update(self, found: BatchResult) -> Mismatch | None:
        for space in (Space.MOMENTUM, Space.WEIGHTS, Space.GRADIENTS):
            layers = zip(self._golden_state(space), self.session.read_rows(space), strict=True)
            for n, (wanted, layer) in enumerate(layers):
                if mismatch := self._compare_layer(space, n, wanted, layer, unit="update"):
                    return mismatch
        return self._compare_faults(self.golden.faults, found.faults)

    def _first(self, wanted, found) -> tuple[int, ...] | None:
        wrong = np.argwhere(np.asarray(wanted) != np.asarray(found))
        return tuple(map(int, wrong[0])) if len(wrong) else None

    def _compare_image(self, space: Space, layer: int, sample: int, wanted, found) -> Mismatch | None:
        """Arrays (y, x, T, channel): the earliest timestep first, for errors the latest."""
        wanted, found = (np.moveaxis(np.asarray(array), 2, 0) for array in (wanted, found))
        last_first = space in (Space.ERRORS, Space.ERROR_MASKS)
        order = slice(None, None, -1) if last_first else slice(None)
        at = self._first(wanted[order], found[order])
        if at is None:
            return None
        step, y, x, channel = (len(wanted) - 1 - at[0] if last_first else at[0]), *at[1:]
        return Mismatch(
            UNITS[space], space.name.lower(), int(wanted[step, y, x, channel]), int(found[step, y, x, channel]),
            self.link.cycles, layer, sample, step, (("y", y), ("x", x), ("channel", channel)),
        )  # fmt: skip

    def _compare_layer(self, space, layer, wanted, found, sample=None, unit=None) -> Mismatch | None:
        """Pairs of arrays (taps, in, out) and (out,)."""
        for part, names, a, b in zip(("", " of biases"), (("tap", "in", "out"), ("out",)), wanted, found, strict=True):
            at = self._first(a, b)
            if at is not None:
                return Mismatch(
                    unit or UNITS[space], space.name.lower() + part, int(a[at]), int(b[at]), self.link.cycles, layer,
                    sample, None, tuple(zip(names, at, strict=True)),
                )  # fmt: skip
        return None

    def _compare_counts(self, wanted, found) -> Mismatch | None:
        at = self._first(wanted, found)
        if at is None:
            return None
        return Mismatch(
            "send", "spike count", int(wanted[at]), int(found[at]), self.link.cycles, len(self.network.layers) - 1,
            at[0], None, (("class", at[1]),),
        )  # fmt: skip

    def _compare_faults(self, wanted: int, found: int) -> Mismatch | None:
        if wanted == found:
            return None
        first = next(fault for fault in Fault if (wanted ^ found) >> fault & 1)
        return Mismatch(first.name.lower(), "fault bits", wanted, found, self.link.cycles)
