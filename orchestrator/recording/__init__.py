"""Recordings: the state of a board at rest, for comparison between engines and releases.

In: a board. Out: plain values in a stable order, free of wall-clock time and paths, and the first difference between
two of them in words. What is compared does not depend on how the cores' turns interleave; what does is only recorded.
"""

from orchestrator.recording.compare import first_difference
from orchestrator.recording.model import (
    PRINTED_TIME,
    Compared,
    Recording,
    compile_masks,
    load_recording,
    parse_recording,
    write,
)
from orchestrator.recording.recorder import QUANTA_NS, Recorder, record, vary_quantum

__all__ = [
    "PRINTED_TIME",
    "QUANTA_NS",
    "Compared",
    "Recorder",
    "Recording",
    "compile_masks",
    "first_difference",
    "load_recording",
    "parse_recording",
    "record",
    "vary_quantum",
    "write",
]
