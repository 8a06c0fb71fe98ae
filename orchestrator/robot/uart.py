"""Keywords for UARTs: names and arguments are Renode's, so that a suite moves over with its keywords.

A board's time passes only inside keywords, so ``pauseEmulation`` is accepted and always so.
"""
# ruff: noqa: N803  # arguments are named as Renode's

from __future__ import annotations

from robot.api.deco import keyword

from orchestrator.base.console_output import Fresh
from orchestrator.board import Board, BoardConsole
from orchestrator.engines.contract import ConsoleText
from orchestrator.robot.binary import BinaryMatch, BinaryTester
from orchestrator.robot.suite import Suite, duration_ns
from orchestrator.robot.terminal import LineEnd, TerminalMatch, TerminalTester
from orchestrator.robot.tester import Tester

__all__ = ["UartKeywords"]

_TRACE_LOOK_NS = 1_000_000  # a trace buffer is memory: nothing tells when it grows


class _BoardCable:
    """One console of a board, and the board's time."""

    def __init__(self, board: Board, console: BoardConsole) -> None:
        self._board = board
        self._console = console

    def since(self, position: int) -> Fresh:
        return self._console.since(position)

    @property
    def time_ns(self) -> int:
        return self._board.time_ns

    def write(self, data: bytes) -> None:
        self._console.write(data)

    def advance(self, limit_ns: int) -> bool:
        if self._console.name in self._board.engine.consoles:
            anything = ConsoleText(self._console.name, r"[\s\S]", regex=True)
            end = self._board.run(until=anything, timeout=f"{limit_ns} ns", required=False)
        else:
            end = self._board.run_for(f"{min(limit_ns, _TRACE_LOOK_NS)} ns")
        return not (end.reason.is_dead_end or end.reason.is_cut)


