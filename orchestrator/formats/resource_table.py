"""The resource table whole: decoding, encoding, and the address and path of each of its fields.

What a consumer demands of the values is not decided here: decoding is strict only about what cannot be read. Each
number that bounds the work (entries, vrings, lengths) comes from the table and is checked against ``max_size`` first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError, TableError, UsageError
from orchestrator.base.memory import BytesMemory, Extent, Located, Memory, Place
from orchestrator.formats.resource_entry import (
    FW_RSC_CARVEOUT,
    FW_RSC_DEVMEM,
    FW_RSC_FW_CHKSUM,
    FW_RSC_RPROC_MEM,
    FW_RSC_TRACE,
    FW_RSC_VDEV,
    FW_RSC_VENDOR_END,
    FW_RSC_VENDOR_START,
    Carveout,
    Checksum,
    Custom,
    CustomHead,
    Devmem,
    Entry,
    RprocMem,
    TableHeader,
    Trace,
    TypeWord,
    Unknown,
    Vdev,
    VdevHeader,
    Vendor,
    VendorHead,
    Vring,
)

__all__ = [
    "MAX_ENTRIES",
    "Gap",
    "Scan",
    "Table",
    "build_table",
    "decode_table",
    "decode_table_bytes",
    "scan_table",
    "scan_table_bytes",
    "table_further_on",
]

MAX_ENTRIES = 256  # real tables have fewer than ten; more is not a table, and would take long to say so
_MOST_READ = 4  # times that a byte is of an entry, on average; more would fill memory
_FIRST_ROOM = 1 << 16  # bytes
_OFFSET_LIMIT = 1 << 31  # Linux computes with int: a larger offset passes its bounds check as a negative one

E = TypeVar("E", Carveout, Devmem, Trace, Vdev, RprocMem, Checksum, Custom, Vendor, Unknown)

_PLAIN: dict[int, type[Carveout | Devmem | Trace | RprocMem | Checksum]] = {
    FW_RSC_CARVEOUT: Carveout,
    FW_RSC_DEVMEM: Devmem,
    FW_RSC_TRACE: Trace,
    FW_RSC_RPROC_MEM: RprocMem,
    FW_RSC_FW_CHKSUM: Checksum,
}
_NAMES = {
    FW_RSC_CARVEOUT: "carveout",
    FW_RSC_DEVMEM: "devmem",
    FW_RSC_TRACE: "trace",
    FW_RSC_VDEV: "vdev",
    FW_RSC_RPROC_MEM: "rproc_mem",
    FW_RSC_FW_CHKSUM: "fw_chksum",
}


def _is_vendor(type_: int) -> bool:
    return FW_RSC_VENDOR_START <= type_ <= FW_RSC_VENDOR_END


def _name_of(type_: int) -> str:
    return _NAMES.get(type_, "vendor" if _is_vendor(type_) else "unknown")


class Gap(NamedTuple):
    """Bytes that no structure covers: padding, an entry that is not in ``offset[]``, whatever follows the last one."""

    offset: int
    data: bytes


class _Field(NamedTuple):
    path: str
    offset: int
    size: int
    value: int | bytes


def _entry_fields(entry: Entry) -> Iterator[_Field]:
    """Each field of an entry, with path and offset relative to it."""
    if isinstance(entry, Vdev):
        for leaf in VdevHeader.leaves:
            yield _Field(leaf.path, leaf.offset, leaf.size, entry.head.value_of(leaf.path))
        for i, vring in enumerate(entry.vrings):
            base = entry.vrings_offset + i * Vring.size
            for leaf in Vring.leaves:
                yield _Field(f"vring[{i}].{leaf.path}", base + leaf.offset, leaf.size, vring.value_of(leaf.path))
        if entry.config:
            yield _Field("config", entry.config_offset, len(entry.config), entry.config)
    elif isinstance(entry, Vendor):
        yield _Field("type", 0, 4, entry.type)
        yield _Field("len", 4, 4, entry.len)
        yield _Field("data", VendorHead.size, len(entry.data), entry.data)
    elif isinstance(entry, Custom):
        yield _Field("type", 0, 4, FW_RSC_FW_CHKSUM)
        yield _Field("sub_type", 4, 4, entry.sub_type)
        yield _Field("rsc_size", 8, 4, len(entry.data))
        yield _Field("data", CustomHead.size, len(entry.data), entry.data)
    elif isinstance(entry, Unknown):
        yield _Field("type", 0, 4, entry.type)
        yield _Field("data", TypeWord.size, len(entry.data), entry.data)
    else:
        for leaf in entry.leaves:
            yield _Field(leaf.path, leaf.offset, leaf.size, entry.value_of(leaf.path))


@dataclass(frozen=True)
class Table:
    """A decoded table, where it was read from, and every byte of it."""

    view: str
    address: int
    size: int  # bytes, gaps included
    header: TableHeader
    offsets: tuple[int, ...]  # ``offset[]``, as they stand, those of entries that do not decode included
    entries: tuple[Located[Entry], ...]  # in the order of ``offset[]``; path ``vdev[0]`` counts entries of that type
    gaps: tuple[Gap, ...]

    @property
    def extent(self) -> Extent:
        """The range of addresses that the table takes in its view."""
        return Extent(self.address, self.size)

    def of(self, kind: type[E]) -> tuple[Located[E], ...]:
        """The entries of one type."""
        return tuple(Located(e.value, e.at) for e in self.entries if isinstance(e.value, kind))

    @property
    def vdevs(self) -> tuple[Located[Vdev], ...]:
        """The virtio devices."""
        return self.of(Vdev)

    @property
    def carveouts(self) -> tuple[Located[Carveout], ...]:
        """The carveouts; RPTUN pairs them with the vdevs by index."""
        return self.of(Carveout)

    @cached_property
    def _fields(self) -> dict[str, _Field]:
        fields = [
            _Field(f"header.{leaf.path}", leaf.offset, leaf.size, self.header.value_of(leaf.path))
            for leaf in TableHeader.leaves
        ]
        fields += [_Field(f"offset[{i}]", TableHeader.size + 4 * i, 4, value) for i, value in enumerate(self.offsets)]
        for entry in self.entries:
            base = entry.at.address - self.address
            fields += [
                _Field(f"{entry.at.path}.{field.path}", base + field.offset, field.size, field.value)
                for field in _entry_fields(entry.value)
            ]
        return {field.path: field for field in fields}

    def _find(self, path: str) -> _Field:
        found = self._fields.get(path)
        if found is None:
            raise UsageError("the table has no such field", where=f"{self.view} at {self.address:#010x}", found=path)
        return found

    def _place(self, field: _Field) -> Place:
        return Place(self.view, self.address + field.offset, field.path)

    def fields(self) -> Iterator[Located[int | bytes]]:
        """Every field: ``header.ver``, ``offset[0]``, ``carveout[0].da``, ``vdev[0].vring[1].align``, ...

        Names, config spaces and data of unknown meaning are bytes, all else is an integer.
        """
        return (Located(field.value, self._place(field)) for field in self._fields.values())

    def field(self, path: str) -> Located[int]:
        """An integer by its path; :class:`UsageError` when there is none."""
        found = self._find(path)
        if isinstance(found.value, bytes):
            raise UsageError("the field holds bytes, not a number", where=str(self._place(found)))
        return Located(found.value, self._place(found))

    def data(self, path: str) -> Located[bytes]:
        """A field as the bytes that it is made of."""
        found = self._find(path)
        return Located(self.encode()[found.offset : found.offset + found.size], self._place(found))

    def after_vrings(self, vdev: Located[Vdev], size: int) -> Located[bytes]:
        """Up to ``size`` bytes behind the last vring of an entry: its config space, or what NuttX 9.0 has there."""
        address = vdev.at.address + vdev.value.config_offset
        start = address - self.address
        return Located(self.encode()[start : start + size], Place(self.view, address, f"{vdev.at.path}.config"))

    def encode(self) -> bytes:
        """The table's bytes; :class:`TableError` ``table.truncated`` when an entry reaches past ``size``."""
        out = bytearray(self.size)
        offset_words = b"".join(offset.to_bytes(4, "little") for offset in self.offsets)
        pieces = [*self.gaps, Gap(0, self.header.pack() + offset_words)]
        pieces += [Gap(entry.at.address - self.address, entry.value.pack()) for entry in self.entries]
        for offset, data in pieces:
            if offset + len(data) > self.size:
                raise TableError(
                    "reaches past the table's end",
                    rule="table.truncated",
                    where=Place(self.view, self.address + offset),
                    expected=f"end <= {self.size}",
                    found=offset + len(data),
                )
            out[offset : offset + len(data)] = data
        return bytes(out)

    def patched(self, path: str, value: int | bytes) -> bytes:
        """The table's bytes with one field changed, whether or not they still make sense.

        :class:`UsageError` when the value does not fit the field.
        """
        field = self._find(path)
        try:
            data = value.to_bytes(field.size, "little") if isinstance(value, int) else value.ljust(field.size, b"\0")
        except OverflowError:
            data = b""
        if len(data) != field.size:
            raise UsageError("does not fit", where=str(self._place(field)), expected=f"{field.size} bytes", found=value)
        whole = self.encode()
        return whole[: field.offset] + data + whole[field.offset + field.size :]


