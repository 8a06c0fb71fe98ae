"""What a run waits for, for engines that look after each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from orchestrator.base.console_output import ConsoleOutput
from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.common.console_match import TextMatch
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.contract import Condition, ConsoleText, MemoryEquals
from orchestrator.platform.model import Platform

__all__ = ["Conditions", "Received"]


class Received(Protocol):
    """A console that keeps what the guest has sent."""

    received: ConsoleOutput


class Conditions:
    """The conditions of a board; ``bytes_at`` gives a reader of live memory, by core and extent in one region."""

    def __init__(
        self,
        platform: Platform,
        consoles: Mapping[str, Received],
        bytes_at: Callable[[str, Extent], Callable[[], bytes | memoryview]],
    ) -> None:
        self._platform = platform
        self._consoles = consoles
        self._bytes_at = bytes_at

    def met(self, until: Condition | None) -> Callable[[], bool] | None:
        """Whether it is met, of what happens from now on; UsageError when it names what the board has not."""
        if until is None:
            return None
        return self._memory(until) if isinstance(until, MemoryEquals) else self._text(until)

    def _memory(self, until: MemoryEquals) -> Callable[[], bool]:
        core_named(self._platform, until.core)
        found = self._platform.region_at(until.core, until.address)
        if found is None or found[1] + until.size > found[0].size:
            raise UsageError("no memory to wait for", where=f"{until.core} at {until.address:#010x}")
        read, mask, value = self._bytes_at(until.core, Extent(until.address, until.size)), until.mask, until.value
        return lambda: int.from_bytes(read(), "little") & mask == value

    def _text(self, until: ConsoleText) -> Callable[[], bool]:
        if until.uart not in self._consoles:
            raise UsageError("no such UART", expected=" | ".join(self._consoles), found=until.uart)
        received = self._consoles[until.uart].received
        match = TextMatch(until.text, regex=until.regex, since=len(received) if until.since is None else until.since)
        return lambda: match.is_in(received)
