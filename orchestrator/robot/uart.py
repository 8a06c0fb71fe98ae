"""Keywords for UARTs: names and arguments are Renode's, so that a suite moves over with its keywords.

A board's time passes only inside keywords, so ``pauseEmulation`` is accepted and always so.
"""
# ruff: noqa: N803  # arguments are named as Renode's

from __future__ import annotations

from robot.api.deco import keyword

from orchestrator.board import Board, BoardConsole, EndReason
from orchestrator.engines.contract import ConsoleText
from orchestrator.robot.session import Session, duration_ns
from orchestrator.robot.terminal import TerminalMatch, TerminalTester

__all__ = ["UartKeywords"]

_TRACE_LOOK_NS = 1_000_000  # a trace buffer is memory: nothing tells when it grows


class _BoardCable:
    """One console of a board, and the board's time."""

    def __init__(self, board: Board, console: BoardConsole) -> None:
        self._board = board
        self._console = console

    @property
    def output(self) -> bytes:
        return self._console.output

    @property
    def time_ns(self) -> int:
        return self._board.time_ns

    def write(self, data: bytes) -> None:
        self._console.write(data)

    def advance(self, limit_ns: int) -> bool:
        if self._console.name in self._board.engine.consoles:
            anything = ConsoleText(self._console.name, r"[\s\S]", regex=True)
            end = self._board.run(until=anything, timeout=f"{limit_ns} ns")
        else:
            end = self._board.run_for(f"{min(limit_ns, _TRACE_LOOK_NS)} ns")
        return end.reason is not EndReason.DEAD


class UartKeywords(Session):
    """Terminal testers, as in Renode."""

    def __init__(self) -> None:
        super().__init__()
        self._default_timeout_ns = 8_000_000_000  # Renode's
        self._wait_for_echo = True
        self._match_next_line = False

    def _tester(self, tester_id: int | None) -> TerminalTester:
        if tester_id is None:
            tester_id = self._default_tester
        if tester_id is None and len(self._testers) == 1:
            tester_id = 0
        if tester_id is None or not 0 <= tester_id < len(self._testers):
            known = ", ".join(f"{index} ({each.name})" for index, each in enumerate(self._testers)) or "none"
            asked = "no testerId was given" if tester_id is None else f"there is no tester {tester_id}"
            raise AssertionError(f"{asked}; testers: {known}")
        return self._testers[tester_id]

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

        ``uart`` is its name (``usart3``, ``sysbus.usart3``), a role (``main``, ``remote``) or ``remote.trace``. There
        is one machine, lines end in a line feed, and there is no binary mode: other values fail.
        """
        if machine is not None or binaryMode or endLineOption not in (None, "TreatLineFeedAsEndLine"):
            raise AssertionError("machine, binaryMode and other line ends are not supported by rptwin")
        console = self._board().consoles[uart.removeprefix("sysbus.")]
        self._wait_for_echo = defaultWaitForEcho is not False
        self._match_next_line = bool(defaultMatchNextLine)
        names = [tester.name for tester in self._testers]
        if console.name in names:
            return names.index(console.name)
        limit_ns = self._default_timeout_ns if timeout is None else duration_ns(timeout, "timeout")
        self._testers.append(TerminalTester(console.name, _BoardCable(self._board(), console), limit_ns))
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
        self._tester(testerId).forbid(pattern, treatAsRegex)

    @keyword
    def unregister_failing_uart_string(
        self, pattern: str, treatAsRegex: bool = False, testerId: int | None = None
    ) -> None:
        """Takes back `Register Failing Uart String` with the same arguments."""
        self._tester(testerId).allow(pattern, treatAsRegex)

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
        return self._tester(testerId).wait_for(
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
    ) -> list[TerminalMatch]:
        """Waits for several lines, each after the one before; returns what it found for each."""
        tester = self._tester(testerId)
        return [tester.wait_for(each, regex=treatAsRegex, timeout_ns=_limit(timeout)) for each in content]

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
        tester = self._tester(testerId)
        return tester.wait_for(prompt, regex=treatAsRegex, unfinished=True, timeout_ns=_limit(timeout))

    @keyword
    def wait_for_next_line_on_uart(
        self, timeout: float | str | None = None, testerId: int | None = None, pauseEmulation: bool | None = None
    ) -> TerminalMatch:
        """Lets time pass until the next line is whole, and returns it."""
        return self._tester(testerId).next_line(_limit(timeout))

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
        self._tester(testerId).refuse(
            content, regex=treatAsRegex, unfinished=includeUnfinishedLine, timeout_ns=_limit(timeout)
        )

    @keyword
    def write_to_uart(self, content: str, testerId: int | None = None) -> None:
        """Sends text, and nothing after it."""
        self._tester(testerId).write(content)

    @keyword
    def write_char_on_uart(self, c: str, testerId: int | None = None) -> None:
        """Sends one character."""
        self._tester(testerId).write(c)

    @keyword
    def write_line_to_uart(
        self,
        content: str = "",
        testerId: int | None = None,
        waitForEcho: bool | None = None,
        pauseEmulation: bool | None = None,
    ) -> None:
        """Sends a line, and waits until the firmware has echoed it unless ``waitForEcho`` is false."""
        tester = self._tester(testerId)
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
