"""Whether what a folder brings may run as code.

A platform's peripheral scripts and ``[models]`` run as Python with all rights of whoever runs rptwin, and a Renode is a
program. What a person names (``--platform``, ``--config``, an environment variable) is that person's choice. What only
the ``rptwin.toml`` or ``pyproject.toml`` of the current folder names is the choice of whoever made the folder: it runs
with ``--trust``, or when the same files of the same folder have been trusted before.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError, UsageError
from orchestrator.base.files import LARGEST_IMAGE, read_file
from orchestrator.base.interrupts import uninterrupted
from orchestrator.config import TRACES, Settings

__all__ = ["Brought", "brought_by", "is_trusted", "renode_of_folder", "require_trust"]

_MOST_SHOWN = 20
_ADVICE = "read them, then give --trust; rptwin remembers it for these files of this folder"


@dataclass(frozen=True, slots=True)
class Brought:
    """What would run, or be written, and the files that decide it."""

    what: tuple[str, ...]
    files: tuple[Path, ...]

    def __add__(self, other: Brought) -> Brought:
        return Brought(self.what + other.what, self.files + other.files)


_NOTHING = Brought((), ())


def require_trust(config: Path | None, typed: Mapping[str, object], settings: Settings, *, trusted: bool) -> None:
    """:class:`UsageError` names what would run; ``config`` is a file that nobody has named (None: there is none)."""
    brought = brought_by(config, typed, settings)
    if not brought.what or is_trusted(brought.files, given=trusted):
        return
    more = len(brought.what) - _MOST_SHOWN
    raise UsageError(
        "code or a path that only this folder names",
        where=str(config or Path.cwd()),
        expected="--trust, or the same by an option",
        found=", ".join(brought.what[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else ""),
        advice=_ADVICE,
    )


def brought_by(config: Path | None, typed: Mapping[str, object], settings: Settings) -> Brought:
    """All that runs because the current folder says so, and not a person."""
    brought = renode_of_folder() if settings.engine == "renode" else _NOTHING
    if config is None:
        return brought
    if typed.get("platform") is None and settings.platform.endswith(".repl"):
        brought += _of_platform(Path(settings.platform), settings.engine)
    folder = config.resolve().parent
    for key in ("json", "junit", "sarif", "html", *TRACES):
        path = getattr(settings, key)
        if typed.get(key) is None and path is not None and not Path(os.path.realpath(path)).is_relative_to(folder):
            brought += Brought((f"{key} is written to {path}",), (config,))
    return brought


def _of_platform(path: Path, engine: str) -> Brought:
    """Scripts, models and, in Renode, whatever a description has its monitor do."""
    from orchestrator.platform import load_platform, platforms_folder  # noqa: PLC0415  # lark is slow to import

    if path.resolve().is_relative_to(platforms_folder().resolve()):
        return _NOTHING
    platform = load_platform(path)
    scripts = {str(each.script_name): f"script of {each.name}" for each in platform.peripherals if each.script}
    files = {str(each): f"model of {kind}" for kind, each in platform.models.items()}
    what = [f"{name} ({whose})" for name, whose in (scripts | files).items()]
    if engine == "renode":
        what += [f"{file} ({kind} in Renode)" for kind, file in platform.fronts.items()]
        what += [path.name]
    return Brought(tuple(what), platform.files) if what else _NOTHING


def renode_of_folder() -> Brought:
    """The Renode that a file of the current folder names, where no variable of the environment names one."""
    from orchestrator.engines.renode.discovery import find_renode  # noqa: PLC0415  # seldom needed
    from orchestrator.engines.renode.installed import Kind  # noqa: PLC0415

    if any(os.environ.get(kind.variable) for kind in Kind):
        return _NOTHING
    try:
        renode = find_renode()
    except RptwinError:  # said by who needs it
        return _NOTHING
    return _NOTHING if renode is None else Brought((f"{renode.path} ({renode.origin})",), (renode.path,))


def is_trusted(files: Iterable[Path], *, given: bool) -> bool:
    """Whether these files, as they are now and where they are now, may be used; ``given``: yes, and remember it."""
    files = tuple(files)
    if not files:
        return True
    name = _digest(files)
    folder = _memory()
    if given:
        if folder is not None:
            _remember(folder / name)
        return True
    return folder is not None and _is_own(folder / name)


def _remember(path: Path) -> None:
    """As far as it goes: who cannot keep it is asked again."""
    try:
        with uninterrupted():
            path.write_text(f"{Path.cwd()}\n", encoding="utf-8")
    except OSError:
        return


def _digest(files: Iterable[Path]) -> str:
    """Of names and contents; a folder, and what is too large to read, by size and time."""
    import hashlib  # noqa: PLC0415  # few folders bring code

    digest = hashlib.sha256(os.fsencode(Path.cwd()))
    for path in sorted({each.resolve() for each in files}):
        digest.update(b"\0" + os.fsencode(path) + b"\0")
        try:
            digest.update(hashlib.sha256(read_file(path, LARGEST_IMAGE)).digest())
        except OSError:
            status = path.stat()
            digest.update(f"{status.st_mode} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


def _memory() -> Path | None:
    """A folder that this user alone writes to; None: there is none."""
    try:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        folder = base / "rptwin" / "trusted"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except (OSError, RuntimeError, ValueError):
        return None
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return folder if is_own and not status.st_mode & 0o022 else None


def _is_own(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
