"""Writing reports to files; whatever the file system says becomes a :class:`ReportError` that names the path."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import ReportError

__all__ = ["write_report"]


def write_report(path: str, kind: str, text: str) -> None:
    """Write a whole report; ``kind`` ("JSON") is for the message."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{kind} report not written: {error.strerror or error}", where=path) from error
