"""Units and streams as arrays for compiled functions, and how far they are."""

from typing import NamedTuple

import numpy as np

from trident.host.mapping.timing.workload import AHEAD, ERRORS, GRADIENTS, PARTIALS, RESULTS, SPIKES, Workload
from trident.hw.noc.topology import HOST


class Work(NamedTuple):
    """Units and streams as arrays; see :class:`Workload`. Of lists of lists their first places and all members.

    unit: int64 (units, 12), stream: int64 (streams, 7), columns below; targets: units, or NOTHING for the host, away:
    whether they are on another core than the source; outgoing, incoming: streams of each unit; feeds: streams that
    must have come in the same proportion; on_core: units of each core; engines: of a core, 1 or 3; full: see there.
    """

    unit: np.ndarray
    stream: np.ndarray
    target_first: np.ndarray
    targets: np.ndarray
    away: np.ndarray
    out_first: np.ndarray
    outgoing: np.ndarray
    in_first: np.ndarray
    incoming: np.ndarray
    feed_first: np.ndarray
    feeds: np.ndarray
    core_first: np.ndarray
    on_core: np.ndarray
    engines: int
    full: bool


CORE, F_TIME, L_TIME, A_TIME, G_TIME, LAST_TIME, LOSS_TIME, SLOTS, E_SLOTS, SAMPLES, SPIKES_IN, ERRORS_IN = range(12)
KIND, SOURCE, PACKETS, FLITS, PACE, DRAIN, START = range(7)


class State(NamedTuple):
    """How far units and streams are.

    done: int64 (units, 11), samples begun and ended by forward (F), the taking of errors (R), backward for the own
    layers (L), backward (B), weight_grad (G); whether a sample's errors have their turn at the unit of neurons'
    gradients, and whether weight_grad waits for the own layers. Of streams: ready: samples that the source has;
    sent: packets; soon: when the next may leave, asked: when that was asked for; under_way: packets not yet
    acknowledged; allowed: int64 (streams, samples), targets that have room. Of targets: came, taken: packets. got:
    int64 (units, samples, 2), streams of spikes and of errors that have come; ends: when all engines have ended a
    sample; engine: those that work; end: when the last packet came or the last sample ended.
    """

    done: np.ndarray
    ready: np.ndarray
    sent: np.ndarray
    soon: np.ndarray
    asked: np.ndarray
    under_way: np.ndarray
    allowed: np.ndarray
    came: np.ndarray
    taken: np.ndarray
    got: np.ndarray
    ends: np.ndarray
    engine: np.ndarray
    end: np.ndarray


F_BEGUN, F_DONE, R_BEGUN, R_DONE, L_DONE, B_BEGUN, B_DONE, G_BEGUN, G_DONE, TURN, LATE = range(11)


def _lists(members: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """First places, and all members."""
    firsts = np.cumsum([0, *map(len, members)]).astype(np.int64)
    return firsts, np.array([n for group in members for n in group], np.int64)


def arrays(workload: Workload) -> Work:
    """Those of a workload, in whole cycles."""
    units, streams = workload.units, workload.streams
    into: list[list[int]] = [[] for _ in units]
    out: list[list[int]] = [[] for _ in units]
    for number, stream in enumerate(streams):
        if stream.source != HOST:
            out[stream.source].append(number)
        for target in stream.targets:
            if target != HOST:
                into[target].append(number)
    sums = {ERRORS: PARTIALS, PARTIALS: PARTIALS, GRADIENTS: GRADIENTS, RESULTS: GRADIENTS}
    feeds = [
        [n for n in into[stream.source] if streams[n].kind == sums[stream.kind]]
        if stream.source != HOST and stream.kind in sums else []
        for stream in streams
    ]  # fmt: skip
    columns = [
        (unit.core, unit.forward, unit.local, unit.away, unit.weight_grad, unit.last_gradient, unit.loss, unit.slots,
         unit.error_slots, unit.samples, *(sum(streams[n].kind == kind for n in own) for kind in (SPIKES, ERRORS)))
        for unit, own in zip(units, into, strict=True)
    ]  # fmt: skip
    rows = []
    for stream in streams:
        drain = workload.drains[stream.kind]
        pace = max(stream.cycles / stream.packets, stream.flits / stream.packets * drain)
        source = len(units) if stream.source == HOST else stream.source
        rows.append((stream.kind, source, stream.packets, stream.flits, pace, drain, stream.start))
    cores = [[n for n, unit in enumerate(units) if unit.core == core] for core in range(workload.cores)]
    away = [
        HOST in (stream.source, target) or units[stream.source].core != units[target].core
        for stream in streams for target in stream.targets
    ]  # fmt: skip
    target_first, targets = _lists([list(stream.targets) for stream in streams])
    return Work(
        np.rint(np.array(columns, float).reshape(-1, 12)).astype(np.int64),
        np.rint(np.array(rows, float).reshape(-1, 7)).astype(np.int64), target_first, targets,
        np.array(away, np.bool_), *_lists(out), *_lists(into), *_lists(feeds), *_lists(cores),
        1 if workload.shared else 3, workload.full,
    )  # fmt: skip


def beginning(workload: Workload, work: Work) -> State:
    """Nothing done; or, where the pipeline is full, what came before."""
    units, streams, samples, zeros = len(work.unit), len(work.stream), workload.samples, np.zeros
    ready = [
        max(workload.units[n].samples for n in stream.targets) if stream.source == HOST else 0
        for stream in workload.streams
    ]  # fmt: skip
    got = zeros((units, samples + AHEAD, 2), np.int64)
    if workload.full:
        got[:, :AHEAD, 0], got[:, :AHEAD, 1] = work.unit[:, SPIKES_IN, None], work.unit[:, ERRORS_IN, None]
    return State(
        zeros((units, 11), np.int64), np.array(ready, np.int64), zeros(streams, np.int64), zeros(streams, np.int64),
        np.full(streams, -1, np.int64), zeros(streams, np.int64), zeros((streams, samples), np.int64),
        zeros(len(work.targets), np.int64), zeros(len(work.targets), np.int64), got, zeros(samples, np.int64),
        zeros((workload.cores, 3), np.bool_), zeros(1, np.int64),
    )  # fmt: skip
