"""What one core does: its slices of layers, where they lie in its memories, and its jobs."""

from dataclasses import replace
from functools import cached_property

from trident.host.compile.core_jobs import CoreJobs
from trident.host.compile.job_kinds import (
    ADD_ERRORS,
    ADDS,
    CHUNK_JOBS,
    CORE_JOBS,
    DROP_JOBS,
    FIRE_JOBS,
    JOIN_JOBS,
    LAYER_JOBS,
    LEAK_GRADIENTS,
    LEAK_JOBS,
    NORM_JOBS,
    OTHER_JOBS,
    OWNER_JOBS,
    POOL_JOBS,
    SINGLE,
    SPREAD_JOBS,
    UPDATES,
    WALKS,
    WINDOW_JOBS,
    sequencer_needs,
)
from trident.host.compile.packing import WeightMap, blocks
from trident.host.compile.placed import NOTHING, PlacedLayer, region_of
from trident.host.compile.plan_checks import check_limits, check_network
from trident.host.compile.regions import Allocator, Region
from trident.host.compile.sum_places import (
    added_errors,
    error_words,
    makes_errors,
    place_errors,
    place_sums,
    sum_words,
)
from trident.host.compile.walk_checks import check_walks
from trident.host.compile.walks import walk_to_slice
from trident.host.compile.windows import window_words
from trident.hw.errors import TooLarge
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import ERROR_SLOTS, SERIAL_BITS, SLOT_BITS
from trident.hw.isa.operations import Opcode
from trident.hw.isa.tokens import TOKEN_BITS
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition, Stage

# Of a layer: its first channel, regions of its spikes and of what the layers above read, and by part its weights and
# regions of its reads
_Place = tuple[int, Region, Region, list[tuple[Layer, WeightMap, tuple[Region, ...]]]]


