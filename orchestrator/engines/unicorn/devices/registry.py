"""Renode types and the devices that stand for them here.

A platform adds to them by files that its ``.toml`` names under ``[models]``, each with a :data:`Maker` called ``make``;
other packages by entry points of the group ``rptwin.devices``: the name is a Renode type, the object a maker. What a
maker may use is what this module and the devices' own modules export. What few chips have is imported by its maker.
"""

# ruff: noqa: PLC0415  # see above

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn.bus import Device
from orchestrator.engines.unicorn.devices.arm.dwt import Dwt
from orchestrator.engines.unicorn.devices.plain import Tagged, Unmodelled
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.engines.unicorn.devices.stm32.dma import DmaPort, Stm32Dma
from orchestrator.engines.unicorn.devices.stm32.iwdg import Stm32Iwdg
from orchestrator.engines.unicorn.devices.stm32.timer import Stm32Timer
from orchestrator.engines.unicorn.devices.stm32.usart import Stm32Usart
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.engines.unicorn.memory import MemoryView
from orchestrator.platform.model import Connections, Interrupt, Peripheral, Platform

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "GROUP",
    "MODELLED",
    "Board",
    "Host",
    "Lines",
    "Made",
    "Maker",
    "connect_devices",
    "create_device",
    "create_tag",
]

GROUP = "rptwin.devices"
DEVICE_NAMES = ("is_steady", "read", "write", "reset", "snapshot", "restore")  # of bus.Device


class Board(Protocol):
    """What the makers of devices need of the engine."""

    platform: Platform

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None: ...

    def is_held(self, core: str) -> bool: ...

    def is_in_deep_sleep(self, nvic: str) -> bool: ...

    def set_event(self, name: str) -> None: ...

    def hold_core(self, name: str, held: bool, why: str) -> None: ...

    def vector_table(self, core: str) -> int: ...

    def set_vector_table(self, core: str, address: int) -> None: ...

    def cycles(self, core: str, frequency_hz: int) -> int: ...

    def view(self, core: str) -> MemoryView:
        """Memory as a core addresses it, for a device that stores on its behalf."""
        ...

    def device_at(self, address: int) -> tuple[Device, int] | None:
        """The device that any core finds at an address, and the offset into it."""
        ...

    def ticks(self, frequency_hz: int) -> int: ...

    def wake_device(self, name: str, tick: int, frequency_hz: int) -> None: ...

    def reset_chip(self, peripheral: str, why: str) -> None: ...

    def unmodelled(self, peripheral: str, text: str) -> None: ...

    def device_log(self, peripheral: str, level: str, text: str) -> None: ...

    def settle(self) -> None: ...


class Host:
    """What one device may say to the board, its name added."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self._name = name

    def unmodelled(self, offset: int, text: str) -> None:
        self._board.unmodelled(self._name, text)

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None:
        self._board.set_interrupt(nvic, line, level)

    def is_held(self, core: str) -> bool:
        return self._board.is_held(core)

    def is_in_deep_sleep(self, nvic: str) -> bool:
        return self._board.is_in_deep_sleep(nvic)

    def set_event(self, core: str) -> None:
        self._board.set_event(core)

    def hold(self, core: str, held: bool) -> None:
        self._board.hold_core(core, held, f"by {self._name}")

    def vector_table(self, core: str) -> int:
        return self._board.vector_table(core)

    def set_vector_table(self, core: str, address: int) -> None:
        self._board.set_vector_table(core, address)

    def log(self, level: str, text: str) -> None:
        self._board.device_log(self._name, level, text)


class DeviceClock:
    """The clock of one device, and what wakes it."""

    def __init__(self, board: Board, name: str, frequency_hz: int) -> None:
        self._board = board
        self._name = name
        self._hz = frequency_hz

    def now(self) -> int:
        return self._board.ticks(self._hz)

    def wake_at(self, tick: int) -> None:
        self._board.wake_device(self._name, tick, self._hz)


class Lines:
    """An output, wired to every input that the platform names for it."""

    def __init__(self, board: Board, interrupts: tuple[Interrupt, ...]) -> None:
        self._board = board
        self._interrupts = interrupts

    def __call__(self, level: bool) -> None:
        for interrupt in self._interrupts:
            self._board.set_interrupt(interrupt.target, interrupt.line, level)


class Dma:
    """RAM as the core that a device belongs to addresses it."""

    def __init__(self, board: Board, core: str) -> None:
        self._board = board
        self._core = core

    def _is_ram(self, address: int, size: int) -> bool:
        mapping = self._board.view(self._core).mapping_at(address)
        if mapping is None or not mapping.store.region.writable:
            return False
        return address + size <= mapping.extent.end

    def read(self, address: int, size: int) -> bytes | None:
        """Bytes of RAM; None where there is none."""
        return self._board.view(self._core).read(address, size) if self._is_ram(address, size) else None

    def write(self, address: int, data: bytes) -> bool:
        """Whether they are RAM."""
        if not self._is_ram(address, len(data)):
            return False
        self._board.view(self._core).write(address, data)
        return True


class SharedMemory:
    """What a bus master of no core reaches: memory that more than one core sees, by any of its addresses."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def _view(self, address: int, size: int, *, writes: bool) -> MemoryView | None:
        cores = self._board.platform.cores
        for core in cores:
            mapping = self._board.view(core.name).mapping_at(address)
            if mapping is None or address + size > mapping.extent.end:
                continue
            region = mapping.store.region
            if sum(bool(region.extents(each.name)) for each in cores) > 1 and (region.writable or not writes):
                return self._board.view(core.name)
        return None

    def read(self, address: int, size: int) -> bytes | None:
        view = self._view(address, size, writes=False)
        return None if view is None else view.read(address, size)

    def write(self, address: int, data: bytes) -> bool:
        view = self._view(address, len(data), writes=True)
        if view is not None:
            view.write(address, data)
        return view is not None


