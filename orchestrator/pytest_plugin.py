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
test alone decides. ``traces={"perfetto": "run.pftrace"}`` names files as the options of ``rptwin run`` do, which are
written at the end of the test. What the consoles said stands in the report of a test that failed. What rptwin refuses
(a file that is not there) is one line.

The run of a board whose test failed is written as a page for a browser, into the folder of ``--rptwin-html`` or of the
setting ``rptwin_html``; "none" writes none, and follows no board. ``--rptwin-gdb PORT`` has every board wait for a gdb.
"""
# ruff: noqa: PLC0415  # every pytest run of every project loads this module: it must cost nothing until it is used

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from orchestrator.board import Board
    from orchestrator.gdb import GdbServer
    from orchestrator.trace import TraceCollector

__all__ = ["rptwin_board"]

_MOST_SHOWN = 200  # lines of the consoles
_NO_PAGES = "none"
_WITHOUT_CACHE = "rptwin-artifacts"  # in the project's folder, where pytest has no cache


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the pages of failed tests go, and where gdb comes."""
    group = parser.getgroup("rptwin")
    pages = 'Folder for the pages of rptwin boards whose test failed; "none" writes none. Default: in pytest\'s cache.'
    group.addoption("--rptwin-html", metavar="DIR", default=None, help=pages)
    parser.addini("rptwin_html", f"{pages} Relative to the project's folder.", default="")
    gdb = "Serve gdb on the boards of tests, from this port on (0: any free ones): each waits at power-on for a gdb."
    group.addoption("--rptwin-gdb", metavar="PORT", type=int, default=None, help=gdb)


def _folder_name(config: pytest.Config) -> str:
    given: str | None = config.getoption("--rptwin-html")
    return str(config.getini("rptwin_html")) if given is None else given


def _folder_of(config: pytest.Config) -> Path:
    """Of the pages: an option is relative to where it was typed, a setting to the project."""
    named = _folder_name(config)
    if named:
        return Path(named).absolute() if config.getoption("--rptwin-html") else config.rootpath / named
    cache = getattr(config, "cache", None)
    return config.rootpath / _WITHOUT_CACHE if cache is None else Path(cache.mkdir("rptwin"))


def _debugger_of(config: pytest.Config) -> Callable[[Board], GdbServer] | None:
    """Serves gdb on a board, where that was asked for; what pytest captures is not where somebody waits for a port."""
    port: int | None = config.getoption("--rptwin-gdb")
    if port is None:
        return None
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled():
            sys.stderr.write(f"\r{text}\n")
            sys.stderr.flush()

    def serve(board: Board) -> GdbServer:
        from orchestrator.gdb import serve_gdb

        return serve_gdb(board, port, say)

    return serve


class _Boards:
    """The boards of one test, in the order in which it made them."""

    def __init__(self, *, followed: bool, debug: Callable[[Board], GdbServer] | None = None) -> None:
        self._followed = followed
        self._debug = debug
        self._opened = ExitStack()
        self._judged: list[Board] = []
        self._every: list[Board] = []
        self._collectors: list[TraceCollector] = []  # of each, where they are followed

    def make(
        self, *args: Any, judge: bool = True, traces: Mapping[str, str | PathLike[str]] | None = None, **options: Any
    ) -> Board:
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
            if self._debug is not None:
                self._opened.enter_context(self._debug(board)).wait_for_client()
            if traces:
                self._trace(board, {key: fspath(path) for key, path in traces.items()})
        except RptwinError as error:
            pytest.fail(f"no board: {error}", pytrace=False)
        self._every.append(board)
        if self._followed:
            from orchestrator.report.attachment import followed

            self._collectors.append(followed(board))
        if judge:
            self._judged.append(board)
        return board

    def _trace(self, board: Board, wanted: Mapping[str, str]) -> None:
        """Write these when the boards are given up."""
        from orchestrator.report.files import write_documents
        from orchestrator.report.traces import Traces

        traces = Traces(wanted, board)

        def write() -> None:
            for failure in write_documents(traces.documents()):
                raise failure

        self._opened.callback(write)

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

    def write_pages(self, folder: Path, test: str) -> Iterator[Path]:
        """The run of each board that ran."""
        from orchestrator.report.attachment import attach

        for number, (board, collector) in enumerate(zip(self._every, self._collectors, strict=True), 1):
            name = f"{test}-{number}" if len(self._every) > 1 else test
            attached = attach(board, collector, folder, name)
            if attached is not None:
                yield attached.page

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
    """Makes boards: takes the arguments of ``orchestrator.board.Board``, ``judge=False`` to judge by oneself, and
    ``traces``: paths by the names of options, as ``{"vcd": "run.vcd"}``.
    """
    boards = _Boards(followed=_folder_name(request.config) != _NO_PAGES, debug=_debugger_of(request.config))
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
    """A test that failed shows what the consoles said, and where its run is as a page."""
    report = yield
    boards = item.stash.get(_BOARDS, None)
    if boards is not None and report.when == "call" and report.failed:
        with contextlib.suppress(Exception):  # of an engine that died
            if said := boards.said():
                report.sections.append(("rptwin consoles", said))
        _attach_pages(item, report, boards)
    return report


def _attach_pages(item: pytest.Item, report: pytest.TestReport, boards: _Boards) -> None:
    """Name each page in the failure; link it in the report of pytest-html, if that is in use."""
    from orchestrator.base.errors import RptwinError

    if _folder_name(item.config) == _NO_PAGES:
        return
    try:
        pages = list(boards.write_pages(_folder_of(item.config), item.nodeid))
    except RptwinError as error:
        report.sections.append(("rptwin page", str(error)))
        return
    if pages:
        report.sections.append(("rptwin page", "\n".join(map(str, pages))))
    if pages and item.config.pluginmanager.hasplugin("html"):
        from pytest_html import extras

        beside = Path(item.config.getoption("htmlpath", None) or ".").absolute().parent
        links = [extras.url(os.path.relpath(page, beside), name="rptwin") for page in pages]
        report.extras = [*getattr(report, "extras", []), *links]  # type: ignore[attr-defined]  # that plugin's own


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
