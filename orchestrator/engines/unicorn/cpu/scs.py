"""The System Control Space of a core: SCB, NVIC, SysTick and MPU registers at 0xE000E000 (DDI0403E B3.2 to B3.5).

Registers are views of :class:`~orchestrator.engines.unicorn.cpu.nvic.ExceptionState`, of SysTick, and of the words kept
here. What a core does with them it asks for: fault status, vector table, enables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from orchestrator.base.memory import Extent
from orchestrator.engines.common.cortex_m import (
    BUS_FAULT,
    CACHES,
    DEBUG_MONITOR,
    FIRST_INTERRUPT,
    MEM_MANAGE,
    NMI,
    NO_CACHES,
    PEND_SV,
    SV_CALL,
    SYS_TICK,
    USAGE_FAULT,
    Caches,
)
from orchestrator.engines.unicorn.cpu.mpu import Mpu
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.systick import SysTick
from orchestrator.events import CACHE_BLOCK, DataCache

__all__ = ["CorePort", "Features", "SystemControlSpace", "features_of"]

SIZE = 0x1000

_SHCSR_ACTIVE = {0: MEM_MANAGE, 1: BUS_FAULT, 3: USAGE_FAULT, 7: SV_CALL, 8: DEBUG_MONITOR, 10: PEND_SV, 11: SYS_TICK}
_SHCSR_PENDING = {12: USAGE_FAULT, 13: MEM_MANAGE, 14: BUS_FAULT, 15: SV_CALL}
_VECTKEY, _VECTKEYSTAT = 0x05FA, 0xFA05
_CPACR_FP = 0xF << 20
_NSACR_FP = 3 << 10
_AIRCR_SECURITY = 0x6008  # PRIS, BFHFNMINS, SYSRESETREQS (DDI0553B)
_SAU_REGIONS = 8
_DC = 1 << 16  # CCR: the data cache is on
_BY_ADDRESS = (0xF5C, 0xF64, 0xF68, 0xF70)  # DCIMVAC, DCCMVAU, DCCMVAC, DCCIMVAC (DDI0403E B3.2.3)
_BY_SET_WAY = (0xF60, 0xF6C, 0xF74)  # DCISW, DCCSW, DCCISW
_TRAPS = 0x18  # CCR.UNALIGN_TRP and DIV_0_TRP


@dataclass(frozen=True, slots=True)
class Features:
    """What differs between CPU models: identification registers of their Technical Reference Manuals."""

    cpuid: int
    mvfr: tuple[int, int, int]
    isar: tuple[int, int, int, int, int]
    mpu_regions: int = 8
    armv8: bool = False
    caches: Caches = NO_CACHES

    @property
    def has_cache(self) -> bool:
        """Whether there are caches to maintain."""
        return self.caches != NO_CACHES


_FEATURES = {
    "cortex-m4": Features(
        0x410FC241, (0, 0, 0), (0x01141110, 0x02111000, 0x21112231, 0x01111110, 0x01310102)
    ),  # 100166, 4.1
    "cortex-m4f": Features(
        0x410FC241, (0x10110021, 0x11000011, 0), (0x01141110, 0x02111000, 0x21112231, 0x01111110, 0x01310102)
    ),
    "cortex-m7": Features(  # DDI0489F, 3.3
        0x411FC271,
        (0x10110221, 0x12000011, 0x00000040),
        (0x01101110, 0x02112000, 0x20232231, 0x01111131, 0x01310132),
        mpu_regions=16,
        caches=CACHES["cortex-m7"],
    ),
    "cortex-m33": Features(
        0x410FD213,
        (0x10110021, 0x11000011, 0x00000040),
        (0x01101110, 0x02212000, 0x20232232, 0x01111131, 0x01310132),
        armv8=True,
    ),  # 100230, 3.1
}


def features_of(model: str, *, fpu: bool = True) -> Features:
    """By Renode's name of the CPU model; without ``fpu`` the chip leaves its floating-point unit out."""
    features = _FEATURES[model]
    return features if fpu else replace(features, mvfr=(0, 0, 0))


class CorePort(Protocol):
    """What the registers need of their core."""

    def systick_now(self) -> int:
        """Ticks of SysTick's clock since power-on."""
        ...

    def reconsider(self) -> None:
        """Exceptions may have changed: look before the next instruction."""
        ...

    def floating_point_changed(self) -> None:
        """CPACR, FPCCR or FPDSCR: what the next floating-point instruction finds."""
        ...

    def traps_changed(self) -> None:
        """CCR.UNALIGN_TRP or DIV_0_TRP."""
        ...

    def protection_changed(self) -> None:
        """What the MPU grants may have changed."""
        ...

    def reset_requested(self) -> None: ...

    def note(self, text: str) -> None: ...

    def unmodelled(self, offset: int, size: int, value: int | None) -> None: ...

    def active_exception(self) -> int:
        """IPSR of the instruction that runs."""
        ...


