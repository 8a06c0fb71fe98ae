"""What a peripheral script finds of Renode's API: ``request``, ``self``, the machine with its bus and cores.

Names are Renode's. What of it exists is in ``docs/writing-a-peripheral.md``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol

__all__ = ["Cpu", "Emulation", "Machine", "Nvic", "Request", "ScriptHost", "Self", "SystemBus", "dotnet_format"]

UNMODELLED = "unmodelled "  # a warning that begins so is no log line: firmware touched what the script does not model
WORD = (1 << 64) - 1
HOLE = re.compile(r"\{(\d+)(?::([XxDd])(\d*))?\}|\{\{|\}\}")


class ScriptHost(Protocol):
    """What a script may do to the board it is on."""

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None:
        """Drive an input of an NVIC, both by number and name."""

    def is_held(self, core: str) -> bool:
        """Whether a core does not run until released."""

    def hold(self, core: str, held: bool) -> None:
        """Hold a core, or let it go."""

    def is_in_deep_sleep(self, nvic: str) -> bool:
        """Whether the core of an NVIC sleeps with SCR.SLEEPDEEP set."""

    def set_event(self, core: str) -> None:
        """Set a core's event register, which ends WFE."""

    def vector_table(self, core: str) -> int:
        """Where a core boots when it is next released or reset."""

    def set_vector_table(self, core: str, address: int) -> None:
        """Change that."""

    def log(self, level: str, text: str) -> None:
        """A line of the script: "noisy", "debug", "info", "warning" or "error"."""

    def unmodelled(self, offset: int, text: str) -> None:
        """A core touched something that the script does not model."""


class RequestType(enum.Enum):
    """What is asked, as ``str(request.Type)`` says it in Renode."""

    READ = "READ"
    WRITE = "WRITE"
    INIT = "INIT"

    def __str__(self) -> str:
        return self.value


