"""What the cores do: start, live, and stay alive."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import REST_NS, CoreSubject, State, cores, states
from orchestrator.events import CoreState, Fault, Poll
from orchestrator.platform.model import Platform

__all__ = ["spins_unheard"]

_NOTHING = "where this chip has nothing"
_FOR_EVER = 3  # resets in one run; one or two are part of some start-ups


def _ended(state: State) -> Iterator[CoreSubject]:
    for each in cores(state):
        if each.run.ended is not None:
            yield each


@rule(
    "core.never-started",
    stage=Stage.BOOT,
    source="remoteproc: who starts a core takes it out of reset (Linux rproc_ops.start)",
    each=_ended,
    of_absence=True,
)
def cores_are_released(subject: CoreSubject) -> Iterator[Violation]:
    """Each core is running, or has run, by the end."""
    core = subject.core
    if core.state is CoreState.HELD and core.released_ns is None:
        yield Violation(
            at=(Place(core.name, 0, "reset"),),
            expected="released from reset",
            actual=f"held: {core.why or 'never released'}",
            advice="the other core must release it, or the chip's options must boot it",
            subject=core.role,
            core=core.role,
        )


def _what(platform: Platform | None, fault: Fault) -> str:
    """What the engine says; that a board may have memory there, where the chip leads out of itself."""
    address, external = fault.address, platform.external if platform is not None else ()
    name = next((name for name, extent in external if address is not None and address in extent), None)
    if name is None:
        return fault.what
    return fault.what.replace(_NOTHING, f"in {name}: what the board has there is given by --memory ADDRESS:SIZE")


def _status(fault: Fault) -> str:
    """The bits of CFSR and HFSR as the manual names them."""
    return f"status {' | '.join(fault.status) or 'none'}" + (", escalated to HardFault" if fault.escalated else "")


def _remedy(fault: Fault) -> str:
    """What to look at, by the bits of CFSR and HFSR (DDI0403E B3.2.15 and B3.2.16)."""
    status = set(fault.status)
    if status & {"STKERR", "MSTKERR", "UNSTKERR", "MUNSTKERR", "STKOF"}:
        return "the stack pointer has left its memory: enlarge the stack, or find what moved it there"
    if status & {"IBUSERR", "IACCVIOL", "INVSTATE", "VECTTBL"}:
        return "it jumped to where no code is: see a function pointer or vector that nobody set, or a return address"
    if "UNDEFINSTR" in status:
        return "data or overwritten code is executed, or code for another core: check -mcpu, and what calls it"
    if "NOCP" in status:
        return "enable the coprocessor before its first instruction: CPACR for the FPU, early in the start-up code"
    if "INVPC" in status:
        return "the handler returns by a value that is no EXC_RETURN: what it saved of LR was overwritten"
    if status & {"UNALIGNED", "DIVBYZERO"}:
        return "correct the operand of this instruction, which CCR asks to trap"
    if "DEBUGEVT" in status:
        return "a breakpoint in the code, as an assertion ends, and no debugger to take it: see what was asserted"
    return "find where this instruction has the address from: a pointer that nobody set, or that was overwritten"


@rule("core.fault", stage=Stage.BOOT, source="DDI0403E B1.5.14, fault behaviour", each=cores)
def cores_do_not_fault(subject: CoreSubject) -> Iterator[Violation]:
    """No core takes a fault whose handler does not return, or after which it does nothing else any more."""
    core = subject.core
    fatal = core.fatal_faults(subject.run.time_ns)
    # The one that it ends with; before the end, or where there are several, the first.
    place = next((each for each in fatal if each.is_for_ever), fatal[0] if fatal else None)
    if place is not None:
        time_ns, fault = place.time_ns, place.fault
        more = f", and {core.fault_count - 1} more" if core.fault_count > 1 else ""
        if place.is_for_ever:
            more = f", {place.count} times: its handler returns to the instruction, and nothing has changed"
        elif core.served.runs_away:
            more = (
                f", and {core.fault_count - 1} more at ever new instructions: its handler skips what faults, and what"
            )
            more += " follows faults as well"
        is_served_perhaps = not subject.state.tells_of_absence and subject.run.time_ns - place.last_ns < REST_NS
        yield Violation(
            at=(Place(core.name, fault.pc, fault.symbol or ""),),
            expected="no fault",
            actual=f"{fault.name} after {time_ns / 1e6:.3f} ms: {_what(subject.state.platform, fault)}{more}",
            advice=_remedy(fault),
            subject=core.role,
            core=core.role,
            detail=(_status(fault),),
            backtrace=fault.backtrace,
            touches=() if fault.address is None else (Extent(fault.address, 1),),
            severity=Severity.WARNING if is_served_perhaps and not place.is_for_ever else None,
        )


@rule(
    "core.fault-handled",
    stage=Stage.BOOT,
    source="DDI0403E B1.5.14: a handler may serve a fault and return (NuttX with PRIMASK: arm_hardfault.c, svc 0)",
    each=cores,
    severity=Severity.NOTE,
)
def faults_that_are_served_are_counted(subject: CoreSubject) -> Iterator[Violation]:
    """Faults whose handler returns, and after which the core goes on with its work, are counted."""
    core = subject.core
    handled = core.handled_faults(subject.run.time_ns)
    if handled:
        fault, count = handled[0].fault, sum(each.count for each in handled)
        where = f"{len(handled)} places, the first" if len(handled) > 1 else "one place"
        yield Violation(
            at=tuple(Place(core.name, each.fault.pc, each.fault.symbol or "") for each in handled[:4]),
            expected="no fault, or one that its handler serves",
            actual=f"{count} served, at {where} after {handled[0].time_ns / 1e6:.3f} ms: {fault.name}, {fault.what}",
            advice="nothing to do, if the handler is meant to: the core went on with its work each time",
            subject=core.role,
            core=core.role,
        )


@rule("core.resets", stage=Stage.BOOT, source="DDI0403E B1.5.16, SYSRESETREQ", each=cores)
def cores_do_not_reset_the_chip_for_ever(subject: CoreSubject) -> Iterator[Violation]:
    """No core resets the chip again and again."""
    core = subject.core
    if core.resets >= _FOR_EVER and core.last_reset is not None:
        time_ns, reset = core.last_reset
        first = reset.backtrace[0] if reset.backtrace else None
        yield Violation(
            at=(Place(core.name, first.pc if first else 0, (first.symbol if first else None) or ""),),
            expected="a boot that ends",
            actual=f"{core.resets} resets of the chip, one of them after {time_ns / 1e6:.3f} ms: {reset.why}",
            advice="what asks for the reset finds the same after it: an assertion, a fault handler, a watchdog",
            subject=core.role,
            core=core.role,
            backtrace=reset.backtrace,
        )


@rule(
    "core.reset-unnoticed",
    stage=Stage.BOOT,
    source="virtio 1.2, 2.1: a device that was reset is initialized anew, which begins with 0 in its status",
    each=_ended,
    of_absence=True,
)
def who_was_reset_negotiates_anew(subject: CoreSubject) -> Iterator[Violation]:
    """A core that was reset while a vdev was at DRIVER_OK takes part in setting it up once more."""
    core, run = subject.core, subject.run
    if core.reset_ns is None or run.time_ns - core.reset_ns < REST_NS:
        return
    live = subject.state.live
    for vdev in live.vdevs if live is not None else ():
        since = run.driver_ok_ns.get(vdev.path)
        if vdev.is_driver_ok and since is not None and since < core.reset_ns:
            yield Violation(
                at=(Place(core.name, 0, "reset"),),
                expected=f"{vdev.path} is set up anew",
                actual=f"reset at {core.reset_ns / 1e6:.3f} ms, and DRIVER_OK is still that of {since / 1e6:.3f} ms",
                advice="the other core must be told of the reset, and write 0 to the vdev's status",
                subject=vdev.path,
                core=core.role,
            )


@rule("core.lockup", stage=Stage.BOOT, source="DDI0403E B1.5.15, lockup", each=cores)
def cores_do_not_lock_up(subject: CoreSubject) -> Iterator[Violation]:
    """No core locks up."""
    core = subject.core
    if core.lockup is not None:
        time_ns, lockup = core.lockup
        yield Violation(
            at=(Place(core.name, lockup.pc, lockup.symbol or ""),),
            expected="a core that can go on",
            actual=f"locked up after {time_ns / 1e6:.3f} ms: {lockup.what}",
            advice="a fault inside a fault handler, or no usable vector: only a reset helps",
            subject=core.role,
            core=core.role,
            backtrace=lockup.backtrace,
        )


@rule(
    "core.silent",
    stage=Stage.BOOT,
    source="RPTUN: each side has a part in the bring-up",
    each=_ended,
    of_absence=True,
)
def cores_give_a_sign_of_life(subject: CoreSubject) -> Iterator[Violation]:
    """A core that runs to the end sleeps, takes an exception, notifies or writes shared memory at least once."""
    core = subject.core
    if core.is_silent and subject.run.up_ns is None:
        pc = core.backtrace[0].pc if core.backtrace else 0
        yield Violation(
            at=(Place(core.name, pc, core.backtrace[0].symbol or "" if core.backtrace else ""),),
            expected="some sign of life",
            actual="it executes instructions and does nothing that can be seen"
            + (f", at {core.where}" if core.where else ""),
            advice="it waits in a loop early in its start-up, or never gets there",
            subject=core.role,
            core=core.role,
            detail=core.waits_for,
            backtrace=core.backtrace,
        )


def _register(platform: Platform, core: str, poll: Poll) -> str:
    """A register by its peripheral and offset: ``QUADSPI+0x008``."""
    bases = [
        at.address
        for each in platform.peripherals
        if each.name == poll.peripheral
        for at in each.registrations
        if at.seen_by(core)
    ]
    bases += [extent.start for name, extent, _ in platform.tags if name == poll.peripheral]
    base = max((base for base in bases if base <= poll.address), default=poll.address)
    return f"{poll.peripheral}+{poll.address - base:#05x}"


def spins_unheard(state: State) -> bool:
    """The remote is busy to the end and has never told main anything: a finding of its own."""
    run, live = state.run, state.live
    if run.ended is None or run.up_ns is not None or live is None:
        return False
    core = run.cores[REMOTE]
    busy = core.state is CoreState.RUNNING and not core.is_silent and not core.fatal_faults(run.time_ns)
    return busy and not core.has_notified and not any(vdev.is_driver_ok for vdev in live.vdevs)


def _ended_before_up(state: State) -> Iterator[CoreSubject]:
    return (each for each in _ended(state) if each.run.up_ns is None)


@rule(
    "core.polling",
    stage=Stage.BOOT,
    source="the chip's reference manual: the register, and what changes it",
    each=_ended_before_up,
    of_absence=True,
)
def cores_do_not_poll_a_register_for_ever(subject: CoreSubject) -> Iterator[Violation]:
    """No core ends in a loop that reads a device register which nothing changes; a mailbox apart, and a console that
    one reads who has done something before.
    """
    core, platform = subject.core, subject.state.platform
    if platform is None or core.waiting is None or (core.role == REMOTE and spins_unheard(subject.state)):
        return
    others = {mailbox.peripheral for mailbox in platform.mailboxes}
    if not core.is_silent:  # a shell that waits for a key; who has done nothing yet waits to be let print
        others |= set(platform.consoles.values())
    polls = [poll for poll in core.waiting.polls if poll.peripheral and poll.peripheral not in others]
    if not polls:
        return
    registers = [_register(platform, core.name, poll) for poll in polls]
    yield Violation(
        at=(Place(core.name, core.waiting.pc, core.waiting.symbol or ""),),
        expected=f"{registers[0]} to change",
        actual=f"it reads {polls[0].value:#x} each time, to the end",
        advice="a clock or a peripheral that is not there, not enabled, or not modelled: see the unmodelled registers",
        subject=core.role,
        core=core.role,
        detail=core.waits_for,
        backtrace=core.backtrace,
    )


@rule(
    "core.stuck",
    stage=Stage.BOOT,
    source="RPTUN: the slave tells the master that its table is ready",
    each=states,
    of_absence=True,
)
def remote_gets_past_its_start(state: State) -> Iterator[Violation]:
    """The remote does not spin for ever before it has told main anything."""
    run = state.run
    if spins_unheard(state):
        core = run.cores[REMOTE]
        pc = core.backtrace[0].pc if core.backtrace else 0
        main = run.cores[MAIN]
        whereabouts = (f"main is {main.state} at {main.where}",) if main.where else ()
        yield Violation(
            at=(Place(core.name, pc, core.backtrace[0].symbol or "" if core.backtrace else ""),),
            expected="a notification to main, or sleep",
            actual=f"busy to the end{f', at {core.where}' if core.where else ''}, and main was never notified",
            advice="see what this loop waits for: a lock that nobody frees, a flag that nobody sets",
            subject=REMOTE,
            core=REMOTE,
            detail=(*core.waits_for, *whereabouts),
            backtrace=core.backtrace,
        )


@rule(
    "core.guest-error",
    stage=Stage.BOOT,
    source="the chip's reference manual: what the hardware lets pass and correct firmware does not do",
    each=cores,
    severity=Severity.WARNING,
)
def firmware_does_nothing_odd(subject: CoreSubject) -> Iterator[Violation]:
    """No core does what the hardware silently ignores, such as a store to flash."""
    for _, error in subject.core.errors:
        yield Violation(
            at=(Place(subject.core.name, error.pc, error.symbol or ""),),
            expected="no such access",
            actual=f"{error.what} (at {error.address:#010x})",
            advice="the hardware ignores it: what the code wanted did not happen",
            subject=f"{subject.core.role} at {error.pc:#010x}",
            core=subject.core.role,
            touches=(Extent(error.address, 1),),
        )
