"""What is kept is found whole, or made again; what the dead left is removed."""

import multiprocessing
import os
from pathlib import Path

import pytest

from trident.hw.errors import TridentError
from trident.hw.kept import RECORD, kept_folder


class Maker:
    """Writes two files, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self, work: Path):
        self.calls += 1
        (work / "a.so").write_bytes(b"library" * 1000)
        (work / "b.v").write_text("module b; endmodule")


def test_it_is_made_once(tmp_path):
    make = Maker()
    for _ in range(3):
        folder = kept_folder(tmp_path / "kept" / "x", make)
    assert make.calls == 1
    assert folder == tmp_path / "kept" / "x" and (folder / "a.so").stat().st_size == 7000


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "a.so").write_bytes(b""), lambda folder: (folder / "a.so").unlink(),
    lambda folder: os.truncate(folder / "a.so", 100), lambda folder: (folder / RECORD).unlink(),
    lambda folder: (folder / RECORD).write_text("{"), lambda folder: (folder / RECORD).write_text("{}"),
    lambda folder: (folder / RECORD).write_text('["a.so"]'), lambda folder: (folder / "b.v").write_text("module c;"),
])  # fmt: skip
def test_what_is_damaged_is_made_again(tmp_path, damage):
    make = Maker()
    folder = kept_folder(tmp_path / "x", make)
    damage(folder)
    assert (kept_folder(tmp_path / "x", make) / "a.so").stat().st_size == 7000
    assert make.calls == 2
    kept_folder(tmp_path / "x", make)
    assert make.calls == 2


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_what_is_interrupted_leaves_nothing(tmp_path, fault):
    def make(work: Path):
        (work / "half").write_text("half")
        raise fault

    with pytest.raises(fault):
        kept_folder(tmp_path / "x", make)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    assert kept_folder(tmp_path / "x", Maker()).is_dir()


def test_what_the_dead_left_is_removed(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    dead, own, other = (tmp_path / name for name in (f"y.{process.pid}.work", f"y.{os.getpid()}.work", "notes.work"))
    for folder in (dead, own, other):
        folder.mkdir()
    kept_folder(tmp_path / "x", Maker())
    assert not dead.exists() and own.exists() and other.exists()


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "build").write_text("a file")
    with pytest.raises(TridentError, match="cannot be written: .*; TRIDENT_CACHE names another place"):
        kept_folder(tmp_path / "build" / "x", Maker())


def test_a_full_disk(tmp_path):
    def make(work: Path):
        raise OSError(28, "No space left on device")

    with pytest.raises(TridentError, match="No space left on device"):
        kept_folder(tmp_path / "x", make)
    assert not (tmp_path / "x").exists()


def _make_slowly(folder: str, log: str):
    def make(work: Path):
        with Path(log).open("a") as file:
            file.write("made\n")
        (work / "a").write_text("a")

    kept_folder(Path(folder), make)


def test_two_processes_that_want_the_same(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_make_slowly, args=(str(tmp_path / "x"), str(tmp_path / "log"))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "made\n"
