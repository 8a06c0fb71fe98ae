"""What is kept between runs is what would be worked out again, and never a reason to fail."""

from __future__ import annotations

import errno
import marshal
import os
import stat
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from orchestrator.base import kept as module
from orchestrator.base.kept import kept, state_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rptwin"


class Making:
    """Counts how often something had to be made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> object:
        self.times += 1
        return ("made", [self.times], frozenset({"a"}), compile("1 + 1", "x", "eval"))


def one_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_the_second_time_nothing_is_made(folder):
    making = Making()
    first = kept("tree", ("a", 1), making)
    assert kept("tree", ("a", 1), making) == first
    assert eval(first[3]) == 2
    assert making.times == 1
    assert stat.S_IMODE(one_file(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_whatever_it_was_made_from_tells_two_results_apart(folder, monkeypatch):
    making = Making()
    monkeypatch.setattr(zlib, "crc32", lambda data: 5)  # a hash that is always the same
    for key in (("a", 1), ("a", 2), ("b", 1), ("a", 1)):
        kept("tree", key, making)
    assert making.times == 4
    monkeypatch.setattr(sys, "version", "4.0")
    kept("tree", ("a", 1), making)
    assert making.times == 5
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:3],
        lambda data: data[:-1],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda data: b"nonsense" * 20,
        lambda data: sealed(b"\xff" * 10),
        lambda data: sealed(marshal.dumps("no pair")),
        lambda data: sealed(marshal.dumps((("another",), "planted"))),
    ],
)
def test_a_broken_file_is_made_anew(folder, spoil):
    making = Making()
    kept("tree", ("a",), making)
    file = one_file(folder)
    file.write_bytes(spoil(file.read_bytes()))
    assert kept("tree", ("a",), making)[1] == [2]
    assert kept("tree", ("a",), making)[1] == [2]


def sealed(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little") + data


def plant(folder: Path) -> Path:
    """A file as ours would be, with something else in it."""
    kept("tree", ("a",), Making())
    file = one_file(folder)
    key, _made = marshal.loads(file.read_bytes()[4:])
    file.write_bytes(sealed(marshal.dumps((key, "planted"))))
    assert kept("tree", ("a",), Making()) == "planted"  # which shows that the plant works
    return file


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_what_others_could_have_put_into_the_folder_is_removed(folder, mode):
    plant(folder)
    folder.chmod(mode)
    assert kept("tree", ("a",), Making()) != "planted"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_others_may_write_or_own_is_not_read(folder, monkeypatch):
    file = plant(folder)
    file.chmod(0o666)
    assert kept("tree", ("a",), Making()) != "planted"
    plant(folder)
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result((*real(fd)[:4], 12345, *real(fd)[5:])))
    assert kept("tree", ("a",), Making()) != "planted"


def test_a_link_or_a_pipe_in_its_place_is_not_read(folder, tmp_path):
    file = plant(folder)
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert kept("tree", ("a",), Making()) != "planted"
    file.unlink()
    os.mkfifo(file)
    assert kept("tree", ("a",), Making()) != "planted"


def test_a_folder_of_somebody_else_is_left_alone(folder, monkeypatch):
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert kept("tree", ("a",), Making())[0] == "made"
    assert list(folder.iterdir()) == []


def test_without_a_folder_everything_is_made(folder):
    folder.write_text("a file where a folder should be")
    making = Making()
    kept("tree", ("a",), making)
    kept("tree", ("a",), making)
    assert making.times == 2


@pytest.mark.parametrize("call", ["open", "fdopen"])
def test_a_disk_that_is_full_leaves_nothing_behind(folder, monkeypatch, call):
    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    assert kept("tree", ("a",), Making())[0] == "made"
    assert list(folder.iterdir()) == []


def test_what_cannot_be_written_is_given_back_all_the_same(folder):
    value = object()
    assert kept("tree", ("a",), lambda: value) is value
    assert kept("tree", (value,), lambda: value) is value
    assert list(folder.iterdir()) == []


def test_an_error_is_not_kept(folder):
    def fails() -> None:
        raise LookupError("again")

    for _ in range(2):
        with pytest.raises(LookupError, match="again"):
            kept("tree", ("a",), fails)


def test_only_so_much_is_kept(folder, monkeypatch):
    monkeypatch.setattr(module, "_MOST_FILES", 5)
    folder.mkdir(mode=0o700)
    (folder / "repl-grammar").write_text("lark's")
    for number in range(12):
        kept("tree", (number,), Making())
        for file in folder.iterdir():
            os.utime(file, ns=(0, file.stat().st_mtime_ns - 10**9))
    assert len(list(folder.glob("tree-*"))) == 5
    assert (folder / "repl-grammar").exists()
    making = Making()
    kept("tree", (11,), making)
    assert making.times == 0
    monkeypatch.setattr(module, "_LARGEST", 100)
    kept("tree", ("large",), lambda: "x" * 200)
    assert len(list(folder.glob("tree-*"))) == 5


def test_many_at_once_have_the_same(folder):
    found: list[object] = []

    def look() -> None:
        for number in range(40):
            found.append(kept("tree", (number,), lambda number=number: [number] * 100) == [number] * 100)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [True] * 160
    assert all(each.name.count(".") == 0 for each in folder.iterdir())


def test_another_process_finds_it(folder):
    text = "from orchestrator.base.kept import kept; print(kept('tree', ('a',), lambda: __import__('os').getpid()))"
    said = {subprocess.run([sys.executable, "-c", text], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(said) == 1


def test_a_file_of_code_that_has_changed_tells(tmp_path):
    code = tmp_path / "code.py"
    assert state_of(code) == ((0, 0),)
    code.write_text("a")
    before = state_of(code)
    os.utime(code, ns=(0, 5))
    assert state_of(code) != before
