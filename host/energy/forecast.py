"""What a core will count for a minibatch, layer by layer, from the spikes and errors of its samples.

The counts are those of the RTL, exactly, so energies of networks that are too large to simulate follow from golden's
spikes and errors, or from random ones of a density.
"""

from collections import Counter
from collections.abc import Sequence

from trident.host.compile.packing import WeightMap, blocks, out_groups
from trident.host.compile.sum_places import added_errors
from trident.host.energy.chip import require_counters
from trident.host.mapping.cost import CostModel
from trident.host.mapping.engine_cycles import Job
from trident.hw.isa.adds import ADDITION
from trident.hw.isa.batch_norm import PARAMETERS, backward_passes, forward_passes, frozen_passes
from trident.hw.isa.charges import leak_program
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.neurons import NeuronKind
from trident.hw.isa.optimisers import KEPT, kept_names
from trident.hw.isa.registers import counted
from trident.hw.isa.spaces import kept_spaces
from trident.hw.isa.standardise import RAW
from trident.hw.isa.vector import Interpolate
from trident.hw.isa.vector_program import Program
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

SWEEPS = 3  # of a softmax over the outputs
ROWS_OF_NORM = 3  # of a group: gain and running variance, offset and running mean, and the inverse deviation
ENGINE = ("useful", "issued", "drained", "rows", "words")  # of what an engine counts


def forecast(cost: CostModel, neuron: NeuronSettings) -> list[Counter]:
    """The counters of a minibatch of the samples of ``cost``, of every layer on one core, by their names.

    The backward pass of a layer makes its own errors, from those of its readers; the last layer's are the loss's. What
    a layer's forward pass reads, and its update, are its own too.

    Raises :class:`TridentError` for a core that counts less, see :func:`require_counters`.
    """
    require_counters(cost.cfg)
    found = [_layer(cost, layer, neuron.at(layer, cost.cfg.steps).kind) for layer in cost.network.layers]
    found[0] += _inputs(cost.network, cost.cfg, cost.activity.samples)
    return found


def _layer(cost: CostModel, layer: Layer, kind: NeuronKind) -> Counter:
    cfg, n, outputs = cost.cfg, layer.number, layer.out_channels
    samples, groups, steps = cost.activity.samples, out_groups(layer, cfg.lanes), cfg.timesteps
    (y, x, _), (height, width, _) = layer.out_shape, layer.sum_shape
    words = samples * cfg.chunks * y * x * groups // layer.line  # of what its neurons take, and others add
    sums = samples * cfg.chunks * height * width * groups
    found = Counter(dict.fromkeys(counted(cfg), 0))

    forward = _jobs(found, "forward", cost.forward_jobs(n, 0, outputs))
    if layer.rewrites:
        pooled_y, pooled_x, _ = layer.pooled_shape
        _rewrite(found, layer, samples * cfg.chunks * pooled_y * pooled_x * groups)
    backward = None
    if layer.last:
        _loss(found, cfg, layer, samples, words)
    elif layer.fires:
        backward = _jobs(found, "backward", cost.backward_jobs(n))
    if layer.fires:
        _neurons(found, cfg, layer, kind, words)
    gradient = _jobs(found, "weight_grad", cost.weight_grad_jobs(n, 0, outputs))
    found["weights.reads"] += forward.rows + (backward.rows if backward else 0)
    found["spikes.reads"] += forward.requests + gradient.requests
    found["errors.reads"] += gradient.rows + (backward.issued if backward else 0)
    found["error_masks.reads"] += backward.requests if backward else 0
    for access in ("reads", "writes"):
        found[f"gradients.{access}"] += gradient.sums
    if layer.keeps_sums:
        found["sums.writes"] += sums * steps  # by forward
        found["sums.reads"] += words * steps * layer.fires  # by neurons
    if layer.norm:
        _norm(found, cfg, groups, sums * steps, sums if layer.planes else sums * steps, layer.norm.frozen)
        found["error_masks.writes"] += sums
    if layer.windows:
        _windows(found, cfg, layer, samples * cfg.chunks, groups)
    _adds(found, cfg, words, len(layer.adds), added_errors(layer, cost.network.adders))
    for part in layer.parts:
        _update(found, cfg, part, groups)
    if layer.learns:
        _leaks(found, cfg, layer, groups)
    return found


