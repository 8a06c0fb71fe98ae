"""Accesses of one core that are not plain memory: devices, errors of the bus, stores to what no store changes."""

from __future__ import annotations

from array import array
from typing import Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.unicorn.binding import RegisterBatch
from orchestrator.engines.unicorn.bus import Access, Bus, Sender, Slot, is_private
from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.loop_skipper import LoopSkipper
from orchestrator.engines.unicorn.cpu.processor import GENERAL, Processor, with_it
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace
from orchestrator.engines.unicorn.native.abi import hooks
from orchestrator.events import Detail, GuestError, Note, UnmodelledAccess

__all__ = ["DENIED_REGISTERS", "SCS_BASE", "AccessPort", "Accesses", "AccessesSnapshot", "ScsDevice"]

SCS_BASE = 0xE000_E000
STIR = 0xE000_EF00
_USERSETMPEND = 2  # CCR
DENIED_REGISTERS = ("XPSR", "IPSR", *GENERAL, "SP", "LR", *(f"D{number}" for number in range(16)))  # as they were


class AccessPort(Protocol):
    """What accesses tell the rest of the core."""

    def emit(self, detail: Detail) -> None: ...

    def device_written(self, slot: Slot) -> None: ...


@dataclass(frozen=True, slots=True)
class AccessesSnapshot:
    """What has been said once and is not said again."""

    noted: frozenset[str]
    unmodelled: frozenset[tuple[int, int, bool]]
    unmodelled_addresses: frozenset[tuple[int, bool]]


