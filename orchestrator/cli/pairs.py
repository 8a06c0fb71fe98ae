"""``rptwin run --pairs``: every pair of a file, several at a time, each in a process of its own; one table at the end.

A pair whose process dies has exit code 2 and harms no other. Ctrl-C, SIGTERM and SIGHUP end every run as they end one:
what each has seen until then is in the summary, and those that had not begun are named.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, NoReturn

from rich.console import Console
from rich.text import Text

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import format_duration
from orchestrator.base.errors import EngineError, ReportError, RptwinError
from orchestrator.base.interrupts import ENDING, is_ignored
from orchestrator.base.words import counted
from orchestrator.board import Board, EndReason
from orchestrator.board.ends import END_TEXTS
from orchestrator.cli.errors import COULD_NOT_RUN, complain, give_up_stdout
from orchestrator.cli.failures import Clock
from orchestrator.cli.run import Verbosity
from orchestrator.cli.running import interruptible, open_board
from orchestrator.config import Settings
from orchestrator.pairs import NamedPair
from orchestrator.report.annotations import to_github
from orchestrator.report.documents import documents_of, error_documents, takes_standard_output
from orchestrator.report.files import Document, write_documents
from orchestrator.report.findings import summary
from orchestrator.report.merged import Part, merged_documents
from orchestrator.report.record import Record, record_of
from orchestrator.report.terminal import heading, make_console, make_table, printable, rendered
from orchestrator.report.text import print_report, print_verdict
from orchestrator.report.traces import Traces

__all__ = ["run_pairs"]

_LAST_WAIT_S = 20.0  # for runs that were told to end
_LOOK_S = 0.2  # between two looks at whether they take too long
_NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a child tells of its pair; ``documents`` are its reports by setting, ``text`` is for people.

    ``unwritten`` says which of its own files could not be.
    """

    exit_code: int
    headline: str
    findings: str = ""
    time_ns: int | None = None
    text: str = ""
    documents: tuple[tuple[str, str], ...] = ()
    unwritten: tuple[str, ...] = ()

    @classmethod
    def of_error(cls, settings: Settings, error: object, clock: Clock) -> Outcome:
        """A pair that could not be run."""
        shared, own = _shared_and_own(error_documents(_in_memory(settings), error, clock.read()))
        return cls(COULD_NOT_RUN, f"error: {error}", documents=shared, unwritten=_unwritten(own))


_SHARED = ("json", "junit", "sarif")


def _in_memory(settings: Settings) -> Settings:
    """What is one document for all under the names of its settings: the parent writes it."""
    wanted = {key: key for key in _SHARED if getattr(settings, key) is not None}
    return dataclasses.replace(settings, **wanted)  # type: ignore[arg-type]  # texts


def _shared_and_own(documents: Iterable[Document]) -> tuple[tuple[tuple[str, str], ...], tuple[Document, ...]]:
    """The texts of what the parent writes, by setting, and what is a file of the pair."""
    wanted = [each for each in documents if each.path is not None]
    shared = tuple((each.path, str(each.text())) for each in wanted if each.path in _SHARED)
    return shared, tuple(each for each in wanted if each.path not in _SHARED)


def _unwritten(documents: Iterable[Document]) -> tuple[str, ...]:
    return tuple(str(each) for each in write_documents(documents))


