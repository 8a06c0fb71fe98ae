"""Exceptions, faults and lockups of the cores of a board on Renode, as its hooks and its NVIC say."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.common.faults import FaultStatus, describe_fault, read_fault_status
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.renode.core_turns import CoreTurns
from orchestrator.engines.renode.cores import BoardCore, Cores
from orchestrator.engines.renode.faults import BKPT, SVC, Cause, Raised, cause_of
from orchestrator.engines.renode.session import Bus
from orchestrator.events import Event, ExceptionTaken, Fault, Lockup

__all__ = ["Exceptions"]

_VECTPENDING = 12
_SVC_SIZE = 2  # bytes
_LOCKUP_PC = 0xEFFF_FFFE
_FAULTS = range(cortex_m.HARD_FAULT, cortex_m.SECURE_FAULT + 1)


class Exceptions:
    """What each core raises and takes becomes part of its turn, as it happens."""

    def __init__(self, bus: Bus, cores: Cores, mailboxes: MailboxMonitor, turns: CoreTurns) -> None:
        self._bus = bus
        self._cores = cores
        self._mailboxes = mailboxes
        self._turns = turns
        for core in cores:
            raised = functools.partial(self._raises, core)
            bus.on_exception(core.name, raised, functools.partial(self._takes, core))

    def _raises(self, core: BoardCore, kind: int) -> None:
        pc = self._bus.pc(core.name) - (_SVC_SIZE if kind == SVC else 0)  # which is behind it then
        code = self._cores.code(core.name, pc, 4) or self._cores.code(core.name, pc, 2)
        core.raised = Raised(kind, pc, code, self._turns.moment(core.name))

    def _takes(self, core: BoardCore) -> None:
        turns, name = self._turns, core.name
        turns.acts(name)
        number = self._cores.word(name, cortex_m.ICSR) >> _VECTPENDING & 0x1FF  # active only later (DDI0403E B3.2.4)
        if not number:
            return  # the interrupt has gone away in the meantime
        rung = list(self._mailboxes.taken(name, number - cortex_m.FIRST_INTERRUPT))
        if rung:
            turns.is_rung(name)
        now = turns.moment(name)
        turns.happens(name, ExceptionTaken(number, exception_name(number), self._bus.pc(name)), now)
        # BKPT is a HardFault where no debugger listens; Renode takes it for one that DebugMonitor does (NVIC).
        if number in _FAULTS or (core.raised is not None and core.raised.kind == BKPT):
            for fault in self._faults(core, number):
                turns.happens(name, fault, now)
        if number <= cortex_m.DEBUG_MONITOR:
            core.raised = None
        for each in rung:
            turns.happens(name, each, now)

    def _cause(self, core: BoardCore, number: int) -> Cause:
        status = read_fault_status(lambda address: self._cores.word(core.name, address))
        raised, vector = core.raised, core.vector_table + 4
        cause = cause_of(number, status, raised)
        begin = int.from_bytes(self._cores.code(core.name, vector, 4), "little")
        if "INVSTATE" in cause.status.names and raised is not None and raised.pc == begin:
            what = f"the reset vector at {vector:#010x} is even ({begin:#010x}): not Thumb code"
            return dataclasses.replace(cause, what=what)
        return cause

    def _faults(self, core: BoardCore, number: int) -> Iterator[Fault]:
        """What is taken, by its own name where it is escalated to HardFault, and what comes of a stack that is none."""
        cause, registers = self._cause(core, number), self._cores.registers(core.name)
        frame = (registers["SP"] - cortex_m.FRAME_BYTES) & ~7
        if core.raised is not None:
            registers["PC"] = core.raised.pc
        memory, images = self._cores.memory(core.name), core.images
        yield describe_fault(
            cause.exception, cause.status, cause.what, registers, memory, images, escalated=cause.escalated
        )
        if not self._cores.code(core.name, frame, 4):
            what = f"stacking for {exception_name(number)} at {frame:#010x}, where there is no memory"
            status, escalated = FaultStatus(("STKERR",), None), number == cortex_m.HARD_FAULT
            yield describe_fault(cortex_m.BUS_FAULT, status, what, registers, memory, images, escalated=escalated)

    def lockups(self) -> Iterator[Event]:
        """Cores that have locked up since the last look: no hook tells."""
        for core in self._cores:
            if not core.locked_up and core.ran and not core.held and self._bus.pc(core.name) & ~1 == _LOCKUP_PC:
                core.locked_up = True
                yield self._lockup(core)

    def _lockup(self, core: BoardCore) -> Event:
        """Where it was and why: PC is then an address of the architecture's (DDI0403E B1.5.15)."""
        raised, registers = core.raised, self._cores.registers(core.name)
        if raised is None:
            return Event(self._bus.time_ns, core.name, Lockup(registers["PC"], None, "locked up", registers, ()))
        registers["PC"] = raised.pc
        what = self._cause(core, cortex_m.HARD_FAULT).what
        core.lockup = backtrace_of(registers, self._cores.memory(core.name), core.images)
        symbol = symbol_of(core.images, raised.pc)
        return Event(raised.at_ns, core.name, Lockup(raised.pc, symbol, what, registers, core.lockup))
