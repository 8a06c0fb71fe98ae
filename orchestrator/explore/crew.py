"""Work on every processor: each piece in a child process that starts as a copy of the one that asks.

A copy of a board that has come to some point costs a fork, and no snapshot. Children tell what they found by messages.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.base.interrupts import ENDING

__all__ = ["Crew", "Tell", "told"]

Tell = Callable[[object], None]
_LARGEST = 1 << 20  # bytes of a message


def _in_child(work: Callable[[], None]) -> int:
    """Fork; the child does this and ends, its exit code 1 where it failed."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for each in ENDING:
            signal.signal(each, signal.SIG_DFL)
        work()
        code = 0
    finally:
        os._exit(code)


class Crew:
    """Children that do one thing each, at most ``size`` at a time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._running = 0
        self.died = 0  # children that did not come to their end
        self._parent = os.getppid()

    def start(self, work: Callable[[], None], part: Callable[[], None] | None = None) -> None:
        """Do this in a child, once there is room; ``part`` is done there before this process goes on."""
        if os.getppid() != self._parent:
            os._exit(1)  # nobody waits for it any more
        self.wait(self._size - 1)
        ours, theirs = os.pipe()

        def in_child() -> None:
            os.close(ours)
            if part is not None:
                part()
            os.close(theirs)
            work()

        _in_child(in_child)
        self._running += 1
        os.close(theirs)
        os.read(ours, 1)  # the end of it, once nobody has the other side
        os.close(ours)

    def wait(self, most: int = 0) -> None:
        """Until at most so many are at work."""
        while self._running > most:
            _pid, status = os.waitpid(-1, 0)
            self._running -= 1
            self.died += status != 0


def told(work: Callable[[Tell], None], deadline: float) -> Iterator[Any]:
    """What a child, and the children that it has, tell while it works; until ``time.monotonic()`` is past a deadline.

    None of them is left when this ends, however it does.
    """
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def tell(found: object) -> None:
        there.send(zlib.compress(pickle.dumps(found), 1))

    def lead() -> None:
        os.setpgid(0, 0)
        here.close()
        work(tell)

    leader = _in_child(lead)
    with contextlib.suppress(OSError):
        os.setpgid(leader, leader)  # whoever comes first
    there.close()
    try:
        while select.select([here], [], [], max(0.0, deadline - time.monotonic()))[0]:
            message = here.recv(_LARGEST)
            if not message:
                break
            yield pickle.loads(zlib.decompress(message))  # of our own children
    finally:
        here.close()
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
        os.waitpid(leader, 0)
