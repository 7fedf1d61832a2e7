"""The record of a training run, as the report shows it."""

from host.compiler import Plan
from host.report import Epoch, RunRecord, Verdict
from host.spec import RunSpec
from host.trainer import Progress

ENGINES = ("forward", "backward", "weight_grad")


def engine_cycles(counters: dict[str, int]) -> dict[str, dict[str, int]]:
    """Cycles by engine and by what it did: additions started (busy), accumulators drained, stalls, search for work
    within a job, and no job (idle)."""
    cycles = counters["cycles"]
    engines = {}
    for name in ENGINES:
        busy, draining, stalled, running = (
            counters[f"{name}.{what}"] for what in ("issued", "drained", "stalled", "running")
        )
        engines[name] = {
            "busy": busy, "draining": draining, "stalled": stalled,
            "searching": max(running - busy - draining - stalled, 0), "idle": max(cycles - running, 0),
        }  # fmt: skip
    update = counters["update.running"]
    engines["update"] = {"busy": update, "draining": 0, "stalled": 0, "searching": 0, "idle": max(cycles - update, 0)}
    return engines


def record(spec: RunSpec, progress: Progress, wall_seconds: float) -> RunRecord:
    """The record of a run that has done at least one epoch and whose weights were compared with golden's."""
    lanes, counters = spec.cfg.lanes, progress.counters
    labels = [str(layer) for layer in spec.network.layers]
    rates = zip(labels, progress.firing_rate, progress.gradient_sparsity, strict=True)
    batches = max(progress.activity_batches, 1)
    operations = {
        "additions (forward, weight_grad)": lanes * (counters["forward.useful"] + counters["weight_grad.useful"]),
        "multiply-adds (backward)": lanes * counters["backward.useful"],
        "minibatches skipped for overflow": progress.scaler["skipped"],
        "loss scale at the end": progress.scaler["scale"],
    }
    last = progress.history["RTL"][-1]
    return RunRecord(
        title=f"{spec.network_text} on {spec.dataset.name}, trained on the RTL of one core",
        settings={"epochs": spec.train.epochs} | spec.settings(),
        network=Plan(spec.network, spec.cfg).describe(),
        series={name: [Epoch(**epoch) for epoch in epochs] for name, epochs in progress.history.items()},
        verdict=Verdict(
            weights_compared=spec.network.weights,
            weights_differing=0,
            test_accuracy=last["test_accuracy"],
            cycles=progress.cycles,
            cycles_per_second=progress.cycles / progress.seconds,
            wall_seconds=wall_seconds,
        ),
        layers=[
            {"name": name, "firing_rate": rate / batches, "gradient_sparsity": sparsity / batches}
            for name, rate, sparsity in rates
        ],
        engines=engine_cycles(counters),
        counters=operations | counters,
    )
