"""What a recording is, as a value and as a file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.base.errors import ReportError, UsageError

__all__ = ["Compared", "Recording", "load_recording", "parse_recording", "write"]

FORMAT, VERSION = "rptwin recording", 1


@dataclass(frozen=True)
class Compared:
    """What two recordings of one pair must agree in, whatever executed it. All are plain JSON values."""

    consoles: Mapping[str, str]  # by UART; a byte is a character
    messages: Mapping[str, Sequence[str]]  # by vdev, direction and endpoint, in order
    queues: Mapping[str, Mapping[str, Any]]  # by ring: final indices, owner of every buffer
    table: Mapping[str, str]  # by role: the table's bytes as hex
    findings: Sequence[str]
    lost_notifications: Sequence[str]


@dataclass(frozen=True)
class Recording:
    """``images`` are by role: name and SHA-256. ``at_rest`` is why the state may be compared, or why not."""

    platform: str
    images: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Any]  # of the board, so that the run can be made again
    at_rest: bool
    rest: Mapping[str, Any]
    masks: Sequence[str]
    compared: Compared
    recorded: Mapping[str, Any]  # not compared
    quanta: Mapping[str, str] = dataclasses.field(default_factory=dict)  # by quantum: "" or the first difference

    def to_json(self) -> str:
        """The file."""
        values = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        return json.dumps(values, indent=1, ensure_ascii=True) + "\n"


def load_recording(path: str | Path) -> Recording:
    """:class:`UsageError` for a file that cannot be read or is no recording."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from error
    return parse_recording(text, str(path))


def parse_recording(text: str, where: str) -> Recording:
    """The text of a file; :class:`UsageError` when it is no recording."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON ({error})", where=where) from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise UsageError("not a recording", where=where, expected=f'"format": "{FORMAT}"')
    version = values.pop("version", None)
    if version != VERSION:
        raise UsageError("a recording of another version", where=where, expected=VERSION, found=version)
    recording: Recording = _filled(Recording, values, where)
    compared: Compared = _filled(Compared, recording.compared, f"{where}: compared")
    _check_compared(compared, f"{where}: compared")
    for mask in recording.masks:
        try:
            re.compile(mask)
        except (re.error, TypeError) as error:
            raise UsageError("a mask is no regular expression", where=where, found=f"{mask!r} ({error})") from error
    return dataclasses.replace(recording, compared=compared)


def _filled(cls: Callable[..., Any], values: object, where: str) -> Any:
    """The dataclass of these fields, each a mapping, a sequence or a scalar as annotated."""
    kinds = {"Mapping": dict, "Sequence": list, "str": str, "bool": bool, "Compared": dict}
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    if not isinstance(values, dict) or values.keys() != {each.name for each in fields}:
        found = ", ".join(values) if isinstance(values, dict) else type(values).__name__
        raise UsageError("not a recording", where=where, expected=", ".join(f.name for f in fields), found=found)
    for each in fields:
        kind = kinds[str(each.type).partition("[")[0]]
        if not isinstance(values[each.name], kind):
            raise UsageError("not a recording", where=f"{where}: {each.name}", expected=kind.__name__)
    return cls(**values)


def _check_compared(compared: Compared, where: str) -> None:
    """What the comparison walks into is of the right kind."""
    kinds: tuple[tuple[str, Mapping[str, Any], type], ...] = (
        ("consoles", compared.consoles, str),
        ("messages", compared.messages, list),
        ("queues", compared.queues, dict),
        ("table", compared.table, str),
    )
    for name, values, kind in kinds:
        for key, value in values.items():
            if not isinstance(value, kind):
                raise UsageError("not a recording", where=f"{where}: {name}: {key}", expected=kind.__name__)
    for ring, queue in compared.queues.items():
        if not isinstance(queue.get("buffers"), dict):
            raise UsageError("not a recording", where=f"{where}: queues: {ring}: buffers", expected="dict")
    for role, text in compared.table.items():
        try:
            bytes.fromhex(text)
        except ValueError:
            raise UsageError("not a recording", where=f"{where}: table: {role}", expected="hex") from None


def write(recording: Recording, path: str | Path) -> None:
    """:class:`ReportError` when the file system does not let us."""
    try:
        Path(path).write_text(recording.to_json(), encoding="utf-8")
    except OSError as error:
        raise ReportError(f"recording not written: {error.strerror or error}", where=str(path)) from error
