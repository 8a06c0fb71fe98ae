"""The scripts of a platform as classes that Renode can have, and the assembly that holds them.

Renode's own compiler needs two seconds, so what it made is kept in the user's cache folder, by a digest of the text and
of the Renode that compiled it. An assembly is code: one that others than the user may have written is not loaded.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from orchestrator.base.files import read_text
from orchestrator.engines.common.scratch import write
from orchestrator.engines.renode.compiled.csharp import NAMESPACE, SUPPORT, class_name, compile_script
from orchestrator.engines.renode.compiled.script_types import UntypedError

__all__ = ["Models", "load_models"]


class Models:
    """Collects classes; ``names`` is what the description calls the type of a script that has one."""

    def __init__(self) -> None:
        self._names: dict[Path, str] = {}
        self._classes: dict[str, str] = {}

    def name_of(self, path: Path) -> str | None:
        """The type that stands for a script; None where IronPython has to run it."""
        if path not in self._names:
            text = read_text(path)
            name = class_name(path.stem, text)
            try:
                self._classes[name] = compile_script(path.stem, text)
            except (UntypedError, SyntaxError, RecursionError, MemoryError):
                name = ""
            self._names[path] = name
        name = self._names[path]
        return f"{NAMESPACE.rpartition('.')[2]}.{name}" if name else None

    @property
    def source(self) -> str:
        """All of them, as one file; "" where there is none."""
        if not self._classes:
            return ""
        return "\n".join([SUPPORT.read_text(encoding="utf-8"), *self._classes.values()])


def load_models(source: str, scratch: Path) -> None:
    """Let Renode know these classes; ``scratch`` is a folder for this run."""
    from Antmicro.Renode.Utilities import TypeManager  # noqa: PLC0415  # of .NET
    from System.Reflection import Assembly  # noqa: PLC0415

    known = f"{Assembly.GetAssembly(TypeManager).ManifestModule.ModuleVersionId}\n{source}"
    name = f"{hashlib.sha256(known.encode()).hexdigest()}.dll"
    folder = _cache()
    path = (folder or scratch) / name
    if not path.exists():
        _compile(source, scratch, path)
    Assembly.LoadFrom(str(path))
    TypeManager.Instance.ScanFile(str(path))


def _compile(source: str, scratch: Path, path: Path) -> None:
    from Antmicro.Renode.Utilities import AdHocCompiler  # noqa: PLC0415  # of .NET
    from System import Array, String  # noqa: PLC0415

    text = scratch / "scripts.cs"
    write(text, source.encode())
    made = Path(str(AdHocCompiler().Compile(Array[String]([str(text)]))))
    new = path.with_suffix(f".{os.getpid()}")
    write(new, made.read_bytes())
    new.replace(path)


def _cache() -> Path | None:
    """A folder that only this user writes to; None: there is none."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rptwin" / "renode"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # read-only, or a user without a home
        return None
    return folder if status.st_uid == os.geteuid() and not status.st_mode & 0o022 else None
