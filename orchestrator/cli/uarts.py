"""UARTs of a board for other programs: ``--uart main=pty``, ``--uart main=tcp:PORT``.

The board waits at power-on until somebody has come to each of them. While anybody is there, virtual time goes no faster
than this computer's, and the run does not end because it is quiet; when all have gone, it goes on at its own speed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol

from orchestrator.base.errors import UsageError
from orchestrator.board import Board, BoardConsole

__all__ = ["Uarts", "parse_uart"]

_WAIT_S = 0.1  # between two looks while nobody has come
_INPUT = 1024  # bytes that a peer may send in one look: 10 ms, so as fast as a UART of a megabaud
_OUTPUT = 1 << 16
_TCP = re.compile(r"tcp:(?:(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):)?(\d{1,5})", re.ASCII)
_WORDS = "NAME=pty, NAME=tcp:PORT or NAME=tcp:HOST:PORT"
_LOCAL = "127.0.0.1"


class _Link(Protocol):
    """Where a peer comes: it is there or not, and takes and gives bytes without waiting."""

    where: str

    def look(self) -> bool:
        """Whether somebody is there now."""
        ...

    def receive(self) -> bytes:
        """What has come, perhaps nothing."""
        ...

    def send(self, data: bytes) -> int:
        """How many of the bytes were taken."""
        ...

    def close(self) -> None: ...


class _Pty:
    """A pseudo terminal without echo or translation; somebody is there while its other side is open."""

    def __init__(self, name: str) -> None:
        try:
            import tty  # noqa: PLC0415  # not on Windows
        except ImportError:
            raise UsageError("no pseudo terminals here", where=f"--uart {name}=pty", advice="tcp:0 works") from None
        try:
            self._fd, there = os.openpty()
        except OSError as error:
            raise UsageError(f"no pseudo terminal ({error.strerror})", where=f"--uart {name}=pty") from None
        tty.setraw(there)  # stays so when it is closed: no echo reaches the firmware before the peer has set it up
        self.where = os.ttyname(there)
        os.close(there)
        os.set_blocking(self._fd, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def look(self) -> bool:
        return not any(event & select.POLLHUP for _, event in self._poll.poll(0))

    def receive(self) -> bytes:
        try:
            return os.read(self._fd, _INPUT)
        except OSError:  # nothing there, or nobody (EIO)
            return b""

    def send(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except OSError:
            return 0

    def close(self) -> None:
        os.close(self._fd)


class _Tcp:
    """A port that one peer at a time connects to; bytes as they are, no telnet."""

    def __init__(self, name: str, host: str, port: int) -> None:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family)
        except (OSError, UnicodeError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            advice = "port 0 takes any free one"
            raise UsageError(
                f"cannot listen ({why})", where=f"--uart {name}=tcp:{host}:{port}", advice=advice
            ) from None
        self._listener.setblocking(False)
        self._peer: socket.socket | None = None
        shown = f"[{host}]" if ":" in host else "localhost" if host == _LOCAL else host
        self.where = f"{shown}:{self._listener.getsockname()[1]} (TCP)"

    def look(self) -> bool:
        if self._peer is None:
            with contextlib.suppress(OSError):
                self._peer, _ = self._listener.accept()
                self._peer.setblocking(False)
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._peer is not None

    def receive(self) -> bytes:
        if self._peer is None:
            return b""
        try:
            data = self._peer.recv(_INPUT)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._leave()
        return data

    def send(self, data: bytes) -> int:
        if self._peer is None:
            return 0
        try:
            return self._peer.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._leave()
            return 0

    def _leave(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer = None

    def close(self) -> None:
        self._leave()
        self._listener.close()


class _Uart:
    """A console, its link, and how much of it the peer has."""

    def __init__(self, name: str, console: BoardConsole, link: _Link) -> None:
        self.name, self.console, self.link = name, console, link
        self.is_attended = False
        self._sent = 0  # bytes of all that the console has said
        self._rest = b""  # of it, what the peer has not taken yet

    def exchange(self) -> None:
        """Bytes both ways, as many as there are."""
        if not self._rest:
            fresh = self.console.since(self._sent)
            if fresh.left_out:
                self._rest = b"\r\n[... %d bytes left out ...]\r\n" % fresh.left_out
            self._rest += fresh.data[:_OUTPUT]
            self._sent += fresh.left_out + len(fresh.data[:_OUTPUT])
        if self._rest:
            self._rest = self._rest[self.link.send(self._rest) :]
        if data := self.link.receive():
            self.console.write(data)


def parse_uart(text: str) -> tuple[str, Callable[[], _Link]]:
    """The name of the console, and what opens its link; :class:`UsageError` says what is wrong."""
    name, equals, how = text.partition("=")
    found = _TCP.fullmatch(how)
    if not equals or not name.strip() or (how != "pty" and (found is None or int(found[2]) >= 1 << 16)):
        raise UsageError("not a UART for others", where="--uart", expected=_WORDS, found=repr(text))
    if found is None:
        return name, lambda: _Pty(name)
    host, port = (found[1] or _LOCAL).strip("[]"), int(found[2])
    return name, lambda: _Tcp(name, host, port)


class Uarts:
    """The UARTs of a board that others hold the other end of; a context manager."""

    def __init__(self, board: Board, texts: Iterable[str], say: Callable[[str], None]) -> None:
        self._board, self._say = board, say
        self._uarts: list[_Uart] = []
        self._pace = (0.0, 0)  # a moment of the wall clock and of virtual time
        wanted = [parse_uart(text) for text in texts]
        consoles = [board.consoles[name] for name, _ in wanted]
        taken = [console.name for console in consoles]
        for console, name in zip(consoles, taken, strict=True):
            if taken.count(name) > 1:
                raise UsageError("a UART twice", where="--uart", expected="one peer for each", found=name)
            console.write(b"")  # refuses what takes no input
        try:
            for (name, open_link), console in zip(wanted, consoles, strict=True):
                self._uarts.append(_Uart(name, console, open_link()))
        except BaseException:
            self.close()
            raise
        board.attend(self)

    def __enter__(self) -> Uarts:
        for each in self._uarts:
            named = each.name if each.name == each.console.name else f"{each.name} ({each.console.name})"
            self._say(f"uart: {named}: {each.link.where}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each in self._uarts:  # what it said last
            each.exchange()
        self.close()

    def close(self) -> None:
        """Let everybody go."""
        for each in self._uarts:
            each.link.close()
        self._uarts.clear()

    def is_attended(self) -> bool:
        """Whether anybody is there."""
        return any(each.is_attended for each in self._uarts)

    def wait_for_client(self) -> None:
        """Hold the board at power-on until somebody has come to each UART, or the run is to end."""
        for each in self._uarts:
            while not self._look(each) and not self._board.is_stopping:
                time.sleep(_WAIT_S)
        self._pace = (time.monotonic(), self._board.time_ns)
        names = ", ".join(each.name for each in self._uarts)
        note = f"other programs hold the UART of {names}: a run with them does not repeat"
        for pair in self._board.pairs.values():
            pair.observer.run.notes.add(note)

    def between_pieces(self) -> None:
        """The board stands between two turns: bytes go both ways, and virtual time waits for this computer's."""
        was_attended = self.is_attended()
        for each in self._uarts:
            if self._look(each):
                each.exchange()
        if not self.is_attended():
            return
        began_s, began_ns = self._pace
        ahead_s = (self._board.time_ns - began_ns) / 1e9 - (time.monotonic() - began_s)
        if not was_attended or ahead_s < -1:  # somebody came back, or the board is slower than it should be
            self._pace = (time.monotonic(), self._board.time_ns)
        elif ahead_s > 0 and not self._board.is_stopping:
            time.sleep(ahead_s)

    def _look(self, uart: _Uart) -> bool:
        is_there = uart.link.look()
        if is_there != uart.is_attended:
            uart.is_attended = is_there
            self._say(f"uart: somebody {'has come to' if is_there else 'has left'} {uart.name}")
        return is_there
