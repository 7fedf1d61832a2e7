"""The command ``placer``: what it refuses before it trains, and what it writes."""

import pytest

from trident import cli
from trident.host.mapping.placers.learned import Weights


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["placer", "train", *arguments])
    return stopped.value.code


@pytest.mark.parametrize("arguments, sentence", [
    (("--method", "luck"), "unknown method 'luck': choose one of sinkhorn, ppo"),
    (("--minutes", "0"), "minutes must be above 0, up to 1440, not 0"),
    (("--minutes", "nan"), "minutes must be above 0, up to 1440, not nan"),
    (("--seed", "-1"), "seed must be a whole number from 0 on, not -1"),
])
def test_refuses_with_one_sentence_and_code_2(arguments, sentence, capsys, tmp_path):
    assert run("--out", str(tmp_path / "placer"), *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.strip().splitlines()) == 1 and not (tmp_path / "placer").exists()


@pytest.mark.oracle
def test_writes_a_checkpoint_and_a_curve(capsys, tmp_path):
    pytest.importorskip("torch")
    assert run("--minutes", "0.005", "--out", str(tmp_path)) == 0
    assert "of the zigzag's flits x hops" in capsys.readouterr().out
    assert Weights.read(tmp_path / "placer.npz").arrays and (tmp_path / "curve.svg").read_text().startswith("<?xml")
