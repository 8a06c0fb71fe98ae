"""CMSIS-SVD: names of a chip's registers and fields by address (Arm, "System View Description", 1.3).

Read are peripherals, clusters, registers and fields with their names, places and sizes; ``derivedFrom`` and ``dim`` as
far as those need them. What is wrong in a vendor's file (and much is) names nothing; what is no SVD is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from xml.parsers import expat

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import SvdError
from orchestrator.base.files import read_file
from orchestrator.base.numbers import LONGEST, parse_number

__all__ = ["RegisterMap", "load_svd", "parse_svd"]

_LARGEST = 64 << 20  # bytes; the largest of vendors have 10 MiB
_MOST_ELEMENTS = 2_000_000
_MOST_REGISTERS = 400_000
_DEEPEST = 32
_MOST_SHOWN = 8  # fields of one value
_WORDS = 4  # bytes of a register where nobody says it
_ADDRESS = re.compile(r"\b(0x[0-9a-fA-F]{8})\b(?: and sees (0x[0-9a-fA-F]+))?")
_BIT_RANGE = re.compile(r"\[(\d{1,3}):(\d{1,3})\]", re.ASCII)


@dataclass(slots=True)
class _Element:
    """An element of the document, with its text."""

    tag: str
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    text: str = ""

    def find(self, tag: str) -> _Element | None:
        return next((each for each in self.children if each.tag == tag), None)

    def get(self, tag: str) -> str | None:
        found = self.find(tag)
        return None if found is None else found.text.strip()

    def number(self, tag: str) -> int | None:
        text = self.get(tag)
        return None if text is None else _number(text)


def _number(text: str) -> int | None:
    """As SVD writes them: decimal, 0x, or # binary."""
    if len(text) > LONGEST:
        return None
    try:
        return int(text[1:], 2) if text.startswith("#") else parse_number(text.lower())
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int  # bit
    width: int


@dataclass(frozen=True, slots=True)
class _Register:
    name: str  # RCC.CR
    size: int  # bytes
    fields: tuple[_Field, ...]


class RegisterMap:
    """Names by address."""

    def __init__(self, registers: dict[int, _Register]) -> None:
        self._registers = registers

    def __len__(self) -> int:
        return len(self._registers)

    def _at(self, address: int) -> tuple[_Register, int] | None:
        """The register that a byte is of, and how many bytes into it."""
        for offset in range(8):
            found = self._registers.get(address - offset)
            if found is not None:
                return (found, offset) if offset < found.size else None
        return None

    def name_at(self, address: int) -> str | None:
        """``RCC.CR``, or ``RCC.CR+2`` of a byte inside; None where there is none."""
        found = self._at(address)
        if found is None:
            return None
        register, offset = found
        return register.name if not offset else f"{register.name}+{offset}"

    def fields_of(self, address: int, value: int) -> str:
        """The fields of a register that are not 0 in a value: ``HSION=1 HSIRDY=1``; the last ones left out."""
        found = self._at(address)
        if found is None or found[1]:
            return ""
        shown = [
            f"{each.name}={part:#x}" if part > 9 else f"{each.name}={part}"
            for each in found[0].fields
            if (part := value >> each.lowest & ((1 << each.width) - 1))
        ]
        more = " ..." if len(shown) > _MOST_SHOWN else ""
        return " ".join(shown[:_MOST_SHOWN]) + more

    def named(self, text: str) -> str:
        """A message with the names of registers behind their addresses, and fields behind what a core sees there."""

        def name(match: re.Match[str]) -> str:
            address, seen = match.groups()
            found = self.name_at(int(address, 16))
            if found is None:
                return match[0]
            fields = "" if seen is None else self.fields_of(int(address, 16), int(seen, 16))
            value = "" if seen is None else f" and sees {seen}" + (f" ({fields})" if fields else "")
            return f"{address} ({found}){value}"

        return _ADDRESS.sub(name, text)


def load_svd(path: str | Path) -> RegisterMap:
    """The names in a file; :class:`SvdError` where it cannot be read or is none."""
    try:
        data = read_file(path, _LARGEST)
    except OSError as error:
        raise SvdError("cannot be read", where=str(path), found=error.strerror) from None
    return parse_svd(data, str(path))


def parse_svd(data: bytes, where: str) -> RegisterMap:
    """The names in a document; :class:`SvdError` for what is no SVD, with its line where it has one."""
    root = _parse(data, where)
    peripherals = root.find("peripherals") if root.tag == "device" else None
    if peripherals is None:
        raise SvdError("not a CMSIS-SVD file", where=where, expected="<device> with <peripherals>", found=root.tag)
    return RegisterMap(_Reader(root, peripherals, where).registers())


