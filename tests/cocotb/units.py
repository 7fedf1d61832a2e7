"""The configurations that the units' benches run with, and the pytest side of those benches."""

from dataclasses import asdict

import pytest

from tests.cocotb.harnesses import HARNESSES
from tests.cocotb.simulate import run
from trident.hw.isa.config import CoreConfig

_SIZES = {"weight_rows": 2048, "spike_words": 2048, "error_words": 2048}
# Between them: 1 to 8 lanes, 1 to 4 columns, 1 to 8 timesteps, all neurons and surrogates, both formats, all latencies,
# gradients of 16 to 48 bits, square kernels and any, one loss table and one of every label, one voter of a class and
# up to 5
CONFIGS = {
    "lanes1": CoreConfig(lanes=1, timesteps=4, words=1, accumulators=16, mul_stages=3, gradient_bits=16,
        **_SIZES),
    "lanes2-soft-triangle": CoreConfig(
        lanes=2, timesteps=5, words=2, accumulators=16, mul_stages=1, round_stages=1, reset="soft",
        surrogate="triangle", loss_tables=7, voters=3, multiplier_subnormals=True, gradient_bits=16, **_SIZES,
    ),
    "lanes2-synaptic-atan": CoreConfig(
        lanes=2, timesteps=6, words=2, accumulators=32, charge="synaptic", reset="hard", surrogate="atan", detach=False,
        optimiser="adam", gradient_bits=16, **_SIZES,
    ),
    "lanes4-decay-sigmoid-bf16": CoreConfig(
        lanes=4, timesteps=3, words=2, accumulators=16, exp=8, frac=7, charge="lif-decay-input",
        reset="soft-after-leak", surrogate="sigmoid", detach=False, optimiser="adamw-decay",
        short_paths=True, **_SIZES,
    ),
    "lanes1-if-fast-sigmoid": CoreConfig(
        lanes=1, timesteps=4, words=2, accumulators=16, mul_stages=3, round_stages=4, charge="if", reset="soft",
        surrogate="fast-sigmoid", detach=False, optimiser="nesterov-decay",
        short_paths=True, voters=5, gradient_bits=16, **_SIZES,
    ),
    "lanes4-cols2-bf16": CoreConfig(
        lanes=4, forward_cols=2, backward_cols=2, weight_grad_cols=2, timesteps=4, words=4, accumulators=8,
        exp=8, frac=7, mul_stages=2, round_stages=3, surrogate="triangle", gradient_bits=40, voters=2, **_SIZES,
    ),
    "lanes8-cols4": CoreConfig(
        lanes=8, forward_cols=4, backward_cols=4, weight_grad_cols=4, timesteps=8, words=2, accumulators=32,
        kernels=True, **_SIZES,
    ),
    "lanes2-one-step": CoreConfig(
        lanes=2, timesteps=1, words=4, accumulators=8, mul_stages=4, round_stages=4, reset="soft", gradient_bits=36,
        kernels=True, **_SIZES,
    ),
}  # fmt: skip
# Of updates alone
PRUNED = {
    "lanes2-adam-pruned": CoreConfig(
        lanes=2, timesteps=4, words=2, accumulators=16, optimiser="adam-prune", gradient_bits=16, **_SIZES
    ),
    "lanes4-pruned-bf16": CoreConfig(
        lanes=4, timesteps=4, words=2, accumulators=16, exp=8, frac=7, optimiser="nesterov-decay-prune", **_SIZES
    ),
}
CONFIGS |= PRUNED
# (configuration, seed of random stalls on every connection or None)
BENCHES = [
    ("lanes2-soft-triangle", 3),
    ("lanes2-synaptic-atan", 5),
    ("lanes4-cols2-bf16", None),
    *(pytest.param(*bench, marks=pytest.mark.slow) for bench in (
        ("lanes1", None), ("lanes4-decay-sigmoid-bf16", None), ("lanes1-if-fast-sigmoid", 6), ("lanes8-cols4", 4),
        ("lanes2-one-step", None),
    )),
]  # fmt: skip


def check_unit(unit: str, config: str, stalls: int | None, cases: int = 9) -> int:
    """Run a unit's cocotb bench; returns how many values it compared.

    Raises AssertionError with the first difference from golden.
    """
    cfg = CONFIGS[config]
    given = {"cfg": asdict(cfg), "unit": unit, "seed": sum(map(ord, unit + config)), "cases": cases}
    told = run(HARNESSES[unit](cfg), "tests.cocotb.bench_unit", given, stalls)
    assert told["cases"] == cases
    return told["values"]
