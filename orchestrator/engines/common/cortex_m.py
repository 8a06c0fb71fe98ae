"""Exceptions of a Cortex-M as the architecture names and numbers them, whoever executes it.

Armv7-M Architecture Reference Manual (DDI0403E) B1.5.2 and B3.2. Numbers are those of IPSR: 16 is external interrupt 0.
"""

from __future__ import annotations

import functools

from orchestrator.base.dataclass import dataclass

__all__ = ["BUS_FAULT", "CACHES", "CFSR_BITS", "DEBUG_MONITOR", "EXCEPTION_NAMES", "FIRST_INTERRUPT", "HARD_FAULT"]
__all__ += ["HFSR_BITS", "MEM_MANAGE", "NMI", "NO_CACHES", "PEND_SV", "RESET", "SECURE_FAULT", "SV_CALL", "SYS_TICK"]
__all__ += ["BFAR", "CFSR", "HFSR", "ICSR", "MMFAR", "USAGE_FAULT", "Caches"]
__all__ += ["EXC_RETURN_NO_FP", "EXC_RETURN_PROCESS", "EXC_RETURN_THREAD", "FIRST_EXC_RETURN", "FP_FRAME_BYTES"]
__all__ += ["FRAME_BYTES", "XPSR_ALIGNED", "XPSR_THUMB", "exception_name", "frame_size"]

RESET, NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT = 1, 2, 3, 4, 5, 6
SV_CALL, DEBUG_MONITOR, PEND_SV, SYS_TICK = 11, 12, 14, 15
SECURE_FAULT = 7  # Armv8-M
FIRST_INTERRUPT = 16
EXCEPTION_NAMES = {
    RESET: "Reset",
    NMI: "NMI",
    HARD_FAULT: "HardFault",
    MEM_MANAGE: "MemManage",
    BUS_FAULT: "BusFault",
    USAGE_FAULT: "UsageFault",
    SV_CALL: "SVCall",
    DEBUG_MONITOR: "DebugMonitor",
    PEND_SV: "PendSV",
    SYS_TICK: "SysTick",
}

# Fault status (DDI0403E B3.2.15, B3.2.16): bit positions in CFSR and HFSR by name.
CFSR_BITS = {
    "IACCVIOL": 0,
    "DACCVIOL": 1,
    "MUNSTKERR": 3,
    "MSTKERR": 4,
    "MLSPERR": 5,
    "MMARVALID": 7,
    "IBUSERR": 8,
    "PRECISERR": 9,
    "IMPRECISERR": 10,
    "UNSTKERR": 11,
    "STKERR": 12,
    "LSPERR": 13,
    "BFARVALID": 15,
    "UNDEFINSTR": 16,
    "INVSTATE": 17,
    "INVPC": 18,
    "NOCP": 19,
    "STKOF": 20,
    "UNALIGNED": 24,
    "DIVBYZERO": 25,
}
HFSR_BITS = {"VECTTBL": 1, "FORCED": 30, "DEBUGEVT": 31}

# Registers of the System Control Space by address (DDI0403E table B3-4).
ICSR, CFSR, HFSR, MMFAR, BFAR = 0xE000_ED04, 0xE000_ED28, 0xE000_ED2C, 0xE000_ED34, 0xE000_ED38

# EXC_RETURN (B1.5.8): what a handler finds in LR and returns by.
FIRST_EXC_RETURN = 0xFFFF_FF00
EXC_RETURN_PROCESS, EXC_RETURN_THREAD, EXC_RETURN_NO_FP = 1 << 2, 1 << 3, 1 << 4

XPSR_ALIGNED, XPSR_THUMB = 1 << 9, 1 << 24  # of a stacked xPSR: a word lies above the frame; of any
FRAME_BYTES, FP_FRAME_BYTES = 0x20, 0x68  # of an exception frame (B1.5.6), without and with floating-point registers


@dataclass(frozen=True, slots=True)
class Caches:
    """What a core with caches says of them: CLIDR, CTR and CCSIDR (DDI0403E B4.8)."""

    clidr: int
    ctr: int
    ccsidr: tuple[int, int]  # data, instruction: as CSSELR selects


NO_CACHES = Caches(0, 0, (0, 0))
CACHES = {  # by Renode's name of the CPU model
    # DDI0489F, 3.3: 16 KB each, data 4-way, instruction 2-way, lines of 32 bytes
    "cortex-m7": Caches(0x09000003, 0x8303C003, (0xF00FE019, 0xF01FE009)),
}


@functools.cache
def exception_name(number: int) -> str:
    """The architecture's name, or ``IRQ n``."""
    if number >= FIRST_INTERRUPT:
        return f"IRQ {number - FIRST_INTERRUPT}"
    return EXCEPTION_NAMES.get(number, f"exception {number}")


def frame_size(exc_return: int, xpsr: int) -> int:
    """Bytes from an exception frame to what the stack held before it, by its EXC_RETURN and its stacked xPSR."""
    size = FRAME_BYTES if exc_return & EXC_RETURN_NO_FP else FP_FRAME_BYTES
    return size + (4 if xpsr & XPSR_ALIGNED else 0)
