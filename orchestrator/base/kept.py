"""Results kept between runs in the user's cache folder: what takes long to work out, and depends on its input alone.

A result is found by all that it was made from, compared in full: a hash only chooses the file. Files are what
:mod:`marshal` writes, behind a checksum, and for nobody but the interpreter that wrote them; the folder is one that
nobody but this user can enter. Whatever is wrong with a file, a folder or a disk, the result is worked out as if
nothing had been kept: no error, no message.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import stat
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["kept", "own_folder", "state_of"]

_MOST_FILES = 256  # the oldest go
_LARGEST = 4 << 20  # bytes of a file
_FORMAT = 1
_KINDS = ("tree", "code")  # of files, by the beginnings of their names
_GRAMMAR = "repl"  # lark's tables, which lark reads and writes itself


def own_folder() -> Path | None:
    """``rptwin`` in the user's cache folder, made where there is none; None: nowhere.

    None but this user may write there: what others may have left is removed.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rptwin"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return None
        if status.st_mode & 0o022:
            folder.chmod(0o700)
            for each in _files(folder, *_KINDS, _GRAMMAR):
                each.unlink(missing_ok=True)
        elif status.st_mode & 0o077:
            folder.chmod(0o700)
    except (OSError, RuntimeError, ValueError):  # read-only, or a user without a home
        return None
    return folder


def state_of(*files: Path) -> tuple[Any, ...]:
    """What tells that files of code were changed: their sizes and times."""
    found = []
    for each in files:
        try:
            status = each.stat()
        except OSError:  # in an archive
            found.append((0, 0))
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return tuple(found)


def kept(kind: str, made_from: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """What was made of the same things before, else what ``make`` makes of them, for the next time.

    ``made_from`` and the result consist of what :mod:`marshal` writes: numbers, texts, bytes, tuples, lists, sets,
    dictionaries and code. ``kind`` is one of ``_KINDS``.
    """
    folder = own_folder()
    if folder is None:
        return make()
    key = (_FORMAT, sys.version, *made_from)
    try:
        file = folder / f"{kind}-{zlib.crc32(marshal.dumps(key, 2)):08x}"
    except (ValueError, TypeError):
        return make()
    found = _read(file)
    if isinstance(found, tuple) and len(found) == 2 and found[0] == key:
        return found[1]
    made = make()
    with contextlib.suppress(OSError, ValueError, TypeError, MemoryError):
        _write(file, marshal.dumps((key, made)))
    return made


def _read(file: Path) -> Any:
    """What stands in a file of this user's; None where it does not stand there whole."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            is_own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
            data = os.read(descriptor, status.st_size) if is_own and status.st_size <= _LARGEST else b""
        finally:
            os.close(descriptor)
        if len(data) <= 4 or zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:
            return None
        return marshal.loads(data[4:])
    except (OSError, ValueError, EOFError, TypeError, MemoryError):
        return None


def _write(file: Path, data: bytes) -> None:
    """Put a file there as a whole, or not at all; others who write the same at this moment do not matter."""
    if len(data) + 4 > _LARGEST:
        return
    new = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(zlib.crc32(data).to_bytes(4, "little") + data)
        new.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    _make_room(file.parent)


def _files(folder: Path, *kinds: str) -> list[Path]:
    return [each for each in folder.iterdir() if each.name.partition("-")[0] in kinds and not each.is_dir()]


def _make_room(folder: Path) -> None:
    files = _files(folder, *_KINDS)
    if len(files) <= _MOST_FILES:
        return

    def age(file: Path) -> float:
        try:
            return file.lstat().st_mtime
        except OSError:  # somebody else makes room
            return 0.0

    for each in sorted(files, key=age)[: len(files) - _MOST_FILES]:
        with contextlib.suppress(OSError):
            each.unlink()
