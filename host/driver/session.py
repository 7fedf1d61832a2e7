"""A network on a chip: load it, run minibatches, read it back."""

import numpy as np

from trident.host.compile.chip_plan import ChipPlan, unicast
from trident.host.compile.packing import (
    pack_spikes,
    rows_to_words,
    unpack_outputs,
    unpack_spikes,
    words_to_rows,
    words_to_sums,
)
from trident.host.compile.program import Program
from trident.host.driver.driver import QUIET, BatchResult, CoreStuck, Driver
from trident.host.driver.packets import received, unpack_bits
from trident.hw.errors import TridentError
from trident.hw.isa.job import JOB_INDEX_BITS, JOB_NUMBER_BITS
from trident.hw.isa.packets import Command, Packet, Packing
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces, space_bits, table_address
from trident.hw.isa.tokens import Token
from trident.hw.isa.words import WORD, elements_to_words
from trident.sim.golden.constants import NeuronConstants, UpdateConstants, function_lines
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.loss import LossConstants
from trident.sim.golden.parameters import tested_bits
from trident.snn.network.layers import Layer
from trident.snn.network.network import Tensors

LIMIT_UNIT = 1024  # cycles of the host tile's limit


class ChipSession:
    """The cores of a chip that hold a network, and the host tile.

    Weights, momenta and gradients are raw bits by the names of the network's parameters; those of several replicas are
    equal and written to all of them. Weights are those held for training, see :attr:`Layer.held`: in inference, the
    cores have others of layers behind a dropout, and these come back afterwards. ``minibatch`` is the number of the
    next one that is trained on; with ``seed`` it decides what dropout drops, as golden does. Raises :class:`CoreStuck`
    when the chip does not go on.
    """

    def __init__(self, driver: Driver, plan: ChipPlan, neuron: NeuronConstants, seed: int = 0):
        self.seed, self.minibatch = seed, 0
        self.driver, self.plan, self.neuron = driver, plan, neuron
        self.cfg, self.mesh = plan.cfg, plan.mesh
        self._neuron = neuron  # with the loss scale of the next minibatches
        self.routes = [unicast(self.mesh, place) for place in plan.placement]
        self._mode = None
        self._held: Tensors | None = None  # while the cores have the weights of inference, those of training
        self._programs: list[Program] = []
        self._updates = UpdateConstants()
        self.quiet = QUIET + 2 * plan.longest_job
        packets = driver.packets
        parts = [packets.command(Command.LIMIT, min(self.quiet // LIMIT_UNIT + 1, 0xFFFF))]
        for core, entries in plan.tables().items():
            for number, mask in entries.items():
                parts.append(packets.write(unicast(self.mesh, core), Space.ROUTES, number, np.array([[mask]])))
        if lines := function_lines(self.cfg, neuron):
            words = elements_to_words(space_bits(self.cfg)[Space.FUNCTIONS])
            values = np.array([[line >> WORD * n & 0xFFFFFFFF for n in range(words)] for line in lines], np.uint32)
            parts += [packets.write(route, Space.FUNCTIONS, 0, values) for route in self.routes]
        self._send(parts)
        for space in (Space.GRADIENTS, *kept_spaces(self.cfg), *raw_spaces(self.cfg)):
            self.load(space, {name: np.zeros(shape, np.uint32) for name, shape in plan.network.tensors.items()})

    # Programs
    def _jobs(self, jobs: list[dict[int, list[int]]]) -> list[np.ndarray]:
        packets, space = self.driver.packets, Space.JOBS
        return [
            packets.write(route, space, number << JOB_INDEX_BITS, np.array(words, np.uint32)[:, None])
            for route, own in zip(self.routes, jobs, strict=True) for number, words in own.items()
        ]  # fmt: skip

    def _set_mode(self, train: bool, update: bool):
        """Give every core its program, unless it has it."""
        if self._mode == (train, update):
            return
        self._hold(train)
        plan, packets = self.plan, self.driver.packets
        self._programs = plan.programs(train, update)
        parts = self._jobs([
            plan.jobs(core, program, self._neuron, self._updates) for core, program in enumerate(self._programs)
        ])  # fmt: skip
        for route, program in zip(self.routes, self._programs, strict=True):
            words = np.array(program.words, np.uint32)[:, None]
            parts += [packets.write(route, Space.PROGRAM, 0, words), packets.arm(route)]
        voters = plan.partition.cores if train and update and plan.partition.cores > 1 else 0
        parts.append(packets.command(Command.VOTERS, voters))
        for replica in range(plan.partition.replicas):
            for core in self._first_stage(replica):
                parts.append(packets.command(Command.FREE, plan.plans[core].credits, plan.placement[core]))
        self._send(parts)
        self._mode = train, update

    def _send(self, parts: list[np.ndarray]):
        """Send packets that have no answer."""
        self.driver.exchange(parts, 0)
        self._settled = False

    def _settle(self):
        """Wait until every core has taken in all that was sent to it: before any core starts, all are ready for what
        others send, and a run takes the same cycles whatever went before it."""
        if not self._settled:
            for place in self.plan.placement:
                self.driver.registers(place)  # longer than setting the tokens takes
        self._settled = True

    def _first_stage(self, replica: int) -> range:
        first = self.plan.partition.core(replica, 0)
        return range(first, first + self.plan.partition.stages[0].cores)

    def set_constants(self, updates: UpdateConstants, loss: LossConstants):
        """Learning rate, momentum, the loss tables and the loss scale of the next minibatches."""
        parts = []
        neuron = self.neuron.at_scale(loss.scale, self.cfg.format)
        if neuron != self._neuron:  # other constants in jobs of engines: these are written anew
            self._neuron, self._mode = neuron, None
        if updates != self._updates:
            self._updates = updates
            if self._mode and self._mode[0]:
                parts += self._jobs([
                    self.plan.update_jobs(core, program, updates) for core, program in enumerate(self._programs)
                ])  # fmt: skip
        for core, plan in enumerate(self.plan.plans):
            for label, target in np.ndindex(loss.table.shape[:2] if plan.is_last else (0, 0)):
                first = table_address(self.cfg, 0, bool(target), label)
                values = loss.table[label, target].astype(np.uint32)[:, None]
                parts.append(self.driver.packets.write(self.routes[core], Space.LOSS_TABLE, first, values))
        self._send(parts)

    # Memories
    def load(self, space: Space, tensors: Tensors):
        """Write weights, momenta or gradients (exact ones as int64 sums) to every core that has a slice of them."""
        if space == Space.WEIGHTS and self._held is not None:
            self._held = tensors
            tensors = self._tested(tensors)
        self._write(space, tensors)

    def _hold(self, train: bool):
        """Give the cores the weights of training or of inference, where they differ."""
        if not self.plan.network.held or train == (self._held is None):
            return
        if self._held is None:
            self._held = self.read(Space.WEIGHTS)
            self._write(Space.WEIGHTS, self._tested(self._held))
        else:
            self._write(Space.WEIGHTS, self._held)
            self._held = None

    def _tested(self, weights: Tensors) -> Tensors:
        """Weights as inference has them."""
        held = self.plan.network.held
        return weights | {name: tested_bits(weights[name], held[name], self.cfg.format) for name in held}

    def _write(self, space: Space, tensors: Tensors):
        exact = space == Space.GRADIENTS and self.cfg.exact
        parts = []
        for core, plan in enumerate(self.plan.plans):
            for placed in (part for own in plan.layers for part in own.parts):
                end = placed.first + placed.layer.out_channels
                names = placed.layer.weight, placed.layer.bias_name, *placed.layer.vectors
                given = tensors | ({names[0]: self._constant(placed.layer, space)} if placed.layer.fixed else {})
                own = [
                    given[name][..., placed.first : end].astype(np.int64) if name in given else None for name in names
                ]
                words = rows_to_words(placed.weights.pack(*own), self.cfg, self.cfg.sum_rows if exact else 1)
                parts.append(self.driver.packets.write(self.routes[core], space, placed.tile * self.cfg.lanes, words))
        self._send(parts)

    def _constant(self, layer: Layer, space: Space) -> np.ndarray:
        """What a layer whose weights are constant has of a memory in their place."""
        bits = to_bits(layer.fixed_weights, self.cfg.format).astype(np.int64)
        return bits if space == Space.WEIGHTS else np.zeros_like(bits)

    def read(self, space: Space, replica: int = 0) -> Tensors:
        """Read weights, momenta or gradients of one replica; exact gradients are int64 sums."""
        to_rows = words_to_sums if space == Space.GRADIENTS and self.cfg.exact else words_to_rows
        slices: dict[str, list[np.ndarray]] = {name: [] for name in self.plan.network.tensors}
        for core, placed in ((core, part) for core, own in self._placed(replica) for part in own.parts):
            words = self.driver.read(
                self.plan.placement[core], space, placed.tile * self.cfg.lanes, placed.weights.rows
            )
            found = [tensor for tensor in placed.weights.unpack(to_rows(words, self.cfg)) if tensor is not None]
            for name, tensor in zip(placed.layer.parameters, found[placed.layer.fixed :], strict=True):
                slices[name].append(tensor)
        found = {name: np.concatenate(parts, axis=-1) for name, parts in slices.items()}
        if space == Space.WEIGHTS and self._held is not None:
            found |= {name: self._held[name] for name in self.plan.network.held}
        return found

    def _placed(self, replica: int, layer: int | None = None):
        """Logical cores of a replica with what they have of the layers, or of one."""
        members = self.plan.partition.members
        for core in range(replica * members, (replica + 1) * members):
            for placed in self.plan.plans[core].layers:
                if layer is None or placed.layer.number == layer:
                    yield core, placed

    def _where(self, sample: int) -> tuple[int, int]:
        """The replica that has a sample, and its number there."""
        replicas = self.plan.partition.replicas
        return sample % replicas, sample // replicas

    def read_spikes(self, space: Space, layer: int, sample: int, pooled: bool = False) -> np.ndarray:
        """Spikes, masks or error masks of a layer, uint8 (y, x, T, c); ``pooled``: spikes as the layers above
        read them, of a mean (y, x, T, planes * c).

        ``sample`` counts within the minibatch; the last few samples of every replica are still there.
        """
        replica, number = self._where(sample)
        parts = []
        for core, placed in self._placed(replica, layer):
            region, shape = placed.spikes, placed.layer.out_shape
            if pooled:
                region, shape = placed.pooled, placed.layer.pooled_shape
            elif space == Space.ERROR_MASKS:
                region, shape = placed.errors, placed.layer.sum_shape
            size = region.chunk * self.cfg.chunks
            words = self.driver.read(self.plan.placement[core], space, region.at(number), size)
            planes = placed.layer.out_planes if pooled else None
            places = placed.weights.out_channels if space == Space.ERROR_MASKS else placed.weights.neurons
            parts.append(unpack_spikes(words, shape, self.cfg, planes.words if planes else 1, places))
        return np.concatenate(parts, axis=-1)

    def read_outputs(self, layer: int, sample: int) -> np.ndarray:
        """Outputs of a readout as raw bits (y, x, c)."""
        replica, number = self._where(sample)
        parts = []
        for core, placed in self._placed(replica, layer):
            y, x, channels = placed.layer.out_shape
            size = placed.spikes.chunk * self.cfg.output_words
            words = self.driver.read(self.plan.placement[core], Space.SPIKES, placed.spikes.at(number), size)
            parts.append(unpack_outputs(words, self.cfg).reshape(y, x, -1)[..., :channels])
        return np.concatenate(parts, axis=-1)

    def read_errors(self, layer: int, sample: int, terms: bool = False) -> np.ndarray:
        """Errors of a layer as raw bits (y, x, T, c), or the ``terms`` of the gradients of leaks that it learns."""
        return self._read_steps(Space.ERRORS, layer, sample, self.cfg.leak_terms if terms else 0)

    def read_potentials(self, layer: int, sample: int) -> np.ndarray:
        """Stored potentials of a layer as raw bits (y, x, T, c)."""
        return self._read_steps(Space.POTENTIALS, layer, sample)

    def _read_steps(self, space: Space, layer: int, sample: int, further: int = 0) -> np.ndarray:
        """Rows of a layer; ``further``: words from where they lie."""
        bits, steps = self.cfg.step_bits, self.cfg.timesteps
        replica, number = self._where(sample)
        parts = []
        for core, placed in self._placed(replica, layer):
            errors = space == Space.ERRORS
            region = placed.made if further else placed.errors if errors else placed.spikes
            base = region.at(number) + further
            y, x, _ = placed.layer.sum_shape if errors else placed.layer.out_shape
            size = region.chunk * self.cfg.chunks
            words = self.driver.read(self.plan.placement[core], space, base << bits, size << bits)
            groups = placed.weights.groups if errors else placed.weights.neuron_groups
            shape = self.cfg.chunks, y, x, groups, 1 << bits, self.cfg.lanes
            rows = words_to_rows(words, self.cfg).reshape(shape)[..., :steps, :]
            lanes = rows.transpose(1, 2, 0, 4, 3, 5).reshape(y, x, self.cfg.word_steps, -1)[:, :, : self.cfg.steps]
            parts.append(lanes[..., placed.weights.out_channels if errors else placed.weights.neurons])
        return np.concatenate(parts, axis=-1)

    def held(self, count: int, layer: int, errors: bool = False) -> list[int]:
        """Samples of a minibatch of ``count`` whose spikes (or errors) of a layer are still in memory."""
        plan = self.plan.plans[next(self._placed(0, layer))[0]]
        slots = plan.error_slots if errors else plan.spike_slots
        replicas = self.plan.partition.replicas
        result = []
        for sample in range(count):
            own = self.plan.partition.samples(count, sample % replicas)
            if sample // replicas >= own - slots:
                result.append(sample)
        return result

    # Running
    def run(self, spikes: np.ndarray, labels: np.ndarray, train: bool, update: bool = True) -> BatchResult:
        """Run samples uint8 (N, T, y, x, c) through the chip; with ``train`` they are one minibatch with its update,
        or, without ``update``, their gradients are added to those in memory."""
        self._set_mode(train, update)
        if train and self.plan.network.drops:
            self._send(self._jobs([
                self.plan.drop_jobs(core, program, self.seed, self.minibatch)
                for core, program in enumerate(self._programs)
            ]))  # fmt: skip
        self._settle()
        plan, packets, partition = self.plan, self.driver.packets, self.plan.partition
        planes = self.plan.network.planes
        words = pack_spikes(spikes, self.cfg, planes.words if planes else 1)
        count = len(words)
        if train and plan.serial and count != plan.minibatch:
            raise TridentError(
                f"a batch norm is of minibatches of {plan.minibatch} samples, as the chip is told, not of {count}"
            )
        parts = []
        for core, route in enumerate(self.routes):
            parts.append(packets.start(route, partition.samples(count, partition.locate(core)[0])))
        for n, (sample, label) in enumerate(zip(words, labels, strict=True)):
            replica, number = self._where(n)
            first = self._first_stage(replica)
            parts += [packets.command(Command.WAIT, 0, plan.placement[core]) for core in first]
            route = plan.inputs[replica]
            parts.append(packets.put(route, plan.plans[first[0]].input.at(number), sample))
            parts.append(packets.token(route, Token.INPUT_READY0, int(label)))
        answers, flits = self._answers(count)
        try:
            out = self.driver.exchange(parts, answers, flits + 64, self.quiet)
        except CoreStuck as fault:
            self._mode = None
            raise CoreStuck(f"{fault}; {self._why()}") from None
        self.minibatch += train and update
        return self._result(received(out, self.mesh), count)

    def _answers(self, count: int) -> tuple[int, int]:
        """Packets and flits that come back of a run."""
        packing = Packing(self.mesh, self.cfg.spike_bits)
        packets = flits = 0
        for core, plan in enumerate(self.plan.plans):
            if plan.is_last:
                size = plan.sent
                samples = self.plan.partition.samples(count, self.plan.partition.locate(core)[0])
                each = -(-size // packing.per_packet)
                packets += samples * each
                flits += samples * (each + -(-size // packing.per_flit) * packing.pieces)
        return packets + len(self.plan.plans), flits + 2 * len(self.plan.plans)

    def _result(self, packets: list, count: int) -> BatchResult:
        """Put together what the cores sent: spikes or outputs of the last layer, slice by slice, and their status."""
        plan, packing = self.plan, Packing(self.mesh, self.cfg.spike_bits)
        logical = {place: core for core, place in enumerate(plan.placement)}
        spikes: dict[int, list[np.ndarray]] = {}
        status = {}
        for place, packet, kind, payload in packets:
            core = logical[place]
            if packet == Packet.SPIKES:
                spikes.setdefault(core, []).append(payload)
            elif packet == Packet.ANSWER and kind == 1:
                status[core] = int(payload[0, 0])
        reads = plan.network.layers[-1].readout
        counts = np.zeros((count, plan.network.classes), np.float64 if reads else np.int64)
        for core, own in enumerate(plan.plans):
            if not own.is_last:
                continue
            placed = own.layers[-1]
            replica = plan.partition.locate(core)[0]
            samples = plan.partition.samples(count, replica)
            if not samples:
                continue
            size = own.sent
            rows = np.concatenate(spikes[core]).reshape(samples, -1)
            layer, places = placed.layer, placed.weights.out_channels
            first = placed.first // layer.voters  # class
            for n, row in enumerate(rows):
                row = row.reshape(-1, self.driver.packets.words)
                words = (
                    unpack_bits(row, packing.bits, packing.per_flit, size)
                    if packing.pieces == 1 else row.reshape(size, -1)
                )
                if reads:
                    y, x, _ = layer.out_shape
                    bits = unpack_outputs(words, self.cfg).reshape(y * x, -1)[:, places]
                    found = to_values(bits, self.cfg.format).reshape(-1)
                else:
                    fired = unpack_spikes(words, layer.out_shape, self.cfg, places=places).sum(axis=2, dtype=np.int64)
                    found = fired.reshape(-1, layer.voters).sum(axis=1)
                counts[replica + n * plan.partition.replicas, first : first + len(found)] = found
        faults = tuple(status[core] & 0xFF for core in range(len(plan.plans)))
        numbers = (1 << JOB_NUMBER_BITS) - 1
        return BatchResult(counts, faults, tuple(status[core] >> 8 & numbers for core in range(len(plan.plans))))

    def _why(self) -> str:
        """What the cores wait for, as far as they still answer."""
        reasons = []
        for core, place in enumerate(self.plan.placement):
            try:
                waits, counts = self.driver.waits(place)
                running = self.driver.running(place)
            except CoreStuck:
                reasons.append(f"core {place} does not answer")
                continue
            for queue, job in waits:
                what = self.plan.plans[core].describe_job(job)
                wanted = self._programs[core].tokens[job][0]
                tokens = [token.name for token in wanted if not counts[token]]
                reasons.append(f"core {place}: {queue}, instruction {job} ({what}), waits for {' and '.join(tokens)}")
            if running:
                reasons.append(f"core {place}: running {', '.join(running)}")
        return "; ".join(reasons) or "no core waits for anything"
