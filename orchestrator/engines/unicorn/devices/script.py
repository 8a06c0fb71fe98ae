"""Python peripheral scripts, run as Renode runs them (Renode's ``Python.PythonPeripheral``).

A script is executed once for each access, in one scope that lives as long as the device: ``request`` says what is
asked, ``self`` is the peripheral (``script_api``). A read that changed nothing is answered as before until something
has changed. The device sees the rest of the board only through a
:class:`~orchestrator.engines.unicorn.devices.script_api.ScriptHost`, and imports no emulator.
"""

from __future__ import annotations

import builtins
import pickle
import traceback
from array import array
from collections.abc import Sequence
from dataclasses import field, replace
from types import CellType, FunctionType, ModuleType
from typing import Any

from orchestrator.base.copies import PLAIN, copied, is_flat
from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError, RptwinError
from orchestrator.engines.unicorn.devices.script_api import (
    Cpu,
    Emulation,
    Machine,
    Nvic,
    Request,
    ScriptHost,
    Self,
    SystemBus,
)
from orchestrator.engines.unicorn.devices.script_code import ROUND, code_of
from orchestrator.engines.unicorn.devices.script_effects import CHANGED

__all__ = ["ScriptDevice", "ScriptState"]


_MASKS = tuple((1 << 8 * size) - 1 for size in range(9))  # of an access, by its size
_MOST_ROUNDS = 1_000_000  # of loops in one access: more is a loop for ever


_Content = tuple[dict[str, FunctionType], bytes]
"""Functions of a script by name, and all else that it remembers in bytes: equal ones are one state."""


@dataclass(frozen=True, slots=True)
class ScriptState:
    """All that a script remembers: names of its scope, what its functions closed over, their defaults, class data.

    Functions and classes are kept by identity, so it fits only the device it was taken from. Nothing in it ever
    changes: states of a device that was not accessed in between share what they hold.
    """

    owner: object
    inited: bool
    counter: int = field(compare=False)
    names: dict[str, Any]
    cells: list[tuple[CellType, Any]]
    defaults: list[tuple[FunctionType, Any, Any]]
    classes: list[tuple[type, dict[str, Any]]]
    content: _Content | None = field(default=None, compare=False)


