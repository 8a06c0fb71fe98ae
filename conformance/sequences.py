"""Random Thumb sequences with interrupts that they pend themselves, for both implementations to execute.

A seed gives always the same sequences. They are straight-line: data processing, IT blocks, loads and stores of scratch
memory, SVC, PRIMASK, and stores to STIR, behind which the interrupt is due at that very instruction.

For two cores the other one rings doorbells and changes scratch memory, when the sequence asks for it: in SVC, whose
handler waits and so holds the doorbell back until it returns, or with interrupts masked, so that it is due at the
instruction that unmasks.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["MOST_AT_ONCE", "Sequence", "generate", "pack"]

MOST_AT_ONCE = 64  # as injected.c has room for
_SCRATCH_WORDS, _CODE_HALVES = 16, 128
_LENGTH = 24  # instructions, about
_LONGEST = 19  # halfwords that one round of the loop may add, and the return
_NOP, _YIELD, _BX_LR, _CPSID, _CPSIE, _SVC = 0xBF00, 0xBF10, 0x4770, 0xB672, 0xB662, 0xDF00
_MASK_BITS = 7  # of what the other core can do: two doorbells, a store
# WANTED (injected.c) = r11, and wait until it is zero. MOVW, MOVT r12; STR r11; loop: LDR r11; CMP; YIELD; BNE
_ASK = (0xF240, 0x0C00, 0xF6C3, 0x0C20, 0xF8CC, 0xB000, 0xF8DC, 0xB000, 0xF1BB, 0x0F00, _YIELD, 0xD1F9)
_PEND = (0xF8C8, 0x9000)  # STR.W r9, [r8]: r8 is the address of STIR
_LOW = range(7)  # r7 is the scratch memory
_FREE = (*_LOW, 10, 11, 12)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Registers r0 to r12, priorities of four interrupts, scratch memory and code."""

    registers: tuple[int, ...]
    priorities: tuple[int, ...]
    scratch: tuple[int, ...]
    code: tuple[int, ...]

    def packed(self, *, yields: bool) -> bytes:
        """``struct sequence`` of injected.c; without effect a YIELD only keeps an engine from skipping the wait."""
        code = [*self.code, *[_NOP] * (_CODE_HALVES - len(self.code))]
        if not yields:
            code = [_NOP if half == _YIELD else half for half in code]
        return struct.pack(
            f"<13I4B{_SCRATCH_WORDS}I{_CODE_HALVES}H", *self.registers, *self.priorities, *self.scratch, *code
        )

    def listing(self) -> str:
        """The code as halfwords."""
        return " ".join(f"{half:04x}" for half in self.code)


def pack(sequences: Iterable[Sequence], *, yields: bool = False) -> bytes:
    """What stands at ``injected``."""
    return b"".join(sequence.packed(yields=yields) for sequence in sequences)


def generate(seed: int, count: int, *, cores: int = 1) -> list[Sequence]:
    """The first ``count`` sequences of a seed; with two cores those with even numbers are for the first one."""
    if cores == 1:
        return [_sequence(random.Random(f"{seed}/{index}")) for index in range(count)]
    return [_asking(random.Random(f"{seed}/{index}/two"), dsp=index % 2 == 1) for index in range(count)]


def _sequence(chance: random.Random) -> Sequence:
    registers = [chance.choice((0, 1, 0xFFFF_FFFF, chance.getrandbits(32), chance.getrandbits(5))) for _ in range(13)]
    registers[9] = chance.randrange(4)
    priorities = tuple(chance.choice((0x00, 0x40, 0x80, 0xFF)) for _ in range(4))
    scratch = tuple(chance.getrandbits(32) for _ in range(_SCRATCH_WORDS))
    code = [_NOP]  # between data and an IT block, which is not certain to be one without (docs/decisions.md)
    masked = False
    for _ in range(_LENGTH):
        kind = chance.random()
        if kind < 0.2:
            code += _block(chance)
        elif kind < 0.32:
            code += _PEND
        elif kind < 0.36 and not masked:
            code.append(_SVC | chance.getrandbits(8))
        elif kind < 0.44:
            masked = not masked
            code.append(_CPSID if masked else _CPSIE)
        elif kind < 0.7:
            code.append(_narrow(chance))
        else:
            code += _wide(chance)
    return Sequence(tuple(registers), priorities, scratch, (*code, _BX_LR))


def _asking(chance: random.Random, *, dsp: bool) -> Sequence:
    """A sequence to which the other core belongs."""
    plain = _sequence(chance)
    code = [_NOP]
    masked = False
    while len(code) < _CODE_HALVES - _LONGEST:
        kind = chance.random()
        if kind < 0.1:
            code += _block(chance)
        elif kind < 0.2:
            code += _PEND
        elif kind < 0.4:
            code += _asks(chance, masked=masked)
        elif kind < 0.48:
            code += _exclusive(chance, masked=masked)
        elif kind < 0.6:
            masked = not masked
            code.append(_CPSID if masked else _CPSIE)
        elif kind < 0.8:
            code.append(_narrow(chance))
        else:
            code += _wide(chance, dsp=dsp)
    return Sequence(plain.registers, plain.priorities, plain.scratch, (*code, _BX_LR))


