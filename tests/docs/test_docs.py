"""The documentation: links lead somewhere, generated pages are up to date, results are filled in by their script."""

import re
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.__main__ import generated
from docs.timeline import draw, jobs
from tests.test_layout import PROGRAMS, WITHOUT_GOLDEN
from trident.bench.record import ROOT, merge, read
from trident.bench.record import measured as measured_now
from trident.bench.results.bounds import read_figures
from trident.bench.results.pages import PAGES, blocks, fill
from trident.bench.results.shown import EMPTY
from trident.host.mapping.placement import OBJECTIVES, PLACERS
from trident.host.report.figure import Figure
from trident.hw.errors import TridentError
from trident.hw.isa.operations import QUEUES, Opcode
from trident.snn.network.files import loads
from trident.snn.network.kinds import KINDS
from trident.snn.network.network import Network

MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in MARKDOWN]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files(name):
    page = ROOT / name
    links = [link.split("#")[0] for link in LINK.findall(page.read_text()) if not link.startswith("http")]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_named_files_exist(name):
    """A path in backquotes, such as `hw/core/core.py`, is a file; the worked example's own are made by its test."""
    paths = set(re.findall(r"`((?:hw|snn|host|sim|boards|bench|tests|docs)/[\w/]+\.\w+)`", (ROOT / name).read_text()))
    assert [path for path in sorted(paths) if not (ROOT / path).exists() and "sign_backward" not in path] == []


def test_generated_pages_are_up_to_date():
    for path, text in generated().items():
        assert path.read_text() == text, f"{path.name} is not what make docs writes"


def test_make_targets_exist():
    rules = re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    for page in MARKDOWN:
        named = set(re.findall(r"(?:`|    )make ([a-z]+)", page.read_text()))
        assert named <= targets, f"{page.name} names {named - targets}"


def test_readme_has_its_blocks():
    blocks_of_pages = (
        ("headline", "chosen", "origin"), ("origin", "summary", "sparsity"), ("noc",), ("training_speed", "fpga"),
        ("federated", "origin"), ("rounding",), ("energy_layer", "energy_training"), ("placement",), ("balance",),
    )  # fmt: skip
    for page, names in zip(PAGES, blocks_of_pages, strict=True):
        for name in names:
            assert f"<!-- results:{name} -->" in page.read_text()


@pytest.mark.parametrize("path", ["dataflow.svg", "timeline.svg"])
def test_pictures_are_well_formed(path):
    assert ElementTree.parse(ROOT / "docs" / path).getroot().tag.endswith("svg")


UNIT_PAGES = [page for folder in ("engines", "units") for page in sorted((ROOT / "docs" / folder).glob("*.md"))]


@pytest.mark.parametrize("page", UNIT_PAGES, ids=lambda page: page.stem)
def test_unit_pages_name_rtl_golden_and_test(page):
    text, folder, unit = page.read_text(), page.parent.name, page.stem
    golden = () if unit in WITHOUT_GOLDEN else (PROGRAMS.get(unit, f"sim/golden/{unit}.py"),)
    for path in (f"hw/{folder}/{unit}.py", *golden, f"tests/hw/{folder}/test_{unit}.py"):
        assert f"[{path}](../../{path})" in text


def test_every_unit_has_a_page():
    paths = [path for folder in ("engines", "units") for path in (ROOT / "hw" / folder).glob("*.py")]
    assert {page.stem for page in UNIT_PAGES} == {path.stem for path in paths} - {"__init__", "transfer"}


# What make results writes
FIGURES = [
    Figure("train.digits.test_accuracy", "fraction", 0.96, "higher"),
    Figure("train.digits.weights_differing", "weights", 0, "lower"),
    Figure("train.digits.epochs", "epochs", 3, "lower"),
    Figure("core.forward.linear.cols1.busy", "fraction", 0.9, "higher"),
    Figure("core.forward.zeros50.cycles", "cycles", 1234, "lower"),
]


@pytest.fixture
def measured(tmp_path) -> Path:
    path = tmp_path / "bench.json"
    merge(path, measured_now(FIGURES))
    return path


