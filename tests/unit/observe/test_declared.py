"""Whose rules a table seems to be made for, by what only one host has."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
from orchestrator.observe.declared import choose_profile

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
