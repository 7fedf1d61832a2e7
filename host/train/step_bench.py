"""The test bench of a whole chip: minibatches on the RTL and on golden, every memory compared bit by bit."""

from dataclasses import dataclass

import numpy as np

from trident.host.compile.chip_plan import Plan
from trident.host.driver.driver import BatchResult, Driver, Link
from trident.host.driver.session import ChipSession
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import writer
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import encode
from trident.sim.golden.trainer import GoldenTrainer, Trace
from trident.snn.network import Network
from trident.snn.partition import Partition
from trident.snn.settings import NeuronSettings

# Memories of weights, and the fields of golden's layers that they hold
STATE = {
    Space.GRADIENTS: ("gradients", "bias_gradients"),
    Space.MOMENTUM: ("momenta", "bias_momenta"),
    Space.WEIGHTS: ("weights", "biases"),
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
    """What golden says about one minibatch: per sample its trace, the faults so far and every replica's gradients so
    far."""

    traces: list[Trace]
    counts: np.ndarray
    faults: list[np.ndarray]
    gradients: list[list[list[tuple[np.ndarray, np.ndarray]]]]


class StepBench:
    """A network on the RTL of a chip behind ``link`` and on the golden trainer, from the same weights.

    Raises what :class:`Plan` and :class:`Driver` raise.
    """

    def __init__(
        self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, link: Link, seed: int = 0,
        mesh: MeshConfig | None = None, partition: Partition | None = None, placement: tuple[int, ...] | None = None,
    ):  # fmt: skip
        self.network, self.cfg, self.link = network, cfg, link
        self.golden = GoldenTrainer(network, neuron, cfg, seed, partition)
        plan = Plan(network, cfg, mesh, partition, placement)
        self.replicas = plan.partition.replicas
        self.session = ChipSession(Driver(link, cfg, mesh), plan, self.golden.constants)
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
        golden.update(constants)
        mismatch = self._compare_memories(expected, len(labels))
        mismatch = mismatch or self._compare_counts(expected.counts, found.counts) or self._compare_update(found)
        return mismatch, found

    def infer(self, spikes: np.ndarray) -> tuple[Mismatch | None, BatchResult]:
        """Only the forward pass of samples, uint8 (N, T, y, x, c)."""
        self.golden.start_batch()
        traces = [self.golden.infer(sample, n % self.replicas) for n, sample in enumerate(spikes)]
        counts = np.stack([self.golden.counts(trace) for trace in traces])
        found = self.session.run(spikes, np.zeros(len(spikes), np.int64), train=False)
        mismatch = self._compare_counts(counts, found.counts) or self._compare_faults(self.golden.faults, found.faults)
        return mismatch or self._compare_forward(traces), found

    def _expect(self, spikes, labels, table) -> Expected:
        traces, faults, gradients = [], [], []
        for n, (sample, label) in enumerate(zip(spikes, labels, strict=True)):
            traces.append(self.golden.train_sample(sample, int(label), table, n % self.replicas))
            faults.append(self.golden.faults.copy())
            gradients.append([self._golden_state(Space.GRADIENTS, replica) for replica in range(self.replicas)])
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
        zeros = [(np.zeros_like(w), np.zeros_like(b)) for w, b in self._golden_state(Space.WEIGHTS)]
        self.session.load_rows(Space.GRADIENTS, zeros)

    def _golden_state(self, space: Space, replica: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        result = []
        for layer in self.golden.layers:
            arrays = [getattr(layer, name) for name in STATE[space]]
            if space == Space.GRADIENTS:
                arrays = [array[replica] for array in arrays]
            result.append(tuple(encode(array, self.golden.fmt) for array in arrays))
        return result

    # Comparisons, in the order of the data flow
    def _compare_samples(self, expected: Expected, found: BatchResult, count: int) -> Mismatch | None:
        """After a run of the first ``count`` samples without an update."""
        if mismatch := self._compare_memories(expected, count):
            return mismatch
        for replica in range(self.replicas):
            rows = self.session.read_rows(Space.GRADIENTS, replica)
            for n, layer in reversed(list(enumerate(rows))):
                wanted = expected.gradients[count - 1][replica][n]
                if mismatch := self._compare_layer(Space.GRADIENTS, n, wanted, layer, sample=count - 1):
                    return mismatch
        return self._compare_counts(expected.counts[:count], found.counts) or self._compare_faults(
            expected.faults[count - 1], found.faults
        )

    def _compare_memories(self, expected: Expected, count: int) -> Mismatch | None:
        traces = expected.traces[:count]
        return self._compare_forward(traces) or self._compare_backward(traces)

    def _compare_forward(self, traces: list[Trace]) -> Mismatch | None:
        """What is still in memory, sample by sample."""
        session = self.session
        layers = range(len(self.network.layers))
        held = [session.held(len(traces), n) for n in layers]
        for sample, trace in enumerate(traces):
            for n in (n for n in layers if sample in held[n]):
                pairs = [(Space.SPIKES, trace.spikes[n], session.read_spikes(Space.SPIKES, n, sample))]
                if self.cfg.surrogate == "triangle":
                    potentials = encode(trace.potentials[n], self.golden.fmt)
                    pairs.append((Space.POTENTIALS, potentials, session.read_potentials(n, sample)))
                pairs.append((Space.MASKS, trace.masks[n], session.read_spikes(Space.MASKS, n, sample)))
                for space, wanted, found in pairs:
                    if mismatch := self._compare_image(space, n, sample, wanted, found):
                        return mismatch
        return None

    def _compare_backward(self, traces: list[Trace]) -> Mismatch | None:
        session = self.session
        layers = range(len(self.network.layers))
        held = [session.held(len(traces), n, errors=True) for n in layers]
        for sample, trace in enumerate(traces):
            for n in (n for n in reversed(layers) if sample in held[n]):
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
            wanted_layers = self._golden_state(space)
            for replica in range(self.replicas):
                layers = zip(wanted_layers, self.session.read_rows(space, replica), strict=True)
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
            writer(space), space.name.lower(), int(wanted[step, y, x, channel]), int(found[step, y, x, channel]),
            self.link.cycles, layer, sample, step, (("y", y), ("x", x), ("channel", channel)),
        )  # fmt: skip

    def _compare_layer(self, space, layer, wanted, found, sample=None, unit=None) -> Mismatch | None:
        """Pairs of arrays (taps, in, out) and (out,)."""
        for part, names, a, b in zip(("", " of biases"), (("tap", "in", "out"), ("out",)), wanted, found, strict=True):
            at = self._first(a, b)
            if at is not None:
                return Mismatch(
                    unit or writer(space), space.name.lower() + part, int(a[at]), int(b[at]), self.link.cycles, layer,
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

    def _compare_faults(self, wanted, found) -> Mismatch | None:
        at = self._first(wanted, found)
        if at is None:
            return None
        core = at[0]
        first = next(fault for fault in Fault if (int(wanted[core]) ^ found[core]) >> fault & 1)
        return Mismatch(
            first.name.lower(), "fault bits", int(wanted[core]), found[core], self.link.cycles,
            index=(("logical core", core),),
        )  # fmt: skip
