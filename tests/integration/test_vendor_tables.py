"""A public vendor's table is judged without an error, and with one thing broken by the rule for that thing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.table_images import IMAGES, build

from orchestrator.checks import Finding, Severity, check_static
from orchestrator.checks.catalogue import apply_rules
from orchestrator.checks.state import State
from orchestrator.formats.elf import Image, load_elf
from orchestrator.formats.resource_entry import Profile
from orchestrator.formats.resource_table import scan_table_bytes
from orchestrator.observe.declared import choose_profile, find_declared
from orchestrator.platform import load_platform

PLATFORM = load_platform("stm32h745")
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True)
class Shape:
    """What a reader says of a vendor's table, and which rule speaks when one definition breaks it."""

    profile: Profile
    broken: str
    rule: str
    remarks: dict[str, Severity] = field(default_factory=dict)
    hosts: tuple[Profile, ...] = (Profile.LINUX,)  # under whose rules it is healthy too, besides those it is taken for


UNNUMBERED = {"vdev.notifyid-collision": NOTE, "vring.notifyid-not-unique": NOTE}
COLLISION = {"vdev.notifyid-collision": NOTE}

SHAPES = {
    "ZEPHYR": Shape(Profile.LINUX, "NUM=6", "vring.num-not-power-of-two", COLLISION),
    "ST_MP1": Shape(Profile.LINUX, "ALIGN=3", "vring.align-not-power-of-two", hosts=(Profile.LINUX, Profile.OPENAMP)),
    "ST_H7": Shape(Profile.COMMON, "ID1=0", "vring.notifyid-not-unique", hosts=(Profile.LINUX, Profile.OPENAMP)),
    "IMX8M": Shape(Profile.COMMON, "ID1=40", "vring.notifyid-range", COLLISION),
    "IMX8QM": Shape(Profile.COMMON, "SECOND_ID1=1", "vring.notifyid-not-unique", COLLISION),
    "IMX_DSP": Shape(Profile.LINUX, "EXTRA_LEN=0x1000", "table.truncated", COLLISION),
    "EMPTY": Shape(Profile.COMMON, "VERSION=2", "table.version", {"table.no-vdev": NOTE}),
    "EMPTY_SPARE": Shape(Profile.COMMON, "ENTRIES=1", "table.offset-into-header", {"table.no-vdev": NOTE}),
    "TRACE_ONLY": Shape(Profile.COMMON, "TRACE_RESERVED=1", "table.entry-reserved", {"table.no-vdev": NOTE}),
    "K3": Shape(Profile.LINUX, "RESERVED=1", "table.reserved", COLLISION),
    "PRU": Shape(Profile.LINUX, "EXTRA_LEN=0x1000", "table.truncated", {**UNNUMBERED, "table.obsolete-type": WARNING}),
    "ZYNQMP": Shape(Profile.LINUX, "ALIGN=0", "vring.align-zero", hosts=(Profile.LINUX, Profile.OPENAMP)),
    "ZYNQ": Shape(Profile.OPENAMP, "ID1=1", "vring.notifyid-not-unique", {"table.obsolete-type": WARNING}),
    "RZG2": Shape(Profile.OPENAMP, "NUM=65536", "vring.num-too-large",
                  {**UNNUMBERED, "table.obsolete-type": WARNING}),
    "SUNXI": Shape(Profile.NUTTX, "FEATURES=8", "vdev.features-without-config"),
    "MT8183": Shape(Profile.COMMON, "DA1=0x1001FF00", "vring.memory-in-use", COLLISION),
    "OMAP": Shape(Profile.COMMON, "TRACE_RESERVED=7", "table.entry-reserved"),
    "NUTTX": Shape(Profile.NUTTX, "ID1=1", "vring.notifyid-not-unique", hosts=()),
}  # fmt: skip

Images = Callable[..., Image]
Judge = Callable[..., tuple[Finding, ...]]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    folder = tmp_path_factory.mktemp("tables")

    @functools.cache
    def of(shape: str, *definitions: str, table_at: int | None = None) -> Image:
        return load_elf(build(folder, shape, *definitions, table_at=table_at))

    return of