class UartKeywords(Suite):
    """Terminal testers, as in Renode."""

    def __init__(self) -> None:
        super().__init__()
        self._default_timeout_ns = 8_000_000_000  # Renode's
        self._wait_for_echo = True
        self._match_next_line = False

    def _tester(self, tester_id: int | None) -> Tester:
        if tester_id is None:
            tester_id = self._default_tester
        if tester_id is None and len(self._testers) == 1:
            tester_id = 0
        if tester_id is None or not 0 <= tester_id < len(self._testers):
            known = ", ".join(f"{index} ({each.name})" for index, each in enumerate(self._testers)) or "none"
            asked = "no testerId was given" if tester_id is None else f"there is no tester {tester_id}"
            raise AssertionError(f"{asked}; testers: {known}")
        return self._testers[tester_id]

    def _terminal(self, tester_id: int | None) -> TerminalTester:
        tester = self._tester(tester_id)
        if not isinstance(tester, TerminalTester):
            raise AssertionError(f"{tester.name} has a tester of bytes, which knows no lines: use binaryMode=False")
        return tester

    @keyword
    def create_terminal_tester(
        self,
        uart: str,
        timeout: float | str | None = None,
        machine: str | None = None,
        endLineOption: str | None = None,
        defaultPauseEmulation: bool | None = None,
        defaultWaitForEcho: bool | None = None,
        defaultMatchNextLine: bool | None = None,
        binaryMode: bool = False,
    ) -> int:
        """Attaches a terminal to a UART and returns its id; a UART that has one keeps it.

        ``uart`` is its name (as in the platform, or ``sysbus.NAME``), a role (``main``, ``remote``) or
        ``remote.trace``. There is one machine. With ``binaryMode`` the tester is for `Wait For Bytes On Uart` and not
        for lines.
        """
        if machine is not None:
            raise AssertionError("machine is not supported by rptwin: a board is one machine")
        line_ends = [each.name for each in LineEnd]
        if endLineOption is not None and endLineOption not in line_ends:
            raise AssertionError(f"no such endLineOption: {endLineOption!r}; there are {' and '.join(line_ends)}")
        console = self._board().consoles[uart.removeprefix("sysbus.")]
        self._wait_for_echo = defaultWaitForEcho is not False
        self._match_next_line = bool(defaultMatchNextLine)
        names = [tester.name for tester in self._testers]
        if console.name in names:
            return names.index(console.name)
        limit_ns = self._default_timeout_ns if timeout is None else duration_ns(timeout, "timeout")
        cable = _BoardCable(self._board(), console)
        self._testers.append(
            BinaryTester(console.name, cable, limit_ns)
            if binaryMode
            else TerminalTester(console.name, cable, limit_ns, LineEnd[endLineOption or line_ends[0]])
        )
        return len(self._testers) - 1

    @keyword
    def set_default_uart_timeout(self, timeout: float | str) -> None:
        """Sets how long testers that are created from now on wait, in virtual seconds (8 at first)."""
        self._default_timeout_ns = duration_ns(timeout, "timeout")

    @keyword
    def set_default_tester(self, id: int | None) -> None:  # noqa: A002  # Renode's name
        """Sets the tester of keywords without ``testerId``; without it the only tester is meant."""
        if id is not None:
            self._tester(id)
        self._default_tester = id

    @keyword
    def get_terminal_tester_report(self, testerId: int | None = None) -> str:
        """Returns everything that was received, each line with its virtual time."""
        return self._tester(testerId).report()

    @keyword
    def clear_terminal_tester_report(self, testerId: int | None = None) -> None:
        """Forgets everything that was received."""
        self._tester(testerId).clear()

    @keyword
    def register_failing_uart_string(
        self, pattern: str, treatAsRegex: bool = False, testerId: int | None = None
    ) -> None:
        """From now on each wait fails as soon as a line has this."""
        self._terminal(testerId).forbid(pattern, treatAsRegex)

    @keyword
    def unregister_failing_uart_string(
        self, pattern: str, treatAsRegex: bool = False, testerId: int | None = None
    ) -> None:
        """Takes back `Register Failing Uart String` with the same arguments."""
        self._terminal(testerId).allow(pattern, treatAsRegex)

    @keyword
    def wait_for_line_on_uart(
        self,
        content: str,
        timeout: float | str | None = None,
        testerId: int | None = None,
        treatAsRegex: bool = False,
        includeUnfinishedLine: bool = False,
        pauseEmulation: bool | None = None,
        matchNextLine: bool | None = None,
    ) -> TerminalMatch:
        """Lets time pass until a line contains ``content``; returns its ``Line``, ``Timestamp`` (ms) and ``Groups``.

        Lines before it are used up. After the timeout it fails with everything that was received.
        """
        return self._terminal(testerId).wait_for(
            content,
            regex=treatAsRegex,
            unfinished=includeUnfinishedLine,
            next_line=self._match_next_line if matchNextLine is None else matchNextLine,
            timeout_ns=_limit(timeout),
        )

    @keyword
    def wait_for_lines_on_uart(
        self,
        content: list[str],
        timeout: float | str | None = None,
        testerId: int | None = None,
        treatAsRegex: bool = False,
        includeUnfinishedLine: bool = False,
        pauseEmulation: bool | None = None,
        matchFromNextLine: bool | None = None,
    ) -> TerminalMatch:
        """Waits for lines that follow one another, each with its text; returns the last of them."""
        return self._terminal(testerId).wait_for_lines(
            content,
            regex=treatAsRegex,
            unfinished=includeUnfinishedLine,
            next_line=self._match_next_line if matchFromNextLine is None else matchFromNextLine,
            timeout_ns=_limit(timeout),
        )

    @keyword
    def wait_for_bytes_on_uart(
        self,
        content: str,
        timeout: float | str | None = None,
        testerId: int | None = None,
        treatAsRegex: bool = False,
        pauseEmulation: bool | None = None,
        matchStart: bool = False,
    ) -> BinaryMatch:
        """Lets time pass until bytes have come; returns their ``Content``, ``Timestamp`` (ms) and ``Groups``.

        ``content`` is hexadecimal (``01 a5 ff``), or a regular expression of bytes; with ``matchStart`` they have to
        be the very next ones. The tester needs ``binaryMode``.
        """
        tester = self._tester(testerId)
        if not isinstance(tester, BinaryTester):
            raise AssertionError(f"{tester.name} has a tester of lines: create it with binaryMode=True")
        return tester.wait_for(content, regex=treatAsRegex, at_start=matchStart, timeout_ns=_limit(timeout))

    @keyword
    def wait_for_prompt_on_uart(
        self,
        prompt: str,
        testerId: int | None = None,
        timeout: float | str | None = None,
        treatAsRegex: bool = False,
        pauseEmulation: bool | None = None,
    ) -> TerminalMatch:
        """As `Wait For Line On Uart`, for text that no line end follows."""
        tester = self._terminal(testerId)
        return tester.wait_for(prompt, regex=treatAsRegex, unfinished=True, timeout_ns=_limit(timeout))

    @keyword
    def wait_for_next_line_on_uart(
        self, timeout: float | str | None = None, testerId: int | None = None, pauseEmulation: bool | None = None
    ) -> TerminalMatch:
        """Lets time pass until the next line is whole, and returns it."""
        return self._terminal(testerId).next_line(_limit(timeout))

    @keyword
    def should_not_be_on_uart(
        self,
        content: str,
        timeout: float | str | None = None,
        testerId: int | None = None,
        treatAsRegex: bool = False,
        includeUnfinishedLine: bool = False,
    ) -> None:
        """Lets the timeout pass, and fails if a line contains ``content``."""
        self._terminal(testerId).refuse(
            content, regex=treatAsRegex, unfinished=includeUnfinishedLine, timeout_ns=_limit(timeout)
        )

    @keyword
    def write_to_uart(self, content: str, testerId: int | None = None) -> None:
        """Sends text as UTF-8, and nothing after it."""
        self._tester(testerId).write(content.encode())

    @keyword
    def write_char_on_uart(self, c: str, testerId: int | None = None) -> None:
        """Sends one character as UTF-8."""
        if len(c) != 1:
            raise AssertionError(f"expected one character, found {c!r}")
        self._tester(testerId).write(c.encode())

    @keyword
    def send_key_to_uart(self, c: int, testerId: int | None = None) -> None:
        """Sends one byte by its number: ``0x03`` is Ctrl-C."""
        if c not in range(256):
            raise AssertionError(f"expected a byte, 0 to 255, found {c}")
        self._tester(testerId).write(bytes([c]))

    @keyword
    def write_line_to_uart(
        self,
        content: str = "",
        testerId: int | None = None,
        waitForEcho: bool | None = None,
        pauseEmulation: bool | None = None,
    ) -> None:
        """Sends a line, and waits until the firmware has echoed it unless ``waitForEcho`` is false."""
        tester = self._terminal(testerId)
        tester.write_line(content)
        if self._wait_for_echo if waitForEcho is None else waitForEcho:
            tester.wait_for(content, unfinished=True)

    @keyword
    def test_if_uart_is_idle(
        self, timeout: float | str, testerId: int | None = None, pauseEmulation: bool | None = None
    ) -> None:
        """Lets the timeout pass, and fails if anything is received."""
        self._tester(testerId).expect_silence(duration_ns(timeout, "timeout"))


def _limit(timeout: float | str | None) -> int | None:
    return None if timeout is None else duration_ns(timeout, "timeout")
