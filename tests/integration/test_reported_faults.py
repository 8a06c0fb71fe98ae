"""Faults that people reported in public, as patches of our firmware: each is named, and its healthy twin is not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support.golden_texts import findings_as_text

from orchestrator.board import Board
from orchestrator.checks.finding import Severity


@dataclass(frozen=True)
class Fault:
    """What is said of a patched pair; ``twin`` is a patch of its own where the unpatched pair is no twin."""

    rule: str
    subject: str
    words: tuple[str, ...]  # each stands in the finding's place, what was expected, or what was found
    timeout: str = "300 ms"
    variant: str = "demo"
    platform: str = "stm32h745"
    twin: str | None = None
    exit_code: int = 1  # 0: a warning


FAULTS = {
    "ram-not-opened": Fault(
        "core.fault",
        "remote",
        ("BusFault", "writes 4 bytes at 0x20070000", "SPU.EXTDOMAIN[0].PERM.SECATTR is 0x0", "RAMREGION[56]"),
        platform="nrf5340",
    ),
    "cached-shared-memory": Fault(
        "cache.unmaintained", "main", ("CCR.DC is 1", "0x30041000..0x300410e6 is cacheable"), exit_code=0
    ),
    "suppressed-receive": Fault(
        "notification.suppressed", "vdev[0].vring[1]", ("used.flags", "8 messages", "NO_NOTIFY", "cpu_cm4 is sleeping")
    ),
    "assert-in-receive": Fault("core.spins", "remote", ("devices_poll", "busy since 0.2", "8 messages made available")),
    "default-handler": Fault(
        "core.never-returned", "remote", ("interrupt of hsem (126+16)", "taken after 0.189 ms", "default_handler")
    ),
    "rings-in-stack": Fault(
        "vring.memory-in-use",
        "vdev[0].vring[1]",
        ("stack of remote.elf",),
        variant="static",
        twin="rings-in-stack.twin",
    ),
    "own-vring-address": Fault("vring.elsewhere", "vdev[0].vring[1]", ("0x10041172", "it reads 0x10041192, +32 bytes")),
    "remote-writes-status": Fault(
        "vdev.status-writer", "vdev[0]", ("vdev[0].status", "the remote (cpu_cm4, devices_poll", "7 before, 1 now")
    ),
    "rings-cleared-late": Fault(
        "ring.index-back", "vdev[0].vring[0]", ("used.idx", "written by main (cpu_cm7", "1 before, 0 now")
    ),
    "write-after-send": Fault(
        "buffer.written-while-offered", "vdev[0].vring[1]", ("head 0", "written by main (cpu_cm7", "made available")
    ),
    "device-writes-descriptor": Fault(
        "ring.wrong-writer", "vdev[0].vring[1]", ("desc[3].len", "by main only", "written by remote")
    ),
    "stack-overflow": Fault(
        "core.stack-overflow",
        "remote",
        ("deep", "0x1001f000", "__stack_limit", "pushed by the remote (cpu_cm4, deep", "bytes below"),
    ),
    "stack-into-bss": Fault(
        "core.stack-overflow", "remote", ("the end of .bss", "pushed by the remote (cpu_cm4, deep", "over received")
    ),
    "interrupts-lost": Fault(
        "notification.left-out", "vdev[0].vring[0]", ("a notification to main", "twice none", "own time-out")
    ),
    "reads-after-return": Fault(
        "buffer.used-after-return", "vdev[0].vring[1]", ("read by the remote (cpu_cm4, rpmsg_deliver", "returned after")
    ),
    "lock-in-interrupt": Fault("core.never-returned", "remote", ("interrupt of hsem", "mailbox_interrupt")),
    "status-read-takes-lock": Fault("core.lock-held", "main", ("mailbox_signal", "hsem 0", "which cpu_cm4 holds")),
    "locks-in-circle": Fault(
        "core.deadlock",
        "cores",
        (
            "main waits since",
            "for hsem 11, which cpu_cm4 holds",
            "the remote waits since",
            "hsem 10, which cpu_cm7 holds",
        ),
        twin="locks-in-circle.twin",
    ),
    "listens-late": Fault(
        "notification.before-listening",
        "vdev[0].vring[0]",
        ("hsem channel 0", "signalled after 0.189 ms", "enabled after"),
    ),
    "notifyid-in-wrong-place": Fault(
        "vdev.notifyid-misplaced",
        "vdev[0]",
        ("vring[0].notifyid", "vring[1].notifyid", "0 before, is 3 now", "written by main"),
        twin="notifyid-in-wrong-place.twin",
    ),
    "returned-twice": Fault(
        "ring.used-twice", "vdev[0].vring[1]", ("used.ring[1].id", "head 0", "the first time after 0.2")
    ),
    "crossed-vrings": Fault(
        "ring.direction", "vdev[0].vring[1]", ("main to the remote", "two vrings are exchanged"), timeout="20 ms"
    ),
    "device-exchanges-vrings": Fault(
        "ring.direction",
        "vdev[0].vring[0]",
        ("nothing in them", "the remote has the two vrings exchanged"),
        timeout="5 ms",
    ),
    "endpoint-falls-silent": Fault(
        "endpoint.silent",
        "vdev[0].endpoint[1024]",
        ("as to the 5 messages before", "5 messages to it", "none answered"),
        exit_code=0,
    ),
    "receive-buffers-never-offered": Fault(
        "buffer.not-offered-again", "vdev[0].vring[0]", ("8 of 8 buffers came back to main", "has run dry")
    ),
    "transmit-writable": Fault(
        "ring.direction", "vdev[0].vring[1]", ("vring[1].desc[0].flags", "0 (the device reads it)", "0x2 (WRITE)")
    ),
    "never-announced": Fault("endpoint.never-announced", "vdev[0]", ("NS accepted", "DRIVER_OK since 0.1")),
    "announced-other-address": Fault(
        "endpoint.other-address", "vdev[0].endpoint[1025]", ("10 messages to 1025", "none answered", "from 1024")
    ),
    "used-length-wrong": Fault("ring.used-length", "vdev[0].vring[0]", ("used.ring[0].len", "at most 512", "5000")),
    "receive-buffers-leak": Fault(
        "buffer.not-offered-again", "vdev[0].vring[0]", ("2 of 8 buffers came back to main",), exit_code=0
    ),
    "address-again": Fault(
        "endpoint.address-again",
        "vdev[0].endpoint[1024]",
        ("create rptwin-sink at 1024",),
        twin="address-again.twin",
        exit_code=0,
    ),
}


def judged(images, fault):
    with Board(fault.platform, main=images.main, remote=images.remote) as board:
        board.run(timeout=fault.timeout)
        return board.verdict()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_place_and_its_cause(patched, name, golden_texts):
    fault = FAULTS[name]
    verdict = judged(patched(name, fault.variant, fault.platform), fault)
    causes = [cause.finding for cause in verdict.causes]
    causes = [each for each in causes if each.severity is Severity.ERROR] or causes
    assert [(each.rule, each.subject) for each in causes] == [(fault.rule, fault.subject)]
    text = " ".join((*map(str, causes[0].at), causes[0].expected, causes[0].actual, *causes[0].detail))
    for words in fault.words:
        assert words in text
    assert verdict.exit_code == fault.exit_code
    assert causes[0].advice
    golden_texts("reported").compare(name, findings_as_text(verdict.findings))


def test_what_is_said_is_known_of_every_fault(golden_texts):
    golden_texts("reported").is_of(FAULTS)


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.twin])
def test_the_healthy_twin_of_a_fault_is_silent(patched, name):
    fault = FAULTS[name]
    verdict = judged(patched(fault.twin, fault.variant, fault.platform), fault)
    assert (verdict.exit_code, findings_as_text(verdict.findings)) == (0, "")
