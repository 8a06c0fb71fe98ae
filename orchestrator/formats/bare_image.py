"""Images that are bytes alone: raw binary with an address (``main.bin@0x08000000``), and Intel HEX.

They have no symbols, sections or debug information: what needs those is not done, and :attr:`Image.is_bare` says so.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from orchestrator.base.errors import ElfError
from orchestrator.base.files import LARGEST_IMAGE, read_file
from orchestrator.base.image_names import parted
from orchestrator.base.memory import Extent
from orchestrator.formats.elf import Image, load_elf
from orchestrator.formats.elf.sections import Segment, SegmentFlag

__all__ = ["load_image", "parse_hex"]

_HEX_SUFFIXES = (".hex", ".ihex", ".ihx")
_RULE = "image.malformed"
_MOST_PIECES = 4096
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)


def load_image(path: str | Path, *, name: str | None = None) -> Image:
    """An ELF file, ``FILE@ADDRESS`` for raw binary, or Intel HEX by its suffix; ``name`` stands for it in messages.

    :class:`ElfError` for what is none, or cannot be read.
    """
    file, address = parted(path)
    name = name or Path(path).name
    if address is None and file.suffix.lower() not in _HEX_SUFFIXES:
        return load_elf(file, name=name)
    try:
        data = read_file(file, LARGEST_IMAGE)
    except OSError as error:
        raise ElfError("cannot be read", rule="elf.unreadable", where=str(file), found=error.strerror) from error
    if address is None:
        return _image(file, name, parse_hex(data, name))
    if data[:4] == b"\x7fELF":
        advice = f"an ELF file says by itself where it is loaded: leave @{address:#x} away"
        raise ElfError("not raw binary", rule=_RULE, where=name, expected="bytes alone", found="ELF", advice=advice)
    return _image(file, name, [(address, data)])


def _image(path: Path, name: str, pieces: list[tuple[int, bytes]]) -> Image:
    for address, data in pieces:
        if not data or address + len(data) > 1 << 32:
            expected = f"1 to {(1 << 32) - address} bytes from {address:#010x} on"
            raise ElfError("nothing that can be loaded", rule=_RULE, where=name, expected=expected, found=len(data))
    flags = SegmentFlag.EXECUTE | SegmentFlag.READ
    segments = tuple(
        Segment(index, 0, address, address, data, len(data), flags) for index, (address, data) in enumerate(pieces)
    )
    first = segments[0].data
    entry = int.from_bytes(first[4:8], "little")
    return Image(path, name, entry, segments, (), (), b"".join(data for _, data in pieces), (), is_bare=True)


def parse_hex(data: bytes, name: str) -> list[tuple[int, bytes]]:
    """The pieces of an Intel HEX file (Intel, 1988) by address; :class:`ElfError` names the line that is wrong."""
    base, ended = 0, False
    pieces: list[tuple[int, bytearray]] = []
    for number, line in enumerate(data.splitlines(), start=1):
        record = line.strip()
        if not record:
            continue
        where = f"{name}:{number}"
        kind, offset, content = _record(record, where)
        if ended:
            raise _wrong(where, "a record behind the end", "nothing", record)
        if kind == _DATA:
            address = base + offset
            if pieces and pieces[-1][0] + len(pieces[-1][1]) == address:
                pieces[-1][1].extend(content)
            elif content:
                pieces.append((address, bytearray(content)))
            if len(pieces) > _MOST_PIECES:
                raise _wrong(where, "too many pieces", f"at most {_MOST_PIECES}", record)
        elif kind == _END:
            ended = True
        elif kind in (_SEGMENT, _LINEAR):
            if len(content) != 2:
                raise _wrong(where, "an address that is none", "two bytes", record)
            base = int.from_bytes(content, "big") << (4 if kind == _SEGMENT else 16)
        elif kind not in (_START_SEGMENT, _START_LINEAR):
            raise _wrong(where, "unknown type of record", "00 to 05", record)
    if not ended:
        raise ElfError("ends in the middle", rule=_RULE, where=name, expected="a record of type 01 at the end")
    if not pieces:
        raise ElfError("nothing to load", rule=_RULE, where=name, expected="a record with data")
    whole = sorted((address, bytes(content)) for address, content in pieces)
    for (before, content), (after, _) in pairwise(whole):
        if before + len(content) > after:
            found = Extent(before, len(content))
            raise ElfError("records that overlap", rule=_RULE, where=f"{name} at {after:#010x}", found=str(found))
    return whole


def _record(record: bytes, where: str) -> tuple[int, int, bytes]:
    """Type, address and data of a line."""
    try:
        fields = bytes.fromhex(record[1:].decode("ascii"))
    except ValueError:
        fields = b""
    if record[:1] != b":" or len(fields) < 5 or len(fields) != fields[0] + 5 or b" " in record:
        raise _wrong(where, "no record of Intel HEX", ":LLAAAATT... and a checksum", record)
    if sum(fields) & 0xFF:
        right = -sum(fields[:-1]) & 0xFF
        raise _wrong(where, "a record with a wrong checksum", f"{right:02X}", f"{fields[-1]:02X}".encode())
    return fields[3], int.from_bytes(fields[1:3], "big"), fields[4:-1]


def _wrong(where: str, what: str, expected: str, record: bytes) -> ElfError:
    return ElfError(
        what, rule=_RULE, where=where, expected=expected, found=repr(record[:40].decode("ascii", "replace"))
    )
