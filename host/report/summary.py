"""The record of a training run, as the report shows it."""

from pathlib import Path

from trident.host.energy.energy import Energy
from trident.host.energy.table import DEFAULT, EnergyTable
from trident.host.mapping.activity import measure_data
from trident.host.mapping.cost import CostModel
from trident.host.mapping.layer_cycles import layer_cycles
from trident.host.mapping.mapper import SAMPLES
from trident.host.mapping.traffic import load, traffic
from trident.host.report.energy import energy_svg
from trident.host.report.floorplan import core_label, floorplan_svg
from trident.host.report.graph import graph_svg
from trident.host.report.report import Epoch, RunRecord, Verdict
from trident.host.report.timeline import Interval, timeline_svg
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Progress, Trainer
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_values

ENGINES = ("forward", "backward", "weight_grad")


def engine_cycles(counters: dict[str, int]) -> dict[str, dict[str, int]]:
    """Cycles by engine and by what it did: additions started (busy), accumulators drained, stalls, search for work
    within a job, and no job (idle); of cores that count no more, with a job (running) and without."""
    cycles = counters["cycles"]
    engines = {}
    if "forward.useful" not in counters:
        for name in ENGINES:
            running = counters[f"{name}.running"]
            engines[name] = {"running": running, "idle": max(cycles - running, 0)}
        return engines
    for name in ENGINES:
        stalled, running = counters.get(f"{name}.stalled", 0), counters[f"{name}.running"]
        # A core with few counters has one column per engine as a rule: then every addition that starts is a useful one
        busy = counters.get(f"{name}.issued", counters[f"{name}.useful"])
        draining = counters.get(f"{name}.drained", 0)
        engines[name] = {
            "busy": busy, "draining": draining, "stalled": stalled,
            "searching": max(running - busy - draining - stalled, 0), "idle": max(cycles - running, 0),
        }  # fmt: skip
    if update := counters.get("update.running"):
        idle = max(cycles - update, 0)
        engines["update"] = {"busy": update, "draining": 0, "stalled": 0, "searching": 0, "idle": idle}
    return engines


def record(spec: RunSpec, trainer: Trainer, wall_seconds: float, build_seconds: float = 0.0) -> RunRecord:
    """The record of a run that has done at least one epoch and whose weights were compared with golden's.

    ``build_seconds``: how much of ``wall_seconds`` went by before the first minibatch.
    """
    progress = trainer.progress
    lanes, counters = spec.cfg.lanes, {
        name: sum(core[name] for core in progress.counters) for name in progress.counters[0]
    }  # fmt: skip
    labels = [str(layer) for layer in spec.network.layers]
    rates = zip(labels, progress.firing_rate, progress.gradient_sparsity, strict=True)
    batches = max(progress.activity_batches, 1)
    operations = {
        "minibatches skipped for overflow": progress.scaler["skipped"],
        "loss scale at the end": progress.scaler["scale"],
    }
    if "forward.useful" in counters:
        operations |= {
            "additions (forward, weight_grad)": lanes * (counters["forward.useful"] + counters["weight_grad.useful"]),
            "multiply-adds (backward)": lanes * counters["backward.useful"],
        }
    last = progress.history["RTL"][-1]
    return RunRecord(
        title=f"{spec.network_text} on {Path(spec.dataset.name).name}, trained on the RTL of "
        + (f"{spec.plan.partition.cores} cores" if spec.many else "one core"),
        settings={"epochs": spec.train.epochs} | spec.settings(),
        network=spec.plan.describe(),
        graph=graph_svg(spec.network, spec.plan.partition, spec.plan.placement),
        series={name: [Epoch(**epoch) for epoch in epochs] for name, epochs in progress.history.items()},
        verdict=Verdict(
            weights_compared=spec.network.weights,
            weights_differing=0,
            test_accuracy=last["test_accuracy"],
            cycles=progress.cycles,
            cycles_per_second=progress.cycles / progress.seconds,
            wall_seconds=wall_seconds,
            build_seconds=build_seconds,
            zero_weights=trainer.lockstep.golden.zero_share if spec.train.prune else None,
        ),
        warnings=[*spec.notes, *progress.findings],
        confusion=progress.tested["confusion"],
        layers=[
            {"name": name, "firing_rate": rate / batches, "gradient_sparsity": sparsity / batches, **cycles}
            for (name, rate, sparsity), cycles in zip(rates, cycles_record(spec, trainer), strict=True)
        ],
        engines=engine_cycles(counters),
        counters=operations | counters,
        **energy_record(spec, progress),
        **(chip_record(spec, trainer) if spec.many else {}),
    )


def cycles_record(spec: RunSpec, trainer: Trainer) -> list[dict[str, float]]:
    """Cycles that the cost model has for every layer and a sample, with the weights that were trained; none where it
    has none, of samples in several chunks."""
    if spec.cfg.chunks > 1:
        return [{} for _ in spec.network.layers]
    trained = trainer.lockstep.golden.bits(Space.WEIGHTS)
    weights = {name: to_values(bits, spec.cfg.format) for name, bits in trained.items()}
    activity = measure_data(
        spec.network, spec.cfg, spec.neuron, spec.dataset, SAMPLES, spec.encoding, spec.train.seed, weights
    )
    cost = CostModel(spec.network, spec.cfg, activity, spec.mesh)
    return layer_cycles(cost, spec.plan.partition, spec.train.batch)


def energy_record(spec: RunSpec, progress: Progress) -> dict:
    """What the report shows of energy; nothing of cores that do not count enough."""
    if spec.cfg.counters != "all" or not progress.trained_samples:
        return {}
    table = EnergyTable.load(DEFAULT)
    energy = Energy.of(progress.trained, progress.trained_samples, spec.network, spec.cfg, table)
    return {"energy": energy.figures, "energy_plot": energy_svg(energy)}


def chip_record(spec: RunSpec, trainer: Trainer) -> dict:
    """What the report shows of a chip of several cores: floor plan, timeline of the first minibatch, figures."""
    plan = spec.plan
    partition, mesh = plan.partition, plan.mesh
    flows = traffic(spec.network, partition, spec.cfg, mesh, spec.train.batch)
    links = load(flows, mesh, plan.placement)
    labels = [""] * mesh.cores
    for core, place in enumerate(plan.placement):
        labels[place] = f"core {place}: " + " ".join(filter(None, core_label(spec.network, partition, core)[1:]))
    used = set(plan.placement)
    intervals = [interval for interval in trainer.intervals if interval[0] in used]
    began = min((start for _, _, start, _ in intervals), default=0)
    intervals = [Interval(place, queue, start - began, end - began) for place, queue, start, end in intervals]
    cycles = max((core["cycles"] for core in trainer.first_counters), default=0)
    per_sample = cycles / spec.train.batch
    figures = {
        "mesh": f"{mesh.width}x{mesh.height}",
        "partition": str(partition),
        "cores in use": partition.cores,
        "balance (largest core / mean)": spec.forecast.balance,
        "flits x hops per sample": links.flit_hops,
        "hottest link, flits per sample": links.peak,
        "cycles per sample, predicted": spec.forecast.per_sample,
    }
    one = spec.forecast.one_core
    if one:
        figures["cycles per sample, one core, predicted"] = one
    if cycles:
        figures["cycles per sample, first minibatch"] = per_sample
        if one:
            figures["speed-up: one core, predicted, over this chip, measured"] = one / per_sample
    return {
        "chip": figures,
        "floorplan": floorplan_svg(spec.network, partition, mesh, plan.placement, links),
        "timeline": timeline_svg(intervals, labels) if intervals else None,
    }
