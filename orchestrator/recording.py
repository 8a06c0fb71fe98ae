"""Recordings: the state of a board at rest, for comparison between engines and releases.

In: a board. Out: plain values in a stable order, free of wall-clock time and paths, and the first difference between
two of them in words. What is compared does not depend on how the cores' turns interleave; what does is only recorded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.base.durations import format_duration
from orchestrator.base.roles import ROLES
from orchestrator.board import Board, EndReason
from orchestrator.engines.contract import SEMIHOSTING
from orchestrator.errors import ReportError, UsageError
from orchestrator.events import CoreState, Event
from orchestrator.observe.traffic import MessageRecord

__all__ = [
    "PRINTED_TIME",
    "QUANTA_NS",
    "Compared",
    "Recorder",
    "Recording",
    "first_difference",
    "load_recording",
    "parse_recording",
    "record",
    "vary_quantum",
    "write",
]

FORMAT, VERSION = "rptwin recording", 1
QUANTA_NS = (5_000, 20_000, 100_000)  # a pair that differs between these differs by itself, on any engine
PRINTED_TIME = r"\[ *[0-9]+\.[0-9]+\]"  # as system logs of NuttX and Linux print it
_LOST = ("notification.missing", "notification.not-taken")
_SHORT = 32  # bytes of a payload that are written out


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


class Recorder:
    """Hears of every message of a board; make it before the board runs."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._messages: dict[str, list[str]] = {}
        self._heard: dict[str, int] = {}
        self.missed = 0  # messages that went by in one turn and of which only the count is known
        board.subscribe(self._listen)

    def _listen(self, _event: Event) -> None:
        self.look()

    def look(self) -> None:
        """Take what has come since the last look."""
        for path, log in self._board.observer.run.traffic.messages.items():
            total = sum(log.sent.values())
            new = total - self._heard.get(path, 0)
            self._heard[path] = total
            latest = list(log.last)[-new:] if new else []
            self.missed += new - len(latest)
            for each in latest:
                key = f"{path} from {each.sender} to {each.dst}"
                self._messages.setdefault(key, []).append(_message(each))

    @property
    def messages(self) -> dict[str, list[str]]:
        """By vdev, direction and endpoint."""
        return {key: self._messages[key] for key in sorted(self._messages)}


def _message(record: MessageRecord) -> str:
    payload = record.payload
    shown = payload.hex() if len(payload) <= _SHORT else f"sha256 {hashlib.sha256(payload).hexdigest()}"
    return f"{record.length} bytes from {record.src}: {shown}"


def record(board: Board, recorder: Recorder, settings: Mapping[str, Any], masks: Sequence[str] = ()) -> Recording:
    """What a board that has run shows now."""
    recorder.look()
    verdict, run = board.verdict(), board.observer.run
    in_flight = {path: len(ring.outstanding) for path, ring in run.traffic.rings.items() if not ring.is_pool}
    cores = {role: board.platform.core(role).name for role in ROLES}
    states = {role: board.engine.state(core) for role, core in cores.items()}
    # An engine that cannot tell what a core waits for says "running" of one that polls.
    idle = {role: "polling" if board.engine.waiting(core) else states[role].value for role, core in cores.items()}
    ended = board.end.reason if board.end is not None else None
    uarts = board.engine.consoles
    return Recording(
        platform=board.platform.name,
        images={
            role: {"name": image.name, "sha256": hashlib.sha256(image.data).hexdigest()}
            for role, image in board.images.items()
        },
        settings=settings,
        at_rest=ended is EndReason.QUIET and not any(in_flight.values()) and CoreState.LOCKED_UP not in states.values(),
        rest={"ended": ended.value if ended else None, "in_flight": dict(sorted(in_flight.items())), "cores": idle},
        masks=[PRINTED_TIME, *masks],
        compared=Compared(
            consoles={
                name: uarts[name].output.decode("latin-1")
                for name in sorted(uarts)
                if uarts[name].output or not name.endswith(SEMIHOSTING)  # which not every engine has
            },
            messages=recorder.messages,
            queues=_queues(board),
            table={role: data.hex() for role, data in sorted(board.live.others.items())},
            findings=sorted(f"{each.severity.value} {each.rule} {each.subject}".strip() for each in verdict.findings),
            lost_notifications=sorted(each.subject for each in verdict.findings if each.rule in _LOST),
        ),
        recorded={
            "rptwin": __version__,
            "engine": board.engine.name,
            "quantum_ns": board.quantum_ns,
            "seed": board.seed,
            "time_ns": board.time_ns,
            "instructions": {role: board.engine.instructions(board.platform.core(role).name) for role in ROLES},
            "notifications": run.ledger.to_json({})["channels"],
            "messages_missed": recorder.missed,
        },
    )


def _queues(board: Board) -> dict[str, dict[str, Any]]:
    traffic = board.observer.run.traffic
    return {
        path: {
            "avail.idx": ring.avail_idx,
            "used.idx": ring.used_idx,
            "buffers": {
                f"{address:#010x}": f"{buffer.span.size} bytes, {buffer.owner}"
                for address, buffer in sorted(traffic.buffers.items())
                if buffer.ring == path
            },
        }
        for path, ring in sorted(traffic.rings.items())
    }


