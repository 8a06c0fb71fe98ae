"""What a platform description means: files in, :class:`~orchestrator.platform.model.Platform` out.

Entries of all ``using`` files are merged as Renode does; names, registrations and interrupts are resolved and checked.
Peripherals of types unknown here are kept with their type: whether one can be modelled is the engine's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from orchestrator.base.errors import PlatformError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.platform import model, syntax
from orchestrator.platform.model import (
    MAX_INTERRUPTS,
    Connections,
    Core,
    Gate,
    GateKey,
    Interrupt,
    Mailbox,
    MailboxDrive,
    MailboxLine,
    MailboxStep,
    Peripheral,
    Platform,
    Region,
    Registration,
    Source,
)
from orchestrator.platform.settings import (
    ROLES,
    DriveSettings,
    LineSettings,
    Settings,
    StepSettings,
    load_settings,
)
from orchestrator.platform.windows import WINDOWS

__all__ = [
    "CORE_TYPE",
    "NVIC_TYPE",
    "REGION_TYPES",
    "SCRIPT_TYPE",
    "available_platforms",
    "beside_or_above",
    "load_platform",
    "platforms_folder",
    "refuse_without_pair",
    "tag_of",
]

CORE_TYPE = "CPU.CortexM"
NVIC_TYPE = "IRQControllers.NVIC"
REGION_TYPES = ("Memory.MappedMemory", "Memory.ArrayMemory")
SCRIPT_TYPE = "Python.PythonPeripheral"
BUILT_IN = {"sysbus": "the system bus", "machine": "the machine"}
DEFAULT_MIPS = 100  # Renode's PerformanceInMips
NUMBER = r"(0x[0-9A-Fa-f]+|\d+)"
TAG = re.compile(
    rf'Tag\s+<\s*{NUMBER}\s*,\s*(\+?){NUMBER}\s*>\s+(?:"([^"]*)"|(\S+))(?:\s+{NUMBER}(?:\s+(?:true|false)){{0,3}})?',
    re.ASCII,
)
CORE_STATEMENT = re.compile(r"(PerformanceInMips|IsHalted)\s+(\S+)")


def platforms_folder() -> Path:
    """Where platforms stand: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "platforms"
    return packaged if packaged.is_dir() else package.parent / "platforms"


def available_platforms() -> tuple[str, ...]:
    """Names that :func:`load_platform` takes, sorted."""
    return tuple(sorted(path.stem for path in platforms_folder().glob("*.repl")))


def load_platform(name_or_path: str | Path) -> Platform:
    """A platform by name, or by the path of its ``.repl``.

    :class:`UsageError` when there is none of that name, :class:`PlatformError` when its description is wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".repl" and len(path.parts) == 1:
        names = available_platforms()
        if path.name not in names:
            raise UsageError(
                "no such platform", expected=" | ".join((*names, "the path of a .repl file")), found=str(name_or_path)
            )
        path = platforms_folder() / f"{path.name}.repl"
    resolver = _Resolver(load_settings(path.with_suffix(".toml")))
    resolver.include(path, path.name, "", ())
    return resolver.platform(path)


def refuse_without_pair(platform: Platform) -> None:
    """RPTUN is between two cores: :class:`UsageError` where one plays no role, with the platforms that have both."""
    if len(platform.roles) == len(ROLES):
        return
    pairs = [name for name in available_platforms() if len(load_platform(name).roles) == len(ROLES)]
    raise UsageError(
        "one core, and a pair needs two" if len(platform.cores) == 1 else "a core for one role, and a pair has two",
        where=platform.name,
        expected=f"{' | '.join(pairs)} | a description with two {CORE_TYPE}",
        found=", ".join(core.name for core in platform.cores),
        advice="`rptwin new-platform` writes one to start from",
    )


def tag_of(statement: str, source: Source) -> tuple[str, Extent, int] | None:
    """Name, extent and value of a statement ``Tag <start, last> "name" value``; None for another statement."""
    match = TAG.fullmatch(statement)
    if match is None:
        return None
    start, end = int(match[1], 0), int(match[3], 0)
    size = end if match[2] else end - start + 1
    if size < 1:
        raise _at(source, "a tag that ends before it starts", found=statement)
    return match[4] or match[5], Extent(start, size), int(match[6] or "0", 0)


def _at(source: Source, what: str, **sides: Any) -> PlatformError:
    return PlatformError(what, file=source.file, line=source.line, column=source.column, **sides)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which entries a name in one file means: its own local ones first, then those of its prefix."""

    file: str
    prefix: str


