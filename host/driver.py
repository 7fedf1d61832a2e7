"""The driver: what a host does with a core, whatever carries the words."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from host.compiler import Plan
from host.constants import NeuronConstants, UpdateConstants
from host.packing import pack_spikes, rows_to_words, unpack_spikes, words_to_rows
from hw.config import CoreConfig
from hw.counters import COUNTED, MAGIC, REGISTERS, STATE, config_digest
from hw.engines.loss import table_address
from hw.errors import TridentError
from hw.host_port import space_bits
from hw.layouts import HEADER, QUEUES, Fault, Packet, Space, Token, elements_to_words
from hw.sequencer import JOB_INDEX_BITS

STALL_LIMIT = 2_000_000  # cycles without a word that is due


class CoreStuck(RuntimeError):
    """The core does not answer; the message says which engine waits for which token."""


class Link(Protocol):
    """What carries words to and from a core; :class:`sim.verilated.VerilatedCore` is one."""

    def exchange(self, words: np.ndarray, wanted: int, limit: int) -> tuple[int, np.ndarray]: ...


@dataclass(frozen=True)
class BatchResult:
    """What came back of one run: spikes each class fired (N, classes) and the status word's parts."""

    counts: np.ndarray
    faults: int
    job: int

    def describe(self, plan: Plan) -> str:
        """The faults in words, with the layer."""
        names = [fault.name.lower() for fault in Fault if self.faults >> fault & 1]
        return f"{', '.join(names)}: first in {plan.describe_job(self.job)}"


class Driver:
    """One core behind a link. ``identify`` checks that it is the core that was asked for.

    Raises :class:`TridentError` when the core is of another configuration, :class:`CoreStuck` when it does not answer.
    """

    def __init__(self, link: Link, cfg: CoreConfig):
        self.link, self.cfg = link, cfg
        self.bits = space_bits(cfg)
        self.identify()

    def identify(self):
        """Raise TridentError unless the core is a Trident core of this configuration."""
        magic, digest = self.read(Space.REGISTERS, 0, 2)[:, 0]
        if magic != MAGIC:
            raise TridentError(f"what answers is no Trident core: it says {magic:#010x}, not {MAGIC:#010x}")
        if digest != config_digest(self.cfg):
            raise TridentError(
                f"the core has another configuration ({digest:#010x}) than the host expects "
                f"({config_digest(self.cfg):#010x})"
            )

    def _exchange(self, words: np.ndarray, wanted: int, limit: int) -> np.ndarray:
        given, out = self.link.exchange(words, wanted, limit)
        if given < len(words) or len(out) < wanted:
            raise CoreStuck(
                f"the core took {given} of {len(words)} words and gave {len(out)} of {wanted} in {limit} cycles; "
                f"{self._why()}"
            )
        return out

    def _why(self) -> str:
        """What the engines wait for, as far as the core still answers."""
        header = HEADER.pack(packet=Packet.READ, space=Space.REGISTERS, count=len(STATE))
        _, out = self.link.exchange(np.array([*header, 0], np.uint32), 1 + len(STATE), 10_000)
        if len(out) <= len(STATE):
            return "its host port does not answer"
        state = dict(zip(STATE, out[1:].tolist(), strict=True))
        waits = []
        for queue in QUEUES:
            missing = [t.name for t in Token if state[f"waiting.{queue.name.lower()}"] >> t & 1]
            if missing:
                waits.append(f"{queue.name.lower()} waits for {' and '.join(missing)}")
        active = [queue.name.lower() for n, queue in enumerate(QUEUES) if state["active"] >> n & 1]
        return "; ".join(waits + [f"running: {', '.join(active) or 'nothing'}"])

    def write(self, space: Space, address: int, elements: np.ndarray):
        """Write elements, uint32 (n, 32-bit pieces), from ``address``."""
        elements = np.ascontiguousarray(elements, np.uint32).reshape(-1, elements_to_words(self.bits[space]))
        header = HEADER.pack(packet=Packet.WRITE, space=space, count=len(elements))
        words = np.concatenate([np.array([*header, address], np.uint32), elements.reshape(-1)])
        self._exchange(words, 0, len(words) * 8 + 1000)

    def read(self, space: Space, address: int, count: int) -> np.ndarray:
        """Read ``count`` elements from ``address``: uint32 (count, 32-bit pieces)."""
        pieces = elements_to_words(self.bits[space])
        header = HEADER.pack(packet=Packet.READ, space=space, count=count)
        out = self._exchange(np.array([*header, address], np.uint32), 1 + count * pieces, count * pieces * 8 + 1000)
        return out[1:].reshape(count, pieces)

    def registers(self) -> dict[str, int]:
        """All registers by name, see :data:`hw.counters.REGISTERS`."""
        return dict(zip(REGISTERS, self.read(Space.REGISTERS, 0, len(REGISTERS))[:, 0].tolist(), strict=True))

    def counters(self) -> dict[str, int]:
        """Cycles and all counters, each modulo 2**32."""
        registers = self.registers()
        return {name: registers[name] for name in ("cycles", *COUNTED)}


