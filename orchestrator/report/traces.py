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
    from orchestrator.trace import Trace, TraceCollector

__all__ = ["Traces"]

_OF_TRACE = ("perfetto", "vcd", "pcapng")  # files that are made of one


class Traces:
    """Made before the board runs, with a path for each trace that is wanted, by the name of its option; costs nothing
    where there is none, and no page (``for_page``) that is made of :attr:`trace`.

    Raises :class:`~orchestrator.base.errors.UsageError` for a name that there is not, and where what a format needs is
    not installed, CapabilityError where the engine does not tell it.
    """

    def __init__(
        self,
        wanted: Mapping[str, str],
        board: Board,
        sample_every_ns: int = DEFAULT_SAMPLE_NS,
        *,
        for_page: bool = False,
    ) -> None:
        for key in wanted:
            if key not in TRACES:
                raise UsageError("no such trace", expected=" | ".join(TRACES), found=key)
        is_followed = for_page or not wanted.keys().isdisjoint(_OF_TRACE)
        self._collector = _collector(board) if is_followed else None
        writers = dict(_writers(wanted, board, sample_every_ns, self._traced)) if wanted else {}
        self._wanted = [(path, key, writers[key]) for key, path in wanted.items()]

    @classmethod
    def of(cls, settings: Settings, board: Board) -> Traces:
        """Those that settings ask for."""
        paths = {key: path for key in TRACES if (path := getattr(settings, key)) is not None}
        return cls(paths, board, settings.sample_every, for_page=settings.html is not None)

    @cached_property
    def trace(self) -> Trace | None:
        """What was seen until this was asked first; None where nothing is made of it."""
        return None if self._collector is None else self._collector.trace()

    def _traced(self) -> Trace:
        assert self.trace is not None
        return self.trace

    def documents(self) -> tuple[Document, ...]:
        """Those that were asked for, of what was seen until now."""
        return tuple(Document(path, f"trace ({key})", write) for path, key, write in self._wanted)


def _collector(board: Board) -> TraceCollector:
    from orchestrator.trace import TraceCollector

    return TraceCollector(board)


def _writers(
    wanted: Mapping[str, str], board: Board, sample_every_ns: int, traced: Callable[[], Trace]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What makes the content of each file, by its setting; whatever it needs begins to collect."""
    from orchestrator.trace.pcapng import refuse_without_pcapng, to_pcapng
    from orchestrator.trace.perfetto import to_perfetto
    from orchestrator.trace.profile import Coverage, StackProfile
    from orchestrator.trace.vcd import to_vcd

    if "pcapng" in wanted:
        refuse_without_pcapng(wanted["pcapng"])
    stacks = StackProfile(board, sample_every_ns) if "folded" in wanted else None
    if stacks is not None:
        yield "folded", stacks.folded
    if "lcov" in wanted:
        images = [image for pair in board.pairs.values() for image in pair.images.values()]
        yield "lcov", partial(Coverage(board).lcov, SourcePaths(tuple(image.path for image in images)).absolute_path_of)
    yield "perfetto", lambda: to_perfetto(replace(traced(), samples=() if stacks is None else stacks.samples()))
    yield "vcd", lambda: to_vcd(traced())
    yield "pcapng", lambda: to_pcapng(traced())
