"""The reports for machines that settings ask for: of a run, and of one that could not be."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.config import TRACES, Settings
from orchestrator.report.files import STANDARD_OUTPUT, Document
from orchestrator.report.json import error_as_json, to_json
from orchestrator.report.record import Record, WallClock

__all__ = ["documents_of", "error_documents", "takes_standard_output"]

_OUTPUTS = ("json", "junit", "sarif", "html", *TRACES)  # settings that name a file


def documents_of(record: Record, error: object = None) -> tuple[Document, ...]:
    """Those of a run; ``error`` is what ended it before it was over."""
    return _documents(
        record.settings,
        lambda: to_json(record, error),
        lambda: _junit(record, error),
        lambda: _sarif(record, error),
        lambda: _html(record, error),
    )


def error_documents(settings: Settings, error: object, wall_clock: WallClock) -> tuple[Document, ...]:
    """Those of a run that could not be."""

    def junit() -> str:
        from orchestrator.report.junit import error_as_junit  # noqa: PLC0415  # seldom asked for, and so below

        return error_as_junit(settings, error, wall_clock)

    def sarif() -> str:
        from orchestrator.report.sarif import error_as_sarif  # noqa: PLC0415

        return error_as_sarif(error)

    def html() -> str:
        from orchestrator.report.page import error_as_html  # noqa: PLC0415

        return error_as_html(settings, error)

    return _documents(settings, lambda: error_as_json(settings, error, wall_clock), junit, sarif, html)


def takes_standard_output(settings: Settings) -> bool:
    """A report for machines is the standard output: the one for people goes to stderr."""
    return STANDARD_OUTPUT in (getattr(settings, key) for key in _OUTPUTS)


def _documents(
    settings: Settings,
    json: Callable[[], str],
    junit: Callable[[], str],
    sarif: Callable[[], str],
    html: Callable[[], str],
) -> tuple[Document, ...]:
    return (
        Document(settings.json, "JSON report", json),
        Document(settings.junit, "JUnit report", junit),
        Document(settings.sarif, "SARIF report", sarif),
        Document(settings.html, "HTML report", html),
    )


def _junit(record: Record, error: object) -> str:
    from orchestrator.report.junit import to_junit  # noqa: PLC0415

    return to_junit(record, error)


def _sarif(record: Record, error: object) -> str:
    from orchestrator.report.sarif import to_sarif  # noqa: PLC0415

    return to_sarif(record, error)


def _html(record: Record, error: object) -> str:
    from orchestrator.report.page import to_html  # noqa: PLC0415

    if record.trace is None:
        raise ValueError("the run was not traced")
    return to_html(record, record.trace, error)
