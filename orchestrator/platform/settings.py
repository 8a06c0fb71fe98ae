"""The ``.toml`` beside a platform description: what only rptwin needs and Renode never sees.

Every key and value is checked here. Mailboxes, connections and gates are the model's own values already, but that their
cores are named by role or name as in the file: :mod:`orchestrator.platform.resolve` checks names of cores and
peripherals against the description, and puts the cores' own names there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import PlatformError
from orchestrator.base.files import parse_toml, read_text
from orchestrator.base.memory import Extent
from orchestrator.base.roles import ROLES
from orchestrator.platform.model import (
    Connections,
    Gate,
    GateKey,
    Mailbox,
    MailboxDrive,
    MailboxLine,
    MailboxStep,
)

__all__ = [
    "CoreSettings",
    "PlatformSettings",
    "RegionSettings",
    "load_settings",
]


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """``[cores.NAME]``."""

    boot_address: int | None = None
    interrupts: int | None = None
    fpu: bool = True


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """``[regions.NAME]``."""

    writable: bool = True
    fill: int = 0


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """The whole file."""

    path: Path
    text: str = ""
    description: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    pairs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # besides that of ``roles``, by name
    consoles: Mapping[str, str] = field(default_factory=dict)
    cores: Mapping[str, CoreSettings] = field(default_factory=dict)
    regions: Mapping[str, RegionSettings] = field(default_factory=dict)
    mailboxes: tuple[Mailbox, ...] = ()
    drives: tuple[MailboxDrive, ...] = ()
    connections: tuple[Connections, ...] = ()
    gates: tuple[Gate, ...] = ()
    models: Mapping[str, Path] = field(default_factory=dict)  # by Renode type
    fronts: Mapping[str, Path] = field(default_factory=dict)  # by Renode type
    external: tuple[tuple[str, Extent], ...] = ()

    def error(self, key: str, what: str, **sides: Any) -> PlatformError:
        """An error at a key, whose line is looked up in the text (tomllib keeps none)."""
        return PlatformError(f"{key}: {what}", file=self.path.name, line=_line_of(self.text, key), **sides)


class _Reader:
    """One table of the file: takes what it knows, and refuses what is left."""

    def __init__(self, settings: PlatformSettings, path: str, table: object) -> None:
        self.settings = settings
        self.path = path
        if not isinstance(table, dict):
            raise settings.error(path, "not a table", found=repr(table))
        self.table: dict[str, Any] = table

    def key(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def only(self, *known: str) -> None:
        for name in self.table:
            if name not in known:
                raise self.settings.error(self.key(name), "unknown key", expected=" | ".join(known))

    def take(self, name: str, kind: type, what: str) -> Any:
        value = self.table.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise self.settings.error(self.key(name), "wrong value", expected=what, found=repr(value))
        return value

    def integer(self, name: str, limit: int) -> int | None:
        value: int | None = self.take(name, int, "an integer")
        if value is not None and not 0 <= value < limit:
            raise self.settings.error(
                self.key(name), "out of range", expected=f"0..{limit - 1:#x}", found=f"{value:#x}"
            )
        return value

    def required(self, name: str, value: Any) -> Any:
        if value is None:
            raise self.settings.error(self.key(name), "missing")
        return value

    def each(self, name: str) -> list[_Reader]:
        """The tables of an array; none where it is not given."""
        entries = self.take(name, list, "an array of tables") or []
        return [_Reader(self.settings, f"{self.key(name)}[{index}]", entry) for index, entry in enumerate(entries)]

    def names(self, name: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self.required(name, self.take(name, list, "an array of strings"))
        if not all(isinstance(value, str) for value in values):
            raise self.settings.error(self.key(name), "wrong value", expected="an array of strings", found=repr(values))
        return tuple(values)

    def strings(self) -> dict[str, str]:
        return {name: self.take(name, str, "a string") for name in self.table}

    def tables(self) -> list[tuple[str, _Reader]]:
        return [(name, _Reader(self.settings, self.key(name), table)) for name, table in self.table.items()]


def _line_of(text: str, key: str) -> int | None:
    """The line on which a dotted key is given, found by its table header and its last part."""
    parts = re.sub(r"\[\d+\]", "", key).split(".")
    lines = text.splitlines()
    start = 0
    for depth in range(len(parts), 0, -1):
        header = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(map(re.escape, parts[:depth])) + r"\s*\]")
        at = next((number for number, line in enumerate(lines) if header.match(line)), None)
        if at is None:
            continue
        if depth == len(parts):
            return at + 1
        start, parts = at + 1, parts[depth:]
        break
    given = re.compile(rf"(^|[\s{{,.]){re.escape(parts[-1])}\s*=")
    return next((number for number, line in enumerate(lines[start:], start + 1) if given.search(line)), start or None)


def _parse(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = read_text(path)
        return text, parse_toml(text)
    except OSError as error:
        raise PlatformError(f"cannot be read ({error.strerror})", file=str(path)) from None
    except UnicodeDecodeError as error:
        raise PlatformError(f"not UTF-8 text (byte {error.start})", file=path.name) from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        if place is None:
            lines = text.splitlines()
            raise PlatformError(str(error).split(" (")[0], file=path.name, line=max(len(lines), 1)) from None
        what = str(error)[: place.start()]
        raise PlatformError(what, file=path.name, line=int(place[1]), column=int(place[2])) from None


def load_settings(path: Path) -> PlatformSettings:
    """The settings in a file; all defaults where there is none. :class:`PlatformError` names key and line."""
    if not path.exists():
        return PlatformSettings(path)
    text, document = _parse(path)
    bare = PlatformSettings(path, text)
    root = _Reader(bare, "", document)
    root.only(
        *("description", "roles", "pairs", "consoles", "cores"),
        *("regions", "mailboxes", "connections", "gates", "models", "renode", "external"),
    )
    roles = _Reader(bare, "roles", document.get("roles", {}))
    roles.only(*ROLES)
    mailboxes = _Reader(bare, "mailboxes", document.get("mailboxes", {})).tables()
    return PlatformSettings(
        path,
        text,
        root.take("description", str, "a string") or "",
        roles.strings(),
        {name: _pair(each) for name, each in _Reader(bare, "pairs", document.get("pairs", {})).tables()},
        _Reader(bare, "consoles", document.get("consoles", {})).strings(),
        {name: _core(each) for name, each in _Reader(bare, "cores", document.get("cores", {})).tables()},
        {name: _region(each) for name, each in _Reader(bare, "regions", document.get("regions", {})).tables()},
        tuple(Mailbox(name, _lines(each)) for name, each in mailboxes),
        tuple(drive for name, each in mailboxes for drive in _drives(name, each)),
        tuple(_connect(*each) for each in _Reader(bare, "connections", document.get("connections", {})).tables()),
        tuple(_gate(each) for each in root.each("gates")),
        _files(_Reader(bare, "models", document.get("models", {}))),
        _files(_Reader(bare, "renode", document.get("renode", {}))),
        tuple(_external(each) for each in root.each("external")),
    )


def _external(table: _Reader) -> tuple[str, Extent]:
    table.only("name", "address", "size")
    name = table.required("name", table.take("name", str, "a string"))
    address = table.required("address", table.integer("address", 1 << 32))
    size = table.required("size", table.integer("size", 1 << 32))
    if not size or address + size > 1 << 32:
        raise table.settings.error(table.key("size"), "out of range", found=f"{size:#x}")
    return name, Extent(address, size)


def _files(table: _Reader) -> dict[str, Path]:
    """Paths relative to the file; a type's name has a dot, so errors name the table."""
    for kind, file in table.table.items():
        if not isinstance(file, str):
            raise table.settings.error(table.path, f"wrong value for {kind}", expected="a file", found=repr(file))
    return {kind: table.settings.path.parent / file for kind, file in table.table.items()}


