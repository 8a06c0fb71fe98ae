"""What single events say of a run: what a core did, and how far the table has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.events import (
    RESET,
    SYSTEM_RESET,
    CoreState,
    Detail,
    ExceptionReturn,
    ExceptionTaken,
    Fault,
    GuestError,
    Lockup,
    NotificationTaken,
    StateChanged,
)
from orchestrator.formats.resource_entry import (
    VIRTIO_CONFIG_S_ACKNOWLEDGE,
    VIRTIO_CONFIG_S_DRIVER,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_NEEDS_RESET,
)
from orchestrator.observe.live import LiveView
from orchestrator.observe.run import Channel, CoreRun, Run
from orchestrator.observe.traffic import Actor

__all__ = ["SEEN_OF_CORES", "note_progress", "see_core", "see_taken"]

_STATUS_MILESTONES = (
    (VIRTIO_CONFIG_S_ACKNOWLEDGE, "ACKNOWLEDGE"),
    (VIRTIO_CONFIG_S_DRIVER, "DRIVER"),
    (VIRTIO_CONFIG_S_DRIVER_OK, "DRIVER_OK"),
)


def see_core(run: Run, time_ns: int, core: CoreRun, detail: Detail) -> None:
    """What a core did or what became of it; of the kinds of ``SEEN_OF_CORES``."""
    _SEES[type(detail)](run, time_ns, core, detail)


def _see_exception(_run: Run, time_ns: int, core: CoreRun, detail: ExceptionTaken) -> None:
    core.see_exception(time_ns, detail.number, detail.return_address)


def _see_return(_run: Run, _time_ns: int, core: CoreRun, detail: ExceptionReturn) -> None:
    core.served.leave(detail.number, detail.address)


def _see_state(run: Run, time_ns: int, core: CoreRun, detail: StateChanged) -> None:
    core.state, core.why = detail.state, detail.why
    core.acted_ns = time_ns
    if detail.why.startswith(SYSTEM_RESET):
        core.resets += 1
        if detail.backtrace or core.last_reset is None:
            core.last_reset = (time_ns, detail)
    elif detail.why.startswith(RESET):
        core.reset_ns = time_ns
    if detail.state is CoreState.SLEEPING:
        core.slept = True
        core.slept_ns = time_ns
        core.act(time_ns)
    elif detail.state is CoreState.RUNNING and core.released_ns is None:
        core.released_ns = time_ns
        run.reach(time_ns, core.role, "released", detail.why)


def _see_fault(run: Run, time_ns: int, core: CoreRun, detail: Fault) -> None:
    run.see_fault(core, time_ns, detail)
    run.reach(time_ns, core.role, "fault", detail.what)


def _see_lockup(run: Run, time_ns: int, core: CoreRun, detail: Lockup) -> None:
    core.lockup = core.lockup or (time_ns, detail)
    core.state = CoreState.LOCKED_UP
    run.reach(time_ns, core.role, "lockup", detail.what)


def _see_error(run: Run, time_ns: int, core: CoreRun, detail: GuestError) -> None:
    run.see_error(core, time_ns, detail)


_SEES: Mapping[type[Any], Callable[[Run, int, CoreRun, Any], None]] = {
    ExceptionTaken: _see_exception,
    ExceptionReturn: _see_return,
    StateChanged: _see_state,
    Fault: _see_fault,
    Lockup: _see_lockup,
    GuestError: _see_error,
}
SEEN_OF_CORES = tuple(_SEES)
"""The kinds of events that say what a core did or what became of it."""


def see_taken(run: Run, time_ns: int, role: str, detail: NotificationTaken) -> None:
    """A core took the exception of a mailbox."""
    ledger = run.ledger
    for number in detail.channels or (None,):
        ledger.taken[Channel(role, detail.mailbox, number)] += 1
    ledger.last_taken_ns[role] = time_ns


def note_progress(run: Run, live: LiveView, before: LiveView, by: Actor) -> None:
    """What has become of the table since it was read before, and by whom."""
    if live.is_as_declared and not before.is_as_declared:
        for role in live.others:
            run.reach(by.time_ns, by.role, f"table present as {role} sees it")
    old = {ring.path: ring for ring in before.rings}
    for ring in live.rings:
        was = old.get(ring.path)
        if was is not None and was.span != ring.span and was.has_address:
            run.traffic.restart(ring.path)
        if ring.is_resolved:
            run.reach(by.time_ns, by.role, f"{ring.path} resolved", str(ring.span))
    for vdev in live.vdevs:
        earlier = next((v.status for v in before.vdevs if v.path == vdev.path), 0)
        for bit, name in _STATUS_MILESTONES:
            if vdev.status & bit and not earlier & bit:
                run.reach(by.time_ns, by.role, f"{vdev.path} {name}")
        if vdev.is_driver_ok:
            run.stopped.pop(vdev.path, None)
            if not earlier & VIRTIO_CONFIG_S_DRIVER_OK:
                run.driver_ok_ns[vdev.path] = by.time_ns
        elif earlier & VIRTIO_CONFIG_S_DRIVER_OK and vdev.status in (0, VIRTIO_CONFIG_S_NEEDS_RESET):
            run.stopped[vdev.path] = by
