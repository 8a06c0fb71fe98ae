"""``rptwin run`` and ``rptwin demo``: boot, check, report, and say it all in an exit code.

What few runs need is imported where it is needed: the time to a verdict counts.
"""

# ruff: noqa: PLC0415  # see above

from __future__ import annotations

import contextlib
import dataclasses
import enum
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.base.durations import format_duration
from orchestrator.base.errors import EngineError, PlacementError, ReportError, RptwinError, UsageError
from orchestrator.base.words import counted, times
from orchestrator.board import Board, EndReason
from orchestrator.board.ends import END_TEXTS
from orchestrator.cli.errors import COULD_NOT_RUN, complain, give_up_stdout
from orchestrator.cli.failures import Clock, reported_failure
from orchestrator.cli.options import some_image
from orchestrator.cli.running import ProgressLine, interruptible, open_board
from orchestrator.config import DEFAULT_PLATFORM, Settings, settings_from
from orchestrator.events import Accessed, Changed, Event, ExceptionReturn, ExceptionTaken
from orchestrator.report.annotations import to_github
from orchestrator.report.documents import documents_of, takes_standard_output
from orchestrator.report.files import write_documents
from orchestrator.report.record import Record, record_of
from orchestrator.report.terminal import make_console, rendered
from orchestrator.report.text import print_report, print_verdict
from orchestrator.report.traces import Traces

if TYPE_CHECKING:
    from orchestrator.cli.uarts import Uarts
    from orchestrator.gdb import GdbServer
    from orchestrator.platform.model import RegisterNames
    from orchestrator.vhost_user import Bridge, BridgeOptions

__all__ = ["Verbosity", "demo_settings", "run_and_report"]

_PACKAGE = Path(__file__).resolve().parents[1]
_DEMO_FOLDERS = (  # a wheel's, a checkout's
    _PACKAGE / "demo",
    _PACKAGE.parent / "firmware" / "build" / DEFAULT_PLATFORM / "demo",
)
_FREQUENT = (
    Accessed,
    Changed,
    ExceptionTaken,
    ExceptionReturn,
)  # thousands a second, each of them for the log of an engine


class Verbosity(enum.Enum):
    """How much of a report a person wants."""

    QUIET = enum.auto()
    NORMAL = enum.auto()
    VERBOSE = enum.auto()

    @classmethod
    def of(cls, *, verbose: bool, quiet: bool) -> Verbosity:
        """From the two options; :class:`UsageError` for both at once."""
        if verbose and quiet:
            raise UsageError("contradict each other", where="--verbose and --quiet")
        return cls.VERBOSE if verbose else cls.QUIET if quiet else cls.NORMAL


def demo_settings(typed: Mapping[str, object]) -> Settings:
    """Settings for the pair that comes with rptwin; :class:`UsageError` when it has not been built."""
    for folder in _DEMO_FOLDERS:
        main, remote = folder / "main.elf", folder / "remote.elf"
        if main.is_file() and remote.is_file():
            return dataclasses.replace(settings_from(typed, {}), main=str(main), remote=str(remote))
    raise UsageError("the demo images are not built", advice="`make -C firmware demo` builds them")


def run_and_report(
    settings: Settings,
    verbosity: Verbosity,
    gdb_port: int | None = None,
    bridge: BridgeOptions | None = None,
    uarts: Sequence[str] = (),
) -> int:
    """Run a board and report on it: 0 good, 1 findings, 2 when it could not run or a report could not be written.

    With a port, gdb decides when it runs (:mod:`orchestrator.gdb`). With a bridge, another process works a vdev; with
    ``uarts``, others hold the ends of consoles.
    """
    clock = Clock()
    with reported_failure(settings, clock):
        some_image(settings)
        return _run_and_report(settings, verbosity, clock, gdb_port, bridge, uarts)


def _run_and_report(
    settings: Settings,
    verbosity: Verbosity,
    clock: Clock,
    gdb_port: int | None,
    bridge: BridgeOptions | None,
    uarts: Sequence[str],
) -> int:
    with (
        _open(settings, verbosity, is_bridged=bridge is not None) as board,
        contextlib.ExitStack() as attending,
    ):
        bridged = None if bridge is None else board.hand_out(bridge)
        traces = Traces.of(settings, board)
        with interruptible(board):  # before anybody is told where to come: who comes may send a signal at once
            debugger = attending.enter_context(_debugger(board, gdb_port))
            peers = attending.enter_context(_peers(board, uarts))
            failure = _run(board, settings, verbosity, [each for each in (debugger, peers) if each is not None])
        record = record_of(board, settings, clock.read(), traces.trace)
        if debugger is not None:
            debugger.ended(COULD_NOT_RUN if failure is not None else record.exit_code)
        lost = None if bridged is None else _after(bridged)
        unwritten = write_documents(traces.documents())
    failures = [each for each in (failure, lost) if each is not None]
    if not failures and record.end.reason is EndReason.WALL_TIME:
        failures = [_cut_off(settings)]
    interrupted = EngineError(END_TEXTS[record.end.reason]) if record.end.reason.is_cut else None
    failures += _report(record, verbosity, next(iter(failures), interrupted))
    failures += unwritten
    for each in failures:
        complain(each)
    if failures or record.end.reason.is_cut:
        return COULD_NOT_RUN
    return record.exit_code


