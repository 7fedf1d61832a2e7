"""What one core does: its slices of layers, where they lie in its memories, and its jobs."""

from dataclasses import dataclass, replace

from trident.host.compile.core_jobs import CoreJobs
from trident.host.compile.fields import limit_of_sums
from trident.host.compile.packing import WeightMap, blocks
from trident.host.compile.regions import Allocator, Region
from trident.host.compile.walks import walk_to_slice
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import ERROR_SLOTS, JOB, SLOT_BITS
from trident.hw.isa.operations import Opcode
from trident.hw.isa.registry import PLACES
from trident.sim.golden.constants import NeuronConstants, UpdateConstants
from trident.snn.layers import Layer
from trident.snn.network import Network
from trident.snn.partition import Partition, Stage

# Jobs of a layer and chunk, of a layer, of a core, and for each core of the stage before: what they run, and what of,
# for messages
_CHUNK_JOBS = {
    "forward": (Opcode.FORWARD, ""), "backward": (Opcode.BACKWARD, ""), "weight_grad": (Opcode.WEIGHT_GRAD, "")
}  # fmt: skip
_POOL_JOBS = {"pool": (Opcode.POOL, " of the spikes")}  # of a pooled layer and chunk
_LAYER_JOBS = {"update": (Opcode.UPDATE, ""), "update_bias": (Opcode.UPDATE, "")}
_CORE_JOBS = {
    "send": (Opcode.SEND, " of the spikes"), "errors": (Opcode.RECEIVE, " of the errors"),
    "free": (Opcode.NOTIFY, " of free room"), "ready": (Opcode.NOTIFY, " of the replica before"),
    "reduce": (Opcode.REDUCE, " of the gradients"), "reduced": (Opcode.NOTIFY, " of reduced gradients"),
    "vote": (Opcode.NOTIFY, " of complete gradients"),
}  # fmt: skip
_OWNER_JOBS = {"owner": (Opcode.BACKWARD, " to core {} of the stage before")}
LARGEST_WINDOW = 1 << JOB.shape()["last_tap"].width  # pixels along a side of a convolution's
WALKS, UPDATES, SINGLE = tuple(_CHUNK_JOBS), tuple(_LAYER_JOBS), tuple(_CORE_JOBS)


def sequencer_needs(layers: int, owners: int = 0, chunks: int = 1, pools: int = 0) -> dict[str, int]:
    """Parameters of the sequencer that so many layers on a core need at least, whose errors go to so many others, whose
    samples have so many chunks of timesteps, and so many of which are pooled."""
    own = (len(WALKS) * chunks + len(UPDATES)) * layers + len(_POOL_JOBS) * chunks * pools
    return {"jobs": own + len(SINGLE) + owners, "program_words": own + owners + 40}


@dataclass(frozen=True)
class PlacedLayer:
    """One layer, or a slice of its output channels, with the places of its weights (tiles), its input and output
    spikes, what the layer above reads of those and its errors (words).

    layer: with the slice's channels alone; first: the first of them.
    """

    first: int
    layer: Layer
    weights: WeightMap
    tile: int
    inputs: Region
    spikes: Region
    pooled: Region
    errors: Region


_Place = tuple[int, Layer, WeightMap, Region, Region, Region]


