"""Renode's log: warnings and errors in, what they say about the board out.

The texts are those of Renode 1.16 (`SystemBus.ReportNonExistingRead`, `DecorateWithCPUNameAndPC`, `PeripheralRegister`,
`TranslationCPU.ReportAbort`) and of this project's peripheral scripts.
"""

from __future__ import annotations

import re

from orchestrator.base.dataclass import dataclass

__all__ = ["Abort", "Access", "Entry", "LogLine", "Message", "parse"]

_BY = re.compile(r"^\[(?P<core>[^:\]]+): 0x(?P<pc>[0-9A-Fa-f]+)\] ?")
_TAG = re.compile(r"^\(tag: '(?P<tag>[^']*)'\) ")
_ACCESS = re.compile(
    r"^(?P<verb>Read|Write)(?P<width>Byte|Word|DoubleWord|QuadWord) (?:from|to) "
    r"(?:non existing peripheral|overriding tag) at 0x(?P<address>[0-9A-Fa-f]+)(?:, value 0x(?P<value>[0-9A-Fa-f]+))?"
)
_UNHANDLED = re.compile(
    r"^Unhandled (?P<verb>read|write) (?:from|to) offset 0x(?P<offset>[0-9A-Fa-f]+)(?: \((?P<name>[^)]*)\))?"
    r"(?:, value 0x(?P<value>[0-9A-Fa-f]+))?"
)
_SCRIPT = re.compile(r"^unmodelled (?P<verb>read|write)(?: of (?P<size>\d+) bytes)? at 0x(?P<offset>[0-9A-Fa-f]+)")
_ABORT = re.compile(r"^CPU abort \[PC=0x(?P<pc>[0-9A-Fa-f]+)\]: (?P<why>.*)$")
_NO_NEWS = ("Unhandled bits: [", "instruction cache, but it's not supported")
_WIDTHS = {"Byte": 1, "Word": 2, "DoubleWord": 4, "QuadWord": 8}


@dataclass(frozen=True, slots=True)
class LogLine:
    """A warning or an error, and where the core was that is behind it; "" where none is."""

    source: str  # name of the peripheral, the core or the bus
    text: str
    core: str = ""
    pc: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """A core touched what has no model; ``offset`` counts from the peripheral, None for a bare address."""

    core: str  # "" when Renode does not say
    pc: int
    peripheral: str  # "" when there is none
    address: int | None
    offset: int | None
    size: int
    writes: bool
    value: int | None  # what was written, where the line says it
    what: str


@dataclass(frozen=True, slots=True)
class Abort:
    """Renode has given a core up: nothing runs any more."""

    core: str
    pc: int
    why: str


@dataclass(frozen=True, slots=True)
class Message:
    """Anything else."""

    source: str
    text: str


Entry = Access | Abort | Message


def parse(line: LogLine) -> Entry | None:
    """What a line says; None for what is no news: bits that a model has and does not act upon, caches."""
    source, text, core, pc = line.source, line.text, line.core, line.pc
    abort = _ABORT.match(text)
    if abort is not None:
        return Abort(source, int(abort["pc"], 16), abort["why"])
    if any(each in text for each in _NO_NEWS):
        return None
    tag = _TAG.match(text)
    text = text[tag.end() :] if tag else text
    by = _BY.match(text)
    if by is not None:
        core, pc, text = by["core"], int(by["pc"], 16), text[by.end() :]
    if tag is None and (tag := _TAG.match(text)) is not None:
        text = text[tag.end() :]
    name = tag["tag"].rpartition("->")[2] if tag else ""  # of tags one inside the other: the innermost
    bus = _ACCESS.match(text)
    if bus is not None:
        value = int(bus["value"], 16) if bus["value"] else None
        size, writes = _WIDTHS[bus["width"]], bus["verb"] == "Write"
        return Access(core, pc, name, int(bus["address"], 16), None, size, writes, value, text)
    register = _UNHANDLED.match(text)
    if register is not None:
        value = int(register["value"], 16) if register["value"] else None
        offset = int(register["offset"], 16)
        return Access(core, pc, source, None, offset, 4, register["verb"] == "write", value, text)
    script = _SCRIPT.match(text)
    if script is not None:
        size, offset = int(script["size"] or 4), int(script["offset"], 16)
        return Access(core, pc, source, None, offset, size, script["verb"] == "write", None, text)
    return Message(source, text)
