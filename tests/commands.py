"""The commands behind ``make sim`` and ``make test-link``: which tests run."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest

from trident.hw.errors import Failure, TridentError
from trident.hw.processes import end_tool, start_tool

ROOT = Path(__file__).resolve().parents[1]
# Without FULL: what takes minutes at most; FULL=1 the rest, FULL=slow and FULL=fpga the two parts of it, FULL=sample a
# case of each test there
PARTS = {
    "0": "not slow and not fpga", "1": "slow or fpga", "slow": "slow and not fpga", "fpga": "fpga", "sample": "sample",
}  # fmt: skip
PATIENCE = 10  # seconds that pytest has to end when it is interrupted


class TestsFailed(Failure):
    """Some test failed; pytest has said which."""

    __test__ = False


@click.command("sim")
@click.option("--test", default="", help="a path, as in tests/snn/data/test_dataset.py, or an expression of names")
@click.option("--full", type=click.Choice(list(PARTS)), default="0", help="1 for all that takes long, or a part of it")
@click.option("--unit", default="", help="the tests of one unit, as in forward")
@click.option("--jobs", type=click.IntRange(1), default=2, help="tests at a time", show_default=True)
def sim_command(test: str, full: str, unit: str, jobs: int):
    """Run the tests."""
    chosen = ["-m", PARTS[full]]
    if unit:
        files = sorted(ROOT.glob(f"tests/hw/*/test_{unit}.py")) if unit.isidentifier() else []
        if not files:
            raise TridentError(f"there is no unit {unit!r}: its tests would be in tests/hw/*/test_UNIT.py")
        chosen += map(str, files)
    if test:
        is_path = (ROOT / test.partition("::")[0]).exists()
        chosen = [test] if is_path else ["-k", test]
    _run([*(["-n", str(jobs), "--dist=worksteal"] if jobs > 1 else []), *chosen])


@click.command("test-link")
@click.option("--faults", type=click.IntRange(1), default=100_000, help="faults on the line", show_default=True)
def link_command(faults: int):
    """Test the host link under faults."""
    os.environ["FAULTS"] = str(faults)
    _run(["tests/hw/link/test_faults.py"])


def _run(arguments: list[str]):
    """Run pytest in a process of its own: interrupted while it ends, it leaves streams closed that it has replaced."""
    process = start_tool([sys.executable, "-m", "pytest", "--quiet", *arguments], ROOT, stdout=None, stderr=None)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # it says what has failed so far
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        raise
    finally:
        end_tool(process)
    if status == pytest.ExitCode.TESTS_FAILED:
        raise TestsFailed("some test failed")
    if status:
        raise TestsFailed(f"no result: pytest ended with {status}, {_meaning(status)}")


def _meaning(status: int) -> str:
    return pytest.ExitCode(status).name if status in list(pytest.ExitCode) else "by a signal"
