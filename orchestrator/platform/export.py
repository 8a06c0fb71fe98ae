"""A platform for plain Renode: a :class:`Platform` in, the text of each file out.

The description is the one that was read, byte for byte, but for scripts, which are put where their ``filename`` stood
(Renode looks for it in its own folder), for files that it uses, which come along, and for tags, which are told to
answer where no model does. Where Renode's model of a type has less than the chip, the script that the platform names
stands in front of it. A ``.resc`` of the platform's name loads the images, sets what must be set for runs to
repeat and for accesses to nothing to fault, and opens the consoles; a ``.robot`` tests in Renode's own runner that both
cores boot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.base.errors import PlatformError
from orchestrator.base.files import LARGEST_TEXT, read_file, read_text
from orchestrator.base.memory import Extent
from orchestrator.platform import syntax
from orchestrator.platform.model import Peripheral, Platform, Region, Registration, Source
from orchestrator.platform.repl import parse_repl
from orchestrator.platform.resolve import SCRIPT_TYPE, beside_or_above, tag_of

__all__ = ["FRONT_SUFFIX", "export", "inlined", "named"]

DEFAULT_WINDOW = 0x400  # bytes
FRONT_SUFFIX = "_registers"  # of the name of a script that stands in front of a peripheral
GAP = r"(?:\s|/\*.*?\*/|//[^\n]*\n)*"
QUOTED = r"""(?:'''(?:[^'\\]|'(?!'')|\\''')*'''|"(?:[^"\\\n]|\\["\\])*")"""
FILENAME = re.compile(rf"filename{GAP}:{GAP}{QUOTED}", re.DOTALL)
USING = re.compile(rf"using{GAP}{QUOTED}", re.DOTALL)


def export(
    platform: Platform,
    *,
    quantum_ns: int = DEFAULT_QUANTUM_NS,
    scripts: Callable[[Path, str], str] | None = None,
    models: Callable[[Path], str | None] | None = None,
) -> dict[str, str]:
    """Text of each file by its name: ``NAME.repl``, the files that it uses, ``NAME.resc``, ``NAME.robot``.

    The same platform gives the same bytes. Raises :class:`PlatformError` for what Renode would refuse: a script that
    cannot stand in a description, a prefix, two files of one name. ``scripts`` says what stands for a script, given its
    path and how the description names it: its text, unless told otherwise. ``models`` names the type of a model that
    does what a script does, and knows its parameters.
    """
    return {
        **_Exporter(platform, scripts or _inline, models or (lambda _path: None)).files(),
        f"{platform.name}.resc": _resc(platform, quantum_ns),
        f"{platform.name}.robot": _robot(platform),
    }


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
    if not read_file(path, LARGEST_TEXT).isascii() or not re.fullmatch(r"[ -!#-\[\]-~]+", str(path)):
        return _inline(path, name)
    return f'filename: "{path}"'


def _inline(path: Path, name: str) -> str:
    return f"script: {inlined(read_text(path), name)}"


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replace ``text[start:end]``."""

    start: int
    end: int
    text: str


class _Exporter:
    """Walks a description and the files that it uses, as :mod:`orchestrator.platform.resolve` does."""

    def __init__(
        self, platform: Platform, stands_for: Callable[[Path, str], str], model: Callable[[Path], str | None]
    ) -> None:
        self.platform = platform
        self.stands_for = stands_for
        self.model = model
        self.types: dict[str, str] = {}  # of entries by name, as far as files have been read
        self.texts: dict[str, str] = {}
        self.origins: dict[str, Path] = {}
        self.uncovered = _uncovered(platform)

    def files(self) -> dict[str, str]:
        name = f"{self.platform.name}.repl"
        self.add(self.platform.path, name)
        self.texts[name] += "".join(_fronts(self.platform))
        return self.texts

    def add(self, path: Path, name: str) -> None:
        """A file under its name among the exported ones, and before it those that it uses."""
        if name in self.origins:
            if self.origins[name] != path.resolve():
                raise PlatformError("two files of one name", file=name, found=f"{self.origins[name]} and {path}")
            return
        self.origins[name] = path.resolve()
        try:
            text = read_text(path, encoding="utf-8-sig")
        except OSError as error:
            raise PlatformError(f"cannot be read ({error.strerror})", file=str(path)) from None
        except UnicodeDecodeError as error:
            raise PlatformError(f"not UTF-8 text (byte {error.start})", file=str(path)) from None
        description = parse_repl(text, path.name)
        edits = [
            *self.used(description, text, path),
            *self.scripts(description, text, path),
            *self.tags(description, text),
        ]
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
                        if entry.type is not None and (model := self.model(found)) is not None:
                            yield _edit_type(text, offsets.of(entry.source), model)

    def tags(self, description: syntax.Description, text: str) -> Iterator[_Edit]:
        """Each tag overrides: where accesses to nothing fault, those to a tag that does not would fault as well."""
        offsets = _Offsets(text)
        for entry in description.entries:
            if entry.name != "sysbus":
                continue
            for attribute in entry.attributes:
                if not isinstance(attribute, syntax.Statements) or attribute.when != "init":
                    continue
                for statement, source in attribute.statements:
                    tag = tag_of(statement, source)
                    if tag is not None and self.uncovered.get(tag):
                        yield self.overriding(tag, statement, source, text, offsets.of(source))

    def overriding(self, tag: tuple[str, Extent, int], statement: str, source: Source, text: str, start: int) -> _Edit:
        if not text.startswith(statement, start):
            raise PlatformError(
                "a comment inside a tag", file=source.file, line=source.line, column=source.column, found=statement
            )
        name, _, value = tag
        new = "; ".join(
            f'Tag <{each.start:#010x}, {each.end - 1:#010x}> "{name}" {value:#x} false false true'
            for each in self.uncovered[tag]
        )
        return _Edit(start, start + len(statement), new)


def _edit(old: re.Pattern[str], text: str, start: int, new: str) -> _Edit:
    match = old.match(text, start)
    assert match is not None, "the parser saw it there"
    return _Edit(start, match.end(), new)


def _edit_type(text: str, start: int, model: str) -> _Edit:
    """Of an entry that begins here."""
    at = text.index(SCRIPT_TYPE, start)
    return _Edit(at, at + len(SCRIPT_TYPE), model)


def _script(path: Path, file: str) -> str:
    found = beside_or_above(path.resolve().parent, file)
    assert found is not None, "the platform was loaded from these files"
    return read_text(found)


class _Offsets:
    """Where a line and column of a text are in it."""

    def __init__(self, text: str) -> None:
        self._lines = [0, *accumulate(len(line) for line in text.split("\n"))]

    def of(self, source: Source) -> int:
        line = source.line - 1
        return self._lines[line] + line + source.column - 1  # a line's end is a character of its own


def _fronts(platform: Platform) -> Iterator[str]:
    """Entries that put a script where a peripheral was, and the peripheral, as Renode models it, behind the script.

    The script knows by name: ``MODEL``, what is behind it; ``LINES``, (NVIC, input) for each interrupt that was wired;
    ``CORE``, the first core that has the peripheral; ``RAM``, (start, end) of the memory that this core may write.
    """
    for each in platform.peripherals:
        if (path := platform.fronts.get(each.type)) is None:
            continue
        core = each.registrations[0].core or platform.cores[0].name
        given = {
            "MODEL": f"sysbus.{each.name}",
            "LINES": tuple((f"sysbus.{wire.target}", wire.line) for wire in each.interrupts),
            "CORE": f"sysbus.{core}",
            "RAM": tuple(
                (at.start, at.end) for region in platform.regions if region.writable for at in region.extents(core)
            ),
        }
        script = "".join(f"{name} = {value!r}\n" for name, value in given.items()) + read_text(path)
        yield f"\n{each.name}: @ sysbus\n"
        yield from (f"    {output} -> none\n" for output in {wire.output: None for wire in each.interrupts})
        yield f"\n{each.name}{FRONT_SUFFIX}: {SCRIPT_TYPE} @ {{\n"
        yield ";\n".join(f"        sysbus {_point(at)}" for at in each.registrations)
        yield f"\n    }}\n    size: {each.size or DEFAULT_WINDOW:#x}\n    initable: true\n"
        yield f"    script: {inlined(script, path.name)}\n"
        yield "    init:\n        Reset\n"  # a script begins at its first access: before anyone types


def _point(at: Registration) -> str:
    """A registration as it is written."""
    cpu = f"; cpu: {at.core}" if at.core else ""
    if at.size:
        return f"new Bus.BusRangeRegistration {{ range: <{at.address:#010x}, +{at.size:#x}>{cpu} }}"
    return f"new Bus.BusPointRegistration {{ address: {at.address:#010x}{cpu} }}"


def _uncovered(platform: Platform) -> dict[tuple[str, Extent, int], tuple[Extent, ...]]:
    """What each tag of a platform is the only one to stand for: what no model covers, and no later tag.

    Renode has a model answer before a tag that does not override, so one that does must leave models alone. Of a model
    whose size nothing here knows, all that follows it in the tag is taken to be its own.
    """
    things: tuple[Region | Peripheral, ...] = (*platform.regions, *platform.peripherals)
    places = [(at.address, at.size or each.size) for each in things for at in each.registrations]
    taken = [Extent(start, size) for start, size in places if size]
    endless = [start for start, size in places if not size]
    uncovered = {}
    for tag in reversed(platform.tags):
        extent = tag[1]
        behind = [Extent.between(start, extent.end) for start in endless if start in extent]
        uncovered[tag] = tuple(_without(extent, [*taken, *behind]))
        taken.append(extent)
    return uncovered


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
        *(f"    {core.name} InitVectorTableOffset {core.boot_address:#010x}" for core in roles.values()),
        *(f"    sysbus LoadELF ${role} cpu={core.name}" for role, core in roles.items()),
        '"""',
        "runMacro $reset",
    ]
    return "\n".join(lines) + "\n"


def _robot(platform: Platform) -> str:
    """What ``renode-test`` runs: with no more than the images, both cores boot; with lines to wait for, it waits."""
    cores = {role: platform.core(role) for role in ("main", "remote") if role in platform.roles}
    uarts = {role: platform.consoles[core.name] for role, core in cores.items() if core.name in platform.consoles}
    images = " ".join(f"--variable {role.upper()}:/PATH/{role}.elf" for role in cores)
    lines = [
        "*** Settings ***",
        f"Documentation       {platform.description or platform.name}",
        f"...                 renode-test {images} {platform.name}.robot",
        "",
        "*** Variables ***",
        *(f"{f'${{{role.upper()}}}':20}${{CURDIR}}/{role}.elf" for role in cores),
        "# A line of each console that is waited for, if there is one.",
        *(f"{f'${{{role.upper()}_SAYS}}':20}${{EMPTY}}" for role in uarts),
        "${SECONDS}          0.1",
        "",
        "*** Test Cases ***",
        "Every Core Runs Its Firmware",
        "    Board Is Loaded",
        '    Execute Command    emulation RunFor "${SECONDS}"',
        *(f"    Core Should Be Alive    sysbus.{core.name}" for core in cores.values()),
        "",
        "Consoles Say What Is Awaited",
        "    Board Is Loaded",
        *(f"    ${{{role} console}}=    Create Terminal Tester    sysbus.{uart}" for role, uart in uarts.items()),
        "    Start Emulation",
        *(f"    Console Should Say    ${{{role.upper()}_SAYS}}    ${{{role} console}}" for role in uarts),
        "",
    ]
    if len(cores) > 1:
        lines += [
            "RPTUN Comes Up",
            "    ${rptwin}=    Run Keyword And Return Status    Import Library    orchestrator.robot.RptunInRenode",
            "    Skip If    not ${rptwin}    rptwin is not installed in the Python of this runner",
            "    Board Is Loaded",
            '    Execute Command    emulation RunFor "${SECONDS}"',
            "    Rptun Should Be Up    ${MAIN}    ${REMOTE}",
            "",
        ]
    lines += [
        "*** Keywords ***",
        "Board Is Loaded",
        *(f"    Execute Command    ${role}=@${{{role.upper()}}}" for role in cores),
        f"    Execute Script    ${{CURDIR}}/{platform.name}.resc",
        "",
        "Core Should Be Alive",
        "    [Documentation]    A core without firmware, or one whose fault handler faults, stands at 0xEFFFFFFE.",
        "    [Arguments]    ${core}",
        "    ${executed}=    Execute Command    ${core} ExecutedInstructions",
        "    Should Be True    int($executed, 16) > 0    ${core} has executed nothing",
        "    ${pc}=    Execute Command    ${core} PC",
        "    Should Be True    int($pc, 16) | 1 != 0xEFFFFFFF    ${core} has locked up",
        "",
        "Console Should Say",
        "    [Arguments]    ${line}    ${tester}",
        "    IF    $line    Wait For Line On Uart    ${line}    testerId=${tester}    timeout=${SECONDS}",
    ]
    return "\n".join(lines) + "\n"
