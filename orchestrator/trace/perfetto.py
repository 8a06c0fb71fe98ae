"""A trace as Perfetto's UI and its trace_processor read it: a sequence of ``TracePacket``
(perfetto/protos/perfetto/trace/trace_packet.proto, track_event/).

Each core is a process with tracks for its state, its exceptions, what it sends and receives, and what it prints; the
rings, the table and the verdict are tracks of their own. Times are nanoseconds since power-on.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.checks.finding import Severity
from orchestrator.trace.model import CoreSpan, ExceptionSpan, MessageTrace, Notification, PairTrace, Trace
from orchestrator.trace.protobuf import fixed64, message, text, varint
from orchestrator.trace.rings import RingReplay

__all__ = ["to_perfetto"]

_SEQUENCE = 1  # trusted_packet_sequence_id
_CLEARED = 1  # SEQ_INCREMENTAL_STATE_CLEARED
_DEEPEST = 8  # exceptions that may go on at the end of a run; of more their returns are not told

Arguments = Mapping[str, str | int]


class _Type(enum.IntEnum):
    """TrackEvent.Type."""

    BEGIN = 1
    END = 2
    INSTANT = 3
    COUNTER = 4


@dataclass(frozen=True, slots=True)
class _Event:
    """One event of a track; ``flows`` begin or go through here, ``ends`` are flows that end."""

    time_ns: int
    track: int
    type: _Type
    name: str = ""
    category: str = ""
    arguments: Arguments = field(default_factory=dict)
    value: int = 0
    flows: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def packet(self) -> bytes:
        data = varint(9, self.type) + varint(11, self.track)
        if self.category:
            data += text(22, self.category)
        if self.name:
            data += text(23, self.name)
        if self.type is _Type.COUNTER:
            data += varint(30, self.value)
        for name, value in self.arguments.items():
            given = varint(4, value) if isinstance(value, int) else text(6, value)
            data += message(4, text(10, name) + given)
        data += b"".join(fixed64(47, flow) for flow in self.flows)
        data += b"".join(fixed64(48, flow) for flow in self.ends)
        return varint(8, self.time_ns) + message(11, data)


class _Tracks:
    """Hands out tracks, and describes each."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self._numbers = itertools.count(1)
        self._known: dict[tuple[int, str], int] = {}

    def process(self, name: str) -> int:
        """A group of tracks."""
        number = next(self._numbers)
        process = varint(1, number) + text(6, name)
        self.packets.append(message(60, varint(1, number) + message(3, process)))
        return number

    def track(self, process: int, name: str) -> int:
        """A track of a group, by name."""
        known = self._known.get((process, name))
        if known is None:
            known = self._known[process, name] = next(self._numbers)
            self.packets.append(message(60, varint(1, known) + varint(5, process) + text(2, name)))
        return known

    def thread(self, process: int, name: str) -> int:
        """The track that a group is drawn by."""
        number = self._known[process, name] = next(self._numbers)
        thread = varint(1, process) + varint(2, number) + text(5, name)
        self.packets.append(message(60, varint(1, number) + varint(5, process) + message(4, thread)))
        return number

    def counter(self, process: int, name: str, unit: str) -> int:
        """A track of numbers."""
        number = next(self._numbers)
        counter = message(8, text(6, unit))
        self.packets.append(message(60, varint(1, number) + varint(5, process) + text(2, name) + counter))
        return number


def to_perfetto(trace: Trace) -> bytes:
    """The file."""
    tracks = _Tracks()
    events = sorted(_Writer(trace, tracks).events(), key=lambda each: each.time_ns)  # of one moment: as they come
    packets = [*tracks.packets, *(event.packet() for event in events)]
    own = varint(10, _SEQUENCE)
    first = varint(13, _CLEARED)
    return b"".join(message(1, data + own + (b"" if index else first)) for index, data in enumerate(packets))