def _neurons(found: Counter, cfg: CoreConfig, layer: Layer, kind: NeuronKind, words: int):
    """Count a layer's neurons, so many words of them, and the errors at them."""
    rows = words * cfg.timesteps
    _run(found, "neuron", kind.forward, rows, cfg)
    found["spikes.writes"] += _outputs(cfg, layer, words)
    found["masks.writes"] += words
    _run(found, "neuron_grad", kind.backward, rows, cfg)
    if cfg.keeps_potentials:
        for access in ("reads", "writes"):
            found[f"potentials.{access}"] += rows
    found["errors.writes"] += rows * (1 + layer.learns)  # and terms of the leaks' gradients
    found["error_masks.writes"] += words
    for memory in ("spikes", "masks"):
        found[f"{memory}.reads"] += words


def _outputs(cfg: CoreConfig, layer: Layer, words: int) -> int:
    """The words that a layer with so many of spikes, or of masks, puts out: a readout does at the end of a sample."""
    return words // cfg.chunks * cfg.output_words if layer.readout else words


def _inputs(network: Network, cfg: CoreConfig, samples: int) -> Counter:
    """Count the samples that come in."""
    first = next(part for part in network.parts if None in part.sources)
    (y, x, channels), planes = first.image, first.reads[0].planes
    words = planes.words if planes else 1
    again = cfg.chunks if planes is None or not planes.still else 1
    return Counter({"spikes.writes": samples * again * y * x * blocks(channels, cfg.lanes) * words})


def _rewrite(found: Counter, layer: Layer, windows: int):
    """Count what pool and drop units do where so many words of spikes are left, and their masks."""
    pixels = layer.pool**2  # of a window, whose masks stay apart
    words = windows * pixels
    if layer.pool > 1:
        for memory in ("spikes", "masks"):
            found[f"{memory}.reads"] += 2 * words
        if layer.method == "max":
            found["spikes.writes"] += windows
            found["masks.writes"] += words
        else:  # those that fire are counted, in planes
            found["spikes.writes"] += windows * pixels.bit_length()
    if layer.drop:
        for memory in ("spikes", "masks"):
            found[f"{memory}.reads"] += words
        found["spikes.writes"] += windows
        found["masks.writes"] += words


def _loss(found: Counter, cfg: CoreConfig, layer: Layer, samples: int, words: int):
    """Count what loss and send do with the last layer's outputs, so many words of spikes."""
    outputs, once = _outputs(cfg, layer, words), words // cfg.chunks
    found["spikes.reads"] += outputs  # by send
    if cfg.loss == "table":
        found["spikes.reads"] += outputs
        return
    sums, scale, errors = cfg.loss_programs
    groups, times = once // layer.voters, cfg.word_steps if cfg.loss == "steps" else 1
    for program, rows in ((sums, groups), (scale, samples), (errors, groups)):
        _run(found, "loss", program, rows * times, cfg)
    if cfg.loss == "steps":
        found["potentials.reads"] += SWEEPS * once * times
    else:
        found["spikes.reads"] += SWEEPS * outputs


def _norm(found: Counter, cfg: CoreConfig, groups: int, sums: int, errors: int, frozen: bool):
    """Count batch norm of so many rows of sums, and of errors, but for the masks of these."""
    forward = frozen_passes() if frozen else forward_passes()
    passes = [(step, sums) for step in forward] + [(step, errors) for step in backward_passes()]
    for step, rows in passes:
        for program, times in ((step.rows, rows), (step.then, groups)):
            if program:
                _run(found, "norm", program, times, cfg)
        if not step.rows:
            continue
        found["sums.reads"] += rows
        found["errors.reads"] += rows * step.reads("g")
        for name, memory in {"z": "sums", "y": "sums", "g": "errors"}.items():
            found[f"{memory}.writes"] += rows * (name in step.rows.outputs)
    for memory in ("weights", RAW):
        found[f"{memory}.reads"] += 2 * groups * ROWS_OF_NORM
    found[f"{RAW}.writes"] += groups * ROWS_OF_NORM
    found["gradients.writes"] += groups * len(PARAMETERS)


