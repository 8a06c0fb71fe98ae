"""QEMU's log: lines in, what they say about the board out.

The lines are those of QEMU 7.2's ``-d int,guest_errors,unimp``, of its trace events ``nvic_acknowledge_irq`` and
``nvic_complete_irq``, and of the plugin ``turns.c``. What is not recognised is nobody's business here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.base.dataclass import dataclass

__all__ = [
    "Completed",
    "Entry",
    "Fatal",
    "Missed",
    "Probed",
    "Raised",
    "Registers",
    "Reset",
    "Said",
    "Stored",
    "Taken",
    "Turned",
    "Unimplemented",
    "parse_line",
]

_PREFIX = "rptwin "
_RAISED = re.compile(r"Taking exception \d+ \[[^\]]*\] on CPU (?P<core>\d+)")
_TAKEN = re.compile(r"nvic_acknowledge_irq NVIC acknowledge IRQ: (?P<number>\d+) now active")
_COMPLETED = re.compile(r"nvic_complete_irq NVIC complete IRQ (?P<number>\d+)")
_RESET = re.compile(r"Loaded reset SP 0x(?P<sp>[0-9a-f]+) PC 0x(?P<pc>[0-9a-f]+) from vector table")
_FATAL = re.compile(r"qemu: fatal: (?P<what>.*)")
_REGISTER = re.compile(r"(?P<name>R\d\d|XPSR)=(?P<value>[0-9a-f]{8})")
_UNIMPLEMENTED = re.compile(
    r"(?P<name>[\w .-]+): unimplemented device (?P<verb>read|write)\s*\(size (?P<size>\d+), "
    r"offset 0x(?P<offset>[0-9a-f]+)(?:, value 0x(?P<value>[0-9a-f]+))?"
)
_NOTHING = re.compile(
    r"Invalid (?P<verb>read|write) at addr 0x(?P<address>[0-9A-Fa-f]+), size (?P<size>\d+), region '\(null\)'"
)
# What a guest's exception says itself, continuations of lines above, and the rest of a dump of registers.
_IDLE = re.compile(r"\.\.\.|Exception return: |FPSCR|$")


@dataclass(frozen=True, slots=True)
class Turned:
    """A stretch of one core began; times in ns, ``turn`` numbers the stretches."""

    time_ns: int
    turn: int
    core: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A core stored to a watched address."""

    time_ns: int
    turn: int
    core: int
    pc: int
    address: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class Probed:
    """After a core's store, a word was read (:class:`orchestrator.engines.qemu.control.Probe`)."""

    time_ns: int
    turn: int
    core: int
    probe: int
    value: int


@dataclass(frozen=True, slots=True)
class Raised:
    """A core is about to take exceptions, or to return from one."""

    core: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The core named last took this exception (number as in IPSR)."""

    number: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The core named last returned from this exception."""

    number: int


@dataclass(frozen=True, slots=True)
class Reset:
    """A core left reset."""

    sp: int
    pc: int


@dataclass(frozen=True, slots=True)
class Fatal:
    """QEMU gives up; registers follow."""

    what: str


@dataclass(frozen=True, slots=True)
class Missed:
    """A core touched an address at which the machine has nothing; the fault is to come."""

    address: int
    size: int
    reads: bool


@dataclass(frozen=True, slots=True)
class Registers:
    """Part of a dump of registers."""

    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Unimplemented:
    """A device that QEMU has in name only was touched; the offset counts from its start."""

    device: str
    offset: int
    size: int
    value: int | None  # what was written; None: a read


@dataclass(frozen=True, slots=True)
class Said:
    """Anything else: a device complains of the guest."""

    text: str


Entry = (
    Turned | Stored | Probed | Raised | Taken | Completed | Reset | Fatal | Missed | Registers | Unimplemented | Said
)


def parse_line(line: str) -> Entry | None:
    """What a line says; None for one that says nothing of its own."""
    if line.startswith(_PREFIX):
        return _own(line.split())
    for pattern, make in _PATTERNS:
        match = pattern.match(line)
        if match is not None:
            return make(match)
    return Said(line)


def _own(words: list[str]) -> Entry | None:
    kind, numbers = words[1], words[2:]
    if kind == "turn":
        return Turned(*(int(each) for each in numbers))
    time_ns, turn, core = (int(each) for each in numbers[:3])
    if kind == "store":
        pc, address, size, value = numbers[3:]
        return Stored(time_ns, turn, core, int(pc, 16), int(address, 16), int(size), int(value, 16))
    return Probed(time_ns, turn, core, int(numbers[3]), int(numbers[4], 16))


def _registers(match: re.Match[str]) -> Entry:
    return Registers({each["name"]: int(each["value"], 16) for each in _REGISTER.finditer(match.string)})


def _unimplemented(match: re.Match[str]) -> Entry:
    value = int(match["value"], 16) if match["verb"] == "write" and match["value"] else None
    return Unimplemented(match["name"], int(match["offset"], 16), int(match["size"]), value)


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Entry | None]], ...] = (
    (_RAISED, lambda match: Raised(int(match["core"]))),
    (_TAKEN, lambda match: Taken(int(match["number"]))),
    (_COMPLETED, lambda match: Completed(int(match["number"]))),
    (_RESET, lambda match: Reset(int(match["sp"], 16), int(match["pc"], 16))),
    (_FATAL, lambda match: Fatal(match["what"])),
    (_REGISTER, _registers),
    (_UNIMPLEMENTED, _unimplemented),
    (_NOTHING, lambda match: Missed(int(match["address"], 16), int(match["size"]), match["verb"] == "read")),
    (_IDLE, lambda _match: None),
)
