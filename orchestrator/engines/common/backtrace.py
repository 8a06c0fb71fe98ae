"""Who called whom, from registers and memory: unwind tables first, a scan of the stack where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Memory
from orchestrator.engines.common.cortex_m import EXC_RETURN_PROCESS, FIRST_EXC_RETURN, frame_size
from orchestrator.events import Backtrace, Frame
from orchestrator.formats.elf import Image

__all__ = ["backtrace_of", "symbol_of"]

_MAX_FRAMES = 32
_SCAN_WORDS = 256
_NAMES = [f"R{number}" for number in range(13)] + ["SP", "LR", "PC"]


def symbol_of(images: Sequence[Image], address: int) -> str | None:
    """``function+0x12`` in whichever image knows the address."""
    for image in images:
        symbol = image.symbol_at(address)
        if symbol is not None:
            return symbol
    return None


def _word(memory: Memory, address: int) -> int | None:
    try:
        return int.from_bytes(memory.read(address, 4), "little")
    except RptwinError:
        return None


def backtrace_of(registers: Mapping[str, int], memory: Memory, images: Sequence[Image]) -> Backtrace:
    """Innermost first; exception frames are followed to the code that was interrupted (DDI0403E B1.5.6)."""
    values: dict[int, int] = {number: registers[name] for number, name in enumerate(_NAMES)}
    banked = {"MSP": registers["MSP"], "PSP": registers["PSP"]}
    frames = [Frame(values[15], symbol_of(images, values[15]))]
    innermost = True
    while len(frames) < _MAX_FRAMES:
        rule = None
        # A return address points after the call: the call itself is in the function.
        lookup = values[15] if innermost else values[15] - 2
        for image in images:
            rule = image.unwind_rule(lookup)
            if rule is not None:
                break
        if rule is not None and rule.is_outermost:
            break
        if rule is None or rule.cfa_register not in values:
            return (*frames, *_scan(values, memory, images, innermost))
        cfa = (values[rule.cfa_register] + rule.cfa_offset) & 0xFFFF_FFFF
        caller = dict(values)
        for register, offset in rule.saved.items():
            word = _word(memory, (cfa + offset) & 0xFFFF_FFFF)
            if word is None:
                return tuple(frames)
            caller[register] = word
        offset_of_return = rule.return_address_offset
        if offset_of_return is None and not innermost:
            break  # it called and did not save where it came from: it does not return
        link = caller[14] if offset_of_return is None else _word(memory, (cfa + offset_of_return) & 0xFFFF_FFFF)
        if link is None or (link == values[15] | 1 and cfa == values[13]):
            break
        values = caller
        values[13] = cfa
        innermost = False
        if link >= FIRST_EXC_RETURN:
            frame = banked["PSP"] if link & EXC_RETURN_PROCESS else cfa
            if not _unstack(values, frame, link, memory):
                break
            innermost = True
        else:
            values[15] = link & ~1
        if symbol_of(images, values[15]) is None:
            break
        frames.append(Frame(values[15], symbol_of(images, values[15])))
    return tuple(frames)


def _unstack(values: dict[int, int], frame: int, exc_return: int, memory: Memory) -> bool:
    words = [_word(memory, frame + 4 * index) for index in range(8)]
    if any(word is None for word in words):
        return False
    known = [word or 0 for word in words]
    for register, word in zip((0, 1, 2, 3, 12, 14), known, strict=False):
        values[register] = word
    values[15] = known[6] & ~1
    values[13] = frame + frame_size(exc_return, known[7])
    return True


def _scan(values: Mapping[int, int], memory: Memory, images: Sequence[Image], innermost: bool) -> list[Frame]:
    """LR, then stack words that point after a call: a guess, and marked so."""
    found = []
    candidates = [values[14]] if innermost else []
    candidates += [_word(memory, values[13] + 4 * index) or 0 for index in range(_SCAN_WORDS)]
    for word in candidates:
        if word & 1 and word < FIRST_EXC_RETURN and _after_call(word & ~1, memory):
            symbol = symbol_of(images, word & ~1)
            if symbol is not None:
                found.append(Frame(word & ~1, symbol, guess=True))
    return found[: _MAX_FRAMES // 2]


def _after_call(address: int, memory: Memory) -> bool:
    """BL (T1) or BLX (register) stands before this address (DDI0403E A7.7.18, A7.7.19)."""
    try:
        code = memory.read(address - 4, 4)
    except RptwinError:
        return False
    first, second = int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little")
    return (first & 0xF800 == 0xF000 and second & 0xD000 == 0xD000) or second & 0xFF87 == 0x4780
