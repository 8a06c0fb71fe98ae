"""What went on during a run, as columns: states, exceptions, notifications, messages, rings, consoles.

Times are virtual nanoseconds; in a column each is the difference to the one before. Cores, rings and consoles are
named by their place in a list, -1 for none; texts that repeat by their number in ``names``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.events import CoreState
from orchestrator.report.page.columns import Names, Plain, depths, differences
from orchestrator.report.progress import steps_of
from orchestrator.report.record import Record
from orchestrator.report.sources import SourcePaths
from orchestrator.report.text import repeating
from orchestrator.trace import (
    CoreSpan,
    ExceptionSpan,
    MessageTrace,
    PairTrace,
    RingChange,
    RingShape,
    Trace,
    TraceCore,
)

__all__ = ["MOST_LINES", "TraceColumns", "no_columns"]

_STATES = list(CoreState)  # by their numbers: as the page names them
MOST_LINES = 20_000  # of the consoles: the first and the last half of so many
_MOST_BYTES = 2_048  # of a payload


def no_columns() -> Plain:
    """Of a run in which nothing happened."""
    return {
        "cores": [],
        "names": [],
        "states": [],
        "exceptions": [],
        "notifications": {"t": [], "d": [], "from": [], "to": [], "n": [], "ignored": []},
        "messages": {
            "t": [],
            "ring": [],
            "head": [],
            "from": [],
            "to": [],
            "src": [],
            "dst": [],
            "len": [],
            "text": [],
            "hex": [],
        },
        "table": {"t": [], "who": [], "n": [], "before": [], "after": [], "place": []},
        "faults": {"t": [], "who": [], "n": [], "place": []},
        "rings": [],
        "buffers": {},
        "marks": [],
        "consoles": [],
        "repeated": [],
        "console_cores": [],
        "lines": {"t": [], "c": [], "x": [], "known": []},
    }


class TraceColumns:
    """The columns of one trace; what is said of code is said with its line of source."""

    def __init__(self, record: Record, trace: Trace) -> None:
        self._record, self._trace = record, trace
        self._names = Names()
        self._cores = {core.name: number for number, core in enumerate(_in_order(record, trace))}
        self._labels = {core.name: core.label for core in trace.cores}
        self._paths = SourcePaths(tuple(image.path for each in record.pairs for image in each.images.values()))
        self._rings = [(number, ring) for number, pair in enumerate(trace.pairs) for ring in pair.rings]
        self._places: dict[tuple[str, int], int] = {}

    def columns(self) -> Plain:
        """All of them."""
        trace, by_core = self._trace, list(self._cores)
        columns = {
            "cores": [{"name": name, "role": self._role(name)} for name in by_core],
            "states": [self._states([each for each in trace.states if each.core == core]) for core in by_core],
            "exceptions": [
                self._exceptions([each for each in trace.exceptions if each.core == core]) for core in by_core
            ],
            "notifications": self._notifications(),
            "messages": self._messages(),
            "table": self._table(),
            "faults": self._faults(),
            "rings": [self._ring(number, trace.pairs[number], ring) for number, ring in self._rings],
            "buffers": self._buffers(),
            "marks": sorted(self._marks(), key=lambda each: int(str(each["t"]))),
            **self._lines(),
        }
        return {**columns, "names": self._names.texts}

    def _role(self, core: str) -> str:
        label = self._labels[core]
        return label if label != core else ""

    def _core(self, name: str) -> int:
        return self._cores.get(name, -1)

    def _place(self, core: str, pc: int | None) -> int:
        """``mailbox_signal+0x30, firmware/mailbox.c:44``."""
        if pc is None:
            return -1
        known = self._places.get((core, pc))
        if known is None:
            place = self._trace.places.get(core, {}).get(pc)
            symbol = place.symbol if place is not None and place.symbol else f"{pc:#010x}"
            lines = self._paths.texts(place.lines) if place is not None else ""
            known = self._places[core, pc] = self._names.number(f"{symbol}, {lines}" if lines else symbol)
        return known

    @staticmethod
    def _states(spans: Sequence[CoreSpan]) -> Plain:
        return {"t": differences(each.began_ns for each in spans), "s": [_STATES.index(each.state) for each in spans]}

    def _exceptions(self, spans: Sequence[ExceptionSpan]) -> Plain:
        spans = sorted(spans, key=lambda each: each.began_ns)
        end = self._trace.ended_ns
        return {
            "t": differences(each.began_ns for each in spans),
            "d": [-1 if each.ended_ns is None else each.ended_ns - each.began_ns for each in spans],
            "n": [self._names.number(each.name) for each in spans],
            "k": depths([(each.began_ns, end if each.ended_ns is None else each.ended_ns) for each in spans]),
        }

    def _notifications(self) -> Plain:
        rows = sorted(self._trace.notifications, key=lambda each: each.sent_ns)
        return {
            "t": differences(each.sent_ns for each in rows),
            "d": [-1 if each.taken_ns is None else max(0, each.taken_ns - each.sent_ns) for each in rows],
            "from": [self._core(each.sender) for each in rows],
            "to": [self._core(each.target) for each in rows],
            "n": [
                self._names.number(each.mailbox if each.channel is None else f"{each.mailbox} channel {each.channel}")
                for each in rows
            ],
            "ignored": [int(each.ignored) for each in rows],
        }

    def _messages(self) -> Plain:
        numbers = {ring: number for number, ring in enumerate(self._rings)}
        rows: list[tuple[int, MessageTrace]] = [
            (numbers[number, each.ring], each)
            for number, pair in enumerate(self._trace.pairs)
            for each in pair.messages
            if (number, each.ring) in numbers
        ]
        rows.sort(key=lambda row: row[1].sent_ns)
        return {
            "t": differences(each.sent_ns for _, each in rows),
            "ring": [ring for ring, _ in rows],
            "head": [each.head for _, each in rows],
            "from": [self._core(each.sender) for _, each in rows],
            "to": [self._core(each.receiver) for _, each in rows],
            "src": [each.src for _, each in rows],
            "dst": [each.dst for _, each in rows],
            "len": [each.length for _, each in rows],
            "text": [self._names.number(each.text) for _, each in rows],
            "hex": [each.payload[:_MOST_BYTES].hex() for _, each in rows],
        }

    def _table(self) -> Plain:
        rows = sorted(
            (each for pair in self._trace.pairs for each in pair.table_changes), key=lambda each: each.time_ns
        )
        return {
            "t": differences(each.time_ns for each in rows),
            "who": [self._core(each.core) for each in rows],
            "n": [self._names.number(each.path) for each in rows],
            "before": [each.before for each in rows],
            "after": [each.after for each in rows],
            "place": [self._place(each.core, each.pc) for each in rows],
        }

    def _faults(self) -> Plain:
        rows = sorted(self._trace.faults, key=lambda each: each.time_ns)
        return {
            "t": differences(each.time_ns for each in rows),
            "who": [self._core(each.core) for each in rows],
            "n": [self._names.number(f"{each.name}: {each.what}") for each in rows],
            "place": [self._place(each.core, each.pc) for each in rows],
        }

    # rings

    def _ring(self, number: int, pair: PairTrace, path: str) -> Plain:
        shapes = [shape for shape in pair.shapes if shape.ring == path]
        ends = [*(shape.begins for shape in shapes[1:]), len(pair.ring_changes)]
        rows: list[tuple[int, RingChange]] = []
        plain_shapes = []
        for shape, end in zip(shapes, ends, strict=True):
            plain_shapes.append(self._shape(shape, len(rows)))
            own = [each for each in pair.ring_changes[shape.begins : end] if each.ring == path]
            own.sort(key=lambda each: each.time_ns)
            rows += [(max(each.time_ns, shape.since_ns), each) for each in own]
        last = shapes[-1]
        to_driver = _carries_to_driver(pair, path)
        driver, device = self._core(last.driver), self._core(last.device)
        return {
            "path": path,
            "pair": number,
            "vdev": last.vdev,
            "from": device if to_driver else driver,
            "to": driver if to_driver else device,
            "shapes": plain_shapes,
            "t": differences(_rising(time_ns for time_ns, _ in rows)),
            "who": [self._core(each.core) for _, each in rows],
            "place": [self._place(each.core, each.pc) for _, each in rows],
            "off": [each.offset for _, each in rows],
            "hex": [each.after.hex() for _, each in rows],
        }

    def _shape(self, shape: RingShape, at: int) -> Plain:
        layout = shape.layout
        start = layout.extent.start
        return {
            "since": shape.since_ns,
            "at": at,
            "base": layout.desc,
            "num": layout.num,
            "desc": layout.desc - start,
            "avail": layout.avail - start,
            "used": layout.used - start,
            "view": self._core(shape.view),
            "driver": self._core(shape.driver),
            "data": shape.data.hex(),
        }

    def _buffers(self) -> Plain:
        """What both cores call the memory that descriptors name, by the address in them."""
        return {
            str(address): [buffer.span.pa, buffer.span.da]
            for each in self._record.pairs
            for address, buffer in sorted(each.run.traffic.buffers.items())
        }

    # beside the cores

    def _marks(self) -> Iterator[Plain]:
        for record in self._record.pairs:
            pair = self._trace.pair(record.pair)
            for finding in pair.findings:
                if finding.time_ns is not None and finding.is_cause:
                    yield {
                        "t": finding.time_ns,
                        "kind": "finding",
                        "severity": finding.severity.value,
                        "short": finding.rule,
                        "text": f"{finding.rule}: {finding.subject}: {finding.text}",
                    }
            for step in steps_of(record):
                if step.time_ns is not None:
                    yield {"t": step.time_ns, "kind": "step", "severity": "", "short": step.name, "text": step.name}

    def _lines(self) -> Plain:
        lines = self._trace.lines
        if len(lines) > MOST_LINES:
            lines = (*lines[: MOST_LINES // 2], *lines[-MOST_LINES // 2 :])
        cores = dict(self._cores) | {self._role(name): number for name, number in self._cores.items()}
        owners = {each.console: cores.get(each.console.partition(".")[0], -1) for each in lines}
        consoles = sorted(owners, key=lambda name: (owners[name] % (len(cores) + 1), name))
        repeated = dict(repeating(self._record))
        return {
            "consoles": consoles,
            "repeated": [int(name in repeated) for name in consoles],
            "console_cores": [owners[name] for name in consoles],
            "lines": {
                "t": differences(_rising(each.time_ns or 0 for each in lines)),
                "c": [consoles.index(each.console) for each in lines],
                "x": [each.text for each in lines],
                "known": [int(each.time_ns is not None) for each in lines],
            },
        }


def _in_order(record: Record, trace: Trace) -> list[TraceCore]:
    """Main, the remote, then the others that did anything."""
    roles = list(record.platform.roles.values())
    ran = {each.core for each in trace.states if each.state is not CoreState.HELD} | set(roles)
    return sorted(
        (each for each in trace.cores if each.name in ran),
        key=lambda each: roles.index(each.name) if each.name in roles else len(roles),
    )


def _rising(times: Iterable[int]) -> Iterator[int]:
    """No time before the one in front of it: two cores that act in one quantum are seen one after the other."""
    latest = 0
    for each in times:
        latest = max(latest, each)
        yield latest


def _carries_to_driver(pair: PairTrace, path: str) -> bool:
    """Whether buffers go back full: as messages show; where there are none, RPMsg's first ring of two is such."""
    for each in pair.messages:
        if each.ring == path:
            return not each.from_driver
    return path.endswith("vring[0]")
