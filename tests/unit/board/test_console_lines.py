"""What consoles say, in the order of virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.console_output import ConsoleOutput, Fresh, LineStart
from orchestrator.board import ConsoleLine, LineReader, in_order, merged_lines


class Clocked:
    """A console and a clock that a test moves by hand."""

    def __init__(self, name: str = "main", size: int = 1 << 20) -> None:
        self.name = name
        self.time_ns = 0
        self.received = ConsoleOutput(size, lambda: self.time_ns)

    def say(self, time_ns: int, text: str) -> None:
        self.time_ns = time_ns
        for byte in text.encode():
            self.received.append(byte)

    @property
    def output(self) -> bytes:
        return self.received.whole()

    @property
    def total(self) -> int:
        return len(self.received)

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        return self.received.starts

    def since(self, position: int) -> Fresh:
        return self.received.since(position)

    def write(self, data: bytes) -> None: ...


def lines(console: Clocked) -> list[tuple[int | None, str]]:
    return [(each.time_ns, each.text) for each in LineReader("main", console).take(unfinished=True)]


def test_a_line_has_the_time_of_its_first_byte() -> None:
    console = Clocked()
    console.say(10, "one\r\ntw")
    console.say(20, "o\r\n")
    console.say(30, "main> ")
    assert lines(console) == [(10, "one"), (10, "two"), (30, "main> ")]


def test_bytes_that_come_at_once_have_one_time() -> None:
    console = Clocked()
    console.say(5, "a")
    console.time_ns = 7
    console.received.extend(b"b\nc\n\nd")
    assert lines(console) == [(5, "ab"), (7, "c"), (7, ""), (7, "d")]


def test_consoles_are_merged_by_time_and_those_of_one_keep_their_order() -> None:
    main, remote = Clocked(), Clocked("remote")
    remote.say(1, "up\n")
    main.say(2, "hello\n")
    remote.say(3, "there\n")
    merged = merged_lines({"main": main, "remote": remote})
    assert [(each.console, each.text) for each in merged] == [("remote", "up"), ("main", "hello"), ("remote", "there")]


def test_a_line_without_a_time_stands_behind_the_one_before_it() -> None:
    found = in_order(
        [ConsoleLine(5, "a", "1"), ConsoleLine(None, "a", "2"), ConsoleLine(4, "b", "x"), ConsoleLine(6, "b", "y")]
    )
    assert [each.text for each in found] == ["x", "1", "2", "y"]


def test_what_is_read_in_pieces_is_what_is_read_at_once() -> None:
    console = Clocked()
    reader = LineReader("main", console)
    console.say(1, "one\ntw")
    assert [(each.time_ns, each.text) for each in reader.take()] == [(1, "one")]
    console.say(2, "o\n")
    assert [(each.time_ns, each.text) for each in reader.take()] == [(1, "two")]
    assert reader.take(unfinished=True) == []


def test_what_was_left_out_is_counted_and_the_times_behind_it_are_right() -> None:
    console = Clocked(size=64)
    for number in range(40):
        console.say(number, f"{number:07}\n")
    found = lines(console)
    assert found[0] == (0, "0000000")
    assert any(text.startswith("[... ") and time_ns is None for time_ns, text in found)
    assert found[-1] == (39, "0000039")


def test_rounds_that_were_skipped_have_no_times_and_what_comes_behind_has() -> None:
    console = Clocked()
    console.say(1, "a\n")
    mark = console.total
    console.say(2, "b\n")
    console.received.repeat(mark, 2)
    console.say(9, "c\n")
    assert lines(console) == [(1, "a"), (2, "b"), (None, "b"), (None, "b"), (9, "c")]


def test_what_never_was_has_no_times_either() -> None:
    console = Clocked()
    console.say(1, "a\nb\n")
    before = console.received.save()
    console.say(2, "c\n")
    console.received.load(before)
    console.say(3, "d\n")
    assert lines(console) == [(1, "a"), (1, "b"), (3, "d")]
    console.time_ns = 4
    console.received.go_on(2, 0, b"x\ny")
    assert lines(console) == [(1, "a"), (4, "x"), (4, "y")]


@given(st.lists(st.tuples(st.integers(0, 1000), st.text("ab\n", max_size=6)), max_size=8))
def test_times_never_go_back_in_one_console(said: list[tuple[int, str]]) -> None:
    console = Clocked()
    for time_ns, text in sorted(said, key=lambda each: each[0]):
        console.say(time_ns, text)
    found = [time_ns for time_ns, _ in lines(console)]
    assert None not in found
    assert found == sorted(found, key=int)
    assert "\n".join(text for _, text in lines(console)) == console.output.decode().removesuffix("\n")
