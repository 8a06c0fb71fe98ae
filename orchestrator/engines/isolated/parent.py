"""An engine that runs in a child process, as the engine contract has it.

Memory is read in pages that hold until the guest may run again, so that looking at a ring costs one question. When the
child dies, what was seen stays: consoles, time, and the pages that were read last.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.base import errors
from orchestrator.base.errors import CapabilityError, EngineError, FormatError, PlatformError, RptwinError, UsageError
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.common.child import EngineDiedError, deferred_interrupt
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.contract import (
    Capability,
    Condition,
    ConsoleText,
    EngineOptions,
    PlayedCore,
    Player,
    Snapshot,
    Stop,
    why_lacking,
)
from orchestrator.engines.isolated import protocol
from orchestrator.engines.isolated.codec import MalformedError, from_plain
from orchestrator.engines.isolated.process import SERVER, Child
from orchestrator.engines.isolated.protocol import REPLIES, VERSION, ClosedError, Failed, Frame, Message, SilentError
from orchestrator.events import Activity, Backtrace, CoreState, DataCache, Listener, Waiting
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["RemoteConsole", "RemoteEngine", "RemoteUnicorn"]

PATIENCE_S = 60.0  # of wall time without a frame; a board that runs on says so twice a second
STOP_PATIENCE_S = 5.0  # the same for a board that was asked to stop
_LOOK_S = 0.25  # between two looks whether it was
_PAGE = 4096
_MOST_CACHED = 1 << 16  # bytes: a longer read is passed on as it is
# What leaves memory as it is.
_LOOKING = (
    protocol.Read,
    protocol.AskState,
    protocol.AskRegisters,
    protocol.AskBacktrace,
    protocol.AskWaiting,
    protocol.AskActivity,
    protocol.AskDataCache,
    protocol.AskInstructions,
    protocol.Watch,
    protocol.Unwatch,
    protocol.Observe,
    protocol.Unobserve,
    protocol.Subscribe,
    protocol.TakeSnapshot,
    protocol.Release,
    protocol.ReadRegister,
    protocol.PeekRegister,
    protocol.Wake,
)


class RemoteConsole:
    """One UART of the child's board; what it has sent is kept here too."""

    def __init__(self, name: str, engine: RemoteEngine) -> None:
        self.name = name
        self._engine = engine
        self.received = bytearray()

    @property
    def output(self) -> bytes:
        return bytes(self.received)

    def write(self, data: bytes) -> None:
        self._engine.ask(protocol.Type(self.name), data)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _RemoteSnapshot:
    owner: RemoteEngine
    number: int
    time_ns: int


class _Pages:
    """Memory as last read, by core and page; fresh until the guest may have changed it."""

    def __init__(self, platform: Platform) -> None:
        self._extents = {
            core.name: [extent for region in platform.regions for extent in region.extents(core.name)]
            for core in platform.cores
        }
        self._pages: dict[tuple[str, int], bytes] = {}
        self._fresh: set[tuple[str, int]] = set()

    def outdate(self) -> None:
        self._fresh.clear()

    def pages(self, core: str, address: int, size: int) -> list[Extent] | None:
        """The pages of a range, cut to its memory; None where it does not lie in one piece of it."""
        wanted = Extent(address, size)
        whole = next((each for each in self._extents.get(core, ()) if wanted in each), None)
        if whole is None or not 0 < size <= _MOST_CACHED:
            return None
        first, last = address // _PAGE, (address + size - 1) // _PAGE
        return [
            Extent.between(max(page * _PAGE, whole.start), min((page + 1) * _PAGE, whole.end))
            for page in range(first, last + 1)
        ]

    def get(self, core: str, page: Extent, *, stale: bool) -> bytes | None:
        key = (core, page.start)
        return self._pages.get(key) if stale or key in self._fresh else None

    def put(self, core: str, page: Extent, data: bytes) -> None:
        self._pages[core, page.start] = data
        self._fresh.add((core, page.start))


class _RemoteMemory:
    def __init__(self, view: str, engine: RemoteEngine) -> None:
        self.view = view
        self._engine = engine

    def read(self, address: int, size: int) -> bytes:
        return self._engine.read(self.view, address, size)

    def write(self, address: int, data: bytes) -> None:
        self._engine.ask(protocol.Write(self.view, address), data)


class _PlayedMemory(_RemoteMemory):
    def write(self, address: int, data: bytes) -> None:
        self._engine.ask(protocol.Store(self.view, address), data)


