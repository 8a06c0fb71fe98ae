"""The language of Renode platform descriptions, construct by construct, and what is said of each error."""

from __future__ import annotations

import os
import pickle
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import PlatformError
from orchestrator.platform.repl import _parser, parse_repl
from orchestrator.platform.syntax import (
    EMPTY,
    Dictionary,
    Entry,
    Enumeration,
    Inline,
    IrqAttribute,
    ListValue,
    Literal,
    Property,
    Range,
    Reference,
    Statements,
)


def entries(text: str) -> tuple[Entry, ...]:
    return parse_repl(text, "t.repl").entries


def entry(text: str) -> Entry:
    (only,) = entries(text)
    return only


def value(text: str) -> object:
    attribute = entry(f"a: T\n    x: {text}").attributes[0]
    assert isinstance(attribute, Property)
    return attribute.value


def irq(text: str) -> IrqAttribute:
    attribute = entry(f"a: T\n    {text}").attributes[0]
    assert isinstance(attribute, IrqAttribute)
    return attribute


def wiring(text: str) -> tuple[tuple[str, ...], list[tuple[str, int | None, tuple[int, ...]]]]:
    found = irq(text)
    return found.outputs, [(each.target.name, each.local, each.inputs) for each in found.destinations]


def failure(text: str) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        parse_repl(text, "t.repl")
    return caught.value


@pytest.mark.parametrize("text", ["", "\n\n", "// nothing\n", "/* nothing\n at all */\n", "\ufeff// a mark first\n"])
def test_a_file_without_entries_is_an_empty_description(text):
    assert entries(text) == ()


def test_an_entry_has_name_type_place_and_alias():
    found = entry('uart: UART.X @ sysbus 0x4000_4800 as "console"')
    assert (found.name, found.type, found.alias, found.local) == ("uart", "UART.X", "console", False)
    assert found.registrations is not None
    assert found.registrations[0].register.name == "sysbus"
    assert found.registrations[0].point.value == 0x40004800  # type: ignore[union-attr]


def test_an_entry_may_be_local_unregistered_or_without_a_type():
    local, unregistered, changed = entries("local a: T\nb: T @ none\nc:\n    x: 1")
    assert local.local
    assert local.registrations is None
    assert unregistered.registrations == ()
    assert changed.type is None


def test_using_takes_a_path_and_a_prefix():
    found = parse_repl('using "a.repl"\nusing "b.repl" prefixed "p_"\n\na: T', "t.repl")
    assert [(each.path, each.prefix) for each in found.usings] == [("a.repl", ""), ("b.repl", "p_")]
    assert [each.name for each in found.entries] == ["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-12", -12),
        ("0x1F", 31),
        ("-0x1", -1),
        ("480_000_000", 480_000_000),
        ("0x0800_0000", 0x08000000),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("true", True),
        ("False", False),
        ("none", None),
        ('"text"', "text"),
        (r'"a \"b\" \\"', 'a "b" \\'),
        ('"{ // not a comment"', "{ // not a comment"),
        ("'''one\n  two\n'''", "one\n  two\n"),
        (r"'''it's \''' here'''", "it's ''' here"),
    ],
)
def test_a_literal_is_read_as_its_value(text, expected):
    found = value(text)
    assert isinstance(found, Literal)
    assert found.value == expected
    assert type(found.value) is type(expected)


def test_a_number_wider_than_a_float_keeps_every_digit():
    found = value("0xFFFF_FFFF_FFFF_FFFF")
    assert isinstance(found, Literal)
    assert found.value == (1 << 64) - 1


def test_other_values_are_references_enumerations_ranges_lists_and_dictionaries():
    assert isinstance(value("other"), Reference)
    assert value("empty") is EMPTY
    assert [value(text).name for text in ("A.B.C", ".B")] == ["A.B.C", ".B"]  # type: ignore[attr-defined]
    assert isinstance(value("A.B"), Enumeration)
    ranges = [value("<0x10, 0x20>"), value("<0x10, +0x20>")]
    assert [(each.start, each.end) for each in ranges if isinstance(each, Range)] == [(0x10, 0x20), (0x10, 0x30)]
    listed = value('[1, "a", b, [2],]')
    assert isinstance(listed, ListValue)
    assert len(listed.items) == 4
    pairs = value('{ 1: "one"; A.B: two }')
    assert isinstance(pairs, Dictionary)
    assert len(pairs.items) == 2


