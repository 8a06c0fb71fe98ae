"""Renode itself, by pyrenode3: the only module besides ``assemblies`` that imports it, and only when a session begins.

Every call was run on Renode 1.16.1 with pyrenode3 at commit dde4a47, but for those marked "source": they were read in
Renode's own source of that time. One session per process: runtime, emulation and monitor are singletons.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.engines.renode.assemblies import load_renode
from orchestrator.errors import EngineError, PlatformError

__all__ = ["Bus", "RenodeSession"]

_PLACE = re.compile(r"(?P<file>[^\s'\":]+\.repl):(?P<line>\d+):(?P<column>\d+)")
_WIDTHS = {1: "Byte", 2: "Word", 4: "DoubleWord"}


class Bus(Protocol):
    """What the engine needs of Renode; times in ns, cores by name."""

    @property
    def time_ns(self) -> int: ...

    def command(self, text: str) -> str: ...

    def load(self, core: str, elf: Path) -> None: ...

    def set_vector_table(self, core: str, address: int) -> None: ...

    def is_halted(self, core: str) -> bool: ...

    def set_halted(self, core: str, halted: bool) -> None: ...

    def reset(self, core: str, nvic: str) -> None: ...

    def run(self, duration_ns: int) -> None: ...

    def read(self, core: str, address: int, size: int) -> bytes: ...

    def word(self, core: str, address: int) -> int: ...

    def write(self, core: str, address: int, data: bytes) -> None: ...

    def pc(self, core: str) -> int: ...

    def registers(self, core: str) -> Mapping[str, int]: ...

    def instructions(self, core: str) -> int: ...

    def on_output(self, uart: str, receive: Callable[[int], None]) -> None: ...

    def feed(self, uart: str, data: bytes) -> None: ...

    def on_store(self, address: int, size: int, seen: Callable[[str, int, int, int], None]) -> None: ...

    def on_exception(self, core: str, taken: Callable[[], None]) -> None: ...

    def on_sleep(self, core: str, changed: Callable[[bool], None]) -> None: ...

    def on_reset(self, happened: Callable[[], None]) -> None: ...

    def log_lines(self) -> Sequence[str]: ...


class RenodeSession:
    """A machine in this process; ``files`` is the platform as exported, ``repl`` the name of its description.

    Raises EngineError for what Renode refuses, PlatformError with file, line and column for a description.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        repl: str,
        cores: Sequence[str],
        scratch: Path,
        *,
        quantum_ns: int,
        seed: int,
    ) -> None:
        load_renode()
        # Names of .NET exist from here on.
        from Antmicro.Renode.Core import EmulationManager  # noqa: PLC0415
        from Antmicro.Renode.Time import TimeInterval  # noqa: PLC0415
        from pyrenode3.conversion import interface_to_class  # noqa: PLC0415
        from pyrenode3.wrappers import Emulation, Monitor  # noqa: PLC0415

        self._class: Callable[[Any], Any] = interface_to_class
        self._interval: Callable[[int], Any] = TimeInterval.FromMicroseconds
        self._monitor: Any = Monitor()
        self._machine: Any = Emulation().add_mach("board")
        self._emulation: Any = EmulationManager.Instance.CurrentEmulation
        self._kept: list[object] = []  # delegates that Renode calls: they must not be collected
        self._log = scratch / "renode.log"
        self._log_read = 0
        self.command('mach set "board"')
        self.command(f"logFile @{self._log} true")  # true: each line is flushed
        self.command("emulation SetGlobalSerialExecution True")  # without it two runs differ
        self.command(f'emulation SetGlobalQuantum "{quantum_ns / 1e9:.9f}"')
        self.command(f"emulation SetSeed {seed & 0x7FFF_FFFF}")  # source: Emulation.SetSeed(int)
        for name, text in files.items():
            (scratch / name).write_text(text, encoding="utf-8")
        try:
            self._machine.load_repl(str(scratch / repl))
        except Exception as error:
            raise _refused(error, repl) from None
        self._bus: Any = self._machine.internal.SystemBus
        # An access to nothing is a BusFault, as on the chip.
        self.command("sysbus UnhandledAccessBehaviour ThrowException")
        self._cores = {core: self._peripheral(core) for core in cores}

    def command(self, text: str) -> str:
        """A command of the monitor; errors come as text there."""
        out, error = self._monitor.execute(text)
        if error.strip():
            raise EngineError("Renode refuses", where=f"engine renode: {text}", found=error.strip())
        return str(out).strip()

    def _peripheral(self, name: str) -> Any:
        return self._class(self._machine.internal[f"sysbus.{name}"])

    def _name_of(self, cpu: Any) -> str:
        if cpu is None:
            return ""
        same = self._class(cpu)
        return next((name for name, core in self._cores.items() if core.Equals(same)), "")

    # firmware

    def load(self, core: str, elf: Path) -> None:
        """Segments go to p_paddr."""
        self.command(f"sysbus LoadELF @{elf} cpu=sysbus.{core}")

    def set_vector_table(self, core: str, address: int) -> None:
        """PC and SP are read from it when the core begins."""
        self._cores[core].VectorTableOffset = address

    def is_halted(self, core: str) -> bool:
        return bool(self._cores[core].IsHalted)

    def set_halted(self, core: str, halted: bool) -> None:
        self._cores[core].IsHalted = halted

    def reset(self, core: str, nvic: str) -> None:
        """The core's own reset leaves its SysTick alive; the core stays halted."""
        self._cores[core].Reset()
        self._peripheral(nvic).Reset()
        self._cores[core].IsHalted = True

    # time

    @property
    def time_ns(self) -> int:
        return round(float(self._emulation.MasterTimeSource.ElapsedVirtualTime.TotalMicroseconds) * 1000)

    def run(self, duration_ns: int) -> None:
        """Whole microseconds. Never returns after a CPU abort."""
        self._emulation.RunFor(self._interval(duration_ns // 1000))

    # looking

    def read(self, core: str, address: int, size: int) -> bytes:
        return bytes(self._bus.ReadBytes(address, size, False, self._cores[core]))

    def word(self, core: str, address: int) -> int:
        """One access of 32 bits, as a register wants it; a block would be read byte by byte."""
        return int(self._bus.ReadDoubleWord(address, self._cores[core]))

    def write(self, core: str, address: int, data: bytes) -> None:
        from System import Array, Byte  # noqa: PLC0415

        self._bus.WriteBytes(Array[Byte](data), address, False, self._cores[core])

    def pc(self, core: str) -> int:
        """Much cheaper than all registers."""
        return int(self._cores[core].PC.RawValue)

    def registers(self, core: str) -> Mapping[str, int]:
        cpu = self._cores[core]
        return {str(r.Aliases[0]): int(cpu.GetRegister(r.Index).RawValue) for r in cpu.GetRegisters() if r.Aliases}

    def instructions(self, core: str) -> int:
        """Sleep counts as executed."""
        return int(self._cores[core].ExecutedInstructions)

    def on_output(self, uart: str, receive: Callable[[int], None]) -> None:
        from System import Action, Byte  # noqa: PLC0415

        handler = Action[Byte](lambda byte: receive(int(byte)))
        self._kept.append(handler)
        self._peripheral(uart).CharReceived += handler

    def feed(self, uart: str, data: bytes) -> None:
        for byte in data:
            self._peripheral(uart).WriteChar(byte)

    def on_store(self, address: int, size: int, seen: Callable[[str, int, int, int], None]) -> None:
        """Called before the store, with core ("": the host), address, size and value; exact address and size only."""
        from Antmicro.Renode.Peripherals.Bus import (  # noqa: PLC0415
            Access,
            BusHookDelegate,
            SysbusAccessWidth,
        )

        hook = BusHookDelegate(lambda cpu, at, _width, value: seen(self._name_of(cpu), int(at), size, int(value)))
        self._kept.append(hook)
        self._bus.AddWatchpointHook(address, getattr(SysbusAccessWidth, _WIDTHS[size]), Access.Write, hook)

    def on_exception(self, core: str, taken: Callable[[], None]) -> None:
        """Called when a core takes an exception; which one stands in its ICSR."""
        from System import Action, UInt64  # noqa: PLC0415

        hook = Action[UInt64](lambda _kind: taken())
        self._kept.append(hook)
        self._cores[core].AddHookAtInterruptBegin(hook)

    def on_sleep(self, core: str, changed: Callable[[bool], None]) -> None:
        """Called with True when a core falls asleep in WFI (source: TranslationCPU.AddHookAtWfiStateChange)."""
        from System import Action, Boolean  # noqa: PLC0415

        hook = Action[Boolean](lambda asleep: changed(bool(asleep)))
        self._kept.append(hook)
        self._cores[core].AddHookAtWfiStateChange(hook)

    def on_reset(self, happened: Callable[[], None]) -> None:
        """Called when firmware has reset the machine (source: Machine.MachineReset)."""
        from Antmicro.Renode.Core import IMachine  # noqa: PLC0415
        from System import Action  # noqa: PLC0415

        handler = Action[IMachine](lambda _machine: happened())
        self._kept.append(handler)
        self._machine.internal.MachineReset += handler

    def log_lines(self) -> Sequence[str]:
        """Whole lines since the last call."""
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as file:
            file.seek(self._log_read)
            whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._log_read += len(whole) + 1
                return whole.decode(errors="replace").splitlines()
        return []


def _refused(error: Exception, repl: str) -> EngineError | PlatformError:
    """Renode's own place in the description is kept."""
    text = str(error).strip().splitlines()
    what = text[0] if text else type(error).__name__
    place = _PLACE.search(str(error))
    if place is None:
        return EngineError("Renode refuses the platform", where=f"engine renode: {repl}", found=what)
    line, column = int(place["line"]), int(place["column"])
    return PlatformError(f"Renode refuses it ({what})", file=Path(place["file"]).name, line=line, column=column)
