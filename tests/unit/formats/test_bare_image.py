"""Images of bytes alone: raw binary with an address and Intel HEX, as objcopy writes them and as nobody should."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import ElfError
from orchestrator.base.image_names import parted
from orchestrator.formats.bare_image import load_image, parse_hex

END = b":00000001FF\n"


def record(kind: int, offset: int, data: bytes) -> bytes:
    fields = bytes([len(data), offset >> 8 & 0xFF, offset & 0xFF, kind]) + data
    return b":%s\n" % (fields + bytes([-sum(fields) & 0xFF])).hex().upper().encode()


def as_hex(pieces: dict[int, bytes]) -> bytes:
    text = b""
    for address, data in pieces.items():
        for at in range(0, len(data), 16):
            text += record(4, 0, ((address + at) >> 16).to_bytes(2, "big"))
            part = data[at : min(at + 16, at + 0x10000 - ((address + at) & 0xFFFF))]
            text += record(0, (address + at) & 0xFFFF, part)
            if len(part) < len(data[at : at + 16]):
                text += record(4, 0, ((address + at + len(part)) >> 16).to_bytes(2, "big"))
                text += record(0, 0, data[at + len(part) : at + 16])
    return text + record(5, 0, bytes(4)) + END


@given(
    st.dictionaries(
        st.integers(0, 0xFFFE).map(lambda n: n << 16 | 0xFF80),
        st.binary(min_size=1, max_size=300),
        min_size=1,
        max_size=4,
    )
)
def test_pieces_come_back_as_they_were(pieces: dict[int, bytes]) -> None:
    assert parse_hex(as_hex(pieces), "a.hex") == sorted(pieces.items())


def test_segments_of_the_8086_are_sixteen_bytes_apart() -> None:
    assert parse_hex(record(2, 0, b"\x10\x00") + record(0, 4, b"ab") + END, "a.hex") == [(0x1_0004, b"ab")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "ends in the middle"),
        (END, "nothing to load"),
        (b"hello\n", "a.hex:1: no record of Intel HEX"),
        (record(0, 0, b"ab")[:-3] + b"00\n" + END, "a.hex:1: a record with a wrong checksum"),
        (record(0, 0, b"ab"), "ends in the middle"),
        (END + record(0, 0, b"ab"), "a.hex:2: a record behind the end"),
        (record(0, 0, b"abcd") + record(0, 2, b"xy") + END, "records that overlap"),
        (record(6, 0, b"ab") + END, "unknown type of record"),
        (record(4, 0, b"a") + END, "an address that is none"),
        (b":0z\n", "no record"),
        (b": 00000001FF\n", "no record"),
        (b"".join(record(0, n * 8, b"a") for n in range(4100)) + END, "too many pieces"),
    ],
)
def test_a_line_that_is_wrong_is_named(text: bytes, says: str) -> None:
    with pytest.raises(ElfError) as caught:
        parse_hex(text, "a.hex")
    assert says in str(caught.value)


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(ElfError):
        parse_hex(b":" + data, "a.hex")


def test_raw_binary_lies_where_it_is_said_to(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"\x00\x10\x00\x20\x41\x00\x00\x08code")
    image = load_image(f"{file}@0x08000000")
    assert image.is_bare
    assert (image.name, image.vector_table) == ("a.bin@0x08000000", 0x0800_0000)
    assert (image.initial_sp(), image.reset_vector(), image.entry) == (0x2000_1000, 0x0800_0041, 0x0800_0041)
    assert image.symbol_at(0x0800_0040) is None
    assert image.resource_table() is None
    assert image.source_lines(0x0800_0040) == ()


@pytest.mark.parametrize(
    ("content", "given_", "says"),
    [
        (b"", "a.bin@0x0", "nothing that can be loaded"),
        (b"abcd", "a.bin@0xfffffffe", "nothing that can be loaded: expected 1 to 2 bytes"),
        (b"\x7fELF", "a.bin@0x0", "not raw binary: expected bytes alone, found ELF"),
        (b"ab", "a.bin", "not an ELF file"),
        (b"ab", "absent.bin@0x0", "cannot be read"),
    ],
)
def test_a_file_that_is_no_image_is_refused(tmp_path: Path, content: bytes, given_: str, says: str) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(ElfError) as caught:
        load_image(f"{tmp_path}/{given_}")
    assert says in str(caught.value)


def test_a_file_that_is_called_like_an_address_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "a@0x10"
    file.touch()
    assert parted(file) == (file, None)
    assert parted(tmp_path / "b@0x10") == (tmp_path / "b", 16)
