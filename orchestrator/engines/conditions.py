"""What a run waits for, for engines that look after each step."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from orchestrator.engines.contract import Condition, ConsoleText, MemoryEquals
from orchestrator.errors import UsageError
from orchestrator.memory import Extent
from orchestrator.platform.model import Platform

__all__ = ["Conditions"]


class _Receiving(Protocol):
    received: bytearray  # since power-on


class Conditions:
    """The conditions of one board. ``read`` reads live memory by core and extent."""

    def __init__(
        self, platform: Platform, consoles: Mapping[str, _Receiving], read: Callable[[str, Extent], bytes]
    ) -> None:
        self._platform = platform
        self._consoles = consoles
        self._read = read

    def met(self, until: Condition | None) -> Callable[[], bool] | None:
        """Whether it is met, of what happens from now on; UsageError when it names what the board has not."""
        if until is None:
            return None
        return self._memory(until) if isinstance(until, MemoryEquals) else self._text(until)

    def _memory(self, until: MemoryEquals) -> Callable[[], bool]:
        cores = [core.name for core in self._platform.cores]
        if until.core not in cores:
            raise UsageError("no such core", expected=" | ".join(cores), found=until.core)
        if self._platform.region_at(until.core, until.address) is None:
            raise UsageError("no memory to wait for", where=f"{until.core} at {until.address:#010x}")
        extent = Extent(until.address, until.size)
        return lambda: int.from_bytes(self._read(until.core, extent), "little") & until.mask == until.value

    def _text(self, until: ConsoleText) -> Callable[[], bool]:
        if until.uart not in self._consoles:
            raise UsageError("no such UART", expected=" | ".join(self._consoles), found=until.uart)
        received = self._consoles[until.uart].received
        begin = len(received)
        pattern = re.compile(until.text.encode() if until.regex else re.escape(until.text.encode()), re.MULTILINE)
        return lambda: pattern.search(bytes(received[begin:])) is not None
