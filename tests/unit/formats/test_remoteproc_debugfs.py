"""What a Linux host shows in debugfs: read back as the table that it is of; anything else is a typed error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.debugfs import carveouts_text, table_text

from orchestrator.base.errors import TableError
from orchestrator.formats.remoteproc_debugfs import parse_carveouts, parse_table_text
from orchestrator.formats.resource_entry import ANY, Carveout, Devmem, Entry, Trace, Vdev, VdevHeader, Vring
from orchestrator.formats.resource_table import build_table
from orchestrator.formats.translation import AddressRange

WORD = st.integers(0, 0xFFFF_FFFF)
BYTE = st.integers(0, 255)
NAME = st.text("abcdefghij_0123 ", max_size=20).map(lambda text: text.encode().ljust(32, b"\0"))
VRINGS = st.lists(st.builds(Vring, WORD, st.integers(0, 1 << 30), st.integers(0, 1 << 30), WORD, WORD), max_size=4)
VDEVS = st.builds(
    lambda rings, **head: Vdev.of(VdevHeader(**head), rings),
    VRINGS,
    id=st.integers(0, 1 << 30),
    notifyid=WORD,
    dfeatures=WORD,
    gfeatures=WORD,
    status=BYTE,
    reserved=st.tuples(BYTE, BYTE),
)
ENTRIES = st.one_of(
    st.builds(Carveout, da=WORD, pa=WORD, len=WORD, flags=WORD, name=NAME),
    st.builds(Devmem, da=WORD, pa=WORD, len=WORD, flags=WORD, name=NAME),
    st.builds(Trace, da=WORD, len=WORD, name=NAME),
    VDEVS,
)
RPMSG = Vdev.of(VdevHeader(id=7, status=7, dfeatures=1), [Vring(0x1000, 16, 8, 0, 0x9000), Vring(0x2000, 16, 8, ANY)])


@given(st.lists(ENTRIES, min_size=1, max_size=5))
def test_what_linux_shows_of_a_table_reads_as_that_table(entries: list[Entry]) -> None:
    table = build_table(entries)
    assert parse_table_text(table_text(table), "shown").encode() == table.encode()


@given(st.text(max_size=300))
def test_any_other_text_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(TableError, match="shown"):
        parse_table_text(text, "shown")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Number of vrings 2", "Number of vrings 3", "shown:1: vdev with other vrings than it says: expected 3 vrings"),
        ("Alignment 16", "Alignment x", "shown:13: no line of a resource table"),
        ("    Alignment 16\n", "", "vring without its Alignment"),
        ("is of type vdev", "is of type cache", "unknown type of entry"),
    ],
)
def test_a_line_that_linux_would_not_write_is_named(old: str, new: str, says: str) -> None:
    text = table_text(build_table([RPMSG]))
    assert old in text
    with pytest.raises(TableError) as caught:
        parse_table_text(text.replace(old, new), "shown")
    assert says in str(caught.value)


def test_carveouts_say_which_memory_the_remotes_addresses_are() -> None:
    ranges = (AddressRange(0x3800_0000, 0x1000_0000, 0x1000, "vdev0buffer"), AddressRange(0x9000, 0x20, 0x10, "b"))
    assert parse_carveouts(carveouts_text(ranges), "shown") == ranges


@pytest.mark.parametrize(
    "spoilt", ["Length: 0x0 Bytes", "Length: 0xfffffffff Bytes", "Length: many Bytes", "Colour: 3"]
)
def test_a_carveout_that_cannot_be_is_an_error(spoilt: str) -> None:
    text = carveouts_text([AddressRange(0x3800_0000, 0x1000_0000, 0x1000, "one")])
    with pytest.raises(TableError, match="shown"):
        parse_carveouts(text.replace("Length: 0x1000 Bytes", spoilt), "shown")
