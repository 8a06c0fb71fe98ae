"""A platform for plain Renode: a :class:`Platform` in, the text of each file out.

The description is the one that was read, byte for byte, but for scripts, which are put where their ``filename`` stood
(Renode looks for it in its own folder), and for files that it uses, which come along. Windows that it only tags get a
peripheral each at its end. A ``.resc`` of the platform's name loads the images, sets what must be set for runs to
repeat and for accesses to nothing to fault, and opens the consoles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.errors import PlatformError
from orchestrator.memory import Extent
from orchestrator.platform import syntax
from orchestrator.platform.lexer import KEYWORDS
from orchestrator.platform.model import Peripheral, Platform, Region, Source
from orchestrator.platform.repl import parse_repl
from orchestrator.platform.resolve import SCRIPT_TYPE, beside_or_above

__all__ = ["export", "inlined", "named"]

GAP = r"(?:\s|/\*.*?\*/|//[^\n]*\n)*"
QUOTED = r"""(?:'''(?:[^'\\]|'(?!'')|\\''')*'''|"(?:[^"\\\n]|\\["\\])*")"""
FILENAME = re.compile(rf"filename{GAP}:{GAP}{QUOTED}", re.DOTALL)
NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
UNKNOWN_SIZE = 0x1000  # bytes, for a peripheral that does not say: too much taken is better than a window on top of it
WINDOW = """# {tag}: there on the chip, not modelled.
if request.IsRead:
    request.Value = {value:#x}
    self.WarningLog('unmodelled read at 0x{{0:X}}', request.Offset)
elif request.IsWrite:
    self.WarningLog('unmodelled write at 0x{{0:X}}', request.Offset)
"""
USING = re.compile(rf"using{GAP}{QUOTED}", re.DOTALL)


def export(
    platform: Platform, *, quantum_ns: int = DEFAULT_QUANTUM_NS, scripts: Callable[[Path, str], str] | None = None
) -> dict[str, str]:
    """Text of each file by its name: ``NAME.repl``, the files that it uses, ``NAME.resc``.

    The same platform gives the same bytes. Raises :class:`PlatformError` for what Renode would refuse: a script that
    cannot stand in a description, a prefix, two files of one name. ``scripts`` says what stands for a script, given its
    path and how the description names it: its text, unless told otherwise.
    """
    return {**_Exporter(platform, scripts or _inline).files(), f"{platform.name}.resc": _resc(platform, quantum_ns)}


def inlined(script: str, name: str) -> str:
    """A script as it stands in a description; :class:`PlatformError` when it cannot.

    In ``'''`` a backslash may only stand before ``'''``, and a last line without its end would end in the quotes.
    """
    for wrong, what in (("\\", "a backslash"), ("'''", "'''")):
        if wrong in script:
            before = script[: script.index(wrong)]
            raise PlatformError(
                f"{what} in a script",
                file=name,
                line=before.count("\n") + 1,
                column=len(before) - before.rfind("\n"),
                advice="Renode reads scripts inside ''' quotes, where it cannot stand",
            )
    if not script.endswith("\n"):
        raise PlatformError("the last line of a script does not end", file=name, line=script.count("\n") + 1)
    return f"'''{script}'''"


def named(path: Path, name: str) -> str:
    """A script by its file, for a Renode on this computer: its errors then have that file's lines.

    Its text stands there where IronPython 2 would not read the file as it is (PEP 263), or Renode not its name.
    """
    if not path.read_bytes().isascii() or not re.fullmatch(r"[ -!#-\[\]-~]+", str(path)):
        return _inline(path, name)
    return f'filename: "{path}"'


