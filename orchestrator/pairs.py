"""Many pairs in one file: platforms, images and options, and every combination of what a pair lists in its matrix.

::

    [defaults]
    timeout = "10 s"

    [[pair]]
    name = "demo"
    main = "build/main.elf"
    remote = "build/remote.elf"
    matrix = { engine = ["unicorn", "qemu"], seed = [0, 1, 2] }

Keys are those of ``rptwin.toml``, but for the reports: there is one for all. Paths are relative to the file. Pages and
traces are named when all are run, with ``{pair}`` for the pair's name.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.config import OF_ONE_RUN, REPORTS, Settings, load_toml, read_setting, settings_from

__all__ = ["NamedPair", "load_pairs"]

_MOST_PAIRS = 10_000
_KEYS = ("defaults", "pair")
_OWN = ("name", "matrix")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_PLACE = "{pair}"
_NOT_OF_FILES = re.compile(r"^\.+|[^A-Za-z0-9._=+-]+")


@dataclass(frozen=True, slots=True)
class NamedPair:
    """A pair of the file, or one combination of one."""

    name: str
    settings: Settings

    @property
    def timeout(self) -> str:
        """As :meth:`~orchestrator.board.Board.run` takes it."""
        return f"{self.settings.timeout} ns"

    def __str__(self) -> str:
        return self.name


def load_pairs(path: str | Path, typed: Mapping[str, object] | None = None) -> tuple[NamedPair, ...]:
    """Every pair with its settings; what was typed goes before what stands there. UsageError says what is wrong."""
    path = Path(path)
    document = load_toml(path)
    for key in document:
        if key not in _KEYS:
            raise UsageError("unknown key", where=str(path), expected=" | ".join(_KEYS), found=key)
    defaults = _table(document.get("defaults", {}), f"{path}: [defaults]")
    common = _settings(defaults, path, f"{path}: [defaults]")
    entries = document.get("pair", [])
    if not isinstance(entries, list) or not entries:
        raise UsageError("no pairs", where=str(path), expected="[[pair]] with main and remote, once or more")
    pairs: list[NamedPair] = []
    for index, entry in enumerate(entries, start=1):
        where = f"{path}: pair {index}"
        for name, values in _combinations(_table(entry, where), path, where):
            pairs.append(NamedPair(name, settings_from(typed or {}, common | values)))
            if len(pairs) > _MOST_PAIRS:
                raise UsageError("too many pairs", where=str(path), expected=f"at most {_MOST_PAIRS}", found="more")
    names = [each.name for each in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise UsageError("a name twice", where=str(path), expected="a name of its own for each [[pair]]", found=twice)
    return tuple(_with_files_of_their_own(pairs))


def _with_files_of_their_own(pairs: Iterable[NamedPair]) -> Iterator[NamedPair]:
    """What one run writes, with the name of each pair in that of the file."""
    taken: set[str] = set()
    for pair in pairs:
        stem = name = _NOT_OF_FILES.sub("-", pair.name)
        for number in itertools.count(2):
            if stem.lower() not in taken:  # some file systems see no difference
                break
            stem = f"{name}-{number}"
        taken.add(stem.lower())
        files = {key: file for key in OF_ONE_RUN if (file := getattr(pair.settings, key)) is not None}
        for key, file in files.items():
            if _PLACE not in file:
                raise UsageError(
                    "one file for every pair", where=f"--{key}", expected=f"{_PLACE} where its name goes", found=file
                )
            files[key] = file.replace(_PLACE, stem)
        yield dataclasses.replace(pair, settings=dataclasses.replace(pair.settings, **files))


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError("bad value", where=where, expected="a table", found=repr(value)[:60])
    return value


def _settings(values: Mapping[str, object], path: Path, where: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in values.items():
        if key in REPORTS:
            raise UsageError(f"{key} is of all pairs", where=where, advice=f"give --{key} on the command line")
        if key in OF_ONE_RUN:
            advice = f"give --{key}, with {_PLACE} in the name of the file, on the command line"
            raise UsageError(f"{key} is of a run", where=where, advice=advice)
        found |= read_setting(key, value, path, where)
    return found


def _combinations(entry: dict[str, Any], path: Path, where: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The name and the settings of each combination of the matrix; of one without, the pair itself."""
    own = _settings({key: value for key, value in entry.items() if key not in _OWN}, path, where)
    name = entry.get("name", _name_of(own))
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise UsageError("bad value", where=f"{where}: name", expected="a line of text", found=repr(name)[:60])
    matrix = _table(entry.get("matrix", {}), f"{where}: matrix")
    for key, values in matrix.items():
        if not isinstance(values, list) or not values:
            raise UsageError("bad value", where=f"{where}: matrix.{key}", expected="a list", found=repr(values)[:60])
        if key in entry:
            raise UsageError("given twice", where=f"{where}: {key}", expected=f"{key} or matrix.{key}")
    for chosen in itertools.product(*matrix.values()):
        choice = dict(zip(matrix, chosen, strict=True))
        words = " ".join(f"{key}={value}" for key, value in choice.items())
        yield f"{name} {words}".strip(), own | _settings(choice, path, f"{where}: matrix")


def _name_of(own: Mapping[str, object]) -> str:
    """``stm32h745 main.elf remote.elf``."""
    defaults = dataclasses.asdict(Settings())
    parts = (own.get(key, defaults[key]) for key in ("platform", "main", "remote"))
    return " ".join(Path(str(part)).name for part in parts if part)