def test_results_from_figures(measured):
    made = blocks(measured)
    assert "**96.0 % of" in made["headline"] and "19,220 weights and momenta, 0 differ" in made["headline"]
    assert "| 96.0 % | at least 97.0 %: **missed** |" in made["summary"]
    assert "| 90.0 % | at least 90.0 %: reached |" in made["summary"]
    assert made["chosen"].count("\n") == 3 and "busy" not in made["chosen"]  # head, rule, and two that were measured
    assert "| forward, linear |  | 1,234 |" in made["sparsity"]
    assert all(f"`{figure.name}`" in made["everything"] for figure in FIGURES)
    assert made["origin"].startswith("Measured on 20")


def test_figures_that_are_measured_again_replace_those_that_were(measured):
    before = read(measured)
    again = Figure("train.digits.epochs", "epochs", 5, "lower")
    found = merge(measured, measured_now([again, Figure("new", "cycles", 1, "lower")]))
    assert found == read(measured) and list(found) == [*before, "new"]
    assert found["train.digits.epochs"].figure == again
    assert all(found[name] == before[name] for name in before if name != again.name)


def test_results_without_figures(tmp_path):
    made = blocks(tmp_path / "bench.json")
    assert all(made[name] == EMPTY for name in ("headline", "chosen", "summary", "sparsity", "everything", "origin"))


def test_fill_replaces_blocks_and_nothing_else():
    page = "before\n<!-- results:headline -->\nold\n<!-- end results:headline -->\nafter\n"
    filled = fill(page, {"headline": r"new \1"})
    assert filled == page.replace("old", r"new \1")
    assert fill(filled, {"headline": "old"}) == page
    with pytest.raises(TridentError, match="no block 'headline' of results: choose one of summary"):
        fill(page, {"summary": ""})


def test_results_refuse_what_is_no_list_of_figures(tmp_path):
    path = tmp_path / "bench.json"
    for text in ("{", '{"a": 1}', "[1]", '[{"name": "x"}]'):
        path.write_text(text)
        with pytest.raises(TridentError, match="is not a list of figures"):
            read_figures(path)


# docs.timeline
def test_timeline_from_waves(tmp_path):
    waves = tmp_path / "waves.vcd"
    receive, update, send = (1 << queue for queue in (Opcode.RECEIVE, Opcode.UPDATE, Opcode.SEND))
    changes = [(10, receive), (20, 1), (30, 0b110), (40, update), (50, send), (60, 0)]
    body = "".join(f"#{time * 10}\nb{value:b} !\n" for time, value in changes)
    waves.write_text(f"$var wire 6 ! active [5:0] $end\n$enddefinitions $end\n#0\nb0 !\n{body}")
    found = jobs(waves)
    assert set(found) == set(QUEUES)
    assert found[Opcode.FORWARD] == [(20, 30)] and found[Opcode.SEND] == [(50, 60)]
    assert found[Opcode.BACKWARD] == found[Opcode.WEIGHT_GRAD] == [(30, 40)]
    ElementTree.fromstring(draw({queue: spans * 6 for queue, spans in found.items()}))


def test_the_networks_of_their_page_are_the_same():
    page = (ROOT / "docs" / "network.md").read_text()
    file, program = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL).group(1) for kind in ("toml", "python"))
    space: dict = {}
    exec(compile(program, "network.md", "exec"), space)
    described = loads(file)
    assert described == Network.parse("8x8x1-4c3s2-10")
    assert [layer.weight_shape for layer in space["network"].layers] == [(9, 1, 4), (1, 64, 10)]


def test_every_kind_of_node_is_on_their_page():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", (ROOT / "docs" / "network.md").read_text(), re.MULTILINE)
    assert {kind for kind, *_ in rows} == set(KINDS)
    for kind, named, _ in rows:
        assert set(re.findall(r"`(\w+)`", named)) == {f.name for f in fields(KINDS[kind])} - {"name", "inputs"}


def test_every_placer_and_objective_is_explained():
    page = (ROOT / "docs" / "placement.md").read_text()
    assert [name for name in (*PLACERS, *OBJECTIVES) if f"`{name}`" not in page and f"={name}`" not in page] == []
