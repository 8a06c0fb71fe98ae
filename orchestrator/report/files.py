"""Writing reports to files; whatever the file system says becomes a :class:`ReportError` that names the path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ReportError
from orchestrator.base.files import write_whole

__all__ = ["STANDARD_OUTPUT", "Document", "write_documents", "write_report"]


STANDARD_OUTPUT = "-"  # as a path


@dataclass(frozen=True, slots=True)
class Document:
    """A report that may have been asked for."""

    path: str | None  # None: it was not
    kind: str  # for messages: "JSON report"
    text: Callable[[], str | bytes]


def write_report(path: str, kind: str, text: str | bytes) -> None:
    """Write a report as a whole or not at all; :class:`ReportError` when the file system does not let us.

    ``-`` is the standard output.
    """
    try:
        if path == STANDARD_OUTPUT:
            _print(text)
        else:
            write_whole(path, text)
    except OSError as error:
        raise ReportError(f"{kind} not written: {error.strerror or error}", where=path) from error


def _print(text: str | bytes) -> None:
    if isinstance(text, bytes):
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
    else:
        sys.stdout.write(text)
    sys.stdout.flush()


def write_documents(documents: Iterable[Document]) -> list[ReportError]:
    """Write those that have a path; the errors of those that could not be written, which hinder no other."""
    failures = []
    for document in documents:
        if document.path is not None:
            try:
                write_report(document.path, document.kind, document.text())
            except ReportError as error:
                failures.append(error)
    return failures
