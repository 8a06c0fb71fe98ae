"""What Renode's log says of the cores: accesses that nobody models, notes of models, the end of a core."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.errors import EngineError
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.renode.core_turns import CoreTurns
from orchestrator.engines.renode.cores import REGISTERS, Cores, HostScope
from orchestrator.engines.renode.log import Abort, Access, LogLine, parse
from orchestrator.engines.renode.thumb import access_of
from orchestrator.events import Event, Fault, Note, UnmodelledAccess
from orchestrator.platform.export import FRONT_SUFFIX
from orchestrator.platform.model import Platform

__all__ = ["Complaints", "base_of"]

_OUTSIDE = "Trying to execute code outside RAM or ROM"  # tlib, exec.c
_OWN_SOURCES = ("", "sysbus", "machine-0", "board")  # of lines that Renode says of itself
_CACHE_MAINTENANCE = range(0xF50, 0xFA0)  # from the NVIC's base: ICIALLU to BPIALL, and CACR (DDI0403E B3.2.2)


def base_of(platform: Platform, name: str, core: str) -> int:
    """Where a core finds a peripheral."""
    found = next((each for each in platform.peripherals if each.name == name), None)
    return next((at.address for at in found.registrations if at.seen_by(core)), 0) if found else 0


class Complaints:
    """Lines become part of the turn of the core that is behind them; ``say`` tells what is nobody's."""

    def __init__(self, cores: Cores, turns: CoreTurns, scope: HostScope, say: Callable[[Event], None]) -> None:
        self._cores = cores
        self._turns = turns
        self._scope = scope
        self._say = say
        self._known: set[tuple[str, int, int, bool]] = set()
        self._aborts: dict[str, Abort] = {}  # by core

    def heard(self, line: LogLine) -> None:
        """Called before the core that is behind a line goes on."""
        entry = parse(line)
        if entry is None or self._scope.active:
            return
        if isinstance(entry, Abort):
            self._aborts[entry.core] = entry
        elif isinstance(entry, Access):
            self._unmodelled(entry)
        elif entry.source not in _OWN_SOURCES and not (entry.source in self._cores and not line.core):
            note = Note(f"{entry.source}: {entry.text}")
            if line.core:
                self._turns.happens(line.core, note, self._turns.moment(line.core))
            else:
                self._say(Event(self._turns.time_ns, "", note))

    def _unmodelled(self, entry: Access) -> None:
        """Said once for each instruction and address."""
        core = entry.core if entry.core in self._cores else self._core_of(entry.peripheral)
        if core == "":
            return  # the host's
        offset, model = entry.offset or 0, self._cores[core].model
        if entry.peripheral == model.nvic and offset in _CACHE_MAINTENANCE and model.model in cortex_m.CACHES:
            return  # there is nothing to maintain
        name = entry.peripheral.removesuffix(FRONT_SUFFIX)
        base = base_of(self._cores.platform, name, core)
        address = entry.address if entry.address is not None else base + offset
        key = (core, entry.pc, address, entry.writes)
        if key in self._known:
            return
        self._known.add(key)
        symbol = symbol_of(self._cores[core].images, entry.pc) if entry.pc else None
        value = self._stored(core, entry) if entry.writes else None
        access = UnmodelledAccess(entry.pc, symbol, address, entry.size, value, name, entry.what)
        self._turns.happens(core, access, self._turns.moment(core))

    def _stored(self, core: str, entry: Access) -> int:
        """What an instruction stores: a script's line does not say it, and a tag's says what it reads instead."""
        access = access_of(self._cores.code(core, entry.pc, 4))
        if access is None or access.register is None:
            return entry.value or 0
        name = REGISTERS[access.register]
        return self._cores.registers(core)[name] & (1 << 8 * entry.size) - 1

    def _core_of(self, nvic: str) -> str:
        """The core whose NVIC says something; "" for any other peripheral."""
        return next((core.name for core in self._cores if core.model.nvic == nvic), "")

    def end_of(self, core: str, pc: int) -> Fault:
        """Why Renode has given a core up; EngineError where that is not the firmware's doing."""
        said = self._aborts.get(core)
        at = pc if said is None else said.pc
        if said is None or not said.why.startswith(_OUTSIDE):
            raise EngineError(f"Renode has given up {core}", where=f"PC {at:#010x}", found=said and said.why)
        what, symbol = f"executes at {at:#010x}, where there is no memory", symbol_of(self._cores[core].images, at)
        registers, backtrace = self._cores.registers(core), self._cores.backtrace(core)
        return Fault("BusFault", ("IBUSERR",), None, at, symbol, what, False, registers, backtrace)