class CoreSession:
    """A network on a core: load it, run minibatches, read it back."""

    def __init__(self, driver: Driver, plan: Plan, neuron: NeuronConstants):
        self.driver, self.plan, self.neuron = driver, plan, neuron
        self.cfg = plan.cfg
        self._program = None
        self._updates = UpdateConstants(0, 0, 0)
        self._write_jobs(plan.jobs(neuron, self._updates))
        for space in (Space.GRADIENTS, Space.MOMENTUM):
            zeros = [(np.zeros(p.layer.weight_shape), np.zeros(p.layer.out_channels)) for p in plan.layers]
            self.load_rows(space, zeros)

    def _write_jobs(self, jobs: dict[int, list[int]]):
        for number, words in jobs.items():
            self.driver.write(Space.JOBS, number << JOB_INDEX_BITS, np.array(words, np.uint32))

    def load_rows(self, space: Space, layers: list[tuple[np.ndarray, np.ndarray]]):
        """Write weights, momenta or gradients: per layer raw bits (taps, in, out) and (out,)."""
        for placed, (weights, biases) in zip(self.plan.layers, layers, strict=True):
            rows = placed.weights.pack(weights.astype(np.uint32), biases.astype(np.uint32))
            self.driver.write(space, placed.tile * self.cfg.lanes, rows_to_words(rows, self.cfg))

    def read_rows(self, space: Space) -> list[tuple[np.ndarray, np.ndarray]]:
        """Read weights, momenta or gradients, as :meth:`load_rows` takes them."""
        result = []
        for placed in self.plan.layers:
            words = self.driver.read(space, placed.tile * self.cfg.lanes, placed.weights.rows)
            result.append(placed.weights.unpack(words_to_rows(words, self.cfg)))
        return result

    def set_constants(self, updates: UpdateConstants, table: np.ndarray):
        """Learning rate, momentum and the loss table (raw bits (2, T + 1)) of the next minibatches."""
        if updates != self._updates:
            self._write_jobs(self.plan.update_jobs(updates))
            self._updates = updates
        for target, row in enumerate(table):
            first = table_address(self.cfg, count=0, target=bool(target))
            self.driver.write(Space.LOSS_TABLE, first, row.astype(np.uint32))

    def read_spikes(self, space: Space, layer: int, sample: int) -> np.ndarray:
        """Spikes, masks or error masks of a layer, uint8 (y, x, T, c); layer -1 is the input.

        ``sample`` counts within the minibatch; the last few samples are still there.
        """
        placed = self.plan.layers[layer]
        if layer < 0:
            region, shape = self.plan.input, self.plan.network.in_shape
        else:
            region = placed.errors if space == Space.ERROR_MASKS else placed.spikes
            shape = placed.layer.out_shape
        return unpack_spikes(self.driver.read(space, region.at(sample), region.size), shape, self.cfg)

    def read_errors(self, layer: int, sample: int) -> np.ndarray:
        """Errors of a layer as raw bits (y, x, T, c)."""
        placed = self.plan.layers[layer]
        return self._read_steps(Space.ERRORS, placed.errors.at(sample), placed)

    def read_potentials(self, layer: int, sample: int) -> np.ndarray:
        """Stored potentials of a layer as raw bits (y, x, T, c)."""
        placed = self.plan.layers[layer]
        return self._read_steps(Space.POTENTIALS, placed.spikes.at(sample), placed)

    def _read_steps(self, space: Space, base: int, placed) -> np.ndarray:
        bits, steps = self.cfg.step_bits, self.cfg.timesteps
        y, x, channels = placed.layer.out_shape
        words = self.driver.read(space, base << bits, placed.spikes.size << bits)
        rows = words_to_rows(words, self.cfg).reshape(y, x, placed.weights.groups, 1 << bits, self.cfg.lanes)
        lanes = rows[:, :, :, :steps].transpose(0, 1, 3, 2, 4).reshape(y, x, steps, -1)
        return lanes[..., :channels]

    def run(self, spikes: np.ndarray, labels: np.ndarray, train: bool, update: bool = True) -> BatchResult:
        """Run samples uint8 (N, T, y, x, c) through the core; with ``train`` they are one minibatch with its update,
        or, without ``update``, their gradients are added to those in memory."""
        program = self.plan.training_program(update) if train else self.plan.inference_program()
        if program != self._program:
            self.driver.write(Space.PROGRAM, 0, np.array(program, np.uint32))
            self._program = program
        samples = pack_spikes(spikes, self.cfg)
        count = len(samples)
        body = np.concatenate([labels.reshape(-1, 1).astype(np.uint32), samples.reshape(count, -1)], axis=1)
        header = np.full((count, 1), HEADER.pack(packet=Packet.SAMPLE, count=body.shape[1])[0], np.uint32)
        start = np.array([*HEADER.pack(packet=Packet.START), count], np.uint32)
        words = np.concatenate([start, np.hstack([header, body]).reshape(-1)])
        last = self.plan.layers[-1]
        answer = 1 + last.spikes.size * elements_to_words(self.cfg.spike_bits)
        out = self.driver._exchange(words, count * answer + 2, STALL_LIMIT * max(count, 1))
        status = int(out[-1])
        answers = out[:-2].reshape(count, answer)[:, 1:].reshape(count, last.spikes.size, -1)
        counts = np.stack([
            unpack_spikes(answer, last.layer.out_shape, self.cfg).sum(axis=2, dtype=np.int64).reshape(-1)
            for answer in answers
        ])  # fmt: skip
        return BatchResult(counts, status & 0xFF, status >> 8 & 0xFF)
