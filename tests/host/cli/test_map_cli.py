"""The command ``map``: what it prints and writes, and how it refuses."""

import re

import click
import pytest

from trident import cli
from trident.host.cli.map import map_command


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the command line; returns its exit code, its output and its errors."""
    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["map", "--out", str(tmp_path / "map"), *arguments])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


SMALL = ("--net", "8x8x1-4c3s2-6c3-10", "--mesh", "2x2", "--batch", "8")


def test_tables_and_drawings(run, tmp_path):
    code, out, err = run(*SMALL, "--partition", "1,2/2,3")
    assert (code, err) == (0, "")
    for text in ("partition 1,2/3\\+3,3", "layer 2 +ch 0–2", "layer 2 +ch 3–5", "row-major", "zigzag", "hilbert",
                 "anneal", "tabu", "best", "100 random", "4 of 4", "predicted cycles per sample"):  # fmt: skip
        assert re.search(text, out)
    assert (tmp_path / "map" / "floorplan.svg").read_text().startswith("<svg")
    assert (tmp_path / "map" / "zigzag.svg").read_text() != (tmp_path / "map" / "floorplan.svg").read_text()
    assert (tmp_path / "map" / "floorplan.png").read_bytes().startswith(b"\x89PNG")


def test_same_seed_same_output(run):
    first, second = (re.sub(r"\d+\.\d\d *\n", "", run(*SMALL, "--seed", "5")[1]) for _ in range(2))  # without seconds
    assert first == second and "row-major" in first


def test_an_objective_and_a_budget(run):
    code, out, _ = run(*SMALL, "--objective", "peak-link", "--budget", "0.01", "--placer", "anneal")
    assert code == 0 and "placements for peak-link" in out


def test_cycles_with_the_traffic_in_time(run):
    """Every placer's cycles are those of the simulation, and none is faster than the chosen placement by itself."""
    options = (*SMALL, "--partition", "1,2/2,3", "--objective", "latency", "--budget", "0.01")
    code, out, err = run(*options)
    assert (code, err) == (0, "") and "placements for latency" in out
    rows = (line.split() for line in out.splitlines() if re.match(" (row-major|random|best|chosen) ", line))
    cycles = {row[0]: int(row[-2 if row[0] != "chosen" else -1].replace(",", "")) for row in rows}
    assert cycles["chosen"] <= min(cycles.values()) + 1
    code, given, _ = run(*options, "--placement", "0,1,2,3")
    assert code == 0 and f"predicted cycles per sample  {cycles['row-major']:,} " in given


def test_a_user_s_placement(run):
    code, out, _ = run(*SMALL, "--partition", "1,2,3", "--placement", "3,0,1")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("layer ") and "/" in line]
    assert [row[3] for row in rows] == ["3", "0", "1"]


def test_real_values(run):
    options = ("--net", "64-40-10", "--mesh", "2x1", "--batch", "8", "--preset", "SMALL")
    code, out, err = run(*options, "--encoding", "direct")
    assert (code, err) == (0, "") and "predicted cycles per sample" in out


def test_memories_are_those_of_the_preset(run):
    code, _, err = run("--net", "64-64-64-10", "--mesh", "2x2", "--batch", "8")
    assert code == 2 and "the network needs at least 7 cores of this preset, the mesh 2x2 has 4" in err
    code, out, _ = run("--net", "64-64-64-10", "--mesh", "2x2", "--batch", "8", "--set", "weight_rows=8192")
    assert code == 0 and "/8192" in out


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("--placer", "worst"), "unknown placer 'worst': choose one of row-major, zigzag, hilbert, spectral, random,"),
        (("--net", "8x8x1-4c3bn-10", "--objective", "latency"), "the objective latency is of samples that flow"),
        (("--objective", "luck"), "unknown objective 'luck': choose one of flit-hops, peak-link, latency"),
        (("--budget", "0"), "budget must be seconds above 0, up to 3600, not 0"),
        (("--partition", "1,2/2,3", "--placement", "0,1,2,2"), "names mesh core 2 twice, for cores 2 and 3"),
        (("--partition", "1,2/2,3", "--placement", "0,1,2,4"), "the mesh 2x2 has cores 0 to 3"),
        (("--partition", "1,2/3+2,3"), "its slices hold 5 of the 6 channels of layer 2"),
        (("--partition", "1,2"), "layers 3 to 3 are on no core"),
        (("--partition", "2x1,2,3"), "has 6 cores, the mesh 2x2 has 4"),
        (("--cores", "2", "--partition", "1,2,3"), "has 4, of which 2 are to be used"),
        (("--batch", "1", "--partition", "2x1-2,3"), "has 2 replicas for a batch of 1 samples"),
        (("--batch", "0"), "batch must be a whole number of at least 1, not 0"),
        (("--batch", "5000"), "5000"),
        (("--mesh", "2by2"), "a mesh is given as WIDTHxHEIGHT"),
        (("--preset", "HUGE"), "unknown preset 'HUGE'"),
        (("--set", "weight_rows"), "a core parameter is given as name=value"),
        (("--data", "nowhere.npz"), "nowhere.npz"),
        (("--seed", "many"), "'many' is not a whole number"),
        (("--net", "8x8x1-4c3"), "must end with a linear layer"),
        (("--net", "8x8x1-4c3-mp2-10"), "pooled spikes stay on one core: the mesh of 2x2 has 4"),
        (("--encoding", "latency"), "encoding must be one of rate, dither, bernoulli, direct, not 'latency'"),
    ],
)
def test_refuses_with_one_sentence_and_code_2(run, arguments, sentence, tmp_path):
    code, out, err = run(*SMALL, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err and err.startswith("error: ") and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "map").exists()


def test_help_names_every_option():
    names = [option for parameter in map_command.params for option in parameter.opts]
    assert {"--mesh", "--cores", "--partition", "--preset", "--set", "--out"} <= set(names)
    assert {"--placer", "--objective", "--budget", "--placement"} <= set(names)
    assert "spread over a mesh" in map_command.get_help(click.Context(map_command))


def test_meshes_that_are_not_built_are_forecast(run):
    options = ("--net", "64-16-10", "--mesh", "12x9", "--batch", "128")
    code, out, err = run(*options, "--placer", "hilbert", "--budget", "0.001")
    assert (code, err) == (0, "") and "of 108" in out
    assert "A forecast: cores are programmed on meshes of up to 8x8." in out
