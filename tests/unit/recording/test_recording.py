"""What two recordings may differ in, and how the first difference reads: from two equal ones, one field is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import UsageError
from orchestrator.cli import main
from orchestrator.recording import compile_masks, first_difference, load_recording, parse_recording

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "demo-unicorn" / "recording.json"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def compare(tmp_path: Path) -> Callable[[Change], str | None]:
    values = json.loads(GOLDEN.read_text())

    def changed(change: Change) -> str | None:
        other = copy.deepcopy(values)
        change(other)
        path = tmp_path / "b.json"
        path.write_text(json.dumps(other))
        return first_difference(load_recording(GOLDEN), load_recording(path))

    return changed


def console(old: str, new: str) -> Change:
    def change(values: dict[str, Any]) -> None:
        consoles = values["compared"]["consoles"]
        assert old in consoles["usart3"]
        consoles["usart3"] = consoles["usart3"].replace(old, new)

    return change


def put(value: object, *path: str | int) -> Change:
    def change(values: dict[str, Any]) -> None:
        at: Any = values
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


TX = ("compared", "queues", "vdev[0].vring[1]")
MESSAGES = "vdev[0] from main to 1024"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (console("10 good", "9 good"), "usart3, line 7: A has 'vdev 0: 10 pings: 10 good"),
        (put(9, *TX, "avail.idx"), "vdev[0].vring[1] avail.idx: A has 10, B has 9"),
        (put(9, *TX, "used.idx"), "vdev[0].vring[1] used.idx: A has 10, B has 9"),
        (put({}, *TX, "buffers"), "vdev[0].vring[1], buffer at 0x"),
        (put("1 bytes from 7: 00", "compared", "messages", MESSAGES, 1), f"{MESSAGES}, message 2: A has 4 bytes"),
        (put([], "compared", "messages", MESSAGES), f"{MESSAGES}, message 1: A has 1 bytes from 1024: "),
        (put("02", "compared", "table", "remote"), "table as remote sees it, bytes: A has 272, B has 1"),
        (put(["error x.y vdev[0]"], "compared", "findings"), "finding: only B has error x.y vdev[0]"),
        (put(["main"], "compared", "lost_notifications"), "lost notification: only B has main"),
        (put("nrf5340", "platform"), "platform: A has stm32h745, B has nrf5340"),
        (put("0", "images", "main", "sha256"), "main's image: A has name main.elf, sha256 "),
        (put(False, "at_rest"), "B was not recorded at rest: ended quiet"),
        (put(3, "recorded", "messages_missed"), "B lacks 3 messages"),
    ],
)
def test_a_difference_is_said_in_words(compare: Callable[[Change], str | None], change: Change, words: str) -> None:
    difference = compare(change)
    assert difference is not None
    assert difference.startswith(words)


def test_one_byte_of_the_table_is_named_with_its_place(compare: Callable[[Change], str | None]) -> None:
    def change(values: dict[str, Any]) -> None:
        table = values["compared"]["table"]["main"]
        values["compared"]["table"]["main"] = table[:8] + "ff" + table[10:]

    assert compare(change) == "table as main sees it, byte 0x4: A has 03, B has ff"


@pytest.mark.parametrize(
    "change",
    [
        put("renode", "recorded", "engine"),
        put(5_000, "recorded", "quantum_ns"),
        put([], "recorded", "notifications"),
        put({}, "recorded", "instructions"),
        put(1, "recorded", "time_ns"),
        put({"5 us": "something"}, "quanta"),
    ],
)
def test_what_interleaving_decides_is_not_compared(compare: Callable[[Change], str | None], change: Change) -> None:
    assert compare(change) is None


def test_printed_times_of_a_recording_of_version_1_are_masked_when_it_is_read(tmp_path: Path) -> None:
    values = json.loads(GOLDEN.read_text())
    assert values["version"] == 1
    for number, name in enumerate(("a.json", "b.json")):
        console("10 pings", f"[  0.1{number}] 10 pings")(values)
        (tmp_path / name).write_text(json.dumps(values))
        values = json.loads(GOLDEN.read_text())
    assert first_difference(load_recording(tmp_path / "a.json"), load_recording(tmp_path / "b.json")) is None
    assert first_difference(load_recording(tmp_path / "a.json"), load_recording(GOLDEN)) is not None


def test_recordings_that_were_masked_differently_are_not_compared(
    compare: Callable[[Change], str | None],
) -> None:
    def change(values: dict[str, Any]) -> None:
        values["version"] = 2
        values["masks"].append("1[01] pings")

    difference = compare(change)
    assert difference is not None
    assert difference.startswith('masks of consoles (--mask): A has ["\\\\[ *')


@pytest.mark.parametrize("version", [1, 2])
def test_a_pattern_of_a_file_is_never_searched_with(tmp_path: Path, version: int) -> None:
    """Python's engine needs longer than the sun has for this one (attack, struct/redos.json)."""
    values = json.loads(GOLDEN.read_text())
    values["version"] = version
    values["masks"] = ["(a|a|a|a|a|a)*$b"]
    values["compared"]["consoles"]["usart1"] = "a" * 60 + "\n"
    (tmp_path / "x.json").write_text(json.dumps(values))
    result = CliRunner().invoke(main, ["compare", str(tmp_path / "x.json"), str(GOLDEN)])
    assert (result.exit_code, result.exception.__class__) == ({1: 2, 2: 1}[version], SystemExit)
    assert "masks" in result.output


def test_masks_are_applied_when_a_recording_is_taken() -> None:
    assert compile_masks(())("at [ 1.25] up in 7 ms") == "at [time] up in 7 ms"
    assert compile_masks([r"[0-9]+ ms"])("at [ 1.25] up in 7 ms") == "at [time] up in [time]"
    with pytest.raises(UsageError, match=r"--mask: not a regular expression: found '\('"):
        compile_masks(["("])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a recording"),
        ('{"format": "rptwin recording", "version": 3}', "another version: expected 2, found 3"),
        ('{"format": "rptwin recording", "version": 1}', "not a recording: expected platform, images"),
    ],
)
def test_a_file_that_is_no_recording_is_exit_code_2(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    result = CliRunner().invoke(main, ["compare", str(GOLDEN), str(path)])
    assert result.exit_code == 2
    assert words in result.stderr
    result = CliRunner().invoke(main, ["compare", str(tmp_path / "none.json"), str(path)])
    assert "none.json: cannot be read (No such file" in result.stderr


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(["compared", "masks", "rest", "recorded", "images", "quanta", "at_rest", "platform"]),
    st.sampled_from(["", "consoles", "messages", "queues", "table", "findings", "lost_notifications"]),
    json_values,
)
def test_a_recording_with_anything_in_it_is_compared_or_refused(part: str, inner: str, value: object) -> None:
    values = json.loads(GOLDEN.read_text())
    if part == "compared" and inner:
        values[part][inner] = value
    else:
        values[part] = value
    try:
        other = parse_recording(json.dumps(values), "x.json")
    except UsageError:
        return
    first_difference(load_recording(GOLDEN), other)
