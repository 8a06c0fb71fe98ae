"""The run of a board in the log of a test that failed: a link to it as a page, and the report."""

from __future__ import annotations

import html
import os
from pathlib import Path
from urllib.parse import quote

from robot.api import logger
from robot.libraries.BuiltIn import BuiltIn

from orchestrator.base.errors import RptwinError
from orchestrator.board import Board
from orchestrator.report.attachment import attach
from orchestrator.trace import TraceCollector

__all__ = ["attach_to_log"]

_FOLDER = "rptwin"  # in the output directory


def attach_to_log(board: Board, collector: TraceCollector, test: str) -> None:
    """Write the page beside the log, and both into the log; what hinders that is a warning there."""
    output = Path(str(BuiltIn().get_variable_value("${OUTPUT DIR}", ".")))
    try:
        attached = attach(board, collector, output / _FOLDER, test)
    except RptwinError as error:
        logger.warn(f"rptwin: {error}")
        return
    if attached is not None:
        address = quote(Path(os.path.relpath(attached.page, output)).as_posix())
        link = f'<a href="{address}">rptwin: the run as a page</a>'
        logger.info(f"{link}\n<pre>{html.escape(attached.report)}</pre>", html=True)
