"""The cores of a board on Renode: what the engine keeps of each, and what can be read of one at any moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TranslationError
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.common.backtrace import backtrace_of
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.common.store_replay import Turns, View
from orchestrator.engines.renode.faults import Raised
from orchestrator.engines.renode.played import Played
from orchestrator.engines.renode.session import Bus
from orchestrator.engines.renode.thumb import is_second_half
from orchestrator.events import Backtrace, CoreState
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Core, Platform

__all__ = ["REGISTERS", "BoardCore", "Cores", "HostScope"]

REGISTERS = (
    *(f"R{number}" for number in range(13)),
    *("SP", "LR", "PC", "XPSR", "MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL"),
)
_NAMES = {"CPSR": "XPSR", "xPSR": "XPSR", "R13": "SP", "R14": "LR", "R15": "PC"}
_BRANCH_TO_ITSELF = bytes.fromhex("fee7")
_WAITS, _WIDE_WAITS = (
    (bytes.fromhex("30bf"), bytes.fromhex("20bf")),
    (bytes.fromhex("aff30380"), bytes.fromhex("aff30280")),
)


class HostScope:
    """Whose doing it is what happens now: inside of the scope the host's, which no hook is to tell as a core's."""

    def __init__(self) -> None:
        self.active = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        before, self.active = self.active, True
        try:
            yield
        finally:
            self.active = before


@dataclass(slots=True)
class BoardCore:
    """One core: its firmware and what it was last seen doing."""

    model: Core
    vector_table: int
    held: bool
    images: list[Image] = field(default_factory=list)
    ran: bool = False
    asleep: bool = False  # as Renode says
    locked_up: bool = False
    lockup: Backtrace = ()  # where it locked up
    raised: Raised | None = None  # the last thing that it raised itself
    played: Played | None = None  # who plays it

    @property
    def name(self) -> str:
        return self.model.name

    def resets(self) -> None:
        """What it did before is over."""
        self.asleep = self.locked_up = False
        self.raised = None


class Cores:
    """All cores of a board, by name and in order; EngineError for a name that no core has."""

    def __init__(self, platform: Platform, bus: Bus, scope: HostScope) -> None:
        self.platform = platform
        self._bus = bus
        self._scope = scope
        self._by_name = {each.name: BoardCore(each, each.boot_address, each.held) for each in platform.cores}
        self._begins: dict[tuple[str, int], int] = {}  # of instructions, by core and PC
        self.turns = Turns(platform, self.read_live)

    def __getitem__(self, name: str) -> BoardCore:
        return self._by_name[core_named(self.platform, name).name]

    def __iter__(self) -> Iterator[BoardCore]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def played(self) -> Iterator[Played]:
        """Those whose place a player has."""
        return (core.played for core in self if core.played is not None)

    def loaded(self, name: str, images: list[Image], vector_table: int) -> None:
        """Firmware is another now."""
        core = self[name]
        core.images, core.vector_table = images, vector_table
        self._begins.clear()

    # --- memory

    def read_live(self, core: str, extent: Extent) -> bytes:
        """As it stands now, whatever event is being told."""
        return self._bus.read(core, extent.start, extent.size)

    def word(self, core: str, address: int) -> int:
        """A register, by one access."""
        return self._bus.word(core, address)

    def code(self, core: str, address: int, size: int) -> bytes:
        """Instructions; b"" where there is no memory."""
        try:
            self.platform.parts(core, address, size)
        except TranslationError:
            return b""
        return self._bus.read(core, address, size)

    def memory(self, name: str) -> Memory:
        """As it stood at the event that is being told."""
        return View(self.platform, self.turns, self[name].name, self.host_writes)

    def host_writes(self, core: str, address: int, data: bytes) -> None:
        """Store for the host: no watch is to see it."""
        with self._scope():
            self._bus.write(core, address, data)
        self.turns.host_wrote(core, Extent(address, len(data)))

    # --- where a core is

    def instruction(self, core: str, pc: int) -> int:
        """Where the instruction begins that made an access at this PC."""
        key = core, pc
        if key not in self._begins:
            self._begins[key] = pc - 2 if is_second_half(self.code(core, pc - 2, 6)) else pc
        return self._begins[key]

    def registers(self, core: str) -> dict[str, int]:
        """``REGISTERS`` by name; those that Renode has not are 0."""
        found = {_NAMES.get(name, name): value for name, value in self._bus.registers(self[core].name).items()}
        return {name: found.get(name, 0) for name in REGISTERS}

    def backtrace(self, name: str) -> Backtrace:
        core = self[name]
        if core.played is not None:
            return ()
        if core.locked_up:
            return core.lockup
        return backtrace_of(self.registers(name), self.memory(name), core.images)

    def state(self, name: str) -> CoreState:
        core = self[name]
        if core.played is not None:
            return CoreState.HELD if core.played.held else CoreState.SLEEPING
        if core.held:
            return CoreState.HELD
        if core.locked_up:
            return CoreState.LOCKED_UP
        return CoreState.SLEEPING if self._sleeps(core) else CoreState.RUNNING

    def _sleeps(self, core: BoardCore) -> bool:
        """A core is told to be asleep when it is to go on for the first time after it fell asleep; and in a branch to
        itself too, which Renode takes for WFI (tlib: cpu_exec, and arch/arm/translate.c, 0xe7fe).
        """
        pc = self._bus.pc(core.name) & ~1
        if self.code(core.name, pc - 2, 2) in _WAITS or self.code(core.name, pc - 4, 4) in _WIDE_WAITS:
            return True
        return core.asleep and self.code(core.name, pc, 2) != _BRANCH_TO_ITSELF
