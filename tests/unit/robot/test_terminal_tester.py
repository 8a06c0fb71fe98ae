"""The terminal tester against a cable in the test's hands: what the guest will send, and when."""

from __future__ import annotations

import pytest

from orchestrator.base.console_output import Fresh
from orchestrator.robot.terminal import LineEnd, TerminalMatch, TerminalTester
from orchestrator.robot.tester import TerminalError

MS = 1_000_000


class ScriptedCable:
    """A guest that sends each text at its millisecond."""

    def __init__(self, *script: tuple[int, str | bytes], dies_at: int | None = None) -> None:
        self._script = [(at * MS, text.encode() if isinstance(text, str) else text) for at, text in script]
        self._dies_ns = None if dies_at is None else dies_at * MS
        self.time_ns = 0
        self.written = b""

    @property
    def output(self) -> bytes:
        return b"".join(text for at, text in self._script if at <= self.time_ns)

    def since(self, position: int) -> Fresh:
        return Fresh(0, self.output[position:])

    def write(self, data: bytes) -> None:
        self.written += data

    def advance(self, limit_ns: int) -> bool:
        end = self.time_ns + limit_ns
        self.time_ns = min([at for at, _ in self._script if self.time_ns < at <= end], default=end)
        return self._dies_ns is None or self.time_ns < self._dies_ns


def attached(*script: tuple[int, str | bytes], dies_at: int | None = None) -> TerminalTester:
    return TerminalTester("usart3", ScriptedCable(*script, dies_at=dies_at), 100 * MS)


def test_a_line_that_comes_in_pieces_is_found_when_it_is_whole() -> None:
    found = attached((1, "boot: tab"), (5, "le found\r\n")).wait_for("table found")
    assert found == TerminalMatch("boot: table found", 5.0)


def test_waiting_spends_no_more_virtual_time_than_it_needs() -> None:
    cable = ScriptedCable((3, "up\n"))
    TerminalTester("usart3", cable, 100 * MS).wait_for("up")
    assert cable.time_ns == 3 * MS


def test_a_match_uses_up_the_lines_before_it() -> None:
    terminal = attached((0, "one\ntwo\nthree\n"))
    terminal.wait_for("two")
    with pytest.raises(TerminalError, match="'one' did not come"):
        terminal.wait_for("one", timeout_ns=MS)
    assert terminal.wait_for("three").Line == "three"


def test_a_line_without_its_end_is_no_line() -> None:
    with pytest.raises(TerminalError, match=r"rptwin>  \[no line end\]"):
        attached((0, "rptwin> ")).wait_for("rptwin>")


def test_a_prompt_is_found_without_a_line_end_and_what_follows_it_stays() -> None:
    terminal = attached((0, "hello\nrptwin> sta"), (1, "tus\n"))
    assert terminal.wait_for("rptwin> ", unfinished=True).Line == "rptwin> "
    assert terminal.next_line().Line == "status"


def test_a_failure_shows_everything_that_was_seen_with_its_time() -> None:
    with pytest.raises(TerminalError) as failure:
        attached((2, "first\n"), (4, "second\n")).wait_for("third")
    assert str(failure.value) == (
        "usart3: a line with 'third' did not come within 0.1 s (virtual); seen:\n"
        "[       2.000 ms] first\n[       4.000 ms] second"
    )


def test_a_silent_uart_is_said_to_be_silent() -> None:
    with pytest.raises(TerminalError, match=r"seen:\n\(nothing was received\)"):
        attached().wait_for("x")


def test_a_dead_board_ends_the_wait_at_once_and_is_named() -> None:
    with pytest.raises(TerminalError, match="and no core can run any more"):
        attached(dies_at=2).wait_for("x", timeout_ns=10**15)


def test_a_regular_expression_gives_its_groups() -> None:
    found = attached((0, "ping 7: 64 bytes\n")).wait_for(r"ping (\d+): (\d+)", regex=True)
    assert found.Groups == ("7", "64")


def test_text_is_not_taken_for_a_regular_expression() -> None:
    assert attached((0, "a+b\n")).wait_for("a+b").Line == "a+b"


def test_next_line_has_to_be_the_very_next() -> None:
    with pytest.raises(TerminalError):
        attached((0, "one\ntwo\n")).wait_for("two", next_line=True)


def test_a_line_that_must_not_come_is_named_with_its_time() -> None:
    with pytest.raises(TerminalError, match=r"'fault' came at 7\.000 ms: hard fault"):
        attached((7, "hard fault\n")).refuse("fault")


