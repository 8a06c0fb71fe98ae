"""A trace as waveforms: a value change dump (IEEE 1364-2005, 18.2), as GTKWave, sigrok and Surfer read it.

Of each core its state (``_STATES``) and the number of its exception as IPSR has it, of each channel of a mailbox
whether it is pending towards a core, and the indices of the rings. Times are nanoseconds since power-on.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.events import CoreState
from orchestrator.trace.model import ExceptionSpan, Notification, Trace
from orchestrator.trace.rings import RingReplay

__all__ = ["to_vcd"]

_STATES = {CoreState.HELD: 0, CoreState.RUNNING: 1, CoreState.SLEEPING: 2, CoreState.LOCKED_UP: 3}
_CODES = string.ascii_letters + string.digits
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_WITHOUT_BRACKETS = str.maketrans("", "", "[]")  # which are a range to most readers

Change = tuple[int, int]  # time in ns, value


@dataclass(frozen=True, slots=True)
class _Signal:
    """A variable of a scope."""

    scope: str  # "vdev0.vring1"
    name: str
    width: int
    changes: tuple[Change, ...]  # by time


def to_vcd(trace: Trace) -> bytes:
    """The file."""
    signals = list(_signals(trace))
    lines = [
        "$comment states: " + ", ".join(f"{code} {state.value}" for state, code in _STATES.items()) + " $end",
        f"$version rptwin, {trace.platform} on {trace.engine} $end",
        "$timescale 1 ns $end",
        *_declarations(signals),
        "$enddefinitions $end",
    ]
    steps: dict[int, dict[int, int]] = {trace.began_ns: dict.fromkeys(range(len(signals)), 0)}
    for index, signal in enumerate(signals):
        for time_ns, value in signal.changes:
            steps.setdefault(time_ns, {})[index] = value
    values: dict[int, int] = {}
    for time_ns in sorted(steps):
        new = {index: value for index, value in sorted(steps[time_ns].items()) if values.get(index) != value}
        if new:
            values |= new
            is_first = time_ns == trace.began_ns
            changes = [_change(signals[index], index, value) for index, value in new.items()]
            lines += [f"#{time_ns}", *(["$dumpvars", *changes, "$end"] if is_first else changes)]
    if trace.ended_ns not in steps:
        lines.append(f"#{trace.ended_ns}")
    return ("\n".join(lines) + "\n").encode("ascii")


def _change(signal: _Signal, index: int, value: int) -> str:
    code = _code(index)
    return f"{value}{code}" if signal.width == 1 else f"b{value:b} {code}"


def _code(index: int) -> str:
    """An identifier: printable characters, as few as there are signals."""
    digits = ""
    while True:
        index, digit = divmod(index, len(_CODES))
        digits += _CODES[digit]
        if not index:
            return digits
        index -= 1


def _declarations(signals: list[_Signal]) -> Iterator[str]:
    scopes = dict.fromkeys(signal.scope for signal in signals)
    for scope in scopes:
        parts = scope.split(".")
        yield from (f"$scope module {_name(part)} $end" for part in parts)
        for index, signal in enumerate(signals):
            if signal.scope == scope:
                size = f" [{signal.width - 1}:0]" if signal.width > 1 else ""
                yield f"$var wire {signal.width} {_code(index)} {_name(signal.name)}{size} $end"
        yield from ("$upscope $end" for _ in parts)


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text)


def _signals(trace: Trace) -> Iterator[_Signal]:
    for core in trace.cores:
        states = tuple((span.began_ns, _STATES[span.state]) for span in trace.states if span.core == core.name)
        yield _Signal(core.label, "state", 2, states)
        spans = [span for span in trace.exceptions if span.core == core.name]
        yield _Signal(core.label, "exception", 9, tuple(_numbers(spans)))
    labels = {core.name: core.label for core in trace.cores}
    by_line: dict[tuple[str, str], list[Notification]] = {}
    for each in trace.notifications:
        channel = "irq" if each.channel is None else f"ch{each.channel}"
        target = labels.get(each.target, each.target)
        name = f"{channel}_to_{target}" + ("_ignored" if each.ignored else "")
        by_line.setdefault((each.mailbox, name), []).append(each)
    for (mailbox, name), sent in sorted(by_line.items()):
        yield _Signal(mailbox, name, 1, tuple(_line(sent)))
    for pair in trace.pairs:
        prefix = f"{pair.name}." if pair.name else ""
        for ring in pair.rings:
            moves = sorted(RingReplay(pair, ring).indices())
            scope = prefix + ring.translate(_WITHOUT_BRACKETS)
            yield _Signal(scope, "avail_idx", 16, tuple((time, available) for time, available, _ in moves))
            yield _Signal(scope, "used_idx", 16, tuple((time, used) for time, _, used in moves))


def _numbers(spans: Iterable[ExceptionSpan]) -> Iterator[Change]:
    """The exception that a core is in: the innermost."""
    inside: list[tuple[int | None, int]] = []  # end, number
    for span in spans:
        yield from _left(inside, span.began_ns)
        inside.append((span.ended_ns, span.number))
        yield span.began_ns, span.number
    yield from _left(inside, None)


def _left(inside: list[tuple[int | None, int]], time_ns: int | None) -> Iterator[Change]:
    """Those that are over by a moment, the innermost first; None: by the end."""
    while inside and inside[-1][0] is not None and (time_ns is None or inside[-1][0] <= time_ns):
        end, _ = inside.pop()
        assert end is not None
        yield end, inside[-1][1] if inside else 0


def _line(sent: Iterable[Notification]) -> Iterator[Change]:
    """Pending from when it is signalled until it is taken; what is ignored, or taken at once, for a nanosecond."""
    changes: dict[int, int] = {}
    for each in sent:
        end = each.sent_ns + 1 if each.ignored else each.taken_ns
        changes[each.sent_ns] = 1
        if end is not None:
            changes[max(end, each.sent_ns + 1)] = 0
    yield from sorted(changes.items())
