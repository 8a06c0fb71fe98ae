"""The report for machines: stable keys, stable order, everything that depends on the wall clock under one key."""

from __future__ import annotations

import json

from orchestrator import __version__
from orchestrator.board import End
from orchestrator.report.record import Record

__all__ = ["to_json"]


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


def to_json(record: Record) -> str:
    """The report as a JSON document; two runs with the same inputs differ under ``wall_clock`` only.

    ``verdict`` is that of the first pair; with further ones, ``pairs`` has theirs by name, and ``exit_code`` is the
    worst of all.
    """
    further = {each.pair: each.verdict.to_json() for each in record.further}
    document = {
        "rptwin": __version__,
        "parameters": record.parameters(),
        "end": _end(record.end),
        "verdict": record.verdict.to_json(),
        **({"pairs": further, "exit_code": record.exit_code} if further else {}),
        "instructions": dict(record.instructions),
        "consoles": dict(record.consoles),
        "wall_clock": {"started": record.wall_clock.started, "seconds": record.wall_clock.seconds},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