@dataclass(frozen=True, slots=True)
class Scan:
    """As much of a table as can be decoded, and why the rest cannot; no table when not even its header can be read."""

    table: Table | None
    errors: tuple[TableError, ...]


class _Reader:
    """A table's bytes by offset, none of them past ``limit``."""

    def __init__(self, memory: Memory, address: int, limit: int) -> None:
        self.memory = memory
        self.address = address
        self.limit = limit
        self._room = _MOST_READ * limit + _FIRST_ROOM

    def place(self, offset: int, path: str) -> Place:
        return Place(self.memory.view, self.address + offset, path)

    def error(
        self, rule: str, what: str, offset: int, path: str, *, expected: object = None, found: object = None
    ) -> TableError:
        return TableError(what, rule=rule, where=self.place(offset, path), expected=expected, found=found)

    def read(self, offset: int, size: int, path: str) -> bytes:
        if offset + size > self.limit:
            raise self.error(
                "table.truncated",
                "runs past the table's end",
                offset,
                path,
                expected=f"end <= {self.limit}",
                found=offset + size,
            )
        self._room -= size
        if self._room < 0:
            raise self.error(
                "table.entries-overlap",
                "entries lie over each other again and again",
                offset,
                path,
                expected=f"at most {_MOST_READ} times the table's bytes in all entries together",
            )
        try:
            return self.memory.read(self.address + offset, size)
        except RptwinError as error:
            raise self.error(
                "table.outside-memory",
                "cannot be read",
                offset,
                path,
                expected=f"{size} bytes of memory",
                found=error,
            ) from error

    def custom(self, offset: int, path: str) -> Custom | None:
        """An entry of type 5 as TI's; None where it begins with the name of an algorithm, as OpenAMP's checksum."""
        packed = self.read(offset, CustomHead.size, path)
        if packed[4:5].isalpha():
            return None
        head = CustomHead.unpack_from(packed)
        return Custom(head.sub_type, self.read(offset + CustomHead.size, head.rsc_size, path))

    def entry(self, offset: int, path: str, type_: int, end: int | None) -> Entry:
        """The entry at an offset; one of a type without a layout goes up to ``end``, or is its type word alone."""
        plain = _PLAIN.get(type_)
        if plain is not None:
            return plain.unpack_from(self.read(offset, plain.size, path))
        if type_ == FW_RSC_VDEV:
            return self._vdev(offset, path)
        if _is_vendor(type_):
            head = VendorHead.unpack_from(self.read(offset, VendorHead.size, path))
            data = self.read(offset + VendorHead.size, max(0, head.len - VendorHead.size), f"{path}.len")
            return Vendor(head.type, head.len, data)
        start = offset + TypeWord.size
        return Unknown(type_, self.read(start, max(0, end - start), path) if end is not None else b"")

    def _vdev(self, offset: int, path: str) -> Vdev:
        head = VdevHeader.unpack_from(self.read(offset, VdevHeader.size, path))
        at = offset + VdevHeader.size
        packed = self.read(at, Vring.size * head.num_of_vrings, f"{path}.num_of_vrings")
        vrings = tuple(Vring.unpack_from(packed, i) for i in range(0, len(packed), Vring.size))
        return Vdev(head, vrings, self.read(at + len(packed), head.config_len, f"{path}.config_len"))


