"""Whose rules a table seems to be made for, by what only one host has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import DA, FLASH, Piece, code, make_elf
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import (
    ANY,
    Carveout,
    Checksum,
    Custom,
    Entry,
    Profile,
    RprocMem,
    Trace,
    Vdev,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import build_table, scan_table_bytes
from orchestrator.observe.declared import TABLE_LIMIT, choose_profile, find_declared

DYNAMIC, PLACED = Vring(ANY, 16, 8, 0), Vring(0x1004_1000, 16, 8, 0)


def vdev(*rings: Vring, config: bytes = b"") -> Vdev:
    return Vdev.of(VdevHeader(id=7, config_len=len(config)), rings, config)


@pytest.mark.parametrize(
    ("entries", "profile", "why"),
    [
        ([vdev(DYNAMIC, DYNAMIC, config=bytes(64))], Profile.NUTTX, "a vdev has a config block of 64 bytes"),
        ([vdev(DYNAMIC, config=bytes(63))], Profile.LINUX, "vrings for a host to place"),
        ([Custom(1, bytes(8))], Profile.LINUX, "a custom entry"),
        ([vdev(DYNAMIC), Carveout(da=ANY, name=b"pool")], Profile.NUTTX, "each vdev has a carveout"),
        ([vdev(DYNAMIC), vdev(DYNAMIC), Carveout(da=ANY, name=b"pool")], Profile.LINUX, "vrings for a host to place"),
        ([vdev(DYNAMIC), Carveout(da=ANY, name=b"vdev0vring0")], Profile.LINUX, "vrings for a host to place"),
        ([RprocMem(da=0x1004_0000, len=16)], Profile.OPENAMP, "entries that only OpenAMP has"),
        ([Checksum(algo=b"sha256")], Profile.OPENAMP, "entries that only OpenAMP has"),
        ([vdev(PLACED, PLACED, PLACED)], Profile.OPENAMP, "entries that only OpenAMP has"),
        ([vdev(PLACED, PLACED)], Profile.COMMON, "nothing that only one host has"),
        ([Trace(da=0x1004_0000, len=16)], Profile.COMMON, "nothing that only one host has"),
        # Of several signs the one of the rarer host counts.
        ([vdev(DYNAMIC, DYNAMIC), RprocMem(da=0x1004_0000, len=16)], Profile.OPENAMP, "entries that only OpenAMP has"),
        (
            [vdev(PLACED, config=bytes(64)), Checksum(algo=b"sha256")],
            Profile.NUTTX,
            "a vdev has a config block of 64 bytes",
        ),
    ],
)
def test_a_profile_is_chosen_by_what_only_one_host_has(entries: list[Entry], profile: Profile, why: str) -> None:
    chosen, said = choose_profile(scan_table_bytes(build_table(entries).encode()))
    assert chosen is profile
    assert said.startswith(why)


def test_without_a_table_nothing_tells() -> None:
    assert choose_profile(None) == (Profile.COMMON, "no table to tell by")
    assert choose_profile(replace(scan_table_bytes(build_table([]).encode()), table=None))[0] is Profile.COMMON


TABLE = build_table([vdev(DYNAMIC, DYNAMIC)]).encode()
LOADED = FLASH + 0x1000


@pytest.mark.parametrize("before", [0, 0x20])
def test_a_table_that_is_named_by_its_address_is_read_from_the_segment_that_brings_it(before: int) -> None:
    """Its load address counts, and its place in the segment; the code stands in another one."""
    data = b"\xa5" * before + TABLE + bytes(TABLE_LIMIT)
    pieces = [code(FLASH, 0x2000_0000), Piece(LOADED, data, DA, 4)]
    found = find_declared({"remote": make_elf("remote.elf", pieces)}, parse_locator(f"remote:{DA + before:#x}"))
    assert found.location is not None
    assert found.data == (TABLE + bytes(TABLE_LIMIT))[:TABLE_LIMIT]
    assert found.scan is not None
    assert found.scan.table is not None
    assert (found.scan.table.address, found.scan.table.offsets) == (DA + before, (20,))
    assert not found.can_be_made_at_run_time


@pytest.mark.parametrize(
    ("piece", "address"),
    [(Piece(LOADED, TABLE, DA, 4), DA + len(TABLE)), (Piece(LOADED, bytes(len(TABLE)), DA, 4), DA)],
    ids=["in no segment", "zeros"],
)
def test_where_the_image_brings_nothing_the_program_makes_the_table(piece: Piece, address: int) -> None:
    image = make_elf("remote.elf", [code(FLASH, 0x2000_0000), piece])
    found = find_declared({"remote": image}, parse_locator(f"remote:{address:#x}"))
    assert (found.data, found.scan, found.error) == (b"", None, None)
    assert found.can_be_made_at_run_time
