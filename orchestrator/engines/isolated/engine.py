"""An engine that runs in a child process, as the engine contract has it.

Memory is read in pages that hold until the guest may run again, so that looking at a ring costs one question. When the
child dies, what was seen stays: consoles, time, and the pages that were read last.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import CapabilityError, UsageError
from orchestrator.base.memory import Extent, Memory
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
from orchestrator.engines.isolated import messages
from orchestrator.engines.isolated.conversation import Conversation
from orchestrator.engines.isolated.messages import VERSION
from orchestrator.engines.isolated.pages import Pages
from orchestrator.engines.isolated.process import SERVER, Child
from orchestrator.engines.isolated.views import IsolatedConsole, IsolatedMemory, IsolatedPlayed
from orchestrator.events import Activity, Backtrace, CoreState, DataCache, Listener, Sleep, Waiting
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["IsolatedEngine", "IsolatedUnicorn"]

PATIENCE_S = 60.0  # of wall time without a frame; a board that runs on says so twice a second


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _IsolatedSnapshot:
    owner: IsolatedEngine
    number: int
    time_ns: int


class IsolatedEngine:
    """Implements :class:`orchestrator.engines.contract.Engine` by asking a child; ``served`` is what runs in there.

    Raises EngineError when the child cannot be started or its engine refuses, EngineDiedError from then on when it
    dies. ``child`` is one that waits for a board already. ``patience_s`` is wall time without a frame, ``opening_s``
    the same until the board is there.
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
        child: Child | None = None,
        patience_s: float = PATIENCE_S,
        opening_s: float = PATIENCE_S,
    ) -> None:
        self.platform = platform
        self.capabilities: frozenset[Capability] = frozenset()
        self.consoles: dict[str, IsolatedConsole] = {}
        self._snapshot_number = 0
        self._forgotten: list[int] = []
        self._instructions: dict[str, int] = {core.name: 0 for core in platform.cores}  # as last heard
        self._subscribed = False
        child = child or Child(command, environment)
        self._conversation = Conversation(self.name, child, Pages(platform), opening_s)
        self._ask = self._conversation.ask
        try:
            self._open(options, patience_s)
        except BaseException:
            child.kill()
            raise

    def _open(self, options: EngineOptions, patience_s: float) -> None:
        prepared = self.prepared(self.platform, options)
        opened = self._ask(messages.Open(VERSION, self.served, self.platform, options, prepared))[0]
        if not isinstance(opened, messages.Opened) or opened.version != VERSION:
            found = getattr(opened, "version", "no version")
            what = f"the engine's process speaks another protocol: expected {VERSION}, found {found}"
            raise self._conversation.dies(what)
        self._conversation.patience_s = patience_s
        self.capabilities = opened.capabilities
        self.consoles |= {name: IsolatedConsole(name, self._conversation) for name in opened.consoles}
        for console in self.consoles.values():
            console.received.keep(options.console_size)

    @staticmethod
    def prepared(platform: Platform, options: EngineOptions) -> Mapping[str, str]:
        """Texts by name that the engine in the child would else make itself, made while the child still loads."""
        del platform, options
        return {}

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._conversation.child.pid

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        self._ask(messages.Load(core, vector_table, str(image.path), image.name), image.data)

    def start(self, core: str) -> None:
        self._ask(messages.Start(core))

    def hold(self, core: str) -> None:
        self._ask(messages.Hold(core))

    def reset(self, core: str) -> None:
        self._ask(messages.Reset(core))

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._conversation.time_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        if isinstance(until, ConsoleText) and until.uart not in self.consoles:
            raise UsageError("no such UART", expected=" | ".join(self.consoles), found=until.uart)
        stop: Stop = self._ask(messages.Run(self._conversation.new_run(), timeout_ns, until))[0]
        return stop

    def stop(self) -> None:
        self._conversation.stop()

    # --- the contract: looking

    def state(self, core: str) -> CoreState:
        state: CoreState = self._ask(messages.AskState(core))[0]
        return state

    def memory(self, core: str) -> Memory:
        core_named(self.platform, core)
        return IsolatedMemory(core, self._conversation)

    def registers(self, core: str) -> Mapping[str, int]:
        registers: Mapping[str, int] = self._ask(messages.AskRegisters(core))[0]
        return registers

    def backtrace(self, core: str) -> Backtrace:
        backtrace: Backtrace = self._ask(messages.AskBacktrace(core))[0]
        return backtrace

    def waiting(self, core: str) -> Waiting | None:
        waiting: Waiting | None = self._ask(messages.AskWaiting(core))[0]
        return waiting

    def activity(self, core: str) -> Activity:
        self._need(Capability.ACTIVITY)
        activity: Activity = self._ask(messages.AskActivity(core))[0]
        return activity

    def last_sleep(self, core: str) -> Sleep | None:
        return self.activity(core).sleep

    def data_cache(self, core: str) -> DataCache | None:
        cache: DataCache | None = self._ask(messages.AskDataCache(core))[0]
        return cache

    def instructions(self, core: str) -> int:
        if self._conversation.death is not None and core in self._instructions:
            return self._instructions[core]
        count: int = self._ask(messages.AskInstructions(core))[0]
        self._instructions[core] = count
        return count

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self._ask(messages.Watch(name, core, extent))

    def unwatch(self, name: str) -> None:
        self._ask(messages.Unwatch(name))

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        self._need(Capability.ACCESSES)
        cores: frozenset[str] = self._ask(messages.Observe(name, core, extent, merge))[0]
        return cores

    def unobserve(self, name: str) -> None:
        self._need(Capability.ACCESSES)
        self._ask(messages.Unobserve(name))

    def subscribe(self, listener: Listener) -> None:
        self._conversation.listeners.append(listener)  # first: an engine may have something to say at once
        if not self._subscribed:
            self._ask(messages.Subscribe())
            self._subscribed = True

    # --- the contract: snapshots

    def snapshot(self) -> Snapshot:
        self._need(Capability.SNAPSHOT)
        if self._forgotten:
            forgotten, self._forgotten = self._forgotten, []
            self._ask(messages.Release(tuple(forgotten)))
        self._snapshot_number += 1
        time_ns: int = self._ask(messages.TakeSnapshot(self._snapshot_number))[0]
        snapshot = _IsolatedSnapshot(self, self._snapshot_number, time_ns)
        weakref.finalize(snapshot, self._forgotten.append, snapshot.number).atexit = False
        return snapshot

    def restore(self, snapshot: object) -> None:
        self._need(Capability.SNAPSHOT)
        if not isinstance(snapshot, _IsolatedSnapshot) or snapshot.owner is not self:
            raise UsageError("a snapshot can be restored only on the board it was taken from")
        self._ask(messages.Restore(snapshot.number))

    # --- the contract: a core played from here

    def play(self, core: str, player: Player) -> PlayedCore:
        self._need(Capability.PLAY)
        self._conversation.players[core] = player
        self._ask(messages.Play(core))
        return IsolatedPlayed(core, self._conversation)

    # --- the contract: Renode's monitor

    def execute(self, command: str) -> str:
        self._need(Capability.MONITOR)
        printed: str = self._ask(messages.Execute(command))[0]
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
        self._conversation.close()


class IsolatedUnicorn(IsolatedEngine):
    """The Unicorn engine behind the protocol: the whole path on real firmware, without Renode."""

    name = "unicorn-remote"
    served = "unicorn"