def _read_offsets(reader: _Reader, header: TableHeader, errors: list[TableError]) -> tuple[int, ...]:
    """``offset[]``; empty, with the reason in ``errors``, when the header promises what cannot be there."""
    if header.ver != 1:
        errors.append(
            reader.error("table.version", "not a resource table", 0, "header.ver", expected=1, found=header.ver)
        )
    if header.num > MAX_ENTRIES:
        if header.ver == 1:
            errors.append(
                reader.error(
                    "table.too-many-entries",
                    "too many entries",
                    TableHeader.offset_of("num"),
                    "header.num",
                    expected=f"at most {MAX_ENTRIES}",
                    found=header.num,
                )
            )
        return ()
    try:
        words = reader.read(TableHeader.size, 4 * header.num, "offset[]")
    except TableError as error:
        errors.append(error)
        return ()
    return tuple(int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4))


def _read_entry(
    reader: _Reader, index: int, offsets: tuple[int, ...], counts: Counter[str], end: int | None
) -> Located[Entry]:
    offset = offsets[index]
    at, path = TableHeader.size + 4 * index, f"offset[{index}]"
    if offset >= _OFFSET_LIMIT:
        raise reader.error(
            "table.offset-huge", "negative to a reader that computes with int", at, path, found=f"{offset:#x}"
        )
    if offset + TypeWord.size > reader.limit:
        raise reader.error(
            "table.offset-past-end", "points past the table's end", at, path, expected=f"< {reader.limit}", found=offset
        )
    if offset < (least := TableHeader.size + 4 * len(offsets)):
        raise reader.error(
            "table.offset-into-header", "points into the header", at, path, expected=f">= {least}", found=offset
        )
    type_ = TypeWord.unpack_from(reader.read(offset, TypeWord.size, path)).type
    following = min((other for other in offsets if offset < other <= reader.limit), default=end)
    custom = reader.custom(offset, path) if type_ == FW_RSC_FW_CHKSUM else None
    name = "custom" if custom else _name_of(type_)
    place = reader.place(offset, f"{name}[{counts[name]}]")
    counts[name] += 1
    return Located(custom or reader.entry(offset, place.path, type_, following), place)