def vary_quantum(recording: Recording, again: Callable[[int], Recording]) -> Recording:
    """The same with what other quanta make of the pair on the same engine; ``again`` records it at a quantum.

    A pair that did not come to rest has nothing to compare.
    """
    if not recording.at_rest:
        return recording
    own = recording.recorded["quantum_ns"]
    others = [quantum for quantum in QUANTA_NS if quantum != own]
    differences = {format_duration(each): first_difference(recording, again(each)) or "" for each in others}
    return dataclasses.replace(recording, quanta=differences)


# Comparing


def first_difference(a: Recording, b: Recording, names: tuple[str, str] = ("A", "B")) -> str | None:
    """The first difference in words; None when there is none. Masks of both apply to both."""
    return next(_differences(a, b, names), None)


def _differences(a: Recording, b: Recording, names: tuple[str, str]) -> Iterator[str]:
    for each, name in zip((a, b), names, strict=True):
        if not each.at_rest:
            yield f"{name} was not recorded at rest: {_words(each.rest)}"
        missed = each.recorded.get("messages_missed")
        if missed:
            yield f"{name} lacks {missed} messages, which went by too fast to be read"
    yield from _unequal("platform", a.platform, b.platform, names)
    for role in ROLES:
        yield from _unequal(f"{role}'s image", a.images.get(role, {}), b.images.get(role, {}), names)
    left, right = a.compared, b.compared
    yield from _consoles(left.consoles, right.consoles, [*a.masks, *b.masks], names)
    yield from _sequences(left.messages, right.messages, "message", names)
    yield from _queue_differences(left.queues, right.queues, names)
    yield from _tables(left.table, right.table, names)
    yield from _lists("finding", left.findings, right.findings, names)
    yield from _lists("lost notification", left.lost_notifications, right.lost_notifications, names)


def _unequal(what: str, a: object, b: object, names: tuple[str, str]) -> Iterator[str]:
    if a != b:
        yield f"{what}: {names[0]} has {_words(a)}, {names[1]} has {_words(b)}"


def _words(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items()) or "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def _both(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return sorted({*a, *b})


def _consoles(
    a: Mapping[str, Any], b: Mapping[str, Any], masks: Sequence[str], names: tuple[str, str]
) -> Iterator[str]:
    pattern = re.compile("|".join(f"(?:{mask})" for mask in dict.fromkeys(masks)))
    for uart in _both(a, b):
        texts = [str(each.get(uart, "")) for each in (a, b)]
        left, right = (pattern.sub("[time]", text).split("\n") for text in texts)
        for number, (mine, other) in enumerate(zip_longest(left, right), start=1):
            if mine != other:
                yield f"{uart}, line {number}: {names[0]} has {mine!r}, {names[1]} has {other!r}"
                break


def _sequences(a: Mapping[str, Any], b: Mapping[str, Any], what: str, names: tuple[str, str]) -> Iterator[str]:
    for key in _both(a, b):
        for index, (mine, other) in enumerate(zip_longest(a.get(key, ()), b.get(key, ())), start=1):
            if mine != other:
                yield from _unequal(f"{key}, {what} {index}", mine, other, names)
                break


def _queue_differences(a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str]) -> Iterator[str]:
    for ring in _both(a, b):
        left, right = a.get(ring, {}), b.get(ring, {})
        for index in ("avail.idx", "used.idx"):
            yield from _unequal(f"{ring} {index}", left.get(index), right.get(index), names)
        mine, other = left.get("buffers", {}), right.get("buffers", {})
        for address in _both(mine, other):
            yield from _unequal(f"{ring}, buffer at {address}", mine.get(address), other.get(address), names)


def _tables(a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str]) -> Iterator[str]:
    for role in _both(a, b):
        left, right = (bytes.fromhex(str(each.get(role, ""))) for each in (a, b))
        if len(left) != len(right):
            yield from _unequal(f"table as {role} sees it, bytes", len(left), len(right), names)
        for offset, (mine, other) in enumerate(zip(left, right, strict=False)):
            if mine != other:
                yield from _unequal(f"table as {role} sees it, byte {offset:#x}", f"{mine:02x}", f"{other:02x}", names)
                break


def _lists(what: str, a: Sequence[str], b: Sequence[str], names: tuple[str, str]) -> Iterator[str]:
    for name, own, other in ((names[0], a, b), (names[1], b, a)):
        rest = list(other)
        for each in own:
            if each in rest:
                rest.remove(each)
            else:
                yield f"{what}: only {name} has {each}"
                break


def write(recording: Recording, path: str | Path) -> None:
    """:class:`ReportError` when the file system does not let us."""
    try:
        Path(path).write_text(recording.to_json(), encoding="utf-8")
    except OSError as error:
        raise ReportError(f"recording not written: {error.strerror or error}", where=str(path)) from error