class Fixed:
    """Part of the API: the same object before and after a snapshot."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Fixed:
        return self


class Request(Fixed):
    """``request``; a value is what fits in 64 bits without a sign, as in Renode."""

    __slots__ = ("Absolute", "Counter", "IsInit", "IsRead", "IsUser", "IsWrite", "Length", "Offset", "_value")

    def __init__(self) -> None:
        self.IsInit = self.IsRead = self.IsWrite = self.IsUser = False
        self.Absolute = self.Offset = self.Length = self.Counter = self._value = 0

    @property
    def Type(self) -> RequestType:  # noqa: N802  # Renode's name
        return RequestType.INIT if self.IsInit else RequestType.READ if self.IsRead else RequestType.WRITE

    def _set_value(self, value: int) -> None:
        if type(value) is not int or not 0 <= value <= WORD:
            raise ValueError(f"Cannot convert {type(value).__name__}({value}) to UInt64")
        self._value = value

    Value = property(attrgetter("_value"), _set_value)


class DeepSleep(Fixed):
    """The output of an NVIC that says so."""

    __slots__ = ("_host", "_nvic")

    def __init__(self, host: ScriptHost, nvic: str) -> None:
        self._host, self._nvic = host, nvic

    @property
    def IsSet(self) -> bool:  # noqa: N802  # Renode's name
        return self._host.is_in_deep_sleep(self._nvic)


class Nvic(Fixed):
    """An NVIC, whose inputs a script drives."""

    __slots__ = ("InDeepSleep", "_host", "_name")

    def __init__(self, host: ScriptHost, name: str) -> None:
        self._host, self._name = host, name
        self.InDeepSleep = DeepSleep(host, name)

    def OnGPIO(self, number: int, value: bool) -> None:  # noqa: N802  # Renode's name
        self._host.set_interrupt(self._name, number, bool(value))


class Cpu(Fixed):
    """A core."""

    __slots__ = ("_host", "_name")

    def __init__(self, host: ScriptHost, name: str) -> None:
        self._host, self._name = host, name

    @property
    def IsHalted(self) -> bool:  # noqa: N802  # Renode's name
        return self._host.is_held(self._name)

    @IsHalted.setter
    def IsHalted(self, held: bool) -> None:  # noqa: N802  # Renode's name
        self._host.hold(self._name, bool(held))

    def SetEventFlag(self, value: bool) -> None:  # noqa: N802  # Renode's name
        if value:
            self._host.set_event(self._name)

    @property
    def InitVectorTableOffset(self) -> int:  # noqa: N802  # Renode's name
        return self._host.vector_table(self._name)

    @InitVectorTableOffset.setter
    def InitVectorTableOffset(self, address: int) -> None:  # noqa: N802  # Renode's name
        if type(address) is not int or not 0 <= address < 1 << 32:
            raise ValueError(f"Cannot convert {type(address).__name__}({address}) to UInt32")
        self._host.set_vector_table(self._name, address)

    # In Renode the register itself, from which a core boots whose description gives no InitVectorTableOffset.
    VectorTableOffset = InitVectorTableOffset


class SystemBus(Fixed):
    """``SystemBus``: who accesses, and the cores."""

    __slots__ = ("_cpus", "core")

    def __init__(self, cpus: dict[str, Cpu]) -> None:
        self._cpus = cpus
        self.core: str | None = None  # of the access under way

    def TryGetCurrentCPU(self) -> tuple[bool, Cpu | None]:  # noqa: N802  # Renode's name
        return (False, None) if self.core is None else (True, self._cpus[self.core])

    def GetCPUs(self) -> list[Cpu]:  # noqa: N802  # Renode's name
        return list(self._cpus.values())


class Machine(Fixed):
    """The machine: its bus, and parts by their path."""

    __slots__ = ("SystemBus", "_by_path")

    def __init__(self, bus: SystemBus, by_path: dict[str, Cpu | Nvic]) -> None:
        self.SystemBus = bus
        self._by_path = by_path

    def __getitem__(self, path: str) -> Cpu | Nvic:
        if path not in self._by_path:
            raise KeyError(f"{path}: a script reaches {', '.join(sorted(self._by_path))}")
        return self._by_path[path]


class Emulation(Fixed):
    """``emulationManager.Instance.CurrentEmulation``: the one machine."""

    __slots__ = ("CurrentEmulation", "Instance", "Machines")

    def __init__(self, machine: Machine) -> None:
        self.Instance = self.CurrentEmulation = self
        self.Machines = (machine,)


def dotnet_format(text: str, values: Sequence[object]) -> str:
    """``String.Format`` as far as scripts need it: ``{0}``, ``{0:X8}``, ``{0:D3}``, ``{{``, ``}}``."""

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        value = values[int(match[1])]
        if match[2] and isinstance(value, int):
            return format(value, f"0{match[3] or 0}{match[2] if match[2] in 'Xx' else 'd'}")
        return str(value)

    return HOLE.sub(fill, text)


class Self(Fixed):
    """``self``: the machine, and a log."""

    __slots__ = ("_host", "_machine", "_request")

    def __init__(self, host: ScriptHost, machine: Machine, request: Request) -> None:
        self._host, self._machine, self._request = host, machine, request

    def GetMachine(self) -> Machine:  # noqa: N802  # Renode's name
        return self._machine

    def NoisyLog(self, text: str, *values: object) -> None:  # noqa: N802  # Renode's name
        self._host.log("noisy", dotnet_format(text, values))

    def DebugLog(self, text: str, *values: object) -> None:  # noqa: N802  # Renode's name
        self._host.log("debug", dotnet_format(text, values))

    def InfoLog(self, text: str, *values: object) -> None:  # noqa: N802  # Renode's name
        self._host.log("info", dotnet_format(text, values))

    def WarningLog(self, text: str, *values: object) -> None:  # noqa: N802  # Renode's name
        line = dotnet_format(text, values)
        if not line.startswith(UNMODELLED):
            self._host.log("warning", line)
        elif self._machine.SystemBus.core is not None:  # a look from the host leaves no trace
            self._host.unmodelled(self._request.Offset, line)

    def ErrorLog(self, text: str, *values: object) -> None:  # noqa: N802  # Renode's name
        self._host.log("error", dotnet_format(text, values))
