"""Faults to inject into a run: in words, exactly or drawn by a seed from what the run without them does.

::

    lost:CORE:NUMBER            a notification to the core, counted from 1, never comes
    late:CORE:NUMBER:DURATION   it comes later
    doubled:CORE:NUMBER:DURATION   it comes, and comes again later
    reset:CORE:TIME             the core starts again from its vector table
    hold:CORE:TIME:DURATION     the core stands still (``ever``: to the end of the run)
    slow:CORE:FACTOR            the core executes so many times fewer instructions in a second
    flip:ADDRESS.BIT:TIME       a bit of memory, by the address that main has for it, is another one

What is left out at the end is drawn; of ``any`` all is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import format_duration, parse_duration
from orchestrator.base.errors import CapabilityError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.base.numbers import parse_number
from orchestrator.base.roles import MAIN, ROLES
from orchestrator.engines.contract import EVER_NS, Capability, Engine, Faulting, InjectedFault, InjectedKind
from orchestrator.platform.model import Platform

__all__ = ["FAULT_KINDS", "Fault", "Seen", "draw", "inject_all", "parse_faults", "slowed"]

_SLOW, _ANY = "slow", "any"
FAULT_KINDS = (*(kind.value for kind in InjectedKind), _SLOW, _ANY)
_PARTS = {
    "lost": ("CORE", "NUMBER"),
    "late": ("CORE", "NUMBER", "DURATION"),
    "doubled": ("CORE", "NUMBER", "DURATION"),
    "reset": ("CORE", "TIME"),
    "hold": ("CORE", "TIME", "DURATION"),
    _SLOW: ("CORE", "FACTOR"),
    "flip": ("ADDRESS.BIT", "TIME"),
    _ANY: (),
}
_EVER = "ever"

_MOST_NUMBER, _MOST_FACTOR, _MOST_FAULTS = 1 << 32, 1_000_000, 100
_LATE_NS = 10_000, 100_000, 1_000_000, 10_000_000
_FACTORS = 2, 3, 5, 10
_WORDS = " | ".join(":".join((kind, *parts)) for kind, parts in _PARTS.items())


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; None: to be drawn. ``core`` is a role, or the name of a core that has none."""

    kind: str
    core: str | None = None
    number: int | None = None
    time_ns: int | None = None
    duration_ns: int | None = None
    factor: int | None = None
    address: int | None = None
    bit: int | None = None

    def __str__(self) -> str:
        """As it is typed, with what has been drawn."""
        values = {
            "CORE": self.core,
            "NUMBER": self.number,
            "TIME": _words(self.time_ns),
            "DURATION": _words(self.duration_ns),
            "FACTOR": self.factor,
            "ADDRESS.BIT": None if self.address is None else f"{self.address:#010x}.{self.bit}",
        }
        said = [values[part] for part in _PARTS[self.kind]]
        return ":".join((self.kind, *(str(each) for each in said if each is not None)))

    @property
    def is_exact(self) -> bool:
        """Nothing of it is to be drawn."""
        return self.kind != _ANY and str(self).count(":") == len(_PARTS[self.kind])

    def injected(self, platform: Platform) -> InjectedFault:
        """What an engine is told of an exact one."""
        core = platform.core(MAIN if self.core is None else self.core).name
        values = self.number, self.time_ns, self.duration_ns, self.address, self.bit
        return InjectedFault(InjectedKind(self.kind), core, *(each or 0 for each in values))


def _words(time_ns: int | None) -> str | None:
    if time_ns is None:
        return None
    return _EVER if time_ns == EVER_NS else format_duration(time_ns).replace(" ", "")


def parse_faults(texts: Iterable[str], platform: Platform) -> tuple[Fault, ...]:
    """:class:`UsageError` names what is wrong with one; cores are those of the platform."""
    faults = tuple(_parse(text, platform) for text in texts)
    if len(faults) > _MOST_FAULTS:
        raise UsageError("too many", where="fault", expected=f"at most {_MOST_FAULTS}", found=len(faults))
    return faults


def _parse(text: str, platform: Platform) -> Fault:
    where = f"fault {text}"
    kind, *values = text.split(":")
    parts = _PARTS.get(kind)
    if parts is None or len(values) > len(parts):
        raise UsageError("not a fault", where=where, expected=_WORDS)
    fault = Fault(kind)
    for part, value in zip(parts, values, strict=False):
        fault = replace(fault, **_read(part, value, where, platform))
    return fault


