"""The error tree: every failure that is not a finding.

A finding says that the firmware is wrong; an error says that rptwin could not do what it was asked (exit code 2).
Each carries what happened, where, what was expected and what was found, as fields and as one line.
"""

from __future__ import annotations

from typing import Protocol

__all__ = [
    "AttachError",
    "CapabilityError",
    "ElfError",
    "EngineError",
    "FormatError",
    "HostError",
    "PlacementError",
    "PlatformError",
    "ReportError",
    "RingError",
    "RpmsgError",
    "RptwinError",
    "SvdError",
    "TableError",
    "TranslationError",
    "UsageError",
    "VhostUserError",
]


class RptwinError(Exception):
    """Root of the tree: ``where: what: expected E, found F; advice``, each part only when it is known."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: object = None,
        found: object = None,
        advice: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.advice = advice
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        sides = []
        if self.expected is not None:
            sides.append(f"expected {self.expected}")
        if self.found is not None:
            sides.append(f"found {self.found}")
        if sides:
            text += ": " + ", ".join(sides)
        return f"{text}; {self.advice}" if self.advice else text


class InMemory(Protocol):
    """Where in a memory: a :class:`orchestrator.base.memory.Place`."""

    @property
    def view(self) -> str: ...

    @property
    def address(self) -> int: ...

    @property
    def path(self) -> str: ...


class FormatError(RptwinError):
    """Bytes that do not mean what they should; ``rule`` is the stable id of the rule that they break.

    ``where`` is text, or a place in memory, which is kept as ``place``.
    """

    def __init__(
        self,
        what: str,
        *,
        rule: str,
        where: str | InMemory | None = None,
        expected: object = None,
        found: object = None,
        advice: str | None = None,
    ) -> None:
        self.rule = rule
        self.place = None if isinstance(where, str) else where
        super().__init__(
            what, where=None if where is None else str(where), expected=expected, found=found, advice=advice
        )


class ElfError(FormatError):
    """A file that is no usable ELF image for the core it is meant for."""


class TableError(FormatError):
    """A resource table that cannot be decoded or encoded."""


class RingError(FormatError):
    """A virtqueue that cannot be laid out or walked; ``where`` names ring and index."""


class RpmsgError(FormatError):
    """An RPMsg buffer that holds no message."""


class VhostUserError(FormatError):
    """A vhost-user peer that broke the protocol, died or does not answer."""


class TranslationError(RptwinError):
    """An address that the other view does not have."""


class PlatformError(RptwinError):
    """A platform description that cannot be used: file, line and column of the construct, 1-based."""

    def __init__(
        self,
        what: str,
        *,
        file: str,
        line: int | None = None,
        column: int | None = None,
        expected: object = None,
        found: object = None,
        advice: str | None = None,
    ) -> None:
        self.file = file
        self.line = line
        self.column = column
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(what, where=where, expected=expected, found=found, advice=advice)


class EngineError(RptwinError):
    """An engine that is missing, refused its input or died."""


class PlacementError(EngineError):
    """An image with a segment that does not lie in memory of its core."""


class CapabilityError(EngineError):
    """Something that was asked of an engine that does not have it."""


class SvdError(RptwinError):
    """A file that is to name registers and is no CMSIS-SVD."""


class AttachError(RptwinError):
    """A board that somebody else runs, or what was written down of it, cannot be read."""


class UsageError(RptwinError):
    """An option or argument that makes no sense."""


class ReportError(RptwinError):
    """A report that could not be written."""


class HostError(RptwinError):
    """A core that is played in Python could not do what it was asked: the other side did not answer, or has no room."""
