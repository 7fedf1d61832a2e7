"""A checkpoint that a training run goes on from, checked as a whole before anything is built."""

from pathlib import Path

import numpy as np

from trident.host.train.checkpoint import Checkpoint, check_progress, check_tensors, fill
from trident.host.train.lockstep import state_spaces
from trident.host.train.scaler import LossScaler
from trident.host.train.spec import RunSpec
from trident.host.train.tally import Tally
from trident.host.train.trainer import HISTORY, SERIES, Progress
from trident.hw.isa.registers import counted
from trident.sim.golden.format import raw_dtype
from trident.snn.network.network import Tensors


def resumed(spec: RunSpec, path: Path) -> Checkpoint:
    """The checkpoint at ``path``. Raises :class:`TridentError` unless it is one that a run of ``spec`` can have
    written, with no more epochs than ``spec`` asks for."""
    state = Checkpoint.load(path)
    state.check(spec.settings(), path)
    progress, where = fill(Progress, state.progress, str(path)), str(path)
    scaler = fill(LossScaler, progress.scaler, where)
    for tally in (*progress.tallies.values(), *([progress.tested] if progress.epoch else [])):
        fill(Tally, tally, where)
    minibatches, layers = spec.minibatches, len(spec.network.layers)
    sizes = {
        "minibatch": 0 <= progress.minibatch <= minibatches,
        "scaler": scaler.possible(spec.train),
        "history": set(progress.history) == set(SERIES) and all(
            len(epochs) == progress.epoch and all(set(epoch) == set(HISTORY) for epoch in epochs)
            for epochs in progress.history.values()
        ),
        "tallies": set(progress.tallies) == set(SERIES),
        "firing_rate": len(progress.firing_rate) == len(progress.gradient_sparsity) == layers,
        "counters": len(progress.counters) == spec.plan.partition.cores,
        "trained": not progress.trained_samples or set(progress.trained) == set(counted(spec.cfg)),
    }  # fmt: skip
    check_progress(sizes, progress.epoch, spec.train.epochs, where)
    _check_arrays(spec, state, where)
    return state


def _check_arrays(spec: RunSpec, state: Checkpoint, where: str):
    shapes = {name: value.shape for name, value in spec.network.initial_weights(0).items()}

    def tensors(kind) -> Tensors:
        return {name: np.empty(shape, kind) for name, shape in shapes.items()}

    for name in state_spaces(spec.cfg):
        check_tensors(state.tensors(name), tensors(raw_dtype(spec.cfg.format)), where)
        check_tensors(state.tensors(f"float32/{name}"), tensors(np.float32), where)
