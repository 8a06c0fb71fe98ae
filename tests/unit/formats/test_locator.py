from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import TableError, UsageError
from orchestrator.formats.elf import load_elf, parse_elf
from orchestrator.formats.locator import AUTO, LocatorKind, TableLocator, locate, parse_locator


@pytest.fixture
def with_table(tiny):
    return load_elf(tiny)


@pytest.fixture
def without_table(tiny):
    data = (
        tiny.read_bytes()
        .replace(b"\0.resource_table\0", b"\0.resource-table\0")
        .replace(b"\0g_shmem\0", b"\0g_other\0")
    )
    return parse_elf(data, path=Path("none.elf"), name="none.elf")


@pytest.mark.parametrize(
    ("text", "locator"),
    [
        ("auto", AUTO),
        ("section", TableLocator(LocatorKind.SECTION)),
        ("main:section", TableLocator(LocatorKind.SECTION, "main")),
        ("g_shmem", TableLocator(LocatorKind.SYMBOL, symbol="g_shmem")),
        ("remote:g_shmem+8", TableLocator(LocatorKind.SYMBOL, "remote", "g_shmem", 8)),
        ("g_shmem+0x10", TableLocator(LocatorKind.SYMBOL, symbol="g_shmem", offset=16)),
        ("0x10040000", TableLocator(LocatorKind.ADDRESS, address=0x10040000)),
        ("main:0X30040000", TableLocator(LocatorKind.ADDRESS, "main", address=0x30040000)),
        ("main", TableLocator(LocatorKind.SYMBOL, symbol="main")),
    ],
)
def test_each_form_of_a_locator_is_understood(text, locator):
    assert parse_locator(text) == locator


@pytest.mark.parametrize(
    "text",
    [
        "",
        "main:",
        "other:section",
        "0x",
        "0x123456789",
        "12345678",
        "a+",
        "a+b",
        "a-8",
        "section+8",
        "main:auto",
        "a b",
        "a\n",
    ],
)
def test_anything_else_is_a_usage_error_that_shows_the_grammar(text):
    with pytest.raises(UsageError, match=r"symbol\[\+offset\]") as caught:
        parse_locator(text)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_locator_that_reads_back_or_a_usage_error(text):
    try:
        locator = parse_locator(text)
    except UsageError:
        return
    assert parse_locator(str(locator)) == locator


def test_a_section_is_found_in_either_image_the_remotes_first(with_table, without_table):
    both = locate(AUTO, {"main": with_table, "remote": with_table})
    assert (both.role, both.address, both.size) == ("remote", 0x10040000, 68)
    assert both.load_address == with_table.resource_table().load_address
    assert both.how == "section .resource_table of tiny.elf"
    assert locate(AUTO, {"main": with_table, "remote": without_table}).role == "main"
    assert locate(parse_locator("main:section"), {"main": with_table, "remote": with_table}).role == "main"


def test_a_symbol_gives_its_address_its_offset_and_the_size_that_is_left(with_table):
    shmem = with_table.symbols["g_shmem"]
    found = locate(parse_locator("g_shmem+8"), {"remote": with_table})
    assert (found.address, found.size, found.load_address) == (shmem.address + 8, shmem.size - 8, None)
    assert found.how == "symbol g_shmem+0x8 of tiny.elf"
    last, end = (locate(parse_locator(f"g_shmem+{at}"), {"remote": with_table}) for at in (shmem.size - 1, shmem.size))
    assert (last.size, end.size) == (1, None)
    loaded = locate(parse_locator("table"), {"remote": with_table})
    assert loaded.load_address == with_table.resource_table().load_address


def test_an_address_is_the_remotes_unless_it_says_otherwise(with_table):
    images = {"remote": with_table}
    assert locate(parse_locator("0x10040000"), images).role == "remote"
    assert locate(parse_locator("main:0x30040000"), images).role == "main"
    assert locate(parse_locator("0x10040000"), images).how == "address 0x10040000 of remote"


def test_what_is_nowhere_is_named_with_the_images_that_were_searched(without_table):
    images = {"main": without_table, "remote": without_table}
    with pytest.raises(
        TableError, match=r"none\.elf, none\.elf: no resource table: expected \.resource_table"
    ) as caught:
        locate(AUTO, images)
    assert caught.value.rule == "table.not-found"
    with pytest.raises(TableError, match="expected symbol g_shmem"):
        locate(parse_locator("g_shmem"), images)
    with pytest.raises(TableError, match="no image"):
        locate(parse_locator("main:section"), {"remote": without_table})


def test_a_table_that_is_not_loaded_is_not_passed_over(tiny_unloaded, with_table):
    with pytest.raises(TableError) as caught:
        locate(AUTO, {"remote": load_elf(tiny_unloaded), "main": with_table})
    assert caught.value.rule == "table.not-loaded"