@dataclass(slots=True)
class _Variable:
    """An entry with all that later entries of the same name changed."""

    name: str
    type: str
    source: Source
    registrations: tuple[syntax.RegistrationEntry, ...] = ()
    scope: _Scope = _Scope("", "")
    properties: dict[str, tuple[syntax.Property, _Scope]] = field(default_factory=dict)
    interrupts: list[tuple[syntax.IrqAttribute, _Scope]] = field(default_factory=list)
    statements: dict[str, list[tuple[str, Source]]] = field(default_factory=dict)


class _Resolver:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.variables: dict[tuple[str, str], _Variable] = {
            ("", name): _Variable(name, what, Source("", 0, 0)) for name, what in BUILT_IN.items()
        }
        self.included: set[tuple[Path, str]] = set()
        self.folders: dict[str, Path] = {}  # of each file by the name that messages use
        self.notes: list[str] = []

    # files and names

    def include(self, path: Path, file: str, prefix: str, inside: tuple[Path, ...]) -> None:
        """Merge a file, after the files that it uses."""
        from orchestrator.platform.repl import parse_repl  # noqa: PLC0415  # lark costs more to import than all else

        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise PlatformError(f"cannot be read ({error.strerror})", file=str(path)) from None
        except UnicodeDecodeError as error:
            raise PlatformError(f"not UTF-8 text (byte {error.start})", file=file) from None
        description = parse_repl(text, file)
        self.folders[file] = path.parent
        inside = (*inside, path.resolve())
        for using in description.usings:
            used = self.find(using, path)
            if used.resolve() in inside:
                raise _at(using.source, f"{using.path} uses itself")
            if (used.resolve(), prefix + using.prefix) not in self.included:
                self.included.add((used.resolve(), prefix + using.prefix))
                self.include(used, using.path, prefix + using.prefix, inside)
        for entry in description.entries:
            self.merge(entry, _Scope(file, prefix))

    def find(self, using: syntax.Using, path: Path) -> Path:
        """The file that a ``using`` means."""
        found = beside_or_above(path.resolve().parent, using.path)
        if found is None:
            raise _at(using.source, f"no file {using.path}")
        return found

    def lookup(self, name: str, scope: _Scope) -> _Variable | None:
        keys = ((scope.file, name), ("", scope.prefix + name), ("", name))
        return next((self.variables[key] for key in keys if key in self.variables), None)

    def refer(self, reference: syntax.Reference, scope: _Scope, user: str) -> _Variable:
        found = self.lookup(reference.name, scope)
        if found is None:
            raise _at(reference.source, f"{user}: no {reference.name} in this platform")
        return found

    def merge(self, entry: syntax.Entry, scope: _Scope) -> None:
        known = self.lookup(entry.name, scope)
        if entry.type is None:
            if known is None:
                raise _at(entry.source, f"{entry.name}: changed before it is declared", expected="name: Type @ ...")
            if entry.registrations is None and not entry.attributes:
                raise _at(entry.source, f"{entry.name}: an entry with nothing in it")
            variable = known
        else:
            if known is not None:
                raise _at(entry.source, f"{entry.name}: declared already", found=known.source)
            name = entry.alias or (entry.name if entry.local else scope.prefix + entry.name)
            variable = _Variable(name, entry.type, entry.source)
            self.variables[(scope.file, entry.name) if entry.local else ("", scope.prefix + entry.name)] = variable
        if entry.registrations is not None:
            variable.registrations, variable.scope = entry.registrations, scope
        given: dict[str, syntax.Property] = {}
        for attribute in entry.attributes:
            if isinstance(attribute, syntax.Property):
                if attribute.name in given:
                    raise _at(attribute.source, f"{entry.name}: {attribute.name} is given twice")
                given[attribute.name] = attribute
                variable.properties[attribute.name] = (attribute, scope)
            elif isinstance(attribute, syntax.IrqAttribute):
                variable.interrupts.append((attribute, scope))
            elif attribute.adds:
                variable.statements.setdefault(attribute.when, []).extend(attribute.statements)
            else:
                variable.statements[attribute.when] = list(attribute.statements)

    # meaning

    def platform(self, path: Path) -> Platform:
        variables = [each for each in self.variables.values() if each.name not in BUILT_IN]
        self.unique_names(variables)
        cores = self.cores([each for each in variables if each.type.startswith("CPU.")], path)
        regions = tuple(self.region(each) for each in variables if each.type in REGION_TYPES)
        limits = {core.nvic: core.interrupts for core in cores}
        peripherals = tuple(
            self.peripheral(each, limits)
            for each in variables
            if each.type not in REGION_TYPES and not each.type.startswith("CPU.")
        )
        for core in cores:
            self.check_overlap(core.name, regions, peripherals)
        names = {core.name for core in cores}
        roles = self.roles(cores)
        return Platform(
            name=path.stem,
            path=path,
            cores=cores,
            regions=self.with_settings(regions),
            peripherals=peripherals,
            roles=roles,
            pairs=self.pairs(cores),
            consoles=self.consoles(names, roles, peripherals),
            mailboxes=self.mailboxes(cores, roles, peripherals),
            drives=self.drives(cores, roles, peripherals),
            connections=self.connections(peripherals),
            gates=self.gates(names, roles, regions, peripherals),
            tags=tuple(self.tags()),
            description=self.settings.description,
            notes=tuple(self.notes),
            models=self.files("models", self.settings.models, peripherals),
            fronts=self.files("renode", self.settings.fronts, peripherals),
            external=self.settings.external,
        )

    def unique_names(self, variables: list[_Variable]) -> None:
        seen: dict[str, _Variable] = {}
        for each in variables:
            if each.name in seen:
                raise _at(each.source, f"{each.name}: a name used twice", found=seen[each.name].source)
            seen[each.name] = each

    def cores(self, variables: list[_Variable], path: Path) -> tuple[Core, ...]:
        if not variables:
            raise PlatformError("a platform without a core", file=path.name, expected=f"name: {CORE_TYPE} @ sysbus")
        cores = tuple(self.core(index, each) for index, each in enumerate(variables))
        for name in self.settings.cores:
            if name not in {core.name for core in cores}:
                expected = " | ".join(core.name for core in cores)
                raise self.settings.error(f"cores.{name}", "no such core", expected=expected, found=name)
        return cores

    def core(self, index: int, variable: _Variable) -> Core:
        if variable.type != CORE_TYPE:
            raise _at(
                variable.source,
                f"{variable.name}: a core of a kind not supported",
                expected=CORE_TYPE,
                found=variable.type,
            )
        nvic = self.typed(variable, "nvic", syntax.Reference, "the name of its NVIC")
        if nvic is None:
            raise _at(variable.source, f"{variable.name}: no nvic given")
        controller = self.refer(nvic, variable.properties["nvic"][1], variable.name)
        if controller.type != NVIC_TYPE:
            raise _at(
                nvic.source, f"{variable.name}: {nvic.name} is no NVIC", expected=NVIC_TYPE, found=controller.type
            )
        model_name = self.typed(variable, "cpuType", syntax.Literal, "a string", str)
        if model_name is None:
            raise _at(variable.source, f"{variable.name}: no cpuType given")
        given = self.settings.cores.get(variable.name)
        vectors = self.integer(variable, "InitVectorTableOffset")
        halted = self.typed(variable, "IsHalted", syntax.Literal, "true | false", bool)
        mips = self.integer(variable, "PerformanceInMips")
        told = self.core_statements(variable)
        mips = int(told.get("PerformanceInMips", DEFAULT_MIPS if mips is None else mips))
        if mips < 1:
            raise _at(
                variable.source, f"{variable.name}: PerformanceInMips out of range", expected="1 or more", found=mips
            )
        return Core(
            name=variable.name,
            model=str(model_name.value),
            nvic=controller.name,
            index=index,
            boot_address=given.boot_address if given and given.boot_address is not None else vectors or 0,
            mips=mips,
            held=told["IsHalted"] == "true" if "IsHalted" in told else bool(halted and halted.value),
            interrupts=given.interrupts if given and given.interrupts is not None else MAX_INTERRUPTS,
            attributes=self.attributes(variable),
            source=variable.source,
            fpu=given.fpu if given else True,
        )

    def core_statements(self, variable: _Variable) -> dict[str, str]:
        """Properties of a core set by monitor commands (``init: PerformanceInMips 125``)."""
        told = {}
        for text, source in variable.statements.get("init", ()):
            match = CORE_STATEMENT.fullmatch(text)
            if match and (match[2].isdecimal() if match[1] == "PerformanceInMips" else match[2] in ("true", "false")):
                told[match[1]] = match[2]
            else:
                self.notes.append(f"{source}: {variable.name}: {text}")
        return told

    def region(self, variable: _Variable) -> Region:
        size = self.integer(variable, "size")
        registrations = tuple(self.registrations(variable))
        if size is None:
            size = max((at.size or 0 for at in registrations), default=0)
        if size < 1:
            raise _at(variable.source, f"{variable.name}: memory without a size", expected="size: bytes")
        return Region(variable.name, size, registrations, source=variable.source)

    def peripheral(self, variable: _Variable, limits: Mapping[str, int]) -> Peripheral:
        attributes = self.attributes(variable)
        script, script_name = self.script(variable) if variable.type == SCRIPT_TYPE else (None, None)
        size = self.integer(variable, "size") if variable.type == SCRIPT_TYPE else WINDOWS.get(variable.type)
        for when, statements in variable.statements.items():
            self.notes += [f"{source}: {variable.name}: {when}: {text}" for text, source in statements]
        return Peripheral(
            name=variable.name,
            type=variable.type,
            registrations=tuple(self.registrations(variable)),
            attributes=attributes,
            interrupts=tuple(self.interrupts(variable, limits)),
            script=script,
            script_name=script_name,
            source=variable.source,
            size=size,
        )

    def script(self, variable: _Variable) -> tuple[str, str]:
        """Text and name of a Python peripheral's script; ``filename`` is relative to the file that gives it."""
        inline = self.typed(variable, "script", syntax.Literal, "a string", str)
        named = self.typed(variable, "filename", syntax.Literal, "a string", str)
        if (inline is None) == (named is None):
            raise _at(variable.source, f"{variable.name}: a script is needed", expected="filename: or script:")
        if self.integer(variable, "size") is None:
            raise _at(variable.source, f"{variable.name}: a script without a size", expected="size: bytes")
        if inline is not None:
            return str(inline.value), f"{inline.source.file} ({variable.name})"
        assert named is not None
        path = beside_or_above(self.folders[named.source.file].resolve(), str(named.value))
        if path is None:
            raise _at(named.source, f"{variable.name}: no script {named.value}")
        try:
            return path.read_text(encoding="utf-8"), str(named.value)
        except OSError as error:
            raise _at(named.source, f"{variable.name}: {named.value} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError as error:
            raise _at(named.source, f"{variable.name}: {named.value} is not UTF-8 (byte {error.start})") from None

    # values

    def typed(
        self, variable: _Variable, name: str, kind: type, what: str, value_kind: type | tuple[type, ...] = object
    ) -> Any:
        """The value of a property, which must be of a kind; None where it is not given."""
        if name not in variable.properties:
            return None
        given = variable.properties[name][0]
        value = given.value
        inner = value.value if isinstance(value, syntax.Literal) else None
        wrong_bool = isinstance(inner, bool) and value_kind is int
        if not isinstance(value, kind) or not isinstance(inner, value_kind) or wrong_bool:
            raise _at(given.source, f"{variable.name}: {name}", expected=what, found=_shown(value))
        return value

    def integer(self, variable: _Variable, name: str) -> int | None:
        value = self.typed(variable, name, syntax.Literal, "an integer", int)
        if value is None:
            return None
        if not 0 <= value.value < 1 << 64:
            raise _at(value.source, f"{variable.name}: {name}", expected="0 or more", found=value.value)
        return int(value.value)

    def attributes(self, variable: _Variable) -> dict[str, model.Value]:
        return {
            name: self.value(given.value, scope, variable.name)
            for name, (given, scope) in variable.properties.items()
            if given.value is not syntax.EMPTY
        }

    def value(self, value: syntax.Value, scope: _Scope, user: str) -> model.Value:
        """As the model has it: a name for a reference, (start, end) for a range, (type, (name, value)...) for new."""
        match value:
            case syntax.Literal():
                return value.value
            case syntax.Reference():
                return self.refer(value, scope, user).name
            case syntax.Enumeration():
                return value.name
            case syntax.Range():
                return (value.start, value.end)
            case syntax.ListValue():
                return tuple(self.value(item, scope, user) for item in value.items)
            case syntax.Dictionary():
                return tuple((self.value(k, scope, user), self.value(v, scope, user)) for k, v in value.items)
            case syntax.Inline():
                given = [each for each in value.attributes if isinstance(each, syntax.Property)]
                return (value.type, *((each.name, self.value(each.value, scope, user)) for each in given))
        return None

    # places on the bus

    def registrations(self, variable: _Variable) -> Iterator[Registration]:
        """Those on the system bus; one at another peripheral has no address of its own."""
        for entry in variable.registrations:
            register = self.refer(entry.register, variable.scope, variable.name)
            if register.name != "sysbus" or entry.point is None:
                continue
            match entry.point:
                case syntax.Literal(value=int() as address) if not isinstance(address, bool):
                    yield Registration(address)
                case syntax.Range(start=start, end=end):
                    yield Registration(start, None, end - start)
                case syntax.Inline():
                    yield self.point(entry.point, variable)
                case _:
                    raise _at(
                        entry.register.source,
                        f"{variable.name}: registered at something that is no place on the bus",
                        expected="an address | <range> | new Bus.BusPointRegistration { ... }",
                        found=_shown(entry.point),
                    )

    def point(self, inline: syntax.Inline, variable: _Variable) -> Registration:
        kinds = ("BusPointRegistration", "BusRangeRegistration", "BusMultiRegistration")
        if inline.type.removeprefix("Bus.") not in kinds:
            expected = " | ".join(f"Bus.{kind}" for kind in kinds)
            raise _at(
                inline.source,
                f"{variable.name}: a registration of a kind not supported",
                expected=expected,
                found=inline.type,
            )
        address: int | None = None
        size: int | None = None
        core: str | None = None
        for given in inline.attributes:
            match given:
                case syntax.Property(name="address", value=syntax.Literal(value=int(number))):
                    address = number
                case syntax.Property(name="size", value=syntax.Literal(value=int(number))):
                    size = number
                case syntax.Property(name="range", value=syntax.Range() as extent):
                    address, size = extent.start, extent.end - extent.start
                case syntax.Property(name="cpu", value=syntax.Reference() as reference):
                    target = self.refer(reference, variable.scope, variable.name)
                    if not target.type.startswith("CPU."):
                        raise _at(reference.source, f"{variable.name}: {reference.name} is no core", found=target.type)
                    core = target.name
                case syntax.Property(name="region", value=syntax.Literal(value=str())):
                    pass
                case _:
                    name = given.name if isinstance(given, syntax.Property) else "attribute"
                    raise _at(
                        given.source,
                        f"{variable.name}: {name} of a registration",
                        expected="address: | size: | range: | cpu: | region:",
                    )
        if address is None:
            raise _at(inline.source, f"{variable.name}: a registration without an address")
        return Registration(address, core, size)

    def check_overlap(self, core: str, regions: tuple[Region, ...], peripherals: tuple[Peripheral, ...]) -> None:
        """No two things at one address of one core."""
        taken: list[tuple[Extent, Region | Peripheral]] = []
        things: tuple[Region | Peripheral, ...] = (*regions, *peripherals)
        for each in things:
            for at in each.registrations:
                if at.seen_by(core):
                    taken.append((Extent(at.address, at.size or each.size or 1), each))
        taken.sort(key=lambda pair: pair[0].start)
        for (low, first), (high, second) in pairwise(taken):
            if low.overlaps(high):
                later, earlier = (first, second) if _order(first) > _order(second) else (second, first)
                extent, other = (low, high) if later is first else (high, low)
                assert later.source is not None
                raise _at(
                    later.source,
                    f"{later.name}: {extent} of {core} is taken",
                    found=f"{earlier.name} at {other} ({earlier.source})",
                )

    # interrupts

    def interrupts(self, variable: _Variable, limits: Mapping[str, int]) -> Iterator[Interrupt]:
        """Outputs wired later replace those wired earlier, as in Renode."""
        wired: dict[str, list[Interrupt]] = {}
        for attribute, scope in variable.interrupts:
            lines: dict[str, list[Interrupt]] = {output: [] for output in attribute.outputs}
            for destination in attribute.destinations:
                target = self.refer(destination.target, scope, variable.name)
                for output, line in zip(attribute.outputs, destination.inputs, strict=True):
                    limit = limits.get(target.name, MAX_INTERRUPTS)
                    if target.type == NVIC_TYPE and not 0 <= line < limit:
                        last = limit - 1
                        raise _at(
                            attribute.source,
                            f"{variable.name}: no interrupt {line} at {target.name} (it has 0..{last})",
                        )
                    lines[output].append(Interrupt(output, target.name, line, destination.local))
            wired.update(lines)
        for each in wired.values():
            yield from each

    # what only rptwin needs

    def tags(self) -> Iterator[tuple[str, Extent, int]]:
        """Windows that Renode only names: ``Tag <start, last> "name" value``, or ``<start, +size>``."""
        for name in BUILT_IN:
            for when, statements in self.variables["", name].statements.items():
                for text, source in statements:
                    tag = tag_of(text, source) if name == "sysbus" and when == "init" else None
                    if tag is None:
                        self.notes.append(f"{source}: {name}: {when}: {text}")
                    else:
                        yield tag

    def roles(self, cores: tuple[Core, ...]) -> dict[str, str]:
        """As given, else in the order of the description."""
        if not self.settings.roles:
            return {role: core.name for role, core in zip(ROLES, cores, strict=False)}
        return self.known_cores("roles", self.settings.roles, cores)

    def pairs(self, cores: tuple[Core, ...]) -> dict[str, dict[str, str]]:
        """Of two cores each."""
        given = self.settings.pairs.items()
        pairs = {name: self.known_cores(f"pairs.{name}", roles, cores) for name, roles in given}
        for name, roles in pairs.items():
            if len(set(roles.values())) < len(roles):
                raise self.settings.error(f"pairs.{name}", "one core cannot be both", found=roles["main"])
        return pairs

    def known_cores(self, key: str, roles: Mapping[str, str], cores: tuple[Core, ...]) -> dict[str, str]:
        """Roles of cores that there are."""
        names = [core.name for core in cores]
        for role, name in roles.items():
            if name not in names:
                raise self.settings.error(f"{key}.{role}", "no such core", expected=" | ".join(names), found=name)
        return dict(roles)

    def with_settings(self, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        names = [region.name for region in regions]
        for name in self.settings.regions:
            if name not in names:
                raise self.settings.error(f"regions.{name}", "no such memory", expected=" | ".join(names), found=name)
        given = self.settings.regions
        return tuple(
            Region(
                each.name, each.size, each.registrations, given[each.name].writable, given[each.name].fill, each.source
            )
            if each.name in given
            else each
            for each in regions
        )

    def consoles(
        self, cores: set[str], roles: Mapping[str, str], peripherals: tuple[Peripheral, ...]
    ) -> dict[str, str]:
        uarts = [each.name for each in peripherals if each.type.startswith("UART.")]
        consoles = {}
        for key, uart in self.settings.consoles.items():
            core = self.core_named(f"consoles.{key}", key, cores, roles)
            if uart not in uarts:
                raise self.settings.error(f"consoles.{key}", "no such UART", expected=" | ".join(uarts), found=uart)
            if core in consoles:
                raise self.settings.error(f"consoles.{key}", f"a second console for {core}")
            consoles[core] = uart
        return consoles

    def files(self, table: str, given: Mapping[str, Path], peripherals: tuple[Peripheral, ...]) -> dict[str, Path]:
        """Files by Renode type, each there and of a type that the platform has."""
        types = sorted({each.type for each in peripherals})
        for kind, path in given.items():
            if kind not in types:
                raise self.settings.error(table, "no peripheral of this type", expected=" | ".join(types), found=kind)
            if not path.is_file():
                raise self.settings.error(table, f"no file {path.name} for {kind}")
        return {kind: path.resolve() for kind, path in given.items()}

    def mailboxes(
        self, cores: tuple[Core, ...], roles: Mapping[str, str], peripherals: tuple[Peripheral, ...]
    ) -> tuple[Mailbox, ...]:
        by_name = {each.name: each for each in peripherals}
        mailboxes = []
        for name, lines in self.settings.mailboxes.items():
            if name not in by_name:
                raise self.settings.error(f"mailboxes.{name}", "no such peripheral", found=name)
            mailboxes.append(
                Mailbox(name, tuple(self.mailbox_line(by_name[name], line, cores, roles) for line in lines))
            )
        return tuple(mailboxes)

    def mailbox_line(
        self, peripheral: Peripheral, line: LineSettings, cores: tuple[Core, ...], roles: Mapping[str, str]
    ) -> MailboxLine:
        key = f"mailboxes.{peripheral.name}.lines"
        name = self.core_named(key, line.core, {core.name for core in cores}, roles)
        limit = next(core.interrupts for core in cores if core.name == name)
        if line.interrupt >= limit:
            raise self.settings.error(key, f"no interrupt {line.interrupt} at {name} (it has 0..{limit - 1})")
        for offset in (line.pending, line.signalled, *(line.events or ())):
            if peripheral.size is not None and offset is not None and offset >= peripheral.size:
                raise self.settings.error(
                    key,
                    "an offset outside the peripheral",
                    expected=f"below {peripheral.size:#x}",
                    found=f"{offset:#x}",
                )
        return MailboxLine(name, line.interrupt, line.pending, line.signalled, line.events)

    def drives(
        self, cores: tuple[Core, ...], roles: Mapping[str, str], peripherals: tuple[Peripheral, ...]
    ) -> tuple[MailboxDrive, ...]:
        by_name = {each.name: each for each in peripherals}
        names = {core.name for core in cores}
        return tuple(
            self.drive(by_name[mailbox], self.core_named(f"mailboxes.{mailbox}.drive", core, names, roles), drive)
            for mailbox, by_core in self.settings.drives.items()
            for core, drive in by_core.items()
        )

    def drive(self, mailbox: Peripheral, core: str, drive: DriveSettings) -> MailboxDrive:
        key = f"mailboxes.{mailbox.name}.drive.{core}"
        offsets = [step.offset for step in (*drive.enable, *drive.clear, *drive.ring)]
        offsets += [drive.enabled] if drive.enabled is not None else []
        outside = next((each for each in offsets if mailbox.size is not None and each >= mailbox.size), None)
        if outside is not None:
            expected = f"below {mailbox.size:#x}"
            raise self.settings.error(key, "an offset outside the peripheral", expected=expected, found=f"{outside:#x}")

        def steps(given: tuple[StepSettings, ...]) -> tuple[MailboxStep, ...]:
            return tuple(MailboxStep(each.offset, each.writes, each.stride, each.value) for each in given)

        return MailboxDrive(
            mailbox.name,
            core,
            drive.channels,
            drive.enabled,
            steps(drive.enable),
            steps(drive.clear),
            steps(drive.ring),
        )

    def connections(self, peripherals: tuple[Peripheral, ...]) -> tuple[Connections, ...]:
        by_name = {each.name: each for each in peripherals}
        connected: dict[str, str] = {}
        for controller, given in self.settings.connections.items():
            key = f"connections.{controller}"
            for name in (controller, *given.peripherals):
                if name not in by_name:
                    raise self.settings.error(key, "no such peripheral", found=name)
            size = by_name[controller].size
            if size is not None and given.enabled >= size:
                raise self.settings.error(
                    key, "an offset outside the peripheral", expected=f"below {size:#x}", found=f"{given.enabled:#x}"
                )
            for name in given.peripherals:
                if name in connected:
                    raise self.settings.error(key, f"{name} is connected by {connected[name]} already")
                connected[name] = controller
        return tuple(
            Connections(controller, given.enabled, given.peripherals)
            for controller, given in self.settings.connections.items()
        )

    def gates(
        self,
        cores: set[str],
        roles: Mapping[str, str],
        regions: tuple[Region, ...],
        peripherals: tuple[Peripheral, ...],
    ) -> tuple[Gate, ...]:
        sizes = {each.name: each.size for each in peripherals}
        memories = {each.name: each for each in regions}
        found = []
        for index, given in enumerate(self.settings.gates):
            path = f"gates[{index}]"
            if given.target not in memories and given.target not in sizes:
                raise self.settings.error(f"{path}.target", "no such memory or peripheral", found=given.target)
            memory = memories.get(given.target)
            if given.block is not None and (memory is None or given.block == 0 or memory.size % given.block):
                raise self.settings.error(f"{path}.block", "no part of a memory", found=f"{given.block:#x}")
            for number, key in enumerate(given.keys):
                at = f"{path}.keys[{number}]"
                if key.peripheral not in sizes:
                    raise self.settings.error(f"{at}.peripheral", "no such peripheral", found=key.peripheral)
                size = sizes[key.peripheral]
                blocks = memory.size // given.block if memory is not None and given.block else 1
                last = key.offset + key.stride * (blocks - 1)
                if size is not None and last >= size:
                    raise self.settings.error(
                        f"{at}.offset", "outside the peripheral", expected=f"below {size:#x}", found=f"{last:#x}"
                    )
            found.append(
                Gate(
                    self.core_named(f"{path}.core", given.core, cores, roles),
                    given.target,
                    tuple(
                        GateKey(k.name, k.peripheral, k.offset, k.mask, k.value, k.stride, k.shift) for k in given.keys
                    ),
                    tuple(self.core_named(f"{path}.openers", each, cores, roles) for each in given.openers),
                    given.block,
                    given.rights,
                    given.refuses,
                )
            )
        return tuple(found)

    def core_named(self, key: str, name: str, cores: set[str], roles: Mapping[str, str]) -> str:
        core = roles.get(name, name)
        if core not in cores:
            raise self.settings.error(key, "no such core", expected=" | ".join((*roles, *sorted(cores))), found=name)
        return core


def beside_or_above(folder: Path, name: str) -> Path | None:
    """A file relative to a folder, or to one above it (Renode's own descriptions name files from Renode's root)."""
    folders = (folder,) if name.startswith(".") else (folder, *folder.parents)
    return next((each / name for each in folders if (each / name).is_file()), None)


def _order(each: Region | Peripheral) -> tuple[int, int]:
    return (each.source.line, each.source.column) if each.source else (0, 0)


def _shown(value: syntax.Value) -> str:
    """A value as a message names it."""
    match value:
        case syntax.Literal(value=str() as text):
            return f'"{text}"' if len(text) < 40 else "a string"
        case syntax.Literal():
            return "none" if value.value is None else str(value.value).lower()
        case syntax.Reference() | syntax.Enumeration():
            return value.name
        case syntax.Inline():
            return f"new {value.type}"
        case syntax.Range():
            return f"<{value.start:#x}, {value.end:#x}>"
        case syntax.ListValue():
            return "a list"
        case syntax.Dictionary():
            return "a dictionary"
    return "empty"
