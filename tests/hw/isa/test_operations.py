"""The table of operations: all that a row names exists, and a row that is lost or there twice is noticed."""

from dataclasses import replace

import pytest

from trident.hw.compact.assembler import Assembler
from trident.hw.compact.firmware import PARTS
from trident.hw.compact.firmware.data import declare
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.job import JOB, JOB_INDEX_BITS, POINTERS
from trident.hw.isa.mesh import mesh_for
from trident.hw.isa.operations import (
    JOBS,
    OPERATIONS,
    QUEUE_OF,
    QUEUES,
    Opcode,
    check_rows,
    faults_of,
    of_queue,
    writer,
)
from trident.hw.isa.program import INSTRUCTION
from trident.hw.isa.registry import PLACES, load
from trident.hw.isa.spaces import Space

NAMES = [row.name for row in JOBS]


@pytest.mark.parametrize("row", JOBS, ids=NAMES)
def test_fields_and_pointers_are_those_of_jobs(row):
    assert set(row.fields) <= set(JOB.names) - {"wait", "post"} and len(set(row.fields)) == len(row.fields)
    assert set(row.pointers) <= set(row.fields) & set(POINTERS)
    assert set(row.pointers.values()) <= {"spikes", "errors", "remote"}
    assert all(f"{name}_slot" in row.fields for name in row.pointers)


@pytest.mark.parametrize("row", JOBS, ids=NAMES)
def test_unit_golden_and_forecast_exist(row):
    assert isinstance(load(row.unit), type)
    for path in row.golden:
        assert callable(load(path))
    for path in row.cycles or ():
        model = load(path)
        assert callable(model) or model > 0
    assert row.place is None or row.place in PLACES


@pytest.mark.parametrize("row", JOBS, ids=NAMES)
def test_firmware_begins_every_operation(row):
    """But those that need what a core with firmware has not."""
    cfg = CoreConfig.preset("COMPACT")
    a = Assembler("test")
    declare(a, cfg, mesh_for(cfg))
    for part in PARTS:
        part.assemble(a, cfg, mesh_for(cfg))
    if not cfg.capabilities.issuperset(row.needs):
        assert row.firmware is None
        return
    assert row.firmware in a.labels
    beginnings = {other.firmware for other in of_queue(row.queue) if other.firmware}
    assert beginnings == {row.firmware}  # a queue has one


def test_firmware_finds_fields_in_halfwords():
    """It reads a job by halfwords; only the lists of tokens are longer."""
    layout = JOB.shape()
    for name in set(JOB.names) - {"wait", "post"}:
        first, end = layout[name].offset, layout[name].offset + layout[name].width
        assert first // 16 == (end - 1) // 16, name


def test_jobs_and_opcodes_have_room():
    assert JOB.words <= 1 << JOB_INDEX_BITS == 16
    assert max(Opcode) < 1 << INSTRUCTION.shape()["opcode"].width == 32


def test_operations_of_a_queue_have_the_same_slots():
    """The sequencer moves pointers before it tells the operations of a queue apart."""
    for queue in QUEUES:
        for name in POINTERS:
            assert len({row.pointers[name] for row in of_queue(queue) if name in row.pointers}) <= 1


def test_rows_that_are_lost_or_twice_are_noticed():
    check_rows(OPERATIONS)
    for n, row in enumerate(OPERATIONS):
        with pytest.raises(ValueError, match=f"{row.opcode.name} has 0 rows"):
            check_rows([*OPERATIONS[:n], *OPERATIONS[n + 1 :]])
        with pytest.raises(ValueError, match=f"{row.opcode.name} has 2 rows"):
            check_rows([*OPERATIONS[: n + 1], *OPERATIONS[n:]])
    with pytest.raises(ValueError, match="not in the order"):
        check_rows(reversed(OPERATIONS))
    lost = replace(OPERATIONS[Opcode.SEND], queue=Opcode.UPDATE)
    check_rows([*OPERATIONS[: Opcode.SEND], lost, *OPERATIONS[Opcode.SEND + 1 :]])
    lost = replace(OPERATIONS[Opcode.LOSS], queue=Opcode.LOOP)
    with pytest.raises(ValueError, match="queues LOOP have no row"):
        check_rows([*OPERATIONS[: Opcode.LOSS], lost, *OPERATIONS[Opcode.LOSS + 1 :]])


def test_queues_kinds_faults_and_writers():
    assert [queue.name for queue in QUEUES] == ["FORWARD", "BACKWARD", "WEIGHT_GRAD", "UPDATE", "RECEIVE", "SEND"]
    assert QUEUE_OF[Opcode.LOSS] == (Opcode.RECEIVE, 1) and QUEUE_OF[Opcode.NOTIFY] == (Opcode.UPDATE, 2)
    assert all(QUEUE_OF[queue] == (queue, 0) for queue in QUEUES)
    assert len({*QUEUE_OF.values()}) == len(JOBS)
    assert {fault for queue in QUEUES for fault in faults_of(queue)} == set(Fault)
    assert writer(Space.GRADIENTS) == "weight_grad" and writer(Space.MASKS) == "neuron"
    with pytest.raises(KeyError):
        writer(Space.ROUTES)
