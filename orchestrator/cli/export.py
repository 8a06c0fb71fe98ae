"""``rptwin export-renode``: the files of a platform for plain Renode, written into a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.base.errors import ReportError, UsageError
from orchestrator.base.files import write_whole
from orchestrator.platform import load_platform
from orchestrator.platform.export import export

__all__ = ["export_renode"]


def export_renode(name: str, folder: Path) -> None:
    """Write every file, or none: :class:`UsageError` when one would replace a source of the platform."""
    platform = load_platform(name)
    files = export(platform)
    if folder.resolve() == platform.path.resolve().parent:
        raise UsageError("the folder of the platform itself", where=str(folder), advice="name another one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            write_whole(folder / file, text)
    except OSError as error:
        raise ReportError(f"cannot be written ({error.strerror})", where=str(error.filename or folder)) from error
    sys.stdout.write("".join(f"{folder / file}\n" for file in files))
    sys.stdout.write(
        f"In Renode: $main=@MAIN.elf, $remote=@REMOTE.elf, include @{folder.resolve() / platform.name}.resc, start\n"
    )
