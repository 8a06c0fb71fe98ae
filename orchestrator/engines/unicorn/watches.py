"""Watched memory, compared after each turn: what differs then, the core whose turn it was has changed."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.unicorn.binding import compared
from orchestrator.engines.unicorn.native.abi import hooks

__all__ = ["Watches"]


@dataclass(slots=True)
class _Watch:
    name: str
    span: memoryview  # the stored bytes
    seen: bytearray  # of the same size for good: native code knows its place


class Watches:
    """The watches of a board, by name."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self._list()

    def _list(self) -> None:
        """Tell native code which there are."""
        watches = [watch for watch in self._watches.values() if watch.seen]
        self._names = [watch.name for watch in watches]
        self._compared = compared((watch.span, watch.seen) for watch in watches)
        self._changed = (ctypes.c_uint32 * len(self._names))()
        self._arguments = ctypes.addressof(self._compared), len(self._names), ctypes.addressof(self._changed)

    def __bool__(self) -> bool:
        return bool(self._watches)

    def add(self, name: str, span: memoryview) -> None:
        """Watch these bytes; the same name again replaces the watch."""
        self._watches[name] = _Watch(name, span, bytearray(span))
        self._list()

    def remove(self, name: str) -> None:
        """Watch it no more."""
        if self._watches.pop(name, None) is not None:
            self._list()

    def clear(self) -> None:
        """Watch nothing."""
        self._watches.clear()
        self._list()

    def changed(self) -> list[str]:
        """Names of the watches whose bytes differ from when they were looked at last."""
        count = hooks.compared_update(*self._arguments)
        return [self._names[index] for index in self._changed[:count]] if count else []

    def accept(self) -> None:
        """What is there now has been seen."""
        hooks.compared_update(*self._arguments)

    def compared(self) -> Any:
        """The same for native code, until a watch is added or removed."""
        return self._compared

    @contextlib.contextmanager
    def by_host(self) -> Iterator[None]:
        """What changes in here is the host's doing; what a core changed before, in its turn, is still to be seen."""
        before = [(watch, bytes(watch.span)) for watch in self._watches.values()]
        yield
        for watch, old in before:
            new = bytes(watch.span)
            if new == old:
                continue
            if old == watch.seen:
                watch.seen[:] = new
            else:
                both = zip(watch.seen, old, new, strict=True)
                watch.seen[:] = bytes(seen if a == b else b for seen, a, b in both)
