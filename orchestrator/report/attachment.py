"""What a test that failed gets attached: the run of its board as a page, and the report as text."""

from __future__ import annotations

import io
import re
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ReportError
from orchestrator.base.roles import ROLES
from orchestrator.board import Board
from orchestrator.config import Settings
from orchestrator.report.files import write_report
from orchestrator.report.page import to_html
from orchestrator.report.record import WallClock, record_of
from orchestrator.report.terminal import make_console, rendered
from orchestrator.report.text import print_report
from orchestrator.trace import TraceCollector

__all__ = ["Attachment", "attach", "followed"]

MOST_KEPT = 50_000  # of each kind of event: a test that passes pays for them in memory
_UNSAFE = re.compile(r"[^\w.+-]+", re.ASCII)
_LONGEST_NAME = 120  # characters


@dataclass(frozen=True, slots=True)
class Attachment:
    """The page as a file, and the report for people."""

    page: Path
    report: str


def followed(board: Board) -> TraceCollector:
    """Has a board that has not run yet followed, in case its test fails."""
    return TraceCollector(board, MOST_KEPT)


def attach(board: Board, collector: TraceCollector, folder: str | Path, test: str) -> Attachment | None:
    """Write the page of a board into a folder, under the name of its test; None: it never ran.

    :class:`ReportError` where the file system does not let us, :class:`RptwinError` where the engine cannot tell.
    """
    if board.end is None:
        return None
    record = record_of(board, _settings_of(board), WallClock("", 0.0), collector.trace())
    assert record.trace is not None
    folder = Path(folder)
    page = folder / f"{_file_name(test)}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(f"no folder for the page: {error.strerror or error}", where=str(folder)) from error
    write_report(str(page), "HTML report", to_html(record, record.trace))
    report = rendered(make_console(io.StringIO()), lambda console: print_report(console, record))
    return Attachment(page, report)


def _file_name(test: str) -> str:
    """Without what a file system or an address in a browser may take for something else; its end tells tests apart."""
    return _UNSAFE.sub("_", test).strip("._")[-_LONGEST_NAME:] or "test"


def _settings_of(board: Board) -> Settings:
    """As far as a report speaks of them."""
    files = {role: str(board.images[role].path) if role in board.images else None for role in ROLES}
    return Settings(
        platform=board.platform.name,
        main=files["main"],
        remote=files["remote"],
        engine=board.engine.name,
        quantum=board.quantum_ns,
        seed=board.seed,
    )
