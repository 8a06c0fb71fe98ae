"""A resource table drawn as a tree, live or from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text
from rich.tree import Tree

from orchestrator.base.memory import Located
from orchestrator.formats.nuttx_config import NuttxConfig
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_ID_RPMSG,
    Carveout,
    Checksum,
    CommandWord,
    Custom,
    Devmem,
    Entry,
    RprocMem,
    Trace,
    Vdev,
    Vendor,
    Vring,
    feature_names,
    status_names,
)
from orchestrator.formats.resource_table import Table
from orchestrator.observe.live import LiveVdev
from orchestrator.report.terminal import address, printable

__all__ = ["table_tree"]


def table_tree(table: Table, vdevs: Sequence[LiveVdev] = (), where: str | None = None) -> Tree:
    """Every entry, vring and config block; ``vdevs`` adds what the config blocks mean, ``where`` is the title."""
    configs = {vdev.path: vdev.config for vdev in vdevs}
    title = where or f"{table.view} at {table.address:#010x}, {table.size} bytes"
    tree = Tree(Text(title), guide_style="dim")
    if any(table.header.reserved):
        master, slave = (CommandWord(word) for word in table.header.reserved)
        tree.add(Text.assemble(("header", "cyan"), f"  RPTUN command words: master {master}, slave {slave}"))
    for located in table.entries:
        branch = tree.add(Text.assemble((located.at.path, "cyan"), f"  {_describe(located.value)}"))
        if isinstance(located.value, Vdev):
            for line in _inside_vdev(located, configs.get(located.at.path)):
                branch.add(line)
    return tree


def _any(value: int) -> str:
    return "ANY" if value == ANY else address(value)


def _names(names: tuple[str, ...]) -> str:
    return "|".join(names) or "none"


def _describe(entry: Entry) -> str:
    if isinstance(entry, Carveout | Devmem):
        return f'"{printable(entry.text)}" da {_any(entry.da)} pa {_any(entry.pa)} len {entry.len:#x}'
    if isinstance(entry, Trace):
        return f'"{printable(entry.text)}" da {_any(entry.da)} len {entry.len:#x}'
    if isinstance(entry, Vdev):
        head = entry.head
        kind = "RPMsg" if head.id == VIRTIO_ID_RPMSG else f"virtio id {head.id}"
        return (
            f"{kind}, status {_names(status_names(head.status))}, features {_names(feature_names(head.dfeatures))}, "
            f"accepted {_names(feature_names(head.gfeatures))}, notifyid {_id(head.notifyid)}"
        )
    if isinstance(entry, RprocMem):
        return f"da {_any(entry.da)} pa {_any(entry.pa)} len {entry.len:#x} (OpenAMP 2017.04 to 2018.10)"
    if isinstance(entry, Checksum):
        return "firmware checksum (OpenAMP 2017.04 to 2018.10)"
    if isinstance(entry, Custom):
        return f"custom entry of TI's, sub-type {entry.sub_type:#x}, {len(entry.data)} bytes"
    if isinstance(entry, Vendor):
        return f"vendor type {entry.type}, {entry.len} bytes"
    return f"unknown type {entry.type}, {len(entry.data)} bytes after it"


def _id(notifyid: int) -> str:
    return "ANY" if notifyid == ANY else str(notifyid)


def _inside_vdev(located: Located[Entry], config: NuttxConfig | None) -> Iterator[Text]:
    vdev = located.value
    assert isinstance(vdev, Vdev)
    for i, ring in enumerate(vdev.vrings):
        yield Text.assemble((f"vring[{i}]", "cyan"), f"  {_ring(ring)}")
    if config is not None:
        values = ", ".join(_config_values(config))
        others = [each.value for each in config.candidates if each is not config.release]
        guess = f" (or {', '.join(others)}: --nuttx-config decides)" if others else ""
        yield Text.assemble(("config", "cyan"), f"  NuttX {config.release.value}{guess}: {values}")
    elif vdev.config:
        yield Text.assemble(("config", "cyan"), f"  {len(vdev.config)} bytes")


def _ring(ring: Vring) -> str:
    return f"da {_any(ring.da)} align {ring.align} num {ring.num} notifyid {_id(ring.notifyid)} pa {_any(ring.pa)}"


def _config_values(config: NuttxConfig) -> Iterator[str]:
    for leaf in config.block.leaves:
        if not leaf.path.startswith("reserved"):
            value = config.block.value_of(leaf.path)
            shown = f'"{_text(value)}"' if isinstance(value, bytes) else str(value)
            yield f"{leaf.path} {shown}"


def _text(field: bytes) -> str:
    return printable(field.split(b"\0", 1)[0].decode("utf-8", "backslashreplace"))
