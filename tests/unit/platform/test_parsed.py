"""A description that was kept is the one that the parser would have made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.base.errors import PlatformError
from orchestrator.platform import load_platform
from orchestrator.platform.parsed import _node, _plain, description_of
from orchestrator.platform.repl import parse_repl

DESCRIPTIONS = sorted((Path(__file__).resolve().parents[3] / "platforms").rglob("*.repl"))

EVERYTHING = """\
using "base.repl"
using "more.repl" prefixed "more_"

a: T.U @ { sysbus <0x1000, +0x10>; sysbus 0x2000 } as "other"
    number: -0x10
    real: 1.5
    text: "a \\" b"
    truth: true
    nothing: none
    default: empty
    enumeration: E.Value
    short: .Value
    reference: b
    inline: new V { x: 1; y: [1, 2, "c"] }
    dictionary: { 1: 2; "a": b }
    [0-2, 5] -> b#3@[7-9, 1]
    -> none
    init add:
        Tag <0x0, 0x3> "NAME"
local b: T @ none
c:
    preinit:
        one
        two
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rptwin"


@pytest.mark.parametrize("path", DESCRIPTIONS, ids=lambda path: path.name)
def test_a_description_comes_back_as_it_was_parsed(path):
    text = path.read_text(encoding="utf-8-sig")
    parsed = parse_repl(text, path.name)
    assert description_of(text, path.name) == parsed
    again = description_of(text, path.name)
    assert again == parsed
    assert repr(again) == repr(parsed)


def test_every_kind_of_node_comes_back():
    parsed = parse_repl(EVERYTHING, "t.repl")
    assert repr(_node(_plain(parsed))) == repr(parsed)
    assert _node(_plain(parsed)) == parsed


def test_a_text_is_not_taken_for_that_of_another_file():
    assert description_of("a: T\n", "one.repl").entries[0].source.file == "one.repl"
    assert description_of("a: T\n", "two.repl").entries[0].source.file == "two.repl"


def test_an_error_is_said_each_time():
    for _ in range(2):
        with pytest.raises(PlatformError, match="syntax error"):
            description_of("a T", "t.repl")


def test_the_second_board_needs_no_grammar(folder):
    text = (
        "import sys; from orchestrator.platform import load_platform; load_platform('stm32h745');"
        "print('lark' in sys.modules)"
    )
    said = [
        subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout for _ in "12"
    ]
    assert said == ["True\n", "False\n"]


def test_a_platform_is_the_same_with_and_without_what_is_kept(folder):
    first = load_platform("stm32h745")
    assert list(folder.glob("tree-*"))
    assert load_platform("stm32h745") == first
    for each in folder.glob("tree-*"):
        each.write_bytes(b"broken")
    assert load_platform("stm32h745") == first
