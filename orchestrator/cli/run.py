"""``rptwin run`` and ``rptwin demo``: boot, check, report, and say it all in an exit code.

What few runs need is imported where it is needed: the time to a verdict counts.
"""

# ruff: noqa: PLC0415  # see above

from __future__ import annotations

import contextlib
import dataclasses
import enum
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.base.durations import format_duration
from orchestrator.base.errors import EngineError, PlacementError, ReportError, RptwinError, UsageError
from orchestrator.board import Board, EndReason, Progress
from orchestrator.cli.errors import COULD_NOT_RUN, complain, give_up_stdout
from orchestrator.cli.options import some_image
from orchestrator.cli.running import ProgressLine, interruptible, open_board
from orchestrator.config import DEFAULT_PLATFORM, Settings, settings_from
from orchestrator.events import Changed, Event, ExceptionReturn, ExceptionTaken
from orchestrator.report.files import Document, write_documents
from orchestrator.report.json import to_json
from orchestrator.report.record import Record, WallClock, record_of
from orchestrator.report.terminal import make_console, rendered
from orchestrator.report.text import print_report, print_verdict

if TYPE_CHECKING:
    from orchestrator.gdb import GdbServer
    from orchestrator.vhost_user import Bridge, BridgeOptions

__all__ = ["Verbosity", "demo_settings", "run_and_report"]

_PACKAGE = Path(__file__).resolve().parents[1]
_DEMO_FOLDERS = (  # a wheel's, a checkout's
    _PACKAGE / "demo",
    _PACKAGE.parent / "firmware" / "build" / DEFAULT_PLATFORM / "demo",
)
_FREQUENT = (Changed, ExceptionTaken, ExceptionReturn)  # thousands a second, each of them for the log of an engine


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
    settings: Settings, verbosity: Verbosity, gdb_port: int | None = None, bridge: BridgeOptions | None = None
) -> int:
    """Run a board and report on it: 0 good, 1 findings, 2 when it could not run or a report could not be written.

    With a port, gdb decides when it runs (:mod:`orchestrator.gdb`). With a bridge, another process works a vdev.
    """
    some_image(settings)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with _open(settings, verbosity, is_bridged=bridge is not None) as board, _debugger(board, gdb_port) as debugger:
        bridged = None if bridge is None else board.hand_out(bridge)
        failure = _run(board, settings, verbosity, debugger)
        record = record_of(board, settings, WallClock(started, round(time.monotonic() - clock, 3)))
        if debugger is not None:
            debugger.ended(COULD_NOT_RUN if failure is not None else record.exit_code)
        lost = None if bridged is None else _after(bridged)
    failures = [each for each in (failure, lost) if each is not None]
    failures += _report(record, verbosity)
    for each in failures:
        complain(each)
    if record.end.reason is EndReason.WALL_TIME:
        limit = format_duration(settings.wall_time)
        complain(f"cut off after {limit} of wall time (--wall-time): the verdict is on what was seen until then")
    if failures or record.end.reason.is_cut:
        return COULD_NOT_RUN
    return record.exit_code


def _after(bridge: Bridge) -> RptwinError | None:
    """Say what went over a bridge; what the back-end did wrong, where the run was to end with it."""
    again = f", which came again {bridge.reconnections} times" if bridge.reconnections else ""
    went = f"{bridge.requests} requests, {bridge.answers} answers by {bridge.options.path}{again}"
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
        from orchestrator.cli.inspect import static_report

        sys.stdout.write(static_report(settings, findings_only=verbosity is Verbosity.QUIET))
        raise


def _debugger(board: Board, port: int | None) -> contextlib.AbstractContextManager[GdbServer | None]:
    """The server that was asked for."""
    if port is None:
        return contextlib.nullcontext()
    from orchestrator.gdb import GdbServer

    cores = [board.platform.core(name).name for name in board.vector_tables]
    return GdbServer(board.engine, cores, port, end_run=board.stop, is_ending=lambda: board.is_stopping, say=_say)


def _announce(board: Board, debugger: GdbServer) -> None:
    """A line for each core that says where it is served."""
    for name in board.vector_tables:
        core = board.platform.core(name).name
        _say(f"gdb: {name if name == core else f'{name} ({core})'}: target remote localhost:{debugger.ports[core]}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _run(board: Board, settings: Settings, verbosity: Verbosity, debugger: GdbServer | None) -> RptwinError | None:
    """Run to the end; what stopped it otherwise, so that what was gathered until then can still be reported."""
    progress = ProgressLine()

    def after_piece(done: Progress) -> None:
        progress(done)
        if debugger is not None:
            debugger.between_pieces()

    if verbosity is Verbosity.VERBOSE:
        board.subscribe(_print_event)
    try:
        with interruptible(board):
            if debugger is not None:
                _announce(board, debugger)
                debugger.wait_for_client()
            attended = None if debugger is None else debugger.is_attended
            board.run(settings.until, f"{settings.timeout} ns", after_piece, attended)
    except KeyboardInterrupt:
        return EngineError("interrupted")
    except EngineError as error:
        return error
    finally:
        progress.clear()
    return None


def _print_event(event: Event) -> None:
    if isinstance(event.detail, _FREQUENT):
        return
    facts = {k: v for k, v in event.to_json().items() if k not in ("time_ns", "core", "kind", "registers", "backtrace")}
    words = " ".join(f"{name}={value}" for name, value in facts.items())
    sys.stderr.write(f"{event.time_ns / 1e6:12.6f} ms {event.core or 'host':8} {event.kind} {words}\n")


def _report(record: Record, verbosity: Verbosity) -> list[RptwinError]:
    """Every report that was asked for; those that cannot be written come back as errors, and hinder no other."""
    failures: list[RptwinError] = []
    try:
        if verbosity is Verbosity.QUIET:
            text = rendered(make_console(), lambda console: print_verdict(console, record))
        else:
            whole = verbosity is Verbosity.VERBOSE
            text = rendered(make_console(), lambda console: print_report(console, record, whole_consoles=whole))
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        give_up_stdout()
        failures.append(ReportError(f"report not written: {error.strerror or error}", where="standard output"))
    documents = (
        Document(record.settings.json, "JSON", lambda: to_json(record)),
        Document(record.settings.junit, "JUnit", lambda: _junit(record)),
    )
    return failures + list(write_documents(documents))


def _junit(record: Record) -> str:
    from orchestrator.report.junit import to_junit

    return to_junit(record)
