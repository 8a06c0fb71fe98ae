"""What a running Renode says of its machine, by its monitor: text in, a :class:`Platform` and memory out.

``execute`` runs one command of the monitor and returns what it prints. Nothing is written, and no time passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.base.roles import ROLES
from orchestrator.formats.elf import Image, SegmentFlag
from orchestrator.platform.model import Core, Platform, Region, Registration

__all__ = ["Execute", "RenodeBus", "RenodeMemory", "bus_of"]

Execute = Callable[[str], str]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A child of the system bus in what `peripherals` prints, and the lines beneath it.
_CHILD = re.compile(r"^ {2}[├└]── (?P<name>\S+) \((?P<type>\w+)\)$")
_SLOT = re.compile(r"^ {2}[│ ] +Slot: (?P<slot>\d+)$")
_RANGE = re.compile(
    r"^ {2}[│ ] +<0x(?P<first>[0-9A-F]+), 0x(?P<last>[0-9A-F]+)>"
    r"(?: for core \[CPU: (?:.*\.)?(?P<core>\w+)\[\d+\]\])?$"
)
_CORE_TYPE = "CortexM"
_BYTE = re.compile(r"0x([0-9A-F]{2})\b")
_BLOCK = 256  # bytes that are read at once


@dataclass(frozen=True, slots=True)
class RenodeBus:
    """The cores of a machine, in the order of their slots, and the memory that each of them sees."""

    cores: tuple[str, ...]
    regions: tuple[Region, ...]

    def platform(self, name: str, roles: Mapping[str, str], images: Mapping[str, Image]) -> Platform:
        """The machine as checks know one; each core boots where its image says."""
        boots = {roles[role]: image.vector_table for role, image in images.items()}
        cores = tuple(
            Core(each, _CORE_TYPE, "", index, boots.get(each, 0), 100, held=False)
            for index, each in enumerate(self.cores)
        )
        return Platform(name, Path(name), cores, self.regions, (), dict(roles), {})

    def roles(self, images: Mapping[str, Image], given: Mapping[str, str | None], execute: Execute) -> dict[str, str]:
        """Which core has which image: as given, else the one that executes it, else in the order of their slots.

        :class:`UsageError` when a core is none of the machine, or when it cannot be told.
        """
        for name in filter(None, given.values()):
            if name.removeprefix("sysbus.") not in self.cores:
                raise UsageError("no such core", where="Renode", expected=" | ".join(self.cores), found=name)
        roles = {role: name.removeprefix("sysbus.") for role, name in given.items() if name}
        pcs = {core: int(execute(f"sysbus.{core} PC"), 16) for core in self.cores}
        for role, image in images.items():
            busy = [core for core, pc in pcs.items() if core not in roles.values() and _executes(image, pc)]
            if role not in roles and len(busy) == 1:
                roles[role] = busy[0]
        free = [core for core in self.cores if core not in roles.values()]
        for role in ROLES:
            if role not in roles and len(free) + len(roles) == len(ROLES):
                roles[role] = free.pop(0)
        if len(roles) < len(ROLES):
            raise UsageError(
                "which core runs which image cannot be told",
                where="Renode",
                expected="main_core= and remote_core=",
                found=", ".join(self.cores) or "no CortexM",
            )
        return roles


def _executes(image: Image, pc: int) -> bool:
    return any(pc in each.run_extent for each in image.segments if each.flags & SegmentFlag.EXECUTE)


def bus_of(listing: str) -> RenodeBus:
    """What ``peripherals`` lists. Memory at two places is one region where both places are of one size."""
    cores: dict[str, int] = {}
    places: dict[str, list[Registration]] = {}
    name = kind = ""
    for line in _COLOUR.sub("", listing).splitlines():
        if child := _CHILD.match(line.rstrip()):
            name, kind = child["name"], child["type"]
            if kind == _CORE_TYPE:
                cores[name] = len(cores)
        elif kind == _CORE_TYPE and (slot := _SLOT.match(line.rstrip())):
            cores[name] = int(slot["slot"])
        elif "Memory" in kind and (at := _RANGE.match(line.rstrip())):
            first, last = int(at["first"], 16), int(at["last"], 16)
            places.setdefault(name, []).append(Registration(first, at["core"], last - first + 1))
    regions = [
        Region(memory if index == 0 else f"{memory}_{size:x}", size, tuple(at for at in found if at.size == size))
        for memory, found in places.items()
        for index, size in enumerate(dict.fromkeys(at.size or 0 for at in found))
    ]
    return RenodeBus(tuple(sorted(cores, key=lambda core: cores[core])), tuple(regions))


class RenodeMemory:
    """Memory as one core of a paused machine sees it; each block is read once."""

    def __init__(self, core: str, regions: Sequence[Region], execute: Execute) -> None:
        self.view = core
        self._extents = [extent for region in regions for extent in region.extents(core)]
        self._execute = execute
        self._blocks: dict[int, bytes] = {}

    def read(self, address: int, size: int) -> bytes:
        """Bytes; :class:`TranslationError` where the core has no memory."""
        if not any(Extent(address, size) in extent for extent in self._extents):
            raise TranslationError("no memory", where=f"{self.view} at {address:#010x}")
        first = address - address % _BLOCK
        data = b"".join(self._block(at) for at in range(first, address + size, _BLOCK))
        return data[address - first :][:size]

    def write(self, address: int, data: bytes) -> None:
        """A suite judges what is there, and changes nothing."""
        raise TranslationError("only read here", where=f"{self.view} at {address:#010x}", found=f"{len(data)} bytes")

    def _block(self, address: int) -> bytes:
        """As much of a block as the core has; 0 for what it has not, which nobody is given."""
        if address not in self._blocks:
            data = bytearray(_BLOCK)
            for extent in self._extents:
                start, end = max(address, extent.start), min(address + _BLOCK, extent.end)
                if start < end:
                    text = self._execute(f"sysbus ReadBytes {start:#x} {end - start} true sysbus.{self.view}")
                    read = bytes(int(each, 16) for each in _BYTE.findall(text))
                    if len(read) != end - start:
                        where = f"{self.view} at {start:#010x}"
                        raise TranslationError("not read by Renode", where=where, expected=end - start, found=text)
                    data[start - address : end - address] = read
            self._blocks[address] = bytes(data)
        return self._blocks[address]
