"""The command ``balance``: what it says of a network, and what it refuses before it cuts anything."""

import pytest

from trident import cli
from trident.host.cli import balance as command


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["balance", *arguments])
    return stopped.value.code


def test_says_where_layers_are_and_how_even(capsys):
    assert run("--net", "64x64x3-32c3-64c3s2-sew64-256-10", "--mesh", "4x3", "--budget", "0.01") == 0
    said = capsys.readouterr().out
    for sentence in ("cores in use                 12 of 12", "balance of computation       1.", "balance of storage",
                     "strips of rows", "A forecast: cores have no strips of rows"):  # fmt: skip
        assert sentence in said


@pytest.mark.parametrize("arguments, sentence", [
    (("--mesh", "33x1"), "width must be a whole number from 1 to 32, not 33"),
    (("--mesh", "8"), "a mesh is given as WIDTHxHEIGHT, as in 5x4, not '8'"),
    (("--placer", "luck"), "unknown placer 'luck'"),
    (("--objective", "luck"), "unknown objective 'luck'"),
    (("--budget", "0"), "budget"),
    (("--placement", "1,0"), "balance cuts the network first, so it takes a placer and no placement"),
    (("--batch", "0"), "batch must be a whole number from 1 on, not 0"),
    (("--seed", "-1"), "seed must be a whole number from 0 on, not -1"),
    (("--density", "0"), "density must be a number above 0, up to 1, not 0"),
    (("--density", "nan"), "density must be a number above 0, up to 1, not nan"),
    (("--memory", "0"), "memory must be a number of KiB above 0, not 0"),
    (("--memory", "inf"), "memory must be a number of KiB above 0, not inf"),
    (("-T", "64"), "balance is forecast for cores with spike words that hold all timesteps"),
    (("--memory", "100"), "MiB, the 64 cores of the mesh 8x8 have 6.2 MiB"),
    (("--net", "999999999-10"), "linear1 reads or makes 999,999,999 values, a forecast of balance takes 16,777,216"),
    (("--net", "8x8x4-8c3g2-10"), "conv1 is a grouped convolution: balance has none"),
    (("--net", "64-10", "--batch", "1"), "a network for each of 1 samples can be cut into 1 pieces"),
])  # fmt: skip
def test_refuses_with_one_sentence_before_it_searches(arguments, sentence, capsys, monkeypatch):
    monkeypatch.setattr("trident.host.mapping.balance.forecast.spread", None)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.strip().splitlines()) == 1


def test_cores_are_named_in_runs():
    assert command._ranges([0, 1, 2, 5, 7, 8]) == "0-2 5 7-8"