# Attributes of the System Control Space that are one number each.
_WORDS = (
    *("vtor", "scr", "ccr", "prigroup", "cfsr", "hfsr", "dfsr", "mmfar", "bfar"),
    *("aircr", "cpacr", "fpccr", "fpcar", "fpdscr", "_csselr", "_maintained_all"),
)

Read = Callable[[], int]
Write = Callable[[int], None]


class SystemControlSpace:
    """Registers by offset from 0xE000E000, in words; bytes and halfwords where the architecture has them."""

    def __init__(self, port: CorePort, exceptions: ExceptionState, features: Features, mpu_regions: int | None) -> None:
        self._port = port
        self._exceptions = exceptions
        self._features = features
        count = features.mpu_regions if mpu_regions is None else mpu_regions
        self.mpu = Mpu(count, armv8=features.armv8, changed=port.protection_changed)
        self.systick = SysTick()
        self.vtor_reset = 0
        self.reset()
        self._registers = self._declare()

    def reset(self) -> None:
        """Reset values of DDI0403E table B3-4 and following."""
        self.systick.reset()
        self.vtor = self.vtor_reset
        self.scr = 0
        # STKALIGN is 1 from reset on Cortex-M4 r0p1 and later; on the M7 it cannot be cleared.
        self.ccr = 0x200 | (0x40000 if self._features.has_cache else 0) | self._features.armv8
        self.prigroup = 0
        self.aircr = 0
        self.cfsr = 0
        self.hfsr = 0
        self.dfsr = 0
        self.mmfar = 0
        self.bfar = 0
        self.cpacr = 0
        self.fpccr = 0xC000_0000  # ASPEN, LSPEN
        self.fpcar = 0
        self.fpdscr = 0
        self._csselr = 0
        self._plain: dict[int, int] = {}
        self._maintained: set[int] = set()  # blocks of CACHE_BLOCK bytes, while the data cache was on
        self._maintained_all = False  # by set and way
        self.mpu.reset()

    def save(self) -> dict[str, object]:
        state: dict[str, object] = {name: getattr(self, name) for name in _WORDS}
        state["_plain"] = dict(self._plain)
        state["_maintained"] = frozenset(self._maintained)
        state["mpu"] = self.mpu.save()
        state["systick"] = self.systick.save()
        return state

    def restore(self, state: Mapping[str, object]) -> None:
        for name, value in state.items():
            if isinstance(value, SysTick):
                self.systick.restore(value)
            elif isinstance(value, dict):
                setattr(self, name, dict(value))
            elif isinstance(value, frozenset):
                setattr(self, name, set(value))
            elif isinstance(value, tuple):
                self.mpu.restore(value)
            else:
                setattr(self, name, value)

    @property
    def has_fpu(self) -> bool:
        """Whether there is a floating-point unit at all."""
        return self._features.mvfr[0] != 0

    @property
    def fp_access(self) -> int:
        """CPACR for coprocessors 10 and 11: 0 none, 1 privileged code alone, 3 all (B3.2.20)."""
        return self.cpacr >> 20 & 3

    # --- access

    def read(self, offset: int, size: int) -> int:
        word = offset & ~3
        register = self._registers.get(word)
        if register is None or register[0] is None:
            self._port.unmodelled(offset, size, None)
            return 0
        value = register[0]()
        return value if size == 4 else (value >> 8 * (offset & 3)) & ((1 << 8 * size) - 1)

    def peek(self, offset: int, size: int) -> int:
        """The same for the host: what has no model is 0, and COUNTFLAG stays as it is."""
        register = self._registers.get(offset & ~3)
        if register is None or register[0] is None:
            return 0
        counting, self.systick = self.systick, self.systick.save()
        try:
            return self.read(offset, size)
        finally:
            self.systick = counting

    def write(self, offset: int, size: int, value: int) -> None:
        word = offset & ~3
        register = self._registers.get(word)
        if register is None or register[1] is None:
            self._port.unmodelled(offset, size, value)
            return
        if size != 4:
            value = self._merged(word, offset, size, value, register[0])
        register[1](value)

    @staticmethod
    def _merged(word: int, offset: int, size: int, value: int, read: Read | None) -> int:
        shift = 8 * (offset & 3)
        mask = ((1 << 8 * size) - 1) << shift
        # A narrow store to a write-one-to-clear register touches its own bits only.
        keep = 0 if word in (0xD28, 0xD2C) or read is None else read() & ~mask
        return keep | (value << shift & mask)

    # --- the registers

    def _declare(self) -> dict[int, tuple[Read | None, Write | None]]:
        exceptions = self._exceptions
        features = self._features
        table: dict[int, tuple[Read | None, Write | None]] = {
            0x004: (self._constant((exceptions.interrupts + 31) // 32 - 1), self._ignored),  # ICTR
            0x008: self._storage(0x008),  # ACTLR
            0x010: (self._read_syst_csr, self._write_syst_csr),
            0x014: (lambda: self.systick.reload, self._write_syst_rvr),
            0x018: (self._read_syst_cvr, self._write_syst_cvr),
            0x01C: (self._constant(0), self._ignored),  # SYST_CALIB: no calibration value
            0xD00: (self._constant(features.cpuid), self._ignored),
            0xD04: (self._read_icsr, self._write_icsr),
            0xD08: (lambda: self.vtor, self._write_vtor),
            0xD0C: (lambda: _VECTKEYSTAT << 16 | self.aircr | self.prigroup << 8, self._write_aircr),
            0xD10: (lambda: self.scr, self._write_scr),
            0xD14: (lambda: self.ccr, self._write_ccr),
            0xD24: (self._read_shcsr, self._write_shcsr),
            0xD28: (lambda: self.cfsr, self._clear("cfsr")),
            0xD2C: (lambda: self.hfsr, self._clear("hfsr")),
            0xD30: (lambda: self.dfsr, self._clear("dfsr")),
            0xD34: (lambda: self.mmfar, self._set("mmfar")),
            0xD38: (lambda: self.bfar, self._set("bfar")),
            0xD3C: (self._constant(0), self._ignored),  # AFSR
            0xD40: (self._constant(0x30), self._ignored),  # ID_PFR0
            0xD44: (self._constant(0x210 if features.armv8 else 0x200), self._ignored),
            0xD48: (self._constant(0x0020_0000 if features.armv8 else 0x0010_0000), self._ignored),  # ID_DFR0
            0xD4C: (self._constant(0), self._ignored),
            0xD50: (self._constant(0x0010_1F40 if features.armv8 else 0x0010_0030), self._ignored),  # ID_MMFR0..3
            0xD54: (self._constant(0), self._ignored),
            0xD58: (self._constant(0x0100_0000), self._ignored),
            0xD5C: (self._constant(0), self._ignored),
            0xD78: (self._constant(features.caches.clidr), self._ignored),
            0xD7C: (self._constant(features.caches.ctr), self._ignored),
            0xD80: (lambda: features.caches.ccsidr[self._csselr & 1], self._ignored),
            0xD84: (lambda: self._csselr, self._set("_csselr", 0xF)),
            0xD88: (lambda: self.cpacr, self._write_cpacr),
            0xDF0: self._storage(0xDF0),  # DHCSR, DCRDR, DEMCR: no debugger is attached
            0xDF8: self._storage(0xDF8),
            0xDFC: self._storage(0xDFC),
            0xF00: (None, self._write_stir),
            0xF34: (lambda: self.fpccr, self._set_floating_point("fpccr", 0xC000_0001)),
            0xF38: (lambda: self.fpcar, self._set("fpcar", 0xFFFF_FFF8)),
            0xF3C: (lambda: self.fpdscr, self._set_floating_point("fpdscr", 0x07C0_0000)),
        }
        for index, value in enumerate(features.isar):
            table[0xD60 + 4 * index] = (self._constant(value), self._ignored)
        for index, value in enumerate(features.mvfr):
            table[0xF40 + 4 * index] = (self._constant(value), self._ignored)
        table.update(self.mpu.registers())
        if features.has_cache:
            # There is no cache to maintain; that firmware does so is kept.
            for offset in range(0xF50, 0xF7C, 4):
                table[offset] = (None, self._ignored)
            for offset in _BY_ADDRESS:
                table[offset] = (None, self._maintain_line)
            for offset in _BY_SET_WAY:
                table[offset] = (None, self._maintain_all)
            for offset in range(0xF90, 0xFAC, 4):  # ITCMCR .. ABFSR (DDI0489F 3.3): storage
                table[offset] = self._storage(offset)
        for index in range((exceptions.interrupts + 31) // 32):
            table[0x100 + 4 * index] = self._enable_register(index, on=True)
            table[0x180 + 4 * index] = self._enable_register(index, on=False)
            table[0x200 + 4 * index] = self._pend_register(index, on=True)
            table[0x280 + 4 * index] = self._pend_register(index, on=False)
            table[0x300 + 4 * index] = (self._active_word(index), self._ignored)
        if features.armv8:
            table.update(self._security_registers())
        for index in range((exceptions.interrupts + 3) // 4):
            table[0x400 + 4 * index] = self._priority_register(FIRST_INTERRUPT + 4 * index)
        for index in range((exceptions.interrupts + 3) // 4, (exceptions.interrupts + 31) // 32 * 8):
            table[0x400 + 4 * index] = (self._constant(0), self._ignored)  # of no interrupt here: RAZ/WI (B3.4.9)
        for index in range(3):
            table[0xD18 + 4 * index] = self._priority_register(4 + 4 * index)
        return table

    def _security_registers(self) -> dict[int, tuple[Read | None, Write | None]]:
        """NVIC_ITNS, NSACR and the SAU (DDI0553B D1.2): storage; everything runs Secure here."""
        table: dict[int, tuple[Read | None, Write | None]] = {
            0xD8C: self._storage(0xD8C, _NSACR_FP if self.has_fpu else 0),
            0xDD0: self._storage(0xDD0, 3),
            0xDD4: (self._constant(_SAU_REGIONS), self._ignored),
            0xDD8: self._storage(0xDD8, 0xFF),
            0xDDC: self._sau_region(0, 0xFFFF_FFE0),
            0xDE0: self._sau_region(1, 0xFFFF_FFE3),
        }
        for index in range((self._exceptions.interrupts + 31) // 32):
            implemented = min(32, self._exceptions.interrupts - 32 * index)
            table[0x380 + 4 * index] = self._storage(0x380 + 4 * index, (1 << implemented) - 1)
        return table

    def _sau_region(self, word: int, mask: int) -> tuple[Read, Write]:
        """SAU_RBAR or SAU_RLAR of the region that SAU_RNR names."""

        def key() -> int:
            return 0x1_0000 + 2 * self._plain.get(0xDD8, 0) + word

        def write(value: int) -> None:
            if self._plain.get(0xDD8, 0) < _SAU_REGIONS:
                self._plain[key()] = value & mask

        return (lambda: self._plain.get(key(), 0)), write

    @staticmethod
    def _constant(value: int) -> Read:
        return lambda: value

    @staticmethod
    def _ignored(_value: int) -> None:
        return

    def _maintain_line(self, address: int) -> None:
        if self.ccr & _DC:
            self._maintained.add(address // CACHE_BLOCK)

    def _maintain_all(self, _set_and_way: int) -> None:
        """Before the cache is on, that is how its lines get their first state: it maintains nothing."""
        self._maintained_all = self._maintained_all or bool(self.ccr & _DC)

    def data_cache(self) -> DataCache | None:
        """What the registers say of the data cache; None: there is none."""
        if not self._features.has_cache:
            return None
        blocks = (Extent(block * CACHE_BLOCK, CACHE_BLOCK) for block in sorted(self._maintained))
        maintained = (Extent(0, 1 << 32),) if self._maintained_all else tuple(blocks)
        return DataCache(bool(self.ccr & _DC), self.mpu.cacheable(), maintained)

    def _storage(self, offset: int, mask: int = 0xFFFF_FFFF) -> tuple[Read, Write]:
        def write(value: int) -> None:
            self._plain[offset] = value & mask

        return (lambda: self._plain.get(offset, 0)), write

    def _set(self, name: str, mask: int = 0xFFFF_FFFF) -> Write:
        return lambda value: setattr(self, name, value & mask)

    def _set_floating_point(self, name: str, mask: int) -> Write:
        def write(value: int) -> None:
            setattr(self, name, value & mask)
            self._port.floating_point_changed()

        return write

    def _clear(self, name: str) -> Write:
        """Write one to clear."""
        return lambda value: setattr(self, name, getattr(self, name) & ~value)

    # SysTick

    def _due(self, due: bool) -> None:
        if due:
            self._exceptions.pend(SYS_TICK)
        self._port.reconsider()

    def _read_syst_csr(self) -> int:
        value, due = self.systick.read_control(self._port.systick_now())
        if due:
            self._due(due)
        return value

    def _read_syst_cvr(self) -> int:
        value, due = self.systick.read_value(self._port.systick_now())
        if due:
            self._due(due)
        return value

    def _write_syst_csr(self, value: int) -> None:
        self._due(self.systick.write_control(value, self._port.systick_now()))

    def _write_syst_rvr(self, value: int) -> None:
        self._due(self.systick.write_reload(value, self._port.systick_now()))

    def _write_syst_cvr(self, _value: int) -> None:
        self._due(self.systick.write_value(self._port.systick_now()))

    # NVIC

    def _enable_register(self, index: int, *, on: bool) -> tuple[Read, Write]:
        def write(value: int) -> None:
            self._exceptions.enable_word(index, value, on=on)
            self._port.reconsider()

        return (lambda: self._exceptions.word(self._exceptions.enabled, index)), write

    def _pend_register(self, index: int, *, on: bool) -> tuple[Read, Write]:
        def write(value: int) -> None:
            self._exceptions.pend_word(index, value, on=on)
            self._port.reconsider()

        return (lambda: self._exceptions.word(self._exceptions.pending, index)), write

    def _active_word(self, index: int) -> Read:
        return lambda: self._exceptions.word(self._exceptions.active, index)

    def _priority_register(self, first: int) -> tuple[Read, Write]:
        def read() -> int:
            priorities = self._exceptions.priority[first : first + 4]
            return sum((priority & 0xFF) << 8 * index for index, priority in enumerate(priorities))

        def write(value: int) -> None:
            for index in range(4):
                self._exceptions.set_priority(first + index, value >> 8 * index & 0xFF)
            self._port.reconsider()

        return read, write

    def _write_stir(self, value: int) -> None:
        number = (value & 0x1FF) + FIRST_INTERRUPT
        if number < FIRST_INTERRUPT + self._exceptions.interrupts:
            self._exceptions.pend(number)
            self._port.reconsider()

    # SCB

    def _read_icsr(self) -> int:
        exceptions = self._exceptions
        number = self._port.active_exception()
        pending = exceptions.highest_pending() or 0
        others = exceptions.active & ~(1 << number)
        value = number | pending << 12
        value |= 0 if others else 1 << 11  # RETTOBASE
        value |= 1 << 22 if exceptions.pending >> FIRST_INTERRUPT else 0  # ISRPENDING
        value |= (exceptions.pending >> SYS_TICK & 1) << 26
        value |= (exceptions.pending >> PEND_SV & 1) << 28
        value |= (exceptions.pending >> NMI & 1) << 31
        return value

    def _write_icsr(self, value: int) -> None:
        for bit, number, pends in (
            (31, NMI, True),
            (28, PEND_SV, True),
            (27, PEND_SV, False),
            (26, SYS_TICK, True),
            (25, SYS_TICK, False),
        ):
            if value >> bit & 1:
                if pends:
                    self._exceptions.pend(number)
                else:
                    self._exceptions.unpend(number)
        self._port.reconsider()

    def _write_vtor(self, value: int) -> None:
        self.vtor = value & 0xFFFF_FF80

    def _write_aircr(self, value: int) -> None:
        if value >> 16 != _VECTKEY:
            return
        self.prigroup = value >> 8 & 7
        self.aircr = value & _AIRCR_SECURITY if self._features.armv8 else 0
        self._exceptions.set_priority_grouping(self.prigroup)
        if value & 4:
            self._port.reset_requested()
        self._port.reconsider()

    def _write_scr(self, value: int) -> None:
        self.scr = value & 0x1E

    def _write_ccr(self, value: int) -> None:
        mask = 0x7031B if self._features.has_cache else 0x31B
        # STKALIGN cannot be cleared on the M7; on Armv8-M neither can what was NONBASETHRDENA (DDI0553B, CCR).
        fixed = 0x201 if self._features.armv8 else 0x200 if self._features.has_cache else 0
        before, self.ccr = self.ccr, value & mask | fixed
        if (before ^ self.ccr) & _TRAPS:
            self._port.traps_changed()

    def _read_shcsr(self) -> int:
        exceptions = self._exceptions
        value = 0
        for bit, number in _SHCSR_ACTIVE.items():
            value |= (exceptions.active >> number & 1) << bit
        for bit, number in _SHCSR_PENDING.items():
            value |= (exceptions.pending >> number & 1) << bit
        for index, number in enumerate((MEM_MANAGE, BUS_FAULT, USAGE_FAULT)):
            value |= (exceptions.enabled >> number & 1) << 16 + index
        return value

    def _write_shcsr(self, value: int) -> None:
        self._exceptions.set_fault_enables(value)
        for bit, number in _SHCSR_PENDING.items():
            if value >> bit & 1:
                self._exceptions.pend(number)
            else:
                self._exceptions.unpend(number)
        for bit, number in _SHCSR_ACTIVE.items():
            self._exceptions.set_active(number, bool(value >> bit & 1))
        self._port.reconsider()

    def _write_cpacr(self, value: int) -> None:
        self.cpacr = value & _CPACR_FP if self.has_fpu else 0  # of coprocessors that are not there: RAZ/WI
        self._port.floating_point_changed()
