"""The count of models that the chip trains as published."""

import pytest

from trident.bench.mapping import coverage
from trident.hw.errors import TridentError


def test_needs_that_runs_accept():
    has = coverage.covered()
    wanted = "CE SURR NODET SUB SYN ADAM WD T32 READOUT ANALOG POOL WINDOW VOTE MEAN BN RES FRAMES PLIF REG DROP"
    assert {*wanted.split(), "REC", "RECOUT", "POOLX", "POOL1", "KERNEL", "GROUP", "RESX"} <= has
    assert "DROPX" in has and "DROPT" not in has


def test_a_need_that_a_run_refuses_is_not_counted(monkeypatch):
    def refuse(**options):
        if options.get("train", {}).get("loss"):
            raise TridentError("no such loss")

    monkeypatch.setattr(coverage.RunSpec, "make", refuse)
    assert coverage.covered() == {need.split()[0] for need in coverage.PROBES} - {"CE"}


def test_a_need_counts_only_if_all_of_its_networks_are_accepted(monkeypatch):
    def refuse(**options):
        if "-ms" in options["net"]:
            raise TridentError("no such block")

    monkeypatch.setattr(coverage.RunSpec, "make", refuse)
    assert "RESX" in {need.split()[0] for need in coverage.PROBES} - coverage.covered()


@pytest.mark.parametrize("has, models, near", [(set(), 0, 0), ({"CE"}, 0, 1), ({"CE", "SURR"}, 1, 1)])
def test_counting(has, models, near, monkeypatch):
    monkeypatch.setattr(coverage, "covered", lambda: has)
    found = {figure.name: figure.value for figure in coverage.measure_coverage("")}
    assert (found["coverage.models"], found["coverage.models_near"]) == (models, near)
    assert len(coverage.MODELS) == 55
