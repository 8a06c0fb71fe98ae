"""Entries of a description and of all files that it uses, merged as Renode does; names looked up among them."""

from __future__ import annotations

import os
from dataclasses import field
from pathlib import Path
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import PlatformError
from orchestrator.base.files import is_file, read_text
from orchestrator.platform import syntax
from orchestrator.platform.model import Source
from orchestrator.platform.parsed import description_of
from orchestrator.platform.resolve.shipped import platforms_folder

__all__ = ["BUILT_IN", "MergedDescription", "NameScope", "Variable", "beside_or_above", "error_at"]

BUILT_IN = {"sysbus": "the system bus", "machine": "the machine"}


def error_at(source: Source, what: str, **sides: Any) -> PlatformError:
    """An error at a place of the description."""
    return PlatformError(what, file=source.file, line=source.line, column=source.column, **sides)


LEVELS_UP = 3  # folders above a description in which files of it may be: platforms/boards/MAKER of Renode's root


def beside_or_above(folder: Path, name: str) -> Path | None:
    """A file relative to a folder, or to one above it (Renode's own descriptions name files from Renode's root)."""
    folders = (folder,) if name.startswith(".") else (folder, *_above(folder))
    return next((each / name for each in folders if is_file(each / name)), None)


def _above(folder: Path) -> tuple[Path, ...]:
    """As far up as files may be, the root of the file system never."""
    return tuple(each for each in folder.parents[:LEVELS_UP] if each != each.parent)


@dataclass(frozen=True, slots=True)
class NameScope:
    """Which entries a name in one file means: its own local ones first, then those of its prefix."""

    file: str
    prefix: str


@dataclass(slots=True)
class Variable:
    """An entry with all that later entries of the same name changed."""

    name: str
    type: str
    source: Source
    registrations: tuple[syntax.RegistrationEntry, ...] = ()
    scope: NameScope = NameScope("", "")
    properties: dict[str, tuple[syntax.Property, NameScope]] = field(default_factory=dict)
    interrupts: list[tuple[syntax.IrqAttribute, NameScope]] = field(default_factory=list)
    statements: dict[str, list[tuple[str, Source]]] = field(default_factory=dict)


class MergedDescription:
    """All files of a platform in one: :meth:`include` the first, and ask."""

    def __init__(self) -> None:
        self._variables: dict[tuple[str, str], Variable] = {
            ("", name): Variable(name, what, Source("", 0, 0)) for name, what in BUILT_IN.items()
        }
        self._included: set[tuple[Path, str]] = set()
        self.folders: dict[str, Path] = {}  # of each file by the name that messages use
        self.files: list[Path] = []  # that the platform is made of, scripts among them

    def include(self, path: Path, file: str, prefix: str = "", inside: tuple[Path, ...] = ()) -> None:
        """Merge a file, after the files that it uses; ``inside`` are those that use it."""
        try:
            text = read_text(path, encoding="utf-8-sig")
        except OSError as error:
            raise PlatformError(f"cannot be read ({error.strerror})", file=str(path)) from None
        except UnicodeDecodeError as error:
            raise PlatformError(f"not UTF-8 text (byte {error.start})", file=file) from None
        resolved = path.resolve()
        self.files.append(resolved)
        description = description_of(text, file)
        self.folders[file] = path.parent
        inside = (*inside, resolved)
        for using in description.usings:
            used = self._find(using, path)
            if used.resolve() in inside:
                raise error_at(using.source, f"{using.path} uses itself")
            if (used.resolve(), prefix + using.prefix) not in self._included:
                self._included.add((used.resolve(), prefix + using.prefix))
                self.include(used, using.path, prefix + using.prefix, inside)
        for entry in description.entries:
            self._merge(entry, NameScope(file, prefix))

    @staticmethod
    def _find(using: syntax.Using, path: Path) -> Path:
        """The file that a ``using`` means: a description, for an error in another file would show a word of it.

        It lies in the folder of who uses it, below it, or in up to three folders above, or is one of rptwin's own.
        """
        folder = path.resolve().parent
        found = beside_or_above(folder, using.path)
        if found is None:
            raise error_at(using.source, f"no file {using.path}")
        if found.resolve().suffix != ".repl":
            raise error_at(using.source, f"{using.path} is no description", expected="the name of a .repl file")
        top = (folder, *_above(folder))[-1]
        where = Path(os.path.normpath(found))
        if not where.is_relative_to(top) and not where.is_relative_to(platforms_folder()):
            what = f"{using.path} lies outside of the platform's folders"
            raise error_at(using.source, what, expected=f"below {top}")
        return found

    def _merge(self, entry: syntax.Entry, scope: NameScope) -> None:
        variable = self._named(entry, scope)
        if entry.registrations is not None:
            variable.registrations, variable.scope = entry.registrations, scope
        given: dict[str, syntax.Property] = {}
        for attribute in entry.attributes:
            if isinstance(attribute, syntax.Property):
                if attribute.name in given:
                    raise error_at(attribute.source, f"{entry.name}: {attribute.name} is given twice")
                given[attribute.name] = attribute
                variable.properties[attribute.name] = (attribute, scope)
            elif isinstance(attribute, syntax.IrqAttribute):
                variable.interrupts.append((attribute, scope))
            elif attribute.adds:
                variable.statements.setdefault(attribute.when, []).extend(attribute.statements)
            else:
                variable.statements[attribute.when] = list(attribute.statements)

    def _named(self, entry: syntax.Entry, scope: NameScope) -> Variable:
        """What an entry declares, or changes when it has no type."""
        known = self._lookup(entry.name, scope)
        if entry.type is None:
            if known is None:
                raise error_at(
                    entry.source, f"{entry.name}: changed before it is declared", expected="name: Type @ ..."
                )
            if entry.registrations is None and not entry.attributes:
                raise error_at(entry.source, f"{entry.name}: an entry with nothing in it")
            return known
        if known is not None:
            raise error_at(entry.source, f"{entry.name}: declared already", found=known.source)
        name = entry.alias or (entry.name if entry.local else scope.prefix + entry.name)
        variable = Variable(name, entry.type, entry.source)
        self._variables[(scope.file, entry.name) if entry.local else ("", scope.prefix + entry.name)] = variable
        return variable

    def _lookup(self, name: str, scope: NameScope) -> Variable | None:
        keys = ((scope.file, name), ("", scope.prefix + name), ("", name))
        return next((self._variables[key] for key in keys if key in self._variables), None)

    def refer(self, reference: syntax.Reference, scope: NameScope, user: str) -> Variable:
        """What a name means where it stands; an error in the name of its user when there is none."""
        found = self._lookup(reference.name, scope)
        if found is None:
            raise error_at(reference.source, f"{user}: no {reference.name} in this platform")
        return found

    def built_in(self, name: str) -> Variable:
        """One of ``BUILT_IN``, with what the files tell it."""
        return self._variables["", name]

    def declared(self) -> list[Variable]:
        """What the files declare, in their order; no two of one name."""
        variables = [each for each in self._variables.values() if each.name not in BUILT_IN]
        seen: dict[str, Variable] = {}
        for each in variables:
            if each.name in seen:
                raise error_at(each.source, f"{each.name}: a name used twice", found=seen[each.name].source)
            seen[each.name] = each
        return variables
