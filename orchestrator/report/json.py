"""The report for machines: stable keys, stable order, everything that depends on the wall clock under one key."""

from __future__ import annotations

import json

from orchestrator import __version__
from orchestrator.board import End
from orchestrator.config import Settings
from orchestrator.report.record import Record, WallClock

__all__ = ["SCHEMA", "error_as_json", "to_json"]


def _end(end: End) -> dict[str, object]:
    """Why and when; what was armed and not waited for, where it was quiet."""
    coming = [
        {"device": each.device, "core": each.core or None, "time_ns": each.time_ns} for each in end.not_waited_for
    ]
    return {
        "reason": end.reason.value,
        "time_ns": end.time_ns,
        **({"not_waited_for": coming} if coming else {}),
    }


SCHEMA = 1  # version of the keys and what they mean; another one where a reader of this one would be misled


def to_json(record: Record, error: object = None) -> str:
    """The report as a JSON document; two runs with the same inputs differ under ``wall_clock`` only.

    ``verdict`` is that of the first pair; with further ones, ``pairs`` has theirs by name, and ``exit_code`` is the
    worst of all. ``error`` is what ended the run before it was over: exit code 2.
    """
    further = {each.pair: each.verdict.to_json() for each in record.further}
    document = {
        "rptwin": __version__,
        "schema": SCHEMA,
        "parameters": record.parameters(),
        "end": _end(record.end),
        "verdict": record.verdict.to_json(),
        **({"pairs": further} if further else {}),
        "exit_code": record.exit_code if error is None else 2,
        **({"error": str(error)} if error is not None else {}),
        **({"reading": record.reading.to_json()} if record.reading is not None else {}),
        "instructions": dict(record.instructions),
        "consoles": dict(record.consoles),
        "wall_clock": {"started": record.wall_clock.started, "seconds": record.wall_clock.seconds},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def error_as_json(settings: Settings, error: object, wall_clock: WallClock) -> str:
    """A run that could not be: what was asked for, and why not."""
    document = {
        "rptwin": __version__,
        "schema": SCHEMA,
        "parameters": {"platform": settings.platform, "main": settings.main, "remote": settings.remote},
        "exit_code": 2,
        "error": str(error),
        "wall_clock": {"started": wall_clock.started, "seconds": wall_clock.seconds},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
