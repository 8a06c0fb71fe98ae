"""The traces that settings ask for: collected while a board runs, written when it has."""

# ruff: noqa: PLC0415  # few runs have one

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING

from orchestrator.board import Board
from orchestrator.config import TRACES, Settings
from orchestrator.report.files import Document
from orchestrator.report.sources import SourcePaths

if TYPE_CHECKING:
    from orchestrator.trace import Trace, TraceCollector

__all__ = ["Traces"]

_OF_TRACE = ("html", "perfetto", "vcd", "pcapng")  # files that are made of one


class Traces:
    """Made before the board runs; costs nothing where no trace is asked for.

    Raises :class:`~orchestrator.base.errors.UsageError` where what a format needs is not installed, CapabilityError
    where the engine does not tell it.
    """

    def __init__(self, settings: Settings, board: Board) -> None:
        paths = {key: path for key in TRACES if (path := getattr(settings, key)) is not None}
        self._collector = None if paths.keys().isdisjoint(_OF_TRACE) else _collector(board)
        writers = dict(_writers(paths, settings, board, self._traced)) if paths.keys() - {"html"} else {}
        self._wanted = [(path, key, writers[key]) for key, path in paths.items() if key in writers]

    @cached_property
    def trace(self) -> Trace | None:
        """What was seen until this was asked first; None where no file has any of it."""
        return None if self._collector is None else self._collector.trace()

    def _traced(self) -> Trace:
        assert self.trace is not None
        return self.trace

    def documents(self) -> tuple[Document, ...]:
        """Those that were asked for, of what was seen until now; the page is a report, and not among them."""
        return tuple(Document(path, f"trace ({key})", write) for path, key, write in self._wanted)


def _collector(board: Board) -> TraceCollector:
    from orchestrator.trace import TraceCollector

    return TraceCollector(board)


def _writers(
    wanted: dict[str, str], settings: Settings, board: Board, trace: Callable[[], Trace]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What makes the content of each file, by its setting; whatever it needs begins to collect."""
    from orchestrator.trace.pcapng import refuse_without_pcapng, to_pcapng
    from orchestrator.trace.perfetto import to_perfetto
    from orchestrator.trace.profile import Coverage, StackProfile
    from orchestrator.trace.vcd import to_vcd

    if "pcapng" in wanted:
        refuse_without_pcapng("--pcapng")
    if "folded" in wanted:
        yield "folded", StackProfile(board, settings.sample_every).folded
    if "lcov" in wanted:
        images = [image for pair in board.pairs.values() for image in pair.images.values()]
        yield "lcov", partial(Coverage(board).lcov, SourcePaths(tuple(image.path for image in images)).absolute_path_of)
    yield "perfetto", lambda: to_perfetto(trace())
    yield "vcd", lambda: to_vcd(trace())
    yield "pcapng", lambda: to_pcapng(trace())
