"""What a core is doing while work waits for it: busy where it does not come back from, or waiting for a lock."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Place
from orchestrator.base.roles import the
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.rules.boot import spins_unheard
from orchestrator.checks.state import REST_NS, CoreSubject, State, cores, states
from orchestrator.checks.waits import Wait, Work, cycle_of, lock_of, waits_of, work_for
from orchestrator.events import CoreState
from orchestrator.observe.run import CoreRun

__all__: list[str] = []

_FIRST_INTERRUPT = 16  # number of the exception of external interrupt 0
_FAULTS = range(2, 7)  # NMI to UsageFault: core.fault says it
_NEAR = 32  # bytes: two places in one short loop


def _busy(state: State) -> Iterator[CoreSubject]:
    """Each core that runs at the end of a run in which DRIVER_OK was reached, and that has not faulted."""
    live = state.live
    if live is None or not any(vdev.is_driver_ok for vdev in live.vdevs) or spins_unheard(state):
        return
    for subject in cores(state):
        core = subject.core
        ended = subject.run.ended is not None and core.backtrace
        has_died = core.lockup is not None or core.fatal_faults(subject.run.time_ns)
        if ended and core.state is CoreState.RUNNING and not has_died:
            yield subject


def _pending(subject: CoreSubject) -> tuple[str, ...]:
    return tuple(map(str, work_for(subject.state, subject.core.role)))


def _at(core: CoreRun) -> tuple[Place, ...]:
    frame = core.backtrace[0]
    return (Place(core.name, frame.pc, frame.symbol or ""),)


def _exception(subject: CoreSubject) -> str:
    number, platform = subject.core.exception, subject.state.platform
    interrupt = number - _FIRST_INTERRUPT
    lines = (
        (mailbox.peripheral, line)
        for mailbox in (platform.mailboxes if platform else ())
        for line in mailbox.lines
        if line.core == subject.core.name and line.interrupt == interrupt
    )
    name = next((f"the interrupt of {mailbox}" for mailbox, _ in lines), "exception")
    return f"{name} ({interrupt}+{_FIRST_INTERRUPT})" if interrupt >= 0 else f"exception {number}"


@rule(
    "core.never-returned",
    stage=Stage.BOOT,
    source="DDI0403E B1.5.8: a handler ends by an exception return; nothing of its priority or below runs before"
    " (ST community 138162, libmetal 342)",
    each=_busy,
    of_absence=True,
)
def handlers_return(subject: CoreSubject) -> Iterator[Violation]:
    """A handler of an exception returns."""
    core, run = subject.core, subject.run
    since = core.taken_ns.get(core.exception)
    if not core.exception or core.exception in _FAULTS or since is None or run.time_ns - since < REST_NS:
        return
    yield Violation(
        at=_at(core),
        expected=f"a return from {_exception(subject)}",
        actual=f"taken after {since / 1e6:.3f} ms and never left, at {core.where}",
        advice="the vector names a handler that loops (a default handler?), or the handler waits for what only the code"
        " that it interrupted can do",
        subject=core.role,
        core=core.role,
        detail=(*_pending(subject), *core.waits_for),
        backtrace=core.backtrace,
    )


def _is_idle_place(core: CoreRun, since_ns: int) -> bool:
    """It was interrupted right here before the work came: this is where it waits for work."""
    pc = core.backtrace[0].pc
    return any(abs(at - pc) <= _NEAR and time_ns < since_ns for at, time_ns in core.interrupted_ns.items())


def _told_of(subject: CoreSubject) -> list[Work]:
    """The work that the core has taken a notification for, or that waits since before it last took one."""
    taken = subject.run.ledger.last_taken_ns.get(subject.core.role, -1)
    found = work_for(subject.state, subject.core.role)
    return [each for each in found if each.was_told and taken >= each.since_ns - subject.state.turn_ns]


@rule(
    "core.spins",
    stage=Stage.BOOT,
    source="virtio 1.3, 2.7: a side that was told of buffers looks at them (rpmsg-lite 6)",
    each=_busy,
    of_absence=True,
)
def cores_come_back_to_their_work(subject: CoreSubject) -> Iterator[Violation]:
    """No core that was told of work is busy to the end somewhere else than where it waits for work."""
    core = subject.core
    told = _told_of(subject)
    if core.exception or not told or lock_of(subject.state, core) is not None:
        return
    since = min(each.since_ns for each in told)
    if _is_idle_place(core, since):
        return
    yield Violation(
        at=_at(core),
        expected=f"{the(core.role)} takes what it was told of",
        actual=f"busy since {since / 1e6:.3f} ms at the latest, at {core.where}",
        advice="a failed check, or a wait inside its own callback: what it waits for cannot happen meanwhile",
        subject=core.role,
        core=core.role,
        detail=(*_pending(subject), *core.waits_for),
        backtrace=core.backtrace,
    )


@rule(
    "core.lock-held",
    stage=Stage.BOOT,
    source="the chip's reference manual: a semaphore is its owner's until the owner frees it (zephyr 86494, 90668)",
    each=_busy,
    of_absence=True,
)
def locks_are_freed(subject: CoreSubject) -> Iterator[Violation]:
    """No core waits to the end for the lock of a channel that another one holds."""
    core = subject.core
    found = lock_of(subject.state, core)
    if found is None or subject.run.time_ns - (core.acted_ns or 0) < REST_NS:
        return
    poll, name = found.poll, f"{found.mailbox} {found.channel}"
    who = f"which {found.holder} holds" if found.holder else "which is taken"
    yield Violation(
        at=_at(core),
        expected=f"{name} to be free",
        actual=f"{core.name} waits for {name}, {who} ({poll.value:#x} at {poll.address:#010x}),"
        f" since {(core.acted_ns or 0) / 1e6:.3f} ms",
        advice="reading the lock register may take the lock: look at a status register instead, and free what is taken",
        subject=core.role,
        core=core.role,
        detail=core.waits_for,
        backtrace=core.backtrace,
    )


def _out_of(cycle: tuple[Wait, ...]) -> str:
    by_vdev = [bool(each.vdev) for each in cycle]
    if all(by_vdev):
        return "take what has come, and give its buffers back, while waiting for one to send in"
    if any(by_vdev):
        return "free a lock before waiting for the core that wants it"
    return "take the two locks in the same order on both cores"


@rule(
    "core.deadlock",
    stage=Stage.BOOT,
    source="E. G. Coffman et al., System Deadlocks, 1971: a circle of waits ends by none of those who wait"
    " (open-amp PR 320, zephyr PR 68764)",
    each=states,
    of_absence=True,
)
def cores_do_not_wait_for_each_other(state: State) -> Iterator[Violation]:
    """The cores do not wait for each other's buffers or locks to the end."""
    run, cycle = state.run, cycle_of(waits_of(state))
    if not cycle:
        return
    pair = [run.cores[each.role] for each in cycle]
    if any(core.lockup is not None or core.fatal_faults(run.time_ns) for core in pair):
        return
    yield Violation(
        at=tuple(place for core in pair if core.backtrace for place in _at(core)),
        expected="one of the two cores to go on without the other",
        actual=", and ".join(
            f"{the(each.role)} waits since {each.since_ns / 1e6:.3f} ms for {each.what}" for each in cycle
        ),
        advice=_out_of(cycle),
        subject=next((each.vdev for each in cycle if each.vdev), "cores"),
        detail=tuple(f"{core.name} is {core.state} at {core.where}" for core in pair if core.where),
    )
