"""Renode's log: lines in, what they say about the board out.

The lines are those of Renode 1.16 (`SystemBus.ReportNonExistingRead`, `DecorateWithCPUNameAndPC`, `CortexM` aborts); a
repeated line ends in its count, "(7)". What is not recognised is nobody's business here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Abort", "Access", "Entry", "Message", "parse_line"]

_LINE = re.compile(r"^(?:[\d:.]+ )?\[(?P<level>[A-Z]+)\] (?P<source>[^:]+): (?P<text>.*?)(?: \((?P<count>\d+)\))?$")
_BY = re.compile(r"^\[(?P<core>[^:\]]+): 0x(?P<pc>[0-9A-Fa-f]+)\] ?")
_TAG = re.compile(r"^\(tag: '(?P<tag>[^']*)'\) ")
_ACCESS = re.compile(
    r"^(?P<verb>Read|Write)(?P<width>Byte|Word|DoubleWord|QuadWord) (?:from|to) non existing peripheral at "
    r"0x(?P<address>[0-9A-Fa-f]+)(?:, value 0x(?P<value>[0-9A-Fa-f]+))?"
)
_UNHANDLED = re.compile(
    r"^Unhandled (?P<verb>read|write) (?:from|to) offset 0x(?P<offset>[0-9A-Fa-f]+)(?: \((?P<name>[^)]*)\))?"
    r"(?:, value 0x(?P<value>[0-9A-Fa-f]+))?"
)
_SCRIPT = re.compile(r"^unmodelled (?P<verb>read|write)(?: of (?P<size>\d+) bytes)? at 0x(?P<offset>[0-9A-Fa-f]+)")
_ABORT = re.compile(r"^CPU abort \[PC=0x(?P<pc>[0-9A-Fa-f]+)\]: (?P<why>.*)$")
_WIDTHS = {"Byte": 1, "Word": 2, "DoubleWord": 4, "QuadWord": 8}


@dataclass(frozen=True, slots=True)
class Access:
    """A core touched what has no model; ``offset`` counts from the peripheral, None for a bare address."""

    core: str  # "" when Renode does not say
    pc: int | None
    peripheral: str  # "" when there is none
    address: int | None
    offset: int | None
    size: int
    value: int | None  # what was written; None: a read
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Renode has given a core up: nothing runs any more."""

    core: str
    pc: int
    why: str


@dataclass(frozen=True, slots=True)
class Message:
    """Anything else that is a warning or an error."""

    level: str
    source: str
    text: str
    count: int


Entry = Access | Abort | Message


def parse_line(line: str) -> Entry | None:
    """What a line says; None for one below a warning, or that is no log line."""
    match = _LINE.match(line.rstrip())
    if match is None or match["level"] not in ("WARNING", "ERROR"):
        return None
    source, text, count = match["source"], match["text"], int(match["count"] or 1)
    abort = _ABORT.match(text)
    if abort is not None:
        return Abort(source, int(abort["pc"], 16), abort["why"])
    tag = _TAG.match(text)
    name = tag["tag"] if tag else ""
    text = text[tag.end() :] if tag else text
    by = _BY.match(text)
    core, pc = (by["core"], int(by["pc"], 16)) if by else ("", None)
    text = text[by.end() :] if by else text
    if not name and (tag := _TAG.match(text)) is not None:
        name, text = tag["tag"], text[tag.end() :]
    return _access(text, core, pc, source, name, count) or Message(match["level"], source, text, count)


def _access(text: str, core: str, pc: int | None, source: str, tag: str, count: int) -> Access | None:
    bus = _ACCESS.match(text)
    if bus is not None:
        # A written value of 0 is a value; reads have none.
        value = int(bus["value"], 16) if bus["value"] else None
        return Access(core, pc, tag, int(bus["address"], 16), None, _WIDTHS[bus["width"]], value, text, count)
    register = _UNHANDLED.match(text)
    if register is not None:
        value = int(register["value"], 16) if register["verb"] == "write" and register["value"] else None
        return Access(core, pc, source, None, int(register["offset"], 16), 4, value, text, count)
    script = _SCRIPT.match(text)
    if script is not None:
        value = 0 if script["verb"] == "write" else None
        return Access(core, pc, source, None, int(script["offset"], 16), int(script["size"] or 4), value, text, count)
    return None
