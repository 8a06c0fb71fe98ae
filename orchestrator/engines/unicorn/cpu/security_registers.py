"""NVIC_ITNS, NSACR and the SAU (DDI0553B D1.2): storage; everything runs Secure here."""

from __future__ import annotations

from orchestrator.engines.unicorn.cpu.register_table import Read, Registers, Storage, Write, constant

__all__ = ["security_registers"]

_NSACR_FP = 3 << 10
_SAU_REGIONS = 8
_SAU_RNR = 0xDD8
_REGION_KEYS = 0x1_0000  # in the storage, behind every offset: two words for each region


def security_registers(storage: Storage, interrupts: int, *, has_fpu: bool) -> Registers:
    """By offset, for a core with the Security Extension."""
    table: Registers = {
        0xD8C: storage.register(0xD8C, _NSACR_FP if has_fpu else 0),
        0xDD0: storage.register(0xDD0, 3),
        0xDD4: constant(_SAU_REGIONS),
        _SAU_RNR: storage.register(_SAU_RNR, 0xFF),
        0xDDC: _sau_region(storage, 0, 0xFFFF_FFE0),
        0xDE0: _sau_region(storage, 1, 0xFFFF_FFE3),
    }
    for index in range((interrupts + 31) // 32):
        implemented = min(32, interrupts - 32 * index)
        table[0x380 + 4 * index] = storage.register(0x380 + 4 * index, (1 << implemented) - 1)
    return table


def _sau_region(storage: Storage, word: int, mask: int) -> tuple[Read, Write]:
    """SAU_RBAR or SAU_RLAR of the region that SAU_RNR names."""

    def number() -> int:
        return storage.words.get(_SAU_RNR, 0)

    def key() -> int:
        return _REGION_KEYS + 2 * number() + word

    def write(value: int) -> None:
        if number() < _SAU_REGIONS:
            storage.words[key()] = value & mask

    return (lambda: storage.words.get(key(), 0)), write