Made = tuple[Device, UartConsole | None]
"""A device, and its console if it is a UART."""

Maker = Callable[[Board, Peripheral], Made]


def _script(board: Board, peripheral: Peripheral) -> Made:
    cores = board.platform.cores
    device = ScriptDevice(
        peripheral.script or "",
        peripheral.script_name or peripheral.name,
        peripheral.size or 0x400,
        Host(board, peripheral.name),
        cores=[core.name for core in cores],
        nvics=[core.nvic for core in cores],
        initable=bool(peripheral.attributes.get("initable", False)),
        base=peripheral.registrations[0].address if peripheral.registrations else 0,
    )
    return device, None


def _stm32_usart(board: Board, peripheral: Peripheral) -> Made:
    console = UartConsole(peripheral.name, board.settle)
    device = Stm32Usart(Host(board, peripheral.name), Lines(board, peripheral.interrupts), console.transmit)
    console.connect(device.receive)
    return device, console


def _cmsdk_uart(board: Board, peripheral: Peripheral) -> Made:
    from orchestrator.engines.unicorn.devices.arm.cmsdk_uart import CmsdkUart

    console = UartConsole(peripheral.name, board.settle)
    sent, received = (
        Lines(board, tuple(each for each in peripheral.interrupts if each.output == output))
        for output in ("TxInterrupt", "RxInterrupt")
    )
    device = CmsdkUart(Host(board, peripheral.name), sent, received, console.transmit)
    console.connect(device.receive)
    return device, console


def _home(board: Board, peripheral: Peripheral) -> str:
    """The core that a device belongs to: the first that it is registered for."""
    return peripheral.registrations[0].core or board.platform.cores[0].name


def _nrf_uart(board: Board, peripheral: Peripheral) -> Made:
    from orchestrator.engines.unicorn.devices.nrf.uart import BAUDRATE_HZ, NrfUart

    console = UartConsole(peripheral.name, board.settle)
    line = Lines(board, peripheral.interrupts)
    ram = Dma(board, _home(board, peripheral))
    clock = DeviceClock(board, peripheral.name, BAUDRATE_HZ)
    device = NrfUart(Host(board, peripheral.name), line, clock, console.transmit_all, ram)
    console.connect(device.receive)
    return device, console


def _clock(board: Board, peripheral: Peripheral, default_hz: int) -> DeviceClock:
    frequency = peripheral.attributes.get("frequency")
    return DeviceClock(board, peripheral.name, frequency if isinstance(frequency, int) else default_hz)


def _outputs(board: Board, peripheral: Peripheral, *names: str) -> Lines:
    return Lines(board, tuple(each for each in peripheral.interrupts if each.output in names))


def _stm32_timer(board: Board, peripheral: Peripheral) -> Made:
    limit = peripheral.attributes.get("initialLimit")
    compared = _outputs(board, peripheral, "CaptureCompareInterrupt")
    split = any(each.output == "UpdateInterrupt" for each in peripheral.interrupts)
    device = Stm32Timer(
        Host(board, peripheral.name),
        _clock(board, peripheral, 100_000_000),
        limit if isinstance(limit, int) else 0xFFFF,
        _outputs(board, peripheral, "", "IRQ", "UpdateInterrupt"),
        compared if split else None,
    )
    return device, None


def _stm32_dma(board: Board, peripheral: Peripheral) -> Made:
    def port(address: int) -> DmaPort | None:
        found = board.device_at(address)
        if found is None:
            return None
        device, offset = found
        return device if isinstance(device, Stm32Usart) and offset in (0x24, 0x28) else None

    lines = [_outputs(board, peripheral, str(stream)) for stream in range(8)]
    return Stm32Dma(Host(board, peripheral.name), SharedMemory(board), port, lines), None


def _stm32_iwdg(board: Board, peripheral: Peripheral) -> Made:
    clock = _clock(board, peripheral, 32_000)
    host = Host(board, peripheral.name)
    return Stm32Iwdg(host, clock, lambda why: board.reset_chip(peripheral.name, why)), None


