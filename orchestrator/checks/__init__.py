"""State in, findings out: what the images promise, what both cores see, what went through the rings.

Judgement only: what was seen, by whom and when is gathered in :mod:`orchestrator.observe`. The same checks judge a
file, a dump and a running board; nothing here knows an emulator, and nothing reads a console.
"""

from orchestrator.checks.catalogue import catalogue, render_catalogue
from orchestrator.checks.causes import Cause
from orchestrator.checks.finding import Finding, Severity, Stage
from orchestrator.checks.rule import Rule
from orchestrator.checks.static import check_live, check_static
from orchestrator.checks.verdict import Verdict, judge

__all__ = [
    "Cause",
    "Finding",
    "Rule",
    "Severity",
    "Stage",
    "Verdict",
    "catalogue",
    "check_live",
    "check_static",
    "judge",
    "render_catalogue",
]
