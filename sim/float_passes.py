"""Passes of the fast twin: those that the chip makes, without its roundings."""

from collections.abc import Mapping

import numpy as np

from trident.hw.isa.passes import Pass


def run_passes(
    passes: tuple[Pass, ...], values: Mapping[str, np.ndarray], numbers: Mapping[str, float], power: int
) -> dict[str, np.ndarray]:
    """What there is after passes over ``values`` by name, rows (n, m, out) and channels (out,), which results take the
    place of; sums are divided by 2**power, as ``numbers``, the programs' constants, expect it."""
    found = dict(values)
    for step in passes:
        total = {}
        if step.rows:
            rows = step.rows.run(dict(numbers), **{name: found[name][None] for name in step.rows.inputs})
            if not step.then:
                found |= {name: value[0] for name, value in rows.items()}
                continue
            total["total"] = rows["term"][0].sum(axis=(0, 1)) * 2.0**-power
        assert step.then
        given = found | total
        then = step.then.run(dict(numbers), **{name: given[name][None] for name in step.then.inputs})
        found |= {name: value[0] for name, value in then.items()}
    return found
