"""A fault between the access or instruction that causes it and the exception that it becomes."""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass

__all__ = ["FaultCause"]


@dataclass(frozen=True, slots=True)
class FaultCause:
    """Exception number, names of the status bits, one line for people, and the address of the access if it is known."""

    exception: int
    status: tuple[str, ...]
    what: str
    address: int | None = None
