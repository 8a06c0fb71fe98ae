"""A whole Unicorn board at one moment."""

from __future__ import annotations

from orchestrator.base.console_output import OutputState
from orchestrator.base.dataclass import dataclass
from orchestrator.engines.unicorn.cpu.core import CoreSnapshot
from orchestrator.engines.unicorn.injection import InjectionState
from orchestrator.engines.unicorn.memory.saved_bytes import Chunks
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.engines.unicorn.wiring import Wiring

__all__ = ["BoardSnapshot", "restore_board", "take_snapshot"]


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """Everything that makes a board go on as it would have; ``owner`` is the engine that took it."""

    owner: object
    time_ns: int
    quantum: int
    memory: dict[str, Chunks]
    cores: tuple[CoreSnapshot, ...]
    devices: dict[str, object]
    mailboxes: tuple[tuple[int, int, int], ...]
    hosted: tuple[tuple[bool, bool, int | None], ...]
    lines: dict[tuple[str, int], bool]
    alarms: dict[str, int]
    consoles: dict[str, OutputState]
    passed_gates: frozenset[int]
    caches: tuple[object, ...]
    injections: InjectionState | None
    ordered: tuple[tuple[int, ...], ...]


def take_snapshot(owner: object, wiring: Wiring, turn: Turn) -> BoardSnapshot:
    """Between two turns only."""
    wiring.settle()
    return BoardSnapshot(
        owner,
        turn.time_ns,
        turn.quantum,
        wiring.memory.save(),
        tuple(core.save() for core in wiring.cores),
        {name: device.snapshot() for name, device in wiring.devices.items()},
        wiring.mailboxes.save(),
        tuple((each.held, each.asked, each.at_ns) for each in wiring.hosted.values()),
        dict(wiring.lines),
        dict(wiring.alarms),
        {name: console.save() for name, console in wiring.consoles.items()},
        frozenset(wiring.gates.passed),
        () if wiring.coherence is None else wiring.coherence.save(),
        None if wiring.injections is None else wiring.injections.save(),
        tuple(core.order_log.save() for core in wiring.cores),
    )


def restore_board(snapshot: BoardSnapshot, wiring: Wiring, turn: Turn) -> None:
    """Between two turns only; the board is the one that it was taken from."""
    turn.quantum = snapshot.quantum
    wiring.memory.restore(snapshot.memory)
    for core, saved in zip(wiring.cores, snapshot.cores, strict=True):
        core.load(saved)
    for name, device in wiring.devices.items():
        device.restore(snapshot.devices[name])
    for core, ordered in zip(wiring.cores, snapshot.ordered, strict=True):
        core.order_log.restore(ordered)
    if wiring.coherence is not None:
        wiring.coherence.restore(snapshot.caches)
    if wiring.injections is not None and snapshot.injections is not None:
        wiring.injections.restore(snapshot.injections)
    wiring.mailboxes.restore(snapshot.mailboxes)
    wiring.gates.passed = set(snapshot.passed_gates)
    wiring.look_at_gates()
    for hosted, (held, asked, at_ns) in zip(wiring.hosted.values(), snapshot.hosted, strict=True):
        hosted.held, hosted.asked, hosted.at_ns = held, asked, at_ns
    wiring.lines = dict(snapshot.lines)
    wiring.alarms = dict(snapshot.alarms)
    for name, console in wiring.consoles.items():
        console.load(snapshot.consoles[name])
