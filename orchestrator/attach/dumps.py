"""Memory that was dumped to files, each with the address of its first byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import AttachError, TranslationError, UsageError
from orchestrator.base.files import LARGEST_IMAGE, read_file
from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.base.numbers import parse_number

__all__ = ["Dump", "DumpedMemory"]

_GIVEN = re.compile(r"(.+)@(0[xX][0-9a-fA-F]{1,8}|\d{1,10})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dump:
    """A file, and where its first byte was."""

    path: Path
    address: int

    @classmethod
    def parse(cls, text: str) -> Dump:
        """``FILE@ADDRESS``; :class:`UsageError` says what is wrong."""
        found = _GIVEN.fullmatch(text)
        address = parse_number(found[2]) if found else 1 << 32
        if found is None or address >= 1 << 32:
            expected = "FILE@ADDRESS, as shared.bin@0x30000000"
            raise UsageError("not a dump", where="--memory", expected=expected, found=repr(text))
        return cls(Path(found[1]), address)

    def load(self, view: str) -> BytesMemory:
        """Its bytes as they are now; :class:`AttachError` where there are none, or more than the address space has."""
        try:
            data = read_file(self.path, LARGEST_IMAGE)
        except OSError as error:
            raise AttachError(f"cannot be read ({error.strerror})", where=str(self.path)) from None
        room = (1 << 32) - self.address
        if not 0 < len(data) <= room:
            expected = f"1 to {room} bytes from {self.address:#010x} on"
            raise AttachError("no dump of memory", where=str(self.path), expected=expected, found=f"{len(data)} bytes")
        return BytesMemory(view, self.address, data)

    def __str__(self) -> str:
        return f"{self.path}@{self.address:#010x}"


class DumpedMemory:
    """Several dumps as one memory; reading may go from one into the next. Those that overlap must agree."""

    def __init__(self, view: str, dumps: Sequence[Dump]) -> None:
        self.view = view
        parts = [each.load(view) for each in dumps]
        for (i, mine), (j, other) in combinations(enumerate(parts), 2):
            both = Extent.between(max(mine.extent.start, other.extent.start), min(mine.extent.end, other.extent.end))
            if both.size > 0 and mine.read(both.start, both.size) != other.read(both.start, both.size):
                raise AttachError(
                    "dumps that differ", where=f"{dumps[i]} and {dumps[j]}", found=f"other bytes in {both}"
                )
        self._parts = sorted(parts, key=lambda each: each.extent)

    @property
    def extents(self) -> tuple[Extent, ...]:
        """What there is, in order."""
        return tuple(each.extent for each in self._parts)

    def read(self, address: int, size: int) -> bytes:
        """TranslationError names the first byte that no dump has."""
        data, at = b"", address
        while at < address + size:
            part = next((each for each in self._parts if at in each.extent), None)
            if part is None:
                have = ", ".join(map(str, self.extents))
                raise TranslationError("not in any dump", where=f"{self.view} at {at:#010x}", expected=f"inside {have}")
            length = min(address + size, part.extent.end) - at
            data += part.read(at, length)
            at += length
        return data

    def write(self, address: int, data: bytes) -> None:
        """Never."""
        raise TranslationError(f"{len(data)} bytes not written: a dump is only read", where=f"{address:#010x}")
