"""The tree of a table and the map of the memory that it names, drawn from a table made here."""

from __future__ import annotations

import struct
from collections import deque
from io import StringIO

import pytest

from orchestrator.base.memory import BytesMemory
from orchestrator.base.roles import Side
from orchestrator.formats.locator import TableLocation
from orchestrator.formats.resource_entry import ANY, Carveout, Entry, Feature, Trace, Unknown, Vdev, VdevHeader, Vring
from orchestrator.formats.resource_table import build_table
from orchestrator.observe.declared import DeclaredTable
from orchestrator.observe.live import LiveView, read_live
from orchestrator.observe.traffic import Buffer
from orchestrator.observe.views import Views
from orchestrator.platform import Platform, load_platform
from orchestrator.report.resources import table_tree
from orchestrator.report.shared_map import parts_in_both_views, shared_map
from orchestrator.report.terminal import make_console, rendered

PA, DA = 0x3004_0000, 0x1004_0000


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("stm32h745")


def vdev(*rings: Vring, status: int = 7) -> Vdev:
    return Vdev.of(VdevHeader(3, 7, 2, 0b101, 0b001, 0, status, len(rings), b"\0\0"), rings)


def ring(da: int, notifyid: int = 0, num: int = 8) -> Vring:
    return Vring(da, 16, num, notifyid, 0)


CARVEOUT = Carveout(0, DA + 0x1000, PA + 0x1000, 0x3000, 0, 0, b"heap".ljust(32, b"\0"))
TRACE = Trace(2, DA + 0x400, 0x400, 0, b"log\x1b[31m".ljust(32, b"\0"))


def live(platform: Platform, *entries: Entry) -> LiveView:
    data = build_table(entries).encode()
    memories = {"main": BytesMemory("cpu_cm7", PA, data), "remote": BytesMemory("cpu_cm4", DA, data)}
    return read_live(Views.of(memories, platform), DeclaredTable(TableLocation("remote", DA, "address")))


def test_the_tree_shows_every_entry_ring_and_config_in_words() -> None:
    table = build_table([TRACE, vdev(ring(ANY), ring(DA + 0x10F0, ANY)), CARVEOUT, Unknown(9, b"")], view="r.elf")
    text = rendered(make_console(StringIO()), lambda console: console.print(table_tree(table)))
    assert text.splitlines() == [
        f"r.elf at 0x00000000, {table.size} bytes",
        '├── trace[0]  "log?[31m" da 0x10040400 len 0x400',
        "├── vdev[0]  RPMsg, status ACKNOWLEDGE|DRIVER|DRIVER_OK, features NS|BUFSZ, accepted NS, notifyid 2",
        "│   ├── vring[0]  da ANY align 16 num 8 notifyid 0 pa 0x00000000",
        "│   └── vring[1]  da 0x100410f0 align 16 num 8 notifyid ANY pa 0x00000000",
        '├── carveout[0]  "heap" da 0x10041000 pa 0x30041000 len 0x3000',
        "└── unknown[0]  unknown type 9, 0 bytes after it",
    ]


def test_the_tree_shows_the_cores_names_as_text_and_the_release_that_they_tell(platform: Platform) -> None:
    config = struct.pack("<II8s8s40x", 512, 256, b"big", b"longname")
    head = VdevHeader(3, 7, 0, Feature.BUFSZ | Feature.CPUNAME, 0, 0, 0, 0, b"\0\0")
    view = live(platform, Vdev.of(head, [ring(ANY), ring(ANY)], config))
    assert view.table is not None
    tree = table_tree(view.table, view.vdevs)
    text = rendered(make_console(StringIO()), lambda console: console.print(tree))
    assert "config  NuttX 12.13: h2r_buf_size 512" in text
    assert 'host_cpuname "big", remote_cpuname "longname"' in " ".join(text.split())


def test_the_command_words_of_rptun_are_shown_where_they_are_in_use() -> None:
    table = build_table([TRACE], reserved=(1 << 16, 0xFFFF_0002))
    text = rendered(make_console(StringIO()), lambda console: console.print(table_tree(table)))
    assert "├── header  RPTUN command words: master READY, slave ACK 0x2\n" in text


def test_each_part_of_a_ring_has_an_address_in_both_views(platform: Platform) -> None:
    (only,) = live(platform, vdev(ring(DA + 0x1000)), CARVEOUT).rings
    assert [(part.name, part.pa, part.da, part.size) for part in parts_in_both_views(only)] == [
        ("desc", PA + 0x1000, DA + 0x1000, 128),
        ("avail", PA + 0x1080, DA + 0x1080, 22),
        ("used", PA + 0x10A0, DA + 0x10A0, 70),
    ]


def test_a_ring_without_an_address_has_no_parts(platform: Platform) -> None:
    (only,) = live(platform, vdev(ring(ANY)), CARVEOUT).rings
    assert list(parts_in_both_views(only)) == []


def test_the_map_puts_rings_and_buffers_into_their_carveout_and_names_the_rest(platform: Platform) -> None:
    view = live(platform, vdev(ring(DA + 0x1000)), CARVEOUT, TRACE)
    views = Views.of({}, platform)

    def buffer(da: int, owner: Side = Side.DRIVER) -> Buffer:
        span = views.span_at_da("buffer", da, 512)
        return Buffer(da, span, "vdev[0].vring[0]", True, owner, history=deque())

    buffers = [buffer(DA + 0x1400, Side.DEVICE), buffer(DA + 0x1200), buffer(DA + 0x3E00)]
    rows = [(row.depth, (row.span.pa or 0) - PA, row.span.size, row.what) for row in shared_map(view, buffers)]
    assert rows == [
        (0, 0, view.table.size if view.table else 0, "resource table"),
        (0, 0x400, 0x400, 'trace[0] "log?[31m"'),
        (0, 0x1000, 0x3000, 'carveout[0] "heap"'),
        (1, 0x1000, 230, "vdev[0].vring[0], 8 entries"),
        (1, 0x10E6, 0x11A, "never used"),
        (1, 0x1200, 1024, "2 buffers of 512 bytes, vdev[0].vring[0], 1 with the device"),
        (1, 0x1600, 0x2800, "never used"),
        (1, 0x3E00, 512, "buffer of 512 bytes, vdev[0].vring[0], 0 with the device"),
    ]


def test_a_board_without_a_table_has_an_empty_map(platform: Platform) -> None:
    nothing = read_live(Views.of({}, platform), DeclaredTable(None))
    assert shared_map(nothing, []) == ()