def _read(part: str, value: str, where: str, platform: Platform) -> dict[str, Any]:
    if part == "CORE":
        if value not in ROLES and all(value != core.name for core in platform.cores):
            raise UsageError("no such core", where=where, expected=" | ".join(ROLES), found=value)
        roles = {name: role for role, name in platform.roles.items()}
        return {"core": roles.get(value, value)}
    if part == "NUMBER":
        return {"number": _number(value, where, 1, _MOST_NUMBER)}
    if part == "FACTOR":
        return {"factor": _number(value, where, 2, _MOST_FACTOR)}
    if part == "TIME":
        return {"time_ns": parse_duration(value, where)}
    if part == "DURATION":
        if value == _EVER and where.startswith("fault hold"):
            return {"duration_ns": EVER_NS}
        time_ns = parse_duration(value, where)
        if not time_ns:
            raise UsageError("no time at all", where=where, expected="more than zero", found=value)
        return {"duration_ns": time_ns}
    address, _, bit = value.rpartition(".")
    return {"address": _number(address, where, 0, (1 << 32) - 1), "bit": _number(bit, where, 0, 7)}


def _number(value: str, where: str, lowest: int, highest: int) -> int:
    try:
        number = parse_number(value)
    except ValueError:
        number = -1
    if not lowest <= number <= highest:
        raise UsageError("bad value", where=where, expected=f"{lowest} to {highest}", found=repr(value))
    return number


def slowed(platform: Platform, faults: Sequence[Fault]) -> Platform:
    """The chip with the cores that are to be slow."""
    for each in faults:
        if each.kind == _SLOW and each.core is not None and each.factor is not None:
            name = platform.core(each.core).name
            cores = tuple(
                replace(core, mips=max(1, core.mips // each.factor)) if core.name == name else core
                for core in platform.cores
            )
            platform = replace(platform, cores=cores)
    return platform


def inject_all(engine: Engine, faults: Sequence[Fault], platform: Platform) -> None:
    """Tell an engine at power-on; :class:`CapabilityError` for one that cannot, whatever the fault."""
    if not faults:
        return
    if Capability.FAULT not in engine.capabilities:
        raise CapabilityError("injects no faults", where=f"engine {engine.name}", advice="the unicorn engine does")
    assert isinstance(engine, Faulting)
    for each in faults:
        if each.kind != _SLOW:
            engine.inject(each.injected(platform), str(each))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run without faults has done: notifications by role, how long it was, and what lies where for main."""

    notified: Counter[str]
    time_ns: int
    extents: tuple[Extent, ...]


def draw(faults: Sequence[Fault], seed: int, seen: Callable[[], Seen]) -> tuple[Fault, ...]:
    """The same faults, exactly: what is left out is drawn from what the run without them does."""
    if all(each.is_exact for each in faults):
        return tuple(faults)
    known, dice = seen(), random.Random(seed)
    return tuple(each if each.is_exact else _drawn(each, dice, known) for each in faults)


def _drawn(fault: Fault, dice: random.Random, seen: Seen) -> Fault:
    rung = [role for role in ROLES if seen.notified[role]]
    if fault.kind == _ANY:
        kinds = [kind for kind in FAULT_KINDS if kind != _ANY]
        kinds = [kind for kind in kinds if (rung or "NUMBER" not in _PARTS[kind]) and (seen.extents or kind != "flip")]
        fault = Fault(dice.choice(kinds))
    parts = _PARTS[fault.kind]
    if "NUMBER" in parts and not rung:
        _refuse(fault, "no core notifies another")
    if fault.kind == "flip" and not seen.extents:
        _refuse(fault, "there is no resource table")
    if fault.core is None and "CORE" in parts:
        fault = replace(fault, core=dice.choice(rung if "NUMBER" in parts else list(ROLES)))
    if fault.number is None and "NUMBER" in parts:
        fault = replace(fault, number=dice.randint(1, max(1, seen.notified[fault.core or MAIN])))
    if fault.address is None and fault.kind == "flip":
        place = dice.choice([address for each in seen.extents for address in range(each.start, each.end)])
        fault = replace(fault, address=place, bit=dice.randrange(8))
    if fault.time_ns is None and "TIME" in parts:
        fault = replace(fault, time_ns=dice.randint(0, max(0, seen.time_ns)))
    if fault.duration_ns is None and "DURATION" in parts:
        fault = replace(fault, duration_ns=dice.choice(_LATE_NS))
    if fault.factor is None and "FACTOR" in parts:
        fault = replace(fault, factor=dice.choice(_FACTORS))
    return fault


def _refuse(fault: Fault, why: str) -> NoReturn:
    raise UsageError("nothing to draw from", where=f"fault {fault}", found=f"in the run without it {why}")
