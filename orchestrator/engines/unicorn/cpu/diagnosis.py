"""Why an instruction faults: which exception, which status bits, and one line for people."""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.bits import bits_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.engines.common.memory_protection import EXECUTE, READ, WRITE
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.frames import StackError
from orchestrator.engines.unicorn.cpu.mpu import Shut
from orchestrator.engines.unicorn.cpu.mpu_enforcer import MpuEnforcer
from orchestrator.engines.unicorn.cpu.processor import SPECIAL, XPSR_T, Processor
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace

__all__ = ["Diagnosis", "Passed"]

_NONBASETHRDENA = 1  # CCR


@dataclass(frozen=True, slots=True)
class Passed:
    """An access that the chip would not let through, and that goes on here; said once."""

    shut: Shut
    what: str


class Diagnosis:
    """Looks at one core, and changes nothing."""

    def __init__(self, processor: Processor, scs: SystemControlSpace, enforcer: MpuEnforcer) -> None:
        self._p = processor
        self._scs = scs
        self._enforcer = enforcer

    def undefined(self) -> FaultCause:
        """The instruction at PC is none, or is no Thumb code."""
        if not self._p.cpu.read(SPECIAL.xpsr) & XPSR_T:
            return FaultCause(cortex_m.USAGE_FAULT, ("INVSTATE",), "branches to an even address: not Thumb code")
        span = self._p.memory.span(self._p.pc, 2)
        code = int.from_bytes(span, "little") if span is not None else 0
        what = f"executes the undefined instruction {code:#06x}"
        return FaultCause(cortex_m.USAGE_FAULT, ("UNDEFINSTR",), what)

    def nothing_there(self, verb: str, address: int, size: int) -> FaultCause:
        """A load or store that nothing answers."""
        what = f"{verb} {size} bytes at {address:#010x}, where this chip has nothing"
        return FaultCause(cortex_m.BUS_FAULT, ("PRECISERR", "BFARVALID"), what, address)

    def refused(self, address: int, size: int, *, reads: bool) -> FaultCause | Passed:
        """A load or store that the MPU, or what the chip has behind it, does not let through."""
        privileged = not self._p.is_unprivileged
        right = READ if reads else WRITE
        protection = self._enforcer.map
        at = protection.first_denied(address, size, right, privileged=privileged)
        assert at is not None
        access = f"{'reads' if reads else 'writes'} {size} bytes at {address:#010x}"
        shut = protection.shut_at(at, right, privileged=privileged)
        if shut is not None and shut.refuses:
            return FaultCause(cortex_m.BUS_FAULT, ("PRECISERR", "BFARVALID"), f"{access}, {shut.why}", at)
        if shut is not None:
            return Passed(shut, f"{access}, {shut.why}")
        what = f"{access}, {protection.why(at, right, privileged=privileged)}"
        return FaultCause(cortex_m.MEM_MANAGE, ("DACCVIOL", "MMARVALID"), what, at)

    def not_fetched(self, address: int) -> FaultCause:
        """An instruction that cannot be fetched."""
        privileged = not self._p.is_unprivileged_mode
        protection = self._enforcer.map
        denied = protection.first_denied(address, 2, EXECUTE, privileged=privileged)
        if denied is None and self._p.memory.mapping_at(address) is not None:  # then it is the second half
            denied = protection.first_denied(address + 2, 2, EXECUTE, privileged=privileged)
        shut = None if denied is None else protection.shut_at(denied, EXECUTE, privileged=privileged)
        if shut is not None:
            return FaultCause(cortex_m.BUS_FAULT, ("IBUSERR",), f"executes at {address:#010x}, {shut.why}")
        if denied is not None:
            what = f"executes at {address:#010x}, {protection.why(denied, EXECUTE, privileged=privileged)}"
            return FaultCause(cortex_m.MEM_MANAGE, ("IACCVIOL",), what)
        what = f"executes at {address:#010x}, where there is no memory"
        return FaultCause(cortex_m.BUS_FAULT, ("IBUSERR",), what)

    def stack(self, status: str, error: StackError, during: str) -> FaultCause:
        """A frame on a stack that is not memory, or not granted; ``status`` is STKERR or UNSTKERR."""
        if error.overflow:
            what = f"{during} at {error.address:#010x} goes below the stack limit"
            return FaultCause(cortex_m.USAGE_FAULT, ("STKOF",), what)
        if not error.denied:
            what = f"{during} at {error.address:#010x}, where there is no memory"
            return FaultCause(cortex_m.BUS_FAULT, (status,), what)
        privileged = not error.exc_return & 8 or not self._p.cpu.read(SPECIAL.control) & 1
        right = WRITE if status == "STKERR" else READ
        protection = self._enforcer.map_now()
        shut = protection.shut_at(error.address, right, privileged=privileged)
        if shut is not None:
            return FaultCause(cortex_m.BUS_FAULT, (status,), f"{during} at {error.address:#010x}, {shut.why}")
        why = protection.why(error.address, right, privileged=privileged)
        return FaultCause(cortex_m.MEM_MANAGE, (f"M{status}",), f"{during} at {error.address:#010x}, {why}")

    def invalid_return(self, exc_return: int, number: int) -> str | None:
        """What forbids a return from this exception (B1.5.8, integrity checks); None: nothing."""
        active = self._p.exceptions.active
        if not active >> number & 1:
            return f"returns from {exception_name(number)}, which is not active"
        if exc_return & 0xFFFF_FFE0 != 0xFFFF_FFE0 or exc_return & 0xF not in (1, 9, 0xD):
            return f"returns with {exc_return:#010x}, which is no EXC_RETURN value"
        others = active & ~(1 << number)
        if exc_return & 8 and others and not self._scs.ccr & _NONBASETHRDENA:
            still = ", ".join(exception_name(each) for each in bits_of(others))
            return f"returns to Thread mode while {still} is active"
        return None
