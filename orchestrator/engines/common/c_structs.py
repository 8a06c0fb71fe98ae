"""C structures as ctypes has them, from the header that declares them: what Python and C share is written once.

A header here is a small part of C: ``enum`` of numbers, ``#define NAME NUMBER``, and ``struct`` with fields of the
types in ``_TYPES``, of structures above, pointers, and functions named ``..._fn``. Imports nothing of rptwin: the build
uses it.
"""

from __future__ import annotations

import ctypes
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Header", "HeaderError"]

_TYPES: dict[str, Any] = {
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
}
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DECLARATION = re.compile(
    r"^#define (?P<name>\w+) (?P<value>\w+)[ \t]*$"
    r"|^enum \{(?P<enum>[^}]*)\}"
    r"|^struct (?P<struct>\w+) \{(?P<fields>[^}]*)\}",
    re.MULTILINE,
)
_FIELD = re.compile(r"(?:const )?(?P<type>(?:struct )?\w+) (?P<names>[^;]+)")
_NAME = re.compile(r"(?P<stars>\**)(?P<name>\w+)(?:\[(?P<count>[^\]]+)\])?")


class HeaderError(Exception):
    """A declaration that means nothing here."""


class Header:
    """Constants and structures of one header file."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")  # with the line ends of any checkout
        self.digest = zlib.crc32(text.encode())
        self.constants: dict[str, int] = {}
        self.structs: dict[str, type[ctypes.Structure]] = {}
        for found in _DECLARATION.finditer(_COMMENT.sub("", text)):
            if found["struct"]:
                fields = list(self._fields(found["fields"]))
                self.structs[found["struct"]] = type(found["struct"], (ctypes.Structure,), {"_fields_": fields})
            elif found["enum"] is not None:
                self._enumerate(found["enum"])
            else:
                self.constants[found["name"]] = self._number(found["value"])

    def fields(self, struct: str) -> list[tuple[str, Any]]:
        """What a ctypes structure of one's own takes as ``_fields_``."""
        return [(name, kind) for name, kind, *_ in self.structs[struct]._fields_]

    def assertions(self) -> str:
        """C that does not compile where a field lies elsewhere than in :attr:`structs`."""
        lines = []
        for name, struct in self.structs.items():
            lines.append(f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(struct)}, "struct {name}");')
            for field, *_ in struct._fields_:
                place = getattr(struct, field)
                lines += (
                    f'_Static_assert(offsetof(struct {name}, {field}) == {place.offset}, "{name}.{field}");',
                    f'_Static_assert(sizeof(((struct {name} *)0)->{field}) == {place.size}, "{name}.{field}");',
                )
        return "\n".join(lines) + "\n"

    def _enumerate(self, text: str) -> None:
        following = 0
        for each in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = (part.strip() for part in each.partition("="))
            following = self.constants[name] = self._number(value) if value else following
            following += 1

    def _number(self, text: str) -> int:
        """A number, a name of one, or a sum."""
        return sum(self._term(part.strip()) for part in text.split("+"))

    def _term(self, text: str) -> int:
        if text in self.constants:
            return self.constants[text]
        try:
            return int(text.rstrip("uUlL"), 0)
        except ValueError:
            raise HeaderError(f"not a number: {text}") from None

    def _fields(self, text: str) -> Iterator[tuple[str, Any]]:
        for line in filter(None, (part.strip() for part in text.split(";"))):
            field = _FIELD.fullmatch(line)
            if field is None:
                raise HeaderError(f"not a field: {line}")
            for each in field["names"].split(","):
                name = _NAME.fullmatch(each.strip())
                if name is None:
                    raise HeaderError(f"not a field: {line}")
                kind = ctypes.c_void_p if name["stars"] else self._type(field["type"])
                yield name["name"], kind if name["count"] is None else kind * self._number(name["count"])

    def _type(self, name: str) -> Any:
        if name.endswith("_fn"):
            return ctypes.c_void_p
        found = self.structs.get(name.removeprefix("struct ")) if name.startswith("struct ") else _TYPES.get(name)
        if found is None:
            raise HeaderError(f"no such type: {name}")
        return found
