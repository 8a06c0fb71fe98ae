"""What a device has asked for: whether it comes again and again, or waits for its moment."""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.unicorn.cpu.core import Core

__all__ = ["Armed"]

_AT_ONCE_NS = 1_000_000  # a device is set up by several stores, each of which asks anew


@dataclass(slots=True)
class Armed:
    """The alarms of one device."""

    core: str = ""  # that asked last; a device asks by itself when its alarm has come
    frequency_hz: int = 1
    last_ns: int = -1  # when it asked, the first of the stores of one moment
    before_ns: int = -1  # and when before that

    def ask(self, time_ns: int, core: Core | None, frequency_hz: int) -> None:
        """It wants an alarm."""
        if self.last_ns < 0 or time_ns - self.last_ns > _AT_ONCE_NS:
            self.before_ns, self.last_ns = self.last_ns, time_ns
        self.frequency_hz = frequency_hz
        self.core = core.name if core is not None else self.core

    def is_renewed(self, since_ns: int) -> bool:
        """Whether it was asked for at two moments since: a watchdog that is fed, or a tick."""
        return self.before_ns >= max(since_ns, 0)
