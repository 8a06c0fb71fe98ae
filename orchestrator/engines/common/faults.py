"""Faults of a core, decoded from its fault status registers (DDI0403E B3.2.15 to B3.2.18) and its exception frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TranslationError
from orchestrator.base.memory import Memory
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import backtrace_of, symbol_of
from orchestrator.engines.common.cortex_m import CFSR_BITS, HFSR_BITS
from orchestrator.events import Fault, Frame
from orchestrator.formats.elf import Image

__all__ = ["FaultStatus", "describe_fault", "interrupted_registers", "read_fault_status"]

_STACKED = ("R0", "R1", "R2", "R3", "R12", "LR", "PC", "XPSR")


@dataclass(frozen=True, slots=True)
class FaultStatus:
    """What a fault was: the names of CFSR's and HFSR's set bits, and the address of the access where it is known."""

    names: tuple[str, ...]
    address: int | None

    @property
    def is_escalated(self) -> bool:
        """Whether a fault that cannot be taken as itself became a HardFault (HFSR.FORCED)."""
        return "FORCED" in self.names

    def __str__(self) -> str:
        return ", ".join(self.names) + ("" if self.address is None else f" at {self.address:#010x}")


def read_fault_status(word: Callable[[int], int]) -> FaultStatus:
    """``word(address)`` reads a register of the System Control Space as the core sees it; reading changes none."""
    cfsr, hfsr = word(cortex_m.CFSR), word(cortex_m.HFSR)
    names = [name for name, bit in CFSR_BITS.items() if cfsr >> bit & 1]
    names += [name for name, bit in HFSR_BITS.items() if hfsr >> bit & 1]
    address = None
    if "MMARVALID" in names:
        address = word(cortex_m.MMFAR)
    elif "BFARVALID" in names:
        address = word(cortex_m.BFAR)
    return FaultStatus(tuple(names), address)


def describe_fault(
    exception: int,
    status: FaultStatus,
    what: str,
    registers: Mapping[str, int],
    memory: Memory,
    images: Sequence[Image],
    *,
    escalated: bool,
    traced: bool = True,
) -> Fault:
    """The event; ``registers`` are those of the code that is at fault, ``what`` one line for people, and the backtrace
    no more than the first frame unless it is ``traced``.
    """
    pc = registers["PC"]
    symbol = symbol_of(images, pc)
    return Fault(
        cortex_m.exception_name(exception),
        status.names,
        status.address,
        pc,
        symbol,
        what,
        escalated,
        registers,
        backtrace_of(registers, memory, images) if traced else (Frame(pc, symbol),),
    )


def interrupted_registers(handler: Mapping[str, int], memory: Memory) -> dict[str, int]:
    """From registers at a handler's first instruction, and the main stack's frame, those before the exception
    (DDI0403E B1.5.6); the handler's where the frame is out of reach.
    """
    registers = dict(handler)
    exc_return, frame = handler["LR"], handler["SP"]
    if exc_return & cortex_m.EXC_RETURN_PROCESS:
        return registers
    try:
        data = memory.read(frame, cortex_m.FRAME_BYTES)
    except TranslationError:
        return registers
    words = (int.from_bytes(data[at : at + 4], "little") for at in range(0, cortex_m.FRAME_BYTES, 4))
    registers |= dict(zip(_STACKED, words, strict=True))
    registers["SP"] = registers["MSP"] = frame + cortex_m.frame_size(exc_return, registers["XPSR"])
    return registers
