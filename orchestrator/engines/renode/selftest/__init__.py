"""Whether a Renode does what the engine relies on. Out: sentences that say what is missing, none where nothing is.

A program of a dozen instructions stores a word, takes an interrupt and reads where nothing is modelled. Whoever sees
all three in the engine's events is not deaf: hooks of memory, hooks of exceptions and the log of this Renode work.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Engine, EngineOptions
from orchestrator.engines.renode.engine import RenodeEngine
from orchestrator.events import Changed, Event, ExceptionTaken, UnmodelledAccess
from orchestrator.formats.elf import Image, parse_elf
from orchestrator.platform.model import Platform
from orchestrator.platform.resolve import load_platform

__all__ = ["program", "self_test"]

_CORE, _RUN_NS = "cpu", 1_000_000
_STORED_AT, _STORED, _INTERRUPT, _NOTHING_AT = 0x800, 42, 3, 0x5000_0000
_VECTORS = 20
_RESET, _HANG, _HANDLER = 0x50, 0x6A, 0x6C
_CODE = bytes.fromhex(
    "4ff40060"  # 50: mov.w r0, #0x800
    "2a21"  # movs r1, #42
    "0160"  # str r1, [r0]       the store
    "0548"  # ldr r0, [pc, #20]  NVIC_ISER0
    "0821"  # movs r1, #8
    "0160"  # str r1, [r0]
    "ff30"  # adds r0, #255
    "0130"  # adds r0, #1        NVIC_ISPR0
    "0160"  # str r1, [r0]       the interrupt
    "4ff0a040"  # mov.w r0, #0x50000000
    "0168"  # ldr r1, [r0]       what nobody models
    "fee7"  # 6a: b .
    "7047"  # 6c: bx lr          the handler
    "00bf"  # nop
    "00e100e0"  # NVIC_ISER0
)


def program() -> Image:
    """The program as an ELF file of one segment."""
    vectors = [0x1000, *[_HANG | 1] * (_VECTORS - 1)]
    vectors[1], vectors[16 + _INTERRUPT] = _RESET | 1, _HANDLER | 1
    code = struct.pack(f"<{_VECTORS}I", *vectors) + _CODE
    # Elf32_Ehdr and Elf32_Phdr (ELF, figures 1-3 and 2-1): ET_EXEC, EM_ARM, one PT_LOAD that can be read and executed.
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    header = ident + struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, _RESET | 1, 52, 0, 0x0500_0000, 52, 32, 1, 40, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 84, 0, 0, len(code), len(code), 5, 4)
    return parse_elf(header + segment + code, path=Path("self-test.elf"), name="self-test.elf")


def self_test(create: Callable[[Platform, EngineOptions], Engine] = RenodeEngine) -> list[str]:
    """Start the Renode that is found and try it; EngineError where that is as far as it goes."""
    platform = load_platform(str(Path(__file__).parent / "board.repl"))
    engine = create(platform, EngineOptions())
    events: list[Event] = []
    try:
        engine.load(_CORE, program(), 0)
        engine.subscribe(events.append)
        engine.watch("word", _CORE, Extent(_STORED_AT, 4))
        engine.run(_RUN_NS)
        stored = int.from_bytes(engine.memory(_CORE).read(_STORED_AT, 4), "little")
    finally:
        engine.close()
    details = [event.detail for event in events if event.core == _CORE]
    if stored != _STORED:
        return [f"its core does not execute: a program has not stored {_STORED}, there is {stored}"]
    missing = []
    if Changed("word") not in details:
        missing.append("no store is told: its hooks of memory are other ones")
    if not any(isinstance(each, ExceptionTaken) and each.number == 16 + _INTERRUPT for each in details):
        missing.append("no interrupt is told: its hooks of exceptions are other ones")
    if not any(isinstance(each, UnmodelledAccess) and each.address == _NOTHING_AT for each in details):
        missing.append("no line of its log is understood: its log is another one")
    return missing