def _asks(chance: random.Random, *, masked: bool) -> tuple[int, ...]:
    """The other core does something, and has done it behind this."""
    what = chance.randrange(1, _MASK_BITS + 1)
    if not masked:
        return (_SVC | what,)
    return 0xF04F, 0x0B00 | what, *_ASK  # MOV.W r11, #what


def _exclusive(chance: random.Random, *, masked: bool) -> tuple[int, ...]:
    """LDREX r0, [r7]; what may break it; STREX r1, r2, [r7]."""
    between = _asks(chance, masked=masked) if chance.random() < 0.6 else (_NOP,)
    return 0xE857, 0x0F00, *between, 0xE847, 0x2100


def _narrow(chance: random.Random) -> int:
    """A 16-bit instruction that may stand in an IT block too."""
    destination, other = chance.choice(_LOW), chance.randrange(8)
    kind = chance.randrange(6)
    if kind == 0:  # LSL, LSR, ASR by a number
        return chance.randrange(3) << 11 | chance.randrange(32) << 6 | other << 3 | destination
    if kind == 1:  # ADD, SUB of three
        return 0x1800 | chance.randrange(4) << 9 | chance.randrange(8) << 6 | other << 3 | destination
    if kind == 2:  # MOV, CMP, ADD, SUB of a byte
        return 0x2000 | chance.randrange(4) << 11 | destination << 8 | chance.getrandbits(8)
    if kind == 3:  # AND to MVN
        return 0x4000 | chance.randrange(16) << 6 | other << 3 | destination
    opcode, most = chance.choice(((0x6000, 16), (0x7000, 32), (0x8000, 32)))  # STR, STRB, STRH and loads
    return opcode | chance.getrandbits(1) << 11 | chance.randrange(most) << 6 | 7 << 3 | destination


def _wide(chance: random.Random, *, dsp: bool = True) -> tuple[int, int]:
    first, second, third = (chance.choice(_FREE) for _ in range(3))
    kind = chance.randrange(8) if dsp else chance.choice((0, 1, 2, 5, 6, 7))
    if kind == 0:  # AND, ORR, EOR, ADD, ADC, SBC, SUB, RSB, shifted, with flags or without
        opcode = chance.choice((0xEA00, 0xEA40, 0xEA80, 0xEB00, 0xEB40, 0xEB60, 0xEBA0, 0xEBC0))
        shift = chance.randrange(8) << 12 | chance.randrange(16) << 4
        return opcode | chance.getrandbits(1) << 4 | first, shift | second << 8 | third
    if kind == 1:  # SDIV, UDIV
        return chance.choice((0xFB90, 0xFBB0)) | first, 0xF0F0 | second << 8 | third
    if kind == 2:  # UMULL, SMULL
        low, high = chance.sample(_FREE, 2)
        return chance.choice((0xFB80, 0xFBA0)) | first, low << 12 | high << 8 | third
    if kind == 3:  # SADD8, UADD8, SSUB16 (GE), SEL
        opcode, low = chance.choice(((0xFA80, 0xF000), (0xFA80, 0xF040), (0xFAD0, 0xF000), (0xFAA0, 0xF080)))
        return opcode | first, low | second << 8 | third
    if kind == 4:  # QADD, QSUB (Q)
        return 0xFA80 | first, 0xF000 | chance.choice((0x80, 0xA0)) | second << 8 | third
    if kind == 5:  # CLZ, RBIT
        return chance.choice(
            ((0xFAB0 | first, 0xF080 | second << 8 | first), (0xFA90 | first, 0xF0A0 | second << 8 | first))
        )
    if kind == 6:  # LDRD, STRD
        low, high = chance.sample(_FREE, 2)
        return 0xE9C7 | chance.getrandbits(1) << 4, low << 12 | high << 8 | chance.randrange(_SCRATCH_WORDS - 1)
    registers = sum(1 << register for register in chance.sample(_LOW, chance.randrange(2, 6)))
    return 0xE887 | chance.getrandbits(1) << 4, registers  # LDM, STM of r7


def _block(chance: random.Random) -> list[int]:
    """IT and what it makes conditional: with a pend inside all of one condition, as the engine is exact there."""
    count = chance.randrange(1, 5)
    condition = chance.randrange(14)
    pends = chance.random() < 0.5
    low = condition & 1
    mask = 0
    for position in range(count - 1):
        bit = low if pends else chance.getrandbits(1)
        mask |= bit << (3 - position)
    mask |= 1 << (4 - count)
    code = [0xBF00 | condition << 4 | mask]
    pending = chance.randrange(count) if pends else -1
    for position in range(count):
        code += _PEND if position == pending else (_narrow(chance),)
    return code