def test_an_inline_object_has_attributes_in_braces_over_several_lines():
    found = entry("a: T @ sysbus new Bus.BusPointRegistration {\n        address: 0x10;\n  cpu: cpu0\n    }\n    x: 1")
    assert found.registrations is not None
    point = found.registrations[0].point
    assert isinstance(point, Inline)
    assert [each.name for each in point.attributes if isinstance(each, Property)] == ["address", "cpu"]
    assert len(found.attributes) == 1


def test_registrations_may_be_a_list():
    found = entry("a: T @ {\n        sysbus 0x10;\n        sysbus <0x20, +0x10>;\n        i2c\n    }")
    assert found.registrations is not None
    assert [each.register.name for each in found.registrations] == ["sysbus", "sysbus", "i2c"]
    assert found.registrations[2].point is None


def test_attributes_may_stand_in_braces_on_one_line():
    assert len(entry("a: T @ sysbus <0, +4> { x: 1; IRQ -> b@2 }").attributes) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-> n@1", (("",), [("n", None, (1,))])),
        ("->n@0x10", (("",), [("n", None, (16,))])),
        ("IRQ -> a@1 | b@2", (("IRQ",), [("a", None, (1,)), ("b", None, (2,))])),
        ("3 -> n@07", (("3",), [("n", None, (7,))])),
        ("[0-3] -> n@[1-4]", (("0", "1", "2", "3"), [("n", None, (1, 2, 3, 4))])),
        ("[0-1, 5] -> n@[9, 7-6]", (("0", "1", "5"), [("n", None, (9, 7, 6))])),
        ("[A, B] -> n@[1, 2] | m@[3-4]", (("A", "B"), [("n", None, (1, 2)), ("m", None, (3, 4))])),
        ("-> x#1@2", (("",), [("x", 1, (2,))])),
        ("0 -> p#07@01 | p#8@1", (("0",), [("p", 7, (1,)), ("p", 8, (1,))])),
        ("IRQ -> none", (("IRQ",), [])),
    ],
)
def test_interrupts_are_wired_output_by_output(text, expected):
    assert wiring(text) == expected


def statements(text: str) -> list[tuple[str, bool, list[str]]]:
    return [
        (each.when, each.adds, [line for line, _ in each.statements])
        for each in entry(text).attributes
        if isinstance(each, Statements)
    ]


def test_statements_for_the_monitor_are_kept_as_text():
    text = (
        "sysbus:\n"
        "    init:\n"
        '        Tag <0x10, 0x1F> "A {;} // b" 0x1 // a comment\n'
        "\n"
        "        // a comment of its own\n"
        "        ApplySVD @http://x/y\n"
        "    x: 1\n"
        "b: T\n"
    )
    first, second = entries(text)
    (init,) = [each for each in first.attributes if isinstance(each, Statements)]
    assert [line for line, _ in init.statements] == ['Tag <0x10, 0x1F> "A {;} // b" 0x1', "ApplySVD @http://x/y"]
    assert [(at.line, at.column) for _, at in init.statements] == [(3, 9), (6, 9)]
    assert second.name == "b"


def test_statements_may_be_added_and_stand_in_braces():
    assert statements("a:\n    init add: { One 1; Two 2 }") == [("init", True, ["One 1", "Two 2"])]
    assert statements("a:\n    preinit:\n        One\n    reset:\n        Two") == [
        ("preinit", False, ["One"]),
        ("reset", False, ["Two"]),
    ]


def test_comments_end_nothing_and_hide_nothing():
    text = "a: T // one\n    // two\n    x: 1 /* three */\n/* four\n   five */\n    y: 2\n"
    assert [each.name for each in entry(text).attributes if isinstance(each, Property)] == ["x", "y"]


