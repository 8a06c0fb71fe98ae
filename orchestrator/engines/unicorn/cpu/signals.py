"""What reaches a core from outside at a moment of its own time."""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass

__all__ = ["Alarm", "Delayed", "EventSent", "LineChanged", "Released", "Signal"]


@dataclass(frozen=True, slots=True)
class LineChanged:
    """An external interrupt input is driven high or low."""

    interrupt: int
    level: bool


@dataclass(frozen=True, slots=True)
class EventSent:
    """The event register is set (SEV of another core, or a device)."""


@dataclass(frozen=True, slots=True)
class Released:
    """A held core is let go."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A device, by name, wants to be woken in this core's time."""

    device: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """The core stands still for so many cycles."""

    cycles: int


Signal = LineChanged | EventSent | Released | Alarm | Delayed