def test_refusing_passes_when_the_time_is_over() -> None:
    attached((7, "hard fault\n")).refuse("fault", timeout_ns=5 * MS)


def test_a_forbidden_line_fails_a_wait_for_another() -> None:
    terminal = attached((1, "panic: x\n"), (2, "up\n"))
    terminal.forbid("panic", False)
    with pytest.raises(TerminalError, match="'panic' must not come, and did: panic: x"):
        terminal.wait_for("up")


def test_an_allowed_line_is_forbidden_no_longer() -> None:
    terminal = attached((1, "panic: x\n"), (2, "up\n"))
    terminal.forbid("panic", False)
    terminal.allow("panic", False)
    assert terminal.wait_for("up").Line == "up"


def test_a_string_that_was_not_forbidden_cannot_be_allowed() -> None:
    with pytest.raises(TerminalError, match="'panic' was not registered as failing"):
        attached().allow("panic", False)


def test_lines_have_to_follow_one_another_and_the_last_is_the_result() -> None:
    terminal = attached((1, "one\ntwo\none\n"), (2, "three 7\nfour\n"))
    assert terminal.wait_for_lines(["one", r"three (\d)"], regex=True) == TerminalMatch("three 7", 2.0, ("7",))
    assert terminal.next_line().Line == "four"


def test_lines_with_another_between_them_are_not_found() -> None:
    with pytest.raises(TerminalError, match="lines with 'one', 'three' one after the other did not come"):
        attached((1, "one\ntwo\nthree\n")).wait_for_lines(["one", "three"])


def test_lines_from_the_next_one_on_may_not_begin_later() -> None:
    with pytest.raises(TerminalError):
        attached((1, "zero\none\ntwo\n")).wait_for_lines(["one", "two"], next_line=True)


@pytest.mark.parametrize("patterns", [["one", "prompt>"], ["prompt>"]])
def test_the_last_of_several_lines_may_be_unfinished_where_that_is_asked_for(patterns: list[str]) -> None:
    assert attached((1, "one\nprompt> ")).wait_for_lines(patterns, unfinished=True).Line == "prompt>"
    with pytest.raises(TerminalError):
        attached((1, "one\nprompt> ")).wait_for_lines(patterns)


def test_no_lines_at_all_are_found_at_once() -> None:
    assert attached().wait_for_lines([]) == TerminalMatch("", 0.0)


def test_a_prompt_that_has_to_be_next_begins_the_line() -> None:
    with pytest.raises(TerminalError):
        attached((0, "old > ")).wait_for("> ", unfinished=True, next_line=True)


def test_colours_are_no_part_of_a_line_even_when_they_come_in_pieces() -> None:
    terminal = attached((1, "\x1b[1;32mgr"), (2, "een\x1b["), (3, "0m text\n"))
    assert terminal.wait_for("green").Line == "green text"


def test_a_carriage_return_ends_a_line_where_that_is_asked_for() -> None:
    cable = ScriptedCable((1, "one\r\ntwo\r"))
    terminal = TerminalTester("usart3", cable, MS * 100, LineEnd.TreatCarriageReturnAsEndLine)
    assert [terminal.next_line().Line, terminal.next_line().Line] == ["one", "two"]


def test_silence_is_broken_by_a_single_byte() -> None:
    with pytest.raises(TerminalError, match="not idle"):
        attached((3, ".")).expect_silence(5 * MS)


def test_silence_that_lasts_passes() -> None:
    attached((9, ".")).expect_silence(5 * MS)


def test_a_line_is_sent_with_a_carriage_return() -> None:
    cable = ScriptedCable()
    TerminalTester("usart3", cable, MS).write_line("ping 3 16")
    assert cable.written == b"ping 3 16\r"


def test_a_character_whose_bytes_come_apart_is_one_character() -> None:
    assert attached((1, b"21 \xc2"), (2, b"\xb5s\n")).wait_for("21").Line == "21 µs"


def test_bytes_that_are_no_text_are_shown_as_numbers() -> None:
    assert attached((0, b"\xff\xfe!\n")).wait_for("!").Line == r"\xff\xfe!"


def test_clearing_forgets_lines_that_were_not_waited_for() -> None:
    terminal = attached((0, "old\n"))
    terminal.clear()
    assert terminal.report() == "(nothing was received)"
