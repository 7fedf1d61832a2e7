"""The report: complete, self-contained, reproducible, and its record kept as JSON."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from trident.host.report.report import Epoch, RunRecord, Verdict, write_report
from trident.hw.errors import TridentError

EPOCHS = [Epoch(0.08, 0.7, 0.75), Epoch(0.04, 0.9, 0.875)]
RUN = RunRecord(
    title="digits <64-128-10> & friends",
    settings={"timesteps": 8, "learning rate": 0.1234567, "reset": "hard"},
    network=[{"layer": "linear 64→128", "weights": 8192}, {"layer": "linear 128→10", "weights": 1280}],
    series={"RTL": EPOCHS, "golden": EPOCHS, "float32": [Epoch(0.081, 0.71), Epoch(0.041, 0.91)]},
    verdict=Verdict(9610, 0, 0.875, 1234567, 412345.6, 2.5),
    layers=[
        {"name": "linear 64→128", "firing_rate": 0.125, "gradient_sparsity": 0.9},
        {"name": "linear 128→10", "firing_rate": 0.1, "gradient_sparsity": 0.95},
    ],
    engines={
        "forward": {"busy": 750, "draining": 40, "stalled": 50, "searching": 60, "idle": 100},
        "backward": {"busy": 0, "draining": 0, "stalled": 0, "searching": 0, "idle": 0},
    },
    counters={"adds": 1234567890, "share": 0.25},
)


class Page(HTMLParser):
    """Collects the text and checks that every element is closed in order."""

    VOID = frozenset({"meta", "path", "use"})

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.words = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words).replace("\u202f", ","))


def page(tmp_path, run):
    write_report(tmp_path / "report.html", run)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_everything_is_on_the_page(tmp_path):
    text = Page(page(tmp_path, RUN)).text
    for words in (
        "digits <64-128-10> & friends", "Bit-exact: all 9,610 weights equal the golden model", "87.50 %", "1,234,567",
        "412,346", "2.5 s", "0.12346", "8,192", "1,234,567,890", "83.3 %", "90.0 %", "firing rate", "RTL", "golden",
        "float32", "searching",
    ):  # fmt: skip
        assert words in text


def test_the_page_needs_nothing_else(tmp_path):
    html = page(tmp_path, RUN)
    assert all(link.startswith("#") for link in Page(html).links)
    assert "<script" not in html and "@import" not in html
    assert html.count("<svg") == html.count("</svg>") == 5
    for url in re.findall(r"url\((.*?)\)", html):
        assert url.startswith("#")


def test_same_run_same_bytes(tmp_path):
    assert page(tmp_path, RUN) == page(tmp_path, RunRecord.from_json(RUN.to_json()))


@pytest.mark.parametrize(
    "compared, differing, words",
    [(9610, 3, "Not bit-exact: 3 of 9,610 weights differ"), (0, 0, "No weights were compared with the golden model")],
)
def test_other_verdicts(tmp_path, compared, differing, words):
    verdict = replace(RUN.verdict, weights_compared=compared, weights_differing=differing)
    assert not verdict.bit_exact
    text = Page(page(tmp_path, replace(RUN, verdict=verdict))).text
    assert words in text and "Bit-exact" not in text


def test_parts_without_values_are_left_out(tmp_path):
    run = RunRecord("short", {}, [], {"RTL": []}, RUN.verdict)
    html = page(tmp_path, run)
    assert "<svg" not in html
    assert not {"Learning curves", "Sparsity", "Where the cycles went", "Counters"} & set(Page(html).words)


def test_one_epoch_is_visible_as_points(tmp_path):
    html = page(tmp_path, replace(RUN, series={"RTL": EPOCHS[:1]}))
    assert "line2d" in html


def test_json_round_trip():
    assert RunRecord.from_json(RUN.to_json()) == RUN


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{}", '{"series": {}, "verdict": {"cycles": 1}}', '{"series": 1, "verdict": {}}']
)
def test_other_json_is_refused(text):
    with pytest.raises(TridentError, match="this is not the JSON of a run record"):
        RunRecord.from_json(text)


def test_unknown_series_and_activities_are_refused():
    with pytest.raises(TridentError, match="named RTL, golden, float32, not FP64"):
        replace(RUN, series={"FP64": EPOCHS})
    with pytest.raises(TridentError, match="must have cycles busy, draining, stalled, searching, idle, not busy"):
        replace(RUN, engines={"forward": {"busy": 1}})


def test_unwritable_path(tmp_path):
    with pytest.raises(TridentError, match="report.html cannot be written: No such file or directory"):
        write_report(tmp_path / "absent" / "report.html", RUN)