class CorePlan:
    """One core's share of a network: the layers of a stage, or a slice of one.

    wanted: samples whose spikes it would best hold at once; it holds as many as fit.
    Raises :class:`TooLarge` when they do not fit; the sentence says how many words are missing.
    """

    def __init__(self, network: Network, partition: Partition, stage: int, slice_: int, cfg: CoreConfig, wanted: int):
        self.network, self.partition, self.cfg = network, partition, cfg
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
        tiles = Allocator("weight_rows", cfg.weight_tiles, cfg.lanes)
        # As many samples under way as there is memory for
        for self.spike_slots in range(min(wanted, (1 << SLOT_BITS) - 1), 0, -1):
            spikes = Allocator("spike_words", cfg.spike_words)
            self.input, places = self._place(spikes, layers)
            if spikes.used <= spikes.capacity:
                break
        spikes.check("the spikes of one sample")
        self.spike_words = spikes.used
        bases = [tiles.take(weights.tiles).base for _, _, weights, *_ in places]
        tiles.check("the rows of weights")
        self.rows = tiles.used * cfg.lanes
        chunks = cfg.chunks
        words = sum(outputs.chunk * chunks for *_, outputs, _ in places)
        self.error_slots = ERROR_SLOTS if words * ERROR_SLOTS <= cfg.error_words else 1
        errors = Allocator("error_words", cfg.error_words)
        self.layers = [
            PlacedLayer(
                start, layer, weights, base, inputs, outputs, pooled,
                errors.take(outputs.chunk, self.error_slots, chunks),
            )
            for (start, layer, weights, inputs, outputs, pooled), base in zip(places, bases, strict=True)
        ]  # fmt: skip
        errors.check("the errors of one sample")
        self._number_jobs()
        self._check_limits()
        for placed in self.layers:
            for engine in PLACES:
                limit_of_sums(network.layers[placed.layer.number], engine, cfg)

    def _place(self, spikes: Allocator, layers: list[tuple[int, Layer]]) -> tuple[Region, list[_Place]]:
        """The region of the input's spikes, and every layer with the regions of what it reads and fires."""
        slots, first = self.spike_slots, layers[0][1]
        y, x, channels = first.image
        # By the number of the layer that fires them, what the layer above reads
        regions = {first.source: spikes.take(y * x * blocks(channels, self.cfg.lanes), slots, self.cfg.chunks)}
        places = []
        for start, layer in layers:
            weights = WeightMap(layer, self.cfg)
            out_y, out_x, _ = layer.out_shape
            words = out_y * out_x * weights.groups
            least = words * self.cfg.output_words if layer.readout else 0
            pooled = outputs = spikes.take(words, slots, self.cfg.chunks, least)
            if layer.pool > 1:
                pooled = spikes.take(words // layer.pool**2, slots, self.cfg.chunks)
            regions[layer.number] = pooled
            places.append((start, layer, weights, regions[layer.source], outputs, pooled))
        return regions[first.source], places

    @property
    def inner(self) -> list[int]:
        """Which of its layers read another of its layers, whose errors backward makes on this core."""
        own = {placed.layer.number for placed in self.layers}
        return [n for n, placed in enumerate(self.layers) if placed.layer.source in own]

    def source(self, placed: PlacedLayer) -> PlacedLayer:
        """The layer of this core whose spikes ``placed`` reads."""
        return next(other for other in self.layers if other.layer.number == placed.layer.source)

    def _number_jobs(self):
        names = [(name, 0, 0) for name in SINGLE]
        names += [("owner", k, 0) for k in range(self.owners)]
        for n in range(len(self.layers)):
            kinds = (*WALKS, *_POOL_JOBS) if self.layers[n].layer.pool > 1 else WALKS
            names += [(kind, n, chunk) for chunk in range(self.cfg.chunks) for kind in kinds]
            names += [(kind, n, 0) for kind in UPDATES]
        self.numbers = {name: number for number, name in enumerate(names)}

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
    def receivers(self) -> int:
        """Cores that its spikes go to; 0 for the network's output, which goes to the host."""
        return self.after.cores if self.after else 0

    @property
    def is_last(self) -> bool:
        """It has the network's outputs, or some of them."""
        return self.after is None

    def _check_limits(self):
        pools = sum(placed.layer.pool > 1 for placed in self.layers)
        for parameter, needed in sequencer_needs(len(self.layers), self.owners, self.cfg.chunks, pools).items():
            if needed > getattr(self.cfg, parameter):
                chunks = f" of {self.cfg.chunks} chunks of timesteps" if self.cfg.chunks > 1 else ""
                raise TooLarge(
                    f"{len(self.layers)} layers{chunks} need {parameter} of at least {needed}, the core has "
                    f"{getattr(self.cfg, parameter)}"
                )
        y, x, _ = max((placed.layer.image for placed in self.layers), key=lambda image: max(image[:2]))
        if max(y, x) > 255:
            raise TooLarge(f"an image of {y}x{x} pixels is larger than 255 in one direction")
        for n in self.inner:
            below, layer = self.source(self.layers[n]).layer, self.layers[n].layer
            if below.pool not in (1, self.cfg.pool):
                raise TridentError(f"the core has pool of {self.cfg.pool}, {below.neuron!r} needs {below.pool}")
            y, x, _ = layer.image
            if below.pool > 1 and layer.kind == "linear" and not y == x <= LARGEST_WINDOW:
                raise TridentError(
                    f"{layer.node!r} reads a pooled image of {y}x{x} pixels: to a linear node a core gives square ones "
                    f"alone, of {LARGEST_WINDOW} pixels at most"
                )
        for owner in range(self.owners):
            self.walk_to_owner(self.layers[0].layer, self.before, owner)

    def describe(self) -> list[dict]:
        """Per layer: what it is and the words it takes, for tables."""
        return [
            {
                "layer": str(placed.layer),
                "weights": placed.layer.weights,
                "rows": placed.weights.rows,
                "spike words": placed.spikes.size,
                "error words": placed.errors.size,
            }
            for placed in self.layers
        ]

    # Jobs
    def job(self, kind: str, layer: int = 0, chunk: int = 0) -> int:
        """The number of a job: one of :data:`SINGLE`, one of :data:`UPDATES` per layer of this core, one of
        :data:`WALKS` per layer and chunk of timesteps, ``pool`` per pooled layer and chunk, or ``owner`` per core of
        the stage before."""
        return self.numbers[kind, layer, chunk]

    def describe_job(self, number: int) -> str:
        """For messages: which engine and layer a job belongs to."""
        unknown = "unknown job", 0, 0
        kind, n, _ = next((name for name, other in self.numbers.items() if other == number), unknown)
        placed = self.layers[n if kind in (*WALKS, *_POOL_JOBS, *UPDATES) else 0 if kind in ("owner", "free") else -1]
        what = kind
        if kind != "unknown job":
            opcode, of = self._runs(kind)
            what = f"{opcode.name.lower()}{of.format(n)}"
        return f"{what} of layer {placed.layer.number + 1} ({placed.layer})"

    def _runs(self, kind: str) -> tuple[Opcode, str]:
        """What a job of this kind runs, and what of."""
        if kind == "errors" and self.is_last:
            return Opcode.LOSS, ""
        return (_CHUNK_JOBS | _POOL_JOBS | _LAYER_JOBS | _CORE_JOBS | _OWNER_JOBS)[kind]

    def jobs(self, neuron: NeuronConstants, updates: UpdateConstants) -> dict[int, dict]:
        """The fields of every job, without those that say who else takes part and without tokens."""
        return CoreJobs(self).all(neuron, updates)

    def update_jobs(self, updates: UpdateConstants) -> dict[int, dict]:
        """The jobs that change with the learning rate, the loss scale or the number of samples."""
        return CoreJobs(self).update(updates)

    def gradient_chunks(self, n: int) -> range:
        """The chunks of timesteps that weight_grad of layer n runs for: the errors of real values are summed in the
        first."""
        return range(1 if self.layers[n].layer.planes else self.cfg.chunks)

    def walk_to_owner(self, layer: Layer, stage: Stage, owner: int) -> dict:
        """How backward of ``layer`` walks the channels of core ``owner`` of the stage before, ``stage``."""
        low, high = (stage.cuts[owner], stage.cuts[owner + 1]) if stage.cores > 1 else (0, layer.image[2])
        return walk_to_slice(self.cfg, layer, low, high)
