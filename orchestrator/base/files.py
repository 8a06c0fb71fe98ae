"""Files that somebody gives rptwin, and files that it writes.

What is read is an ordinary file of bounded size: a device, a FIFO or a folder would hang or fill memory. What is
written is whole or not there: it is written beside its place and renamed, so that neither a full disk nor a signal
leaves half of it, or takes away what stood there before.

Everything that goes wrong is an :class:`OSError` whose ``strerror`` says it in words, as the system's own do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = [
    "LARGEST_IMAGE",
    "LARGEST_RECORDING",
    "LARGEST_TEXT",
    "file_size",
    "is_file",
    "parse_toml",
    "read_file",
    "read_text",
    "same_file",
    "write_whole",
]

LARGEST_IMAGE = 256 << 20  # bytes; with all debug information
LARGEST_RECORDING = 64 << 20
LARGEST_TEXT = 1 << 20  # of a description, its settings or a script
_LARGEST_BITS = 128  # of a number in settings: no address, size or seed has more than 64

_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def file_size(size: int) -> str:
    """``1 MiB``, ``5 KiB``, ``17 bytes``: as large a unit as comes out even."""
    for unit, bits in (("MiB", 20), ("KiB", 10)):
        if size and size % (1 << bits) == 0:
            return f"{size >> bits} {unit}"
    return f"{size} bytes"


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have (too long, with a null character) has none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _refuse_kind(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no ordinary file")
        raise OSError(errno.EINVAL, f"{kind}, and not a file", str(path))


def read_file(path: str | Path, most: int) -> bytes:
    """The bytes of an ordinary file of at most ``most`` bytes; OSError for everything else."""
    path = Path(path)
    try:
        _refuse_kind(path, path.stat().st_mode)  # before it is opened: opening a device may do something
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError:  # a null character in the path
        raise OSError(errno.EINVAL, "no name of a file", str(path)) from None
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
        found = os.fstat(descriptor)
        _refuse_kind(path, found.st_mode)
        data = file.read(most + 1) if found.st_size <= most else b""
        if found.st_size > most or len(data) > most:
            size = max(found.st_size, len(data))
            raise OSError(errno.EFBIG, f"larger than {file_size(most)} ({size} bytes)", str(path))
    return data


def read_text(path: str | Path, most: int = LARGEST_TEXT, encoding: str = "utf-8") -> str:
    """A text file, its line ends as ``\\n``; UnicodeDecodeError where it is none, OSError as :func:`read_file`."""
    return read_file(path, most).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def parse_toml(text: str) -> dict[str, Any]:
    """The document; :class:`tomllib.TOMLDecodeError` for everything that is wrong with it.

    tomllib itself lets a RecursionError out for deep nesting, and a ValueError for an integer of 4,300 digits.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deeply") from None
    except ValueError:
        raise tomllib.TOMLDecodeError("a number with too many digits, or a date that there is not") from None
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int) and value.bit_length() > _LARGEST_BITS:  # a hexadecimal one may have any length
            raise tomllib.TOMLDecodeError(f"a number of more than {_LARGEST_BITS} bits")
    return document


def same_file(path: str | Path, others: Iterable[str | Path]) -> str | Path | None:
    """The first of others that is the same file as a path, by whatever name."""
    for other in others:
        with contextlib.suppress(OSError, ValueError):
            if os.path.realpath(path) == os.path.realpath(other) or os.path.samefile(path, other):  # noqa: PTH121
                return other
    return None


def write_whole(path: str | Path, text: str | bytes) -> None:
    """Write a file as a whole or not at all, the name of a link followed; OSError when the system does not let us.

    A device or a FIFO is written to as it is. A folder that may not be written to holds no new file either.
    """
    data = text.encode("utf-8") if isinstance(text, str) else text
    target = Path(os.path.realpath(path))
    try:
        before = target.stat()
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):
        if stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with open(target, "wb") as device:  # noqa: PTH123
            device.write(data)
        return
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    beside = target.parent / f".{target.name[:100]}.{os.urandom(4).hex()}.part"
    try:
        with open(beside, "xb") as file:  # noqa: PTH123
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a disk may say only now that it is full
        beside.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
