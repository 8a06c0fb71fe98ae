"""Traces that somebody asks for: collected while a board runs, written when it has."""

# ruff: noqa: PLC0415  # few runs have one

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial

from orchestrator.base.errors import UsageError
from orchestrator.board import Board
from orchestrator.config import DEFAULT_SAMPLE_NS, TRACES, Settings
from orchestrator.report.files import Document
from orchestrator.report.sources import SourcePaths

__all__ = ["Traces"]


class Traces:
    """Made before the board runs, with a path for each trace that is wanted, by the name of its option; costs nothing
    where there is none.

    Raises :class:`~orchestrator.base.errors.UsageError` for a name that there is not, and where what a format needs is
    not installed, CapabilityError where the engine does not tell it.
    """

    def __init__(self, wanted: Mapping[str, str], board: Board, sample_every_ns: int = DEFAULT_SAMPLE_NS) -> None:
        for key in wanted:
            if key not in TRACES:
                raise UsageError("no such trace", expected=" | ".join(TRACES), found=key)
        writers = dict(_writers(wanted, board, sample_every_ns)) if wanted else {}
        self._wanted = [(path, key, writers[key]) for key, path in wanted.items()]

    @classmethod
    def of(cls, settings: Settings, board: Board) -> Traces:
        """Those that settings ask for."""
        paths = {key: path for key in TRACES if (path := getattr(settings, key)) is not None}
        return cls(paths, board, settings.sample_every)

    def documents(self) -> tuple[Document, ...]:
        """Those that were asked for, of what was seen until now."""
        return tuple(Document(path, f"trace ({key})", write) for path, key, write in self._wanted)


def _writers(
    wanted: Mapping[str, str], board: Board, sample_every_ns: int
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What makes the content of each file, by its setting; whatever it needs begins to collect."""
    from orchestrator.trace import Trace, TraceCollector
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
    if not wanted.keys().isdisjoint(("perfetto", "vcd", "pcapng")):
        collector = TraceCollector(board)

        @cache
        def trace() -> Trace:
            return replace(collector.trace(), samples=() if stacks is None else stacks.samples())

        yield "perfetto", lambda: to_perfetto(trace())
        yield "vcd", lambda: to_vcd(trace())
        yield "pcapng", lambda: to_pcapng(trace())
