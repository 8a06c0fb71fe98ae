"""Renode itself, by pyrenode3: the only module besides ``assemblies`` that imports it, and only when a session begins.

Every call was run on Renode 1.16.1 with pyrenode3 at commit dde4a47; names in parentheses are Renode's source of that
time. One session per process: runtime, emulation and monitor are singletons.

While Renode runs, its threads call in here: a core's own for what the core does, that of a run for the ends of quanta.
Execution is serial, so one of them at a time. An exception must not pass through Renode, which it would end: it is
kept, the run ends, and :meth:`RenodeSession.run` raises it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.base.errors import EngineError, RptwinError
from orchestrator.base.memory import Extent
from orchestrator.engines.common.scratch import write
from orchestrator.engines.renode.assemblies import load_renode
from orchestrator.engines.renode.compiled.models import load_models
from orchestrator.engines.renode.failures import Failures, refused
from orchestrator.engines.renode.log import LogLine

__all__ = ["Bus", "RenodeSession"]

_EXCP_IRQ = 5  # tlib's class of an exception that is taken (arch/arm/cpu.h)
_QUEUE, _OVER = "InvokeInCpuThreadSafely", "isDisposed"
_GIVES_UP = "CPU abort "  # TranslationCPU.ReportAbort
_THREAD = "rptwin"  # models draw random numbers by the thread's name (PseudorandomNumberGenerator)
_PAGE = 1024  # bytes that tlib reaches through the bus or not (TARGET_PAGE_BITS of arm-m)
_MOST_PAGES = 1024  # that one core may have (tlib, MAX_IO_ACCESS_REGIONS_COUNT): one more and it aborts


class Bus(Protocol):
    """What the engine needs of Renode; times in ns, cores by name.

    What is given to be called is called with the board standing still, whatever thread it comes on.
    """

    @property
    def time_ns(self) -> int:
        """Where all cores have come to: the end of the last quantum."""
        ...

    def moment_ns(self, core: str) -> int:
        """Where this core is in its quantum; only when it is the one that calls."""
        ...

    def acting(self) -> str:
        """The core on whose thread this is called; "": none."""
        ...

    def run(self, duration_ns: int) -> None:
        """Until that much time has passed, or ``end`` is called."""
        ...

    def end(self) -> None:
        """From any thread: the run ends with the quantum that is running."""
        ...

    def at_quantum_end(self, act: Callable[[], None], time_ns: int = 0) -> None:
        """Once, at the end of the quantum that is running, or at the first one that is not before this time."""
        ...

    def at_turn(self, core: str, act: Callable[[], None]) -> None:
        """Once, when this core is about to execute its next instruction after it got the turn."""
        ...

    def command(self, text: str) -> str: ...

    def load(self, core: str, elf: Path) -> None: ...

    def set_vector_table(self, core: str, address: int) -> None: ...

    def is_halted(self, core: str) -> bool: ...

    def set_halted(self, core: str, halted: bool) -> None: ...

    def reset(self, core: str, nvic: str, driven: Sequence[int]) -> None: ...

    def read(self, core: str, address: int, size: int) -> bytes: ...

    def word(self, core: str, address: int) -> int: ...

    def write(self, core: str, address: int, data: bytes) -> None: ...

    def store_word(self, core: str, address: int, value: int) -> None: ...

    def pc(self, core: str) -> int: ...

    def registers(self, core: str) -> Mapping[str, int]: ...

    def cycles(self, core: str) -> int: ...

    def on_output(self, uart: str, receive: Callable[[int], None]) -> None: ...

    def feed(self, uart: str, data: bytes) -> None: ...

    def on_store(self, peripheral: str, first: int, size: int, seen: Callable[[str, int, int, int], None]) -> None: ...

    def on_load(self, region: str, first: int, size: int, seen: Callable[[int, int, int], None] | None) -> None: ...

    def answer(self, peripheral: str, first: int, size: int, value: Callable[[int], int | None]) -> None: ...

    def through_bus(self, extents: Sequence[tuple[str, Extent]]) -> bool: ...

    def on_exception(self, core: str, raised: Callable[[int], None], taken: Callable[[], None]) -> None: ...

    def on_sleep(self, core: str, changed: Callable[[bool], None]) -> None: ...

    def on_reset(self, happened: Callable[[], None]) -> None: ...

    def on_abort(self, happened: Callable[[str], None]) -> None: ...

    def on_log(self, said: Callable[[LogLine], None]) -> None: ...


class RenodeSession:
    """A machine in this process; a method for each thing that the engine asks of Renode, and so a large class.

    ``files`` is the platform as exported, ``repl`` the name of its description;
    ``models`` is the text of classes that it names, in C#.

    Raises EngineError for what Renode refuses, PlatformError with file, line and column for a description. ``home`` is
    the folder of the platform, ``lost`` is called when .NET is about to end the process.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        repl: str,
        cores: Sequence[str],
        nvics: Sequence[str],
        scratch: Path,
        *,
        models: str,
        quantum_ns: int,
        seed: int,
        home: Path,
        lost: Callable[[RptwinError], None],
    ) -> None:
        load_renode()
        self._failures = Failures(home, lost)
        # Names of .NET exist from here on.
        from Antmicro.Renode.Core import EmulationManager  # noqa: PLC0415
        from Antmicro.Renode.Peripherals.Bus import UnhandledAccessBehaviour  # noqa: PLC0415
        from Antmicro.Renode.Time import TimeInterval, TimeStamp  # noqa: PLC0415
        from Antmicro.Renode.UserInterface import MonitorTimeExtensions  # noqa: PLC0415
        from pyrenode3.conversion import interface_to_class  # noqa: PLC0415
        from pyrenode3.wrappers import Emulation, Monitor  # noqa: PLC0415
        from System import Action  # noqa: PLC0415
        from System.Threading import Thread  # noqa: PLC0415

        if Thread.CurrentThread.Name is None:
            Thread.CurrentThread.Name = _THREAD
        self._class: Callable[[Any], Any] = interface_to_class
        self._interval: Callable[[int], Any] = TimeInterval.FromMicroseconds
        self._stamp: Callable[[Any, Any], Any] = TimeStamp
        self._timed: Callable[[Any], Any] = Action[TimeStamp]
        self._monitor: Any = Monitor()
        self._machine: Any = Emulation().add_mach("board")
        self._emulation: Any = EmulationManager.Instance.CurrentEmulation
        self._master: Any = self._emulation.MasterTimeSource
        self._kept: list[object] = []  # delegates that Renode calls: they must not be collected
        self._runs = False
        self._failure: BaseException | None = None
        self.command('mach set "board"')
        # What the monitor's commands of these names call: its first command on `emulation` alone takes 0.4 s.
        MonitorTimeExtensions.SetGlobalSerialExecution(self._emulation, True)  # without it two runs differ
        MonitorTimeExtensions.SetGlobalAdvanceImmediately(self._emulation, True)  # no sleep where time is ahead
        MonitorTimeExtensions.SetGlobalQuantum(self._emulation, self._interval(quantum_ns // 1000))
        self._emulation.SetSeed(seed & 0x7FFF_FFFF)
        if models:
            load_models(models, scratch)
        for name, text in files.items():
            write(scratch / name, text.encode())
        try:
            self._machine.load_repl(str(scratch / repl))
        except Exception as error:
            raise refused(error, repl, home) from None
        self._bus: Any = self._machine.internal.SystemBus
        # An access to nothing is a BusFault, as on the chip.
        self._bus.UnhandledAccessBehaviour = UnhandledAccessBehaviour.ThrowException
        self._cores = {core: self._peripheral(core) for core in cores}
        for nvic in nvics:
            self._peripheral(nvic).FilterCcrDiv0Write = False  # firmware may have a division by zero trapped
        self._slots = {int(self._bus.GetCPUSlot(cpu)): name for name, cpu in self._cores.items()}
        self._pages: dict[str, set[int]] = {core: set() for core in cores}
        self._aborted: list[Callable[[str], None]] = []
        self._over = self._private("GetField", self._master, _OVER)
        self._queues = {name: self._queue_of(cpu) for name, cpu in self._cores.items()}
        for name, cpu in self._cores.items():
            self._follow(name, cpu)

    def command(self, text: str) -> str:
        """A command of the monitor; errors come as text there."""
        out, error = self._monitor.execute(text)
        if error.strip():
            raise EngineError("Renode refuses", where=f"engine renode: {text}", found=error.strip())
        return str(out).strip()

    def _peripheral(self, name: str) -> Any:
        return self._class(self._machine.internal[f"sysbus.{name}"])

    def _safely(self, act: Callable[..., None]) -> Callable[..., None]:
        """What Renode calls: an error ends the run instead of Renode, and nothing is called after it."""

        def call(*arguments: Any) -> None:
            if self._failure is None:
                try:
                    act(*arguments)
                except Exception as error:  # of a script, which the board has asked something
                    self._failure = self._in_words(error)
                    self.end()
                except BaseException as error:  # a listener's too, whatever it is
                    self._failure = error
                    self.end()

        return call

    def _in_words(self, error: Exception) -> Exception:
        """Exceptions of .NET have a type there."""
        return self._failures.in_words(error) if hasattr(error, "GetType") else error

    def _follow(self, core: str, cpu: Any) -> None:
        """A core that leaves its reset has forgotten which pages go through the bus."""
        from Antmicro.Renode.Peripherals.CPU import ICPU, EmulationCPUState  # noqa: PLC0415
        from System import Action  # noqa: PLC0415

        def changed(_cpu: Any, before: Any, _now: Any) -> None:
            if before == EmulationCPUState.InReset:
                for page in self._pages[core]:
                    cpu.SetPageAccessViaIo(page)

        handler = Action[ICPU, EmulationCPUState, EmulationCPUState](self._safely(changed))
        self._kept.append(handler)
        cpu.StateChanged += handler

    def _queue_of(self, cpu: Any) -> Callable[[Any], None]:
        """Renode's own queue of what a core's thread does before it goes on (TranslationCPU.ExecuteInstructions)."""
        from System import Array, Object  # noqa: PLC0415

        method = self._private("GetMethod", cpu, _QUEUE)
        return lambda action: method.Invoke(cpu, Array[Object]([action]))

    def _set_over(self, *, over: bool) -> None:
        """Whether RunFor ends with the quantum (MasterTimeSource): there is no other way out of it."""
        self._over.SetValue(self._master, over)

    @staticmethod
    def _private(get: str, thing: Any, name: str) -> Any:
        """A member that Renode does not publish; EngineError where it has another one."""
        from System.Reflection import BindingFlags  # noqa: PLC0415

        kind, found = thing.GetType(), None
        while kind is not None and found is None:
            found = getattr(kind, get)(name, BindingFlags.NonPublic | BindingFlags.Instance)
            kind = kind.BaseType
        if found is None:
            raise EngineError(
                f"{thing.GetType().Name} of this Renode has no {name}",
                where="engine renode",
                advice="its cores' turns cannot be told apart: use a Renode with which rptwin was tried",
            )
        return found

    # firmware

    def load(self, core: str, elf: Path) -> None:
        """Segments go to p_paddr."""
        from Antmicro.Renode.Core.Extensions import FileLoaderExtensions  # noqa: PLC0415
        from Antmicro.Renode.Utilities import ReadFilePath  # noqa: PLC0415

        try:
            FileLoaderExtensions.LoadELF(self._bus, ReadFilePath(str(elf)), False, self._cores[core])
        except Exception as error:
            raise self._in_words(error) from None

    def set_vector_table(self, core: str, address: int) -> None:
        """Where PC and SP come from when the core leaves its reset (CortexM.TryInitVTOR), and at once."""
        from System import UInt32  # noqa: PLC0415

        self._cores[core].InitVectorTableOffset = UInt32(address)
        self._cores[core].VectorTableOffset = address

    def is_halted(self, core: str) -> bool:
        return bool(self._cores[core].IsHalted)

    def set_halted(self, core: str, halted: bool) -> None:
        self._cores[core].IsHalted = halted

    def reset(self, core: str, nvic: str, driven: Sequence[int]) -> None:
        """The core's own reset leaves its SysTick alive; the core stays halted. That of the NVIC forgets which of its
        inputs are ``driven``, and who drives one says nothing until it changes.
        """
        self._cores[core].Reset()
        controller = self._peripheral(nvic)
        controller.Reset()
        for interrupt in driven:
            controller.OnGPIO(interrupt, True)
        self._cores[core].IsHalted = True

    # time

    @property
    def time_ns(self) -> int:
        return int(self._master.ElapsedVirtualTime.Ticks)  # TimeInterval.TicksPerNanosecond is 1

    def moment_ns(self, core: str) -> int:
        cpu = self._cores[core]
        cpu.SyncTime()
        return int(cpu.TimeHandle.TotalElapsedTime.Ticks)

    def run(self, duration_ns: int) -> None:
        self._set_over(over=False)
        self._runs = True
        try:
            self._emulation.RunFor(self._interval(duration_ns // 1000))
        finally:
            self._runs = False
            self._set_over(over=False)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def end(self) -> None:
        if not self._runs:
            return
        if self._master.IsOnSyncPhaseThread:  # at the end of a quantum: what is asked for now comes with the next one
            self._set_over(over=True)
        else:
            self.at_quantum_end(lambda: self._set_over(over=True))

    def at_quantum_end(self, act: Callable[[], None], time_ns: int = 0) -> None:
        when = self._stamp(self._interval(-(-time_ns // 1000)), self._master.Domain)
        safely = self._safely(act)
        self._master.ExecuteInSyncedState(self._timed(lambda _now: safely()), when)

    def at_turn(self, core: str, act: Callable[[], None]) -> None:
        from System import Action  # noqa: PLC0415

        self._queues[core](Action(self._safely(act)))

    # looking

    def read(self, core: str, address: int, size: int) -> bytes:
        return bytes(self._bus.ReadBytes(address, size, False, self._cores[core]))

    def word(self, core: str, address: int) -> int:
        """One access of 32 bits, as a register wants it; a block would be read byte by byte."""
        try:
            return int(self._bus.ReadDoubleWord(address, self._cores[core]))
        except Exception as error:
            raise self._in_words(error) from None

    def write(self, core: str, address: int, data: bytes) -> None:
        from System import Array, Byte  # noqa: PLC0415

        self._bus.WriteBytes(Array[Byte](data), address, False, self._cores[core])

    def store_word(self, core: str, address: int, value: int) -> None:
        """One access of 32 bits, by this core."""
        try:
            self._bus.WriteDoubleWord(address, value, self._cores[core])
        except Exception as error:
            raise self._in_words(error) from None

    def pc(self, core: str) -> int:
        """Much cheaper than all registers."""
        return int(self._cores[core].PC.RawValue)

    def registers(self, core: str) -> Mapping[str, int]:
        cpu = self._cores[core]
        return {str(r.Aliases[0]): int(cpu.GetRegister(r.Index).RawValue) for r in cpu.GetRegisters() if r.Aliases}

    def cycles(self, core: str) -> int:
        """Instructions that were executed or slept through since power-on."""
        return int(self._cores[core].ElapsedCycles)

    def on_output(self, uart: str, receive: Callable[[int], None]) -> None:
        from System import Action, Byte  # noqa: PLC0415

        handler = Action[Byte](self._safely(lambda byte: receive(int(byte))))
        self._kept.append(handler)
        self._peripheral(uart).CharReceived += handler

    def feed(self, uart: str, data: bytes) -> None:
        for byte in data:
            self._peripheral(uart).WriteChar(byte)

    def on_store(self, peripheral: str, first: int, size: int, seen: Callable[[str, int, int, int], None]) -> None:
        """Called before a store to these bytes, with core ("": the host), offset, size and value; the last call counts.

        On the core's own thread and once for each store, which goes on as if nobody had looked. Memory is stored to
        past the bus but for the pages of ``through_bus``.
        """
        from Antmicro.Renode.Core import Range  # noqa: PLC0415
        from System import Byte, Func, Int64, UInt16, UInt32, UInt64  # noqa: PLC0415

        tell = self._safely(lambda offset, width, value: seen(self.acting(), int(offset), width, int(value)))
        target = self._peripheral(peripheral)
        for kind, width in ((Byte, 1), (UInt16, 2), (UInt32, 4), (UInt64, 8)):

            def stored(value: Any, offset: Any, width: int = width) -> Any:
                tell(offset, width, value)
                return value

            hook = Func[kind, Int64, kind](stored)
            self._kept.append(hook)
            self._bus.SetHookBeforePeripheralWrite[kind](target, hook, Range(first, size))

    def on_load(self, region: str, first: int, size: int, seen: Callable[[int, int, int], None] | None) -> None:
        """Called behind a load of these bytes, with offset, size and value, as by ``on_store``; None: no more."""
        from Antmicro.Renode.Core import Range  # noqa: PLC0415
        from System import Byte, Func, Int64, UInt16, UInt32, UInt64  # noqa: PLC0415

        target = self._peripheral(region)
        tell = None if seen is None else self._safely(seen)
        for kind, width in ((Byte, 1), (UInt16, 2), (UInt32, 4), (UInt64, 8)):
            if tell is None:
                self._bus.ClearHookAfterPeripheralRead[kind](target)
                continue

            def loaded(value: Any, offset: Any, width: int = width, tell: Callable[..., None] = tell) -> Any:
                tell(int(offset), width, int(value))
                return value

            hook = Func[kind, Int64, kind](loaded)
            self._kept.append(hook)
            self._bus.SetHookAfterPeripheralRead[kind](target, hook, Range(first, size))

    def answer(self, peripheral: str, first: int, size: int, value: Callable[[int], int | None]) -> None:
        """What words of a device read, by offset, in place of what its model says; None: as it says."""
        from Antmicro.Renode.Core import Range  # noqa: PLC0415
        from System import Func, Int64, UInt32  # noqa: PLC0415

        def read(said: Any, offset: Any) -> Any:
            other = value(int(offset))
            return said if other is None else UInt32(other)

        hook = Func[UInt32, Int64, UInt32](read)
        self._kept.append(hook)
        self._bus.SetHookAfterPeripheralRead[UInt32](self._peripheral(peripheral), hook, Range(first, size))

    def acting(self) -> str:
        found, cpu = self._bus.TryGetCurrentCPU()
        return self._slots.get(int(self._bus.GetCPUSlot(cpu)), "") if found else ""

    def through_bus(self, extents: Sequence[tuple[str, Extent]]) -> bool:
        """Let each core reach what it sees there through the bus; False where that is more than tlib can keep."""
        wanted: dict[str, set[int]] = {}
        for core, extent in extents:
            pages = range(extent.start - extent.start % _PAGE, extent.end, _PAGE)
            wanted.setdefault(core, set()).update(set(pages) - self._pages[core])
        if any(len(self._pages[core]) + len(new) > _MOST_PAGES for core, new in wanted.items()):
            return False
        for core, new in wanted.items():
            for page in sorted(new):
                self._cores[core].SetPageAccessViaIo(page)
            self._pages[core] |= new
        return True

    def on_exception(self, core: str, raised: Callable[[int], None], taken: Callable[[], None]) -> None:
        """Called when a core is about to take what its NVIC has pending (VECTPENDING).

        And before, for what the core raises itself, with tlib's class of it: it is then made pending, or locks up.
        """
        from System import Action, UInt64  # noqa: PLC0415

        hook = Action[UInt64](self._safely(lambda kind: taken() if int(kind) == _EXCP_IRQ else raised(int(kind))))
        self._kept.append(hook)
        self._cores[core].AddHookAtInterruptBegin(hook)

    def on_sleep(self, core: str, changed: Callable[[bool], None]) -> None:
        """Called with True when a core falls asleep in WFI, and in a branch to itself."""
        from System import Action, Boolean  # noqa: PLC0415

        hook = Action[Boolean](self._safely(lambda asleep: changed(bool(asleep))))
        self._kept.append(hook)
        self._cores[core].AddHookAtWfiStateChange(hook)

    def on_reset(self, happened: Callable[[], None]) -> None:
        """Called when firmware has reset the machine."""
        from Antmicro.Renode.Core import IMachine  # noqa: PLC0415
        from System import Action  # noqa: PLC0415

        handler = Action[IMachine](self._safely(lambda _machine: happened()))
        self._kept.append(handler)
        self._machine.internal.MachineReset += handler

    def on_abort(self, happened: Callable[[str], None]) -> None:
        """Called when Renode has given a core up, with its log's line told: no quantum may be begun after it, as the
        clock would wait for that core for ever.
        """
        self._aborted.append(happened)

    def on_log(self, said: Callable[[LogLine], None]) -> None:
        """Called with each warning and error, on the thread of the core that is behind it, before it goes on."""
        from Antmicro.Renode.Logging import ILoggerBackend, Logger, LogLevel  # noqa: PLC0415
        from System import IDisposable, Int32  # noqa: PLC0415
        from System.Collections.Generic import Dictionary  # noqa: PLC0415

        def logged(source: Any, text: Any) -> None:
            core = self.acting()
            gives_up = core and str(text).startswith(_GIVES_UP)
            if gives_up:
                self._set_over(over=True)
            said(LogLine(str(source or ""), str(text), core, self.pc(core) if core else 0))
            for happened in self._aborted if gives_up else ():
                happened(core)

        tell = self._safely(logged)

        def log(_self: Any, entry: Any, _timestamps: Any) -> None:
            if entry.Type.NumericLevel >= LogLevel.Warning.NumericLevel:
                tell(entry.ObjectName, entry.Message)

        methods = {
            "Log": log,
            "GetLogLevel": lambda _self: LogLevel.Warning,
            "GetCustomLogLevels": lambda _self: Dictionary[Int32, LogLevel](),
            "get_IsControllable": lambda _self: False,
            "SetLogLevel": lambda _self, *_arguments: None,
            **dict.fromkeys(("Reset", "Flush", "Dispose"), lambda _self: None),
        }
        listener = type("Listener", (ILoggerBackend, IDisposable), {"__namespace__": "Rptwin", **methods})()
        self._emulation.CurrentLogger.SynchronousLogging = True
        self._kept.append(listener)
        Logger.AddBackend(listener, "rptwin", True)
