"""How fast a board's chips train, predicted, beside SpikingJelly on this machine's processor; cells and clocks of the
boards' builds."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from time import perf_counter

import click

from trident.bench.chip.link import LABEL, upload_fraction
from trident.bench.chip.meshes import Minibatches
from trident.boards.devices import design_of
from trident.boards.devices.design import Design
from trident.boards.report.report import Report
from trident.boards.report.results import committed, figures
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.line import BYTE_BITS
from trident.snn.data.dataset import load
from trident.snn.data.encoding import encode
from trident.snn.network.defaults import DEEP
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

BOARD = "ulx3s-85f"
SETUP = "mesh20"
MEASURED = {"mesh20": 3, "fast": 18}  # minibatches of an epoch whose cycles are counted on the simulated chip
WARM, ROUNDS, SECONDS = 3, 5, 1.0  # minibatches that do not count; rounds of which the best does, seconds of each


@dataclass(frozen=True)
class Work:
    """What is trained: a network, fields of :class:`NeuronSettings`, samples of a minibatch."""

    net: str
    batch: int
    neuron: dict = field(default_factory=dict)


WORK = {
    "digits": Work(DEEP.net, DEEP.train["batch"], DEEP.neuron),
    "mnist": Work("28x28x1-4c5s2p2-8c3s2p1-16c3s2p1-10", 40),
}


def chosen(reports: dict[str, Report]) -> Report | None:
    """The report whose clock counts: that of :data:`SETUP` on :data:`BOARD`, else of the largest mesh there; None where
    no mesh has been placed."""
    placed = [r for r in reports.values() if r.board == BOARD and r.clocks and r.cores > 1]
    return max(placed, key=lambda r: (r.setup == SETUP, r.cores), default=None)


def cycles_per_sample(design: Design, data: str) -> float:
    """Cycles of a training sample, update included, as the cores of the simulated chip count them over the first epoch,
    with the partition that the cost model finds. Raises :class:`Divergence` where the chip and golden differ."""
    work = WORK[data]
    chip = ChipChoice(f"{design.mesh.width}x{design.mesh.height}") if design.mesh.cores > 1 else None
    spec = RunSpec.make(
        data, work.net, neuron=work.neuron, train={"batch": work.batch}, chip=chip, built=(design.cfg, design.mesh)
    )
    minibatches = Minibatches(spec)
    cycles = minibatches.epoch(MEASURED.get(design.name, 1))
    minibatches.close()
    return cycles


def chip_rate(cycles: float, clock_hz: float, sample_bytes: float, byte_rate: float) -> float:
    """Samples per second of a chip that takes so many cycles and bytes per sample: the slower of chip and line.

    byte_rate: bytes per second that the line carries of samples.
    """
    return min(clock_hz / cycles, byte_rate / sample_bytes)


def predicted(report: Report, data: str) -> tuple[float, float]:
    """Samples per second of the chip of a report at the clock that it reached: with the link as it was measured, and of
    the chip alone."""
    design = design_of(report.board, report.setup, report.lanes)
    network = Network.parse(WORK[data].net)
    sample_bytes = prod(network.sample_shape) * design.cfg.timesteps / 8 + LABEL
    byte_rate = upload_fraction(data) * report.baud / BYTE_BITS
    cycles, clock_hz = cycles_per_sample(design, data), 1e6 * report.clocks[0].fmax_mhz
    return chip_rate(cycles, clock_hz, sample_bytes, byte_rate), clock_hz / cycles


def spikingjelly_rate(data: str, timesteps: int) -> float:
    """Samples per second of training steps by SpikingJelly on the processor, in float32: forward, backward and update,
    of minibatches that lie encoded in memory. The best of several rounds after a warm-up, on all cores and, as small
    layers gain little from several, on one."""
    import torch  # of the extra oracle

    work, dataset = WORK[data], load(data)
    network = Network.parse(work.net)
    torch.manual_seed(0)
    spikes = encode(dataset, network, timesteps, "dither")[0]
    count = len(spikes) // work.batch * work.batch
    # (minibatch, timestep, sample, channel, y, x)
    inputs = torch.tensor(spikes[:count], dtype=torch.float32).permute(1, 0, 4, 2, 3)
    batches = inputs.reshape(timesteps, -1, work.batch, *inputs.shape[2:]).transpose(0, 1).contiguous()
    targets = torch.nn.functional.one_hot(torch.tensor(dataset.train_labels[:count]), network.classes).float()
    step = _spikingjelly_step(network, NeuronSettings(**work.neuron))

    pairs = list(zip(batches, targets.reshape(-1, work.batch, network.classes), strict=True))
    best, before = 0.0, torch.get_num_threads()
    for threads in {1, os.cpu_count() or 1}:
        torch.set_num_threads(threads)
        for n in range(WARM):
            step(*pairs[n % len(pairs)])
        for _ in range(ROUNDS):
            began, done = perf_counter(), 0
            while perf_counter() - began < SECONDS:
                step(*pairs[done % len(pairs)])
                done += 1
            best = max(best, done * work.batch / (perf_counter() - began))
    torch.set_num_threads(before)
    return best


def _spikingjelly_step(network: Network, neuron: NeuronSettings) -> Callable:
    """A function that trains on one minibatch (T, N, c, y, x) with its targets (N, classes); all timesteps of a layer
    are computed at once, which is SpikingJelly's fastest way."""
    import torch
    from spikingjelly.activation_based import functional, layer, surrogate
    from spikingjelly.activation_based.neuron import LIFNode

    def synapse(part: Layer):
        if part.kind == "linear":
            return layer.Linear(part.fan_in, part.out_channels)
        return layer.Conv2d(part.in_shape[2], part.out_channels, *part.kernel, part.conv_groups)

    parts = []
    for part in network.layers:
        if part.kind == "linear" and part.image[:2] != (1, 1):
            parts.append(layer.Flatten())
        lif = LIFNode(
            tau=1 / (1 - neuron.leak), decay_input=False, v_threshold=neuron.threshold, v_reset=0.0, detach_reset=True,
            surrogate_function=surrogate.Rect(1 / (2 * neuron.window)),
        )  # fmt: skip
        parts += [synapse(part), lif]
    model = torch.nn.Sequential(*parts)
    functional.set_step_mode(model, "m")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch: torch.Tensor, targets: torch.Tensor):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(batch).mean(0), targets).backward()
        optimizer.step()
        functional.reset_net(model)

    return step


