"""What may be read and how it is written, on real files, devices and a file system without room."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.base.files import parse_toml, read_file, read_text, same_file, write_whole
from orchestrator.base.numbers import LONGEST, parse_number


@pytest.mark.parametrize(
    ("kind", "words"),
    [("fifo", "a FIFO"), ("zero", "a device"), ("folder", "Is a dir"), ("none", "No such")],
)
def test_what_is_no_file_is_refused_without_being_opened(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OSError, match=words):
        read_file(path, 100)


def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(1024))
    assert read_file(path, 1024) == bytes(1024)
    path.write_bytes(bytes(1025))
    with pytest.raises(OSError, match=r"larger than 1 KiB \(1025 bytes\)"):
        read_file(path, 1024)


def test_a_file_that_hides_its_size_is_bounded_too() -> None:
    """What the kernel makes up has the size 0."""
    with pytest.raises(OSError, match="larger than 16 bytes"):
        read_file("/proc/self/maps", 16)


def test_text_has_one_kind_of_line_end(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("a\r\nb\rä\n".encode())
    assert read_text(tmp_path / "x") == "a\nb\nä\n"


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = [{ b = 0x" + "f" * 5000 + "}]", "a = 2026-02-31", "a"]
)
def test_everything_wrong_with_toml_is_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|digits|date|bits|Expected") as caught:
        parse_toml(text)
    assert type(caught.value).__name__ == "TOMLDecodeError"


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0025000", 25000), ("0x10", 16), ("0XfF", 255)])
def test_a_number_is_decimal_or_hexadecimal(text: str, value: int) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "-1", "1_0", "0o7", "0x", "٣", "1" * (LONGEST + 1), "0x" + "0" * 5000])
def test_what_is_no_number_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse_number(text)


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    write_whole(link, "new")
    assert (path.read_text(), link.is_symlink(), stat.S_IMODE(path.stat().st_mode)) == ("new", True, 0o640)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "x"]


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    write_whole("/dev/null", "text")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OSError, match="No space left"):
        write_whole("/dev/full", "text")
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(tmp_path, "text")


def test_without_room_the_old_file_stays_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    program = (
        "import resource, sys; from orchestrator.base.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_whole(sys.argv[1], 'n' * 5000)\n"
        "except OSError as error: print(error.strerror, error.filename)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"File too large {path}\n"
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("x", "old")]


def test_one_file_is_known_by_all_of_its_names(tmp_path: Path) -> None:
    path, link, other = tmp_path / "x", tmp_path / "y", tmp_path / "z"
    path.write_text("")
    os.link(path, link)
    assert same_file(link, [other, path]) == path
    assert same_file(tmp_path / "sub" / ".." / "z", [path, other]) == other
    assert same_file(other, [path]) is None
