"""Shared memory, address by address, as both cores call it: table, vrings and their parts, buffers, what is unused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from rich.console import Console

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.base.roles import MAIN, Side
from orchestrator.observe.live import LiveCarveout, LiveRing, LiveView
from orchestrator.observe.traffic import Buffer
from orchestrator.observe.views import Span
from orchestrator.report.terminal import address, make_table, printable

__all__ = ["Row", "parts_in_both_views", "print_shared_map", "shared_map"]


@dataclass(frozen=True, slots=True)
class Row:
    """A range with its name; ``depth`` 1: inside of the nearest row of depth 0 above."""

    span: Span
    what: str
    kind: str  # "carveout", "vring", "buffer", "trace", "table" or "free"
    depth: int = 0


def parts_in_both_views(ring: LiveRing) -> Iterator[Span]:
    """Descriptor table, available ring, used ring of a ring that has an address."""
    if ring.span is None or ring.layout is None:
        return
    base = ring.span.pa if ring.role == MAIN else ring.span.da
    if base is None:
        return
    for part in ring.layout.parts:
        yield ring.span.part(part.name, part.extent.start - base, part.extent.size)


def shared_map(live: LiveView, buffers: Sequence[Buffer], rest: str = "never used") -> tuple[Row, ...]:
    """Everything that the table leads to, by address; carveouts with what is inside them and the ``rest``."""
    things = [Row(ring.span, f"{ring.path}, {ring.entry.num} entries", "vring") for ring in live.rings if ring.span]
    things += list(_buffer_rows(buffers))
    rows: list[Row] = []
    for carveout in live.carveouts:
        if carveout.span is not None:
            inside = [each for each in things if carveout.span.contains(each.span)]
            things = [each for each in things if each not in inside]
            rows += list(_carveout_rows(carveout, carveout.span, inside, rest))
    traces = (Row(t.span, f'{t.entry.at.path} "{printable(t.entry.value.text)}"', "trace") for t in live.traces)
    loose = [*things, *traces]
    if live.span is not None:
        loose.append(Row(live.span, "resource table", "table"))
    return tuple(_by_address([*((each,) for each in loose), *_blocks(rows)]))


def _start(row: Row) -> int:
    return next((a for a in (row.span.pa, row.span.da) if a is not None), 0)


def _by_address(blocks: Iterable[Sequence[Row]]) -> Iterator[Row]:
    for block in sorted(blocks, key=lambda block: _start(block[0])):
        yield from block


def _blocks(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    starts = [i for i, row in enumerate(rows) if row.depth == 0]
    for start, end in pairwise([*starts, len(rows)]):
        yield tuple(rows[start:end])


def _buffer_rows(buffers: Sequence[Buffer]) -> Iterator[Row]:
    """Buffers that lie end to end, have one size and serve one ring are one row."""
    run: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda each: each.address):
        follows = run and (
            buffer.address == run[-1].address + run[-1].span.size
            and buffer.span.size == run[0].span.size
            and buffer.ring == run[0].ring
        )
        if run and not follows:
            yield _buffer_row(run)
            run = []
        run.append(buffer)
    if run:
        yield _buffer_row(run)


def _buffer_row(run: Sequence[Buffer]) -> Row:
    first = run[0]
    size = sum(each.span.size for each in run)
    many = f"{len(run)} buffers of {first.span.size} bytes" if len(run) > 1 else f"buffer of {first.span.size} bytes"
    held = sum(each.owner is Side.DEVICE for each in run)
    span = Span("buffers", size, first.span.pa, first.span.da)
    return Row(span, f"{many}, {first.ring}, {held} with the device", "buffer")


def _carveout_rows(carveout: LiveCarveout, span: Span, inside: Sequence[Row], rest: str) -> Iterator[Row]:
    yield Row(span, f'{carveout.entry.at.path} "{printable(carveout.entry.value.text)}"', "carveout")
    rows = [(_offset(row.span, span), replace(row, depth=1)) for row in inside]
    taken = [Extent(offset, row.span.size) for offset, row in rows]
    free = [
        (gap.start, Row(span.part(rest, gap.start, gap.size), rest, "free", 1))
        for gap in Extent(0, span.size).gaps(taken)
    ]
    yield from (row for _, row in sorted([*rows, *free], key=lambda each: each[0]))


def _offset(inner: Span, outer: Span) -> int:
    if inner.pa is not None and outer.pa is not None:
        return inner.pa - outer.pa
    return (inner.da or 0) - (outer.da or 0)


def print_shared_map(console: Console, rows: Sequence[Row]) -> None:
    """The rows as a table, with both names of each range."""
    table = make_table("main", "remote", "bytes", "what", right=("bytes",))
    for row in rows:
        span = row.span
        table.add_row(address(span.pa), address(span.da), str(span.size), "  " * row.depth + row.what)
    console.print(table)
