"""Structures from a header: as the compiler lays them out, and not otherwise."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.engines.common.c_structs import Header, HeaderError

HEADER = """/* A comment with struct not { uint32_t a; }; in it. */
#include <stddef.h>
#include <stdint.h>
#define MANY 3 /* of them */
#define LAST 0xFFFFFFFEu
enum { ONE = 1, TWO, NINE = 9, TEN };
struct small {
    uint8_t byte; /* padded behind */
    uint64_t long_one, other;
};
typedef int (*call_fn)(void *);
struct large {
    uint16_t half;
    struct small smalls[ONE + TWO];
    const struct small *at;
    call_fn call;
    int32_t numbers[MANY], last;
};
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shared.h"
    path.write_text(HEADER)
    return path


def compiles(text: str, folder: Path) -> bool:
    out = str(folder / "checked.o")
    command = [sys.executable, "-m", "ziglang", "cc", "-std=c11", "-I", str(folder), "-c", "-x", "c", "-", "-o", out]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0


def test_constants_are_numbers_that_follow_each_other(path: Path) -> None:
    expected = {"MANY": 3, "LAST": 0xFFFF_FFFE, "ONE": 1, "TWO": 2, "NINE": 9, "TEN": 10}
    assert Header(path).constants == expected


def test_fields_have_their_types_and_counts(path: Path) -> None:
    large = Header(path).structs["large"]
    assert [name for name, *_ in large._fields_] == ["half", "smalls", "at", "call", "numbers", "last"]
    assert (large.smalls.size, large.numbers.size) == (3 * 24, 12)
    assert large.at.size == large.call.size == ctypes.sizeof(ctypes.c_void_p)


def test_the_compiler_agrees_with_every_field_and_with_no_other_place(path: Path) -> None:
    assertions = Header(path).assertions()
    assert assertions.count("offsetof") == 9
    include = '#include "shared.h"\n'
    assert compiles(include + assertions, path.parent)
    for place in ("long_one) == 8", "smalls) == 8", "last) == 108"):
        assert place in assertions
        assert not compiles(include + assertions.replace(place, place[:-1] + "4"), path.parent)


def test_another_header_has_another_digest_and_line_ends_have_none(path: Path) -> None:
    before = Header(path).digest
    path.write_bytes(HEADER.replace("\n", "\r\n").encode())
    assert Header(path).digest == before
    path.write_text(HEADER.replace("other", "others"))
    assert Header(path).digest != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("struct a {\n    float x;\n};\n", "no such type: float"),
        ("struct a {\n    struct b x;\n};\n", "no such type: struct b"),
        ("struct a {\n    uint8_t x[MORE];\n};\n", "not a number: MORE"),
        ("struct a {\n    uint32_t x : 3;\n};\n", "not a field: uint32_t x : 3"),
    ],
)
def test_what_is_not_understood_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(HeaderError, match=message):
        Header(path)