class _Writer:
    """What each list of a trace is on which track."""

    def __init__(self, trace: Trace, tracks: _Tracks) -> None:
        self._trace = trace
        self._tracks = tracks
        labels = {core.name: core.label for core in trace.cores}
        self._labels = labels
        names = {core: label if label == core else f"{label} ({core})" for core, label in labels.items()}
        self._cores = {core: tracks.process(name) for core, name in names.items()}
        self._threads = {core: tracks.thread(process, names[core]) for core, process in self._cores.items()}
        self._shared = tracks.process("shared memory")
        self._verdict = tracks.process("rptwin")
        self._flows = itertools.count(1)
        self._flow_of: dict[int, int] = {}  # by the notification's place in its list

    def events(self) -> Iterator[_Event]:
        """Those of one track in their order."""
        taken = self._taken_flows()
        yield from self._states()
        yield from self._exceptions(taken)
        yield from self._notifications(taken)
        for pair in self._trace.pairs:
            yield from self._of_pair(pair)
        yield from self._lines()
        yield from self._functions()
        for fault in self._trace.faults:
            track = self._tracks.track(self._cores[fault.core], "faults")
            at = self._place(fault.core, fault.pc)
            yield _Event(fault.time_ns, track, _Type.INSTANT, fault.name, "fault", {"what": fault.what, "at": at})

    def _place(self, core: str, pc: int | None) -> str:
        """``main+0x12  src/main.c:63``."""
        if pc is None:
            return ""
        known = self._trace.places.get(core, {}).get(pc)
        if known is None:
            return f"{pc:#010x}"
        line = f"  {known.lines[0]}" if known.lines else ""
        return f"{known.symbol or f'{pc:#010x}'}{line}"

    # cores

    def _states(self) -> Iterator[_Event]:
        for span in self._trace.states:
            yield from self._slice(self._threads[span.core], span)

    @staticmethod
    def _slice(track: int, span: CoreSpan) -> Iterator[_Event]:
        yield _Event(span.began_ns, track, _Type.BEGIN, span.state.value, "state", {"why": span.why})
        yield _Event(span.ended_ns, track, _Type.END)

    def _exceptions(self, taken: dict[tuple[str, int], list[int]]) -> Iterator[_Event]:
        for core, process in self._cores.items():
            spans = [span for span in self._trace.exceptions if span.core == core]
            if spans:
                yield from self._nested(self._tracks.track(process, "exceptions"), spans, taken)

    def _nested(
        self, track: int, spans: list[ExceptionSpan], taken: dict[tuple[str, int], list[int]]
    ) -> Iterator[_Event]:
        """Slices that lie in each other; what was not left goes on to the end."""
        open_ends: list[int] = []
        is_told = sum(span.ended_ns is None for span in spans) <= _DEEPEST
        for span in spans:
            flows = tuple(taken.pop((span.core, span.began_ns), ()))
            arguments: dict[str, str | int] = {"number": span.number}
            if span.return_address:
                arguments["interrupted"] = self._place(span.core, span.return_address)
            if span.ended_ns is None and not is_told:
                yield _Event(span.began_ns, track, _Type.INSTANT, span.name, "exception", arguments, ends=flows)
                continue
            while open_ends and open_ends[-1] <= span.began_ns:
                yield _Event(open_ends.pop(), track, _Type.END)
            end = self._trace.ended_ns if span.ended_ns is None else span.ended_ns
            open_ends.append(max(span.began_ns, min([end, *open_ends])))
            yield _Event(span.began_ns, track, _Type.BEGIN, span.name, "exception", arguments, ends=flows)
        while open_ends:
            yield _Event(open_ends.pop(), track, _Type.END)

    def _functions(self) -> Iterator[_Event]:
        """Of samples: each function from the sample that met it first to the one that did not any more."""
        for core, process in self._cores.items():
            inside: tuple[str, ...] = ()
            end_ns = 0
            for each in (sample for sample in self._trace.samples if sample.core == core):
                track = self._tracks.track(process, "functions (sampled)")
                same = _common(inside, each.stack)
                yield from (_Event(each.time_ns, track, _Type.END) for _ in inside[same:])
                for name in each.stack[same:]:
                    yield _Event(each.time_ns, track, _Type.BEGIN, name, "function")
                inside, end_ns = each.stack, each.time_ns + each.number * each.interval_ns
            if inside:
                track = self._tracks.track(process, "functions (sampled)")
                yield from (_Event(end_ns, track, _Type.END) for _ in inside)

    # notifications

    def _taken_flows(self) -> dict[tuple[str, int], list[int]]:
        """A flow for each notification that was taken, by the exception that took it."""
        flows: dict[tuple[str, int], list[int]] = {}
        for index, each in enumerate(self._trace.notifications):
            if each.taken_ns is not None:
                flow = self._flow_of[index] = next(self._flows)
                flows.setdefault((each.target, each.taken_ns), []).append(flow)
        return flows

    def _notifications(self, untaken: dict[tuple[str, int], list[int]]) -> Iterator[_Event]:
        for index, each in enumerate(self._trace.notifications):
            process = self._cores.get(each.sender, self._cores.get(each.target, self._shared))
            track = self._tracks.track(process, "notifications")
            flow = self._flow_of.get(index)
            arguments = {"mailbox": each.mailbox, "to": each.target, "at": self._place(each.sender, each.pc)}
            flows = () if flow is None else (flow,)
            name = self._notification_name(each)
            yield _Event(each.sent_ns, track, _Type.INSTANT, name, "notification", arguments, flows=flows)
        # Taken where no exception of this moment is in the trace.
        for (target, time_ns), flows_left in untaken.items():
            if target in self._cores:
                track = self._tracks.track(self._cores[target], "notifications")
                yield _Event(time_ns, track, _Type.INSTANT, "taken", "notification", ends=tuple(flows_left))

    def _notification_name(self, each: Notification) -> str:
        channel = each.mailbox if each.channel is None else f"{each.mailbox} {each.channel}"
        return f"{channel} to {self._labels.get(each.target, each.target)}" + (" (ignored)" if each.ignored else "")

    # a pair

    def _of_pair(self, pair: PairTrace) -> Iterator[_Event]:
        prefix = f"{pair.name} " if pair.name else ""
        for each in pair.messages:
            yield from self._message(prefix, each)
        for ring in pair.rings:
            track = self._tracks.counter(self._shared, f"{prefix}{ring} with the device", "chains")
            for time_ns, available, used in RingReplay(pair, ring).indices():
                yield _Event(time_ns, track, _Type.COUNTER, value=(available - used) & 0xFFFF)
        table = self._tracks.track(self._shared, f"{prefix}resource table")
        for change in pair.table_changes:
            arguments = {"by": change.core, "at": self._place(change.core, change.pc)}
            name = f"{change.path} = {change.after:#x}"
            yield _Event(change.time_ns, table, _Type.INSTANT, name, "table", arguments)
        milestones = self._tracks.track(self._verdict, f"{prefix}milestones")
        for milestone in pair.milestones:
            arguments = {"by": milestone.core, "detail": milestone.detail}
            yield _Event(milestone.time_ns, milestones, _Type.INSTANT, milestone.name, "milestone", arguments)
        findings = self._tracks.track(self._verdict, f"{prefix}findings")
        for finding in pair.findings:
            time_ns = self._trace.ended_ns if finding.time_ns is None else finding.time_ns
            arguments = {"subject": finding.subject, "text": finding.text, "severity": finding.severity.value}
            if finding.time_ns is None:
                arguments["moment"] = "never seen: drawn at the end"
            name = finding.rule if finding.severity is not Severity.NOTE else f"{finding.rule} (note)"
            yield _Event(time_ns, findings, _Type.INSTANT, name, "finding", arguments)

    def _message(self, prefix: str, each: MessageTrace) -> Iterator[_Event]:
        flow = next(self._flows)
        name = each.text or f"{each.src} to {each.dst}, {each.length} bytes"
        arguments: Arguments = {
            "ring": f"{prefix}{each.ring}",
            "head": each.head,
            "source": each.src,
            "destination": each.dst,
            "length": each.length,
            "payload": each.payload[:32].hex(" "),
        }
        sender, receiver = self._cores.get(each.sender), self._cores.get(each.receiver)
        if sender is not None:
            track = self._tracks.track(sender, "messages sent")
            yield _Event(each.sent_ns, track, _Type.INSTANT, name, "message", arguments, flows=(flow,))
        if receiver is not None and each.seen_ns is not None:
            track = self._tracks.track(receiver, "messages received")
            yield _Event(each.seen_ns, track, _Type.INSTANT, name, "message", arguments, ends=(flow,))

    def _lines(self) -> Iterator[_Event]:
        cores = {label: self._cores[core] for core, label in self._labels.items()}
        for line in self._trace.lines:
            if line.time_ns is not None:
                process = cores.get(line.console.partition(".")[0], self._verdict)
                track = self._tracks.track(process, f"console {line.console}")
                yield _Event(line.time_ns, track, _Type.INSTANT, line.text, "console")


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many functions two stacks have in common, from the outermost on."""
    return next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
