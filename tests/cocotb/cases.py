"""Stimulus of the units and what golden says comes of it, as the words that go through a unit's ports."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.cocotb.add_cases import AddPlacing
from tests.cocotb.drop_cases import DropPlacing
from tests.cocotb.leak_cases import LeakPlacing
from tests.cocotb.norm_cases import NormPlacing
from tests.cocotb.placing import Case, join_words, parts_of, payload_of, rows_of
from tests.cocotb.window_cases import WindowPlacing
from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.packing import blocks
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import drained_item, neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.optimisers import kept_names
from trident.hw.isa.packets import Rows
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces, table_address
from trident.sim.golden.backward import backward
from trident.sim.golden.constants import function_lines, neuron_values
from trident.sim.golden.format import to_values
from trident.sim.golden.forward import forward
from trident.sim.golden.loss import loss_errors, loss_table
from trident.sim.golden.pool import count, pool
from trident.sim.golden.reduce import reduce
from trident.sim.golden.softmax import softmax_errors
from trident.sim.golden.standardise import Standardiser
from trident.sim.golden.weight_grad import weight_grad
from trident.snn.losses import SOFTMAX, Loss
from trident.snn.network.network import Network

POOL = 2  # of the pool unit's cores


def planes_with_pool(cfg: CoreConfig) -> bool:
    """Whether the pool unit's core of this configuration has planes."""
    return cfg.forward_cols == 1


