"""What a slice of a layer costs a core: cycles of every engine per sample, operations, and words of memory."""

from dataclasses import replace
from functools import cache, cached_property

import numpy as np

from trident.host.compile.bands import Band, count_bands
from trident.host.compile.packing import WeightMap, blocks, out_groups
from trident.host.compile.sum_places import added_errors
from trident.host.compile.walks import as_convolution, passes
from trident.host.mapping.activity import Activity
from trident.host.mapping.amounts import Operations, Words, count_operations, count_words
from trident.host.mapping.engine_cycles import Job, Timing
from trident.host.mapping.laid_out import chunk_of, errors_of, inputs_of, words_of
from trident.host.mapping.standardise_cycles import standardise_cycles
from trident.host.mapping.unit_cycles import softmax_cycles
from trident.hw.isa.charges import leak_program
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import OPERATIONS, Opcode
from trident.hw.isa.registry import load
from trident.snn.network.kernel import PIXEL
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network

MERGE_LATENCY = 20  # from the last row of a norm's sums that a core sends to the first that comes to the next one
CREDIT_CYCLES = 40  # from the last row that a job sends to the credit for its packet, over a few hops


class CostModel:
    """Costs of slices ``(layer, first channel, end channel)`` on a core ``cfg`` of a ``mesh``, layers counted from 0.

    Cycles are means over the samples of ``activity``, from a walk over the very spikes and errors of those samples
    (:mod:`host.mapping.engine_cycles`). Every answer is kept, so that a search may ask again.
    """

    def __init__(self, network: Network, cfg: CoreConfig, activity: Activity, mesh: MeshConfig | None = None):
        self.network, self.cfg, self.activity, self.mesh = network, cfg, activity, mesh or MeshConfig()
        for name in ("forward_jobs", "backward_jobs", "backward_away", "weight_grad_jobs", "operations", "_inputs"):
            setattr(self, name, cache(getattr(self, name)))

    @cached_property
    def job_start(self) -> int:
        """Cycles from the end of a job to the start of the next one in its queue, with a token given and one taken."""
        return 8 if self.cfg.prefetch_jobs and not self.cfg.shared_engine else self.cfg.job_words + 16

    @property
    def whole_output(self) -> bool:
        """The last layer is on one core: its errors come of all classes, or classes have several voters."""
        return self.cfg.loss != "table" or self.network.voters > 1

    def _share(self, n: int, first: int, end: int) -> Layer:
        return replace(self.network.layers[n], out_channels=end - first)

    def _groups(self, n: int, first: int, end: int) -> int:
        """Groups of lanes of a slice."""
        return out_groups(self._share(n, first, end), self.cfg.lanes)

    def _model(self, opcode: Opcode):
        """How long a job of the operation takes on this core: a function, or cycles per row."""
        return load(OPERATIONS[opcode].cycles[self.cfg.shared_engine])

    def _walk_taps(
        self, walks: list[tuple], out_y: int, out_x: int, transposed: bool, groups: int, limit: int, timing: Timing
    ) -> Job:
        """Forward or backward over one sample; ``walks``: over which bits, as the convolution of which
        layer, and whether with biases; ``limit``: groups that a pass may have."""
        cfg = self.cfg
        given = [(bits, layer.kernel, bias) for bits, layer, bias in walks]
        engine = "backward" if transposed else "forward"
        shared = passes(cfg, engine, out_x, groups)
        pass_groups = min(shared["pass_groups"], limit)
        walk = self._model(Opcode.BACKWARD if transposed else Opcode.FORWARD)
        if cfg.shared_engine:
            ((bits, kernel, bias),) = given
            return walk(bits, out_y, out_x, kernel, transposed, bias, groups, pass_groups, timing)
        sizes = (shared["words"], pass_groups, cfg.lanes, getattr(cfg, f"{engine}_cols"))
        return walk(given, out_y, out_x, transposed, groups, *sizes, timing)

    @cached_property
    def _nothing(self) -> np.ndarray:
        """An image without pixels, beside which biases are, or leaks that are learned."""
        return np.zeros((0, 0, self.cfg.lanes, self.cfg.timesteps), np.uint8)

    @cached_property
    def recurrence(self) -> int:
        """Cycles from a neuron's step to its next one in neuron and neuron_grad; one more where a table is read."""
        return self.cfg.mac_stages + 1

    def _inputs(self, n: int) -> list[list[tuple[Layer, int, np.ndarray]]]:
        return inputs_of(self.network.layers[n], self.activity.layers[n], self.cfg)

    def _errors(self, n: int, first: int, end: int, of: str = "errors") -> list[np.ndarray]:
        """Of a slice, which errors, or terms of leaks' gradients, are not zero."""
        return errors_of(self._share(n, first, end), getattr(self.activity.layers[n], of)[..., first:end], self.cfg)

    def _timing(self, engine: str) -> Timing:
        cfg = self.cfg
        before = {"backward": cfg.mul_stages, "weight_grad": int(cfg.short_paths)}.get(engine, 0)
        latency = 2 + before + (0 if engine == "weight_grad" and cfg.exact else cfg.round_stages)
        if cfg.shared_engine:
            latency = 4 + cfg.mul_stages + cfg.round_stages
        # Of the first neuron: readouts and neurons of a layer's own are few steps longer or shorter
        program = (cfg.forward_programs if engine == "forward" else cfg.backward_programs)[0]
        recurrence = self.recurrence + bool(program.tables)
        queue = 0 if engine == "weight_grad" else cfg.drain_queue(latency)
        return Timing(
            engine != "forward", latency, queue, engine == "backward", recurrence, len(program.steps),
            gap=int(cfg.short_paths), lead=2 * cfg.short_paths, sweep=cfg.lanes * cfg.words_of("weight_grad") == 1,
        )  # fmt: skip

    def _sending(self, sums: bool) -> Timing:
        """Of backward when its rows go to another core; ``sums``: to be added to there, so exact where sums are."""
        rows = self.cfg.sum_rows if sums else 1
        room, (per_flit, pieces) = self.mesh.packet - 1, self._row_flits
        packet = max(room * per_flit // pieces // rows, 1)  # in rows of errors
        flit, gap = (per_flit, 1) if rows == 1 and pieces == 1 else (1, self._entering(rows) - 1)
        packet_gap = -(-packet * rows * pieces // per_flit) + 2
        return self._timing("backward")._replace(
            fetch=False, recurrence=0, passes=1, flit=flit, flit_gap=gap, packet=packet, packet_gap=packet_gap
        )

    @cached_property
    def _row_flits(self) -> tuple[int, int]:
        """Rows that go into a flit, and flits of a row; one of them is 1."""
        bits, flit = self.cfg.row_bits, self.mesh.flit
        return (flit // bits, 1) if bits <= flit else (1, -(-bits // flit))

    def _entering(self, rows: int) -> int:
        """Cycles in which so many rows of a sum, in flits of their own, go into a packet."""
        per_flit, pieces = self._row_flits
        return rows + -(-rows * pieces // per_flit)

    @cached_property
    def merge_round(self) -> float:
        """Cycles in which the sums of a pass go from one copy of the network to the next."""
        rows = self.cfg.pass_rows
        return 2 * rows + self._entering(rows) + MERGE_LATENCY

    @cached_property
    def reduce_row(self) -> float:
        """Cycles per row in which the last replica sends summed gradients, each in flits of its own."""
        model, rows = self._model(Opcode.REDUCE), self.cfg.sum_rows
        if self.cfg.shared_engine:
            return model
        entering = self._entering(rows)
        return model(self.mesh.packet - 1, entering, entering - rows)

    def _bands(self, layers: tuple[Layer, ...]) -> list[tuple[Band | None, ...]]:
        """What jobs over these layers, or parts of one, are of: their bands, one after another; None: all of it."""
        found = [WeightMap(layer, self.cfg).bands for layer in layers]
        many = max(map(len, found))
        return [tuple(own[k] if len(own) > 1 else None for own in found) for k in range(many)]

    def forward_jobs(self, n: int, first: int, end: int) -> list[Job]:
        """Forward of a slice, of every sample and chunk of timesteps, all bands in one."""
        layer, all_groups = self.network.layers[n], self._groups(n, first, end)
        out_y, out_x, _ = layer.sum_shape
        timing = self._timing("forward")._replace(planes=layer.planes is not None)
        if layer.keeps_sums:  # they go to memory
            timing = timing._replace(passes=1, recurrence=0)
        jobs = []
        for reads in self._inputs(n):
            for chunk in range(self.cfg.chunks):
                walks = []
                for part, number, bits in reads:
                    here = chunk_of(bits, self.cfg, 0 if layer.planes else chunk, part.delay)
                    bias, mean = part.bias and number + 1 == len(part.reads), part.mean > 1
                    walks.append((here, as_convolution(part) if mean else part, bias and not mean))
                    if bias and mean:
                        walks.append((self._nothing, part, True))
                made = []
                for bands in self._bands(layer.parts):
                    own = next(filter(None, bands), None)
                    groups = own.groups if own else all_groups
                    band_of, given = dict(zip((part.node for part in layer.parts), bands, strict=True)), []
                    for bits, part, bias in walks:
                        band = band_of[part.node]
                        given.append((words_of(bits, self.cfg, band.block, band.blocks) if band else bits, part, bias))
                    made.append(self._walk_taps(given, out_y, out_x, False, groups, groups, timing))
                jobs.append(_together(made))
        return jobs

    def forward(self, n: int, first: int, end: int) -> float:
        """Cycles of forward and the neuron unit per sample, and of the units that pool or drop spikes, in all chunks of
        timesteps."""
        layer, groups, timing = self.network.layers[n], self._groups(n, first, end), self._timing("forward")
        pooled = 0
        if layer.pool > 1:
            y, x, _ = layer.pooled_shape
            pooled = self._model(Opcode.POOL)(layer.pool) * y * x * groups + self.job_start
        if layer.join:
            y, x, _ = layer.pooled_shape
            pooled = self._model(Opcode.JOIN)(layer.join, y * x * groups) + self.job_start
        if layer.drop:
            y, x, _ = layer.pooled_shape
            pooled += self._model(Opcode.DROP)(layer.pool) * y * x * groups + self.job_start
        fired = 0 if layer.keeps_sums else timing.passes * timing.recurrence
        starts = len(self._bands(layer.parts)) * (fired + self.job_start)
        cycles = _mean(self.forward_jobs(n, first, end)) + starts + pooled
        return self.cfg.chunks * cycles

    def fire(self, n: int) -> float:
        """Cycles per sample of the neurons of a layer whose sums are kept, and before that of its windows, and of what
        is added."""
        layer, cfg, cycles = self.network.layers[n], self.cfg, 0.0
        y, x, _ = layer.out_shape
        words, recurrence = y * x * out_groups(layer, cfg.lanes) // layer.line, self._timing("forward").recurrence
        if layer.fires:
            cycles += self._model(Opcode.FIRE)(cfg, words, cfg.forward_programs[0], recurrence) + self.job_start
        if layer.window:
            cycles += self._model(Opcode.WINDOW)(cfg, layer.window, words) + self.job_start
        cycles += len(layer.adds) * (self._model(Opcode.ADD)(cfg, words) + self.job_start)
        return cfg.chunks * cycles

    def norm(self, n: int, samples: int, backward: bool, copies: int = 0) -> float:
        """Cycles of the norm of layer n, of the sums or, ``backward``, of the errors of so many samples of a minibatch,
        of which so many other ``copies`` of the network have the rest."""
        layer = self.network.layers[n]
        y, x, _ = layer.sum_shape
        steps = 1 if backward and layer.planes else self.cfg.timesteps
        rows, groups = samples * y * x * steps, out_groups(layer, self.cfg.lanes)
        assert layer.norm is not None
        model, job = self._model(Opcode.NORM), (self.cfg, rows, groups, backward, layer.norm.frozen)
        return model(*job, copies * self.merge_round) + self.job_start

    def backward_jobs(self, n: int) -> list[Job]:
        """Backward for the errors at the spikes of layer n, whose readers are all on its core, of every sample."""
        readers, timing = self.network.spike_readers[n], self._timing("backward")
        if (size := self.network.layers[n].pool) > 1:
            timing = timing._replace(windows=size**2)
        below = self.network.layers[n]
        if size > 1 or len(readers) > 1 or readers[0].mean > 1 or below.learns:
            readers = tuple(map(as_convolution, readers))
        if below.join:  # what backward makes is kept as it is
            timing = timing._replace(passes=1, recurrence=0)
        shares = [(reader, 0, reader.out_channels) for reader in readers]
        return self._walk_back(shares, WeightMap(readers[0], self.cfg).blocks, timing)

    def backward(self, n: int) -> float:
        """Cycles of :meth:`backward_jobs` per sample, until neuron_grad has taken the last row and errors at sums are
        added; of a layer without neurons those of the latter alone."""
        below, timing = self.network.layers[n], self._timing("backward")
        y, x, _ = below.out_shape
        words = y * x * out_groups(below, self.cfg.lanes) // below.line
        added = added_errors(below, self.network.adders) * (self._model(Opcode.ADD)(self.cfg, words) + self.job_start)
        tail = timing.passes * timing.recurrence if below.fires else 0.0
        more = len(self._bands(self.network.spike_readers[n])) - 1 if below.fires else 0  # jobs
        bands = more * (self.job_start + (0 if below.join else tail))
        if below.windows:
            shape, groups, neurons = below.pixels_shape, out_groups(below, self.cfg.lanes) // below.line, ()
            if below.join:
                neurons, tail = (self.cfg.backward_programs[0], timing.recurrence), 0
            tail += self._model(Opcode.SPREAD)(self.cfg, below.windows, shape, groups, *neurons) + self.job_start
        if not below.fires:
            return self.cfg.chunks * (tail + added)
        return self.cfg.chunks * (_mean(self.backward_jobs(n)) + self.job_start + tail + bands + added)

    def backward_away(self, n: int, first: int, end: int, low: int, high: int) -> float:
        """Cycles of backward per sample for the errors of channels ``low`` to ``high`` of the layer below, which are
        on another core."""
        y, x, channels = self.network.layers[n].image
        per_pixel, owned = blocks(channels, self.cfg.lanes), blocks(high - low, self.cfg.lanes)
        flattened = self.network.layers[n].kind == "linear"
        groups = y * x * owned if flattened else owned
        # A slice of a flattened image has a pass for each pixel
        limit = owned if flattened and owned < per_pixel else groups
        several = end - first < self.network.layers[n].out_channels
        layer = self.network.layers[n]
        jobs = self._walk_back([(layer, first, end)], groups, self._sending(several), limit)
        return self.cfg.chunks * (_mean(jobs) + self.job_start) + CREDIT_CYCLES

    def _walk_back(
        self, shares: list[tuple[Layer, int, int]], groups: int, timing: Timing, limit: int | None = None
    ) -> list[Job]:
        """Backward over the errors of channels of layers, which read the same image, of every sample."""
        in_y, in_x, _ = shares[0][0].in_shape
        jobs = []
        for errors in zip(*(self._errors(layer.number, first, end) for layer, first, end in shares), strict=True):
            for chunk in range(self.cfg.chunks):
                made = []
                for bands in self._bands(tuple(layer for layer, *_ in shares)):
                    own = next(filter(None, bands), None)
                    here = own.blocks if own else groups
                    walks = [
                        (chunk_of(
                            words_of(bits, self.cfg, band.group, band.groups) if band else bits, self.cfg,
                            chunk + layer.delay,
                        ), layer, False)
                        for bits, band, (layer, *_) in zip(errors, bands, shares, strict=True)
                    ]  # fmt: skip
                    made.append(self._walk_taps(walks, in_y, in_x, True, here, limit or here, timing))
                jobs.append(_together(made))
        return jobs

    def weight_grad_jobs(self, n: int, first: int, end: int) -> list[Job]:
        """Weight_grad of a slice, of every sample: its jobs, in all chunks of timesteps, in one."""
        cfg, layer, groups = self.cfg, self.network.layers[n], self._groups(n, first, end)
        words = cfg.words_of("weight_grad")
        pass_groups = min(cfg.accumulators // (words * cfg.entries_per_word("weight_grad")), 255)
        timing = self._timing("weight_grad")._replace(planes=layer.planes is not None)
        walk, found = self._model(Opcode.WEIGHT_GRAD), []
        sizes = (words, pass_groups, cfg.lanes, cfg.weight_grad_cols, cfg.accumulators)

        def rows_of(errors: np.ndarray, mean: int) -> np.ndarray:
            errors = errors.repeat(mean, axis=0).repeat(mean, axis=1)
            y, x, _, steps = errors.shape
            return errors.reshape(y, x, -1, cfg.lanes, steps).any(axis=3).transpose(0, 1, 3, 2).astype(np.uint8)

        errors_of = self._errors(n, first, end)
        terms_of = self._errors(n, first, end, "leak_terms") if layer.learns else errors_of
        for reads, errors, terms in zip(self._inputs(n), errors_of, terms_of, strict=True):
            jobs = []
            for chunk in range(1 if layer.planes else cfg.chunks):
                here = chunk_of(errors, self.cfg, chunk)
                for part, number, bits in (own for own in reads if not own[0].fixed):
                    if cfg.shared_engine:
                        y, x, *_ = here.shape
                        jobs.append(walk(bits, y, x, part.kernel, part.bias, groups, pass_groups, timing))
                        continue
                    for (band,) in self._bands((part,)):
                        own, beside = chunk_of(bits, self.cfg, chunk, part.delay), here
                        if band:
                            own = np.ascontiguousarray(words_of(own, self.cfg, band.block, band.blocks))
                            beside = words_of(here, self.cfg, band.group, band.groups)
                        rows, bias = rows_of(beside, part.mean), part.bias and not number and part.mean == 1
                        jobs.append(walk(own, rows, part.kernel, bias, *sizes, timing))
                # Beside nothing: biases of what reads a mean, and leaks that are learned
                beside = [here] * sum(part.mean > 1 and part.bias for part in layer.parts)
                for errors_at in [*beside, *([chunk_of(terms, self.cfg, chunk)] if layer.learns else [])]:
                    one = rows_of(errors_at, 1), PIXEL, True
                    jobs.append(walk(self._nothing, *one, *sizes, timing._replace(planes=False)))
            found.append(jobs[0] if cfg.shared_engine else _together(jobs))
        return found

    def weight_grad(self, n: int, first: int, end: int) -> float:
        """Cycles of weight_grad per sample, in all chunks of timesteps."""
        layer = self.network.layers[n]
        trained = (part for part in layer.parts if not part.fixed)
        jobs = sum(
            len(part.reads) * count_bands(part, self.cfg.lanes) + (part.mean > 1 and part.bias) for part in trained
        ) + layer.learns  # fmt: skip
        starts = self.job_start * jobs * (1 if layer.planes else self.cfg.chunks)
        return _mean(self.weight_grad_jobs(n, first, end)) + starts

    def loss(self, outputs: int) -> float:
        """Cycles of loss and neuron_grad per sample for so many outputs."""
        timing, words = self._timing("backward"), self.network.voters * self.cfg.chunks
        lanes, neuron = self.cfg.lanes, timing.passes * timing.recurrence
        groups, before = blocks(outputs // self.network.voters, lanes), 0
        if self.cfg.loss != "table":
            before = softmax_cycles(groups, lanes, self.recurrence, words)
        if self.cfg.loss == "steps":
            # Neurons, one after another of the three sweeps of their timestep
            return self.cfg.word_steps * (before + groups * (neuron + self.recurrence + 3)) + self.job_start
        return self._model(Opcode.LOSS)(groups, lanes, self.cfg.timesteps, neuron, words) + before + self.job_start

    def update(self, n: int, first: int, end: int) -> float:
        """Cycles of the update of a slice, per minibatch."""
        layer, groups, rows, standard = self.network.layers[n], self._groups(n, first, end), 0, 0.0
        for part in layer.parts:
            weights = WeightMap(part, self.cfg)
            rows += (weights.vectors * weights.groups if part.fixed else weights.updated) * groups / weights.groups
            if part.standardised:
                standard += groups * standardise_cycles(self.cfg, part.fan_in)
                rows -= groups * part.taps * weights.blocks / part.conv_groups * self.cfg.lanes
        return standard + self._leaks(layer, groups) + self._model(Opcode.UPDATE)(self.cfg) * rows

    def _leaks(self, layer: Layer, groups: int) -> float:
        """Cycles per minibatch of leaks that are learned, beside their update."""
        if not layer.learns:
            return 0
        program = leak_program(dict(layer.changes).get("neuron", ""))
        made = self._model(Opcode.LEAK)(self.cfg, groups, program) + self.job_start
        return made + (self._model(Opcode.TIE)(self.cfg, groups) + self.job_start if layer.shares_leak else 0)

    def operations(self, n: int, first: int, end: int) -> Operations:
        """Additions and multiply-adds of a slice per sample, those with a zero left out."""
        return count_operations(self.network.layers[n], self.activity.layers[n], first, end)

    def words(self, n: int, first: int, end: int) -> Words:
        """Words that a slice takes; ``input_words`` are counted once per core and stage."""
        return count_words(self.network, self.cfg, n, self._share(n, first, end))


def _together(jobs: list[Job]) -> Job:
    """Jobs one after another, as one."""
    return jobs[0] if len(jobs) == 1 else Job(*(sum(job[k] for job in jobs) for k in range(len(Job._fields))))


def _mean(jobs: list) -> float:
    """Cycles of jobs, of whose fields they are the first."""
    return float(np.mean([job[0] for job in jobs]))
