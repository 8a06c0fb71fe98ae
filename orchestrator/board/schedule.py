"""A schedule: in which order the cores of a board get to run. In: a file. Out: what a board is told, and back.

One deterministic run is one schedule of many that the chip could take. Here a schedule is how long a turn is, how fast
each core is, and where a core stands still while the others go on: at power-on, or before one cycle of its clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS, format_duration, parse_duration
from orchestrator.base.errors import CapabilityError, ReportError, UsageError
from orchestrator.base.files import LARGEST_TEXT, read_file, write_whole
from orchestrator.engines.contract import Capability, Delaying, Engine
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["Delay", "Schedule", "digest", "load_schedule", "parse_schedule", "write_schedule"]

FORMAT, VERSION = "rptwin schedule", 1
_MOST_MIPS = 100_000
_MOST_CYCLE = 1 << 62
_MOST_DELAYS = 1000


@dataclass(frozen=True, slots=True)
class Delay:
    """A core stands still for ``duration_ns`` before a cycle of its clock, counted from power-on; 0: it starts late."""

    core: str
    cycle: int
    duration_ns: int
    before: str = ""  # what it was about to do: words for people

    def __str__(self) -> str:
        where = f"before {self.before}" if self.before else f"at cycle {self.cycle}" if self.cycle else "at power-on"
        return f"{self.core} stands still for {format_duration(self.duration_ns)} {where}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The order in which cores run; ``mips`` are of cores that are faster or slower than the platform has them."""

    quantum_ns: int = DEFAULT_QUANTUM_NS
    mips: Mapping[str, int] = field(default_factory=dict)
    delays: tuple[Delay, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)  # by role: SHA-256 of the files that it was found with

    def __str__(self) -> str:
        said = [str(each) for each in self.delays]
        said += [f"{core} runs {mips} million instructions a second" for core, mips in self.mips.items()]
        if self.quantum_ns != DEFAULT_QUANTUM_NS:
            said.append(f"quantum {format_duration(self.quantum_ns)}")
        return ", ".join(said) or "as without a schedule"

    def platform(self, platform: Platform) -> Platform:
        """The chip with the clocks that this says; :class:`UsageError` for a core that it does not have."""
        names = [core.name for core in platform.cores]
        for name in (*self.mips, *(each.core for each in self.delays)):
            if name not in names:
                raise UsageError("no such core", where="schedule", expected=" | ".join(names), found=name)
        cores = tuple(replace(core, mips=self.mips.get(core.name, core.mips)) for core in platform.cores)
        return replace(platform, cores=cores)

    def refuse_on(self, engine: str, capabilities: frozenset[Capability]) -> None:
        """:class:`CapabilityError` for an engine that decides by itself when a core runs."""
        if Capability.DELAY not in capabilities:
            raise CapabilityError("no schedules", where=f"engine {engine}", advice="the unicorn engine has them")

    def begin(self, engine: Engine) -> None:
        """Tell an engine at power-on."""
        assert isinstance(engine, Delaying)
        for each in self.delays:
            engine.delay(each.core, each.cycle, each.duration_ns)

    def to_json(self) -> str:
        """The file."""
        values: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "quantum": format_duration(self.quantum_ns),
            "mips": dict(self.mips),
            "delays": [
                {
                    "core": each.core,
                    "cycle": each.cycle,
                    "for": format_duration(each.duration_ns),
                    "before": each.before,
                }
                for each in self.delays
            ],
            "images": dict(self.images),
        }
        return json.dumps(values, indent=1) + "\n"


def digest(image: Image) -> str:
    """What an image is told by."""
    import hashlib  # noqa: PLC0415  # few runs are of a schedule

    return hashlib.sha256(image.data).hexdigest()


def write_schedule(schedule: Schedule, path: str | Path) -> None:
    """:class:`ReportError` when the file system does not let us."""
    try:
        write_whole(path, schedule.to_json())
    except OSError as error:
        raise ReportError(f"schedule not written: {error.strerror or error}", where=str(path)) from error


def load_schedule(path: str | Path) -> Schedule:
    """:class:`UsageError` for a file that cannot be read or is no schedule."""
    try:
        text = read_file(path, LARGEST_TEXT).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from error
    return parse_schedule(text, str(path))


def _refuse(where: str, expected: str, found: object) -> NoReturn:
    raise UsageError("not a schedule", where=where, expected=expected, found=repr(found)[:80])


def _table(value: object, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(where, "an object", value)
    for key in value:
        if known and key not in known:
            _refuse(where, " | ".join(known), key)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        _refuse(where, "text", value)
    return value


def _number(value: object, where: str, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        _refuse(where, f"a whole number, {lowest} to {highest}", value)
    return value


def _time(value: object, where: str) -> int:
    time_ns = parse_duration(_text(value, where), where)
    if not time_ns:
        _refuse(where, "more than zero", value)
    return time_ns


def _delay(value: object, where: str) -> Delay:
    table = _table(value, where, ("core", "cycle", "for", "before"))
    return Delay(
        _text(table.get("core"), f"{where}.core"),
        _number(table.get("cycle", 0), f"{where}.cycle", 0, _MOST_CYCLE),
        _time(table.get("for"), f"{where}.for"),
        _text(table.get("before", ""), f"{where}.before"),
    )


def parse_schedule(text: str, where: str) -> Schedule:
    """The text of a file; :class:`UsageError` names the key that is wrong."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON ({error})", where=where) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UsageError("not a schedule", where=where, expected=f'"format": "{FORMAT}"')
    table = _table(values, where, ("format", "version", "quantum", "mips", "delays", "images"))
    if table.get("version") != VERSION:
        raise UsageError("a schedule of another version", where=where, expected=VERSION, found=table.get("version"))
    mips = _table(table.get("mips", {}), f"{where}: mips", ())
    delays = table.get("delays", [])
    if not isinstance(delays, list) or len(delays) > _MOST_DELAYS:
        _refuse(f"{where}: delays", f"a list of at most {_MOST_DELAYS}", delays)
    images = _table(table.get("images", {}), f"{where}: images", ("main", "remote"))
    return Schedule(
        _time(table.get("quantum", format_duration(DEFAULT_QUANTUM_NS)), f"{where}: quantum"),
        {name: _number(each, f"{where}: mips.{name}", 1, _MOST_MIPS) for name, each in mips.items()},
        tuple(_delay(each, f"{where}: delays[{number}]") for number, each in enumerate(delays)),
        {role: _text(each, f"{where}: images.{role}") for role, each in images.items()},
    )
