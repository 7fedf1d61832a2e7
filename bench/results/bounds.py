"""What figures must reach."""

import re
from dataclasses import replace
from pathlib import Path

from trident.bench.chip.engines import BUSY_BOUND, SAVING_BOUND
from trident.bench.chip.link import UPLOAD_BOUND
from trident.bench.chip.meshes import (
    BALANCE_BOUND,
    GENERATE_BOUND,
    LATENCY_BOUND,
    PLACEMENT_BOUND,
    PREDICTION_BOUND,
    SPEEDUP_BOUND,
)
from trident.bench.chip.meshes import SPEED_BOUND as CHIP_SPEED_BOUND
from trident.bench.chip.noc import BOUNDS as SATURATION_BOUNDS
from trident.bench.chip.noc import HOP_BOUND
from trident.bench.energy.steps import ENERGY_BOUNDS
from trident.bench.mapping.placement import DEEP_BOUND, GAP_BOUNDS, INFERENCE_SECONDS, PIPELINE_BOUNDS, SECONDS_BOUNDS
from trident.bench.record import read
from trident.bench.training.federated import BOUNDS as FEDERATED_BOUNDS
from trident.bench.training.golden import EPOCH_BOUND
from trident.bench.training.gradients import BOUND as GRADIENT_BOUND
from trident.bench.training.runs import ACCURACY_BOUND, ADAM_BOUND, OVERLAP_BOUND, SPEED_BOUND
from trident.host.mapping.balance.forecast import BALANCED
from trident.host.report.figure import Figure

# What a figure must reach, by the pattern of its name
BOUNDS = {
    r"train\.digits\.test_accuracy": ACCURACY_BOUND,
    r"train\.digits\.weights_differing": 0,
    r"train\.digits\.epochs": 15,
    r"train\.digits\.adam\.test_accuracy": ADAM_BOUND,
    r"train\.digits\.adam\.bits_differing": 0,
    r"vector\.neurons\.worst_error": GRADIENT_BOUND,
    r"core\.\w+\.(linear|conv)\.cols1\.busy": BUSY_BOUND,
    r"core\.planes\.\w+\.(linear|conv)\.busy": BUSY_BOUND,
    r"core\.\w+\.(conv\.)?zeros90\.saving": SAVING_BOUND,
    r"core\.step\.overlap_ratio": OVERLAP_BOUND,
    r"golden\.digits\.epoch_seconds": EPOCH_BOUND,
    r"sim\.core8\.cycles_per_second": SPEED_BOUND,
    r"chip\.speedup20": SPEEDUP_BOUND,
    r"chip\.generate_seconds": GENERATE_BOUND,
    r"map\.balance": BALANCE_BOUND,
    r"map\.placement_ratio": PLACEMENT_BOUND,
    r"map\.zigzag_ratio": 1,
    r"map\.prediction_error": PREDICTION_BOUND,
    r"map\.latency\.deep_error": LATENCY_BOUND,
    r"sim\.chip20\.cycles_per_second": CHIP_SPEED_BOUND,
    r"noc\.5x4\.zero_load_cycles_per_hop": HOP_BOUND,
    r"noc\.5x4\.saturation\.fpga": SATURATION_BOUNDS["fpga"],
    r"noc\.5x4\.saturation\.fast": SATURATION_BOUNDS["fast"],
    r"link\.upload\.\w+": UPLOAD_BOUND,
}
BOUNDS |= ENERGY_BOUNDS
BOUNDS |= {rf"map\.qap\.gap\.n{most}": bound for most, bound in GAP_BOUNDS.items()}
BOUNDS |= {rf"map\.qap\.seconds\.{name}": bound for name, bound in SECONDS_BOUNDS.items()}
BOUNDS |= {rf"map\.pipeline\.{side}": bound for side, bound in PIPELINE_BOUNDS.items()}
BOUNDS |= {r"map\.deep\.gap": DEEP_BOUND, r"map\.pipeline\.(16|32)\.seconds": 1}
BOUNDS |= {r"map\.balance\.\w+(\.work|\.storage)?": BALANCED}
BOUNDS |= {r"map\.learned\.\d+\.seconds": INFERENCE_SECONDS}
BOUNDS |= {rf"federated\.{split.partition(':')[0]}\.below_central": bound for split, bound in FEDERATED_BOUNDS.items()}


def read_figures(path: Path) -> dict[str, Figure]:
    """The figures of a file by name, with their bounds; none where the file is not there.

    Raises :class:`TridentError` for a file that is not a list of figures.
    """
    return {name: replace(record.figure, bound=_bound(name)) for name, record in read(path).items()}


def _bound(name: str) -> float | None:
    return next((bound for pattern, bound in BOUNDS.items() if re.fullmatch(pattern, name)), None)
