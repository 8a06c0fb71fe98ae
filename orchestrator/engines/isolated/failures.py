"""What an engine raised in its process, raised here."""

from __future__ import annotations

from typing import Any

from orchestrator.base import errors
from orchestrator.base.errors import EngineError, FormatError, PlatformError, RptwinError
from orchestrator.engines.isolated.messages import Failed

__all__ = ["raised_inside"]


def raised_inside(said: Failed, where: str) -> RptwinError:
    """The error as the child's engine raised it."""
    error = _typed(said, where)
    for line in said.details:
        error.add_note(line)
    return error


def _typed(said: Failed, where: str) -> RptwinError:
    cls = getattr(errors, said.kind, None)
    sides: dict[str, Any] = {"expected": said.expected, "found": said.found, "advice": said.advice}
    if not (isinstance(cls, type) and issubclass(cls, RptwinError)):
        return EngineError(f"failed inside: {said.kind}: {said.what}", where=where)
    if issubclass(cls, PlatformError):
        line, column = said.place or (None, None)
        return cls(said.what, file=said.where or "", line=line, column=column, **sides)
    if issubclass(cls, FormatError):
        return cls(said.what, rule=said.rule or "", where=said.where, **sides)
    return cls(said.what, where=said.where, **sides)