def _windows(found: Counter, cfg: CoreConfig, layer: Layer, times: int, groups: int):
    """Count what finds the largest of windows, of sums or of spikes, and what spreads their errors, of an image so many
    times."""
    windows, (y, x, _), (height, width, _) = layer.windows, layer.windows_shape, layer.pixels_shape
    assert windows is not None
    each = groups
    if layer.line > 1:  # the outputs of a window are in groups one after another
        each, x, width = 1, groups // layer.line, groups
    words, steps = times * y * x * each, cfg.timesteps
    looked = words * windows.size**2
    found["winners.writes"] += words
    if layer.window:
        found["sums.reads"] += looked * steps
        found["sums.writes"] += words * steps
        pixels = times * height * width * each
        found["errors.writes"] += pixels * steps
        found["error_masks.writes"] += pixels
    else:
        found["spikes.reads"] += looked
        found["spikes.writes"] += words
        found["errors.writes"] += words * steps  # by backward

    def asked(pixels: int) -> int:
        """Of windows along a side, for every pixel those that it is in, or one."""
        places = [(pixel + windows.padding) % windows.stride for pixel in range(pixels)]
        return sum(max(-(-(windows.size - place) // windows.stride), 1) for place in places)

    for memory in ("winners", "errors"):
        found[f"{memory}.reads"] += times * asked(height) * asked(width) * each * steps


def _adds(found: Counter, cfg: CoreConfig, words: int, sums: int, errors: int):
    """Count what adds the sums of others, of so many words, so often, and likewise the errors at them."""
    for unit, memory, times in (("add", "sums", sums), ("add_errors", "errors", errors)):
        rows = times * words * cfg.timesteps
        _run(found, unit, ADDITION, rows, cfg)
        found[f"{memory}.reads"] += 2 * rows
        found[f"{memory}.writes"] += rows
    found["error_masks.writes"] += errors * words


def _leaks(found: Counter, cfg: CoreConfig, layer: Layer, groups: int):
    """Count what is made of leaks that are learned, and the sum of their gradients where neurons share one."""
    _run(found, "leak", leak_program(dict(layer.changes).get("neuron", "")), groups, cfg)
    found["weights.reads"] += groups
    if layer.shares_leak:
        for access in ("reads", "writes"):
            found[f"gradients.{access}"] += groups


def _update(found: Counter, cfg: CoreConfig, layer: Layer, groups: int):
    """Count an update of a layer's parameters, of standardised weights pass by pass; of fixed ones those beside
    them."""
    weights = WeightMap(layer, cfg)
    rows = weights.vectors * weights.groups if layer.fixed else weights.updated
    if layer.standardised:
        rows = groups * weights.vectors
        for band in weights.bands:
            _passes(found, cfg, band.groups * band.layer.fan_in, band.groups)
    _run(found, "update", cfg.update_program, rows, cfg)
    for access in ("reads", "writes"):
        for memory in ("weights", "gradients", *(space.name.lower() for space in kept_spaces(cfg))):
            found[f"{memory}.{access}"] += rows


def _passes(found: Counter, cfg: CoreConfig, rows: int, groups: int):
    """Count an update of so many rows of standardised weights."""
    memories = {"z": "weights", "w": RAW} | {name: KEPT[name] for name in kept_names(cfg.update_program)}
    for step in cfg.passes:
        for program, times in ((step.rows, rows), (step.then, groups)):
            if program:
                _run(found, "update", program, times, cfg)
        found["gradients.reads"] += rows * step.reads("g")
        for name, memory in memories.items():
            found[f"{memory}.reads"] += rows * step.reads(name)
            found[f"{memory}.writes"] += rows * bool(step.rows and name in step.rows.outputs)
    found["gradients.writes"] += rows  # cleared


def _run(found: Counter, unit: str, program: Program, rows: int, cfg: CoreConfig):
    """Count a program that a unit runs on so many rows."""
    found[f"mac.{unit}"] += rows * len(program.steps)
    if lookups := sum(isinstance(step, Interpolate) for step in program.steps):
        found["functions.reads"] += rows * lookups * cfg.lanes


def _jobs(found: Counter, engine: str, jobs: Sequence[Job]) -> Job:
    """Count what an engine does in jobs; all of them in one."""
    total = Job(*map(sum, zip(*jobs, strict=True)))
    for name in ENGINE:
        found[f"{engine}.{name}"] += getattr(total, name)
    return total