def _pair(table: _Reader) -> dict[str, str]:
    table.only(*ROLES)
    return {role: table.required(role, table.take(role, str, "a string")) for role in ROLES}


def _core(table: _Reader) -> CoreSettings:
    table.only("boot_address", "interrupts", "fpu")
    fpu = table.take("fpu", bool, "true | false")
    return CoreSettings(table.integer("boot_address", 1 << 32), table.integer("interrupts", 497), fpu is not False)


def _region(table: _Reader) -> RegionSettings:
    table.only("writable", "fill")
    writable = table.take("writable", bool, "true | false")
    return RegionSettings(writable is not False, table.integer("fill", 256) or 0)


def _events(line: _Reader) -> tuple[int, ...] | None:
    """``events = { first = OFFSET, channels = COUNT }``: words next to each other."""
    if "events" not in line.table:
        return None
    if "signalled" in line.table:
        raise line.settings.error(line.key("events"), "there is `signalled` already: one of them is enough")
    events = _Reader(line.settings, line.key("events"), line.table["events"])
    events.only("first", "channels")
    first: int = events.required("first", events.integer("first", 1 << 32))
    channels: int = events.required("channels", events.integer("channels", 33))
    return tuple(range(first, first + 4 * channels, 4))


def _lines(table: _Reader) -> tuple[MailboxLine, ...]:
    table.only("lines", "drive")
    entries = table.required("lines", table.take("lines", list, "an array of tables"))
    lines = []
    for index, entry in enumerate(entries):
        line = _Reader(table.settings, f"{table.path}.lines[{index}]", entry)
        line.only("core", "interrupt", "pending", "signalled", "events")
        lines.append(
            MailboxLine(
                line.required("core", line.take("core", str, "a string")),
                line.required("interrupt", line.integer("interrupt", 496)),
                line.required("pending", line.integer("pending", 1 << 32)),
                line.integer("signalled", 1 << 32),
                _events(line),
            )
        )
    return tuple(lines)


