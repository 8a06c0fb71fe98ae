"""What every tester of a UART does: it sends, and lets virtual time pass until something is seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeVar

from orchestrator.base.console_output import Fresh

__all__ = ["Cable", "TerminalError", "Tester"]

T = TypeVar("T")


class TerminalError(AssertionError):
    """Something else came out of the UART than was waited for; the message ends in what was seen."""

    ROBOT_SUPPRESS_NAME = True


class Cable(Protocol):
    """The other end of the UART: its console, and the board's time."""

    def since(self, position: int) -> Fresh:
        """What the guest has sent behind a position, in one piece."""
        ...

    @property
    def time_ns(self) -> int:
        """Virtual time since power-on."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes to the guest."""
        ...

    def advance(self, limit_ns: int) -> bool:
        """Let the board run until something comes out, at most this long; False when no core can run again."""
        ...


class Tester(ABC):
    """One UART; ``timeout_ns`` is virtual time, for waits that name none."""

    def __init__(self, name: str, cable: Cable, timeout_ns: int) -> None:
        self.name = name
        self.timeout_ns = timeout_ns
        self._cable = cable
        self._taken = 0  # bytes of the output that were looked at
        self._alive = True

    @abstractmethod
    def report(self) -> str:
        """Everything so far, used up or not."""

    @abstractmethod
    def clear(self) -> None:
        """Forget everything that has been received."""

    @abstractmethod
    def _take(self, fresh: bytes) -> None:
        """What the guest has sent since the last look."""

    def write(self, data: bytes) -> None:
        """Send these bytes and nothing after them."""
        self._cable.write(data)

    def expect_silence(self, duration_ns: int) -> None:
        """Fail if the guest sends anything within this time."""
        self._read()
        before = self._taken
        if self._wait(lambda: True if self._taken != before else None, duration_ns):
            raise TerminalError(f"{self.name}: not idle\n{self.report()}")

    def _now_ms(self) -> float:
        return self._cable.time_ns / 1e6

    def _read(self) -> None:
        """Take over what the guest has sent since the last look."""
        while (fresh := self._cable.since(self._taken)) != (0, b""):
            self._taken += fresh.left_out + len(fresh.data)
            self._take(fresh.data)

    def _expect(self, what: str, look: Callable[[], T | None], timeout_ns: int | None) -> T:
        found = self._wait(look, timeout_ns)
        if found is None:
            limit_s = (self.timeout_ns if timeout_ns is None else timeout_ns) / 1e9
            why = f"within {limit_s:g} s (virtual)" if self._alive else "and no core can run any more"
            raise TerminalError(f"{self.name}: {what} did not come {why}; seen:\n{self.report()}")
        return found

    def _wait(self, look: Callable[[], T | None], timeout_ns: int | None) -> T | None:
        end = self._cable.time_ns + (self.timeout_ns if timeout_ns is None else timeout_ns)
        while True:
            self._read()
            found = look()
            left = end - self._cable.time_ns
            if found is not None or left <= 0 or not self._alive:
                return found
            self._alive = self._cable.advance(left)
