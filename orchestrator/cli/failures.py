"""A run that could not be, told to machines as well: the reports that were asked for say why."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from orchestrator.base.errors import EngineError, RptwinError
from orchestrator.cli.errors import complain
from orchestrator.config import Settings
from orchestrator.report.documents import error_documents
from orchestrator.report.files import write_documents
from orchestrator.report.record import WallClock

__all__ = ["Clock", "reported_failure"]


class Clock:
    """When a command began, and how long ago that is."""

    def __init__(self) -> None:
        self._started, self._begin = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()

    def read(self) -> WallClock:
        """As a report has it."""
        return WallClock(self._started, round(time.monotonic() - self._begin, 3))


@contextlib.contextmanager
def reported_failure(settings: Settings, clock: Clock) -> Iterator[None]:
    """What keeps a run from being at all is written into the reports for machines too, and goes on."""
    try:
        yield
    except (RptwinError, KeyboardInterrupt) as error:
        what: object = error if isinstance(error, RptwinError) else EngineError("interrupted")
        for failure in write_documents(error_documents(settings, what, clock.read())):
            complain(failure)
        raise
