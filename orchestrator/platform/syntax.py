"""The syntax tree of a Renode platform description: what is written, not yet what it means."""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass
from orchestrator.platform.model import Source

__all__ = [
    "EMPTY",
    "Attribute",
    "Description",
    "Dictionary",
    "Empty",
    "Entry",
    "Enumeration",
    "Inline",
    "IrqAttribute",
    "IrqDestination",
    "ListValue",
    "Literal",
    "Property",
    "Range",
    "Reference",
    "RegistrationEntry",
    "Statements",
    "Using",
    "Value",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string or truth value; None is the keyword ``none``."""

    value: int | float | str | bool | None
    source: Source


@dataclass(frozen=True, slots=True)
class Empty:
    """The keyword ``empty``: a parameter left to its default."""


EMPTY = Empty()


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of another entry."""

    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A value of an enumeration: ``Endianess.BigEndian``, or ``.BigEndian`` where the type is known."""

    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class Range:
    """``<start, end>`` or ``<start, +size>``; half-open."""

    start: int
    end: int
    source: Source


@dataclass(frozen=True, slots=True)
class Inline:
    """``new Type { attributes }``."""

    type: str
    attributes: tuple[Attribute, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class ListValue:
    """``[a, b]``."""

    items: tuple[Value, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Dictionary:
    """``{ key: value; key: value }``."""

    items: tuple[tuple[Value, Value], ...]
    source: Source


Value = Literal | Empty | Reference | Enumeration | Range | Inline | ListValue | Dictionary


@dataclass(frozen=True, slots=True)
class Property:
    """``name: value``: a constructor's parameter (lower case) or a property (upper case)."""

    name: str
    value: Value
    source: Source


@dataclass(frozen=True, slots=True)
class IrqDestination:
    """``target#local@inputs``: one input for each output of the attribute it stands in."""

    target: Reference
    local: int | None
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IrqAttribute:
    """``outputs -> destinations``; the only output is ``""``, and no destination is ``-> none``."""

    outputs: tuple[str, ...]
    destinations: tuple[IrqDestination, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Statements:
    """``init:``, ``preinit:`` or ``reset:``; ``adds``: to those of an earlier entry (``init add:``)."""

    when: str
    adds: bool
    statements: tuple[tuple[str, Source], ...]
    source: Source


Attribute = Property | IrqAttribute | Statements


@dataclass(frozen=True, slots=True)
class RegistrationEntry:
    """``register point``: the bus, and where on it."""

    register: Reference
    point: Value | None


@dataclass(frozen=True, slots=True)
class Entry:
    """``[local] name: [Type] [@ registrations] [as "alias"]`` and its attributes.

    ``registrations`` is None where nothing is written, and empty for ``@ none``.
    """

    name: str
    type: str | None
    registrations: tuple[RegistrationEntry, ...] | None
    alias: str | None
    attributes: tuple[Attribute, ...]
    local: bool
    source: Source


@dataclass(frozen=True, slots=True)
class Using:
    """``using "path"``, its entries' names prefixed if so written."""

    path: str
    prefix: str
    source: Source


@dataclass(frozen=True, slots=True)
class Description:
    """One file."""

    file: str
    usings: tuple[Using, ...]
    entries: tuple[Entry, ...]
