"""Every text that a board's cores print: UARTs, semihosting, RTT and trace buffers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from orchestrator.base.console_output import Fresh, LineStart
from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Memory
from orchestrator.base.roles import REMOTE
from orchestrator.board.pair import BoardPair
from orchestrator.board.rtt import Rtt
from orchestrator.engines.contract import SEMIHOSTING, Engine
from orchestrator.observe.observer import Observer
from orchestrator.platform.model import Platform

__all__ = ["BoardConsole", "Consoles", "is_trace"]

_TRACE = re.compile(r"(?:.+\.)?remote\.trace\d*", re.ASCII | re.DOTALL)


def is_trace(name: str) -> bool:
    """Whether a console is the buffer of a trace entry: text that is there as a whole and takes no input."""
    return _TRACE.fullmatch(name) is not None


class BoardConsole(Protocol):
    """Text that a core prints: a UART, or the buffer of a trace entry."""

    @property
    def name(self) -> str:
        """Name of the UART, or ``remote.trace``."""
        ...

    @property
    def output(self) -> bytes:
        """Everything so far; where a part of endless text was left out, a line says how much."""
        ...

    @property
    def total(self) -> int:
        """Bytes so far."""
        ...

    def since(self, position: int) -> Fresh:
        """What came behind a position, in one piece."""
        ...

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        """When lines began; of a trace buffer, which is memory, nobody knows."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes to the guest; :class:`UsageError` where nothing listens."""
        ...


class _TraceConsole:
    """The buffer of a trace entry, up to its first zero byte (Linux, remoteproc_debugfs)."""

    def __init__(self, name: str, memory: Memory, observer: Observer, index: int) -> None:
        self.name = name
        self._memory = memory  # as the remote sees it
        self._observer = observer
        self._index = index

    @property
    def output(self) -> bytes:
        traces = self._observer.live.traces
        if self._index >= len(traces):
            return b""
        extent = traces[self._index].span.seen_by(REMOTE)
        if extent is None:
            return b""
        return self._memory.read(extent.start, extent.size).partition(b"\0")[0]

    @property
    def total(self) -> int:
        return len(self.output)

    def since(self, position: int) -> Fresh:
        return Fresh(0, self.output[position:])

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        return ()

    def write(self, data: bytes) -> None:
        raise UsageError("a trace buffer takes no input", where=self.name)


class Consoles(Mapping[str, BoardConsole]):
    """Consoles by role (``main``, ``remote``), or by UART where no role has it, and ``remote.trace``.

    Looking one up by the name of its UART always works. The trace of a second trace entry is ``remote.trace1``, that of
    the remote of a further pair ``PAIR.remote.trace``. What a core says by semihosting is ``main.semihosting``, by RTT
    ``main.rtt0``; listed once there is something.
    """

    def __init__(self, engine: Engine, platform: Platform, rtt: Rtt, pairs: Mapping[str, BoardPair]) -> None:
        self._engine = engine
        self._platform = platform
        self._rtt = rtt
        self._pairs = pairs  # by name, the first one named ""

    def _names(self) -> dict[str, str]:
        """Name of the console to name of the UART, in the order in which a report shows them."""
        platform = self._platform
        known = self._engine.consoles
        uarts = {role: uart for role, uart in self._given().items() if uart in known}
        hosted = {f"{role}{SEMIHOSTING}": f"{core}{SEMIHOSTING}" for role, core in platform.roles.items()}
        heard = {name: uart for name, uart in hosted.items() if uart in known and known[uart].output}
        spare = [name for name in known if name not in (*uarts.values(), *hosted.values())]
        return uarts | {name: name for name in spare} | heard

    def __getitem__(self, key: str) -> BoardConsole:
        uarts = self._engine.consoles
        uart = self._names().get(key, key)
        if key.endswith(SEMIHOSTING):
            uart = self._platform.core(key.removesuffix(SEMIHOSTING)).name + SEMIHOSTING
        if uart in uarts:
            return uarts[uart]
        inside = self._rtt.console(key) or self._in_memory().get(key)
        if inside is not None:
            return inside
        self._refuse_silent(key)
        raise UsageError("no such console", expected=" | ".join(dict.fromkeys((*self, *uarts))), found=key)

    def _given(self) -> dict[str, str]:
        """Role to the UART that the platform says, whether or not the engine has a model of it."""
        platform = self._platform
        return {role: platform.consoles[core] for role, core in platform.roles.items() if core in platform.consoles}

    def _refuse_silent(self, key: str) -> None:
        """:class:`UsageError` for a UART of which the engine has no model."""
        uart = self._given().get(key, key)
        for each in self._platform.peripherals:
            if each.name == uart and each.type.startswith("UART."):
                advice = "docs/writing-a-platform.md lists the types with a model; [models] in the .toml adds one"
                found = f"{uart}: {each.type}"
                raise UsageError("no model of this UART", where=f"console {key}", found=found, advice=advice)

    def __contains__(self, key: object) -> bool:
        return key in self._names() or key in self._engine.consoles or key in self._in_memory()

    def __iter__(self) -> Iterator[str]:
        yield from self._names()
        yield from self._in_memory()

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _in_memory(self) -> dict[str, BoardConsole]:
        traces: dict[str, BoardConsole] = {}
        for pair in self._pairs.values():
            memory = self._engine.memory(pair.platform.core(REMOTE).name)
            for index in range(len(pair.observer.live.traces)):
                name = f"{pair.name}{'.' if pair.name else ''}remote.trace{index or ''}"
                traces[name] = _TraceConsole(name, memory, pair.observer, index)
        return {**self._rtt.consoles, **traces}
