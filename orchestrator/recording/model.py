"""What a recording is, as a value and as a file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ReportError, UsageError
from orchestrator.base.files import LARGEST_RECORDING, read_file, write_whole

__all__ = ["PRINTED_TIME", "Compared", "Recording", "compile_masks", "load_recording", "parse_recording", "write"]

FORMAT, VERSION = "rptwin recording", 2
PRINTED_TIME = r"\[ *[0-9]+\.[0-9]+\]"  # as system logs of NuttX and Linux print it
_MASKED = "[time]"


@dataclass(frozen=True)
class Compared:
    """What two recordings of one pair must agree in, whatever executed it. All are plain JSON values."""

    consoles: Mapping[str, str]  # by UART; a byte is a character; what the masks match is "[time]"
    messages: Mapping[str, Sequence[str]]  # by vdev, direction and endpoint, in order
    queues: Mapping[str, Mapping[str, Any]]  # by ring: final indices, owner of every buffer
    table: Mapping[str, str]  # by role: the table's bytes as hex
    findings: Sequence[str]
    lost_notifications: Sequence[str]


@dataclass(frozen=True)
class Recording:
    """``images`` are by role: name and SHA-256. ``at_rest`` is why the state may be compared, or why not.

    ``masks`` are the patterns that were replaced in the consoles when it was taken. They are words to whoever reads
    the file: a pattern that a file brings is never searched with, for one of 20 characters can take for ever.
    """

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
        text = read_file(path, LARGEST_RECORDING).decode("utf-8", "replace")
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
    if version not in (1, VERSION):
        raise UsageError("a recording of another version", where=where, expected=VERSION, found=version)
    recording: Recording = _filled(Recording, values, where)
    compared: Compared = _filled(Compared, recording.compared, f"{where}: compared")
    _check_compared(compared, f"{where}: compared")
    if not all(isinstance(mask, str) for mask in recording.masks):
        raise UsageError("not a recording", where=f"{where}: masks", expected="texts")
    if version == 1:
        compared = _masked_as_before(recording, compared, where)
    return dataclasses.replace(recording, compared=compared)


def _masked_as_before(recording: Recording, compared: Compared, where: str) -> Compared:
    """Version 1 kept consoles as they were and masked both when they were compared."""
    if list(recording.masks) != [PRINTED_TIME]:
        raise UsageError(
            "a recording of version 1 with masks of its own",
            where=where,
            expected=f"version {VERSION}, whose consoles are masked already",
            found=", ".join(map(repr, recording.masks[:3])),
            advice="record again",
        )
    mask = compile_masks(())
    return dataclasses.replace(compared, consoles={name: mask(text) for name, text in compared.consoles.items()})


def compile_masks(masks: Sequence[str]) -> Callable[[str], str]:
    """What makes ``[time]`` of printed times and of what these patterns match; :class:`UsageError` for a bad one."""
    for mask in masks:
        try:
            re.compile(mask)
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError("not a regular expression", where="--mask", found=f"{mask!r} ({error})") from error
    pattern = re.compile("|".join(f"(?:{mask})" for mask in dict.fromkeys([PRINTED_TIME, *masks])))
    return lambda text: pattern.sub(_MASKED, text)


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
        write_whole(path, recording.to_json())
    except OSError as error:
        raise ReportError(f"recording not written: {error.strerror or error}", where=str(path)) from error
