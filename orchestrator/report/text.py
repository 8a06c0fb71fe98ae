"""The report for people: the verdict and its causes first, then how far the bring-up came, and what the cores said.

Tables (how the cores came up, what stands in shared memory, what went through it) are for who asks, or show a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from orchestrator.base.durations import format_duration
from orchestrator.base.roles import ROLES, Side
from orchestrator.base.words import times
from orchestrator.observe.live import LiveVdev
from orchestrator.observe.traffic import RingTraffic
from orchestrator.report.findings import print_findings, summary
from orchestrator.report.progress import steps_of
from orchestrator.report.record import Record
from orchestrator.report.resources import table_tree
from orchestrator.report.round_trips import Conversation, conversations
from orchestrator.report.shared_map import parts_in_both_views, print_shared_map, shared_map
from orchestrator.report.sources import SourcePaths
from orchestrator.report.terminal import address, heading, make_table, printable

__all__ = ["print_report", "print_verdict"]

_Section = Callable[[Console, Record], None]
_PLAYED = {"main": "the host of a lone remote", "remote": "the remote of a lone main"}
TAIL_LINES = 12  # of the consoles, when the whole was not asked for


def print_report(console: Console, record: Record, *, whole: bool = False) -> None:
    """The verdict, its causes, how far the bring-up came, the consoles; tables where a cause lies in them.

    ``whole``: every table and all that the consoles said, and the verdict once more, where a terminal leaves it.
    """
    print_verdict(console, record)
    for pair in record.pairs:
        _progress(console, pair, named=bool(record.further))
    for pair in record.pairs:
        sections = _SECTIONS if whole else _sections_of(pair)
        if record.further and sections:
            heading(console, f"Pair {pair.pair_name}")
        for section in sections:
            section(console, pair)
    _consoles(console, record, None if whole else TAIL_LINES)
    _remarks(console, record)
    if whole or record.end.reason.is_cut:
        _cost(console, record)
    _how_it_ended(console, record)
    if whole:
        _headlines(console, record)


def print_verdict(console: Console, record: Record, *, ended: bool = False) -> None:
    """A line that says whether RPTUN is up and of what, then the findings; of every pair. ``ended``: and how."""
    _headlines(console, record)
    _injected(console, record)
    for pair in record.pairs:
        if record.further and pair.verdict.findings:
            heading(console, f"Pair {pair.pair_name}")
        print_findings(console, pair.verdict.findings, SourcePaths.of(pair.images))
    if ended:
        _how_it_ended(console, record)


def _headlines(console: Console, record: Record) -> None:
    """One line for each pair, whole: a terminal breaks it where it likes, and finds the paths in it."""
    for pair in record.pairs:
        verdict = pair.verdict
        style = "bold green" if verdict.exit_code == 0 else "bold yellow" if verdict.up else "bold red"
        name = f"Pair {pair.pair_name}: " if record.further else ""
        files = ", ".join(f"{role} {printable(pair.files[role]) or 'played in Python'}" for role in ROLES)
        counts = f": {summary(verdict.findings)}"
        console.print(
            Text.assemble(name, (verdict.headline, style), counts, f" ({pair.platform.name}, {files})"), soft_wrap=True
        )


def _progress(console: Console, record: Record, *, named: bool) -> None:
    """The steps of the bring-up in one line; the first that is missing is what the others wait for."""
    console.print()
    text = Text("Milestones (ms)" + (f" of pair {record.pair_name}: " if named else ": "))
    for i, step in enumerate(steps_of(record)):
        text.append(", " if i else "")
        text.append(str(step), "" if step.time_ns is not None else "bold yellow")
    console.print(text, soft_wrap=True)


def _injected(console: Console, record: Record) -> None:
    """The faults that were injected, and those that never came to it."""
    came = {each.fault for each in record.run.injected}
    never = [each for each in record.faults if each not in came and not each.startswith("slow:")]
    lines = [str(each) for each in record.run.injected]
    lines += [f"from power-on: {each}" for each in record.faults if each.startswith("slow:")]
    lines += [f"never came to it: {each}" for each in never]
    for each in lines:
        console.print(Text.assemble(("Injected fault", "bold magenta"), f", {each}"), soft_wrap=True)


def _how_it_ended(console: Console, record: Record) -> None:
    console.print()
    console.print(Text(f"Run ended: {record.end}."))
    if record.end.not_waited_for:
        coming = ", ".join(map(str, record.end.not_waited_for))
        console.print(Text(f"Not waited for: {coming} (--quiet-for waits longer)."))


def _time(time_ns: int) -> str:
    return f"{time_ns / 1e6:.3f} ms"


def _cores(console: Console, record: Record) -> None:
    heading(console, f"Board {record.platform.name} on {record.settings.engine}")
    for role in ROLES:
        core = record.run.cores[role]
        if role not in record.vector_tables:
            console.print(f"  {role:6}  {core.name}, played in Python: {_PLAYED[role]} ({record.profile})")
            continue
        boot = record.vector_tables[role]
        state = core.state.value if core.state else "unknown"
        console.print(f"  {role:6}  {core.name}, {state}, boots from {address(boot.address)}: {boot.how}")
        console.print(f"          {printable(record.files[role])}", soft_wrap=True)


def _milestones(console: Console, record: Record) -> None:
    if not record.run.milestones:
        return
    heading(console, "Bring-up (virtual time)")
    table = make_table("time", "core", "milestone", right=("time",))
    for each in record.run.milestones:
        name = f"{each.name}: {each.detail}" if each.detail else each.name
        table.add_row(_time(each.time_ns), each.core, printable(name))
    console.print(table)


def _table(console: Console, record: Record) -> None:
    live = record.live
    heading(console, "Resource table")
    location = live.declared.location
    span = live.span
    if live.table is None or span is None:
        where = f" at {span}" if span else ""
        where += f"; vrings {', '.join(map(str, live.declared.vrings))}" if live.is_given else ""
        console.print(Padding(Text(f"none in memory{where}"), (0, 0, 0, 2)))
        return
    console.print(Padding(Text(f"profile {record.profile}: {record.profile_reason}"), (0, 0, 0, 2)))
    title = f"main {address(span.pa)} = remote {address(span.da)}, {live.table.size} bytes"
    title += f", from {location.how}" if location else ""
    console.print(Padding(table_tree(live.table, live.vdevs, title), (0, 0, 0, 2)))


def _vrings(console: Console, record: Record) -> None:
    if not record.live.rings:
        return
    heading(console, "Vrings as each core addresses them")
    table = make_table("vring", "part", "main", "remote", "bytes", right=("bytes",))
    for ring in record.live.rings:
        parts = list(parts_in_both_views(ring))
        if not parts:
            table.add_row(ring.path, "no address", "", "", "")
        for i, part in enumerate(parts):
            table.add_row(ring.path if i == 0 else "", part.name, address(part.pa), address(part.da), str(part.size))
    console.print(table)
    formulas = dict.fromkeys(ring.layout.formula for ring in record.live.rings if ring.layout)
    if formulas:
        console.print(Padding(Text(f"layout: {', '.join(formulas)}", style="dim"), (0, 0, 0, 2)))


def _map(console: Console, record: Record) -> None:
    rows = shared_map(record.live, list(record.run.traffic.buffers.values()))
    if not rows:
        return
    heading(console, "Shared memory")
    print_shared_map(console, rows)


def _direction(vdev: LiveVdev, traffic: RingTraffic) -> str:
    sender = Side.DEVICE if traffic.is_pool else Side.DRIVER
    return f"{vdev.role_of(sender)} to {vdev.role_of(sender.other)}"


def _rings(console: Console, record: Record) -> None:
    rings = [(vdev, record.run.traffic.rings.get(ring.path)) for vdev in record.live.vdevs for ring in vdev.rings]
    seen = [(vdev, traffic) for vdev, traffic in rings if traffic is not None]
    if not seen:
        return
    heading(console, "Buffers through the virtqueues")
    table = make_table("vring", "direction", "available", "used", "with device", right=("available", "used"))
    for vdev, traffic in seen:
        if traffic.posted == 0:
            table.add_row(traffic.path, "no traffic seen", "0", "0", "0")
            continue
        remark = "" if traffic.used else "  no traffic seen"
        outstanding = f"{len(traffic.outstanding)}{remark}"
        table.add_row(traffic.path, _direction(vdev, traffic), str(traffic.posted), str(traffic.used), outstanding)
    console.print(table)


def _messages(console: Console, record: Record) -> None:
    logs = {path: log for path, log in record.run.traffic.messages.items() if sum(log.sent.values())}
    if not logs:
        return
    heading(console, "RPMsg")
    for path, log in logs.items():
        counts = [f"{role} sent {log.sent_by(role)} ({log.payload_of(role)} bytes)" for role in ROLES]
        console.print(Padding(Text(f"{path}: {', '.join(counts)}"), (0, 0, 0, 2)))
        for each in log.announced:
            text = f"{_time(each.time_ns)}  name service from {each.sender}: {printable(each.text)}"
            console.print(Padding(Text(text), (0, 0, 0, 4)))
        kept = list({id(each): each for each in (*log.first, *log.last)}.values())
        talks = conversations(kept)
        if not talks:
            continue
        _print_conversations(console, talks)
        turn = format_duration(record.settings.quantum)
        remarks = [f"round trip: least / mean / most, to a resolution of {turn} (--quantum)"]
        if len(kept) < sum(log.sent.values()):
            remarks.append(f"counted among the {len(kept)} first and last messages")
        console.print(Padding(Text("; ".join(remarks), style="dim"), (0, 0, 0, 4)))


def _print_conversations(console: Console, talks: Sequence[Conversation]) -> None:
    table = make_table("from", "to", "sent", "answered", "bytes", "round trip", right=("sent",))
    for talk in talks:
        times = talk.times_ns
        trip = _spread_us(times) if times else "none"
        table.add_row(
            f"{talk.asker} {talk.asker_address}",
            f"{talk.answerer} {talk.answerer_address}",
            str(talk.sent),
            str(talk.answered),
            f"{min(talk.lengths)}..{max(talk.lengths)}",
            trip,
        )
    console.print(Padding(table, (0, 0, 0, 2)))


def _spread_us(times_ns: Sequence[int]) -> str:
    spread = (min(times_ns), sum(times_ns) / len(times_ns), max(times_ns))
    return " / ".join(f"{time / 1000:.0f}" for time in spread) + " us"


def _notifications(console: Console, record: Record) -> None:
    ledger = record.run.ledger
    channels = sorted({*ledger.sent, *ledger.taken, *ledger.ignored}, key=str)
    if not channels:
        return
    heading(console, "Notifications")
    right = ("sent", "taken", "while disabled")
    table = make_table("to", "channel", "sent", "taken", "while disabled", "vrings", right=right)
    for each in channels:
        served = [ring for (ring, to) in ledger.votes if to == each.target and ledger.serves(ring, to) == each.number]
        counts = (ledger.sent[each], ledger.taken[each], ledger.ignored[each])
        queues = ", ".join(sorted(served)) or "not known"
        table.add_row(each.target, str(each), *(str(count) for count in counts), queues)
    console.print(table)


def _consoles(console: Console, record: Record, tail: int | None) -> None:
    """What all of them said, by time. A trace buffer that repeats what a console said is named only."""
    repeated = dict(_repeating(record))
    lines = [each for each in record.lines if each.console not in repeated and each.text]
    if not lines:
        return
    shown = lines if tail is None else lines[-tail:]
    more = f", last {len(shown)} of {len(lines)} lines (-v: all)" if len(shown) < len(lines) else ""
    heading(console, f"Consoles{more}")
    width = max(len(each.console) for each in shown)
    for each in shown:
        time = "" if each.time_ns is None else _time(each.time_ns)
        head = (f"  {time:>12}  {each.console:{width}} | ", "dim")
        console.print(Text.assemble(head, printable(each.text)), soft_wrap=True)
    for name, other in repeated.items():
        console.print(Text(f"  {'':12}  {name} says the same as {other}", style="dim"))


def _repeating(record: Record) -> Iterator[tuple[str, str]]:
    """Each trace buffer whose text is that of a console of the same core, and which."""
    texts = {name: text.replace("\r", "").strip() for name, text in record.consoles.items()}
    for name, text in texts.items():
        other = name.partition(".trace")[0]
        if other != name and text and texts.get(other, "").startswith(text):
            yield name, other


def _remarks(console: Console, record: Record) -> None:
    for title, tally in (("Unmodelled registers", record.run.unmodelled), ("Notes", record.run.notes)):
        if tally.total:
            heading(console, title)
            for what, count in sorted(tally.counts.items()):
                often = f"  ({times(count)})" if count > 1 else ""
                console.print(Padding(Text(f"{printable(what)}{often}"), (0, 0, 0, 2)))


def _cost(console: Console, record: Record) -> None:
    """What the run took."""
    instructions = ", ".join(f"{core} {count:,}" for core, count in record.instructions.items())
    limit = format_duration(record.settings.wall_time)
    speed = f"{record.wall_clock.seconds:.2f} s of wall time (at most {limit}) for "
    speed += f"{format_duration(record.end.time_ns)} of virtual time"
    console.print()
    console.print(Text(f"{speed}; instructions: {instructions}", style="dim"))


# By the part of a rule's name before the point: the tables that show what its findings are about.
_EVIDENCE: dict[str, tuple[_Section, ...]] = {
    "carveout": (_table, _map),
    "endpoint": (_messages,),
    "buffer": (_map, _rings),
    "notification": (_notifications,),
    "ring": (_vrings, _rings),
    "table": (_table,),
    "trace": (_table,),
    "traffic": (_rings, _notifications),
    "vdev": (_table,),
    "vring": (_table, _vrings),
}
_SECTIONS: tuple[_Section, ...] = (
    _cores,
    _milestones,
    _table,
    _vrings,
    _map,
    _rings,
    _messages,
    _notifications,
)


def _sections_of(record: Record) -> tuple[_Section, ...]:
    """Those in which a cause lies, in the order of the whole report."""
    stages = {each.finding.rule.partition(".")[0] for each in record.verdict.causes}
    wanted = {section for stage in stages for section in _EVIDENCE.get(stage, ())}
    return tuple(section for section in _SECTIONS if section in wanted)
