"""The pytest plugin: ``rptwin_board``, a board that fails a test with the findings as the message.

::

    def test_our_firmware_comes_up(rptwin_board):
        board = rptwin_board("stm32h745", main="main.elf", remote="remote.elf")
        board.run()

``@pytest.mark.rptwin_pairs("pairs.toml")`` runs a test once for each pair of a file (docs/many-pairs.md), which it gets
as ``rptwin_pair``::

    @pytest.mark.rptwin_pairs("pairs.toml")
    def test_pair(rptwin_pair, rptwin_board):
        board = rptwin_board(rptwin_pair)
        board.run(rptwin_pair.settings.until, rptwin_pair.timeout)

A board that is not up when the test ends, or has an error among its findings, fails the test; with ``judge=False`` the
test alone decides. What the consoles said stands in the report of a test that failed. What rptwin refuses (a file that
is not there) is one line.
"""
# ruff: noqa: PLC0415  # every pytest run of every project loads this module: it must cost nothing until it is used

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from orchestrator.board import Board

__all__ = ["rptwin_board"]

_MOST_SHOWN = 200  # lines of the consoles


class _Boards:
    """The boards of one test, in the order in which it made them."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._judged: list[Board] = []
        self._every: list[Board] = []

    def make(self, *args: Any, judge: bool = True, **options: Any) -> Board:
        """A board, or that of a pair of a file; fails the test in one line where there cannot be one."""
        from orchestrator.base.errors import RptwinError
        from orchestrator.board import Board
        from orchestrator.board.from_settings import board_options
        from orchestrator.pairs import NamedPair

        try:
            if args and isinstance(args[0], NamedPair):
                settings = args[0].settings
                args = (settings.platform, board_options(settings), *args[1:])
            board = self._opened.enter_context(Board(*args, **options))
        except RptwinError as error:
            pytest.fail(f"no board: {error}", pytrace=False)
        self._every.append(board)
        if judge:
            self._judged.append(board)
        return board

    def failures(self) -> str:
        """What is wrong with the boards that are to be judged; empty where nothing is."""
        return "\n\n".join(text for board in self._judged if (text := _failure(board)))

    def said(self) -> str:
        """The last lines of every console, by virtual time."""
        from orchestrator.board import merged_lines

        lines = [line for board in self._every for line in merged_lines(board.consoles)]
        times = ("" if each.time_ns is None else f"{each.time_ns / 1e6:.3f} ms" for each in lines)
        return "\n".join(
            f"{time:>14}  {line.console} | {line.text}"
            for time, line in list(zip(times, lines, strict=True))[-_MOST_SHOWN:]
        )

    def close(self) -> None:
        self._opened.close()


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker."""
    config.addinivalue_line(
        "markers", "rptwin_pairs(file): run the test once for each pair of a file, which it gets as rptwin_pair"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of many pairs is as many tests; a file that is wrong is an error where it is collected, in one line."""
    marker = metafunc.definition.get_closest_marker("rptwin_pairs")
    if marker is None or "rptwin_pair" not in metafunc.fixturenames:
        return
    from orchestrator.base.errors import RptwinError
    from orchestrator.pairs import load_pairs

    try:
        pairs = load_pairs(*(metafunc.config.rootpath / each for each in marker.args))
    except RptwinError as error:
        raise pytest.UsageError(f"rptwin_pairs: {error}") from None
    metafunc.parametrize("rptwin_pair", pairs, ids=str)


_BOARDS = pytest.StashKey[_Boards]()


@pytest.fixture
def rptwin_board(request: pytest.FixtureRequest) -> Iterator[Callable[..., Board]]:
    """Makes boards: takes the arguments of ``orchestrator.board.Board``, and ``judge=False`` to judge by oneself."""
    boards = _Boards()
    request.node.stash[_BOARDS] = boards
    yield boards.make
    boards.close()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A board is judged as a part of its test: what is wrong with it is a failure, and no error of the teardown."""
    outcome = yield
    boards = pyfuncitem.stash.get(_BOARDS, None)
    if boards is not None and (text := boards.failures()):
        pytest.fail(text, pytrace=False)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what the consoles said."""
    report = yield
    boards = item.stash.get(_BOARDS, None)
    if boards is not None and report.when == "call" and report.failed:
        with contextlib.suppress(Exception):  # of an engine that died
            if said := boards.said():
                report.sections.append(("rptwin consoles", said))
    return report


def _failure(board: Board) -> str:
    """Why a board is no success; empty where it is one."""
    from orchestrator.report.plain import plain_findings
    from orchestrator.report.sources import SourcePaths

    if board.end is not None and board.end.reason.is_cut:
        return f"the run is not over: {board.end}\n{plain_findings(board.findings)}"
    when = str(board.end) if board.end else "the board never ran"
    texts = []
    for name, pair in board.pairs.items():
        verdict = pair.verdict()
        if verdict.exit_code:
            which = f"pair {name}: " if name else ""
            findings = plain_findings(verdict.findings, SourcePaths.of(pair.images))
            texts.append(f"{which}{verdict.headline} ({when})\n{findings}")
    return "\n".join(texts)