def _cut_off(settings: Settings) -> EngineError:
    limit = format_duration(settings.wall_time)
    return EngineError(f"cut off after {limit} of wall time (--wall-time): the verdict is on what was seen until then")


def _after(bridge: Bridge) -> RptwinError | None:
    """Say what went over a bridge; what the back-end did wrong, where the run was to end with it."""
    again = f", which came again {times(bridge.reconnections)}" if bridge.reconnections else ""
    went = f"{counted(bridge.requests, 'request')}, {counted(bridge.answers, 'answer')} by {bridge.options.path}{again}"
    _say(f"vdev[{bridge.options.vdev}]: {went}")
    if bridge.failure is not None and not bridge.is_needed:
        complain(bridge.failure)
        return None
    return bridge.failure


def _open(settings: Settings, verbosity: Verbosity, *, is_bridged: bool) -> Board:
    """The board at power-on; where an image cannot be loaded, what can be said of it without is printed first."""
    try:
        return open_board(settings, shares_memory=is_bridged)
    except PlacementError:
        from orchestrator.cli.inspect import refuse_other_chip, static_report

        refuse_other_chip(settings)

        stream = sys.stderr if takes_standard_output(settings) else sys.stdout
        stream.write(static_report(settings, findings_only=verbosity is Verbosity.QUIET))
        raise


def _debugger(board: Board, port: int | None) -> contextlib.AbstractContextManager[GdbServer | None]:
    """The server that was asked for."""
    if port is None:
        return contextlib.nullcontext()
    from orchestrator.gdb import serve_gdb

    return serve_gdb(board, port, _say)


def _peers(board: Board, uarts: Sequence[str]) -> contextlib.AbstractContextManager[Uarts | None]:
    """Those who are to come to UARTs."""
    if not uarts:
        return contextlib.nullcontext()
    from orchestrator.cli.uarts import Uarts

    return Uarts(board, uarts, _say)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _run(
    board: Board, settings: Settings, verbosity: Verbosity, awaited: Sequence[GdbServer | Uarts]
) -> RptwinError | None:
    """Run to the end; what stopped it otherwise, so that what was gathered until then can still be reported."""
    progress = ProgressLine()
    if verbosity is Verbosity.VERBOSE:
        board.subscribe(lambda event: _print_event(event, board.platform.registers))
    try:
        for each in awaited:
            each.wait_for_client()
        board.run(settings.until, f"{settings.timeout} ns", progress)
    except KeyboardInterrupt:
        return EngineError("interrupted")
    except EngineError as error:
        return error
    finally:
        progress.clear()
    return None


_ADDRESSES = ("address", "pc", "value")


def _word(name: str, value: object) -> str:
    """A fact of an event as people read it: addresses in hexadecimal, lists with commas."""
    if name in _ADDRESSES and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:#010x}"
    if isinstance(value, list | tuple):
        return ",".join(_word(name, each) for each in value)
    if isinstance(value, dict):
        return "(" + " ".join(f"{key}={_word(key, each)}" for key, each in value.items()) + ")"
    return str(value)


def _print_event(event: Event, registers: RegisterNames | None = None) -> None:
    if isinstance(event.detail, _FREQUENT):
        return
    facts = {k: v for k, v in event.to_json().items() if k not in ("time_ns", "core", "kind", "registers", "backtrace")}
    words = " ".join(f"{name}={_word(name, value)}" for name, value in facts.items() if value not in (None, (), []))
    named = words if registers is None else registers.named(words)
    sys.stderr.write(f"{event.time_ns / 1e6:12.6f} ms {event.core or 'host':8} {event.kind} {named}\n")


def _report(record: Record, verbosity: Verbosity, error: object = None) -> list[RptwinError]:
    """Every report that was asked for; those that cannot be written come back as errors, and hinder no other.

    ``error`` is what ended the run before it was over. Where a report for machines is the standard output, people read
    theirs on stderr.
    """
    failures: list[RptwinError] = []
    stream = sys.stderr if takes_standard_output(record.settings) else sys.stdout
    try:
        if verbosity is Verbosity.QUIET:
            text = rendered(make_console(stream), lambda console: print_verdict(console, record, ended=True))
        else:
            whole = verbosity is Verbosity.VERBOSE
            text = rendered(make_console(stream), lambda console: print_report(console, record, whole=whole))
        stream.write(text + (to_github(record) if record.settings.annotations == "github" else ""))
        stream.flush()
    except OSError as problem:
        give_up_stdout()
        failures.append(ReportError(f"report not written: {problem.strerror or problem}", where="standard output"))
    return failures + list(write_documents(documents_of(record, error)))