class CorePlan:
    """One core's share of a network: the layers of a stage, or a slice of one.

    wanted: samples whose spikes it would best hold at once; it holds as many as fit. minibatch: samples that a batch
    norm is over, on all copies of the network; by default those.
    Raises :class:`TooLarge` when they do not fit; the sentence says how many words are missing.
    """

    def __init__(
        self, network: Network, partition: Partition, stage: int, slice_: int, cfg: CoreConfig, wanted: int,
        minibatch: int | None = None,
    ):  # fmt: skip
        self.network, self.partition, self.cfg = network, partition, cfg
        self.minibatch = wanted if minibatch is None else minibatch
        self.stage, self.slice = stage, slice_
        part = partition.stages[stage]
        before, after = partition.before(stage, network), partition.after(stage, network)
        # The stages whose spikes it reads and that read its own; None: the samples, and the network's output
        self.before = None if before is None else partition.stages[before]
        self.after = None if after is None else partition.stages[after]
        layers = []
        for number in part.layers:
            layer = network.layers[number]
            first, end = (part.cuts[slice_], part.cuts[slice_ + 1]) if part.cores > 1 else (0, layer.out_channels)
            layers.append((first, replace(layer, out_channels=end - first)))
        check_network(network, part.layers, cfg)
        tiles = Allocator("weight_rows", cfg.weight_tiles, cfg.lanes)
        self.serial = network.batch_norm
        # As many samples under way as there is memory for; or all of a minibatch, layer by layer
        most = (1 << SERIAL_BITS if self.serial else 1 << SLOT_BITS) - 1
        if self.serial and wanted > most:
            raise TooLarge(f"a minibatch of {wanted} samples is more than the {most} that a batch norm can have")
        for slots in (wanted,) if self.serial else range(min(wanted, most), 0, -1):
            self.spike_slots = slots
            spikes = Allocator("spike_words", cfg.spike_words)
            self.input, places = self._place(spikes, layers)
            if spikes.used <= spikes.capacity:
                break
        spikes.check(f"the spikes of {'a minibatch' if self.serial else 'one sample'}")
        self.spike_words = spikes.used
        bases = [[tiles.take(weights.tiles).base for _, weights, _ in parts] for *_, parts in places]
        tiles.check("the rows of weights")
        self.rows = tiles.used * cfg.lanes
        chunks, leaks = cfg.chunks, Allocator("leak_groups", cfg.leak_groups)
        maps = [parts[0][1] for *_, parts in places]
        words = error_words(maps, network.adders, chunks)
        half = 2 if cfg.learns else 1  # the other one has the terms of leaks' gradients
        self.error_slots = ERROR_SLOTS if words * ERROR_SLOTS * half <= cfg.error_words else 1
        if self.serial:
            self.error_slots = self.spike_slots
        errors = Allocator("error_words", cfg.error_words // half, half)
        sums, winners = Allocator("sum_words", cfg.sum_words), Allocator("winner_words", cfg.winner_words)
        kept = place_sums(maps, sums, self.spike_slots if self.serial else 1, chunks)
        made = place_errors(maps, network.adders, errors, self.error_slots, chunks)
        # Behind the norm, of one layer at a time; the largest of windows, and their errors, of one sample
        norms = [sum_words(own) for own in maps if own.layer.norm]
        windows = [window_words(own) for own in maps if own.layer.window]
        spread = [window_words(own) for own in maps if own.layer.windows]
        self.scaled = sums.take(max(norms, default=0), self.spike_slots)
        self.largest, self.window_errors = sums.take(max(windows, default=0)), errors.take(max(spread, default=0))
        self.layers: list[PlacedLayer] = []
        for (start, outputs, pooled, parts), own, (at_sums, total), (at_errors, by_neurons) in zip(
            places, bases, kept, made, strict=True
        ):
            layer, weights, _ = parts[0]
            placed, *branches = (
                PlacedLayer(start, part, tiles_of, base, inputs, outputs, pooled, at_errors,
                            by_neurons or self.window_errors)
                for (part, tiles_of, inputs), base in zip(parts, own, strict=True)
            )  # fmt: skip
            self.layers.append(replace(
                placed, sums=at_sums, total=total, branches=tuple(branches),
                winners=winners.take(window_words(weights), self.spike_slots, chunks) if layer.windows else None,
                leaks=leaks.take(weights.groups) if layer.learns else None,
            ))  # fmt: skip
        leaks.check("the leaks that neurons learn")
        self.sum_words, self.winner_words, self.error_words = sums.used, winners.used, errors.used * half
        self.leak_groups = leaks.used
        for memory, what in ((sums, "the sums"), (winners, "the largest pixels of windows")):
            memory.check(f"{what} of {'a minibatch' if self.serial else 'one sample'}")
        errors.check(f"the errors of {'a minibatch' if self.serial else 'one sample'}")
        check_walks(self)
        self._number_jobs()
        check_limits(self)

    def _place(self, spikes: Allocator, layers: list[tuple[int, Layer]]) -> tuple[Region, list[_Place]]:
        """The region of the input's spikes, and every layer with the regions of what it reads and fires."""
        slots, first = self.spike_slots, layers[0][1]
        y, x, channels = first.image
        # By the number of the layer that fires them, what the layer above reads
        below, planes = first.sources[0], first.reads[0].planes
        words = y * x * blocks(channels, self.cfg.lanes) * (planes.words if planes else 1)
        regions = {below: spikes.take(words, slots, self.cfg.chunks)}
        places = []
        for start, layer in layers:
            weights = WeightMap(layer, self.cfg)
            out_y, out_x, _ = layer.out_shape
            words = out_y * out_x * weights.neuron_groups * layer.fires
            least = words * self.cfg.output_words if layer.readout else 0
            pooled = outputs = spikes.take(words, slots, self.cfg.chunks, least)
            if layer.rewrites:
                planes = layer.out_planes
                pooled_y, pooled_x, _ = layer.pooled_shape
                words = pooled_y * pooled_x * weights.neuron_groups * (planes.words if planes else 1)
                pooled = spikes.take(words, slots, self.cfg.chunks)
            regions[layer.number] = pooled
            parts = []
            for part in layer.parts:
                inputs = tuple(region_of(regions[read.source], read) for read in part.reads)
                if part.mean > 1 and part.bias:
                    inputs += (NOTHING,)
                parts.append((part, WeightMap(part, self.cfg), inputs))
            places.append((start, outputs, pooled, parts))
        return regions[below], places

    def normed(self, placed: PlacedLayer) -> Region:
        """Where the norm of a layer puts what it has scaled."""
        return self.scaled if placed.layer.window else self.behind_norm(placed)

    def behind_norm(self, placed: PlacedLayer) -> Region:
        """The sums of a layer behind its norm and windows, to which others may be added."""
        if placed.total and not placed.layer.adds:
            return placed.total
        shared = self.largest if placed.layer.window else self.scaled if placed.layer.norm else placed.sums
        assert shared is not None
        return shared

    def taken(self, placed: PlacedLayer) -> Region:
        """The sums that a layer's neurons, and those who add them, take."""
        return placed.total or self.behind_norm(placed)

    def trains(self, n: int) -> bool:
        """Whether weight_grad has jobs for layer n."""
        return bool(self.layers[n].gradients) or self.layers[n].layer.learns

    def makes_errors(self, n: int) -> bool:
        """Whether backward has jobs for the errors at the sums of layer n, unless it is the last."""
        return makes_errors(self.layers[n].layer, self.network.adders)

    @cached_property
    def readers(self) -> list[list[PlacedLayer]]:
        """By layer of this core, the parts of its layers that read its spikes, as often as they add them: backward
        makes its errors on this core where there are any."""
        parts = [part for other in self.layers for part in other.parts if not part.layer.silent]
        return [
            [part for part in parts for source in part.layer.sources if source == placed.layer.fired_by]
            for placed in self.layers
        ]

    @property
    def inner(self) -> list[int]:
        """Which of its layers have their errors from others of its layers."""
        return [n for n, readers in enumerate(self.readers) if readers]

    def _number_jobs(self):
        names = [(name, 0, 0, 0, 0) for name in SINGLE]
        names += [("errors", 0, chunk, 0, 0) for chunk in self.error_chunks[1:]]
        names += [("owner", k, chunk, 0, 0) for chunk in range(self.cfg.chunks) for k in range(self.owners)]
        for n, placed in enumerate(self.layers):
            reads = len(placed.walks)
            # As many jobs of each kind in a row; of forward and backward they are the walks of one
            jobs = {"forward": reads, "backward": len(self.readers[n]), "weight_grad": len(placed.gradients)}
            jobs |= {kind: int(placed.layer.pool > 1) for kind in POOL_JOBS}
            jobs |= {kind: int(placed.layer.drop > 0) for kind in DROP_JOBS}
            jobs |= {kind: int(bool(placed.layer.norm)) for kind in NORM_JOBS}
            jobs |= {kind: int(bool(placed.sums) and placed.layer.fires) for kind in FIRE_JOBS}
            jobs |= {kind: len(placed.layer.adds) for kind in ADDS}
            jobs |= {kind: added_errors(placed.layer, self.network.adders) for kind in ADD_ERRORS}
            jobs |= {kind: int(bool(placed.layer.window)) for kind in WINDOW_JOBS}
            jobs |= {kind: int(bool(placed.layer.join)) for kind in JOIN_JOBS}
            jobs |= {kind: int(bool(placed.winners)) for kind in SPREAD_JOBS}
            jobs |= {kind: int(placed.layer.learns) for kind in LEAK_GRADIENTS}
            names += [
                (kind, n, chunk, band, walk)
                for chunk in range(self.cfg.chunks) for kind, many in jobs.items()
                for band in self.bands(kind, n) for walk in range(many)
            ]  # fmt: skip
            names += [
                (kind, n, 0, band, number) for number, part in enumerate(placed.parts)
                for band in range(len(part.weights.bands)) for kind in UPDATES
            ]  # fmt: skip
            names += [(kind, n, 0, 0, 0) for kind in (LEAK_JOBS if placed.layer.learns else ())]
        self.names = dict(enumerate(names))
        self.numbers = {name: number for number, name in self.names.items()}

    def spans(self, n: int) -> tuple[tuple[int, int], ...]:
        """What backward to layer n makes one after another: words of a pixel, the first and how many of them, 0: all;
        several where a grouped convolution reads its spikes."""
        bands = max((part.weights.bands for part in self.readers[n]), key=len, default=())
        if len(bands) > 1:
            return tuple((band.block, band.blocks) for band in bands)
        return ((0, 0),) if self.readers[n] else ()

    def bands(self, kind: str, n: int) -> range:
        """Jobs of a kind, of layer n and a chunk of timesteps, that follow one another."""
        if kind == "forward":
            return range(len(self.layers[n].spans))
        return range(len(self.spans(n)) if kind == "backward" else 1)

    @property
    def owners(self) -> int:
        """Cores that this core's errors go to: those of the stage before."""
        return self.before.cores if self.before else 0

    @property
    def senders(self) -> int:
        """Those that a sample's spikes come from: the cores of the stage before, or the host."""
        return self.owners or 1

    @property
    def sent(self) -> int:
        """Spike words of a sample that leave the core: those of the last layer, or a readout's outputs."""
        placed = self.layers[-1]
        region = placed.spikes
        return region.chunk * (self.cfg.output_words if placed.layer.readout else self.cfg.chunks)

    @property
    def credits(self) -> int:
        """Samples that the host may send before any of their slots is told to be free."""
        return min(self.spike_slots, (1 << TOKEN_BITS) - 1)

    @property
    def receivers(self) -> int:
        """Cores that its spikes go to; 0 for the network's output, which goes to the host."""
        return self.after.cores if self.after else 0

    @property
    def is_last(self) -> bool:
        """It has the network's outputs, or some of them."""
        return self.after is None

    @property
    def sequencer_needs(self) -> dict[str, int]:
        """Parameters of the sequencer that its jobs need at least."""
        layers = self.partition.stages[self.stage].layers
        return sequencer_needs(self.network, layers, self.cfg.lanes, self.owners, self.cfg.chunks, self.is_last)

    def describe(self) -> list[dict]:
        """Per layer: what it is and the words it takes, for tables."""
        return [
            {
                "layer": str(placed.layer),
                "weights": placed.layer.weights,
                "rows": sum(part.weights.rows for part in placed.parts),
                "spike words": placed.spikes.size,
                "error words": placed.errors.size,
            }
            for placed in self.layers
        ]

    def by_position(self, n: int) -> bool:
        """Whether backward walks the pixels of the image of layer n's spikes, and not one vector of all of them."""
        readers = self.readers[n]
        own = self.layers[n].layer  # neurons with leaks of their own need to know their channel
        return own.pool > 1 or len(readers) > 1 or own.learns or any(placed.layer.mean > 1 for placed in readers)

    # Jobs
    def job(self, kind: str, layer: int = 0, chunk: int = 0, walk: int = 0, band: int = 0) -> int:
        """The number of a job: one of :data:`SINGLE`, one of :data:`UPDATES` per part of a layer of this core, one of
        :data:`WALKS` per layer and chunk of timesteps, likewise those of pools, dropouts, norms and windows where a
        layer has them, or ``owner`` per core of the stage before and chunk. ``walk``: of backward to a layer, which
        reader's, of forward and weight_grad, which of the layer's walks, of an update, which part's. ``band``: of those
        that follow one another."""
        return self.numbers[kind, layer, chunk, band, walk]

    def first_walk(self, number: int) -> int:
        """The job whose sums this one adds to: of a further walk of forward or backward the first one, else itself."""
        kind, *rest = self.names[number]
        return self.numbers[kind, *rest[:-1], 0] if kind in ("forward", "backward") else number

    def describe_job(self, number: int) -> str:
        """For messages: which engine and layer a job belongs to."""
        kind, n, _, _, walk = self.names.get(number, ("unknown job", 0, 0, 0, 0))
        of_layer = kind in (*WALKS, *OTHER_JOBS, *UPDATES)
        placed = self.layers[n if of_layer else 0 if kind in ("owner", "free") else -1]
        if kind == "backward":  # is of the layer whose weights it reads
            placed = self.readers[n][walk]
        what = kind
        if kind != "unknown job":
            opcode, of = self._runs(kind)
            what = f"{opcode.name.lower()}{of.format(n)}"
        return f"{what} of layer {placed.layer.number + 1} ({placed.layer})"

    def _runs(self, kind: str) -> tuple[Opcode, str]:
        """What a job of this kind runs, and what of."""
        if kind == "errors" and self.is_last:
            return Opcode.LOSS, ""
        return (CHUNK_JOBS | OTHER_JOBS | LAYER_JOBS | CORE_JOBS | OWNER_JOBS)[kind]

    def jobs(self, neuron: NeuronConstants, updates: UpdateConstants, trains: bool = True) -> dict[int, dict]:
        """The fields of every job, of a program that ``trains`` or infers, without those that say who else takes part
        and without tokens."""
        return CoreJobs(self, trains).all(neuron, updates)

    def update_jobs(self, updates: UpdateConstants) -> dict[int, dict]:
        """The jobs that change with the learning rate, the loss scale or the number of samples."""
        return CoreJobs(self).update(updates)

    def drop_jobs(self, seed: int, minibatch: int) -> dict[int, dict]:
        """The jobs that change with every minibatch: those of dropouts, in training."""
        return CoreJobs(self).drop(seed, minibatch)

    def gradient_chunks(self, n: int) -> range:
        """The chunks of timesteps that weight_grad of layer n runs for: the errors of real values are summed in the
        first."""
        return range(1 if self.layers[n].layer.planes else self.cfg.chunks)

    @property
    def error_chunks(self) -> range:
        """The chunks of timesteps that errors come in; those of a loss come at once."""
        return range(1 if self.is_last else self.cfg.chunks)

    def walk_to_owner(self, layer: Layer, stage: Stage, owner: int) -> dict:
        """How backward of ``layer`` walks the channels of core ``owner`` of the stage before, ``stage``."""
        low, high = (stage.cuts[owner], stage.cuts[owner + 1]) if stage.cores > 1 else (0, layer.image[2])
        return walk_to_slice(self.cfg, layer, low, high)