@pytest.fixture(scope="module")
def judge(images: Images) -> Judge:
    def of(shape: str, *definitions: str, profile: Profile | None = None, **place: int) -> tuple[Finding, ...]:
        return check_static({"remote": images(shape, *definitions, **place)}, PLATFORM, profile)

    return of


@pytest.mark.parametrize("shape", SHAPES)
def test_a_vendors_table_is_taken_for_what_it_is_and_has_no_error(shape: str, images: Images, judge: Judge) -> None:
    assert choose_profile(find_declared({"remote": images(shape)}).scan)[0] is SHAPES[shape].profile
    assert {each.rule: each.severity for each in judge(shape)} == SHAPES[shape].remarks
    for host in SHAPES[shape].hosts:
        assert [str(each) for each in judge(shape, profile=host) if each.severity is ERROR] == []


@pytest.mark.parametrize("shape", SHAPES)
def test_a_vendors_table_with_one_thing_broken_has_that_error(shape: str, judge: Judge) -> None:
    found = judge(shape, SHAPES[shape].broken)
    assert {each.rule for each in found if each.severity is ERROR and each.because_of is None} == {SHAPES[shape].rule}


def test_a_custom_entry_is_linuxs_wherever_the_vrings_are(images: Images, judge: Judge) -> None:
    placed = "DA0=0x10041000", "DA1=0x10044000"
    profile, why = choose_profile(find_declared({"remote": images("PRU", *placed)}).scan)
    assert (profile, why) == (Profile.LINUX, "a custom entry, as TI's Linux has")
    assert [each for each in judge("PRU", *placed) if each.severity is ERROR] == []


@pytest.mark.parametrize("da", ["0x1003FF80", "0x10040020"])
def test_a_vring_over_the_table_itself_is_found(da: str, judge: Judge) -> None:
    (found,) = (each for each in judge("ST_H7", f"DA1={da}") if each.rule == "vring.memory-in-use")
    assert "table in .resource_table of st_h7" in found.actual


def test_linux_gives_out_the_id_that_the_vdev_has(judge: Judge) -> None:
    """Its vrings are 1 and 2 in the file, and 0 and 1 once Linux has loaded it (open-amp 438)."""
    (found,) = judge("K3", "OPENAMP", profile=Profile.LINUX)
    assert (found.rule, found.severity) == ("vdev.notifyid-collision", WARNING)
    assert found.expected == "not 0, which vdev[0].vring[0] is given by Linux"
    (without,) = judge("K3", profile=Profile.LINUX)
    assert without.severity is NOTE, "no bitmap in the remote, as far as its symbols tell"
    assert judge("K3", "OPENAMP", "VDEV_ID=31", profile=Profile.LINUX) == ()
    (last,) = judge("K3", "VDEV_ID=1", profile=Profile.LINUX)
    assert last.expected == "not 1, which vdev[0].vring[1] is given by Linux"
    assert judge("K3", "VDEV_ID=2", profile=Profile.LINUX) == (), "2 is nobody's once Linux has numbered them"


def test_openamp_as_host_refuses_ids_that_nobody_numbered(judge: Judge) -> None:
    rules = {each.rule: each.severity for each in judge("IMX8M", profile=Profile.OPENAMP)}
    assert rules == {"vdev.notifyid-collision": ERROR}
    rules = {each.rule: each.severity for each in judge("IMX8M", "ID1=0", profile=Profile.OPENAMP)}
    assert rules == {"vdev.notifyid-collision": ERROR, "vring.notifyid-not-unique": ERROR}


def test_linux_numbers_vrings_whatever_their_ids_are(judge: Judge) -> None:
    found = judge("IMX8M", "VDEV_ID=31", "ID1=40", "ID0=40", profile=Profile.LINUX)
    assert {(each.rule, each.severity) for each in found} == {
        ("vring.notifyid-range", NOTE), ("vring.notifyid-not-unique", NOTE)
    }  # fmt: skip


