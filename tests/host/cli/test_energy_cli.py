"""The command ``energy``: its figures, and what it refuses."""

import re

import pytest
from click.testing import CliRunner

from trident.host.cli.energy import energy_command
from trident.hw.errors import TridentError


def energy(*arguments: str) -> str:
    """What the command prints."""
    return CliRunner().invoke(energy_command, arguments, standalone_mode=False, catch_exceptions=False).output


def test_a_residual_network_by_its_name():
    dense, sparse = (energy("--net", "resnet", "--zeros", zeros, "--batch", "2") for zeros in ("0", "80"))
    assert all(f"\n {layer} " in dense for layer in ("conv1", "conv2a", "conv3s", "linear6"))
    found = [float(re.search(r"TFLOPS/W, dense-equivalent: ([\d.]+)", text)[1]) for text in (dense, sparse)]
    assert found[0] < found[1] / 2


@pytest.mark.parametrize("options", [
    ("8x8x1-8c3-8c3s2-10", "--norm", "ws"), ("8x8x1-8c3-8c3s2-10", "--norm", "bn"), ("8x8x1-8c3m2-10",),
    ("64-12rec-10",), ("64-12-10", "--neuron", "plif"),
])  # fmt: skip
def test_what_layers_can_have(options):
    assert "TFLOPS/W, dense-equivalent" in energy("--net", *options, "--zeros", "50")


def test_zeros_that_are_no_share_are_refused():
    with pytest.raises(TridentError, match="zeros must be a number of per cent from 0 to 100, not 101"):
        energy("--zeros", "101")
