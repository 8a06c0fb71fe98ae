"""The wall time that a run may take: where virtual time hardly passes, a timeout in virtual time ends nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

__all__ = ["WallTime"]

_AGAIN_S = 0.05  # a stop is asked for again, as a run that has not quite begun forgets it


class WallTime:
    """While it is entered: calls ``stop`` from another thread once ``limit_ns`` are over; None: never."""

    def __init__(self, limit_ns: int | None, stop: Callable[[], None]) -> None:
        self.is_up = False
        self._limit_ns = limit_ns
        self._stop = stop
        self._left = threading.Event()

    def __enter__(self) -> WallTime:
        self.is_up = False
        self._left.clear()
        if self._limit_ns is not None:
            self._thread = threading.Thread(target=self._watch, args=(self._limit_ns / 1e9,), daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        if self._limit_ns is not None:
            self._thread.join()

    def _watch(self, limit_s: float) -> None:
        # Longer than a thread can wait is for ever.
        if self._left.wait(min(limit_s, threading.TIMEOUT_MAX)):
            return
        self.is_up = True
        while True:
            self._stop()
            if self._left.wait(_AGAIN_S):
                return
