"""``rptwin judge``: looks at a board that rptwin did not boot, and judges what stands in its memory."""

from __future__ import annotations

import sys

from orchestrator.base.errors import ReportError, RptwinError
from orchestrator.cli.errors import COULD_NOT_RUN, complain, give_up_stdout
from orchestrator.cli.failures import Clock, reported_failure
from orchestrator.cli.looking import Looker, Wanted
from orchestrator.cli.run import Verbosity
from orchestrator.cli.running import named_options
from orchestrator.config import Settings
from orchestrator.platform import load_platform, refuse_without_pair, with_memory
from orchestrator.report.annotations import to_github
from orchestrator.report.documents import documents_of, takes_standard_output
from orchestrator.report.files import write_documents
from orchestrator.report.reading import print_reading
from orchestrator.report.record import Record
from orchestrator.report.terminal import make_console, rendered

__all__ = ["Wanted", "judge_board"]


def judge_board(settings: Settings, wanted: Wanted, platform: str | None, verbosity: Verbosity) -> int:
    """Look, report, and say it in an exit code: 0 good, 1 findings, 2 when it could not be read or reported."""
    clock = Clock()
    with reported_failure(settings, clock), named_options():
        with_platform = None if platform is None else with_memory(load_platform(platform), settings.memory)
        if with_platform is not None:
            refuse_without_pair(with_platform)
        record = Looker(settings, wanted, with_platform).record(clock)
    failures = _report(record, verbosity)
    for each in failures:
        complain(each)
    return COULD_NOT_RUN if failures else record.exit_code


def _report(record: Record, verbosity: Verbosity) -> list[RptwinError]:
    failures: list[RptwinError] = []
    stream = sys.stderr if takes_standard_output(record.settings) else sys.stdout
    whole, short = verbosity is Verbosity.VERBOSE, verbosity is Verbosity.QUIET
    text = rendered(make_console(stream), lambda console: print_reading(console, record, whole=whole, short=short))
    try:
        stream.write(text + (to_github(record) if record.settings.annotations == "github" else ""))
        stream.flush()
    except OSError as problem:
        give_up_stdout()
        failures.append(ReportError(f"report not written: {problem.strerror or problem}", where="standard output"))
    return failures + list(write_documents(documents_of(record)))
