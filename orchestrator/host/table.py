"""The resource table as its owner in memory changes it, field by field, and where a host finds the remote's."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.errors import HostError
from orchestrator.base.memory import Extent, Memory
from orchestrator.base.roles import REMOTE
from orchestrator.formats.nuttx_config import NuttxConfig, NuttxRelease, decode_nuttx_config
from orchestrator.formats.resource_entry import ANY, Feature
from orchestrator.formats.resource_table import Table, scan_table
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import TABLE_LIMIT, DeclaredTable
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform

__all__ = ["LiveTable", "TablePlace", "core_names"]


class LiveTable:
    """A decoded table and the memory that it stands in; each write is of one field, whole."""

    def __init__(self, table: Table, memory: Memory) -> None:
        self.layout = table
        self._memory = memory
        self._places: dict[str, Extent] = {}

    def _place(self, path: str) -> Extent:
        if path not in self._places:
            field = self.layout.data(path)
            self._places[path] = Extent(field.at.address, len(field.value))
        return self._places[path]

    def get(self, path: str) -> int:
        """What stands there now."""
        place = self._place(path)
        return int.from_bytes(self._memory.read(place.start, place.size), "little")

    def set(self, path: str, value: int) -> None:
        """Change a field."""
        place = self._place(path)
        self._memory.write(place.start, value.to_bytes(place.size, "little"))

    def rpmsg_config(self, vdev: int, features: int, release: NuttxRelease | None = None) -> NuttxConfig | None:
        """The config block of an RPMsg vdev if a feature speaks of it; :class:`TableError` when it is too short."""
        if not features & (Feature.BUFSZ | Feature.CPUNAME | Feature.BUFADDR):
            return None
        located = self.layout.vdevs[vdev]
        data = located.value.config or self.layout.after_vrings(located, 64).value
        return decode_nuttx_config(data, release, features)


def core_names(config: NuttxConfig | None, features: int) -> tuple[str, str]:
    """Host's and remote's, empty where the features do not announce them."""
    if config is None or not features & Feature.CPUNAME:
        return "", ""
    return config.host_cpuname or "", config.remote_cpuname or ""


class TablePlace:
    """Where the remote's table is, as the images declare it, for the host that looks for it in memory."""

    def __init__(self, platform: Platform, views: Views, declared: DeclaredTable) -> None:
        self._platform = platform
        self._views = views
        self._declared = declared

    @property
    def is_loaded(self) -> bool:
        """The loader puts the image's table to where the remote uses it."""
        location = self._declared.location
        return location is not None and location.load_address == location.address and self._declared.scan is not None

    def _address(self) -> int:
        location = self._declared.location
        if location is None:
            raise self._declared.error or HostError("nobody knows where the resource table is")
        address = self._views.span_at(location.role, "table", location.address, 16).pa
        if address is None:
            raise HostError(
                "main has no memory where the resource table is",
                where=f"{location.role} at {location.address:#010x}",
                expected="memory that both cores reach",
            )
        return address

    def read(self, memory: Memory) -> Table:
        """The table as it stands in main's memory; its first error, or HostError where main cannot reach it."""
        scan = scan_table(memory, self._address(), len(self._declared.data) or TABLE_LIMIT)
        if scan.errors or scan.table is None:
            raise scan.errors[0]
        return scan.table

    def names_of_memory(self, table: Table) -> Iterator[AddressRange]:
        """How the remote itself calls its memory, in the table and by the table's own place."""
        for carveout in table.carveouts:
            span = self._views.span_at_da("", carveout.value.da, max(1, carveout.value.len))
            if carveout.value.da != ANY and span.pa is not None and span.da is not None:
                yield AddressRange(span.pa, span.da, span.size)
        location = self._declared.location
        if location is None or location.role != REMOTE:
            return
        da = location.address
        core = self._platform.core(REMOTE).name
        found = self._platform.region_at(core, da)
        extent = next((each for each in found[0].extents(core) if da in each), None) if found else None
        span = self._views.span_at_da("", da, 1)
        if extent is not None and span.pa is not None:
            yield AddressRange(span.pa - (da - extent.start), extent.start, extent.size)
