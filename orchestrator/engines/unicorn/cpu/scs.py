"""The System Control Space of a core: SCB, NVIC, SysTick and MPU registers at 0xE000E000 (DDI0403E B3.2 to B3.5).

Here are the System Control Block's registers and the table of all; what else is in it, parts of their own give. What a
core does with the words kept here it asks for: fault status, vector table, enables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.cortex_m import (
    BUS_FAULT,
    DEBUG_MONITOR,
    FIRST_INTERRUPT,
    MEM_MANAGE,
    NMI,
    PEND_SV,
    SV_CALL,
    SYS_TICK,
    USAGE_FAULT,
)
from orchestrator.engines.unicorn.cache.model import CacheModel
from orchestrator.engines.unicorn.cpu.cache_registers import CacheRegisters
from orchestrator.engines.unicorn.cpu.features import Features
from orchestrator.engines.unicorn.cpu.mpu import Mpu
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.nvic_registers import NvicRegisters
from orchestrator.engines.unicorn.cpu.register_table import Read, Registers, Storage, Write, constant
from orchestrator.engines.unicorn.cpu.security_registers import security_registers
from orchestrator.engines.unicorn.cpu.systick import SysTick
from orchestrator.engines.unicorn.cpu.systick_registers import SysTickRegisters
from orchestrator.events import DataCache

__all__ = ["CorePort", "ScsSnapshot", "SystemControlSpace"]

SIZE = 0x1000

_SHCSR_ACTIVE = {0: MEM_MANAGE, 1: BUS_FAULT, 3: USAGE_FAULT, 7: SV_CALL, 8: DEBUG_MONITOR, 10: PEND_SV, 11: SYS_TICK}
_SHCSR_PENDING = {12: USAGE_FAULT, 13: MEM_MANAGE, 14: BUS_FAULT, 15: SV_CALL}
_VECTKEY, _VECTKEYSTAT = 0x05FA, 0xFA05
_CPACR_FP = 0xF << 20
_AIRCR_SECURITY = 0x6008  # PRIS, BFHFNMINS, SYSRESETREQS (DDI0553B)
_DC, _IC = 1 << 16, 1 << 17  # CCR: the data cache is on, the instruction cache is
_TRAPS = 0x18  # CCR.UNALIGN_TRP and DIV_0_TRP


class CorePort(Protocol):
    """What the registers need of their core."""

    def systick_now(self) -> int:
        """Ticks of SysTick's clock since power-on."""
        ...

    def reconsider(self) -> None:
        """Exceptions may have changed: look before the next instruction."""
        ...

    def caching_changed(self) -> None:
        """CCR.DC, CACR: how memory is cached."""
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
    *("aircr", "cpacr", "fpccr", "fpcar", "fpdscr"),
)


@dataclass(frozen=True, slots=True)
class ScsSnapshot:
    """The System Control Space at one moment."""

    words: Mapping[str, int]
    storage: Mapping[int, int]
    caches: tuple[int, tuple[frozenset[int], bool]]
    mpu: tuple[object, ...]
    systick: SysTick


