"""Files are whole or not there; a folder is one run's at a time."""

import os
import subprocess
import sys

import pytest

from trident.hw.errors import TridentError
from trident.hw.files import check_folder, make_folder, only_one, write_whole


def test_a_file_is_written_whole(tmp_path):
    write_whole(tmp_path / "a", "text")
    write_whole(tmp_path / "b", b"\0\1")
    assert (tmp_path / "a").read_text() == "text" and (tmp_path / "b").read_bytes() == b"\0\1"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", "before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TridentError, match="a cannot be written: No space left on device"):
        write_whole(tmp_path / "a", "after")
    assert (tmp_path / "a").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_one_runs_at_a_time(tmp_path):
    folder = tmp_path / "run"
    code = (
        "import sys\nfrom pathlib import Path\nfrom trident.hw.files import only_one\n"
        "with only_one(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(TridentError, match="another run works in .*run"), only_one(folder):
            pass
        other.kill()
        other.wait()
    (folder / "checkpoint.npz.123.part").write_text("half")
    with only_one(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]


def test_folders_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file" / "x", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(TridentError):
            make_folder(bad)
        with pytest.raises(TridentError, match="nothing can be written to"):
            check_folder(bad)
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
