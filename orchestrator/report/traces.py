"""The traces that settings ask for: collected while a board runs, written when it has."""

# ruff: noqa: PLC0415  # few runs have one

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.board import Board
from orchestrator.config import TRACES, Settings
from orchestrator.report.files import Document

if TYPE_CHECKING:
    from orchestrator.trace import Trace, TraceCollector

__all__ = ["Traces"]


class Traces:
    """Made before the board runs; costs nothing where no trace is asked for.

    Raises :class:`~orchestrator.base.errors.UsageError` where what a format needs is not installed.
    """

    def __init__(self, settings: Settings, board: Board) -> None:
        self._paths = {key: path for key in TRACES if (path := getattr(settings, key)) is not None}
        self._collector: TraceCollector | None = None
        if not self._paths:
            return
        from orchestrator.trace import TraceCollector
        from orchestrator.trace.pcapng import refuse_without_pcapng

        if "pcapng" in self._paths:
            refuse_without_pcapng("--pcapng")
        self._collector = TraceCollector(board)

    @cached_property
    def trace(self) -> Trace | None:
        """What was seen until this was asked first; None where nobody wants to know."""
        return None if self._collector is None else self._collector.trace()

    def documents(self) -> tuple[Document, ...]:
        """Those that were asked for; the page is a report, and not among them."""
        trace = self.trace
        if trace is None:
            return ()
        paths = ((key, path) for key, path in self._paths.items() if key != "html")
        return tuple(Document(path, f"trace ({key})", _written(key, trace)) for key, path in paths)


def _written(key: str, trace: Trace) -> Callable[[], bytes]:
    from orchestrator.trace.pcapng import to_pcapng
    from orchestrator.trace.perfetto import to_perfetto
    from orchestrator.trace.vcd import to_vcd

    writers = {"perfetto": to_perfetto, "vcd": to_vcd, "pcapng": to_pcapng}
    return lambda: writers[key](trace)
