"""The jobs of one core: their fields, from where a plan has put its layers."""

from dataclasses import replace
from math import log2
from typing import TYPE_CHECKING

from trident.host.compile.bands import Band
from trident.host.compile.fields import limit_of_sums
from trident.host.compile.leaks import leak_field, leak_gradient, leak_jobs
from trident.host.compile.norms import ends, fire_job, norm_jobs
from trident.host.compile.packing import WeightMap, blocks
from trident.host.compile.regions import Region
from trident.host.compile.standardise import standard_fields
from trident.host.compile.sum_places import add_jobs
from trident.host.compile.walks import as_convolution, passes, reach_fields
from trident.host.compile.windows import window_jobs
from trident.hw.isa.dropout import halves, left_below
from trident.hw.isa.job import JOB
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.sim.golden.drop import layer_key
from trident.snn.network.layers import Layer

if TYPE_CHECKING:
    from trident.host.compile.core_plan import CorePlan
    from trident.host.compile.placed import PlacedLayer


_EMPTY = {"src_y": 0, "src_x": 0}  # an image without pixels


class CoreJobs:
    """Makes the fields of a core's jobs, by their numbers in the plan of the core."""

    def __init__(self, plan: "CorePlan", trains: bool = True):
        self.plan, self.cfg, self.trains = plan, plan.cfg, trains

    def all(self, neuron: NeuronConstants, updates: UpdateConstants) -> dict[int, dict]:
        """The fields of every job, without those that say who else takes part and without tokens."""
        result = {self.plan.job("send"): self._send()}
        for chunk in self.plan.error_chunks:
            result[self.plan.job("errors", 0, chunk)] = self._errors(neuron, chunk)
        for name in ("free", "ready", "reduced", "vote"):
            result[self.plan.job(name)] = {}
        result[self.plan.job("reduce")] = {"tile": 0, "count": self.plan.rows, "outgoing": 1}
        for k in range(self.plan.owners):
            for chunk in range(self.cfg.chunks):
                result[self.plan.job("owner", k, chunk)] = self._backward_away(k, chunk)
        for n, placed in enumerate(self.plan.layers):
            for chunk in range(self.cfg.chunks):
                for band, span in enumerate(placed.spans):
                    for walk in range(len(placed.walks)):
                        job = self.plan.job("forward", n, chunk, walk, band)
                        result[job] = self._forward(placed, neuron, chunk, walk, span)
                if placed.layer.pool > 1:
                    result[self.plan.job("pool", n, chunk)] = self._pool(placed, chunk)
                result |= add_jobs(self.plan, n, chunk)
                if placed.sums and placed.layer.fires:
                    result |= fire_job(self.plan, n, chunk, neuron.of_layer(placed.layer.number).forward)
                if placed.winners:
                    result |= window_jobs(self.plan, n, chunk, neuron)
                for band, span in enumerate(self.plan.spans(n)):
                    for walk in range(len(self.plan.readers[n])):
                        job = self.plan.job("backward", n, chunk, walk, band)
                        result[job] = self._backward(n, neuron, chunk, walk, span)
            result |= self._weight_grads(n, updates.samples)
            if placed.layer.norm:
                result |= norm_jobs(self.plan, n)
            if placed.layer.learns:
                result |= leak_jobs(self.plan, n, neuron)
        return result | self.update(updates) | self.drop(0, 0)

    def drop(self, seed: int, minibatch: int) -> dict[int, dict]:
        """The jobs of dropouts, with the keys of a minibatch; in inference everything is left."""
        result: dict[int, dict] = {}
        for n, placed in enumerate(self.plan.layers):
            key = layer_key(seed, minibatch, placed.layer.number)
            for chunk in range(self.cfg.chunks if placed.layer.drop else 0):
                result[self.plan.job("drop", n, chunk)] = self._drop(placed, chunk) | halves(key)
        return result

    def update(self, updates: UpdateConstants) -> dict[int, dict]:
        """The jobs that change with the learning rate, the loss scale or the number of samples."""
        result: dict[int, dict] = {}
        for n, placed in enumerate(self.plan.layers):
            if self.cfg.exact:  # whose sums are those of all samples
                result |= self._weight_grads(n, updates.samples)
            for number, part in enumerate(placed.parts):
                held = updates.held(part.layer.held, self.cfg.update_program, self.cfg.format)
                own = held.fields(self.cfg.update_program)
                for k, band in enumerate(part.weights.bands):
                    tile, last = part.tile + band.tile, band is part.weights.bands[-1]
                    walk = {"tile": tile, "count": band.vector_tile * self.cfg.lanes, "group_step": 1}
                    if part.layer.standardised:
                        walk |= standard_fields(band, self.cfg)
                    result[self.plan.job("update", n, 0, number, k)] = walk | own
                    # One row of each of the tiles of biases is in use and, behind the last, of gains and offsets
                    rows = part.layer.bias * band.groups + last * len(part.layer.vectors) * part.weights.groups
                    result[self.plan.job("update_bias", n, 0, number, k)] = {
                        "tile": tile + band.vector_tile, "count": rows, "group_step": self.cfg.lanes,
                        **updates.of_vectors.fields(self.cfg.update_program),
                    }  # fmt: skip
        return result

    def _limit(self, layer: int, engine: str, samples: int = 1) -> int:
        """See :func:`limit_of_sums`: that of the whole layer, however it is sliced."""
        return limit_of_sums(self.plan.network, layer, engine, self.cfg, samples)

    def _send(self) -> dict:
        """To the next stage's input image, of which this core has a slice of every pixel, or to the host."""
        placed = self.plan.layers[-1]
        job = {"src": placed.spikes.base, "src_slot": placed.spikes.step}
        if self.plan.is_last or self.plan.partition.stages[self.plan.stage].cores == 1:
            return job | {"count": 1, "groups": self.plan.sent, "blocks": 0}
        channels = self.plan.network.layers[placed.layer.number].out_channels
        y, x, _ = placed.layer.out_shape
        return job | {
            "dst": placed.first // self.cfg.lanes, "count": y * x * self.cfg.chunks, "groups": placed.weights.groups,
            "blocks": blocks(channels, self.cfg.lanes),
        }  # fmt: skip

    def _weight_grads(self, n: int, samples: int) -> dict[int, dict]:
        placed, plan = self.plan.layers[n], self.plan
        found = {
            plan.job("weight_grad", n, chunk, walk): self._weight_grad(*own, samples, chunk)
            for chunk in plan.gradient_chunks(n) for walk, own in enumerate(placed.gradients)
        }  # fmt: skip
        for chunk in range(self.cfg.chunks if placed.layer.learns else 0):
            beside = self._weight_grad(placed, 0, placed.weights.bands[0], samples, 0)
            found[plan.job("leak_grad", n, chunk)] = leak_gradient(plan, n, samples, chunk, beside)
        return found

    def _at(self, region: Region, chunk: int) -> int:
        """The first word of a chunk of timesteps, in the first slot."""
        return region.base + region.chunk * chunk

    def _reads(self, placed: "PlacedLayer", read: int, chunk: int) -> dict:
        """What forward and weight_grad read in a walk, from which weights on: the n-th of a part's reads or, behind
        those of a mean, nothing, beside the biases; nothing as well before the first timestep."""
        layer, weights = placed.layer, placed.weights
        region, at = placed.inputs[read], chunk - layer.delay
        y, x, _ = layer.in_shape if layer.mean == 1 else (layer.mean, layer.mean, 0)
        job = {"src": self._at(region, at), "src_slot": region.step, "src_y": y, "src_x": x, "blocks": weights.blocks}
        if read == len(layer.reads):
            bias = placed.tile + weights.vector_tile
            return job | _EMPTY | {"src": 0, "blocks": 1, "tile": bias - weights.groups, "bias": 1}
        own = layer.reads[read] if self.trains else layer.reads[read].tested
        return job | {"count": own.job, "tile": placed.tile} | (_EMPTY | {"src": 0} if at < 0 else {})

    def _forward(
        self, placed: "PlacedLayer", neuron: NeuronConstants, chunk: int, walk: int, span: tuple[int, int]
    ) -> dict:
        """One walk of a layer for a span of its groups of lanes, with the biases of a part in its last one."""
        part, read = placed.walks[walk]
        layer, weights, (group, groups) = part.layer, part.weights, span
        band = weights.bands[0] if len(weights.bands) == 1 else weights.bands[placed.spans.index(span)]
        shared = passes(self.cfg, "forward", layer.sum_shape[1], groups) | {"groups": weights.groups}
        outputs = {"aux": placed.spikes.base, "aux_slot": placed.spikes.step}
        sums = placed.sums  # that a norm takes, or those of the neurons, which fire at once
        to = {"dst": sums.in_chunk(chunk) + group, "dst_slot": sums.step, "outgoing": 1} if sums else {
            "dst": self._at(placed.spikes, chunk) + group, "dst_slot": placed.spikes.step,
        }  # fmt: skip
        reads = self._reads(part, read, 0 if layer.planes else chunk)
        reads |= {"tile": reads["tile"] + band.tile + group - band.group, "src": reads["src"] + band.block}
        tied = layer.mean > 1 and read < len(layer.reads)
        biases = {"bias": int(layer.bias and read + 1 == len(part.inputs))}
        return dict(
            more=int(walk + 1 < len(placed.walks)), **to, carry=int(chunk > 0), block_step=band.groups,
            tap_step=self._same(weights.blocks, weights.groups) if tied else band.groups,
            pass_step=shared["pass_groups"], group_step=1, **shared,
            **reach_fields(self.cfg, as_convolution(layer) if tied else layer),
            exponent=self._limit(layer.number, "forward"), **neuron.of_layer(layer.number).forward,
            **(outputs if placed.layer.readout else {}), **ends(self.cfg, placed.layer, chunk),
            **biases | reads, **leak_field(placed, group),
            **self._own(weights, own_blocks=band.blocks), **({"own_groups": groups} if len(placed.spans) > 1 else {}),
        )  # fmt: skip

    @staticmethod
    def _own(weights: WeightMap, **fields: int) -> dict[str, int]:
        """Fields that say which words of a pixel a job reads, if it is of a band."""
        return fields if len(weights.bands) > 1 else {}

    @staticmethod
    def _same(count: int, step: int) -> int:
        """Tiles from the last of a tap, of so many blocks, to its first again: all taps of a mean have the same."""
        return -(count - 1) * step % (1 << JOB.shape()["tap_step"].width)

    def _pool(self, placed: "PlacedLayer", chunk: int) -> dict:
        y, x, _ = placed.layer.pooled_shape
        return {
            "src": self._at(placed.spikes, chunk), "src_slot": placed.spikes.step,
            "dst": self._at(placed.pooled, chunk), "dst_slot": placed.pooled.step,
            "groups": placed.weights.groups, "src_y": y, "src_x": x, "count": self._line(placed),
            "block_step": y * x * placed.weights.groups if placed.layer.out_planes else 0,
        }  # fmt: skip

    def _drop(self, placed: "PlacedLayer", chunk: int) -> dict:
        """What the layers above read is cleared where it is or, unless it is of windows, on its way there."""
        y, x, _ = placed.layer.pooled_shape
        source = placed.pooled if placed.layer.pool > 1 else placed.spikes
        return {
            "src": self._at(source, chunk), "src_slot": source.step,
            "aux": self._at(placed.spikes, chunk), "aux_slot": placed.spikes.step,
            "dst": self._at(placed.pooled, chunk), "dst_slot": placed.pooled.step,
            "groups": placed.weights.neuron_groups, "src_y": y, "src_x": x, "last_tap": placed.layer.pool - 1,
            "count": placed.layer.out_shape[1] * placed.weights.neuron_groups,
            "threshold": left_below(placed.layer.drop) if self.trains else 0,
        }  # fmt: skip

    @staticmethod
    def _line(placed: "PlacedLayer") -> int:
        """Words of a row of pixels that are pooled; 0 where none are."""
        return placed.layer.out_shape[1] * placed.weights.groups if placed.layer.pool > 1 else 0

    def _backward(self, n: int, neuron: NeuronConstants, chunk: int, walk: int, span: tuple[int, int]) -> dict:
        """Errors of one of layer n's readers to those of layer n, both on this core, in a span of the words of its
        pixels."""
        below, readers = self.plan.layers[n], self.plan.readers[n]
        placed = readers[walk]
        layer = as_convolution(placed.layer) if self.plan.by_position(n) else placed.layer
        weights = WeightMap(layer, self.cfg)
        spans, (first, count) = self.plan.spans(n), span
        count = count or weights.blocks
        band = weights.bands[0] if len(weights.bands) == 1 else weights.bands[spans.index(span)]
        shared = passes(self.cfg, "backward", layer.in_shape[1], count) | {"groups": weights.blocks}
        to = {"dst": below.made.in_chunk(chunk) + first, "dst_slot": below.made.step}
        if below.layer.join:  # to spread from there
            to = {"dst": self.plan.window_errors.base + first, "final": 1}
        return self._walk_back(placed, layer, weights, band, below.layer.number, chunk) | shared | dict(
            aux=self._at(below.spikes, chunk) + first, aux_slot=below.spikes.step,
            **to, carry=int(chunk + 1 < self.cfg.chunks),  # the last timesteps come first
            count=self._line(below), more=int(walk + 1 < len(readers)), token=int(log2(layer.mean**2)),
            tile=placed.tile + band.tile + (first - band.block) * band.groups,
            pass_step=shared["pass_groups"] * band.groups,
            **neuron.of_layer(below.layer.number).backward, **leak_field(below, first),
            **self._own(weights, own_blocks=band.groups), **({"own_groups": count} if len(spans) > 1 else {}),
        )  # fmt: skip

    def _backward_away(self, owner: int, chunk: int) -> dict:
        """Errors of the first layer to those of the layer below, the part that is on an ``owner``."""
        placed = self.plan.layers[0]
        layer, weights = placed.layer, placed.weights
        assert self.plan.before is not None  # the owner is a core of it
        walk = self.plan.walk_to_owner(layer, self.plan.before, owner)
        first, step = walk.pop("first"), walk.pop("step")
        tile = placed.tile + first * weights.groups
        below = layer.sources[0]
        assert below is not None
        job = self._walk_back(placed, layer, weights, weights.bands[0], below, chunk) | walk
        return job | {"tile": tile, "pass_step": step * weights.groups, "outgoing": 1}

    def _walk_back(
        self, placed: "PlacedLayer", layer: Layer, weights: WeightMap, band: Band, below: int, chunk: int
    ) -> dict[str, int]:
        """How backward walks over the errors of a band of a layer, as the convolution that it may be taken for, with
        terms for those of the layer ``below``."""
        out_y, out_x, _ = layer.sum_shape
        tap_step = (band.blocks - 1) * band.groups + 1
        at = chunk + layer.delay
        image = {"src": self._at(placed.errors, at) + band.group, "src_y": out_y, "src_x": out_x}
        if at >= self.cfg.chunks:  # behind the last timestep
            image = {"src": 0, **_EMPTY}
        return dict(
            **image, src_slot=placed.errors.step, block_step=1,
            tap_step=self._same(weights.groups, 1) if layer.mean > 1 else tap_step, group_step=band.groups,
            **reach_fields(self.cfg, layer, back=True), blocks=weights.groups,
            exponent=self._limit(below, "backward"),
        )  # fmt: skip

    def _errors(self, neuron: NeuronConstants, chunk: int) -> dict:
        """The loss on the last stage; elsewhere, errors from the next stage, in a chunk of timesteps."""
        placed = self.plan.layers[-1]
        job = dict(
            aux=self._at(placed.spikes, chunk), aux_slot=placed.spikes.step,
            dst=placed.errors.in_chunk(chunk), dst_slot=placed.errors.step,
            **neuron.of_layer(placed.layer.number).backward, **leak_field(placed),
        )  # fmt: skip
        if self.plan.after is None:
            return job | {
                "src": placed.first, "groups": placed.weights.groups, "count": self.plan.network.classes,
                "blocks": placed.layer.voters - 1,
            }  # fmt: skip
        above = self.plan.network.layers[self.plan.after.first]
        walk = self.plan.walk_to_owner(above, self.plan.partition.stages[self.plan.stage], self.plan.slice)
        y, x, _ = above.in_shape
        job |= {"last_y": y - 1, "last_x": x - 1, "count": y * x, "carry": int(chunk + 1 < self.cfg.chunks)}
        return job | {name: value for name, value in walk.items() if name not in ("first", "step", "group_entries")}

    def _weight_grad(self, placed: "PlacedLayer", read: int, band: Band, samples: int, chunk: int) -> dict:
        """With one of the reads of a band of a layer's part, and its biases in the first walk or, behind those of a
        mean, in the last."""
        layer, weights = placed.layer, placed.weights
        words = self.cfg.words_of("weight_grad")
        entries = words * self.cfg.entries_per_word("weight_grad")
        pass_groups = min(band.groups, self.cfg.accumulators // entries, 255)
        # Errors lie pixel by pixel, all groups of one beside each other; those of a mean are those of all pixels
        window, step = reach_fields(self.cfg, layer), weights.groups
        if layer.mean > 1 and read < len(layer.reads):
            pixels = replace(layer, kind="conv", image=(layer.mean, layer.mean, layer.image[2]))
            window, step = reach_fields(self.cfg, pixels), 0
        reads = self._reads(placed, read, chunk)
        reads |= {"tile": reads["tile"] + band.tile, "src": reads["src"] + band.block}
        return dict(
            aux=self._at(placed.errors, chunk) + band.group, aux_slot=placed.errors.step,
            group_step=1, groups=band.groups, block_step=step, tap_step=weights.groups, pass_step=pass_groups,
            pass_groups=pass_groups, group_entries=entries, words=words, **window,
            exponent=self._limit(layer.number, "weight_grad", samples),
            **{"bias": int(layer.bias and read == 0 and layer.mean == 1)} | reads,
            **self._own(weights, own_blocks=band.blocks), **({"low": band.shared} if band.shared else {}),
        )  # fmt: skip