def _gaps(reader: _Reader, size: int, covered: list[Extent], errors: list[TableError]) -> tuple[Gap, ...]:
    gaps = []
    for each in Extent(0, size).gaps(covered):
        try:
            gaps.append(Gap(each.start, reader.read(each.start, each.size, "between entries")))
        except TableError as error:
            errors.append(error)
    return tuple(gaps)


def _scan(reader: _Reader, end: int | None) -> Scan:
    """``end``: where the table is known to end, else None, and it ends with the last of its entries."""
    try:
        header = TableHeader.unpack_from(reader.read(0, TableHeader.size, "header"))
    except TableError as error:
        return Scan(None, (error,))
    errors: list[TableError] = []
    offsets = _read_offsets(reader, header, errors)
    entries: list[Located[Entry]] = []
    counts: Counter[str] = Counter()
    for index in range(len(offsets)):
        try:
            entries.append(_read_entry(reader, index, offsets, counts, end))
        except TableError as error:
            errors.append(error)
    covered = [Extent(0, TableHeader.size + 4 * len(offsets))]
    covered += [Extent(entry.at.address - reader.address, len(entry.value.pack())) for entry in entries]
    size = max(extent.end for extent in covered) if end is None else end
    gaps = _gaps(reader, size, covered, errors)
    table = Table(reader.memory.view, reader.address, size, header, offsets, tuple(entries), gaps)
    return Scan(table, tuple(errors))


def scan_table(memory: Memory, address: int, max_size: int) -> Scan:
    """What can be decoded of a table in memory, none of it past ``max_size`` bytes; it ends with its last entry."""
    return _scan(_Reader(memory, address, max_size), None)


def scan_table_bytes(data: bytes, *, view: str = "table", address: int = 0) -> Scan:
    """What can be decoded of a table that is all of ``data``, a section or a dump; ``address`` is its first byte's."""
    return _scan(_Reader(BytesMemory(view, address, data), address, len(data)), len(data))


def table_further_on(data: bytes) -> int | None:
    """Where a table begins in bytes that do not begin with one: the first multiple of 4 within 64, else None.

    Drivers keep words of their own in front of the table, and a symbol or a section then names those.
    """
    for offset in range(4, 68, 4):
        scan = scan_table_bytes(data[offset:])
        table = scan.table
        if table is not None and not scan.errors and table.header.num and not any(table.header.reserved):
            return offset
    return None


def _strict(scan: Scan) -> Table:
    if scan.errors or scan.table is None:
        raise scan.errors[0]
    return scan.table


def decode_table(memory: Memory, address: int, max_size: int) -> Table:
    """Like :func:`scan_table`, but anything that cannot be decoded is raised, the first first.

    :class:`TableError`: ``table.truncated``, ``table.outside-memory``, ``table.version``, ``table.too-many-entries``,
    ``table.offset-huge``, ``table.offset-past-end``, ``table.offset-into-header``.
    """
    return _strict(scan_table(memory, address, max_size))


def decode_table_bytes(data: bytes, *, view: str = "table", address: int = 0) -> Table:
    """Like :func:`scan_table_bytes`, but anything that cannot be decoded is raised, as :func:`decode_table` does."""
    return _strict(scan_table_bytes(data, view=view, address=address))


def build_table(
    entries: Sequence[Entry],
    *,
    view: str = "table",
    address: int = 0,
    align: int = 4,
    reserved: tuple[int, int] = (0, 0),
) -> Table:
    """A table of these entries in order, each at a multiple of ``align`` bytes, zeros between them."""
    at = TableHeader.size + 4 * len(entries)
    offsets = []
    packed = bytearray(at)
    for entry in entries:
        packed += bytes(-len(packed) % align)
        offsets.append(len(packed))
        packed += entry.pack()
    head = TableHeader(1, len(entries), reserved).pack() + b"".join(each.to_bytes(4, "little") for each in offsets)
    packed[:at] = head
    return decode_table_bytes(bytes(packed), view=view, address=address)
