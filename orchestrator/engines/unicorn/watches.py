"""Watched memory, compared after each turn: what differs then, the core whose turn it was has changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.unicorn.binding import compared

__all__ = ["Watches"]


@dataclass(slots=True)
class _Watch:
    name: str
    span: memoryview  # the stored bytes
    seen: bytes


class Watches:
    """The watches of a board, by name."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self._compared: Any = None  # None: no more than the watches are

    def __bool__(self) -> bool:
        return bool(self._watches)

    def add(self, name: str, span: memoryview) -> None:
        """Watch these bytes; the same name again replaces the watch."""
        self._watches[name] = _Watch(name, span, bytes(span))
        self._compared = None

    def remove(self, name: str) -> None:
        """Watch it no more."""
        self._watches.pop(name, None)
        self._compared = None

    def clear(self) -> None:
        """Watch nothing."""
        self._watches.clear()
        self._compared = None

    def changed(self) -> list[str]:
        """Names of the watches whose bytes differ from when they were looked at last."""
        # Not the views themselves: comparing those takes as long as fifty copies.
        changed = [watch for watch in self._watches.values() if bytes(watch.span) != watch.seen]
        for watch in changed:
            watch.seen = bytes(watch.span)
            self._compared = None
        return [watch.name for watch in changed]

    def accept(self) -> None:
        """What is there now has been seen."""
        for watch in self._watches.values():
            watch.seen = bytes(watch.span)
        self._compared = None

    def compared(self) -> Any:
        """The same for native code, until something changes."""
        if self._compared is None:
            self._compared = compared((watch.span, watch.seen) for watch in self._watches.values())
        return self._compared

    @contextlib.contextmanager
    def by_host(self) -> Iterator[None]:
        """What changes in here is the host's doing; what a core changed before, in its turn, is still to be seen."""
        before = [(watch, bytes(watch.span)) for watch in self._watches.values()]
        yield
        self._compared = None
        for watch, old in before:
            new = bytes(watch.span)
            if new == old:
                continue
            if old == watch.seen:
                watch.seen = new
            else:
                both = zip(watch.seen, old, new, strict=True)
                watch.seen = bytes(seen if a == b else b for seen, a, b in both)