class _Word:
    """A register in ``struct nvic``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, scs: SystemControlSpace, owner: type | None = None) -> int:
        return int(getattr(scs._exceptions.native, self._name))

    def __set__(self, scs: SystemControlSpace, value: int) -> None:
        setattr(scs._exceptions.native, self._name, value)


class SystemControlSpace:
    """Registers by offset from 0xE000E000, in words; bytes and halfwords where the architecture has them."""

    def __init__(self, port: CorePort, exceptions: ExceptionState, features: Features, mpu_regions: int | None) -> None:
        self._port = port
        self._exceptions = exceptions
        self._features = features
        count = features.mpu_regions if mpu_regions is None else mpu_regions
        self.mpu = Mpu(count, armv8=features.armv8, changed=port.protection_changed)
        self.systick = SysTick()
        self._systick_registers = SysTickRegisters(self.systick, port.systick_now, self._systick_due)
        self._storage = Storage()
        self._caches = CacheRegisters(
            features.caches, self._storage, lambda: bool(self.ccr & _DC), port.caching_changed
        )
        self.vtor_reset = 0
        self.reset()
        self._registers = self._declare()

    # Where native code finds them that takes exceptions.
    vtor, scr, ccr = _Word(), _Word(), _Word()
    cpacr, fpccr, fpcar, fpdscr = _Word(), _Word(), _Word(), _Word()

    def reset(self) -> None:
        """Reset values of DDI0403E table B3-4 and following."""
        self.systick.reset()
        self.vtor = self.vtor_reset
        self.scr = 0
        # STKALIGN is 1 from reset on Cortex-M4 r0p1 and later; on the M7 it cannot be cleared.
        self.ccr = 0x200 | (0x40000 if self._caches.are_there else 0) | self._features.armv8
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
        self._storage.words.clear()
        self._caches.reset()
        self.mpu.reset()

    def save(self) -> ScsSnapshot:
        return ScsSnapshot(
            {name: getattr(self, name) for name in _WORDS},
            dict(self._storage.words),
            self._caches.save(),
            self.mpu.save(),
            self.systick.save(),
        )

    def restore(self, saved: ScsSnapshot) -> None:
        for name, value in saved.words.items():
            setattr(self, name, value)
        self._storage.words = dict(saved.storage)
        self._caches.restore(saved.caches)
        self.mpu.restore(saved.mpu)
        self.systick.restore(saved.systick)

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
        with self._systick_registers.peeking():
            return self.read(offset, size)

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

    def _declare(self) -> Registers:
        features = self._features
        table: Registers = {
            0x008: self._storage.register(0x008),  # ACTLR
            0xD00: constant(features.cpuid),
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
            0xD3C: constant(0),  # AFSR
            0xD40: constant(0x30),  # ID_PFR0
            0xD44: constant(0x210 if features.armv8 else 0x200),
            0xD48: constant(0x0020_0000 if features.armv8 else 0x0010_0000),  # ID_DFR0
            0xD4C: constant(0),
            0xD50: constant(0x0010_1F40 if features.armv8 else 0x0010_0030),  # ID_MMFR0..3
            0xD54: constant(0),
            0xD58: constant(0x0100_0000),
            0xD5C: constant(0),
            0xD88: (lambda: self.cpacr, self._write_cpacr),
            0xDF0: self._storage.register(0xDF0),  # DHCSR, DCRDR, DEMCR: no debugger is attached
            0xDF8: self._storage.register(0xDF8),
            0xDFC: self._storage.register(0xDFC),
            0xF34: (lambda: self.fpccr, self._set_floating_point("fpccr", 0xC000_0001)),
            0xF38: (lambda: self.fpcar, self._set("fpcar", 0xFFFF_FFF8)),
            0xF3C: (lambda: self.fpdscr, self._set_floating_point("fpdscr", 0x07C0_0000)),
        }
        for index, value in enumerate(features.isar):
            table[0xD60 + 4 * index] = constant(value)
        for index, value in enumerate(features.mvfr):
            table[0xF40 + 4 * index] = constant(value)
        table |= self._systick_registers.registers()
        table |= NvicRegisters(self._exceptions, self._port.reconsider).registers()
        table |= self.mpu.registers()
        table |= self._caches.registers()
        if features.armv8:
            table |= security_registers(self._storage, self._exceptions.interrupts, has_fpu=self.has_fpu)
        return table

    def _systick_due(self, due: bool) -> None:
        if due:
            self._exceptions.pend(SYS_TICK)
        self._port.reconsider()

    def data_cache(self) -> DataCache | None:
        """What the registers say of the data cache; None: there is none."""
        return self._caches.data_cache(self.mpu.cacheable())

    @property
    def caches_are_there(self) -> bool:
        """Whether the core has a data cache."""
        return self._caches.are_there

    @property
    def ccsidr(self) -> int:
        """The Cache Size ID Register of its data cache."""
        return self._caches.ccsidr

    def model_caches(self, data: CacheModel, instructions: CacheModel) -> None:
        """What the caches hold is known from now on."""
        self._caches.data, self._caches.instructions = data, instructions
        self.set_up_caches()

    def set_up_caches(self) -> bool:
        """Tell the models what the registers say; whether there are any."""
        data, instructions = self._caches.data, self._caches.instructions
        if data is None or instructions is None:
            return False
        caching = self.mpu.caching(self._caches.cacr)
        data.set_up(is_on=bool(self.ccr & _DC), caching=caching)
        instructions.set_up(is_on=bool(self.ccr & _IC), caching=caching)
        return True

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

    # --- what the System Control Block's registers are

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
        mask = 0x7031B if self._caches.are_there else 0x31B
        # STKALIGN cannot be cleared on the M7; on Armv8-M neither can what was NONBASETHRDENA (DDI0553B, CCR).
        fixed = 0x201 if self._features.armv8 else 0x200 if self._caches.are_there else 0
        before, self.ccr = self.ccr, value & mask | fixed
        if (before ^ self.ccr) & _TRAPS:
            self._port.traps_changed()
        if (before ^ self.ccr) & (_DC | _IC):
            self._port.caching_changed()

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
