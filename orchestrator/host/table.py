"""The resource table as its owner in memory changes it: field by field, at the place of each."""

from __future__ import annotations

from orchestrator.base.memory import Extent, Memory
from orchestrator.formats.nuttx_config import NuttxConfig, NuttxRelease, decode_nuttx_config
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.resource_table import Table

__all__ = ["LiveTable", "core_names"]


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
