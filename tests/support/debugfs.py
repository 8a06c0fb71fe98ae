"""debugfs of a Linux host's remoteproc, written as Linux prints it (remoteproc_debugfs.c)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.formats.resource_entry import Carveout, Devmem, Entry, Trace, Vdev
from orchestrator.formats.resource_table import Table
from orchestrator.formats.translation import AddressRange

__all__ = ["carveouts_text", "table_text"]


def table_text(table: Table) -> str:
    """The file ``resource_table``; numbers that C prints by ``%d`` are signed."""
    return "".join(
        f"Entry {index} is of type {_kind(each.value)}\n" + "".join(f"{line}\n" for line in _lines(each.value))
        for index, each in enumerate(table.entries)
    )


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def _kind(entry: Entry) -> str:
    return type(entry).__name__.lower()


def _lines(entry: Entry) -> Iterator[str]:
    if isinstance(entry, Carveout | Devmem):
        yield f"  Device Address 0x{entry.da:x}"
        yield f"  Physical Address 0x{entry.pa:x}"
        yield f"  Length 0x{entry.len:x} Bytes"
        yield f"  Flags 0x{entry.flags:x}"
        yield f"  Reserved (should be zero) [{entry.reserved}]"
        yield f"  Name {entry.text}\n"
    elif isinstance(entry, Trace):
        yield f"  Device Address 0x{entry.da:x}"
        yield f"  Length 0x{entry.len:x} Bytes"
        yield f"  Reserved (should be zero) [{entry.reserved}]"
        yield f"  Name {entry.text}\n"
    else:
        assert isinstance(entry, Vdev)
        head = entry.head
        yield f"  ID {head.id}"
        yield f"  Notify ID {_signed(head.notifyid)}"
        yield f"  Device features 0x{head.dfeatures:x}"
        yield f"  Guest features 0x{head.gfeatures:x}"
        yield f"  Config length 0x{head.config_len:x}"
        yield f"  Status 0x{head.status:x}"
        yield f"  Number of vrings {head.num_of_vrings}"
        yield f"  Reserved (should be zero) [{head.reserved[0]}][{head.reserved[1]}]\n"
        for index, ring in enumerate(entry.vrings):
            yield f"  Vring {index}"
            yield f"    Device Address 0x{ring.da:x}"
            yield f"    Alignment {ring.align}"
            yield f"    Number of buffers {ring.num}"
            yield f"    Notify ID {_signed(ring.notifyid)}"
            yield f"    Physical Address 0x{ring.pa:x}\n"


def carveouts_text(ranges: Iterable[AddressRange]) -> str:
    """The file ``carveout_memories``."""
    return "".join(
        f"Carveout memory entry:\n\tName: {each.name}\n\tVirtual address: 00000000f5a1b2c3\n"
        f"\tDMA address: 0x{each.pa:016x}\n\tDevice address: 0x{each.da:x}\n\tLength: 0x{each.size:x} Bytes\n\n"
        for each in ranges
    )