class ScriptDevice:
    """One Python peripheral; ``cores`` and ``nvics`` are the names that its script reaches as ``sysbus.NAME``.

    ``base`` is where it is registered first, and where an access that names no address is made; of the other places
    :meth:`at` tells. A failure of the script is an :class:`EngineError` that names file and line.
    """

    def __init__(
        self,
        script: str,
        script_name: str,
        size: int,
        host: ScriptHost,
        *,
        cores: Sequence[str],
        nvics: Sequence[str],
        initable: bool = True,
        base: int = 0,
    ) -> None:
        self.script_name = script_name
        self.size = size
        self._initable = initable
        self._inited = False
        self._base = base
        self._count = 0  # of accesses so far: the first is number 0, and the initialisation none
        self._request = Request()
        cpus = {name: Cpu(host, name) for name in cores}
        self._bus = SystemBus(cpus)
        by_path: dict[str, Cpu | Nvic] = {f"sysbus.{name}": cpu for name, cpu in cpus.items()}
        by_path.update((f"sysbus.{name}", Nvic(host, name)) for name in nvics)
        machine = Machine(self._bus, by_path)
        self._api = {
            "request": self._request,
            "self": Self(host, machine, self._request),
            "size": size,
            "emulationManager": Emulation(machine),
            "print": lambda *values: host.log("info", " ".join(map(str, values))),
            "__name__": "<script>",
            ROUND: self._round,
            CHANGED: True,
            "__builtins__": vars(builtins),
        }
        self._rounds = 0  # of all loops, in this access
        self._scope: dict[str, Any] = dict(self._api)
        self._known: ScriptState | None = None  # what it remembers, as nothing has changed after that
        self._last: ScriptState | None = None  # what it remembered last
        code, passing, self._tells_changes = code_of(script, script_name)
        self._run = FunctionType(code, self._scope)  # called, it runs as exec() would run its code, without its checks
        self._not_state = {*self._api, *passing}
        self._has_changed = True  # in the last run, as far as is known
        self._answers: dict[tuple[str | None, int, int], int] = {}  # to reads, as nothing has changed after them
        self._is_repeated = False  # the last read was answered as before
        self.version = array("Q", [0])
        self._asks_where = "Absolute" in script
        self.is_steady = "Counter" not in script  # else a read depends on how many came before
        self.looks_at_sleep = "InDeepSleep" in script  # then a read changes when a core falls asleep or wakes up

    def at(self, address: int) -> ScriptDevice | _ScriptAt:
        """The device as it answers at one of its addresses; itself where its script does not ask at which."""
        return _ScriptAt(self, address) if self._asks_where else self

    def read(self, offset: int, size: int, core: str | None) -> int:
        """The value that an access of ``size`` bytes by a core (None: the host) sees."""
        asked = core, offset, size
        answer = self._answers.get(asked)
        self._is_repeated = answer is not None
        if answer is None:
            answer = self.read_at(self._base, offset, size, core)
            if not self._has_changed:
                self._answers[asked] = answer
        return answer

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        """An access of ``size`` bytes by a core (None: the host); the value is cut to it."""
        self.write_at(self._base, offset, size, value, core)

    def read_at(self, base: int, offset: int, size: int, core: str | None) -> int:
        """The same where the device is seen at ``base``."""
        if not self._inited:
            self._ensure_inited()
        request = self._request
        request.IsRead, request.IsWrite = True, False
        request.Offset, request.Length, request.Absolute = offset, size, base + offset
        request._value = 0
        request.Counter = self._count
        self._count += 1
        self._execute(core)
        return request._value & _MASKS[size]

    def write_at(self, base: int, offset: int, size: int, value: int, core: str | None) -> None:
        """The same where the device is seen at ``base``."""
        if not self._inited:
            self._ensure_inited()
        request = self._request
        request.IsRead, request.IsWrite = False, True
        request.Offset, request.Length, request.Absolute = offset, size, base + offset
        request._value = value & _MASKS[size]
        request.Counter = self._count
        self._count += 1
        self._execute(core)

    def reset(self) -> None:
        """Run the script's initialisation, in the scope that it has, as Renode does."""
        self._inited = False
        self._ensure_inited()

    def _ensure_inited(self) -> None:
        if self._inited:
            return
        self._inited = True
        if self._initable:
            request = self._request
            request.IsInit, request.IsRead, request.IsWrite = True, False, False
            request.Offset = request.Length = request._value = 0
            try:
                self._execute(None)
            finally:
                request.IsInit = False

    def stands(self, offset: int, size: int, core: str) -> bool:
        """As :class:`~orchestrator.engines.unicorn.bus.Lasting` says; from the second time on: most are read once."""
        return self._is_repeated and (core, offset, size) in self._answers

    def forget_answers(self) -> None:
        """A read may see something else than it did: the script has changed, or who sleeps."""
        if self._answers:
            self._answers = {}
            self.version[0] += 1

    def _execute(self, core: str | None) -> None:
        self._bus.core = core
        self._rounds = 0
        try:
            self._run()
        except RptwinError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            self._bus.core = None
            self._has_changed = self._scope[CHANGED]
            if self._has_changed:
                self._scope[CHANGED] = not self._tells_changes
                self._known = None
                self.forget_answers()

    def _round(self) -> bool:
        """A round of any loop of the script begins."""
        self._rounds += 1
        if self._rounds > _MOST_ROUNDS:
            raise RuntimeError(f"still looping after {_MOST_ROUNDS:,} rounds")
        return True

    def _failure(self, error: Exception) -> EngineError:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self.script_name
        ]
        last = traceback.format_exception_only(error)[-1].strip()
        return EngineError(f"a script failed: {last}", where=f"{self.script_name}:{lines[-1] if lines else '?'}")

    # snapshots

    def snapshot(self) -> ScriptState:
        """All that the script remembers; :class:`EngineError` when it holds what cannot be copied (an open file)."""
        self._ensure_inited()
        if self._known is None:
            content, last = self._content(), self._last
            if last is None or content is None or content != last.content:
                last = self._copied(self._remembered())
            self._known = self._last = replace(last, counter=self._count, content=content)
        return self._known

    def _content(self) -> _Content | None:
        """Of what it remembers now, in a fraction of the time of a copy; None where it is more than plain values and
        functions that are nothing but code.
        """
        functions: dict[str, FunctionType] = {}
        values: dict[str, Any] = {}
        for name, value in self._scope.items():
            if name in self._not_state:
                continue
            if type(value) is not FunctionType:
                values[name] = value
            elif value.__closure__ or value.__defaults__ or value.__kwdefaults__:
                return None
            else:
                functions[name] = value
        try:
            return functions, pickle.dumps(values, pickle.HIGHEST_PROTOCOL)
        except Exception:  # whatever objects of a script's own raise
            return None

    def _remembered(self) -> ScriptState:
        """What the script works with itself."""
        functions, classes = self._reachable()
        cells = {id(cell): cell for each in functions for cell in each.__closure__ or () if _is_filled(cell)}
        return ScriptState(
            self,
            self._inited,
            self._count,
            {name: value for name, value in self._scope.items() if name not in self._not_state},
            [(cell, cell.cell_contents) for cell in cells.values()],
            [(each, each.__defaults__, each.__kwdefaults__) for each in functions],
            [(each, _class_data(each)) for each in classes],
        )

    def restore(self, state: object) -> None:
        """Make the script remember what it did at a snapshot of this device, and nothing since."""
        if not isinstance(state, ScriptState) or state.owner is not self:
            raise EngineError("a snapshot of another device", where=self.script_name)
        if state is not self._known or self.looks_at_sleep:
            self.forget_answers()
        if state is self._known:
            return
        self._inited, self._count, self._known = state.inited, state.counter, state
        if state.content is not None and state.content == self._content():
            return
        fresh = self._copied(state)
        for name in [each for each in self._scope if each not in self._api]:
            del self._scope[name]
        self._scope.update(fresh.names)
        for cell, contents in fresh.cells:
            cell.cell_contents = contents
        for function, defaults, keyword_defaults in fresh.defaults:
            function.__defaults__, function.__kwdefaults__ = defaults, keyword_defaults
        for owner, data in fresh.classes:
            for name in _class_data(owner):
                delattr(owner, name)
            for name, value in data.items():
                setattr(owner, name, value)

    def _copied(self, state: ScriptState) -> ScriptState:
        """A copy in which what was shared is still shared, in one pass over everything."""
        parts = (
            state.names,
            [value for _, value in state.cells],
            [rest for _, *rest in state.defaults],
            [data for _, data in state.classes],
        )
        memo: dict[int, Any] = {id(each): each for each in self._scope.values() if isinstance(each, ModuleType)}
        try:
            names, contents, defaults, classes = [copied(each, memo) for each in parts]
        except Exception as error:
            raise EngineError(f"a script's state cannot be copied: {error}", where=self.script_name) from error
        return ScriptState(
            state.owner,
            state.inited,
            state.counter,
            names,
            [(cell, value) for (cell, _), value in zip(state.cells, contents, strict=True)],
            [(function, *rest) for (function, *_), rest in zip(state.defaults, defaults, strict=True)],
            [(owner, data) for (owner, _), data in zip(state.classes, classes, strict=True)],
        )

    def _reachable(self) -> tuple[list[FunctionType], list[type]]:
        """Functions and classes of the script itself, through containers, closures and instances."""
        functions: list[FunctionType] = []
        classes: list[type] = []
        seen: set[int] = set()
        own = (value for name, value in self._scope.items() if name not in self._api)
        waiting: list[Any] = [*own]
        while waiting:
            value = waiting.pop()
            kind = type(value)
            if kind in PLAIN or id(value) in seen:
                continue
            seen.add(id(value))
            if kind is dict and is_flat(value) and is_flat(value.values()):
                continue
            if (kind is list or kind is tuple) and is_flat(value):
                continue
            match value:
                case FunctionType() if value.__globals__ is self._scope:
                    functions.append(value)
                    waiting += [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
                    waiting += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
                case type() if value.__module__ == "<script>":
                    classes.append(value)
                    waiting += vars(value).values()
                case dict():
                    waiting += [*value.keys(), *value.values()]
                case list() | tuple() | set() | frozenset():
                    waiting += value
                case staticmethod() | classmethod():
                    waiting.append(value.__func__)
                case property():
                    waiting += [value.fget, value.fset]
                case _ if type(value).__module__ == "<script>":
                    waiting += [type(value), *vars(value).values()]
                case _ if hasattr(value, "__self__") and hasattr(value, "__func__"):
                    waiting += [value.__self__, value.__func__]
        return functions, classes


class _ScriptAt:
    """A script at one of the addresses where its device is registered."""

    def __init__(self, device: ScriptDevice, base: int) -> None:
        self._device = device
        self._base = base

    @property
    def is_steady(self) -> bool:
        return self._device.is_steady

    def read(self, offset: int, size: int, core: str | None) -> int:
        return self._device.read_at(self._base, offset, size, core)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        self._device.write_at(self._base, offset, size, value, core)

    def reset(self) -> None:
        self._device.reset()

    def snapshot(self) -> object:
        return self._device.snapshot()

    def restore(self, state: object) -> None:
        self._device.restore(state)


def _is_filled(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _class_data(owner: type) -> dict[str, Any]:
    """Attributes of a class that are neither code nor the interpreter's own."""
    code = (FunctionType, staticmethod, classmethod, property, type)
    return {
        name: value
        for name, value in vars(owner).items()
        if not (name.startswith("__") and name.endswith("__")) and not isinstance(value, code)
    }
