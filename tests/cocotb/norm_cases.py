"""Cases of sums that are kept, for a batch norm of a minibatch of the second layer's."""

from dataclasses import replace

import numpy as np

from tests.cocotb.placing import Case, Placing, payload_of, row_of
from trident.host.compile.chip_plan import ChipPlan
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import function_lines
from trident.sim.golden.norm import BatchNorm
from trident.snn.network.network import edges
from trident.snn.network.nodes import Norm

SUM_WORDS = 1024  # of the cores that have these units
KEEPS = {"sum_words": SUM_WORDS, "batch_norm": True}


class NormPlacing(Placing):
    """The second layer of a network with a norm behind it, and a minibatch of its values."""

    def norm(self) -> Case:
        """Sums in training or in inference, of one sample, or errors; half of the norms are frozen."""
        self._normed()
        kind = ("norm", "norm_frozen", "norm_errors")[self.rng.integers(3)]
        samples = self.samples if kind != "norm_frozen" else 1
        shape = (samples, *self.layer.out_shape[:2], self.cfg.steps, self.layer.out_channels)
        placed, scaled, channels = self.placed, self.plan.scaled, shape[-1]
        norm, made = BatchNorm(self.layer, self.cfg), placed.errors
        gain, offset, mean, inverse = (self._values(channels) for _ in range(4))
        variance, gradients = np.abs(self._values(channels)), [np.zeros(channels)] * 2
        parameters = {self.layer.norm.gain: gain, self.layer.norm.offset: offset}
        running = {self.layer.norm.gain: variance, self.layer.norm.offset: mean}
        sums, errors = self._values(shape, 4.0), self._values(shape) * self._spikes(shape)
        job = self._job(kind)
        if kind == "norm_errors" and self.rng.integers(2):  # those that are made lie behind the others
            made = replace(made, base=self.plan.error_words)
            job["dst"] = made.base
        case = self._case(job)
        given = {
            Space.WEIGHTS: self._vectors(gain, offset), Space.RAW: self._vectors(variance, mean, inverse),
            Space.POTENTIALS: self._minibatch(placed.sums, sums), Space.ERRORS: self._minibatch(placed.errors, errors),
            Space.FUNCTIONS: dict(enumerate(function_lines(self.cfg, self.constants))),
        }  # fmt: skip
        case.memories = given | {Space.GRADIENTS: {}, Space.ERROR_MASKS: {}}
        if kind == "norm_errors":
            norm.inverse = inverse
            errors, found, fault = norm.backward(errors, sums, parameters)
            exact, wrong = zip(*(self.gradient_sums.terms(found[name]) for name in parameters), strict=True)
            gradients = exact
            if not self.cfg.exact:
                gradients = [np.where(large, 0, found[name]) for name, large in zip(parameters, wrong, strict=True)]
            fault = fault | wrong[0] | wrong[1]
        else:
            sums, behind, fault = norm.forward(sums, parameters, running, kind == "norm")
            case.after[Space.POTENTIALS] = self._here(self._minibatch(scaled, behind), "scaled")
            inverse = norm.inverse if kind == "norm" else inverse
        case.fault = bool(fault.any())
        case.after.setdefault(Space.POTENTIALS, {}).update(self._here(self._minibatch(placed.sums, sums), "sums"))
        case.after[Space.RAW] = self._channels(self._vectors(variance, mean, inverse), "beside parameters")
        case.after[Space.ERRORS] = self._here(self._minibatch(made, errors), "errors")
        if kind == "norm_errors":
            case.after[Space.GRADIENTS] = self._channels(
                self._vectors(*gradients, sums=self.cfg.exact), "gradients",
                self.cfg.gradient_bits if self.cfg.exact else self.cfg.width,
            )  # fmt: skip
            masks = [self._image(made.at(n), (own != 0).astype(np.uint8)) for n, own in enumerate(errors)]
            for own in masks:
                case.after.setdefault(Space.ERROR_MASKS, {}).update(self._here(own, "masks"))
        return case

    def fire(self) -> Case:
        """Every word, as many neurons at a time as can be under way, timestep by timestep."""
        self._normed()
        cfg, lanes, shape = self.cfg, self.cfg.lanes, neuron_item(Payloads(self.cfg, "forward"))
        y, x, channels = self.layer.out_shape
        values, base = self._values((y, x, cfg.steps, channels)), self.plan.scaled.base
        case = self._case(self._job("fire"))
        rows = self._rows(base, values)
        case.memories = {Space.POTENTIALS: rows}
        words, items = y * x * -(-channels // lanes), cfg.items("forward")
        for first in range(0, words, items):
            for t in range(cfg.timesteps):
                for item, word in enumerate(range(first, min(first + items, words))):
                    tag = {"address": word, "item": item, "step": t}
                    payload, mask = payload_of(shape, rows[(base + word) << cfg.step_bits | t], tag)
                    case.outputs.append((payload, mask, f"word {word}, timestep {t}"))
        return case

    def _normed(self):
        rng, last = self.rng, self.network.layers[-1]
        norm = Norm(
            "norm", edges(last.node), epsilon=float(2.0 ** rng.uniform(-13, 0)), momentum=float(rng.uniform(0.01, 1)),
            frozen=bool(rng.integers(2)),
        )  # fmt: skip
        nodes = [replace(n, inputs=edges("norm")) if n.name == last.neuron else n for n in self.network.nodes]
        self.network = replace(self.network, nodes=(*nodes[:-1], norm, nodes[-1]))
        self.cfg, self.samples = replace(self.cfg, **KEEPS, program_words=256), int(rng.integers(2, 5))
        self.plan = ChipPlan(self.network, self.cfg, minibatch=self.samples).plans[0]
        self.below, self.placed = self.plan.layers
        self.layer = self.placed.layer

    def _minibatch(self, region, values: np.ndarray) -> dict[int, int]:
        """Rows of samples (N, y, x, T, c)."""
        return {address: row for n, own in enumerate(values) for address, row in self._rows(region.at(n), own).items()}

    def _vectors(self, *vectors: np.ndarray, sums: bool = False) -> dict[int, int]:
        """The rows of numbers of every channel, one in each tile behind the weights and biases."""
        cfg, weights, result = self.cfg, self.placed.weights, {}
        bits = cfg.gradient_bits if sums else cfg.width
        for n, vector in enumerate(vectors):
            raw = self.gradient_sums.bits(vector) % (1 << bits) if sums else self._bits(vector)
            for group in range(weights.groups):
                tile = self.placed.tile + weights.norm_tile + n * weights.groups + group
                own = raw[group * cfg.lanes : (group + 1) * cfg.lanes]
                result[tile * cfg.lanes] = row_of(own, bits)
        return result

    def _channels(self, vectors: dict[int, int], what: str, bits: int = 0) -> dict[int, tuple[int, int, str]]:
        """Rows of :meth:`_vectors` in the lanes that have a channel."""
        weights, cfg, result = self.placed.weights, self.cfg, {}
        for n, (address, value) in enumerate(vectors.items()):
            used = min(cfg.lanes, self.layer.out_channels - n % weights.groups * cfg.lanes)
            result[address] = value, (1 << used * (bits or cfg.width)) - 1, f"{what}, row {n}"
        return result

    def _here(self, elements: dict[int, int], what: str, mask: int = -1) -> dict[int, tuple[int, int, str]]:
        return {address: (value, mask, f"{what}, element {address}") for address, value in elements.items()}
