"""Vrings that no resource table describes: two images agree on them when they are built (rpmsg-lite, Zephyr).

They are judged like others, as the rings of an RPMsg device that main drives: the first of each two carries to main.
What only a table would tell (features, status, notify ids) is not known. Such a device counts as ready once something
was made available in one of its rings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.base.numbers import LONGEST, parse_number
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_ACKNOWLEDGE,
    VIRTIO_CONFIG_S_DRIVER,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_ID_RPMSG,
    Vdev,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import Scan, Table, build_table

__all__ = ["GivenVring", "parse_vrings", "table_of"]

_READY = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK
_EACH = 2  # vrings of an RPMsg device
_MOST_ENTRIES = 1 << 15
_WORDS = "ADDRESS:NUM:ALIGN, as 0x10040000:8:16"
_GIVEN = re.compile(r"(0[xX][0-9a-fA-F]{1,8}):(0[xX][0-9a-fA-F]+|\d{1,5}):(0[xX][0-9a-fA-F]+|\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class GivenVring:
    """Where a vring is, as the remote addresses it, its entries, and by what its used ring is aligned (bytes)."""

    address: int
    num: int
    align: int

    def __str__(self) -> str:
        return f"{self.address:#010x}:{self.num}:{self.align}"


def parse_vrings(texts: Iterable[str]) -> tuple[GivenVring, ...]:
    """``ADDRESS:NUM:ALIGN`` each, two for each device; :class:`UsageError` says what is wrong."""
    vrings = []
    for text in texts:
        found = _GIVEN.fullmatch(text)
        if found is None:
            raise UsageError("not a vring", where="vrings", expected=_WORDS, found=repr(text))
        address, num, align = (parse_number(part[:LONGEST]) for part in found.groups())
        for name, value in (("NUM", num), ("ALIGN", align)):
            if not value or value & (value - 1) or value > _MOST_ENTRIES:
                expected = f"{name} a power of two up to {_MOST_ENTRIES}"
                raise UsageError("not a vring", where="vrings", expected=expected, found=text)
        vrings.append(GivenVring(address, num, align))
    if len(vrings) % _EACH:
        expected = "two for each RPMsg device: first the one that carries to main, then the one from it"
        raise UsageError("a vring without its fellow", where="vrings", expected=expected, found=len(vrings))
    return tuple(vrings)


def table_of(vrings: Iterable[GivenVring], view: str, ready: Iterable[bool] = ()) -> Scan:
    """The table that would describe them; ``ready`` says of each device whether it is in use."""
    each, states = list(vrings), [*ready]
    vdevs = []
    for index in range(0, len(each), _EACH):
        rings = [Vring(one.address, one.align, one.num, ANY) for one in each[index : index + _EACH]]
        status = _READY if index // _EACH < len(states) and states[index // _EACH] else 0
        vdevs.append(Vdev.of(VdevHeader(id=VIRTIO_ID_RPMSG, notifyid=ANY, status=status), rings))
    table: Table = build_table(vdevs, view=view)
    return Scan(table, ())
