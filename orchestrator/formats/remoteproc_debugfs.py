"""What a Linux host says of a remote core under ``/sys/kernel/debug/remoteproc/remoteprocN`` (remoteproc_debugfs.c).

``resource_table`` is the table as text; ``carveout_memories`` says which physical memory the remote's addresses are.
Neither says where the table itself lies, nor has it the reserved words of its header or the config space of a vdev.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TableError
from orchestrator.formats.resource_entry import Carveout, Devmem, Entry, Trace, Vdev, VdevHeader, Vring
from orchestrator.formats.resource_table import Table, build_table
from orchestrator.formats.translation import AddressRange

__all__ = ["parse_carveouts", "parse_table_text"]

_MOST_ENTRIES = 256
_MOST_VRINGS = 64
_WORD = 1 << 32
_ENTRY = re.compile(r"Entry (\d{1,9}) is of type (\w+)")
_FIELD = re.compile(r" {2,4}([A-Z][A-Za-z ]*?) (0x[0-9a-fA-F]{1,16}|-?\d{1,10})(?: Bytes)?")
_RESERVED = re.compile(r" {2}Reserved \(should be zero\) \[(-?\d{1,10})\](?:\[(-?\d{1,10})\])?")
_NAME = re.compile(r" {2}Name (.*)")
_VRING = re.compile(r" {2}Vring (\d{1,9})")
_CARVEOUT = re.compile(r"\t(Name|DMA address|Device address|Length): ?(.*?)(?: Bytes)?")


@dataclass(slots=True)
class _Block:
    """The lines of one entry, or of one of its vrings."""

    kind: str
    line: int
    values: dict[str, int]
    name: str = ""
    reserved: tuple[int, int] = (0, 0)


def _error(where: str, what: str, expected: object, found: object) -> TableError:
    return TableError(what, rule="table.truncated", where=where, expected=expected, found=found)


def parse_table_text(text: str, where: str) -> Table:
    """The table that a ``resource_table`` file shows; :class:`TableError` names the line that is none of one."""
    blocks = list(_blocks(text, where))
    if not blocks:
        raise _error(where, "no resource table", "Entry 0 is of type ...", _start(text))
    return build_table(list(_entries(blocks, where)), view=where)


def _start(text: str) -> str:
    return repr(text[:40]) if text else "an empty file"


def _blocks(text: str, where: str) -> Iterator[_Block]:
    """Whole entries, and their vrings behind them."""
    block: _Block | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        entry, vring = _ENTRY.fullmatch(line), _VRING.fullmatch(line)
        if entry or vring:
            if block is not None:
                yield block
            block = _Block(entry[2] if entry else "vring", number, {})
        elif block is None or not _take(block, line):
            raise _error(f"{where}:{number}", "no line of a resource table", "Entry N is of type ...", repr(line[:60]))
    if block is not None:
        yield block


def _take(block: _Block, line: str) -> bool:
    if found := _RESERVED.fullmatch(line):
        block.reserved = (int(found[1]) & 0xFF, int(found[2] or 0) & 0xFF)
    elif found := _NAME.fullmatch(line):
        block.name = found[1]
    elif found := _FIELD.fullmatch(line):
        block.values[found[1]] = int(found[2], 0) % _WORD  # ids are shown as signed numbers
    else:
        return False
    return True


def _entries(blocks: list[_Block], where: str) -> Iterator[Entry]:
    for count, block in enumerate(each for each in blocks if each.kind != "vring"):
        if count >= _MOST_ENTRIES:
            raise _error(f"{where}:{block.line}", "too many entries", f"at most {_MOST_ENTRIES}", "more")
        yield _entry(block, blocks, where)


def _entry(block: _Block, blocks: list[_Block], where: str) -> Entry:
    def value(name: str, of: _Block = block) -> int:
        if name not in of.values:
            raise _error(f"{where}:{of.line}", f"{of.kind} without its {name}", name, ", ".join(of.values) or "nothing")
        return of.values[name]

    name = block.name.encode("utf-8", "surrogateescape")[:32].ljust(32, b"\0")
    if block.kind in ("carveout", "devmem"):
        kind = Carveout if block.kind == "carveout" else Devmem
        da, pa = value("Device Address"), value("Physical Address")
        return kind(da=da, pa=pa, len=value("Length"), flags=value("Flags"), name=name)
    if block.kind == "trace":
        return Trace(da=value("Device Address"), len=value("Length"), name=name)
    if block.kind != "vdev":
        raise _error(f"{where}:{block.line}", "unknown type of entry", "carveout | devmem | trace | vdev", block.kind)
    index = blocks.index(block) + 1
    rings = []
    while index < len(blocks) and blocks[index].kind == "vring":
        ring = blocks[index]
        da, align, num = (value(name, ring) for name in ("Device Address", "Alignment", "Number of buffers"))
        rings.append(Vring(da, align, num, value("Notify ID", ring), value("Physical Address", ring)))
        index += 1
    said = value("Number of vrings")
    if said != len(rings) or said > _MOST_VRINGS:
        raise _error(f"{where}:{block.line}", "vdev with other vrings than it says", f"{said} vrings", len(rings))
    head = VdevHeader(
        id=value("ID"),
        notifyid=value("Notify ID"),
        dfeatures=value("Device features"),
        gfeatures=value("Guest features"),
        status=value("Status") & 0xFF,
        reserved=block.reserved,
    )
    return Vdev.of(head, rings)  # what its config space holds is not shown


def parse_carveouts(text: str, where: str) -> tuple[AddressRange, ...]:
    """Which physical (main's) addresses the remote's are, as a ``carveout_memories`` file has it; sizes in bytes."""
    ranges = []
    block: dict[str, str] = {}
    for number, line in enumerate([*text.splitlines(), "Carveout memory entry:"], start=1):
        found = _CARVEOUT.fullmatch(line)
        if found:
            block[found[1]] = found[2]
        elif line.startswith("Carveout memory entry:"):
            if block:
                ranges.append(_range(block, f"{where}:{number}"))
            block = {}
        elif line.strip() and not line.startswith("\tVirtual address"):
            raise _error(f"{where}:{number}", "no line of carveout_memories", "Carveout memory entry:", repr(line[:60]))
    return tuple(ranges)


def _range(block: Mapping[str, str], where: str) -> AddressRange:
    try:
        pa, da, size = (int(block[each], 16) for each in ("DMA address", "Device address", "Length"))
    except (KeyError, ValueError):
        raise _error(where, "carveout without its addresses", "DMA address, Device address, Length", block) from None
    if not 0 < size <= _WORD - max(pa, da):
        raise _error(where, "carveout past 32 bits", "an end below 4 GiB", f"{max(pa, da):#x} + {size:#x}")
    return AddressRange(pa, da, size, block.get("Name") or where)
