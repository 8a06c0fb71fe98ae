"""Ringing and hearing by a platform's steps, where the mailbox shows who listens and where it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Memory
from orchestrator.host.mailbox import Doorbell
from orchestrator.platform import load_platform
from orchestrator.platform.model import MailboxDrive, MailboxStep, Platform

MHU0, MHU1 = 0x5000_3000, 0x5000_4000
HSEM = 0x5802_6400
AN521 = load_platform("mps2_an521")


class PlayedRegisters:
    """A played core whose devices are words; keeps what was written, in order."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.written: list[tuple[int, int]] = []

    @property
    def memory(self) -> Memory:
        raise NotImplementedError

    def read(self, address: int) -> int:
        return self.words.get(address, 0)

    def write(self, address: int, value: int) -> None:
        self.written.append((address, value))

    def peek(self, core: str, address: int) -> int:
        return self.read(address)

    def wake(self) -> None:
        raise NotImplementedError


def bell(notify: dict[str, int], platform: Platform = AN521, own: str = "main") -> tuple[Doorbell, PlayedRegisters]:
    registers = PlayedRegisters()
    cores = [platform.core(role).name for role in ("main", "remote")]
    core, peer = cores if own == "main" else reversed(cores)
    return Doorbell(platform, core, peer, registers, notify), registers


def with_drives(*drives: MailboxDrive) -> Platform:
    return replace(AN521, drives=drives)


@pytest.mark.parametrize(
    ("own", "notify", "written"),
    [
        ("main", {"mhu0": 0}, (MHU0 + 0x14, 1 << 0)),
        ("main", {"mhu1": 3}, (MHU1 + 0x14, 1 << 3)),
        ("remote", {"mhu0": 1}, (MHU0 + 0x04, 1 << 1)),
        ("main", {"vdev[0].vring[0]": 2}, (MHU0 + 0x14, 1 << 2)),
        ("main", {"vdev[0].vring[0]": 2, "vdev[0].vring[1]": 0}, (MHU0 + 0x14, 0b101)),
        ("main", {"vdev[0].vring[0]": 2, "vdev[0].vring[1]": 0, "mhu1": 3}, (MHU1 + 0x14, 1 << 3)),
    ],
)
def test_a_ring_for_no_queue_goes_where_the_firmware_was_said_to_listen(
    own: str, notify: dict[str, int], written: tuple[int, int]
) -> None:
    it, registers = bell(notify, own=own)
    assert not it.deliver()
    it.ring()
    assert not it.deliver()
    assert registers.written == [written]
    assert not it.deliver()
    assert len(registers.written) == 1


def test_a_queue_rings_on_its_own_channel() -> None:
    it, registers = bell({"mhu0": 1, "vdev[0].vring[0]": 2})
    it.ring(2)
    assert not it.deliver()
    assert registers.written == [(MHU0 + 0x14, 1 << 2)]


def test_every_mailbox_of_the_core_is_heard_and_cleared_whichever_is_rung() -> None:
    it, registers = bell({"mhu0": 0})
    it.attend()
    assert registers.written == []
    registers.words = {MHU0: 0b0010, MHU1: 0b1001, MHU0 + 0x10: 0b1111}
    it.attend()
    assert registers.written == [(MHU0 + 0x08, 0b0010), (MHU1 + 0x08, 0b1001)]


def test_a_mailbox_of_one_channel_needs_no_telling() -> None:
    one = MailboxDrive(
        "mhu0", "cpu0", 1, None, (), (MailboxStep(0x08, writes=True),), (MailboxStep(0x14, writes=True),)
    )
    it, registers = bell({}, with_drives(one))
    it.ring()
    assert not it.deliver()
    assert registers.written == [(MHU0 + 0x14, 1)]


def test_a_mailbox_that_only_sends_and_one_that_only_receives_make_a_pair() -> None:
    receives = MailboxDrive("mhu0", "cpu0", 4, None, (), (MailboxStep(0x08, writes=True),), ())
    sends = MailboxDrive("mhu1", "cpu0", 4, None, (), (), (MailboxStep(0x14, writes=True),))
    it, registers = bell({"vdev[0].vring[1]": 3}, with_drives(receives, sends))
    it.ring()
    it.deliver()
    registers.words[MHU0] = 0b0100
    it.attend()
    assert registers.written == [(MHU1 + 0x14, 1 << 3), (MHU0 + 0x08, 0b0100)]


@pytest.mark.parametrize(
    ("own", "listener"), [("main", r"remote \(cpu1\)"), ("remote", r"main \(cpu0\)")]
)  # the core whose handler it is
def test_a_channel_that_nobody_can_know_is_asked_for_by_the_option_that_gives_it(own: str, listener: str) -> None:
    option = "expected --notify mhu0=CHANNEL, 0..3"
    with pytest.raises(UsageError, match=f"mps2_an521: mhu0: nothing shows on which .*: {option}; .* of {listener}"):
        bell({}, own=own)


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ({"mhu0": 4}, "notify: mhu0: mhu0 has no such channel: expected 0..3, found 4"),
        ({"vdev[0].vring[0]": 9}, r"notify: vdev\[0\].vring\[0\]: mhu0 has no such channel: expected 0..3, found 9"),
        ({"mhu0": 0, "mhu1": 0}, "notify: more than one mailbox to ring on: expected one of them, found mhu0, mhu1"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(notify: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bell(notify)


def test_a_core_whose_mailbox_nobody_describes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"mps2_an521: cpu0: the platform does not say .*drive"):
        bell({"mhu0": 0}, with_drives())


def test_with_enables_a_ring_waits_until_somebody_listens_and_goes_to_all_that_do() -> None:
    it, registers = bell({}, load_platform("stm32h745"))
    it.ring()
    assert it.deliver()
    assert registers.written == []
    registers.words[HSEM + 0x110] = 0b101
    assert not it.deliver()
    assert registers.written == [(HSEM, 0x300), (HSEM + 2 * 4, 0x300)]


def test_with_enables_a_channel_given_for_the_mailbox_is_rung_alone() -> None:
    it, registers = bell({"hsem": 2}, load_platform("stm32h745"))
    registers.words[HSEM + 0x110] = 0b001
    it.ring()
    assert it.deliver()
    registers.words[HSEM + 0x110] = 0b111
    assert not it.deliver()
    assert registers.written == [(HSEM + 2 * 4, 0x300)]


def test_with_enables_what_the_other_side_does_not_listen_to_is_listened_to() -> None:
    it, registers = bell({}, load_platform("stm32h745"))
    registers.words[HSEM + 0x110] = 0b101
    it.attend()
    it.attend()
    assert registers.written == [(HSEM + 0x100, 0xFFFF_FFFA)]
    it.reset()
    it.attend()
    assert len(registers.written) == 2