def test_carriage_returns_change_nothing():
    assert entries("a: T\r\n    x: 1\r\nb: U\r\n") == entries("a: T\n    x: 1\nb: U\n")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: T\n   x: 1", 2, 4, "an indent of 3 spaces"),
        ("a: T\n        x: 1", 2, 9, "an indent of 2 levels at once"),
        ("    a: T", 1, 5, "the first line is indented"),
        ("a: T\n\tx: 1", 2, 1, "a tab in the indent"),
        ('a: T\n    x: "open', 2, 8, "a string that never ends"),
        ('a: T\n    x: "a\\n"', 2, 10, "a backslash in a string"),
        ("a: T\n    x: '''open\n\n", 2, 8, "a ''' string that never ends"),
        ("a: T\n    x: '''one\n tw\\o'''", 3, 4, "a backslash in a ''' string"),
        ("a: T\n    x: 1// no", 2, 9, "'//' after something other than a space"),
        ("a: T\n/* open", 2, 1, "a comment that never ends"),
        ("a: T\n    /* one */ x: 1", 2, 5, "text after a comment"),
        ("a: T }", 1, 6, "'}' without '{'"),
        ("a: T\n    x: $", 2, 8, "unexpected character '$'"),
        ("a: T\n    x 1", 2, 7, "expected '->' | ':', found '1'"),
        ("a T", 1, 3, "expected ':', found 'T'"),
        ("a: T\n    x: <1, >", 2, 12, "found '>'"),
        ("a: T\n    x: <4, 2>", 2, 8, "a range that ends before it starts"),
        ("a: T\n    [0-2] -> n@[1-2]", 2, 14, "n: inputs do not match the outputs: expected 3, found 2"),
        ("a: T\n    A | B -> n@1", 2, 7, "write a line for each"),
        ("a: T\n    0-99999 -> n@1", 2, 6, "a range of interrupts too long"),
        ("a: T\n    init sub: { x }", 2, 10, "expected add, found sub"),
        ("a: T\n    init:\nb: T", 3, 1, "no statements"),
        ("a: T\n    init: { x", 2, 14, "statements without a closing '}'"),
        ('using "a" as "b"', 1, 11, "found 'as'"),
        ('using "a" with "b"', 1, 11, "expected prefixed, found with"),
        ("a: T @ sysbus new X { y: 1", 1, 27, "found the end of the file"),
    ],
)
def test_an_error_names_line_and_column_and_what_may_stand_there(text, line, column, message):
    error = failure(text)
    assert message in str(error)
    assert (error.line, error.column) == (line, column), str(error)
    assert str(error).startswith(f"t.repl:{line}:{column}: ")


PIECES = [
    "a",
    "T",
    ":",
    "@",
    "sysbus",
    "0x10",
    "\n",
    "    ",
    "{",
    "}",
    "[",
    "]",
    "->",
    "|",
    "-",
    "1",
    '"',
    "'''",
    "init:",
]


@given(st.lists(st.sampled_from([*PIECES, "/*", "*/", " //", "\\", ";", ",", "<", ">", "new", "#", " "]), max_size=30))
def test_any_text_parses_or_is_a_platform_error_inside_the_file(pieces):
    text = "".join(pieces)
    error = None
    try:
        parse_repl(text, "t.repl")
    except PlatformError as caught:
        error = caught
    assert error is None or (error.line is not None and 1 <= error.line <= text.count("\n") + 1)


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _parser.cache_clear()
    yield tmp_path
    _parser.cache_clear()


def test_the_grammars_tables_are_kept_and_give_the_same_tree(cache_folder):
    first = entries("a: T @ sysbus 1\n    -> b@2\n")
    assert (cache_folder / "rptwin" / "repl-grammar").exists()
    _parser.cache_clear()
    assert entries("a: T @ sysbus 1\n    -> b@2\n") == first
    assert failure("a T").column == 3


def test_damaged_tables_are_built_anew(cache_folder):
    entries("a: T\n")
    tables = cache_folder / "rptwin" / "repl-grammar"
    tables.write_bytes(tables.read_bytes()[:200])
    _parser.cache_clear()
    assert entry("a: T\n").name == "a"


def test_without_a_place_for_the_tables_parsing_works(cache_folder):
    (cache_folder / "rptwin").write_text("a file where a folder should be")
    assert entry("a: T\n").name == "a"


class Planted:
    """A pickle that does something when it is read."""

    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_tables_that_others_could_have_written_are_never_read(cache_folder, capsys, mode):
    """They are a pickle, and reading one is running it."""
    entries("a: T\n")
    folder = cache_folder / "rptwin"
    tables = folder / "repl-grammar"
    digest = tables.read_bytes().split(b"\n", 1)[0]
    tables.write_bytes(digest + b"\n" + pickle.dumps(Planted()))
    _parser.cache_clear()
    entries("a: T\n")
    assert capsys.readouterr().out == "ran\n"  # which shows that the plant works
    tables.write_bytes(digest + b"\n" + pickle.dumps(Planted()))
    folder.chmod(mode)
    _parser.cache_clear()
    assert entry("a: T\n").name == "a"
    assert capsys.readouterr().out == ""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_of_somebody_else_holds_no_tables(cache_folder, monkeypatch):
    (cache_folder / "rptwin").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert entry("a: T\n").name == "a"
    assert list((cache_folder / "rptwin").iterdir()) == []