def _inline(path: Path, name: str) -> str:
    return f"script: {inlined(path.read_text(encoding='utf-8'), name)}"


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replace ``text[start:end]``."""

    start: int
    end: int
    text: str


class _Exporter:
    """Walks a description and the files that it uses, as :mod:`orchestrator.platform.resolve` does."""

    def __init__(self, platform: Platform, stands_for: Callable[[Path, str], str]) -> None:
        self.platform = platform
        self.stands_for = stands_for
        self.types: dict[str, str] = {}  # of entries by name, as far as files have been read
        self.texts: dict[str, str] = {}
        self.origins: dict[str, Path] = {}

    def files(self) -> dict[str, str]:
        name = f"{self.platform.name}.repl"
        self.add(self.platform.path, name)
        self.texts[name] += "".join(_windows(self.platform))
        return self.texts

    def add(self, path: Path, name: str) -> None:
        """A file under its name among the exported ones, and before it those that it uses."""
        if name in self.origins:
            if self.origins[name] != path.resolve():
                raise PlatformError("two files of one name", file=name, found=f"{self.origins[name]} and {path}")
            return
        self.origins[name] = path.resolve()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise PlatformError(f"cannot be read ({error.strerror})", file=str(path)) from None
        except UnicodeDecodeError as error:
            raise PlatformError(f"not UTF-8 text (byte {error.start})", file=str(path)) from None
        description = parse_repl(text, path.name)
        edits = [*self.used(description, text, path), *self.scripts(description, text, path)]
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        self.texts[name] = text if text.endswith("\n") else text + "\n"

    def used(self, description: syntax.Description, text: str, path: Path) -> Iterator[_Edit]:
        offsets = _Offsets(text)
        for using in description.usings:
            if using.prefix:
                at = using.source
                raise PlatformError(
                    "a prefix, which releases of Renode refuse", file=at.file, line=at.line, column=at.column
                )
            found = beside_or_above(path.resolve().parent, using.path)
            assert found is not None, "the platform was loaded from these files"
            self.add(found, found.name)
            yield _edit(USING, text, offsets.of(using.source), f'using "./{found.name}"')

    def scripts(self, description: syntax.Description, text: str, path: Path) -> Iterator[_Edit]:
        offsets = _Offsets(text)
        for entry in description.entries:
            if entry.type is not None:
                self.types[entry.name] = entry.type
            if self.types.get(entry.name) != SCRIPT_TYPE:
                continue
            for attribute in entry.attributes:
                match attribute:
                    case syntax.Property(name="filename", value=syntax.Literal(value=str(file))):
                        found = beside_or_above(path.resolve().parent, file)
                        assert found is not None, "the platform was loaded from these files"
                        yield _edit(FILENAME, text, offsets.of(attribute.source), self.stands_for(found, file))


def _edit(old: re.Pattern[str], text: str, start: int, new: str) -> _Edit:
    match = old.match(text, start)
    assert match is not None, "the parser saw it there"
    return _Edit(start, match.end(), new)


def _script(path: Path, file: str) -> str:
    found = beside_or_above(path.resolve().parent, file)
    assert found is not None, "the platform was loaded from these files"
    return found.read_text(encoding="utf-8")


class _Offsets:
    """Where a line and column of a text are in it."""

    def __init__(self, text: str) -> None:
        self._lines = [0, *accumulate(len(line) for line in text.split("\n"))]

    def of(self, source: Source) -> int:
        line = source.line - 1
        return self._lines[line] + line + source.column - 1  # a line's end is a character of its own


def _windows(platform: Platform) -> Iterator[str]:
    """Entries for tagged windows: where Renode faults on what is not there, it faults on tags too.

    Each reads as its tag does and says that it was touched. Of two tags at one address the later one wins, as in
    Renode; what is there already wins over both.
    """
    things: tuple[Region | Peripheral, ...] = (*platform.regions, *platform.peripherals)
    taken = [Extent(at.address, at.size or each.size or UNKNOWN_SIZE) for each in things for at in each.registrations]
    names = {each.name for each in (*platform.cores, *things)} | {"machine", "sysbus"} | set(KEYWORDS)
    for name, extent, value in reversed(platform.tags):
        for free in _without(extent, taken):
            own = name if NAME.fullmatch(name) and name not in names else f"tag_{free.start:08x}"
            names.add(own)
            script = WINDOW.format(tag="".join(each for each in name if each.isalnum()), value=value)
            yield f"\n{own}: {SCRIPT_TYPE} @ sysbus {free.start:#010x}\n    size: {free.size:#x}\n"
            yield f"    script: {inlined(script, name)}\n"
        taken.append(extent)


def _without(extent: Extent, taken: Iterable[Extent]) -> Iterator[Extent]:
    """What of an extent is left, in pieces."""
    start = extent.start
    for each in sorted((each for each in taken if each.overlaps(extent)), key=lambda each: each.start):
        if start < each.start:
            yield Extent.between(start, each.start)
        start = max(start, each.end)
    if start < extent.end:
        yield Extent.between(start, extent.end)


def _resc(platform: Platform, quantum_ns: int) -> str:
    """What ``include`` runs; every command was run on a Renode or stands in its own scripts (docs/decisions.md)."""
    roles = {role: platform.core(role) for role in ("main", "remote") if role in platform.roles}
    images = [f"${role}=@{role}.elf" for role in roles]
    consoles = dict.fromkeys(platform.consoles[core.name] for core in roles.values() if core.name in platform.consoles)
    lines = [
        f":name: {platform.name}",
        f":description: {platform.description or platform.name}",
        "",
        f"# In Renode: {', '.join(images)}, include @{platform.name}.resc, start",
        *(f"${role}?=@{role}.elf" for role in roles),
        "",
        "using sysbus",
        f'mach create "{platform.name}"',
        f"machine LoadPlatformDescription $ORIGIN/{platform.name}.repl",
        "",
        "# Without these two runs differ.",
        "emulation SetGlobalSerialExecution True",
        f'emulation SetGlobalQuantum "{quantum_ns / 1e9:.9f}"',
        "",
        "# An access to nothing is a bus fault, as on the chip.",
        "sysbus UnhandledAccessBehaviour ThrowException",
        "",
        *(f"showAnalyzer {uart}" for uart in consoles),
        "",
        "# A reset of the machine runs this again. Firmware that boots elsewhere has its vector table elsewhere.",
        "macro reset",
        '"""',
        *(f"    {core.name} VectorTableOffset {core.boot_address:#010x}" for core in roles.values()),
        *(f"    sysbus LoadELF ${role} cpu={core.name}" for role, core in roles.items()),
        '"""',
        "runMacro $reset",
    ]
    return "\n".join(lines) + "\n"
