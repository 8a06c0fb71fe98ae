"""``rptwin new-platform``: a platform to start from, with firmware that shows it working."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.base.errors import ReportError, UsageError
from orchestrator.platform import available_platforms, platforms_folder

__all__ = ["new_platform"]

SKELETON = "skeleton"  # its folder and, in names and text, the word that becomes the platform's name
IMAGES = ("smoke/main.elf", "smoke/remote.elf")
SOURCES = (
    f"{SKELETON}.repl",
    f"{SKELETON}.toml",
    f"{SKELETON}/mailbox.py",
    "smoke/smoke.c",
    "smoke/main.ld",
    "smoke/remote.ld",
    "smoke/smoke.ld",
    "smoke/Makefile",
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


def new_platform(name: str, folder: Path) -> None:
    """Write the skeleton under another name into a folder and say how to run it: all of it, or nothing.

    :class:`UsageError` for a name that is none or is taken and for files in the way, :class:`ReportError` when a file
    cannot be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError("not a name for a platform", expected="a letter, then letters, digits or _", found=repr(name))
    if name in (*available_platforms(), SKELETON):
        raise UsageError("rptwin has a platform of this name", found=name, advice="choose another one")
    files = {folder / path: content for path, content in _skeleton(name).items()}
    for path in files:
        if path.exists():
            raise UsageError("is there already", where=str(path), advice="name another folder with -o")
    _write(files)
    repl, main, remote = (shlex.quote(str(folder / each)) for each in (f"{name}.repl", *IMAGES))
    sys.stdout.write("".join(f"{path}\n" for path in files))
    sys.stdout.write(f"\nBoot it:\n  rptwin run --platform {repl} {main} {remote}\n")
    sys.stdout.write(f"Then replace its numbers by your chip's, from the top of {repl} downward.\n")


def _skeleton(name: str) -> dict[str, bytes]:
    source = platforms_folder() / SKELETON
    files = {
        path.replace(SKELETON, name): (source / path).read_bytes().replace(SKELETON.encode(), name.encode())
        for path in SOURCES
    }
    for path in IMAGES:
        try:
            files[path] = (source / path).read_bytes()
        except FileNotFoundError:
            advice = "`python hatch_build.py` in the checkout builds it"
            raise UsageError("the smoke firmware is not built", where=str(source / path), advice=advice) from None
    return files


def _write(files: Mapping[Path, bytes]) -> None:
    made: list[Path] = []
    try:
        for path, content in files.items():
            for parent in reversed(path.parents):
                if not parent.exists():
                    parent.mkdir()
                    made.append(parent)
            with path.open("xb") as file:
                made.append(path)
                file.write(content)
    except BaseException as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        if isinstance(error, OSError):
            where = str(error.filename or path)
            raise ReportError(f"cannot be written ({error.strerror})", where=where) from error
        raise
