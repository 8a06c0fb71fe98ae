"""A folder for the files of one child process, which is gone when nobody needs it any more, however its users end.

Both processes hold the lock of the folder by one open file. Whoever ends well removes the folder; one whose users were
all killed at once is removed by the next that is made, which finds its lock free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.base.errors import EngineError

__all__ = ["Scratch", "no_room", "remove", "sweep", "write"]

_PREFIX = "rptwin-"
_REMOVALS = 3  # threads of a child that is about to end may still write there
_LOCK, _NEW_LOCK = "lock", "lock.new"  # it has its name when it is taken


class Scratch:
    """A new folder below the machine's temporary one; ``lock`` is a descriptor for the child to inherit.

    Raises EngineError where there is no room for it.
    """

    def __init__(self) -> None:
        sweep()
        try:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            raise no_room(error) from None
        self.lock = -1
        try:
            self.lock = os.open(self.path / _NEW_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            (self.path / _NEW_LOCK).rename(self.path / _LOCK)
        except OSError as error:
            self.remove()
            raise no_room(error) from None

    def remove(self) -> None:
        """The folder and all in it; nothing happens the second time."""
        remove(self.path)
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


def remove(folder: Path) -> None:
    """As far as it goes; the lock last, so that who is ended meanwhile leaves what :func:`sweep` finds."""
    for _ in range(_REMOVALS):
        with contextlib.suppress(OSError):
            for each in folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each, ignore_errors=True)
                elif each.name != _LOCK:
                    each.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def write(path: Path, data: bytes) -> None:
    """A file of an engine; EngineError where there is no room for it."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise no_room(error) from None


def sweep() -> None:
    """Remove the folders whose users are dead. One that cannot be looked at is somebody else's."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(lock.parent)
            finally:
                os.close(descriptor)


def no_room(error: OSError) -> EngineError:
    """What is said where a folder or file of an engine cannot be made."""
    return EngineError(
        "no room for the engine's files",
        where=str(error.filename or tempfile.gettempdir()),
        found=error.strerror,
        advice="TMPDIR names another folder",
    )
