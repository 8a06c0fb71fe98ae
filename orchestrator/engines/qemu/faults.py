"""Faults and lockups as QEMU shows them: a breakpoint on each handler, and registers in a last dump."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.memory import Memory
from orchestrator.engines.common.cortex_m import HARD_FAULT, SECURE_FAULT, exception_name
from orchestrator.engines.common.faults import FaultStatus, describe_fault, interrupted_registers, read_fault_status
from orchestrator.engines.qemu import log
from orchestrator.events import Fault
from orchestrator.formats.elf import Image

__all__ = ["fault_at_handler", "fault_handlers", "lockup_registers", "with_missing"]

_NOT_GIVEN = ("MSP", "PSP", "PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")  # by the stub of QEMU 7.2
_DUMPED = {f"R{number:02}": name for number, name in enumerate((*(f"R{n}" for n in range(13)), "SP", "LR", "PC"))}


def with_missing(registers: Mapping[str, int]) -> dict[str, int]:
    """Those that the stub gives, and the rest as the contract has them: MSP is SP, the others are 0."""
    return {**registers, **dict.fromkeys(_NOT_GIVEN, 0), "MSP": registers["SP"]}


def fault_handlers(image: Image, vector_table: int) -> set[int]:
    """Where HardFault to SecureFault begin, by the image's own table."""
    found = set()
    for number in range(HARD_FAULT, SECURE_FAULT + 1):
        data = _bytes_at(image, vector_table + 4 * number)
        address = int.from_bytes(data, "little")
        if address & 1:
            found.add(address & ~1)
    return found


def _bytes_at(image: Image, address: int) -> bytes:
    for segment in image.segments:
        offset = address - segment.load_address
        if 0 <= offset <= len(segment.data) - 4:
            return segment.data[offset : offset + 4]
    return b""


def fault_at_handler(
    handler: Mapping[str, int],
    word: Callable[[int], int],
    memory: Memory,
    images: Sequence[Image],
    missed: log.Missed | None,
) -> Fault | None:
    """At the first instruction of a handler: what led there; None for an exception that is no fault.

    ``word`` reads a register of the core's System Control Space, ``missed`` is the last access that found nothing.
    """
    number = handler["XPSR"] & 0x1FF
    if not HARD_FAULT <= number <= SECURE_FAULT:
        return None
    status = read_fault_status(word)
    what = _in_words(status, missed) or exception_name(number)
    registers = interrupted_registers({**dict.fromkeys(_NOT_GIVEN, 0), **handler, "MSP": handler["SP"]}, memory)
    return describe_fault(number, status, what, registers, memory, images, escalated=status.is_escalated)


def _in_words(status: FaultStatus, missed: log.Missed | None) -> str:
    if missed is not None and missed.address == status.address:
        verb = "reads" if missed.reads else "writes"
        return f"{verb} {missed.size} bytes at {missed.address:#010x}, where this chip has nothing"
    return str(status)


def lockup_registers(dumped: Mapping[str, int]) -> dict[str, int]:
    """As the contract names them, from QEMU's last dump."""
    found = {_DUMPED.get(name, name): value for name, value in dumped.items()}
    registers = {name: found.get(name, 0) for name in (*_DUMPED.values(), "XPSR", *_NOT_GIVEN)}
    registers["MSP"] = registers["SP"]
    return registers