def measure_fpga(only: str = "") -> Iterator[Figure]:
    """The figures whose names begin with ``only``: of the boards' reports, and of the speed of training."""
    reports = committed()
    yield from (figure for figure in figures(reports) if figure.name.startswith(only))
    report = chosen(reports)
    cfg = design_of(report.board, report.setup, report.lanes).cfg if report else CoreConfig.preset("FPGA")
    fast = [r for r in reports.values() if (r.board, r.setup) == (BOARD, "fast") and r.clocks]
    for data in WORK:
        for placed in filter(None, (report, *fast)):
            name = f"fpga.{placed.setup}.samples_per_second.{data}"
            if _wanted(name, only):
                rate, alone = predicted(placed, data)
                yield Figure(name, "samples/s", rate, "higher")
                yield Figure(f"{name}.chip_alone", "samples/s", alone, "higher")
        if _wanted(name := f"cpu.spikingjelly.samples_per_second.{data}", only):
            if importlib.util.find_spec("spikingjelly") and importlib.util.find_spec("torch"):
                yield Figure(name, "samples/s", spikingjelly_rate(data, cfg.timesteps), "higher")
            else:
                click.echo(f"{name} is left out: pip install '.[oracle]' installs SpikingJelly", err=True)
    if report is None:
        click.echo(f"fpga.*.samples_per_second is left out: no mesh on {BOARD} has a report", err=True)


def _wanted(name: str, only: str) -> bool:
    return name.startswith(only) or only.startswith(name)