class _RemotePlayed:
    """Implements :class:`orchestrator.engines.contract.PlayedCore`."""

    def __init__(self, core: str, engine: RemoteEngine) -> None:
        self.memory: Memory = _PlayedMemory(core, engine)
        self._core = core
        self._engine = engine

    def read(self, address: int) -> int:
        value: int = self._engine.ask(protocol.ReadRegister(self._core, address))[0]
        return value

    def write(self, address: int, value: int) -> None:
        self._engine.ask(protocol.WriteRegister(self._core, address, value))

    def peek(self, core: str, address: int) -> int:
        value: int = self._engine.ask(protocol.PeekRegister(self._core, core, address))[0]
        return value

    def wake(self) -> None:
        self._engine.ask(protocol.Wake(self._core))


class RemoteEngine:
    """Implements :class:`orchestrator.engines.contract.Engine` by asking a child; ``served`` is what runs in there.

    Raises EngineError when the child cannot be started or its engine refuses, EngineDiedError from then on when it
    dies. ``patience_s`` is wall time without a frame, ``opening_s`` the same until the board is there.
    """

    name = "remote"
    served = ""
    lacking: Mapping[Capability, str] = {}  # what the engine says of capabilities that it has not

    def __init__(
        self,
        platform: Platform,
        options: EngineOptions,
        *,
        command: Sequence[str] = SERVER,
        environment: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
        opening_s: float = PATIENCE_S,
    ) -> None:
        self.platform = platform
        self.time_ns = 0
        self.capabilities: frozenset[Capability] = frozenset()
        self.consoles: dict[str, RemoteConsole] = {}
        self._patience_s = opening_s
        self._stop_asked_s: float | None = None  # wall time of the request
        self._listeners: list[Listener] = []
        self._players: dict[str, Player] = {}
        self._death: EngineError | None = None
        self._run_number = 0
        self._telling: int | None = None  # the thread that is in a listener
        self._listener_stops = False  # goes out as Finish
        self._snapshot_number = 0
        self._forgotten: list[int] = []
        self._pages = _Pages(platform)
        self._instructions: dict[str, int] = {core.name: 0 for core in platform.cores}  # as last heard
        self._subscribed = False
        self._child = Child(command, environment)
        try:
            self._open(platform, options, patience_s)
        except BaseException:
            self._child.kill()
            raise

    def _open(self, platform: Platform, options: EngineOptions, patience_s: float) -> None:
        opened = self.ask(protocol.Open(VERSION, self.served, platform, options))[0]
        if not isinstance(opened, protocol.Opened) or opened.version != VERSION:
            found = getattr(opened, "version", "no version")
            raise self._dies(f"the engine's process speaks another protocol: expected {VERSION}, found {found}")
        self._patience_s = patience_s
        self.capabilities = opened.capabilities
        self.consoles |= {name: RemoteConsole(name, self) for name in opened.consoles}

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    # --- the conversation

    def ask(self, message: Message, blob: bytes = b"") -> tuple[Any, bytes]:
        """One question and its answer; listeners hear of what happens in between.

        Raises what the engine raised, what a listener raised, or EngineDiedError.
        """
        if self._death is not None:
            raise self._death.with_traceback(None)
        if not isinstance(message, _LOOKING):
            self._pages.outdate()
        with deferred_interrupt(self._ask_to_stop):
            answer = self._converse(message, blob)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _converse(self, message: Message, blob: bytes) -> tuple[Any, bytes] | BaseException:
        """The answer; an error that came instead of one is returned, one that ends the conversation is raised."""
        doing = f"in {type(message).__name__}"
        try:
            self._child.channel.send(message, blob)
            return self._answer(message)
        except ClosedError:
            raise self._dies(f"the engine's process {self._child.end()} ({doing})") from None
        except SilentError as error:
            raise self._dies(f"the engine's process {error.what} ({doing})") from None
        except MalformedError as error:
            raise self._dies(f"the engine's process speaks nonsense ({doing}): {error}") from None
        except BaseException:  # a signal handler's, in the middle of a frame: nobody can know what comes next
            self._dies(f"the conversation with the engine's process was broken off ({doing})")
            raise

    def _answer(self, message: Message) -> tuple[Any, bytes] | BaseException:
        failure: BaseException | None = None
        while True:
            frame = self._next_frame()
            self.time_ns = frame.time_ns
            said = frame.message
            if isinstance(said, protocol.Emitted | protocol.Turn | protocol.PlayerReset):
                self._pages.outdate()
                try:
                    self._child.channel.send(self._go_on(said))
                except (ClosedError, EngineDiedError):
                    raise
                except BaseException as error:  # whatever it is, it ends the run and is raised from there
                    failure = error
                    self._child.channel.send(protocol.Abandon())
                self._pages.outdate()
            elif isinstance(said, protocol.Output):
                self._see_output(said, frame.blob)
            elif isinstance(said, Failed):
                return failure or _error(said, f"engine {self.name}")
            elif isinstance(said, protocol.Opened):
                return said, b""
            elif isinstance(said, protocol.Done):
                return from_plain(REPLIES.get(type(message), type(None)), said.value), frame.blob
            elif not isinstance(said, protocol.Progress):
                raise MalformedError("not an answer", found=type(said).__name__)

    def _next_frame(self) -> Frame:
        """SilentError when none comes; a board that was asked to stop has less time."""
        began = time.monotonic()
        while not self._child.channel.wait(min(_LOOK_S, self._patience_s)):
            now, asked = time.monotonic(), self._stop_asked_s
            if asked is not None and now - max(asked, began) > STOP_PATIENCE_S:
                raise SilentError(f"did not stop within {STOP_PATIENCE_S:g} s")
            if now - began > self._patience_s:
                raise SilentError(f"was silent for {self._patience_s:g} s")
        return self._child.channel.receive(self._patience_s)

    def _go_on(self, said: protocol.Emitted | protocol.Turn | protocol.PlayerReset) -> Message:
        """Let every listener hear of an event, or a player have its turn; how the board goes on."""
        before, self._telling = self._telling, threading.get_ident()
        at_ns = None
        try:
            if isinstance(said, protocol.Emitted):
                for listener in self._listeners:
                    listener(said.event)
            elif isinstance(said, protocol.Turn):
                at_ns = self._players[said.core].turn(said.time_ns)
            else:
                self._players[said.core].reset()
        finally:
            self._telling = before
            ends_run, self._listener_stops = self._listener_stops, False
        if isinstance(said, protocol.Turn):
            return protocol.TurnTaken(at_ns, ends_run)
        return protocol.Finish() if ends_run else protocol.Continue()

    def _see_output(self, said: protocol.Output, blob: bytes) -> None:
        console = self.consoles.get(said.uart)
        if console is None or said.start > len(console.received):
            raise MalformedError("output of no console", found=f"{said.uart} from byte {said.start}")
        console.received[said.start :] = blob

    def _dies(self, what: str) -> EngineError:
        if self._death is None:
            self._child.kill()
            where = f"engine {self.name} (process {self._child.pid})"
            self._death = EngineDiedError(what, where=where, time_ns=self.time_ns, log=self._child.log)
        return self._death

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        self.ask(protocol.Load(core, vector_table, str(image.path), image.name), image.data)

    def start(self, core: str) -> None:
        self.ask(protocol.Start(core))

    def hold(self, core: str) -> None:
        self.ask(protocol.Hold(core))

    def reset(self, core: str) -> None:
        self.ask(protocol.Reset(core))

    # --- the contract: time

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        if isinstance(until, ConsoleText) and until.uart not in self.consoles:
            raise UsageError("no such UART", expected=" | ".join(self.consoles), found=until.uart)
        self._run_number += 1
        self._stop_asked_s = None
        stop: Stop = self.ask(protocol.Run(self._run_number, timeout_ns, until))[0]
        return stop

    def stop(self) -> None:
        if self._telling == threading.get_ident():
            self._listener_stops = True
        else:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if self._stop_asked_s is None:
            self._stop_asked_s = time.monotonic()
        self._child.stop(self._run_number)

    # --- the contract: looking

    def state(self, core: str) -> CoreState:
        state: CoreState = self.ask(protocol.AskState(core))[0]
        return state

    def memory(self, core: str) -> Memory:
        core_named(self.platform, core)
        return _RemoteMemory(core, self)

    def read(self, core: str, address: int, size: int) -> bytes:
        """Memory as a core sees it."""
        pages = self._pages.pages(core, address, size)
        if pages is None:
            return self.ask(protocol.Read(core, address, size))[1]
        data = b"".join(self._page(core, page) for page in pages)
        return data[address - pages[0].start :][:size]

    def _page(self, core: str, page: Extent) -> bytes:
        data = self._pages.get(core, page, stale=self._death is not None)
        if data is None:
            data = self.ask(protocol.Read(core, page.start, page.size))[1]
            if len(data) != page.size:
                raise self._dies(f"the engine's process gave {len(data)} bytes of memory for {page.size}")
            self._pages.put(core, page, data)
        return data

    def registers(self, core: str) -> Mapping[str, int]:
        registers: Mapping[str, int] = self.ask(protocol.AskRegisters(core))[0]
        return registers

    def backtrace(self, core: str) -> Backtrace:
        backtrace: Backtrace = self.ask(protocol.AskBacktrace(core))[0]
        return backtrace

    def waiting(self, core: str) -> Waiting | None:
        waiting: Waiting | None = self.ask(protocol.AskWaiting(core))[0]
        return waiting

    def activity(self, core: str) -> Activity:
        self._need(Capability.ACTIVITY)
        activity: Activity = self.ask(protocol.AskActivity(core))[0]
        return activity

    def data_cache(self, core: str) -> DataCache | None:
        cache: DataCache | None = self.ask(protocol.AskDataCache(core))[0]
        return cache

    def instructions(self, core: str) -> int:
        if self._death is not None and core in self._instructions:
            return self._instructions[core]
        count: int = self.ask(protocol.AskInstructions(core))[0]
        self._instructions[core] = count
        return count

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self.ask(protocol.Watch(name, core, extent))

    def unwatch(self, name: str) -> None:
        self.ask(protocol.Unwatch(name))

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        self._need(Capability.ACCESSES)
        cores: frozenset[str] = self.ask(protocol.Observe(name, core, extent, merge))[0]
        return cores

    def unobserve(self, name: str) -> None:
        self._need(Capability.ACCESSES)
        self.ask(protocol.Unobserve(name))

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)  # first: an engine may have something to say at once
        if not self._subscribed:
            self.ask(protocol.Subscribe())
            self._subscribed = True

    # --- the contract: snapshots

    def snapshot(self) -> Snapshot:
        self._need(Capability.SNAPSHOT)
        if self._forgotten:
            forgotten, self._forgotten = self._forgotten, []
            self.ask(protocol.Release(tuple(forgotten)))
        self._snapshot_number += 1
        time_ns: int = self.ask(protocol.TakeSnapshot(self._snapshot_number))[0]
        snapshot = _RemoteSnapshot(self, self._snapshot_number, time_ns)
        weakref.finalize(snapshot, self._forgotten.append, snapshot.number).atexit = False
        return snapshot

    def restore(self, snapshot: object) -> None:
        self._need(Capability.SNAPSHOT)
        if not isinstance(snapshot, _RemoteSnapshot) or snapshot.owner is not self:
            raise UsageError("a snapshot can be restored only on the board it was taken from")
        self.ask(protocol.Restore(snapshot.number))

    # --- the contract: a core played from here

    def play(self, core: str, player: Player) -> PlayedCore:
        self._need(Capability.PLAY)
        self._players[core] = player
        self.ask(protocol.Play(core))
        return _RemotePlayed(core, self)

    # --- the contract: Renode's monitor

    def execute(self, command: str) -> str:
        self._need(Capability.MONITOR)
        printed: str = self.ask(protocol.Execute(command))[0]
        return printed

    def _need(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            who = "renode" if capability is Capability.MONITOR else "unicorn"
            raise CapabilityError(
                f"no {capability.value}",
                where=f"engine {self.name}",
                found=why_lacking(self, capability),
                advice=f"the {who} engine has it",
            )

    def close(self) -> None:
        if self._death is None:
            with contextlib.suppress(ClosedError):
                self._child.channel.send(protocol.Close())
            self._child.leave()
            self._death = EngineError("the engine was closed", where=f"engine {self.name}")
        self._listeners.clear()


class RemoteUnicorn(RemoteEngine):
    """The Unicorn engine behind the protocol: the whole path on real firmware, without Renode."""

    name = "unicorn-remote"
    served = "unicorn"


def _error(said: Failed, where: str) -> RptwinError:
    """The error as the child's engine raised it."""
    error = _typed(said, where)
    for line in said.details:
        error.add_note(line)
    return error


def _typed(said: Failed, where: str) -> RptwinError:
    cls = getattr(errors, said.kind, None)
    sides: dict[str, Any] = {"expected": said.expected, "found": said.found, "advice": said.advice}
    if not (isinstance(cls, type) and issubclass(cls, RptwinError)):
        return EngineError(f"failed inside: {said.kind}: {said.what}", where=where)
    if issubclass(cls, PlatformError):
        line, column = said.place or (None, None)
        return cls(said.what, file=said.where or "", line=line, column=column, **sides)
    if issubclass(cls, FormatError):
        return cls(said.what, rule=said.rule or "", where=said.where, **sides)
    return cls(said.what, where=said.where, **sides)
