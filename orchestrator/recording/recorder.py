"""Recording a board: every message while it runs, and its state when it has."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator import __version__
from orchestrator.base.durations import format_duration
from orchestrator.base.roles import ROLES
from orchestrator.board import Board, EndReason
from orchestrator.engines.contract import SEMIHOSTING
from orchestrator.events import CoreState, Event
from orchestrator.observe.traffic import MessageRecord
from orchestrator.recording.compare import first_difference
from orchestrator.recording.model import PRINTED_TIME, Compared, Recording, compile_masks

__all__ = ["QUANTA_NS", "Recorder", "record", "vary_quantum"]

QUANTA_NS = (5_000, 20_000, 100_000)  # a pair that differs between these differs by itself, on any engine
_LOST = ("notification.missing", "notification.not-taken")
_SHORT = 32  # bytes of a payload that are written out


class Recorder:
    """Hears of every message of a board; make it before the board runs."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._messages: dict[str, list[str]] = {}
        self._heard: dict[str, int] = {}
        self.missed = 0  # messages that went by in one turn and of which only the count is known
        board.subscribe(self._listen)

    def _listen(self, _event: Event) -> None:
        self.look()

    def look(self) -> None:
        """Take what has come since the last look."""
        for path, log in self._board.observer.run.traffic.messages.items():
            total = sum(log.sent.values())
            new = total - self._heard.get(path, 0)
            self._heard[path] = total
            latest = list(log.last)[-new:] if new else []
            self.missed += new - len(latest)
            for each in latest:
                key = f"{path} from {each.sender} to {each.dst}"
                self._messages.setdefault(key, []).append(_message(each))

    @property
    def messages(self) -> dict[str, list[str]]:
        """By vdev, direction and endpoint."""
        return {key: self._messages[key] for key in sorted(self._messages)}


def _message(record: MessageRecord) -> str:
    payload = record.payload
    shown = payload.hex() if len(payload) <= _SHORT else f"sha256 {hashlib.sha256(payload).hexdigest()}"
    return f"{record.length} bytes from {record.src}: {shown}"


def record(board: Board, recorder: Recorder, settings: Mapping[str, Any], masks: Sequence[str] = ()) -> Recording:
    """What a board that has run shows now, what the masks match apart."""
    mask = compile_masks(masks)
    recorder.look()
    verdict, run = board.verdict(), board.observer.run
    in_flight = {path: len(ring.outstanding) for path, ring in run.traffic.rings.items() if not ring.is_pool}
    cores = {role: board.platform.core(role).name for role in ROLES}
    states = {role: board.engine.state(core) for role, core in cores.items()}
    # An engine that cannot tell what a core waits for says "running" of one that polls.
    idle = {role: "polling" if board.engine.waiting(core) else states[role].value for role, core in cores.items()}
    ended = board.end.reason if board.end is not None else None
    uarts = board.engine.consoles
    return Recording(
        platform=board.platform.name,
        images={
            role: {"name": image.name, "sha256": hashlib.sha256(image.data).hexdigest()}
            for role, image in board.images.items()
        },
        settings=settings,
        at_rest=ended is EndReason.QUIET and not any(in_flight.values()) and CoreState.LOCKED_UP not in states.values(),
        rest={"ended": ended.value if ended else None, "in_flight": dict(sorted(in_flight.items())), "cores": idle},
        masks=[PRINTED_TIME, *masks],
        compared=Compared(
            consoles={
                name: mask(uarts[name].output.decode("latin-1"))
                for name in sorted(uarts)
                if uarts[name].output or not name.endswith(SEMIHOSTING)  # which not every engine has
            },
            messages=recorder.messages,
            queues=_queues(board),
            table={role: data.hex() for role, data in sorted(board.live.others.items())},
            findings=sorted(f"{each.severity.value} {each.rule} {each.subject}".strip() for each in verdict.findings),
            lost_notifications=sorted(each.subject for each in verdict.findings if each.rule in _LOST),
        ),
        recorded={
            "rptwin": __version__,
            "engine": board.engine.name,
            "quantum_ns": board.quantum_ns,
            "seed": board.seed,
            "time_ns": board.time_ns,
            "instructions": {role: board.engine.instructions(board.platform.core(role).name) for role in ROLES},
            "notifications": run.ledger.to_json({})["channels"],
            "messages_missed": recorder.missed,
        },
    )


def _queues(board: Board) -> dict[str, dict[str, Any]]:
    traffic = board.observer.run.traffic
    return {
        path: {
            "avail.idx": ring.avail_idx,
            "used.idx": ring.used_idx,
            "buffers": {
                f"{address:#010x}": f"{buffer.span.size} bytes, {buffer.owner}"
                for address, buffer in sorted(traffic.buffers.items())
                if buffer.ring == path
            },
        }
        for path, ring in sorted(traffic.rings.items())
    }


def vary_quantum(recording: Recording, again: Callable[[int], Recording]) -> Recording:
    """The same with what other quanta make of the pair on the same engine; ``again`` records it at a quantum.

    A pair that did not come to rest has nothing to compare.
    """
    if not recording.at_rest:
        return recording
    own = recording.recorded["quantum_ns"]
    others = [quantum for quantum in QUANTA_NS if quantum != own]
    differences = {format_duration(each): first_difference(recording, again(each)) or "" for each in others}
    return dataclasses.replace(recording, quanta=differences)
