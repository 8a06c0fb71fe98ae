"""The server in the child: an engine behind the protocol, for one parent."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

from orchestrator.base.errors import CapabilityError, EngineError, FormatError, PlatformError, RptwinError
from orchestrator.engines.contract import (
    Active,
    Capability,
    Engine,
    EngineOptions,
    Monitored,
    Observing,
    PlayedCore,
    Playing,
    Snapshot,
)
from orchestrator.engines.isolated import messages
from orchestrator.engines.isolated.channel import Channel, ClosedError
from orchestrator.engines.isolated.child import Stops
from orchestrator.engines.isolated.messages import VERSION, Failed, Message
from orchestrator.events import Event
from orchestrator.formats.elf import parse_elf
from orchestrator.platform.model import Platform

__all__ = ["SERVED", "Server", "create_served", "import_served", "serve"]

# name: (module, class) of what runs in here
SERVED = {
    "renode": ("orchestrator.engines.renode.board", "RenodeBoard"),
    "unicorn": ("orchestrator.engines.unicorn.engine", "UnicornEngine"),
}
_LOOK_S = 0.5  # between two looks whether virtual time goes on
_LEAVE_S = 5.0
_LOST = 3  # exit code
_AGAIN_S = 0.01  # a stop is asked for again, as a run that has not quite begun forgets it


@runtime_checkable
class Perishable(Protocol):
    """An engine that may take its process with it."""

    def when_lost(self, tell: Callable[[RptwinError], NoReturn]) -> None:
        """Call this when it does; it does not return."""
        ...


class _AbandonedError(Exception):
    """A listener of the parent failed."""


def create_served(name: str, platform: Platform, options: EngineOptions, prepared: Mapping[str, str]) -> Engine:
    """The engine itself, in this process."""
    if name not in SERVED:
        raise EngineError("no such engine in the child", expected=" | ".join(SERVED), found=name)
    module, cls = SERVED[name]
    more = (prepared,) if prepared else ()
    engine: Engine = getattr(importlib.import_module(module), cls)(platform, options, *more)
    return engine


class Server:
    """Answers one parent until it leaves."""

    def __init__(
        self, channel: Channel, create: Callable[[str, Platform, EngineOptions, Mapping[str, str]], Engine]
    ) -> None:
        self._channel = channel
        self._create = create
        self._engine: Engine | None = None
        self._sent: dict[str, int] = {}  # bytes of each console that the parent has
        self._snapshots: dict[int, Snapshot] = {}
        self._played: dict[str, PlayedCore] = {}
        self._running: int | None = None
        self._handlers: dict[type, Callable[[Any, bytes], tuple[object, bytes] | None]] = {
            messages.Load: self._load,
            messages.Start: lambda ask, _: self._board.start(ask.core),
            messages.Hold: lambda ask, _: self._board.hold(ask.core),
            messages.Reset: lambda ask, _: self._board.reset(ask.core),
            messages.Run: self._run,
            messages.AskState: lambda ask, _: (self._board.state(ask.core), b""),
            messages.Read: lambda ask, _: (None, self._board.memory(ask.core).read(ask.address, ask.size)),
            messages.Write: lambda ask, blob: self._board.memory(ask.core).write(ask.address, blob),
            messages.AskRegisters: lambda ask, _: (self._board.registers(ask.core), b""),
            messages.AskBacktrace: lambda ask, _: (self._board.backtrace(ask.core), b""),
            messages.AskWaiting: lambda ask, _: (self._board.waiting(ask.core), b""),
            messages.AskActivity: self._activity,
            messages.AskDataCache: lambda ask, _: (self._board.data_cache(ask.core), b""),
            messages.AskInstructions: lambda ask, _: (self._board.instructions(ask.core), b""),
            messages.Watch: lambda ask, _: self._board.watch(ask.name, ask.core, ask.extent),
            messages.Unwatch: lambda ask, _: self._board.unwatch(ask.name),
            messages.Observe: self._observe,
            messages.Unobserve: lambda ask, _: self._observing.unobserve(ask.name),
            messages.Subscribe: lambda ask, _: self._board.subscribe(self._emit),
            messages.Type: lambda ask, blob: self._board.consoles[ask.uart].write(blob),
            messages.TakeSnapshot: self._snapshot,
            messages.Restore: self._restore,
            messages.Release: self._release,
            messages.Execute: self._execute,
            messages.Play: self._play,
            messages.Store: lambda ask, blob: self._played[ask.core].memory.write(ask.address, blob),
            messages.ReadRegister: lambda ask, _: (self._played[ask.core].read(ask.address), b""),
            messages.WriteRegister: lambda ask, _: self._played[ask.core].write(ask.address, ask.value),
            messages.PeekRegister: lambda ask, _: (self._played[ask.core].peek(ask.viewer, ask.address), b""),
            messages.Wake: lambda ask, _: self._played[ask.core].wake(),
        }

    @property
    def _board(self) -> Engine:
        if self._engine is None:
            raise EngineError("no board yet", expected="Open")
        return self._engine

    def serve(self) -> None:
        """Until ``Close``; :class:`ClosedError` when the parent has gone without it."""
        while True:
            frame = self._channel.receive()
            if isinstance(frame.message, messages.Close):
                if self._engine is not None:
                    self._engine.close()
                return
            self._answer(frame.message, frame.blob)

    def _answer(self, ask: Message, blob: bytes) -> None:
        reply: Message
        data = b""
        try:
            if isinstance(ask, messages.Open):
                reply = self._open(ask)
            else:
                value, data = self._handlers[type(ask)](ask, blob) or (None, b"")
                reply = messages.Done(value)
        except ClosedError:
            raise
        except BaseException as error:  # whatever it is, the parent says it
            if not isinstance(error, RptwinError | _AbandonedError):
                traceback.print_exc()
            reply = _failed(error)
        self._send(reply, data)

    def _send(self, message: Message, blob: bytes = b"") -> None:
        """What the consoles have said goes first."""
        time_ns = 0
        if self._engine is not None:
            time_ns = self._engine.time_ns
            for name, console in self._engine.consoles.items():
                total = console.total
                if total < self._sent[name]:
                    self._sent[name] = total
                    self._channel.send(messages.Output(name, total), b"", time_ns)
                while self._sent[name] < total:
                    start = self._sent[name]
                    fresh = console.since(start)
                    self._channel.send(messages.Output(name, start, fresh.left_out), fresh.data, time_ns)
                    self._sent[name] = start + fresh.left_out + len(fresh.data)
        self._channel.send(message, blob, time_ns)

    def _open(self, ask: messages.Open) -> Message:
        if ask.version != VERSION:
            raise EngineError("the two processes speak different protocols", expected=VERSION, found=ask.version)
        self._engine = self._create(ask.engine, ask.platform, ask.options, ask.prepared)
        if isinstance(self._engine, Perishable):
            self._engine.when_lost(self.lost)
        self._sent = dict.fromkeys(self._engine.consoles, 0)
        not_in_the_protocol = {Capability.DEBUG, Capability.SHARE, Capability.DELAY, Capability.FAULT, Capability.ORDER}
        capabilities = frozenset(self._engine.capabilities) - not_in_the_protocol
        return messages.Opened(VERSION, capabilities, tuple(self._engine.consoles))

    def lost(self, error: RptwinError) -> NoReturn:
        """The process is about to end, in the middle of whatever was asked: answer with why, and leave."""
        self._send(_failed(error))
        leave(_LOST)

    def _load(self, ask: messages.Load, blob: bytes) -> None:
        self._board.load(ask.core, parse_elf(blob, path=Path(ask.path), name=ask.name), ask.vector_table)

    def _run(self, ask: messages.Run, _blob: bytes) -> tuple[object, bytes]:
        finished = threading.Event()
        reporter = threading.Thread(target=self._report_progress, args=(finished,), daemon=True)
        self._running = ask.number
        reporter.start()
        try:
            return self._board.run(ask.timeout_ns, ask.until), b""
        finally:
            self._running = None
            finished.set()
            reporter.join()

    def _report_progress(self, finished: threading.Event) -> None:
        """Say that virtual time goes on, so that the parent can tell a long run from a hang."""
        board, before = self._board, -1
        while not finished.wait(_LOOK_S):
            now = board.time_ns
            if now != before:
                before = now
                with contextlib.suppress(ClosedError):
                    self._channel.send(messages.Progress(), time_ns=now)

    def stop(self, number: int) -> None:
        """End this run, if it is not over; called by the thread that listens for stops."""
        while self._running == number:
            self._board.stop()
            threading.Event().wait(_AGAIN_S)

    def _emit(self, event: Event) -> None:
        if isinstance(self.tell(messages.Emitted(event)), messages.Finish):
            self._board.stop()

    def tell(self, said: Message) -> Message:
        """Hand it over and answer questions until the parent lets the board go on, which is what is returned."""
        self._send(said)
        while True:
            frame = self._channel.receive()
            if isinstance(frame.message, messages.Abandon):
                raise _AbandonedError
            if isinstance(frame.message, messages.Continue | messages.Finish | messages.TurnTaken):
                return frame.message
            self._answer(frame.message, frame.blob)

    def _play(self, ask: messages.Play, _blob: bytes) -> None:
        if not isinstance(self._board, Playing):
            raise CapabilityError("no core played in Python", where=ask.core)
        self._played[ask.core] = self._board.play(ask.core, _Player(self, ask.core))

    def take_turn(self, core: str, time_ns: int) -> int | None:
        """Let the parent play; when it wants to again."""
        taken = self.tell(messages.Turn(core, time_ns))
        if not isinstance(taken, messages.TurnTaken):
            raise EngineError("no end of a turn", where=core, found=type(taken).__name__)
        if taken.ends_run:
            self._board.stop()
        return taken.at_ns

    def _activity(self, ask: messages.AskActivity, _blob: bytes) -> tuple[object, bytes]:
        if not isinstance(self._board, Active):
            raise CapabilityError("no activity", where=f"engine {self._board.name}")
        return self._board.activity(ask.core), b""

    @property
    def _observing(self) -> Observing:
        board = self._board
        if not isinstance(board, Observing):
            raise CapabilityError("no accesses", where=f"engine {board.name}")
        return board

    def _observe(self, ask: messages.Observe, _blob: bytes) -> tuple[object, bytes]:
        return self._observing.observe(ask.name, ask.core, ask.extent, merge=ask.merge), b""

    def _snapshot(self, ask: messages.TakeSnapshot, _blob: bytes) -> tuple[object, bytes]:
        self._snapshots[ask.number] = snapshot = self._board.snapshot()
        return snapshot.time_ns, b""

    def _restore(self, ask: messages.Restore, _blob: bytes) -> None:
        self._board.restore(self._snapshots[ask.number])
        self._sent = dict.fromkeys(self._board.consoles, 0)
        for name in self._sent:
            self._channel.send(messages.Output(name, 0), b"", self._board.time_ns)

    def _release(self, ask: messages.Release, _blob: bytes) -> None:
        for number in ask.numbers:
            self._snapshots.pop(number, None)

    def _execute(self, ask: messages.Execute, _blob: bytes) -> tuple[object, bytes]:
        if not isinstance(self._board, Monitored):
            raise CapabilityError("no monitor", found=ask.command)
        return self._board.execute(ask.command), b""


class _Player:
    """Stands for the player, who is in the parent."""

    def __init__(self, server: Server, core: str) -> None:
        self._server = server
        self._core = core

    def turn(self, time_ns: int) -> int | None:
        return self._server.take_turn(self._core, time_ns)

    def reset(self) -> None:
        self._server.tell(messages.PlayerReset(self._core))


def _failed(error: BaseException) -> Failed:
    details = tuple(getattr(error, "__notes__", ()))
    if not isinstance(error, RptwinError):
        what, *rest = str(error).strip().splitlines() or [type(error).__name__]
        return Failed(type(error).__name__, what, details=(*rest, *details))
    place = (error.line, error.column) if isinstance(error, PlatformError) else None
    return Failed(
        type(error).__name__,
        error.what,
        error.file if isinstance(error, PlatformError) else error.where,
        None if error.expected is None else str(error.expected),
        None if error.found is None else str(error.found),
        error.advice,
        error.rule if isinstance(error, FormatError) else None,
        place,
        details,
    )


def import_served(name: str) -> None:
    """The module of an engine, before it is asked for."""
    importlib.import_module(SERVED[name][0])


def serve(frames: socket.socket, stops: Stops) -> NoReturn:
    """Serve until the parent leaves; then leave without taking the engine down in pieces."""
    server = Server(Channel(frames), create_served)
    stops.stop = server.stop
    code = 0
    try:
        server.serve()
    except ClosedError:
        stops.wait(_LEAVE_S)  # it sees the same, tidies up and leaves
        code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    leave(code)


def leave(code: int) -> NoReturn:
    """At once: some engines hang or print while the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
