"""What one holds of a board in another process: its consoles, memory by core, a core played from here."""

from __future__ import annotations

from orchestrator.base.console_output import ConsoleOutput, Fresh, LineStart
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.isolated import messages
from orchestrator.engines.isolated.conversation import Conversation

__all__ = ["IsolatedConsole", "IsolatedMemory", "IsolatedPlayed"]


class IsolatedConsole:
    """One UART of the child's board; what it has sent is kept here too."""

    def __init__(self, name: str, conversation: Conversation) -> None:
        self.name = name
        self._conversation = conversation
        self.received = conversation.received.setdefault(name, ConsoleOutput())
        self.received.clock = lambda: conversation.time_ns

    @property
    def output(self) -> bytes:
        return self.received.whole()

    @property
    def total(self) -> int:
        return len(self.received)

    def since(self, position: int) -> Fresh:
        return self.received.since(position)

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        return self.received.starts

    def write(self, data: bytes) -> None:
        self._conversation.ask(messages.Type(self.name), data)


class IsolatedMemory:
    """Memory as a core sees it; once the child is dead, what was read last."""

    def __init__(self, view: str, conversation: Conversation) -> None:
        self.view = view
        self._conversation = conversation

    def read(self, address: int, size: int) -> bytes:
        pages = self._conversation.pages.pages(self.view, address, size)
        if pages is None:
            return self._conversation.ask(messages.Read(self.view, address, size))[1]
        data = b"".join(self._page(page) for page in pages)
        return data[address - pages[0].start :][:size]

    def _page(self, page: Extent) -> bytes:
        conversation = self._conversation
        data = conversation.pages.get(self.view, page, stale=conversation.death is not None)
        if data is None:
            data = conversation.ask(messages.Read(self.view, page.start, page.size))[1]
            if len(data) != page.size:
                raise conversation.dies(f"the engine's process gave {len(data)} bytes of memory for {page.size}")
            conversation.pages.put(self.view, page, data)
        return data

    def write(self, address: int, data: bytes) -> None:
        self._conversation.ask(messages.Write(self.view, address), data)


class _PlayedMemory(IsolatedMemory):
    def write(self, address: int, data: bytes) -> None:
        self._conversation.ask(messages.Store(self.view, address), data)


class IsolatedPlayed:
    """Implements :class:`orchestrator.engines.contract.PlayedCore`."""

    def __init__(self, core: str, conversation: Conversation) -> None:
        self.memory: Memory = _PlayedMemory(core, conversation)
        self._core = core
        self._conversation = conversation

    def read(self, address: int) -> int:
        value: int = self._conversation.ask(messages.ReadRegister(self._core, address))[0]
        return value

    def write(self, address: int, value: int) -> None:
        self._conversation.ask(messages.WriteRegister(self._core, address, value))

    def peek(self, core: str, address: int) -> int:
        value: int = self._conversation.ask(messages.PeekRegister(self._core, core, address))[0]
        return value

    def wake(self) -> None:
        self._conversation.ask(messages.Wake(self._core))
