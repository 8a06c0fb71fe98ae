"""What went on during a run, moment by moment, for tools that draw it.

In: a board that has not run yet. Out: :class:`Trace`, plain data in bounded memory, and files that other tools open.
"""

from orchestrator.trace.collector import TraceCollector
from orchestrator.trace.model import (
    CodePlace,
    CoreSpan,
    ExceptionSpan,
    FaultMark,
    FindingMark,
    LeftOut,
    MessageTrace,
    Notification,
    PairTrace,
    RingChange,
    RingShape,
    StackSample,
    TableChange,
    Trace,
    TraceCore,
)
from orchestrator.trace.rings import RingReplay, RingState

__all__ = [
    "CodePlace",
    "CoreSpan",
    "ExceptionSpan",
    "FaultMark",
    "FindingMark",
    "LeftOut",
    "MessageTrace",
    "Notification",
    "PairTrace",
    "RingChange",
    "RingReplay",
    "RingShape",
    "RingState",
    "StackSample",
    "TableChange",
    "Trace",
    "TraceCollector",
    "TraceCore",
]