def _channels(peripheral: Peripheral) -> int:
    """Renode's attribute of Nordic's timers, which it requires."""
    count = peripheral.attributes.get("numberOfEvents")
    return count if isinstance(count, int) else 4


def _nrf_rtc(board: Board, peripheral: Peripheral) -> Made:
    from orchestrator.engines.unicorn.devices.nrf.timers import RTC_HZ, NrfRtc

    line, clock = Lines(board, peripheral.interrupts), DeviceClock(board, peripheral.name, RTC_HZ)
    return NrfRtc(Host(board, peripheral.name), line, clock, _channels(peripheral)), None


def _nrf_timer(board: Board, peripheral: Peripheral) -> Made:
    from orchestrator.engines.unicorn.devices.nrf.timers import TIMER_HZ, NrfTimer

    line, clock = Lines(board, peripheral.interrupts), DeviceClock(board, peripheral.name, TIMER_HZ)
    return NrfTimer(Host(board, peripheral.name), line, clock, _channels(peripheral)), None


def _dwt(board: Board, peripheral: Peripheral) -> Made:
    frequency = peripheral.attributes.get("frequency")
    core = _home(board, peripheral)
    hz = frequency if isinstance(frequency, int) else 100_000_000
    return Dwt(Host(board, peripheral.name), lambda: board.cycles(core, hz)), None


_MAKERS: dict[str, Maker] = {
    "Miscellaneous.DWT": _dwt,
    "Python.PythonPeripheral": _script,
    "UART.CMSDK_APB_UART": _cmsdk_uart,
    "Timers.NRF52840_RTC": _nrf_rtc,
    "Timers.NRF52840_Timer": _nrf_timer,
    "DMA.STM32DMA": _stm32_dma,
    "Timers.STM32_IndependentWatchdog": _stm32_iwdg,
    "Timers.STM32_Timer": _stm32_timer,
    "UART.NRF52840_UART": _nrf_uart,
    "UART.STM32F7_USART": _stm32_usart,
}
MODELLED = frozenset(_MAKERS)  # Renode types with a model of their own


def create_device(board: Board, peripheral: Peripheral) -> Made:
    """The device of a peripheral, by the platform's own model of its type before any other's.

    A type without a model answers as unmodelled. :class:`EngineError` when the platform's or another package's model
    cannot be used, or several packages have one.
    """
    path = board.platform.models.get(peripheral.type)
    if path is not None:
        return _made_elsewhere(lambda: _maker_in(path), path.name, board, peripheral)
    maker = _MAKERS.get(peripheral.type)
    if maker is not None:
        return maker(board, peripheral)
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP, name=peripheral.type)
    if not found:
        return Unmodelled(Host(board, peripheral.name), peripheral.type), None
    if len(found) > 1:
        packages = " | ".join(_package(each) for each in found)
        raise EngineError("more than one model of a type", where=peripheral.type, expected="one", found=packages)
    (point,) = found
    return _made_elsewhere(point.load, _package(point), board, peripheral)


def _maker_in(path: Path) -> Any:
    namespace = runpy.run_path(str(path))
    if "make" not in namespace:
        raise EngineError("no function", where=path.name, expected="def make(board, peripheral)")
    return namespace["make"]


def _made_elsewhere(load: Callable[[], Any], owner: str, board: Board, peripheral: Peripheral) -> Made:
    where = f"{peripheral.name}: model of {peripheral.type} by {owner}"
    try:
        made = load()(board, peripheral)
    except EngineError:
        raise
    except Exception as error:  # the code of somebody else
        raise EngineError(f"{type(error).__name__}: {error}", where=where) from error
    if not isinstance(made, tuple) or len(made) != 2:
        raise EngineError("not what a maker gives", where=where, expected="(device, console or None)", found=repr(made))
    device, console = made
    missing = [name for name in DEVICE_NAMES if not hasattr(device, name)]
    if missing:
        raise EngineError("not a device", where=where, expected=" ".join(DEVICE_NAMES), found=f"no {' '.join(missing)}")
    return device, console


def _package(found: EntryPoint) -> str:
    return f"{found.dist.name} {found.dist.version}" if found.dist else found.value


def connect_devices(board: Board, connections: Connections, devices: Mapping[str, Device]) -> None:
    """Let what one controller connects trigger one another; :class:`EngineError` where a device has no events."""
    from orchestrator.engines.unicorn.devices.nrf.chip import NrfDevice
    from orchestrator.engines.unicorn.devices.nrf.dppi import Dppi

    controller = devices[connections.controller]
    connected = []
    for name in connections.peripherals:
        device = devices[name]
        if not isinstance(device, NrfDevice):
            where = f"connections.{connections.controller}"
            raise EngineError("a peripheral whose model has no events to connect", where=where, found=name)
        connected.append(device)
    Dppi(
        connected,
        lambda: controller.read(connections.enabled, 4, None),
        lambda text: board.device_log(connections.controller, "warning", text),
    )


def create_tag(board: Board, name: str, value: int) -> Device:
    """A tagged range: reads as its value."""
    return Tagged(Host(board, name), value)
