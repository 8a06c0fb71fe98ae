"""Traces that somebody asks for: collected while a board runs, written when it has."""

# ruff: noqa: PLC0415  # few runs have one

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from orchestrator.base.errors import UsageError
from orchestrator.board import Board
from orchestrator.config import DEFAULT_SAMPLE_NS, TRACES, Settings
from orchestrator.report.files import Document
from orchestrator.report.sources import SourcePaths

if TYPE_CHECKING:
    from orchestrator.trace import StackSample, Trace, TraceCollector

__all__ = ["Traces"]

_OF_TRACE = ("html", "perfetto", "vcd", "pcapng")  # files that are made of one
_Samples = Callable[[], "tuple[StackSample, ...]"]


class Traces:
    """Made before the board runs, with a path for each trace that is wanted, by the name of its option; costs nothing
    where there is none.

    Raises :class:`~orchestrator.base.errors.UsageError` for a name that there is not, and where what a format needs is
    not installed, CapabilityError where the engine does not tell it.
    """

    def __init__(
        self,
        wanted: Mapping[str, str],
        board: Board,
        sample_every_ns: int = DEFAULT_SAMPLE_NS,
        *,
        writes_page: bool = True,
    ) -> None:
        for key in wanted:
            if key not in TRACES:
                raise UsageError("no such trace", expected=" | ".join(TRACES), found=key)
        self._samples: _Samples = tuple
        self._collector = None if wanted.keys().isdisjoint(_OF_TRACE) else _collector(board)
        files = {key: path for key, path in wanted.items() if writes_page or key != "html"}
        writers = dict(self._writers(files, board, sample_every_ns)) if files else {}
        self._wanted = [(path, key, writers[key]) for key, path in files.items()]

    @classmethod
    def of(cls, settings: Settings, board: Board) -> Traces:
        """Those that settings ask for; the page is one of their reports."""
        paths = {key: path for key in TRACES if (path := getattr(settings, key)) is not None}
        return cls(paths, board, settings.sample_every, writes_page=False)

    @cached_property
    def trace(self) -> Trace | None:
        """What was seen until this was asked first; None where no file has any of it."""
        return None if self._collector is None else replace(self._collector.trace(), samples=self._samples())

    def _traced(self) -> Trace:
        assert self.trace is not None
        return self.trace

    def documents(self) -> tuple[Document, ...]:
        """Those that were asked for, of what was seen until now."""
        return tuple(Document(path, f"trace ({key})", write) for path, key, write in self._wanted)

    def _writers(
        self, wanted: Mapping[str, str], board: Board, sample_every_ns: int
    ) -> Iterator[tuple[str, Callable[[], bytes | str]]]:
        """What makes the content of each file, by its setting; whatever it needs begins to collect."""
        from orchestrator.trace.pcapng import refuse_without_pcapng, to_pcapng
        from orchestrator.trace.perfetto import to_perfetto
        from orchestrator.trace.profile import Coverage, StackProfile
        from orchestrator.trace.vcd import to_vcd

        if "pcapng" in wanted:
            refuse_without_pcapng(wanted["pcapng"])
        if "html" in wanted:
            from orchestrator.report.attachment import page_of

            yield "html", lambda: page_of(board, self._traced())
        if "folded" in wanted:
            stacks = StackProfile(board, sample_every_ns)
            self._samples = stacks.samples
            yield "folded", stacks.folded
        if "lcov" in wanted:
            paths = SourcePaths(tuple(image.path for pair in board.pairs.values() for image in pair.images.values()))
            yield "lcov", partial(Coverage(board).lcov, paths.absolute_path_of)
        yield "perfetto", lambda: to_perfetto(self._traced())
        yield "vcd", lambda: to_vcd(self._traced())
        yield "pcapng", lambda: to_pcapng(self._traced())


def _collector(board: Board) -> TraceCollector:
    from orchestrator.trace import TraceCollector

    return TraceCollector(board)
