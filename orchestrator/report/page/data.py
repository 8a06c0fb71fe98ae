"""What the page says, as plain values: the verdict in words, shared memory, and the columns of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from orchestrator import __version__
from orchestrator.base.roles import MAIN, REMOTE, ROLES
from orchestrator.checks.causes import Cause, causes_of
from orchestrator.checks.finding import Finding
from orchestrator.config import Settings
from orchestrator.observe.views import Span
from orchestrator.platform.model import Platform, Region
from orchestrator.report.findings import summary
from orchestrator.report.links import links_of
from orchestrator.report.page.columns import Plain
from orchestrator.report.page.trace_columns import MOST_LINES, TraceColumns, no_columns
from orchestrator.report.progress import steps_of
from orchestrator.report.record import Record
from orchestrator.report.shared_map import Row, shared_map
from orchestrator.report.sources import SourcePaths, frame_texts, place_texts
from orchestrator.report.text import tables_of
from orchestrator.trace import PairTrace, Trace

__all__ = ["data_of_error", "page_data"]


def page_data(record: Record, trace: Trace, error: object = None) -> Plain:
    """Everything that the page of a run says."""
    return {
        **_head(record.settings),
        "title": record.verdict.headline,
        "error": None if error is None else str(error),
        "end": str(record.end),
        "end_ns": trace.ended_ns,
        "active_ns": max(each.run.last_activity_ns for each in record.pairs),
        "pairs": [_pair(each, trace.pair(each.pair), named=bool(record.further)) for each in record.pairs],
        **TraceColumns(record, trace).columns(),
        "memory": [row for each in record.pairs for row in _memory(each)],
        "remarks": list(_remarks(record, trace)),
    }


def data_of_error(settings: Settings, error: object) -> Plain:
    """The same of a run that could not be: what was asked for, and why not."""
    files = {role: getattr(settings, role) or "" for role in ROLES}
    headline = "rptwin could not run"
    pair = {
        "label": "",
        "headline": headline,
        "summary": str(error),
        "exit_code": 2,
        "up": False,
        "files": files,
        "steps": [],
        "findings": [],
        "sections": [],
    }
    return {
        **_head(settings),
        "title": headline,
        "error": None,
        "end": "",
        "end_ns": 0,
        "active_ns": 0,
        "pairs": [pair],
        **no_columns(),
        "memory": [],
        "remarks": [],
    }


def _head(settings: Settings) -> Plain:
    return {"schema": 1, "rptwin": __version__, "run": f"{settings.platform} on {settings.engine}"}


# what is wrong


def _pair(record: Record, trace: PairTrace, *, named: bool) -> Plain:
    verdict = record.verdict
    paths = SourcePaths.of(record.images)
    moments = {(each.rule, each.subject, each.text): each.time_ns for each in trace.findings}

    def moment(finding: Finding) -> int | None:
        text = f"expected {finding.expected}, found {finding.actual}"
        return moments.get((finding.rule, finding.subject, text))

    return {
        "label": record.pair_name if named else "",
        "headline": verdict.headline,
        "summary": summary(verdict.findings),
        "exit_code": verdict.exit_code,
        "up": verdict.up,
        "files": {role: record.files[role] for role in ROLES},
        "steps": [[each.name, each.time_ns, each.missing] for each in steps_of(record)],
        "findings": [_cause(each, paths, moment) for each in causes_of(verdict.findings)],
        "sections": [list(each) for each in tables_of(record)],
    }


def _cause(cause: Cause, paths: SourcePaths, moment: Callable[[Finding], int | None]) -> Plain:
    finding = cause.finding
    return {
        "severity": finding.severity.value,
        "rule": finding.rule,
        "subject": finding.subject,
        "at": place_texts(finding, paths),
        "expected": finding.expected,
        "found": finding.actual,
        "detail": list(finding.detail),
        "frames": frame_texts(finding, paths),
        "advice": finding.advice,
        "source": finding.source,
        "links": list(links_of(finding.source + finding.advice)),
        "t": moment(finding),
        "hence": [
            {
                "rule": each.rule,
                "subject": each.subject,
                "expected": each.expected,
                "found": each.actual,
                "t": moment(each),
            }
            for each in cause.consequences
        ],
    }


def _remarks(record: Record, trace: Trace) -> Iterator[str]:
    """What the run or the page leaves out, and what the reader of it should know."""
    yield from trace.absent
    for name, left in trace.left_out.items():
        yield f"{left.number:,} {name} from {left.since_ns / 1e6:.3f} ms on were not kept"
    if len(trace.lines) > MOST_LINES:
        yield f"of {len(trace.lines):,} console lines the first and the last {MOST_LINES // 2:,} are here"
    for each in record.pairs:
        for title, tally in (("unmodelled register", each.run.unmodelled), ("note", each.run.notes)):
            yield from (f"{title}: {what}" for what in sorted(tally.counts))


# shared memory


def _memory(record: Record) -> Iterator[Plain]:
    """The map at the end of the run, in the memories of the chip that it lies in."""
    rows = shared_map(record.live, list(record.run.traffic.buffers.values()))
    for name, group in groupby(rows, lambda row: _region_of(record.platform, row)):
        own = list(group)
        region = next((each for each in record.platform.regions if each.name == name), None)
        if region is not None:
            yield _region(record.platform, region, own[0].span)
        yield from (_map_row(row.span, row.what, row.kind, row.depth + (region is not None)) for row in own)


def _map_row(span: Span, what: str, kind: str, depth: int) -> Plain:
    return {"main": span.pa, "remote": span.da, "size": span.size, "what": what, "kind": kind, "depth": depth}


def _region_of(platform: Platform, row: Row) -> str:
    """The name of the memory in which a range begins; "" where it is in none."""
    for region in platform.regions:
        for role in ROLES:
            seen = row.span.seen_by(role)
            if seen is not None and any(seen.start in each for each in region.extents(platform.core(role).name)):
                return region.name
    return ""


def _region(platform: Platform, region: Region, inside: Span) -> Plain:
    """A memory under the addresses that each core uses for what is ``inside``, and under its others in words."""
    used: dict[str, int | None] = {}
    others = []
    for role in ROLES:
        extents = region.extents(platform.core(role).name)
        seen = inside.seen_by(role)
        ours = next((each.start for each in extents if seen is not None and seen.start in each), None)
        used[role] = ours
        others += [f"{role} at {each.start:#010x}" for each in extents if each.start != ours]
    aliases = f", also {', '.join(others)}" if others else ""
    span = Span(region.name, region.size, used[MAIN], used[REMOTE])
    return _map_row(span, f"{region.name}{aliases}", "region", 0)
