"""What a fault was, from what tlib raised, where, and what the fault status registers say.

Those keep what firmware has not cleared; what was raised says which of their bits are of this fault. The words are
those of the Unicorn engine.
"""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.cortex_m import CFSR_BITS
from orchestrator.engines.common.faults import FaultStatus
from orchestrator.engines.renode.thumb import access_of

__all__ = ["BKPT", "SVC", "Cause", "Raised", "cause_of"]

# tlib's classes of exceptions that a core raises itself (arch/arm/cpu.h), and what they set.
_UNDEFINED, SVC, _PREFETCH_ABORT, _DATA_ABORT, BKPT, _NOCP, _INVSTATE, _DIVISION, _BUS_FAULT = (
    *(1, 2, 3, 4, 7),
    *(17, 18, 20, 21),
)
_SETS = {
    _UNDEFINED: ("UNDEFINSTR",),
    _PREFETCH_ABORT: ("IACCVIOL",),
    _DATA_ABORT: ("DACCVIOL", "MMARVALID"),
    _NOCP: ("NOCP",),
    _INVSTATE: ("INVSTATE",),
    _DIVISION: ("DIVBYZERO",),
    _BUS_FAULT: ("PRECISERR", "BFARVALID"),
}
# What has no status of its own where it cannot be taken: the bit of HFSR, and in words.
_HARD = {
    SVC: ("FORCED", "SVC at a priority that SVCall cannot preempt"),
    BKPT: ("DEBUGEVT", "BKPT with no debugger attached"),
}
_WORDS = {
    "INVSTATE": "branches to an even address: not Thumb code",
    "DIVBYZERO": "divides by zero, which CCR.DIV_0_TRP traps",
}
_FLOATING_POINT = "uses the floating-point unit, which is off (CPACR)"
_COPROCESSOR = "uses a coprocessor that is absent or switched off"


@dataclass(frozen=True, slots=True)
class Raised:
    """What a core raised: tlib's class of it, the instruction and its first bytes, and when."""

    kind: int
    pc: int
    code: bytes
    at_ns: int


@dataclass(frozen=True, slots=True)
class Cause:
    """``exception`` is what it was before any escalation."""

    exception: int
    status: FaultStatus
    what: str
    escalated: bool


def cause_of(number: int, status: FaultStatus, raised: Raised | None) -> Cause:
    """Of the exception that is taken, or that cannot be; ``raised``: None where the core raised nothing itself."""
    if raised is not None and raised.kind in _HARD:
        bit, what = _HARD[raised.kind]
        return Cause(cortex_m.HARD_FAULT, FaultStatus((bit,), None), what, escalated=False)
    own = tuple(name for name in status.names if name in CFSR_BITS)
    if raised is not None:
        own = tuple(name for name in own if name in _SETS.get(raised.kind, ())) or own
    if not own:
        return Cause(number, status, str(status) or cortex_m.exception_name(number), escalated=False)
    kept = FaultStatus(own, status.address if any(name.endswith("VALID") for name in own) else None)
    exception = _exception_of(own[0])
    return Cause(exception, kept, _words(kept, raised), escalated=number == cortex_m.HARD_FAULT)


def _exception_of(name: str) -> int:
    bit = CFSR_BITS[name]
    return cortex_m.MEM_MANAGE if bit < 8 else cortex_m.BUS_FAULT if bit < 16 else cortex_m.USAGE_FAULT


def _words(status: FaultStatus, raised: Raised | None) -> str:
    code = b"" if raised is None else raised.code
    first = int.from_bytes(code[:2], "little")
    if "PRECISERR" in status.names and status.address is not None:
        access = access_of(code)
        if access is not None:
            return f"{access.verb} {access.size} bytes at {status.address:#010x}, where this chip has nothing"
    if "UNDEFINSTR" in status.names:
        return f"executes the undefined instruction {first:#06x}"
    if "NOCP" in status.names:  # coprocessors 10 and 11 are the floating-point unit (A6.1)
        return _FLOATING_POINT if code[3:4] and code[3] & 0xE == 0xA else _COPROCESSOR
    return next((_WORDS[name] for name in status.names if name in _WORDS), str(status))
