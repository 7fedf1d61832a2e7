"""Cycles of an update of standardised weights."""

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.passes import Pass

FETCHED = 6  # cycles from a pass's start to its first row in the steps, and from the last row to the next state


def standardise_cycles(cfg: CoreConfig, rows: int) -> int:
    """Cycles of a group of ``lanes`` channels with so many rows each."""
    rounding = cfg.round_stages + 2 if cfg.exact else 0  # of gradients
    return sum(pass_cycles(cfg, step, rows) + rounding for step in cfg.passes)


def pass_cycles(cfg: CoreConfig, step: Pass, rows: int) -> int:
    """Of one pass: a cycle per row and step, then the last row's steps, one after another, and that of channels."""
    recurrence = cfg.mac_stages + 2  # from a step to the next one: with a read of the function table
    cycles = 0
    if step.rows:
        cycles += max(rows, 1) * len(step.rows.steps) + recurrence + FETCHED
    if step.then:
        cycles += cfg.lanes + cfg.round_stages + 2 + len(step.then.steps) * recurrence
    return cycles
