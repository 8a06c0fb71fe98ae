from __future__ import annotations

import errno
from io import StringIO

import pytest

from orchestrator.report.terminal import PLAIN_WIDTH, address, make_console, make_table, rendered


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def styled(file: StringIO) -> str:
    return rendered(make_console(file), lambda console: console.print("vdev[0]", style="bold red"))


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" in styled(Terminal())
    assert styled(StringIO()) == "vdev[0]\n"


def test_no_color_is_heeded_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in styled(Terminal())


def test_a_table_keeps_its_columns_and_no_blanks_at_the_end_of_a_line() -> None:
    table = make_table("vring", "bytes", "what", right=("bytes",))
    table.add_row("vdev[0].vring[0]", "7", "long " * 40)
    table.add_row("x", "12345", "")
    lines = rendered(make_console(StringIO()), lambda console: console.print(table)).splitlines()
    assert lines[0] == " vring              bytes   what"
    assert all(len(line) <= PLAIN_WIDTH and line == line.rstrip() for line in lines)
    assert lines[-1] == " x                  12345"


def test_an_address_is_in_eight_digits_and_a_missing_one_is_said() -> None:
    assert (address(0x10), address(None)) == ("0x00000010", "nowhere")


def test_a_reader_that_goes_away_is_an_error_and_no_exit_code_of_its_own() -> None:
    with pytest.raises(BrokenPipeError) as caught:
        make_console(StringIO()).on_broken_pipe()
    assert caught.value.errno == errno.EPIPE
