"""What a store to a mailbox has done, from its registers alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.qemu.mailbox_probes import MailboxProbes
from orchestrator.events import NotificationIgnored, NotificationSent, NotificationTaken
from orchestrator.platform import Platform, load_platform
from orchestrator.platform.model import Mailbox

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
PENDING, SIGNALLED = 0x118, 0x114  # HSEM_C2MISR, HSEM_C2ISR


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("stm32h745")


class MailboxWords:
    def __init__(self) -> None:
        self.words: dict[tuple[str, int], int] = {}

    def word(self, core: str, mailbox: str, offset: int) -> int:
        assert mailbox == "hsem"
        return self.words.get((core, offset), 0)


@pytest.fixture
def registers() -> MailboxWords:
    return MailboxWords()


@pytest.fixture
def monitor(platform: Platform, registers: MailboxWords) -> MailboxMonitor:
    return MailboxMonitor(platform, registers.word)


def line_of(platform: Platform, core: str) -> tuple[int, int, int]:
    (line,) = (each for each in platform.mailboxes[0].lines if each.core == core)
    assert line.signalled is not None
    return line.pending, line.signalled, line.interrupt


def test_a_channel_that_becomes_pending_is_sent_once(
    platform: Platform, registers: MailboxWords, monitor: MailboxMonitor
) -> None:
    pending, signalled, interrupt = line_of(platform, REMOTE)
    registers.words = {(REMOTE, pending): 0b101, (REMOTE, signalled): 0b101}
    assert list(monitor.stored("hsem", MAIN)) == [
        NotificationSent("hsem", REMOTE, 0, interrupt, rising=True),
        NotificationSent("hsem", REMOTE, 2, interrupt, rising=False),
    ]
    assert list(monitor.stored("hsem", MAIN)) == []
    registers.words.clear()
    assert list(monitor.stored("hsem", REMOTE)) == []
    registers.words = {(REMOTE, pending): 1, (REMOTE, signalled): 1}
    assert [each.channel for each in monitor.stored("hsem", MAIN)] == [0]


def test_a_channel_that_nobody_enabled_is_ignored_unless_its_own_core_signalled_it(
    platform: Platform, registers: MailboxWords, monitor: MailboxMonitor
) -> None:
    _pending, signalled, _interrupt = line_of(platform, REMOTE)
    registers.words = {(REMOTE, signalled): 8}
    assert list(monitor.stored("hsem", MAIN)) == [NotificationIgnored("hsem", REMOTE, 3)]
    assert list(monitor.stored("hsem", MAIN)) == []
    registers.words = {}
    assert list(monitor.stored("hsem", MAIN)) == []
    registers.words = {(REMOTE, signalled): 8}
    assert list(monitor.stored("hsem", REMOTE)) == []


def test_an_interrupt_takes_what_is_pending_then(
    platform: Platform, registers: MailboxWords, monitor: MailboxMonitor
) -> None:
    pending, _signalled, interrupt = line_of(platform, MAIN)
    registers.words = {(MAIN, pending): 6}
    assert list(monitor.taken(MAIN, interrupt)) == [NotificationTaken("hsem", (1, 2), interrupt)]
    assert list(monitor.taken(MAIN, interrupt + 1)) == []
    assert monitor.interrupts(MAIN) == [interrupt]


def test_a_snapshot_forgets_what_was_seen_after_it(
    platform: Platform, registers: MailboxWords, monitor: MailboxMonitor
) -> None:
    pending, signalled, interrupt = line_of(platform, REMOTE)
    saved = monitor.save()
    registers.words = {(REMOTE, pending): 1, (REMOTE, signalled): 1}
    sent = [NotificationSent("hsem", REMOTE, 0, interrupt, rising=True)]
    assert list(monitor.stored("hsem", MAIN)) == sent
    monitor.restore(saved)
    assert list(monitor.stored("hsem", MAIN)) == sent


def with_signalled(platform: Platform) -> Platform:
    """The MHU as it would be with a register of what is signalled, enabled or not."""
    mailboxes = [
        Mailbox(each.peripheral, tuple(replace(line, signalled=line.pending + 0x20) for line in each.lines))
        for each in platform.mailboxes
    ]
    return replace(platform, mailboxes=tuple(mailboxes))


def test_qemu_hears_of_a_notification_that_is_ignored() -> None:
    platform = with_signalled(load_platform("mps2_an521"))
    probes = MailboxProbes(platform, ("cpu0", "cpu1"))
    monitor = MailboxMonitor(platform, probes.word)
    first = probes.wanted[0].trigger
    said = []
    for number, probe in enumerate(probes.wanted):
        if probe.trigger != first:
            break
        is_signalled_to_cpu1 = probe.core == 1 and probe.address & 0xFFF == 0x30
        mailbox = probes.probed(number, 2 if is_signalled_to_cpu1 else 0)
        said += list(monitor.stored(mailbox, "cpu0")) if mailbox is not None else []
    assert said == [NotificationIgnored("mhu0", "cpu1", 1)]
