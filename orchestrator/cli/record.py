"""``rptwin record`` and ``rptwin compare``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from orchestrator.base.durations import format_duration
from orchestrator.base.errors import EngineError, UsageError
from orchestrator.base.words import counted
from orchestrator.board import End
from orchestrator.cli.options import both_images, refuse_overwriting
from orchestrator.cli.running import ProgressLine, open_board, traced
from orchestrator.config import TRACES, Settings
from orchestrator.recording import (
    Recorder,
    Recording,
    compile_masks,
    first_difference,
    load_recording,
    record,
    vary_quantum,
    write,
)

__all__ = ["compare", "record_pair", "recorded_settings"]

_OF_THE_RUN = ("profile", "table", "vtor", "map", "nuttx_config", "notify", "timeout", "until")


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """What a later run needs to be the same, as plain values and without paths."""
    values = {name: getattr(settings, name) for name in _OF_THE_RUN}
    return values | {"vtor": dict(settings.vtor), "map": list(settings.map), "notify": dict(settings.notify)}


def run_to_rest(settings: Settings, masks: tuple[str, ...] = ()) -> Recording:
    """Run a pair until its condition, if it has one, and then until it is quiet; record that."""
    with open_board(settings) as board, traced(settings, board):
        recorder = Recorder(board)
        progress = ProgressLine(f"quantum {format_duration(settings.quantum)}: ")
        try:
            if settings.until is not None:
                _whole(board.run(settings.until, f"{settings.timeout} ns", progress))
            _whole(board.run(None, f"{settings.timeout} ns", progress))
        finally:
            progress.clear()
        return record(board, recorder, recorded_settings(settings), masks)


def _whole(end: End) -> None:
    """A recording is of what the pair does by itself."""
    if end.reason.is_cut:
        raise EngineError("no recording of a run that was cut off", found=str(end), advice="give --wall-time more")


def record_pair(settings: Settings, masks: tuple[str, ...], output: str) -> int:
    """Write a recording: 0 when the pair came to rest, 1 when not."""
    both_images(settings)
    compile_masks(masks)
    traces = [path for key in TRACES if (path := getattr(settings, key)) is not None]
    refuse_overwriting({"--output": output}, settings, *traces)
    if settings.firmware:
        raise UsageError("a recording is of one pair", where="firmware", found=", ".join(settings.firmware))
    taken = run_to_rest(settings, masks)
    untraced = dataclasses.replace(settings, perfetto=None, vcd=None, pcapng=None, folded=None, lcov=None)
    taken = vary_quantum(taken, lambda quantum: run_to_rest(dataclasses.replace(untraced, quantum=quantum), masks))
    write(taken, output)
    messages = sum(len(each) for each in taken.compared.messages.values())
    sys.stdout.write(
        f"{output}: {taken.platform} on {taken.recorded['engine']}, {counted(messages, 'message')}, "
        f"{counted(len(taken.compared.findings), 'finding')}, {'at rest' if taken.at_rest else 'not at rest'}\n"
    )
    for quantum, difference in taken.quanta.items():
        if difference:
            sys.stdout.write(f"with a quantum of {quantum} the pair itself differs: {difference}\n")
    return 0 if taken.at_rest else 1


def compare(first: str, second: str) -> int:
    """Say the first difference of two recordings: 0 when there is none, 1 when there is one."""
    a, b = load_recording(first), load_recording(second)
    names = (Path(first).name, Path(second).name)
    if names[0] == names[1]:
        names = (first, second)
    difference = first_difference(a, b, names)
    if difference is None:
        sys.stdout.write(f"equal: {a.platform} on {a.recorded.get('engine')} and on {b.recorded.get('engine')}\n")
        return 0
    sys.stdout.write(f"{difference}\n")
    for name, each in zip(names, (a, b), strict=True):
        unsteady = [quantum for quantum, what in each.quanta.items() if what]
        if unsteady:
            sys.stdout.write(
                f"{name}: the pair differs on one and the same engine with a quantum of {', '.join(unsteady)}; "
                "the difference may be the firmware's\n"
            )
    return 1
