"""The ports: who is connected, and when the board may run.

All of it happens on the thread that runs the board: between two pieces of a run, where clients are looked after in
passing, and while a core stands still, where nothing else happens until every client has said how to go on.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import CapabilityError, UsageError
from orchestrator.engines.contract import Capability, Debuggable, DebugStop, Engine, why_lacking
from orchestrator.events import CoreState
from orchestrator.gdb.session import Mode, Session, Target

__all__ = ["GdbServer"]

_HOST = "127.0.0.1"
_RECEIVED = 1 << 16
_LAST_PORT = 0xFFFF
_WAIT_S = 0.2  # how soon Ctrl-C in rptwin's own terminal is seen
_SEND_S = 5.0  # a client that takes nothing for so long is gone


@dataclass(slots=True)
class _Client:
    session: Session
    socket: socket.socket


class GdbServer:
    """A port for each core of a board: ``port`` and those after it in the order of ``cores``; 0: any free ones.

    Once a client has come, the board runs only while every client wants its core to. ``end_run`` is called when one of
    them kills the program, ``is_ending`` says that the run is to end without waiting for anybody.

    Raises CapabilityError where the engine serves no debugger, UsageError for a port that cannot be had.
    """

    def __init__(
        self,
        engine: Engine,
        cores: Iterable[str],
        port: int,
        *,
        end_run: Callable[[], None],
        is_ending: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        if Capability.DEBUG not in engine.capabilities or not isinstance(engine, Debuggable):
            raise CapabilityError(
                "no debug",
                where=f"engine {engine.name}",
                found=why_lacking(engine, Capability.DEBUG),
                advice="the unicorn engine has it",
            )
        self._engine = engine
        self._target: Target = engine
        self._end_run = end_run
        self._is_ending = is_ending
        self._say = say
        self._clients: dict[str, _Client] = {}
        self._listeners: dict[socket.socket, str] = {}
        self._pace = (0.0, 0)  # a moment of the wall clock and of virtual time
        try:
            for index, core in enumerate(cores):
                self._listeners[_listen(port + index if port else 0)] = core
        except BaseException:
            self._close_sockets()
            raise

    def __enter__(self) -> GdbServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def ports(self) -> dict[str, int]:
        """Where each core is served."""
        return {core: listener.getsockname()[1] for listener, core in self._listeners.items()}

    def is_attended(self) -> bool:
        """Whether a client is connected."""
        return bool(self._clients)

    # --- when the board may run

    def wait_for_client(self) -> None:
        """Hold the board at power-on until somebody has come and let it go."""
        while not self._clients and not self._is_ending():
            self._serve(_WAIT_S)
        self._serve_while_stopped()

    def between_pieces(self) -> None:
        """The board stands between two turns: look after clients, and wait for those that want it to."""
        for client in self._clients.values():
            if self._engine.state(client.session.core) is CoreState.LOCKED_UP:
                client.session.locked_up()
        self._serve(self._ahead_s())
        self._serve_while_stopped()

    def _ahead_s(self) -> float:
        """While somebody watches, virtual time goes no faster than real time, or Ctrl-C would always come too late."""
        if not self._clients:
            return 0.0
        began_s, began_ns = self._pace
        return max(0.0, (self._engine.time_ns - began_ns) / 1e9 - (time.monotonic() - began_s))

    def _on_stop(self, stop: DebugStop) -> None:
        client = self._clients.get(stop.core)
        if client is not None:
            client.session.stopped(stop)
            self._serve_while_stopped()

    def _serve_while_stopped(self) -> None:
        waited = False
        while not self._is_ending() and any(each.session.mode is Mode.STOPPED for each in self._clients.values()):
            self._serve(_WAIT_S)
            waited = True
        if waited:
            self._pace = (time.monotonic(), self._engine.time_ns)
        if self._is_ending():
            self._drop_all()

    # --- the sockets

    def _serve(self, timeout_s: float) -> None:
        """One round over all sockets; comes back after the timeout, or as soon as something has come."""
        clients = {client.socket: client for client in self._clients.values()}
        ready, _, _ = select.select([*self._listeners, *clients], [], [], timeout_s)
        for each in ready:
            if each in clients:
                self._receive(clients[each])
            else:
                self._accept(each)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it may be gone again
            connection, _address = listener.accept()
            core = self._listeners[listener]
            if core in self._clients:
                connection.close()
                self._say(f"gdb: {core} has a debugger already; another one was refused")
                return
            connection.settimeout(_SEND_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._target.debug(core, self._on_stop)
            session = Session(self._target, core, lambda data: self._send(core, data), self._end_run)
            self._clients[core] = _Client(session, connection)
            self._say(f"gdb: a debugger has come to {core}")

    def _send(self, core: str, data: bytes) -> None:
        client = self._clients.get(core)
        if client is not None:
            try:
                client.socket.sendall(data)
            except OSError:
                self._drop(client)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.socket.recv(_RECEIVED)
        except OSError:
            data = b""
        if data:
            client.session.receive(data)
        if not data or client.session.is_over:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        core = client.session.core
        if self._clients.get(core) is client:
            del self._clients[core]
            client.session.leave()
            client.socket.close()
            self._say(f"gdb: the debugger of {core} has gone")

    def _drop_all(self) -> None:
        for client in tuple(self._clients.values()):
            self._drop(client)

    # --- the end

    def ended(self, exit_code: int) -> None:
        """Tell those who wait that the run is over."""
        for client in tuple(self._clients.values()):
            client.session.ended(exit_code)
            self._drop(client)

    def close(self) -> None:
        """Let go of everybody and of the ports."""
        self._drop_all()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= _LAST_PORT:
        raise UsageError("no such port", where="--gdb", expected=f"0..{_LAST_PORT}", found=port)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise UsageError(f"port {port} {why}", where="--gdb", advice="0 takes any free one") from None
    listener.setblocking(False)
    return listener
