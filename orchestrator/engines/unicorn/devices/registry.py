"""Renode types and the devices that stand for them here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.engines.unicorn.bus import Device
from orchestrator.engines.unicorn.devices.dwt import Dwt
from orchestrator.engines.unicorn.devices.plain import Tagged, Unmodelled
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.engines.unicorn.devices.stm32_usart import Stm32Usart
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.platform.model import Interrupt, Peripheral, Platform

__all__ = ["Board", "create_device", "create_tag"]


class Board(Protocol):
    """What the makers of devices need of the engine."""

    platform: Platform

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None: ...

    def is_held(self, core: str) -> bool: ...

    def hold_core(self, name: str, held: bool, why: str) -> None: ...

    def cycles(self, core: str, frequency_hz: int) -> int: ...

    def unmodelled(self, peripheral: str, text: str) -> None: ...

    def device_log(self, peripheral: str, level: str, text: str) -> None: ...

    def settle(self) -> None: ...


class _Host:
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

    def hold(self, core: str, held: bool) -> None:
        self._board.hold_core(core, held, f"by {self._name}")

    def log(self, level: str, text: str) -> None:
        self._board.device_log(self._name, level, text)


class _Lines:
    """One output wired to every input that the platform names for it."""

    def __init__(self, board: Board, interrupts: tuple[Interrupt, ...]) -> None:
        self._board = board
        self._interrupts = interrupts

    def __call__(self, level: bool) -> None:
        for interrupt in self._interrupts:
            self._board.set_interrupt(interrupt.target, interrupt.line, level)


Made = tuple[Device, UartConsole | None]


def _script(board: Board, peripheral: Peripheral) -> Made:
    cores = board.platform.cores
    device = ScriptDevice(
        peripheral.script or "",
        peripheral.script_name or peripheral.name,
        peripheral.size or 0x400,
        _Host(board, peripheral.name),
        cores=[core.name for core in cores],
        nvics=[core.nvic for core in cores],
        initable=bool(peripheral.attributes.get("initable", False)),
    )
    return device, None


def _stm32_usart(board: Board, peripheral: Peripheral) -> Made:
    console = UartConsole(peripheral.name, board.settle)
    device = Stm32Usart(_Host(board, peripheral.name), _Lines(board, peripheral.interrupts), console.transmit)
    console.connect(device.receive)
    return device, console


def _dwt(board: Board, peripheral: Peripheral) -> Made:
    frequency = peripheral.attributes.get("frequency")
    core = peripheral.registrations[0].core or board.platform.cores[0].name
    hz = frequency if isinstance(frequency, int) else 100_000_000
    return Dwt(_Host(board, peripheral.name), lambda: board.cycles(core, hz)), None


_MAKERS: dict[str, Callable[[Board, Peripheral], Made]] = {
    "Miscellaneous.DWT": _dwt,
    "Python.PythonPeripheral": _script,
    "UART.STM32F7_USART": _stm32_usart,
}


def create_device(board: Board, peripheral: Peripheral) -> Made:
    """The device of a peripheral, and its console if it is a UART; a type without a model answers as unmodelled."""
    maker = _MAKERS.get(peripheral.type)
    if maker is None:
        return Unmodelled(_Host(board, peripheral.name), peripheral.type), None
    return maker(board, peripheral)


def create_tag(board: Board, name: str, value: int) -> Device:
    """A tagged range: reads as its value."""
    return Tagged(_Host(board, name), value)
