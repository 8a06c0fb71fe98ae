"""Faults that are injected into a board: each happens at its moment, by nobody's firmware, and is told as an event."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import format_duration
from orchestrator.base.errors import UsageError
from orchestrator.engines.common.cortex_m import FIRST_INTERRUPT
from orchestrator.engines.contract import EVER_NS, InjectedFault, InjectedKind
from orchestrator.engines.unicorn.bus import Slot
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.cpu.signals import Alarm, Delayed
from orchestrator.events import RESET, FaultInjected, NotificationSent
from orchestrator.platform.model import MailboxStep, Platform

__all__ = ["InjectionHost", "InjectionState", "Injections"]

_PREFIX = "fault "  # of an alarm's name; a device has no space in its own
_NOTIFICATIONS = (InjectedKind.LOST, InjectedKind.LATE, InjectedKind.DOUBLED)


class InjectionHost(Protocol):
    """What a fault asks of the board."""

    platform: Platform
    by_name: dict[str, Core]

    def device_written(self, core: Core, slot: Slot) -> None:
        """A core has written a device: who is notified is told."""
        ...

    def mailbox_changed(self, core: Core, slot: Slot) -> None:
        """As :meth:`device_written`, and nobody is told."""
        ...

    def say(self, core: str, time_ns: int, detail: FaultInjected) -> None: ...


@dataclass(frozen=True, slots=True)
class _Again:
    """A notification that is to come, or to come again."""

    fault: InjectedFault
    sender: str
    sent: NotificationSent


InjectionState = tuple[Counter[str], tuple[InjectedFault | _Again, ...]]


class Injections:
    """The faults of one board; ``flip`` changes a bit of memory, at an address of a core, as nobody's doing."""

    def __init__(self, host: InjectionHost, flip: Callable[[str, int, int], None]) -> None:
        self._host = host
        self._flip = flip
        self._names: dict[InjectedFault, str] = {}
        self._by_number: dict[tuple[str, int], list[InjectedFault]] = defaultdict(list)
        self._coming: list[InjectedFault | _Again] = []  # by the number in their alarm's name
        self._drives = {(each.mailbox, each.core): each for each in host.platform.drives}
        self._rings = False  # what is sent is a fault's doing
        self._counted: Counter[str] = Counter()  # notifications so far, by the core that they interrupt

    def add(self, fault: InjectedFault, name: str) -> None:
        """As :class:`~orchestrator.engines.contract.Faulting` says."""
        core = self._host.by_name[fault.core]
        self._names[fault] = name
        if fault.kind in _NOTIFICATIONS:
            self._refuse_untold(fault)
            self._by_number[fault.core, fault.number].append(fault)
            return
        if fault.kind is InjectedKind.FLIP and core.memory.mapping_at(fault.address) is None:
            raise UsageError("no memory here", where=f"fault {name}", found=f"{fault.address:#010x} of {fault.core}")
        self._plan(core, fault.time_ns, fault)

    def _refuse_untold(self, fault: InjectedFault) -> None:
        """Who takes a notification back does it as the platform's own words say."""
        for mailbox in self._host.platform.mailboxes:
            if any(line.core == fault.core for line in mailbox.lines):
                drive = self._drives.get((mailbox.peripheral, fault.core))
                if drive is None or not drive.clear:
                    raise UsageError(
                        "the platform does not say how this core works its mailbox",
                        where=f"fault {self._names[fault]}: {mailbox.peripheral}",
                        advice="add [mailboxes.NAME.drive.CORE] to the platform's .toml (docs/writing-a-platform.md)",
                    )

    def _plan(self, core: Core, time_ns: int, what: InjectedFault | _Again) -> None:
        self._coming.append(what)
        core.timeline.post_alarm(core.timeline.count_at(time_ns), Alarm(f"{_PREFIX}{len(self._coming) - 1}"))

    @property
    def waits(self) -> bool:
        """A notification is counted that has not come: time must not pass in rounds."""
        return any(number > self._counted[core] for core, number in self._by_number)

    # --- notifications

    def sent(self, sender: Core, detail: NotificationSent) -> None:
        """A core has rung another one."""
        if self._rings:
            return
        self._counted[detail.target] += 1
        for fault in self._by_number.get((detail.target, self._counted[detail.target]), ()):
            channel = "" if detail.channel is None else f" channel {detail.channel}"
            which = f"notification {fault.number} to {detail.target} ({detail.mailbox}{channel})"
            if fault.kind is not InjectedKind.DOUBLED:
                self._take_back(sender, detail)
            if fault.kind is InjectedKind.LOST:
                self._say(fault, sender.time_ns, f"{which} is lost")
                continue
            how = "comes again" if fault.kind is InjectedKind.DOUBLED else "comes"
            self._say(fault, sender.time_ns, f"{which} {how} {format_duration(fault.duration_ns)} later")
            self._plan(sender, sender.time_ns + fault.duration_ns, _Again(fault, sender.name, detail))

    def _take_back(self, sender: Core, detail: NotificationSent) -> None:
        """As if nobody had rung: what the interrupted core does when it has seen it, before it has."""
        target = self._host.by_name[detail.target]
        if detail.rising:
            target.timeline.forget_line(detail.interrupt)
        drive = self._drives[detail.mailbox, detail.target]
        self._work(target, detail, drive.clear, self._host.mailbox_changed)
        if detail.rising and sender is target:
            target.exceptions.unpend(FIRST_INTERRUPT + detail.interrupt)

    def _ring(self, again: _Again) -> None:
        sender = self._host.by_name[again.sender]
        drive = self._drives.get((again.sent.mailbox, again.sender))
        if drive is None or not drive.ring:
            self._say(again.fault, sender.time_ns, f"it never comes: the platform does not say how {sender.name} rings")
            return
        # A late one has been told of when it was sent.
        is_late = again.fault.kind is InjectedKind.LATE
        self._rings = True
        try:
            told = self._host.mailbox_changed if is_late else self._host.device_written
            self._work(sender, again.sent, drive.ring, told)
        finally:
            self._rings = False

    def _work(
        self, core: Core, sent: NotificationSent, steps: tuple[MailboxStep, ...], told: Callable[[Core, Slot], None]
    ) -> None:
        """A core's steps at its mailbox, done in its name."""
        slot = core.bus.slot_of(sent.mailbox)
        slot.pollers.leave()
        drive = self._drives[sent.mailbox, core.name]
        for offset, value in drive.accesses(steps, 1 << (sent.channel or 0)):
            if value is None:
                slot.device.read(offset, 4, core.name)
            else:
                slot.device.write(offset, 4, value, core.name)
                told(core, slot)

    # --- moments

    def has(self, alarm: str) -> bool:
        """Whether an alarm is a fault's."""
        return alarm.startswith(_PREFIX)

    def happen(self, core: Core, alarm: str) -> None:
        """A moment of this core has come."""
        fault = self._coming[int(alarm.removeprefix(_PREFIX))]
        if isinstance(fault, _Again):
            self._ring(fault)
        elif fault.kind is InjectedKind.RESET:
            self._say(fault, core.time_ns, f"{core.name} is reset")
            core.resets.restart(f"{RESET} by an injected fault")
        elif fault.kind is InjectedKind.HOLD:
            how = "for ever" if fault.duration_ns >= EVER_NS else f"for {format_duration(fault.duration_ns)}"
            self._say(fault, core.time_ns, f"{core.name} stands still {how}")
            core.timeline.post(core.now, Delayed(core.timeline.count_at(fault.duration_ns)))
        else:
            self._flip(core.name, fault.address, fault.bit)
            self._say(fault, core.time_ns, f"bit {fault.bit} of {core.name}'s {fault.address:#010x} is flipped")

    def _say(self, fault: InjectedFault, time_ns: int, what: str) -> None:
        self._host.say(fault.core, time_ns, FaultInjected(self._names[fault], what))

    # --- snapshots

    def save(self) -> InjectionState:
        """What has been counted, and what is to come."""
        return Counter(self._counted), tuple(self._coming)

    def restore(self, saved: InjectionState) -> None:
        """Go back to :meth:`save`."""
        counted, coming = saved
        self._counted, self._coming = Counter(counted), list(coming)
