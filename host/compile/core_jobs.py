"""The jobs of one core: their fields, from where a plan has put its layers."""

from typing import TYPE_CHECKING

from trident.host.compile.fields import limit_of_sums, signed_field
from trident.host.compile.packing import WeightMap, blocks
from trident.host.compile.regions import Region
from trident.host.compile.standardise import standard_fields
from trident.host.compile.walks import as_convolution, passes
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.snn.layers import Layer

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan, PlacedLayer


class CoreJobs:
    """Makes the fields of a core's jobs, by their numbers in the plan of the core."""

    def __init__(self, plan: "CorePlan"):
        self.plan, self.cfg = plan, plan.cfg

    def all(self, neuron: NeuronConstants, updates: UpdateConstants) -> dict[int, dict]:
        """The fields of every job, without those that say who else takes part and without tokens."""
        result = {self.plan.job("send"): self._send(), self.plan.job("errors"): self._errors(neuron)}
        for name in ("free", "ready", "reduced", "vote"):
            result[self.plan.job(name)] = {}
        result[self.plan.job("reduce")] = {"tile": 0, "count": self.plan.rows, "outgoing": 1}
        for k in range(self.plan.owners):
            result[self.plan.job("owner", k)] = self._backward(0, neuron, k)
        for n, placed in enumerate(self.plan.layers):
            for chunk in range(self.cfg.chunks):
                result[self.plan.job("forward", n, chunk)] = self._forward(placed, neuron, chunk)
                if placed.layer.pool > 1:
                    result[self.plan.job("pool", n, chunk)] = self._pool(placed, chunk)
                if n in self.plan.inner:
                    result[self.plan.job("backward", n, chunk)] = self._backward(n, neuron, chunk=chunk)
            result |= self._weight_grads(n, updates.samples)
        return result | self.update(updates)

    def update(self, updates: UpdateConstants) -> dict[int, dict]:
        """The jobs that change with the learning rate, the loss scale or the number of samples."""
        result: dict[int, dict] = {}
        for n, placed in enumerate(self.plan.layers):
            if self.cfg.exact:  # whose sums are those of all samples
                result |= self._weight_grads(n, updates.samples)
            constants = updates.fields(self.cfg.update_program)
            weights = placed.weights
            bias_tiles = weights.groups if placed.layer.bias else 0
            rows = weights.rows - bias_tiles * self.cfg.lanes
            walk = {"tile": placed.tile, "count": rows, "group_step": 1}
            if placed.layer.standardised:
                walk |= standard_fields(placed.layer, weights, self.cfg)
            result[self.plan.job("update", n)] = {**walk, **constants}
            # One row of each of the biases' tiles is in use
            result[self.plan.job("update_bias", n)] = {
                "tile": placed.tile + weights.tiles - bias_tiles, "count": bias_tiles, "group_step": self.cfg.lanes,
                **constants,
            }  # fmt: skip
        return result

    def _window(self, layer: Layer, back: bool = False) -> dict:
        """How taps reach over the image that is read, and the bounds of the walk over the other one: that of the
        outputs or, going ``back``, of the inputs."""
        origin = layer.padding if back else -layer.padding
        y, x, _ = layer.in_shape if back else layer.out_shape
        step = 1 if back else layer.stride
        bounds = {"origin": origin, "last_y": origin + (y - 1) * step, "last_x": origin + (x - 1) * step}
        bounds = {name: signed_field(name, value) for name, value in bounds.items()}
        return bounds | {"last_tap": layer.kernel - 1, "stride2": int(layer.stride == 2)}

    def _limit(self, layer: Layer, engine: str, samples: int = 1) -> int:
        """See :func:`limit_of_sums`: that of the whole layer, however it is sliced."""
        return limit_of_sums(self.plan.network.layers[layer.number], engine, self.cfg, samples)

    def _send(self) -> dict:
        """To the next stage's input image, of which this core has a slice of every pixel, or to the host."""
        placed = self.plan.layers[-1]
        job = {"src": placed.spikes.base, "src_slot": placed.spikes.step}
        if self.plan.is_last or self.plan.partition.stages[self.plan.stage].cores == 1:
            return job | {"count": 1, "groups": self.plan.sent, "blocks": 0}
        channels = self.plan.network.layers[placed.layer.number].out_channels
        y, x, _ = placed.layer.out_shape
        return job | {
            "dst": placed.first // self.cfg.lanes, "count": y * x, "groups": placed.weights.groups,
            "blocks": blocks(channels, self.cfg.lanes),
        }  # fmt: skip

    def _weight_grads(self, n: int, samples: int) -> dict[int, dict]:
        chunks = self.plan.gradient_chunks(n)
        return {self.plan.job("weight_grad", n, c): self._weight_grad(self.plan.layers[n], samples, c) for c in chunks}

    def _at(self, region: Region, chunk: int) -> int:
        """The first word of a chunk of timesteps, in the first slot."""
        return region.base + region.chunk * chunk

    def _forward(self, placed: "PlacedLayer", neuron: NeuronConstants, chunk: int) -> dict:
        layer, weights = placed.layer, placed.weights
        out_x = layer.out_shape[1]
        in_y, in_x, _ = layer.in_shape
        shared = passes(self.cfg, "forward", out_x, weights.groups)
        outputs = {"aux": placed.spikes.base, "aux_slot": placed.spikes.step, "ends": int(chunk + 1 == self.cfg.chunks)}
        return dict(
            src=self._at(placed.inputs, 0 if layer.planes else chunk), src_slot=placed.inputs.step,
            dst=self._at(placed.spikes, chunk), dst_slot=placed.spikes.step, carry=int(chunk > 0),
            tile=placed.tile, block_step=weights.groups, tap_step=weights.groups,
            pass_step=shared["pass_groups"], group_step=1, **shared, **self._window(layer),
            src_y=in_y, src_x=in_x, blocks=weights.blocks,
            bias=int(layer.bias), exponent=self._limit(layer, "forward"), **neuron.of_layer(layer.number).forward,
            **(outputs if layer.readout else {}), **self._planes(layer),
        )  # fmt: skip

    def _pool(self, placed: "PlacedLayer", chunk: int) -> dict:
        y, x, _ = placed.layer.pooled_shape
        return {
            "src": self._at(placed.spikes, chunk), "src_slot": placed.spikes.step,
            "dst": self._at(placed.pooled, chunk), "dst_slot": placed.pooled.step,
            "groups": placed.weights.groups, "src_y": y, "src_x": x, "count": self._line(placed),
        }  # fmt: skip

    @staticmethod
    def _line(placed: "PlacedLayer") -> int:
        """Words of a row of pixels that are pooled; 0 where none are."""
        return placed.layer.out_shape[1] * placed.weights.groups if placed.layer.pool > 1 else 0

    @staticmethod
    def _planes(layer: Layer) -> dict:
        return {"count": layer.planes.job} if layer.planes else {}

    def _backward(self, n: int, neuron: NeuronConstants, owner: int | None = None, chunk: int = 0) -> dict:
        """Errors of layer n to errors of the layer below: on this core, or its part on an ``owner``."""
        placed = self.plan.layers[n]
        layer, weights = placed.layer, placed.weights
        if owner is None and self.plan.source(placed).layer.pool > 1:
            layer = as_convolution(layer)
            weights = WeightMap(layer, self.cfg)
        out_y, out_x, _ = layer.out_shape
        job = dict(
            src=self._at(placed.errors, chunk), src_slot=placed.errors.step, block_step=1,
            tap_step=(weights.blocks - 1) * weights.groups + 1, group_step=weights.groups,
            **self._window(layer, back=True), src_y=out_y, src_x=out_x, blocks=weights.groups,
            exponent=self._limit(layer, "backward"),
        )  # fmt: skip
        if owner is None:
            below = self.plan.source(placed)
            shared = passes(self.cfg, "backward", layer.in_shape[1], weights.blocks)
            return job | shared | dict(
                aux=self._at(below.spikes, chunk), aux_slot=below.spikes.step,
                dst=self._at(below.errors, chunk), dst_slot=below.errors.step,
                carry=int(chunk + 1 < self.cfg.chunks),  # the last timesteps come first
                count=self._line(below),
                tile=placed.tile, pass_step=shared["pass_groups"] * weights.groups,
                **neuron.of_layer(below.layer.number).backward,
            )  # fmt: skip
        assert self.plan.before is not None  # the owner is a core of it
        walk = self.plan.walk_to_owner(layer, self.plan.before, owner)
        first, step = walk.pop("first"), walk.pop("step")
        tile = placed.tile + first * weights.groups
        return job | walk | {"tile": tile, "pass_step": step * weights.groups, "outgoing": 1}

    def _errors(self, neuron: NeuronConstants) -> dict:
        """The loss on the last stage; elsewhere, errors from the next stage."""
        placed = self.plan.layers[-1]
        job = dict(
            aux=placed.spikes.base, aux_slot=placed.spikes.step, dst=placed.errors.base, dst_slot=placed.errors.step,
            **neuron.of_layer(placed.layer.number).backward,
        )  # fmt: skip
        if self.plan.after is None:
            return job | {"src": placed.first, "groups": placed.weights.groups, "count": self.plan.network.classes}
        above = self.plan.network.layers[self.plan.after.first]
        walk = self.plan.walk_to_owner(above, self.plan.partition.stages[self.plan.stage], self.plan.slice)
        y, x, _ = above.in_shape
        job |= {"last_y": y - 1, "last_x": x - 1, "count": y * x}
        return job | {name: value for name, value in walk.items() if name not in ("first", "step", "group_entries")}

    def _weight_grad(self, placed: "PlacedLayer", samples: int, chunk: int) -> dict:
        layer, weights = placed.layer, placed.weights
        in_y, in_x, _ = layer.in_shape
        words = self.cfg.words_of("weight_grad")
        entries = words * self.cfg.entries_per_word("weight_grad")
        pass_groups = min(weights.groups, self.cfg.accumulators // entries, 255)
        return dict(
            src=self._at(placed.inputs, chunk), src_slot=placed.inputs.step,
            aux=self._at(placed.errors, chunk), aux_slot=placed.errors.step,
            tile=placed.tile, group_step=1, groups=weights.groups,
            # Of errors: they lie pixel by pixel, all groups of one beside each other
            block_step=weights.groups, tap_step=weights.groups, pass_step=pass_groups,
            pass_groups=pass_groups, group_entries=entries,
            words=words, **self._window(layer),
            src_y=in_y, src_x=in_x, blocks=weights.blocks,
            bias=int(layer.bias), exponent=self._limit(layer, "weight_grad", samples), **self._planes(layer),
        )  # fmt: skip
