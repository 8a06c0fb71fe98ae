"""What a fault leaves: its status and address registers, and what is told of it."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from orchestrator.engines.common.cortex_m import CFSR_BITS
from orchestrator.engines.common.faults import FaultStatus, describe_fault
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.processor import Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.events import Detail

__all__ = ["FaultRecord", "FaultRecordPort"]

_MOST_TRACED = 2  # faults at one instruction whose backtrace is taken: firmware may live with thousands of them
_MOST_PLACES = 64  # instructions for which that is counted; at others no backtrace is taken


class FaultRecordPort(Protocol):
    """To whom a fault is told."""

    def emit(self, detail: Detail) -> None: ...


class FaultRecord:
    """Of one core; ``traced`` counts the faults with a backtrace, by PC."""

    def __init__(self, processor: Processor, scs: SystemControlSpace, port: FaultRecordPort) -> None:
        self._p = processor
        self._scs = scs
        self._port = port
        self.traced: Counter[int] = Counter()

    def record(self, cause: FaultCause) -> None:
        """CFSR, BFAR and MMFAR (B3.2.15 to B3.2.18)."""
        for name in cause.status:
            if name in CFSR_BITS:
                self._scs.cfsr |= 1 << CFSR_BITS[name]
        if cause.address is not None:
            if "BFARVALID" in cause.status:
                self._scs.bfar = cause.address
            if "MMARVALID" in cause.status:
                self._scs.mmfar = cause.address

    def report(self, cause: FaultCause, *, escalated: bool) -> None:
        """Tell of it, before it is taken."""
        status = FaultStatus(cause.status, cause.address)
        registers, memory, images = self._p.registers(), self._p.memory, self._p.images
        traced = self._is_traced(registers["PC"])
        self._port.emit(
            describe_fault(
                cause.exception, status, cause.what, registers, memory, images, escalated=escalated, traced=traced
            )
        )

    def _is_traced(self, pc: int) -> bool:
        if self.traced[pc] >= _MOST_TRACED or (pc not in self.traced and len(self.traced) >= _MOST_PLACES):
            return False
        self.traced[pc] += 1
        return True