class _Child:
    """One run, in a process group of its own: a Ctrl-C of the terminal comes by way of the parent, once."""

    def __init__(self, index: int, pair: NamedPair, verbosity: Verbosity, begin: Callable[[], None]) -> None:
        self.index, self.pair = index, pair
        self._begin = Clock()
        self._data = bytearray()
        self.fd, there = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _in_child(pair, verbosity, there, begin)
        os.close(there)
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)

    def read(self) -> Outcome | None:
        """What has come; the outcome once the child is done."""
        data = os.read(self.fd, 1 << 16)
        self._data += data
        if data:
            return None
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        try:
            outcome = pickle.loads(self._data)  # of our own child
        except (EOFError, pickle.UnpicklingError):
            outcome = None
        if isinstance(outcome, Outcome):
            return outcome
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Outcome.of_error(self.pair.settings, EngineError(f"its process ended with {how}"), self._begin)

    def signal(self, number: int) -> None:
        """To it and all that it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)


def _in_child(pair: NamedPair, verbosity: Verbosity, pipe: int, begin: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        outcome = _run(pair.settings, verbosity, begin)
        data = pickle.dumps(outcome)
        while data:
            data = data[os.write(pipe, data) :]
        code = 0
    finally:
        os._exit(code)


def _run(settings: Settings, verbosity: Verbosity, begin: Callable[[], None]) -> Outcome:
    """A pair, as ``rptwin run`` runs it."""
    clock = Clock()
    try:
        begin()
        with open_board(settings) as board:
            traces = Traces.of(settings, board)
            failure = _run_board(board, settings)
            record = record_of(board, settings, clock.read(), traces.trace)
            unwritten = _unwritten(traces.documents())
    except (RptwinError, KeyboardInterrupt) as error:
        return Outcome.of_error(settings, error if isinstance(error, RptwinError) else "interrupted", clock)
    except MemoryError:
        return Outcome.of_error(settings, EngineError("out of memory"), clock)
    return _outcome(record, failure, verbosity, unwritten)


def _run_board(board: Board, settings: Settings) -> EngineError | None:
    try:
        with interruptible(board):
            board.run(settings.until, f"{settings.timeout} ns")
    except KeyboardInterrupt:
        return EngineError("interrupted")
    except EngineError as error:
        return error
    reason = board.end.reason if board.end is not None else EndReason.FAILED
    return EngineError(END_TEXTS[reason]) if reason.is_cut else None


def _outcome(record: Record, failure: EngineError | None, verbosity: Verbosity, unwritten: tuple[str, ...]) -> Outcome:
    settings, verdict = record.settings, record.verdict

    def show(console: Console) -> None:
        if verbosity is Verbosity.VERBOSE:
            print_report(console, record, whole=True)
        else:
            print_verdict(console, record, ended=True)

    shared, own = _shared_and_own(documents_of(dataclasses.replace(record, settings=_in_memory(settings)), failure))
    unwritten += _unwritten(own)
    code = COULD_NOT_RUN if failure is not None or unwritten else record.exit_code
    is_shown = verbosity is Verbosity.VERBOSE or (code != 0 and verbosity is Verbosity.NORMAL)
    text = rendered(make_console(sys.stdout), show) if is_shown else ""
    return Outcome(
        exit_code=code,
        headline=verdict.headline if failure is None else f"{verdict.headline} ({failure})",
        findings=summary([each for pair in record.pairs for each in pair.verdict.findings]),
        time_ns=record.end.time_ns,
        text=text + (to_github(record) if settings.annotations == "github" else ""),
        documents=shared,
        unwritten=unwritten,
    )


def run_pairs(pairs: Sequence[NamedPair], settings: Settings, jobs: int, verbosity: Verbosity) -> int:
    """Run them all and say so; the worst exit code. ``settings`` say which reports are to be written."""
    clock = Clock()
    stream = sys.stderr if takes_standard_output(settings) else sys.stdout
    outcomes: dict[int, Outcome] = {}
    begun = time.monotonic()
    interrupted = False
    try:
        for index, outcome in _outcomes(pairs, jobs, verbosity):
            outcomes[index] = outcome
            if verbosity is not Verbosity.QUIET:
                seconds = time.monotonic() - begun
                text = f"{len(outcomes)}/{len(pairs)} {pairs[index]}: {outcome.headline} ({seconds:.1f} s)"
                stream.write(printable(text) + "\n")
                stream.flush()
    except KeyboardInterrupt:
        interrupted = True
    except OSError as problem:
        give_up_stdout()
        complain(ReportError(f"report not written: {problem.strerror or problem}", where="standard output"))
        return COULD_NOT_RUN
    every = [outcomes.get(index, Outcome(COULD_NOT_RUN, _NOT_RUN)) for index in range(len(pairs))]
    failures = _report(pairs, every, settings, clock, stream)
    for each in failures:
        complain(each)
    for pair, outcome in zip(pairs, every, strict=True):
        for text in outcome.unwritten:
            complain(f"{pair}: {text}")
    if interrupted:
        complain("interrupted")
    return COULD_NOT_RUN if failures or interrupted else max(each.exit_code for each in every)


def _outcomes(pairs: Sequence[NamedPair], jobs: int, verbosity: Verbosity) -> Iterator[tuple[int, Outcome]]:
    """As they come. A first interrupt tells the runs to end, and their outcomes still come; then it is raised."""
    waiting = list(enumerate(pairs))
    running: dict[int, _Child] = {}
    stopped: list[int] = []
    parent = os.getpid()

    def on_interrupt(number: int, _frame: object) -> None:
        stopped.append(number)
        if os.getpid() == parent:
            waiting.clear()
            for child in list(running.values()):
                child.signal(signal.SIGTERM if len(stopped) == 1 else signal.SIGKILL)

    before = {each: signal.getsignal(each) for each in ENDING if not is_ignored(each)}

    def give_back() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def begin() -> None:
        """In a child, before its run."""
        give_back()
        if stopped:
            raise KeyboardInterrupt

    deadline = float("inf")
    try:
        for each in before:
            signal.signal(each, on_interrupt)
        while waiting or running:
            while waiting and len(running) < jobs:
                child = _Child(*waiting.pop(0), verbosity, begin)
                running[child.fd] = child
                if stopped:  # while it was made
                    child.signal(signal.SIGTERM)
            if stopped and deadline == float("inf"):
                deadline = time.monotonic() + _LAST_WAIT_S
            for fd in select.select(list(running), [], [], _LOOK_S)[0]:
                outcome = running[fd].read()
                if outcome is not None:
                    yield running.pop(fd).index, outcome
            if time.monotonic() > deadline:
                for child in running.values():
                    child.signal(signal.SIGKILL)
        if stopped:
            raise KeyboardInterrupt
    finally:
        give_back()
        for child in running.values():
            child.signal(signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(child.pid, 0)


def _report(
    pairs: Sequence[NamedPair], outcomes: Sequence[Outcome], settings: Settings, clock: Clock, stream: IO[str]
) -> list[ReportError]:
    """Reports of pairs that are to be shown, the table, and the documents of all."""

    def show(console: Console) -> None:
        for pair, outcome in zip(pairs, outcomes, strict=True):
            if outcome.text:
                heading(console, printable(pair.name))
                console.out(outcome.text.rstrip("\n"), highlight=False)
        _print_table(console, pairs, outcomes)

    failures: list[ReportError] = []
    try:
        stream.write(rendered(make_console(stream), show))
        stream.flush()
    except OSError as problem:
        give_up_stdout()
        failures.append(ReportError(f"report not written: {problem.strerror or problem}", where="standard output"))
    parts = [
        Part(pair.name, outcome.exit_code, outcome.headline, dict(outcome.documents))
        for pair, outcome in zip(pairs, outcomes, strict=True)
    ]
    return failures + list(write_documents(merged_documents(settings, parts, clock.read())))


def _print_table(console: Console, pairs: Sequence[NamedPair], outcomes: Sequence[Outcome]) -> None:
    table = make_table("pair", "exit", "virtual", "verdict", right=("exit", "virtual"))
    for pair, outcome in zip(pairs, outcomes, strict=True):
        style = ("green", "yellow", "red")[min(outcome.exit_code, 2)]
        when = "" if outcome.time_ns is None else format_duration(round(outcome.time_ns, -3))
        verdict = printable(outcome.headline) + (f": {outcome.findings}" if outcome.findings else "")
        table.add_row(printable(pair.name), str(outcome.exit_code), when, Text(verdict, style=style))
    console.print()
    console.print(table)
    counts = [sum(each.exit_code == code for each in outcomes) for code in (0, 1, 2)]
    words = f"{counted(len(outcomes), 'pair')}: {counts[0]} good, {counts[1]} with findings, {counts[2]} could not run"
    console.print()
    console.print(Text(words, style="bold"))
