"""A table that nobody has named is found where firmware made it."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import pytest

from orchestrator.base.memory import BytesMemory
from orchestrator.formats.elf import Symbol
from orchestrator.formats.resource_entry import Trace
from orchestrator.formats.resource_table import build_table
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.search import tables_in_memory
from orchestrator.observe.views import Views
from tests.unit.checks.bench import (
    DA,
    MAIN,
    MAIN_RAM,
    PA,
    PLATFORM,
    REMOTE,
    SIZE,
    Bench,
    CoreMemory,
    Script,
    Store,
    default_entries,
)

TABLE = build_table(default_entries()).encode()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def main(store: Store) -> CoreMemory:
    return CoreMemory(store, MAIN)


@pytest.fixture
def views(store: Store, main: CoreMemory) -> Views:
    return Views.of({"main": main, "remote": CoreMemory(store, REMOTE)}, PLATFORM)


def image(*symbols: tuple[str, int, int]) -> SimpleNamespace:
    return SimpleNamespace(symbols={name: Symbol(name, at, size, 1, False, False, 1) for name, at, size in symbols})


def test_the_verdict_says_how_to_name_a_table_that_firmware_made_at_run_time() -> None:
    (finding,) = (each for each in Bench(Script(table_at_run_time=True)).run().findings if each.rule == "table.missing")
    assert finding.detail == (f"memory holds what reads as a table at main:{PA:#010x}",)
    assert finding.advice == f"run it again with --table main:{PA:#010x}"


def test_cores_that_notify_each_other_without_a_table_may_need_none() -> None:
    def notify(bench: Bench) -> None:
        for sender, receiver in ((MAIN, REMOTE), (REMOTE, MAIN)):
            bench.turn(sender, functools.partial(bench.ring, sender))
            bench.turn(receiver, lambda: None)

    script = Script(table_at_run_time=True, copies_table=False, after=notify)
    (finding,) = (each for each in Bench(script).run().findings if each.rule == "table.missing")
    assert "give them by --vrings ADDRESS:NUM:ALIGN" in finding.detail[0]


def test_without_one_it_says_how_one_is_named() -> None:
    script = Script(table_at_run_time=True, copies_table=False)
    (finding,) = (each for each in Bench(script).run().findings if each.rule == "table.missing")
    assert finding.detail == ()
    assert "--table SYMBOL or 0xADDRESS" in finding.advice


@pytest.mark.parametrize(
    ("main_symbol", "remote_symbol", "expected"),
    [
        (("g_shmem", PA + 0x100, 0x400), ("other", DA, 0x800), "main:g_shmem+0x8"),
        (("g_shmem", PA + 0x108, 0x100), None, "main:g_shmem"),
        (None, ("rsc", DA + 0x108, 0x100), "remote:rsc"),
        (("g_shmem", PA, 0x108), ("rsc", DA + 0x200, 0x100), f"main:{PA + 0x108:#010x}"),
    ],
)
def test_a_table_is_named_by_the_symbol_that_it_lies_in_mains_first(views, main, main_symbol, remote_symbol, expected):
    main.write(PA + 0x108, TABLE)
    symbols = {"main": main_symbol, "remote": remote_symbol}
    images = {role: image(*filter(None, [symbol])) for role, symbol in symbols.items()}
    assert tables_in_memory(views, images) == (expected,)


def test_every_table_in_shared_memory_is_found_and_none_in_memory_of_one_core(views, main):
    for at in (PA, PA + 0x4000, MAIN_RAM):
        main.write(at, TABLE)
    assert tables_in_memory(views, {}) == (f"main:{PA:#010x}", f"main:{PA + 0x4000:#010x}")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1\0\0\0" * 64,
        TABLE[:-64],
        build_table([Trace(da=DA, len=16, name=b"no vdev")]).encode(),
        build_table(default_entries(num=7)).encode(),
        build_table(default_entries(align=0)).encode(),
    ],
    ids=["nothing", "ones", "a table cut short", "no vdev", "an odd size", "no alignment"],
)
def test_what_is_no_table_is_not_taken_for_one(views, main, data):
    main.write(PA + SIZE - len(data), data)
    assert tables_in_memory(views, {}) == ()


def test_a_table_may_be_the_last_of_a_region(views, main):
    main.write(PA + SIZE - len(TABLE), TABLE)
    assert tables_in_memory(views, {}) == (f"main:{PA + SIZE - len(TABLE):#010x}",)


@pytest.mark.parametrize(("size", "is_found"), [(len(TABLE) + 0x1F, False), (len(TABLE) + 0x20, True)])
def test_a_table_lies_wholly_in_what_both_cores_reach(size, is_found):
    """Main's memory goes on behind it."""
    memories = {
        "main": BytesMemory("cpu_main", PA, bytes(0x20) + TABLE + bytes(0x100)),
        "remote": BytesMemory("cpu_remote", DA, bytes(0x1000)),
    }
    views = Views.of(memories, given=(AddressRange(PA, DA, size),))
    assert tables_in_memory(views, {}) == ((f"main:{PA + 0x20:#010x}",) if is_found else ())


@pytest.mark.parametrize(("size", "is_found"), [(1 << 20, True), ((1 << 20) + 4, False)])
def test_memory_of_more_than_a_mebibyte_is_not_looked_through(size, is_found):
    memories = {
        "main": BytesMemory("cpu_main", PA, TABLE + bytes(1 << 20)),
        "remote": BytesMemory("cpu_remote", DA, bytes(1 << 21)),
    }
    views = Views.of(memories, given=(AddressRange(PA, DA, size),))
    assert tables_in_memory(views, {}) == ((f"main:{PA:#010x}",) if is_found else ())


def test_a_table_off_its_alignment_is_none(views, main):
    main.write(PA + 2, TABLE)
    assert tables_in_memory(views, {}) == ()