class Maker(AddPlacing, NormPlacing, LeakPlacing, DropPlacing, WindowPlacing):
    """Draw cases of one configuration; every method returns one :class:`Case` for the second layer of a network."""

    def forward(self) -> Case:
        layer = self.layer
        spikes = self._spikes((*layer.in_shape[:2], self.cfg.timesteps, layer.in_shape[2]))
        weights, biases = self._values(layer.weight_shape), self._values(layer.out_channels) * layer.bias
        given = spikes[None], weights, biases, layer.bias, layer.kernel
        (x,), fault = self.sums.rounded(*forward(*given, layer.forward_terms, self.sums))
        base = self.placed.inputs[0].at(self.sample)
        job = self._job("forward")
        case = self._case(job | {"src": base})
        case.memories = {Space.WEIGHTS: self._weights(weights, biases), Space.SPIKES: self._spread(base, spikes)}
        case.outputs, case.fault = self._stream(x, "forward", job), bool(fault.any())
        return case

    def _spread(self, base: int, spikes: np.ndarray) -> dict[int, int]:
        """Spikes of the layer's input: a flattened image lies in memory as the image."""
        image = (*self.layer.image[:2], self.cfg.timesteps, self.layer.image[2])
        if self.layer.kind == "linear":
            y, x, steps, channels = image
            spikes = spikes.reshape(steps, y, x, channels).transpose(1, 2, 0, 3)
        return self._image(base, spikes)

    def backward(self) -> Case:
        """To the layer below on this core, or to its part on another core, perhaps with what comes from a third."""
        owner = self._split() if self.rng.integers(0, 2) else None
        layer, steps = self.layer, self.cfg.timesteps
        weights = self._values(layer.weight_shape)
        shape = (*layer.out_shape[:2], steps, layer.out_channels)
        errors = self._values(shape, 16.0) * self._spikes(shape)
        # Only faults of channels that the owner has are seen; a weight of zero has none
        owned = self._owned(owner)
        columns = np.ascontiguousarray(np.where(owned, weights.transpose(0, 2, 1), 0))
        exact, (fault,) = backward(
            errors[None], columns, layer.kernel, layer.in_shape[:2],
            self.cfg.multiplier_subnormals, layer.backward_terms, self.sums,
        )  # fmt: skip
        base, mapped = self.placed.errors.at(self.sample), layer.kind == "linear"
        job = self._job("backward", 0) if owner is None else self._job("owner", owner)
        take = owner is not None and bool(self.rng.integers(0, 2))
        case = self._case(job | {"src": base, "take": int(take)})
        sent, wrong = exact[0], np.False_
        raw = self.cfg.exact and owner is not None and bool(self.rng.integers(0, 2))
        if take:
            before = self._exact(sent.shape, self.sums) if self.cfg.exact else self._values(sent.shape, 8.0)
            stream = self._stream(before, "backward", job, mapped, owner, drained=True, exact=self.cfg.exact)
            case.inputs = [rows_of(self.cfg, item, self.cfg.sum_rows) for item in stream]
            if self.cfg.exact:
                sent = sent + before
        if raw:
            fields = job | {"src": base, "take": int(take), "channel": Rows.PARTIALS}
            case.runs[0]["job"] = join_words(JOB.pack(**fields))
        elif take and not self.cfg.exact:
            sent, wrong = self.sums.add(before, sent)
        else:
            sent, wrong = self.sums.add(np.zeros_like(sent), sent)
        case.memories = {
            Space.WEIGHTS: self._weights(weights, np.zeros(layer.out_channels)),
            Space.ERRORS: self._rows(base, errors),
            Space.ERROR_MASKS: self._image(base, (errors != 0).astype(np.uint8)),
        }
        case.outputs = self._stream(sent, "backward", job, mapped, owner, drained=True, exact=raw)
        case.fault = bool(fault or (wrong & owned).any())
        return case

    def _owned(self, owner: int | None) -> np.ndarray:
        """Which channels of the layer's input belong to the core ``owner`` of the stage before; all of them without."""
        channel = np.arange(self.layer.in_shape[2]) % self.layer.image[2]
        if owner is None:
            return channel >= 0
        first = self.owner.layers[0].first
        return (channel >= first) & (channel < first + self.owner.layers[0].layer.out_channels)

    def receive(self) -> Case:
        """Rows of errors in the order in which :meth:`backward` has them leave, with the same tags."""
        owner = self._split()
        sent, below = self._job("owner", owner), self.owner
        layer = self.layer
        e = self._values((*layer.in_shape[:2], self.cfg.timesteps, layer.in_shape[2]), 16.0)
        stream = self._stream(e, "backward", sent, layer.kind == "linear", owner)
        job = below.jobs(self.constants, self.updates)[below.job("errors")]
        case = self._case(job)
        case.inputs = [rows_of(self.cfg, item) for item in stream]
        case.outputs = stream
        return case

    def reduce(self) -> Case:
        """Gradients of every row of weights, with or without those of the replica before."""
        layer, take = self.layer, bool(self.rng.integers(0, 4))
        arrays = [
            [self._gradients(layer.weight_shape), self._gradients(layer.out_channels) * layer.bias]
            for _ in range(2)
        ]
        own, wrong = self._gradient_rows(*arrays[1]), False
        rows = self.placed.weights.pack(*map(self.gradient_sums.bits if self.cfg.exact else self._bits, arrays[0]))
        before = [parts_of(row, self.cfg) for row in rows]
        for theirs, ours in zip(*arrays, strict=True):
            if take and self.cfg.exact:
                ours += theirs
            elif take:
                ours[:], fault = reduce(ours, theirs, self.sums)
                wrong |= bool(fault.any())
        after = self._gradient_rows(*arrays[1])
        case = self._case({"tile": self.placed.tile, "count": self.placed.weights.rows, "take": int(take)})
        case.memories = {Space.GRADIENTS: own}
        case.inputs = before if take else []
        places = self._weight_places(after)
        case.after = {Space.GRADIENTS: places}
        shape = drained_item(Payloads(self.cfg, "weight_grad"))
        for value, mask, place in places.values():
            payload, full = payload_of(shape, value, {})
            case.outputs.append((payload, full if mask else 0, place))
        case.fault = wrong
        return case

    def weight_grad(self) -> Case:
        layer, steps = self.layer, self.cfg.timesteps
        spikes = self._spikes((*layer.in_shape[:2], steps, layer.in_shape[2]))
        shape = (*layer.out_shape[:2], steps, layer.out_channels)
        errors = self._values(shape, 4.0) * (self.rng.random(shape) < 0.7)
        gradients, biases = self._gradients(layer.weight_shape), self._gradients(layer.out_channels) * layer.bias
        before = self._gradient_rows(gradients, biases)
        *exact, fault = weight_grad(spikes[None], errors[None], layer.bias, layer.kernel,
                                    layer.gradient_terms(steps), self.gradient_sums)  # fmt: skip
        for own, added in zip((gradients, biases) if layer.bias else (gradients,), exact, strict=False):
            if self.cfg.exact:
                own += added
                continue
            own[:], wrong = self.sums.accumulate(own, added)
            fault = fault.any() or wrong.any()
        src, aux = self.placed.inputs[0].at(self.sample), self.placed.errors.at(self.sample)
        case = self._case(self._job("weight_grad") | {"src": src, "aux": aux})
        case.memories = {
            Space.SPIKES: self._spread(src, spikes), Space.ERRORS: self._rows(aux, errors), Space.GRADIENTS: before,
        }  # fmt: skip
        case.after = {Space.GRADIENTS: self._weight_places(self._gradient_rows(gradients, biases))}
        case.fault = bool(np.any(fault))
        return case

    def neuron(self) -> Case:
        y, x, channels = self.layer.out_shape
        shape = (y, x, self.cfg.timesteps, channels)
        # Many sums are whole quarters, so that potentials meet the threshold and the limits of the surrogate exactly
        quarters = self.rng.integers(-8, 9, shape).astype(self.dtype) / 4
        sums = np.where(self.rng.random(shape) < 0.5, quarters, self._values(shape))
        potentials = np.empty(shape, self.dtype)
        spikes, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        parts = [array.reshape(y * x, self.cfg.timesteps, channels) for array in (sums, spikes, masks, potentials)]
        fault = self._run(self.settings.programs[0], neuron_values(self.settings, self.fmt), *parts)
        base, groups, width = self.placed.spikes.at(self.sample), self.placed.weights.groups, x
        job = self._job("forward")
        case = self._case(job | {"dst": base})
        case.inputs = [payload for payload, *_ in self._stream(sums, "forward", job)]
        valid = np.zeros((y, x, self.cfg.timesteps, groups * self.cfg.lanes), np.uint8)
        valid[..., :channels] = 1
        counted = self._image(base, valid)
        for space, bits in ((Space.SPIKES, spikes), (Space.MASKS, masks)):
            placed = self._places(self._image(base, bits), base, groups, width)
            case.after[space] = {at: (value, counted[at], place) for at, (value, _, place) in placed.items()}
        if self.cfg.keeps_potentials:
            rows, bits = self._rows(base, potentials), self.cfg.step_bits
            case.after[Space.POTENTIALS] = self._places(rows, base, groups, width, bits)
        case.fault = bool(fault.any())
        return case

    def pool(self) -> Case:
        """Windows of an image of any size, often without a spike, joined or, where the core has planes, counted."""
        y, x = (int(n) for n in self.rng.integers(1, 5, 2))
        channels = int(self.rng.integers(1, 2 * self.cfg.lanes + 2))
        shape = (1, POOL * y, POOL * x, self.cfg.timesteps, channels)
        spikes, masks = ((self.rng.random(shape) < share).astype(np.uint8) for share in (0.2, 0.7))
        (pooled,), (after,) = pool(spikes, masks, POOL)
        groups, planes, step = blocks(channels, self.cfg.lanes), [pooled], 0
        if planes_with_pool(self.cfg) and self.rng.random() < 0.5:
            (counts,), after, step = count(spikes, POOL), masks[0], y * x * groups + int(self.rng.integers(0, 3))
            planes = np.split(counts, counts.shape[-1] // channels, axis=-1)
        src = int(self.rng.integers(0, 9))
        dst = src + POOL**2 * y * x * groups
        case = self._case({
            "src": src, "dst": dst, "groups": groups, "src_y": y, "src_x": x, "count": POOL * x * groups,
            "block_step": step,
        })  # fmt: skip
        case.memories = {Space.SPIKES: self._image(src, spikes[0]), Space.MASKS: self._image(src, masks[0])}
        written = {}
        for n, plane in enumerate(planes):
            written |= self._places(self._image(dst + n * step, plane), dst + n * step, groups, x)
        case.after = {
            Space.SPIKES: self._places(self._image(src, spikes[0]), src, groups, POOL * x) | written,
            Space.MASKS: self._places(self._image(src, after), src, groups, POOL * x),
        }
        return case

    def neuron_grad(self) -> Case:
        y, x, channels = self.below.layer.out_shape
        steps = self.cfg.timesteps
        shape = (y, x, steps, channels)
        e, potentials, d = self._values(shape, 16.0), self._values(shape), np.empty(shape, self.dtype)
        spikes, masks = self._spikes(shape), (self.rng.random(shape) < 0.6).astype(np.uint8)
        parts = [array.reshape(y * x, steps, channels) for array in (e, spikes, masks, potentials)]
        parts.append(d.reshape(y * x, steps, channels))
        fault = self._run(self.settings.programs[1], neuron_values(self.settings, self.fmt), *parts)
        aux, dst = self.below.spikes.at(self.sample), self.below.errors.at(self.sample)
        job = self._job("backward", 0)
        case = self._case(job | {"aux": aux, "dst": dst})
        mapped = self.layer.kind == "linear"
        if mapped:
            e = np.ascontiguousarray(e.transpose(2, 0, 1, 3).reshape(1, 1, steps, -1))
        case.inputs = [payload for payload, *_ in self._stream(e, "backward", job, mapped)]
        case.memories = {Space.SPIKES: self._image(aux, spikes), Space.MASKS: self._image(aux, masks)}
        if self.cfg.keeps_potentials:
            case.memories[Space.POTENTIALS] = self._rows(aux, potentials)
        if self.constants.functions:
            case.memories[Space.FUNCTIONS] = dict(enumerate(function_lines(self.cfg, self.constants)))
        groups, bits = self.below.weights.groups, self.cfg.step_bits
        case.after = {
            Space.ERRORS: self._places(self._rows(dst, d), dst, groups, x, bits),
            Space.ERROR_MASKS: self._places(self._image(dst, (d != 0).astype(np.uint8)), dst, groups, x),
        }
        case.fault = bool(fault.any())
        return case

    def loss(self) -> Case:
        table = self._bits(self._values((self.cfg.loss_tables, 2, self.cfg.most_spikes + 1)))  # any loss
        return self._loss(table, lambda *args: (to_values(loss_errors(*args), self.fmt), np.False_))

    def softmax(self) -> Case:
        self.cfg = replace(self.cfg, loss="softmax")
        weights = 3 * self.rng.random(self.cfg.loss_tables) if self.cfg.loss_tables > 1 else ()
        loss = Loss(str(self.rng.choice(SOFTMAX)), *self.rng.random(2), tuple(weights))
        scale = float(2.0 ** self.rng.integers(0, 12))
        table = loss_table(self.cfg.most_spikes, 2, scale, self.fmt, loss)
        case = self._loss(table, lambda *args: softmax_errors(*args, self.cfg))
        case.memories[Space.FUNCTIONS] = dict(enumerate(function_lines(self.cfg, self.constants)))
        return case

    def _loss(self, table: np.ndarray, errors_of: Callable) -> Case:
        """A sample's spikes of any number of classes and voters; ``errors_of``: the errors of classes, and where there
        is a fault, from their counts, labels and the table."""
        steps, classes = self.cfg.timesteps, int(self.rng.integers(1, 3 * self.cfg.lanes + 2))
        voters = int(self.rng.integers(1, self.cfg.voters + 1)) if self.cfg.voters > 1 else 1
        self.network = Network.parse(f"2-3-{classes * voters}v{voters}")
        self.plan = ChipPlan(self.network, self.cfg).plans[0]
        self.below, self.placed = self.plan.layers
        self.layer = self.placed.layer
        label = int(self.rng.integers(0, classes))
        places = self.placed.weights.out_channels
        shape = (1, 1, steps, self.placed.weights.groups * self.cfg.lanes)
        spikes, errors = np.zeros(shape, np.uint8), np.zeros(shape)
        spikes[..., places] = self._spikes((1, 1, steps, classes * voters))
        base = self.placed.spikes.at(self.sample)
        case = self._case(self._job("errors", 0) | {"aux": base}, label=label)
        case.memories = {
            Space.SPIKES: self._image(base, spikes),
            Space.LOSS_TABLE: {
                table_address(self.cfg, count, bool(target), own): int(table[own, target, count])
                for own, target, count in np.ndindex(table.shape)
            },
        }  # fmt: skip
        counts = spikes[..., places].sum(axis=2, dtype=np.int64).reshape(1, classes, voters).sum(axis=2)
        (found,), fault = errors_of(counts, np.array([label]), table)
        errors[..., places] = found.repeat(voters)
        case.fault = bool(fault.any())
        rows = self._rows(0, errors)
        shape = neuron_item(Payloads(self.cfg, "backward"))
        for group in range(self.placed.weights.groups):
            for t in range(steps - 1, -1, -1):
                row = rows[group << self.cfg.step_bits | t]
                payload, mask = payload_of(shape, row, {"address": group, "step": t})
                case.outputs.append((payload, mask, f"outputs from {group * self.cfg.lanes}, timestep {t}"))
        return case

    def standardise(self) -> Case:
        """The weights of a layer that are standardised, where it has more than one for each channel; its biases."""
        self.cfg = replace(self.cfg, standardise=True)
        last, epsilon = self.layer.node, float(2.0 ** self.rng.integers(-13, 0))
        own = {"standardise": True, "epsilon": epsilon} if self.layer.fan_in > 1 else {}
        nodes = tuple(replace(n, **own) if n.name == last else n for n in self.network.nodes)
        self.network = replace(self.network, nodes=nodes)
        self.plan = ChipPlan(self.network, self.cfg).plans[0]
        self.below, self.placed = self.plan.layers
        self.layer = self.placed.layer
        return self.update()

    def update(self) -> Case:
        layer, shape = self.layer, self.layer.weight_shape
        skip = bool(self.rng.integers(0, 4) == 0)
        program, kept = self.cfg.update_program, (*kept_spaces(self.cfg), *raw_spaces(self.cfg))
        spaces = (Space.WEIGHTS, *kept, Space.GRADIENTS)
        arrays = [[self._values(s, 2.0**n) for s in (shape, layer.out_channels)] for n in range(len(spaces))]
        if Space.SQUARES in spaces:
            squares = arrays[spaces.index(Space.SQUARES)]
            squares[:] = map(np.abs, squares)
        if self.cfg.exact:
            arrays[-1] = [self._gradients(s) for s in (shape, layer.out_channels)]
        if not layer.bias:
            for _, biases in arrays:
                biases[:] = 0
        packs = (self._weights, *(self._weights for _ in kept), self._gradient_rows)
        case = self._case(self._job("update"), skip=skip)
        if layer.bias:
            case.runs += self._case(self._job("update_bias"), skip=skip).runs
        case.memories = {s: pack(*values) for s, pack, values in zip(spaces, packs, arrays, strict=True)}
        if program.tables or self.cfg.standardise:
            case.memories[Space.FUNCTIONS] = dict(enumerate(function_lines(self.cfg, self.constants)))
        for part in range(1 + layer.bias):
            *old, gradients = (values[part].reshape(-1) for values in arrays)
            if not skip:
                rounded = gradients.copy()
                if self.cfg.exact:
                    rounded, too_large = self.gradient_sums.saturate(gradients)
                    case.fault |= bool(too_large.any())
                numbers = (self.updates.of_vectors if part else self.updates).values(program, self.fmt)
                if self.layer.standardised and part == 0:
                    weights, *rest, raw = (values[0] for values in arrays[:-1])
                    own = dict(zip(kept_names(program), rest, strict=True))
                    standard = Standardiser(self.layer, self.cfg)
                    wrong = standard.update(raw, weights, own, rounded.reshape(shape), numbers)
                    case.fault |= bool(wrong.any())
                    gradients[:] = 0
                    continue
                stepped = old[1 : 1 + len(kept_spaces(self.cfg))]
                changed = [array.reshape(1, -1, 1) for array in (*stepped, old[0])]
                wrong = self._run(program, numbers, rounded.reshape(1, -1, 1), *changed, *changed)
                case.fault |= bool(wrong.any())
            gradients[:] = 0
        case.after = {
            s: self._weight_places(pack(*values)) for s, pack, values in zip(spaces, packs, arrays, strict=True)
        }
        return case
