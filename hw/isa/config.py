"""The one configuration that every unit of a core is built from."""

from dataclasses import dataclass, fields, replace

from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import Capability
from trident.hw.isa.config_programs import ConfigPrograms
from trident.hw.isa.config_sums import ConfigSums
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.job import ERROR_SLOTS, JOB, JOB_NUMBER_BITS, SERIAL_BITS, SLOT_BITS
from trident.hw.isa.limits import FEW_JOBS, check_config
from trident.hw.isa.losses import NUMBERS as LOSS_NUMBERS
from trident.hw.isa.program import QUEUE_STATE
from trident.hw.isa.registry import EngineEntry, entry


@dataclass(frozen=True)
class CoreConfig(ConfigPrograms, ConfigSums):
    """Sizes and choices of one core, checked when it is made: :class:`TridentError` names the parameter and the limit.

    lanes: output channels that one row of weights holds, and processing elements per column (a power of two).
    forward_cols, backward_cols: timesteps that an engine adds at once (they divide timesteps).
    weight_grad_cols: input channels that weight_grad adds at once (they divide lanes).
    timesteps: steps of a sample that a spike word holds; chunks: such words, one after another; spare: timesteps of the
        last word that are behind the sample's end. T is timesteps * chunks - spare.
    carry_words: with more than one chunk, spike words of a layer and chunk whose neurons' states are kept for the next.
    planes: forward and weight_grad also take real values, see :mod:`hw.isa.planes`; with forward_cols of 1.
    pool: pixels along a side of the windows whose spikes a pool unit joins; 1: there is none.
    walks: over spikes or errors, whose terms a sum of forward or backward may have: of a layer that reads the spikes of
        several, and of one whose spikes several read.
    kernels: convolutions may have kernels, strides and padding that differ along the axes, strides of 3 and 4, dilation
        and groups.
    batch_norm: layers may have a batch norm, see :mod:`hw.isa.batch_norm`.
    adds: sums of layers may be kept and added to those of others, see :mod:`hw.isa.adds`.
    dropout: layers may drop spikes in training, see :mod:`hw.isa.dropout`.
    window: pixels along a side of the largest windows of sums of which neurons take the largest; 1: there are none.
    join: likewise of the largest windows of spikes that are joined though they overlap or do not divide an image.
    overlap: windows of sums and spikes may overlap, so that errors of several are added.
    winner_words: words that say in each lane and at each timestep which pixel of such a window is the largest.
    sum_words: words of ``lanes * timesteps`` sums that are kept for batch norms, of a whole minibatch, and for windows
        and adds.
    standardise: layers may have standardised weights, see :mod:`hw.isa.standardise`, whose raw weights the core keeps.
    leak_groups: where neurons learn their leaks, groups of ``lanes`` channels that have leaks of their own.
    words: spike words that a walker gathers before it scans them, if there are accumulators for so many; positions
        (forward, backward) or input blocks (weight_grad) that share one row.
    accumulators: entries per processing element: sums that share what is read.
    accumulator_bits, accumulator_place: width of a sum and the power of two of its last place, which is never below
        that of the format's least number.
    gradient_bits: 16: gradients are floats, rounded once per sample and job, and so is what cores sum for each other.
        More: gradients are exact sums of so many bits, and errors and gradients travel between cores as exact sums, so
        that the trained weights do not depend on how many cores there are and what each of them does.
    exp, frac: the number format; multiplier_subnormals: whether multipliers keep subnormals or flush them to zero.
    mul_stages, round_stages: pipeline registers of a multiplier, and of what rounds a sum, in cycles.
    charge, reset, surrogate, detach: the neuron, names of :mod:`hw.isa.neurons`: how it charges, what it does at a
        spike, which derivative stands for the spike's, and whether no error flows through a reset. others: further
        neurons that a layer may have instead, see :meth:`hw.isa.neurons.NeuronKind.parse`, with commas between.
    optimiser: what an update does, a name of :mod:`hw.isa.optimisers`; loss: how errors of the last layer come from
        its spikes, one of :data:`trident.hw.isa.losses.LOSSES`; loss_tables: what it takes from its table is the same
        for all labels (1), or every one of so many labels has a table of its own; voters: the most neurons of the last
        layer that may vote for a class; soft_targets: room in each loss table for what is wanted of so many classes, of
        a softmax: the host gives every sample of a minibatch a table, as if it were a label; 0: there is none.
    weight_rows: rows of ``lanes`` weights; gradients and momenta have as many.
    spike_words: words of ``lanes * timesteps`` spike bits (inputs and all layers, up to three samples each).
    error_words: words of ``lanes * timesteps`` errors (all layers, up to two samples each); where neurons learn their
        leaks, half of them are terms of the leaks' gradients.
    jobs, program_words: descriptors, and instructions of all queues.
    prefetch_jobs: load an engine's next descriptor while it runs (with shared_engine, prepare it); costs registers.
    counters: which counters there are: all, few, or only for how long the engines run.
    short_paths: registers in an engine's pipeline that allow a faster clock, for a cycle between column vectors.
    shared_engine: forward, backward and weight_grad take turns on a small engine (:mod:`hw.compact.engine`),
        and a controller with firmware does what other cores have units for (:mod:`hw.compact`).
    standalone: the core is the only one of its chip, so it sends and takes no rows; for a shared engine.
    forward_engine, backward_engine, weight_grad_engine: names in :mod:`hw.isa.registry`.
    """

    lanes: int = 8
    forward_cols: int = 1
    backward_cols: int = 1
    weight_grad_cols: int = 1
    timesteps: int = 8
    chunks: int = 1
    spare: int = 0
    carry_words: int = 64
    planes: bool = False
    pool: int = 1
    walks: int = 1
    kernels: bool = False
    standardise: bool = False
    batch_norm: bool = False
    adds: bool = False
    dropout: bool = False
    window: int = 1
    join: int = 1
    overlap: bool = False
    winner_words: int = 0
    sum_words: int = 0
    leak_groups: int = 64
    words: int = 4
    accumulators: int = 32
    exp: int = 5
    frac: int = 10
    multiplier_subnormals: bool = False
    accumulator_bits: int = 48
    accumulator_place: int = -24
    gradient_bits: int = 48
    mul_stages: int = 2
    round_stages: int = 2
    charge: str = "lif"
    reset: str = "hard"
    surrogate: str = "rectangle"
    detach: bool = True
    others: str = ""
    optimiser: str = "sgd"
    loss: str = "table"
    loss_tables: int = 1
    soft_targets: int = 0
    voters: int = 1
    weight_rows: int = 4096
    spike_words: int = 1024
    error_words: int = 512
    jobs: int = 64
    program_words: int = 64
    prefetch_jobs: bool = True
    counters: str = "all"
    short_paths: bool = False
    shared_engine: bool = False
    standalone: bool = False
    forward_engine: str = "gated_add"
    backward_engine: str = "transposed"
    weight_grad_engine: str = "outer_product"

    def __post_init__(self):
        check_config(self)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the core has beside what all cores have."""
        lacks = {
            Capability.ENGINES: self.shared_engine, Capability.NEIGHBOURS: self.standalone,
            Capability.PROGRAMS: self.shared_engine, Capability.CHUNKS: self.shared_engine,
            Capability.PLANES: self.shared_engine or not self.planes,
            Capability.POOL: self.shared_engine or self.pool == 1,
            Capability.WALKS: self.shared_engine or self.walks == 1,
            Capability.KERNELS: self.shared_engine or not self.kernels,
            Capability.LOSS_TABLES: self.shared_engine, Capability.VOTERS: self.shared_engine or self.voters == 1,
            Capability.BATCH_NORM: self.shared_engine or not self.batch_norm,
            Capability.ADDS: self.shared_engine or not self.adds,
            Capability.SUMS: self.shared_engine or not self.sum_words,
            Capability.WINDOWS: self.shared_engine or self.window == 1,
            Capability.JOIN: self.shared_engine or self.join == 1,
            Capability.SPREAD: self.shared_engine or not self.winner_words,
            Capability.DROPOUT: self.shared_engine or not self.dropout,
            Capability.LEAKS: self.shared_engine or not self.learns,
            Capability.STANDARDISE: self.shared_engine or not self.standardise,
        }  # fmt: skip
        return frozenset(capability for capability, lacking in lacks.items() if not lacking)

    @property
    def leak_terms(self) -> int:
        """The first word, among those of errors, of the terms of leaks' gradients, and how many there are."""
        return self.error_words // 2 if self.learns else 0

    @property
    def output_words(self) -> int:
        """Spike words that a row of a readout's outputs takes."""
        return -(-self.width // self.timesteps)

    @property
    def most_spikes(self) -> int:
        """The most spikes that a class can have, those of all its voters."""
        return self.steps * self.voters

    @property
    def loss_bits(self) -> int:
        """Address bits of one loss table."""
        numbers = 1 if self.loss == "table" else len(LOSS_NUMBERS) + self.soft_targets
        return max(self.most_spikes.bit_length(), (numbers - 1).bit_length() or 1) + 1

    @property
    def label_bits(self) -> int:
        """Bits of a label that choose its loss table."""
        return (self.loss_tables - 1).bit_length()

    def engine(self, place: str) -> EngineEntry:
        """The engine that sits in ``place``: forward, backward or weight_grad; with shared_engine, what it works like.

        Raises TridentError, naming those there are, if the configuration names an unknown one.
        """
        return entry(place, getattr(self, f"{place}_engine"))

    @property
    def format(self) -> FloatFormat:
        return FloatFormat(self.exp, self.frac)

    @property
    def width(self) -> int:
        """Bits of one number."""
        return self.format.width

    @property
    def row_bits(self) -> int:
        """Bits of a row: ``lanes`` numbers."""
        return self.lanes * self.width

    @property
    def steps(self) -> int:
        """T, the timesteps of one sample."""
        return self.word_steps - self.spare

    @property
    def word_steps(self) -> int:
        """Timesteps that the words of a sample hold, those behind its end among them."""
        return self.timesteps * self.chunks

    @property
    def last_step(self) -> int:
        """The sample's last timestep, in its last word."""
        return self.timesteps - 1 - self.spare

    @property
    def job_words(self) -> int:
        """Words of a job that units see; behind them, and one that only a core with kernels loads, those that say which
        tokens it waits for and gives."""
        return JOB.words - 2 - (not self.kernels)

    @property
    def job_number_bits(self) -> int:
        """Bits of a job's number, as the host reads it."""
        return JOB_NUMBER_BITS if self.jobs > FEW_JOBS else QUEUE_STATE["job"].width

    @property
    def slot_bits(self) -> int:
        """Bits that number the samples whose spikes are in memory at once."""
        return SERIAL_BITS if self.batch_norm else SLOT_BITS

    @property
    def error_slot_bits(self) -> int:
        """Bits that number the samples whose errors are in memory at once."""
        return SERIAL_BITS if self.batch_norm else (ERROR_SLOTS - 1).bit_length()

    @property
    def spike_bits(self) -> int:
        """Bits of a spike word; bit ``lane * timesteps + t`` is the spike of that lane at t."""
        return self.lanes * self.timesteps

    @property
    def tap_bits(self) -> int:
        """Bits of a pixel's place in a window of sums or spikes, along a side."""
        return (max(self.window, self.join) - 1).bit_length()

    @property
    def winner_bits(self) -> int:
        """Bits of a word of winners: a spike word for each bit of a pixel's column in its window, then of its row."""
        return 2 * self.tap_bits * self.spike_bits

    @property
    def lane_bits(self) -> int:
        return (self.lanes - 1).bit_length()

    @property
    def step_bits(self) -> int:
        """Address bits that select a timestep within an error word."""
        return (self.timesteps - 1).bit_length()

    @property
    def vector_bits(self) -> int:
        """Bits that name one column vector of a spike word: a lane or a timestep."""
        return max(self.lane_bits, self.step_bits, 1)

    @property
    def weight_tiles(self) -> int:
        """Square tiles of ``lanes`` rows; a tile is what both a row and a column of weights are read from."""
        return self.weight_rows // self.lanes

    @property
    def error_rows(self) -> int:
        """Rows of ``lanes`` errors; each error word has a power of two of them, one per timestep."""
        return self.error_words << self.step_bits

    def items(self, engine: str) -> int:
        """Positions and groups of neurons that an engine may have under way at once in its neuron unit."""
        windows = self.pool**2 if engine == "backward" else 1
        return windows * (self.accumulators // self.entries_per_word(engine))

    @property
    def address_bits(self) -> int:
        """Bits that address any word or tile."""
        return max(
            self.weight_tiles, self.spike_words, self.error_words, self.sum_words, self.winner_words
        ).bit_length()

    @property
    def entry_bits(self) -> int:
        """Bits that address an accumulator entry."""
        return max((self.accumulators - 1).bit_length(), 1)

    @property
    def mac_stages(self) -> int:
        """Latency of the shared multiply-adder, in cycles."""
        return self.mul_stages + self.round_stages + (6 if self.shared_engine else 2 + self.short_paths)

    def drain_queue(self, latency: int) -> int:
        """Rows that wait between an engine's array of that latency and a neuron unit: those on their way, and more, so
        that the engine need not wait for the neurons' recurrence."""
        return max(latency + 4, 16)

    def words_of(self, engine: str) -> int:
        """Spike words that an engine gathers: ``words``, or as many as its accumulators have room for."""
        return min(self.words, 1 << (self.accumulators // self.entries_per_word(engine)).bit_length() - 1)

    def entries_per_word(self, engine: str) -> int:
        """Accumulator entries that one gathered word takes per group of lanes."""
        if engine == "weight_grad":
            return self.lanes // self.weight_grad_cols
        return self.timesteps // getattr(self, f"{engine}_cols")

    @classmethod
    def preset(cls, name: str, **changes) -> "CoreConfig":
        """A named configuration with some parameters changed. Raises TridentError for a name or key it does not
        know.
        """
        if name.upper() not in PRESETS:
            raise TridentError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
        known = {field.name for field in fields(cls)}
        for key in changes:
            if key not in known:
                raise TridentError(f"unknown parameter {key!r}: choose one of {', '.join(sorted(known))}")
        return replace(PRESETS[name.upper()], **changes)


PRESETS = {
    "TINY": CoreConfig(
        lanes=2, timesteps=4, words=2, accumulators=8, mul_stages=1, round_stages=1, gradient_bits=16,
        weight_rows=512, spike_words=128, error_words=64,
    ),
    "SMALL": CoreConfig(),
    "FPGA": CoreConfig(
        lanes=1, timesteps=4, words=1, accumulators=16, mul_stages=3, round_stages=4, gradient_bits=16,
        weight_rows=2048, spike_words=1024, error_words=256, jobs=28, prefetch_jobs=False,
        counters="few", short_paths=True,
    ),
    "COMPACT": CoreConfig(
        lanes=1, timesteps=4, words=1, accumulators=16, mul_stages=3, round_stages=3, gradient_bits=16,
        weight_rows=1024, spike_words=1792, error_words=256, jobs=32,
        counters="running", short_paths=True, shared_engine=True,
    ),
    "WIDE": CoreConfig(
        lanes=16, forward_cols=4, backward_cols=4, weight_grad_cols=4, timesteps=8, words=4, accumulators=16,
        weight_rows=8192, spike_words=2048, error_words=512,
    ),
}  # fmt: skip