@pytest.mark.parametrize("ids", [("ID0=1", "ID1=1"), ("ID0=0", "ID1=0", "VDEV_ID=5")])
def test_ids_that_somebody_numbered_and_that_are_one_are_an_error(ids: tuple[str, ...], judge: Judge) -> None:
    rules = [each.rule for each in judge("IMX8M", *ids) if each.severity is ERROR]
    assert rules == ["vring.notifyid-not-unique"]


def test_an_id_that_any_was_given_before_is_taken(judge: Judge) -> None:
    """One vring set twice and the other never: it keeps 0, and the other is given what is free (nuttx PR 6902)."""
    (found,) = judge("NUTTX", "ID0=0xFFFFFFFF", "ID1=1")
    assert found.expected == "an id of its own (vdev[0].vring[0], ANY, is given 1)"
    assert judge("NUTTX", "ID0=0xFFFFFFFF", "ID1=2") == ()
    assert judge("NUTTX", "ID0=0xFFFFFFFF", "ID1=1", "VDEV_ID=7") == (), "0 is free for vring 0"


@pytest.mark.parametrize(("profile", "at", "wanted"), [
    (Profile.LINUX, 0x1004_0004, 8), (Profile.LINUX, 0x1004_0002, 8), (Profile.OPENAMP, 0x1004_0002, 4),
    (Profile.LINUX, 0x1004_0008, 0), (Profile.OPENAMP, 0x1004_0004, 0), (Profile.COMMON, 0x1004_0004, 0),
])  # fmt: skip
def test_a_table_lies_where_its_readers_can_copy_it(profile: Profile, at: int, wanted: int, judge: Judge) -> None:
    found = [each for each in judge("ZYNQMP", profile=profile, table_at=at) if each.rule == "table.misaligned"]
    assert [(each.severity, each.expected, each.actual) for each in found] == (
        [(WARNING, f"a multiple of {wanted}", f"{at:#010x}")] if wanted else []
    )
    assert [place.path for each in found for place in each.at] == ["section .resource_table"] * len(found)


def test_an_entry_after_an_odd_config_space_is_misaligned(images: Images) -> None:
    table = bytearray(find_declared({"remote": images("NUTTX")}).data)
    start = int.from_bytes(table[20:24], "little")
    moved = bytes(table[:start]) + b"\0" + bytes(table[start:])
    moved = moved[:20] + (start + 1).to_bytes(4, "little") + moved[24:]
    declared = replace(find_declared({"remote": images("NUTTX")}), scan=scan_table_bytes(moved, address=0x1004_0000))
    (found,) = (each for each in apply_rules(State(Profile.NUTTX, {}, declared)) if each.rule == "table.misaligned")
    assert (found.subject, found.expected) == ("carveout[0]", "a multiple of 4")


def test_a_remote_without_a_table_is_an_error_under_linux_alone(tmp_path: Path) -> None:
    script = (IMAGES / "tables.ld").read_text(encoding="utf-8")
    script = script.replace(".resource_table TABLE :", ".shared_memory TABLE :")
    image = load_elf(build(tmp_path, "EMPTY", script=script))
    for profile, severity in ((Profile.LINUX, ERROR), (Profile.COMMON, NOTE), (Profile.NUTTX, NOTE)):
        findings = check_static({"remote": image}, PLATFORM, profile)
        assert [(each.rule, each.severity) for each in findings] == [("table.missing", severity)]
    findings = check_static({"main": image}, PLATFORM, Profile.LINUX)
    assert ("table.missing", NOTE) in [(each.rule, each.severity) for each in findings], "the host's image has none"


def test_a_trace_that_num_leaves_out_is_found(judge: Judge) -> None:
    """As NuttX on the i.MX9: the entry is filled in, and nobody reads it."""
    (found,) = judge("NUTTX", "ENTRIES=2")
    assert (found.rule, found.severity) == ("table.orphan-entry", WARNING)
    assert found.actual == "a trace that nobody reads, as num is 2"
    (found,) = (each for each in judge("MT8183", "ENTRIES=5") if each.rule == "table.orphan-entry")
    assert found.actual == "a vdev that nobody reads, as num is 5"