class Accesses:
    """Implements :class:`orchestrator.engines.unicorn.bus.BusPort`; says each thing once."""

    bus: Bus

    def __init__(
        self,
        processor: Processor,
        scs: SystemControlSpace,
        unit: ExceptionUnit,
        loops: LoopSkipper,
        port: AccessPort,
    ) -> None:
        self._p = processor
        self._scs = scs
        self._unit = unit
        self._loops = loops
        self._port = port
        self._restored_on_bus_error = RegisterBatch(*DENIED_REGISTERS)
        self.is_due = False  # the slice ended because of one of the two below, which is to be dealt with
        self.failure: BaseException | None = None
        self.bus_error_seen: tuple[Access, list[int]] | None = None
        self._bus_error_at = 0
        self._denied_at = -1  # instruction count of the last store to memory that no store changes
        self.noted: set[str] = set()
        self.unmodelled_seen: set[tuple[int, int, bool]] = set()  # PC, address, whether it reads
        self.unmodelled_addresses: set[tuple[int, bool]] = set()

    def save(self) -> AccessesSnapshot:
        """What has been said."""
        return AccessesSnapshot(
            frozenset(self.noted), frozenset(self.unmodelled_seen), frozenset(self.unmodelled_addresses)
        )

    def restore(self, saved: AccessesSnapshot) -> None:
        """Go back to :meth:`save`."""
        self.noted = set(saved.noted)
        self.unmodelled_seen = set(saved.unmodelled)
        self.unmodelled_addresses = set(saved.unmodelled_addresses)
        self._denied_at = -1

    def device_stores(self) -> None:
        # A core that only reads devices may stand in an idle loop: whether it does, the prober finds out.
        self._p.disturbed = True

    def bus_error(self, access: Access) -> None:
        # Unicorn finishes the load and its register is lost: what it held is put back before the fault is taken.
        if self.bus_error_seen is None:
            self.bus_error_seen = (access, self._restored_on_bus_error.read(self._p.cpu.handle))
            self._bus_error_at = self._p.native.address
        self.is_due = True
        self._p.end_slice()

    def raise_bus_error(self) -> None:
        """Take the fault of the access that nothing answered."""
        assert self.bus_error_seen is not None
        (access, values), self.bus_error_seen = self.bus_error_seen, None
        values[0] = with_it(values[0], hooks.core_it_state(self._p.native_pointer, self._bus_error_at))
        self._restored_on_bus_error.write(self._p.cpu.handle, values)
        self._p.pc = self._bus_error_at
        verb = "reads" if access.value is None else "writes"
        if is_private(access.address) and self.bus.slot_at(access.address) is not None:
            what = f"{verb} {access.size} bytes at {access.address:#010x}, where unprivileged code has no access"
            self._unit.fault(FaultCause(cortex_m.BUS_FAULT, ("PRECISERR", "BFARVALID"), what, access.address))
            return
        self._unit.data_fault(verb, access.address, access.size)

    def device_failed(self, error: BaseException) -> None:
        self.failure = error
        self.is_due = True
        self._p.end_slice()

    def device_written(self, slot: Slot) -> None:
        self._port.device_written(slot)

    def may_use_private_bus(self, access: Access) -> bool:
        if not self._p.is_unprivileged:
            return True
        return access.address == STIR and access.value is not None and self._scs.ccr & _USERSETMPEND != 0

    def keep_answer(self, access: Access, value: int, version: array[int]) -> None:
        if not is_private(access.address):
            self._p.keep_answer(access.address, access.size, value, version)

    def keep_sender(self, access: Access, sender: Sender) -> None:
        if not is_private(access.address):
            self._p.keep_sender(access.address, access.size, sender.take, sender.device.version)

    def store_to_protected_page(self, address: int, data: bytes) -> None:
        """A store met a page that is executed elsewhere, or memory that no store changes."""
        try:
            self._finish_store(address, data)
            hooks.core_leave_it(self._p.native_pointer)
        except BaseException as error:  # a callback of C code must not unwind through it
            self.device_failed(error)

    def _finish_store(self, address: int, data: bytes) -> None:
        mapping = self._p.memory.mapping_at(address)
        if mapping is None:  # the stub: nothing, as far as the guest can tell
            self.bus_error(Access(address, len(data), int.from_bytes(data, "little")))
            return
        if mapping.store.region.writable:
            self._p.memory.write(address, data[: mapping.extent.end - address])
            return
        if self._denied_at != self._p.native.executed:  # once for all stores of one instruction
            self._denied_at = self._p.native.executed
            self._port.emit(
                GuestError(
                    self._p.native.address,
                    symbol_of(self._p.images, self._p.native.address),
                    address,
                    f"a store to {mapping.store.region.name} at {address:#010x} changes nothing",
                ),
            )

    def note(self, text: str) -> None:
        """Something that the reader of a report should know, once."""
        if text not in self.noted:
            self.noted.add(text)
            self._port.emit(Note(text))

    def unmodelled_register(self, offset: int, size: int, value: int | None) -> None:
        """Of the System Control Space."""
        self._unmodelled_access("system control space", SCS_BASE + offset, size, value, "register")

    def report_unmodelled(self, peripheral: str, text: str) -> None:
        """A device does not model the access that is under way."""
        access = self.bus.access
        if access is not None:
            self._unmodelled_access(peripheral, access.address, access.size, access.value, text)

    def _unmodelled_access(self, peripheral: str, address: int, size: int, value: int | None, what: str) -> None:
        """The instruction that runs touches something the model does not have; said once for each such instruction."""
        pc = self._p.native.address
        reads = value is None
        if self._loops.is_probing:
            if (address, reads) not in self.unmodelled_addresses:
                self._loops.spoil_trial()
            return
        if (pc, address, reads) in self.unmodelled_seen:
            return
        self.unmodelled_seen.add((pc, address, reads))
        self.unmodelled_addresses.add((address, reads))
        symbol = symbol_of(self._p.images, pc)
        self._port.emit(UnmodelledAccess(pc, symbol, address, size, value, peripheral, what))


class ScsDevice:
    """The System Control Space as a device on its core's bus."""

    is_steady = False  # SysTick counts

    def __init__(self, scs: SystemControlSpace) -> None:
        self._scs = scs

    def read(self, offset: int, size: int, core: str | None) -> int:
        return self._scs.peek(offset, size) if core is None else self._scs.read(offset, size)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        self._scs.write(offset, size, value)

    def reset(self) -> None:
        """The core resets it."""

    def snapshot(self) -> object:
        return None

    def restore(self, state: object) -> None:
        """The core restores it."""
