"""Vrings that are given by hand: what is taken as one, and the table that they make."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.base.memory import BytesMemory
from orchestrator.formats.resource_entry import ANY, Vring
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import declared_by_vrings
from orchestrator.observe.given import GivenVring, parse_vrings, table_of
from orchestrator.observe.live import read_live, ring_layout
from orchestrator.observe.views import Views


def test_numbers_are_read_as_they_are_written() -> None:
    found = parse_vrings(["0x10040000:8:16", "0X10041000:0x8:0x10"])
    assert found == (GivenVring(0x1004_0000, 8, 16), GivenVring(0x1004_1000, 8, 16))
    assert [str(each) for each in found] == ["0x10040000:8:16", "0x10041000:8:16"]


@pytest.mark.parametrize("size", [1, 2, 32768])
def test_sizes_are_powers_of_two_up_to_32768(size: int) -> None:
    text = f"0x10040000:{size}:{size}"
    assert parse_vrings([text, text])[0] == GivenVring(0x1004_0000, size, size)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0x10040000:0:16", "NUM a power of two up to 32768"),
        ("0x10040000:8:0", "ALIGN a power of two"),
        ("0x10040000:6:16", "NUM a power of two"),
        ("0x10040000:8:24", "ALIGN a power of two"),
        ("0x10040000:65536:16", "NUM a power of two up to 32768"),
        ("0x10040000:8", "ADDRESS:NUM:ALIGN"),
        ("0x110040000:8:16", "ADDRESS:NUM:ALIGN"),
        ("10040000:8:16", "ADDRESS:NUM:ALIGN"),
        ("0x10040000:8:16:1", "ADDRESS:NUM:ALIGN"),
    ],
)
def test_what_is_no_vring_is_said_with_what_one_is(text: str, says: str) -> None:
    with pytest.raises(UsageError, match="not a vring") as caught:
        parse_vrings([text, "0x10040000:8:16"])
    assert says in str(caught.value.expected)


@pytest.mark.parametrize("count", [1, 3])
def test_a_device_has_two(count: int) -> None:
    with pytest.raises(UsageError, match=f"without its fellow.*found {count}"):
        parse_vrings(["0x10040000:8:16"] * count)


def test_two_make_a_device_of_rpmsg_that_is_ready_when_it_is_said_to_be() -> None:
    vrings = [GivenVring(0x1004_0000 + 0x1000 * i, 8 << i, 16) for i in range(4)]
    scan = table_of(vrings, "remote", [False, True])
    assert scan.table is not None
    assert not scan.errors
    heads = [each.value.head for each in scan.table.vdevs]
    assert [(head.id, head.notifyid, head.status, head.num_of_vrings) for head in heads] == [
        (7, ANY, 0, 2),
        (7, ANY, 7, 2),
    ]
    rings = [ring for each in scan.table.vdevs for ring in each.value.vrings]
    assert rings == [Vring(each.address, each.align, each.num, ANY) for each in vrings]
    assert scan.table.view == "remote"


def test_of_devices_of_which_nothing_is_said_none_is_ready() -> None:
    vrings = [GivenVring(0x1004_0000, 8, 16)] * 4
    for ready in ([], [True]):
        scan = table_of(vrings, "remote", ready)
        assert scan.table is not None
        assert [each.value.head.status for each in scan.table.vdevs] == ([7, 0] if ready else [0, 0])


@pytest.mark.parametrize(
    ("num", "align", "used"),
    [
        (0, 16, None),
        (1, 16, 16 + 16),
        (32768, 16, 16 * 32768 + 65552),
        (32769, 16, None),
        (8, 0, None),
        (8, 1, 150),
        (8, 24, 168),  # 173 without the bits of 23, whatever comes of it
        (8, 40, 152),  # 189 without the bits of 39
    ],
)
def test_a_vring_lies_where_ring_code_computes_it_and_nowhere_past_the_largest_queue(
    num: int, align: int, used: int | None
) -> None:
    layout = ring_layout(0x1000, num, align)
    assert (layout and layout.used - 0x1000) == used


PA, DA = 0x3004_0000, 0x1004_0000


@pytest.mark.parametrize(
    ("index_at", "is_ready"),
    [(None, False), (0x1000 + 16 * 8 + 2, True), (0x1000 + 160 + 2, True), (0x1000 + 16 * 8, False)],
    ids=["nothing", "avail.idx", "used.idx", "avail.flags"],
)
def test_a_device_without_a_table_is_ready_once_an_index_of_its_rings_has_moved(
    index_at: int | None, is_ready: bool
) -> None:
    """The driver makes buffers available before the device uses one; a device that is under way has used some."""
    shared = bytearray(0x4000)
    if index_at is not None:
        shared[index_at] = 1
    memories = {
        "main": BytesMemory("cpu_main", PA, bytes(shared)),
        "remote": BytesMemory("cpu_remote", DA, bytes(shared)),
    }
    views = Views.of(memories, given=(AddressRange(PA, DA, 0x4000),))
    places = (DA, DA + 0x1000, DA + 0x2000, 0x6000_0000)  # the last one is in no memory
    live = read_live(views, declared_by_vrings(tuple(GivenVring(each, 8, 16) for each in places)))
    assert live.is_given
    assert [vdev.is_driver_ok for vdev in live.vdevs] == [is_ready, False]
    assert [ring.is_resolved for ring in live.rings] == [True, True, True, False]
    assert [str(ring.at) for ring in live.rings[:2]] == [
        f"cpu_remote at {DA:#010x} (vdev[0].vring[0])",
        f"cpu_remote at {DA + 0x1000:#010x} (vdev[0].vring[1])",
    ]