def _drives(mailbox: str, table: _Reader) -> list[MailboxDrive]:
    drive = _Reader(table.settings, table.key("drive"), table.table.get("drive", {}))
    return [_drive(mailbox, core, each) for core, each in drive.tables()]


def _drive(mailbox: str, core: str, table: _Reader) -> MailboxDrive:
    table.only("channels", "enabled", "enable", "clear", "ring")
    enabled = table.integer("enabled", 1 << 32)
    can_enable = enabled is not None or "enable" in table.table
    return MailboxDrive(
        mailbox,
        core,
        table.integer("channels", 33) or 32,
        enabled,
        _steps(table, "enable") if can_enable else (),
        _steps(table, "clear"),
        _steps(table, "ring"),
    )


def _connect(controller: str, table: _Reader) -> Connections:
    table.only("enabled", "peripherals")
    names = table.names("peripherals")
    return Connections(controller, table.required("enabled", table.integer("enabled", 1 << 32)), names)


def _gate(table: _Reader) -> Gate:
    table.only("core", "target", "keys", "openers", "block", "rights", "refuses")
    rights = table.take("rights", str, "a string") or "rwx"
    if not set(rights) <= set("rwx"):
        raise table.settings.error(table.key("rights"), "wrong value", expected="of r, w and x", found=rights)
    refuses = table.take("refuses", bool, "true | false")
    keys = tuple(_key(each) for each in table.each("keys"))
    return Gate(
        table.required("core", table.take("core", str, "a string")),
        table.required("target", table.take("target", str, "a string")),
        table.required("keys", keys or None),
        table.names("openers"),
        table.integer("block", 1 << 32),
        rights,
        refuses is not False,
    )


def _key(table: _Reader) -> GateKey:
    table.only("name", "peripheral", "offset", "mask", "value", "stride", "shift", "blocks")
    return GateKey(
        table.required("name", table.take("name", str, "a string")),
        table.required("peripheral", table.take("peripheral", str, "a string")),
        table.required("offset", table.integer("offset", 1 << 32)),
        table.required("mask", table.integer("mask", 1 << 32)),
        table.required("value", table.integer("value", 1 << 32)),
        table.integer("stride", 1 << 16) or 0,
        table.integer("shift", 32) or 0,
        table.integer("blocks", 33) or 1,
    )


def _steps(table: _Reader, name: str) -> tuple[MailboxStep, ...]:
    entries = table.required(name, table.take(name, list, "an array of tables"))
    return tuple(_step(_Reader(table.settings, f"{table.path}.{name}[{i}]", each)) for i, each in enumerate(entries))


def _step(step: _Reader) -> MailboxStep:
    step.only("read", "write", "stride", "value")
    read, write = step.integer("read", 1 << 32), step.integer("write", 1 << 32)
    if (read is None) is (write is None):
        raise step.settings.error(step.path, "one access", expected="read or write, one of them")
    offset = read if read is not None else write
    assert offset is not None
    return MailboxStep(offset, write is not None, step.integer("stride", 1 << 16) or 0, step.integer("value", 1 << 32))