def _parse(data: bytes, where: str) -> _Element:
    """The document as a tree. A document type is refused: entities that name entities let a kilobyte fill memory."""
    top = _Element("", {})
    open_ = [top]
    count = 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise SvdError("has a document type", where=f"{where}:{parser.CurrentLineNumber}", expected="none, as in SVD")

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > _MOST_ELEMENTS or len(open_) > _DEEPEST:
            raise SvdError("too large", where=where, expected=f"{_MOST_ELEMENTS} elements, {_DEEPEST} deep")
        made = _Element(tag, attributes)
        open_[-1].children.append(made)
        open_.append(made)

    def end(_tag: str) -> None:
        open_.pop()

    def text(characters: str) -> None:
        open_[-1].text += characters

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise SvdError("not XML", where=f"{where}:{error.lineno}", found=reason) from None
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        raise SvdError("not XML", where=where, found=str(error)) from None
    return top.children[0]


class _Reader:
    """Walks the tree; what a derived element lacks is its origin's."""

    def __init__(self, root: _Element, peripherals: _Element, where: str) -> None:
        self._where = where
        self._root = root
        self._peripherals = [each for each in peripherals.children if each.tag == "peripheral"]
        self._by_name = {name: each for each in self._peripherals if (name := each.get("name"))}
        self._found: dict[int, _Register] = {}

    def registers(self) -> dict[int, _Register]:
        """By address; the first peripheral that names one has it."""
        size = self._root.number("size")
        for each in self._peripherals:
            origin = self._by_name.get(each.attributes.get("derivedFrom", ""))
            base = each.number("baseAddress")
            inside = each.find("registers") or (origin.find("registers") if origin is not None else None)
            if base is None or inside is None:
                continue
            bits = each.number("size") or (origin.number("size") if origin is not None else None) or size
            for name, offset, _ in _repeated(each):
                self._walk(inside, name, base + offset, bits, 0)
        return self._found

    def _walk(self, inside: _Element, path: str, base: int, bits: int | None, depth: int) -> None:
        if depth > _DEEPEST:
            return
        siblings = {name: each for each in inside.children if (name := each.get("name"))}
        for each in inside.children:
            if each.tag not in ("register", "cluster"):
                continue
            origin = siblings.get(each.attributes.get("derivedFrom", "").rpartition(".")[2])
            whole = each if origin is None else _merged(each, origin)
            start = whole.number("addressOffset")
            if start is None:
                continue
            own_bits = whole.number("size") or bits
            for name, offset, _ in _repeated(whole):
                address = base + start + offset
                if each.tag == "cluster":
                    self._walk(whole, f"{path}.{name}", address, own_bits, depth + 1)
                else:
                    size = min(max((own_bits or 8 * _WORDS) // 8, 1), 8)
                    self._keep(address, _Register(f"{path}.{name}", size, tuple(_fields(whole))))

    def _keep(self, address: int, register: _Register) -> None:
        if not 0 <= address < 1 << 32:
            return
        self._found.setdefault(address, register)
        if len(self._found) > _MOST_REGISTERS:
            raise SvdError("too many registers", where=self._where, expected=f"at most {_MOST_REGISTERS}")


def _merged(derived: _Element, origin: _Element) -> _Element:
    own = {each.tag for each in derived.children}
    inherited = [each for each in origin.children if each.tag not in own]
    return _Element(derived.tag, derived.attributes, derived.children + inherited)


def _repeated(element: _Element) -> Iterator[tuple[str, int, int]]:
    """Name, offset and index of each element of an array (``dim``); of what is none, itself."""
    name = element.get("name") or "?"
    count, step = element.number("dim"), element.number("dimIncrement")
    if count is None or step is None:
        yield name, 0, 0
        return
    names = _indices(element.get("dimIndex") or "", min(count, _MOST_REGISTERS))
    for index, word in enumerate(names):
        yield name.replace("[%s]", word).replace("%s", word), index * step, index


def _indices(text: str, count: int) -> list[str]:
    """``0,1,2``, ``A-D``, ``3-7``, or nothing: from 0 on."""
    words = [word.strip() for word in text.split(",")] if text else []
    if len(words) == 1 and "-" in words[0]:
        first, _, last = words[0].partition("-")
        if first.isdecimal() and last.isdecimal():
            words = [str(int(first[:9]) + index) for index in range(count)]
        elif len(first) == len(last) == 1:
            words = [chr(ord(first) + index) for index in range(min(count, 26))]
    return words if len(words) == count else [str(index) for index in range(count)]


def _fields(register: _Element) -> Iterator[_Field]:
    fields = register.find("fields")
    for each in fields.children if fields is not None else ():
        place = _place_of(each)
        if each.tag != "field" or place is None:
            continue
        for name, offset, _ in _repeated(each):
            lowest, width = place[0] + offset, place[1]
            if 0 <= lowest < 64 and 0 < width <= 64:
                yield _Field(name, lowest, width)


def _place_of(each: _Element) -> tuple[int, int] | None:
    """Lowest bit and width, by any of the three ways in which SVD says it."""
    found = _BIT_RANGE.fullmatch(each.get("bitRange") or "")
    if found is not None:
        return int(found[2]), int(found[1]) - int(found[2]) + 1
    low, high = each.number("lsb"), each.number("msb")
    if low is not None and high is not None:
        return low, high - low + 1
    offset = each.number("bitOffset")
    width = each.number("bitWidth")
    return None if offset is None else (offset, 1 if width is None else width)
