"""State in, findings out: what the images promise, what both cores see, what went through the rings.

The same checks judge a file, a dump and a running board; nothing here knows an emulator, and nothing reads a console.
"""

from orchestrator.checks.catalogue import render_catalogue
from orchestrator.checks.finding import Finding, Severity, Stage
from orchestrator.checks.observer import ObserveOptions, Observer, Watcher
from orchestrator.checks.rule import Rule, catalogue
from orchestrator.checks.static import check_live, check_static
from orchestrator.checks.verdict import Cause, Verdict, judge

__all__ = [
    "Cause",
    "Finding",
    "ObserveOptions",
    "Observer",
    "Rule",
    "Severity",
    "Stage",
    "Verdict",
    "Watcher",
    "catalogue",
    "check_live",
    "check_static",
    "judge",
    "render_catalogue",
]
