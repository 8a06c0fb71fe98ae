"""Each advice that a rule can give is given of firmware for which it is right, as that of the only cause.

Advices of one rule stand beside each other here and in what ``test_every_rule`` compares: for firmware in which one is
right, no other one is given. What the checks can advise is taken from their source, so a new advice needs firmware.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import replay
import test_every_rule as of_rules
import test_rules as broken
from replay import Told
from support.advice_texts import advices_in, outdated, said_of_firmware, unsaid
from support.golden_texts import GoldenTexts, findings_as_text

from bench import (
    DA,
    FLASH,
    HSEM,
    MAIN,
    MAIN_RAM,
    REMOTE,
    REMOTE_RAM,
    Bench,
    Piece,
    Script,
    code,
    default_entries,
    make_elf,
    message,
)
from orchestrator.checks import Finding, check_static
from orchestrator.events import CoreState, Poll, Waiting
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import ANY, Custom, Entry, Feature, Vdev, Vring
from orchestrator.formats.resource_table import Table, build_table

Findings = tuple[Finding, ...]
Golden = Callable[[str], GoldenTexts]
TESTS = Path(__file__).resolve().parents[1]
WORDS_IN_FRONT = 2


def told(**changes: object) -> Callable[[], Findings]:
    return lambda: Told(replace(Script(), **changes)).run().findings  # type: ignore[arg-type]  # a field each


def behind_words(table: Table) -> bytes:
    return bytes(4 * WORDS_IN_FRONT) + table.encode()


def entries_without_padding(table: Table) -> bytes:
    return build_table([each.value for each in table.entries], align=1).encode()


def with_config(config: bytes) -> list[Entry]:
    return [replace(e, config=config, head=replace(e.head, config_len=len(config))) if isinstance(e, Vdev) else e
            for e in default_entries()]  # fmt: skip


def sleeps_by_event_index(bench: Bench) -> None:
    """The device says that it wants to be told of the message after the next; the next one comes."""
    bench.turn(MAIN, lambda: bench.poke("vdev[0].gfeatures", 5 | Feature.EVENT_IDX))
    ring = bench.sides[0].rings[1]
    avail_event = ring.used + 4 + 8 * ring.num
    bench.turn(bench.device, lambda: bench.write(bench.device, avail_event, struct.pack("<H", ring.posted + 1)))
    bench.time_ns += 1_000_000
    bench.turn(bench.driver, lambda: bench.driver_send(bench.sides[0], message(1030, 1024, b"ping")))


def main_gives_up(bench: Bench) -> None:
    bench.turn(MAIN, lambda: bench.poke("vdev[0].status", 0x83))


def works_no_given_vring() -> Findings:
    """Vrings that no table has, in which main makes nothing available."""
    idle = Told(Script(table_at_run_time=True, copies_table=False))
    Bench.run(idle)
    return replay.boot(idle.told_images(), vrings=(f"{DA + 0x1000:#x}:8:16", f"{DA + 0x1200:#x}:8:16")).findings


def inspects_the_remote_alone() -> Findings:
    """As ``rptwin check`` of an image whose table is main's to make."""
    image = make_elf("remote.elf", [code(FLASH + 0x10_0000, REMOTE_RAM + 0x2_0000)])
    return check_static({"remote": image}, replay.PLATFORM)


def device_needs_reset(bench: Bench) -> None:
    bench.turn(bench.device, lambda: bench.write(bench.device, broken.field_at(bench, "vdev[0].status"), b"\x47"))


def inspects_what_no_core_has() -> Findings:
    """An image that no engine loads."""
    first = make_elf("main.elf", [broken.MAIN_CODE, Piece(0x6000_0000, b"\1" * 64)])
    return check_static({"main": first, "remote": Bench(Script()).images["remote"]}, replay.PLATFORM)


def waits_with_a_lock_in_hand() -> Findings:
    """The remote holds a semaphore that main reads until it is free, and wants a buffer, of which main has all."""
    lock = HSEM + 0x80 + 4 * 8

    def run_dry(bench: Bench) -> None:
        def send() -> None:
            bench.access_at(bench.device, lock, 4)
            for _ in range(8):
                bench.device_send(bench.devices[0], message(1024, 1030, b"news"))
            bench.ring(bench.device)

        bench.turn(bench.device, send)
        bench.turn(bench.driver, lambda: None)
        bench.look(bench.device, bench.devices[0].rings[0].avail + 2)

    waiting = {MAIN: Waiting(FLASH + 0x40, "take", (Poll(lock, 4, 0x8000_0100, "hsem"),))}
    return told(after=run_dry, waiting=waiting, states={MAIN: CoreState.RUNNING})()


def wait_with_a_lock_in_hand_each() -> Findings:
    """Each has taken a semaphore by reading its lock register, and reads that of the other's."""
    locks = {MAIN: HSEM + 0x80 + 4 * 8, REMOTE: HSEM + 0x80 + 4 * 9}
    held = {MAIN: 0x8000_0100, REMOTE: 0x8000_0300}  # by COREID 1 and 3
    waiting = {
        core: Waiting(FLASH + 0x40, "take", (Poll(lock, 4, held[core], "hsem"),)) for core, lock in locks.items()
    }

    def take(bench: Bench) -> None:
        bench.turn(MAIN, lambda: bench.access_at(MAIN, locks[REMOTE], 4))
        bench.turn(REMOTE, lambda: bench.access_at(REMOTE, locks[MAIN], 4))

    return told(after=take, waiting=waiting, states=dict.fromkeys(locks, CoreState.RUNNING))()


def faults_at(*code: int, handler: tuple[int, ...] = ()) -> Callable[[], Findings]:
    """Main executes these halfwords and then loops. No handler but the HardFault's is enabled, and that loops too."""

    def boot() -> Findings:
        at, looping, svc = FLASH + 0x40, FLASH + 0x81, FLASH + 0xA1
        vectors = [MAIN_RAM + 0x1000, at | 1, looping, looping, *[looping] * 7, svc, *[looping] * 4]
        body = b"".join(
            struct.pack(f"<{len(each)}H", *each).ljust(size, b"\0")
            for each, size in (((*code, 0xE7FE), 0x40), ((0xE7FE,), 0x20), ((*handler, 0xE7FE), 0x20))
        )
        pieces = [
            Piece(FLASH, struct.pack("<16I", *vectors), section=".isr_vector"),
            Piece(at, body, section=".text"),
        ]
        images = {"main": make_elf("main.elf", pieces), "remote": Bench(Script()).images["remote"]}
        return replay.boot(images).findings

    return boot


R0_WHERE_NOTHING_IS = (0x2070, 0x0600)  # movs r0, #0x70; lsls r0, r0, #24
R0_CCR = (0x20E0, 0x0600, 0xF64E, 0x5114, 0x1840)  # lsls to 0xe0000000; movw r1, #0xed14; adds r0, r0, r1
FAULTS = {
    "an undefined instruction": faults_at(0xDE01),
    "a read where nothing is": faults_at(*R0_WHERE_NOTHING_IS, 0x6800),  # ldr r0, [r0]
    "a call of a null pointer": faults_at(0x2000, 0x4780),  # movs r0, #0; blx r0
    "a stack where nothing is": faults_at(*R0_WHERE_NOTHING_IS, 0x4685, 0xDF00),  # mov sp, r0; svc #0
    "an FPU that is not enabled": faults_at(0xEE30, 0x0A00),  # vadd.f32 s0, s0, s0
    "a breakpoint without a debugger": faults_at(0xBE00),
    "a division by zero that is to trap": faults_at(
        *R0_CCR,
        0x6801,
        0x2210,
        0x4311,
        0x6001,
        0x2100,
        0xFBB0,
        0xF0F1,  # CCR.DIV_0_TRP; udiv r0, r0, r1
    ),
    "a return by what is no EXC_RETURN": faults_at(0xDF00, handler=(0x200A, 0x43C0, 0x4700)),  # mvns r0, r0; bx r0
}


def starts_again(bench: Bench) -> None:
    """Main resets the device and brings it up anew; the remote announces nothing this time."""
    side = bench.sides[0]

    def reset() -> None:
        bench.poke("vdev[0].status", 0)

    def start() -> None:
        bench.poke("vdev[0].status", 3)
        for ring in side.rings:
            described = ring.memory.read(ring.base, 16 * ring.num)
            ring.clear()
            ring.memory.write(ring.base, described)
            ring.posted = ring.seen = 0
        for head in range(8):
            side.rings[0].offer(head)
        bench.poke("vdev[0].status", 7)
        bench.ring(bench.driver)

    bench.turn(bench.driver, reset)
    bench.turn(bench.driver, start)
    bench.turn(bench.device, lambda: None)
    bench.look(bench.device, side.rings[0].avail + 2)
    bench.look(bench.device, side.rings[1].avail + 2)


def sends_without_a_word(bench: Bench) -> None:
    bench.time_ns += 1_000_000
    bench.turn(bench.driver, lambda: bench.driver_send(bench.sides[0], message(1030, 1024, b"ping")))


# By what is wrong; the rule is what stands before the colon.
CASES: dict[str, Callable[[], Findings]] = {
    "core.deadlock: no buffers left": broken.CASES["core.deadlock"],
    "core.deadlock: a lock for a buffer": waits_with_a_lock_in_hand,
    "core.deadlock: a lock for a lock": wait_with_a_lock_in_hand_each,
    **{f"core.fault: {what}": boot for what, boot in FAULTS.items()},
    "elf.segment-outside-memory: a load address of no memory": inspects_what_no_core_has,
    "ring.used-ahead: an index from before": broken.CASES["ring.used-ahead"],
    "ring.used-not-a-head: an index of the device's own": broken.CASES["ring.used-not-a-head"],
    "table.address-past-end: a trace buffer": broken.CASES["table.address-past-end"],
    "table.not-loaded: a section in no segment": broken.CASES["table.not-loaded"],
    "table.orphan-entry: one less is counted": broken.CASES["table.orphan-entry"],
    "table.second-copy: main works with its own": broken.CASES["table.second-copy"],
    "table.truncated: a config space past the end": broken.CASES["table.truncated"],
    "table.unknown-type: 77": broken.CASES["table.unknown-type"],
    # The device reads its used.flags back: no place where it looks for buffers.
    "traffic.none: nobody begins": told(announcement=b"", accepts=4),
    "vdev.buffer-size: half of what main allocates": broken.CASES["vdev.buffer-size"],
    "vdev.features-without-config: none": broken.CASES["vdev.features-without-config"],
    "vdev.failed: the device": told(after=device_needs_reset),
    "vdev.notifyid-collision: with a vring": broken.CASES["vdev.notifyid-collision"],
    "vring.notifyid-range: 32": broken.CASES["vring.notifyid-range"],
    "vring.num-too-large: 65536": broken.CASES["vring.num-too-large"],
    "vring.num-zero: one of two": broken.CASES["vring.num-zero"],
    "vring.part-misaligned: 8 bytes further on": broken.CASES["vring.part-misaligned"],
    "vring.unresolved: main stops on its way": told(gives_up=True),
    "endpoint.never-announced: not after the second start": told(after=starts_again),
    "notification.missing: no signal": told(after=sends_without_a_word),
    "notification.suppressed: an event index that is ahead": told(
        patch=lambda table: table.patched("vdev[0].dfeatures", 5 | Feature.EVENT_IDX), after=sleeps_by_event_index
    ),
    "ring.layout-disagreement: the device has another align": told(device_align=64),
    "table.absent: a table begins further on": told(
        table_at_run_time=True, table_run=DA + 0x20, locator=parse_locator(f"remote:{DA + 0x18:#x}")
    ),
    "table.misaligned: an entry between words": told(entries=with_config(bytes(63)), patch=entries_without_padding),
    "table.missing: memory has one": told(table_at_run_time=True),
    "table.missing: of one image that is inspected": inspects_the_remote_alone,
    "table.obsolete-type: of TI's Linux": told(entries=[*default_entries(), Custom(1, bytes(8))]),
    "table.version: the section begins before the table": told(patch=behind_words),
    "table.version: the place that was named is before the table": told(
        patch=behind_words, locator=parse_locator(f"remote:{DA:#x}")
    ),
    "vdev.driver-ok-not-reached: vrings without a table": works_no_given_vring,
    "vdev.initial-status: features that nobody negotiated": told(
        patch=lambda table: table.patched("vdev[0].gfeatures", 1)
    ),
    "vring.unresolved: main does not take 0 for ANY": told(
        entries=broken.rings_of(*(Vring(0, 16, 8, i) for i in range(2))), gives_up=True, after=main_gives_up
    ),
    "vring.unresolved: main finds no room": told(
        entries=broken.rings_of(*(Vring(ANY, 16, 8, i) for i in range(2))), gives_up=True, after=main_gives_up
    ),
}
# By a test of its own that asserts it, since what it is about is no pair of images alone.
ELSEWHERE = {
    "a fault inside a fault handler, or no usable vector: only a reset helps": "integration/test_python_core.py",
    "clear what is pending: {} rings another channel, or the handler clears none": "integration/test_python_core.py",
    "do not accept IN_ORDER, or finish requests in order": "unit/virtqueue/test_hostile_peer.py",
    "do not take descriptors from a free list when IN_ORDER is negotiated":
        "unit/virtqueue/test_hostile_peer.py",
    "nothing to do, if the handler is meant to: the core went on with its work each time":
        "integration/test_at_run_time.py",
    "the other core must be told of the reset, and write 0 to the vdev's status":
        "integration/test_injected_faults.py",
    "what asks for the reset finds the same after it: an assertion, a fault handler, a watchdog":
        "integration/test_bad_input.py",
    "what stopped it stands above; if nothing did, give --timeout more, or ask for something else":
        "unit/cli/test_cli.py",
}  # fmt: skip


@pytest.fixture
def by_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    of_rules.let_firmware_do_it(monkeypatch)


@pytest.mark.usefixtures("by_firmware")
@pytest.mark.parametrize("case", sorted(CASES))
def test_what_is_wrong_gets_the_advice_for_it(case: str, golden_texts: Golden) -> None:
    found = CASES[case]()
    assert set(broken.roots(found)) == {case.partition(":")[0]}
    golden_texts("every-advice").compare(case, findings_as_text(found))


def test_what_is_said_is_known_of_every_case(golden_texts: Golden) -> None:
    golden_texts("every-advice").is_of(CASES)


def test_every_advice_of_the_checks_is_given_of_firmware_or_asserted_by_a_test_of_its_own() -> None:
    assert sorted(each.text for each in unsaid(said_of_firmware())) == sorted(ELSEWHERE)


def test_what_was_said_of_firmware_is_what_a_rule_says() -> None:
    assert outdated(said_of_firmware()) == []


@pytest.mark.parametrize("advice", ELSEWHERE)
def test_a_test_of_its_own_has_the_advice_by_its_words(advice: str) -> None:
    text = (TESTS / ELSEWHERE[advice]).read_text(encoding="utf-8")
    assert all(words in text for words in advice.split("{}"))


HEAD = "@rule('a.b')\ndef judge(subject):\n    "
WHY = "def why():\n    if x:\n        return 'one'\n    return 'two'\n\n"


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        (HEAD + "yield Violation(advice='one')", ["one"]),
        (HEAD + "yield Violation((), 'expected', 'found', 'one')", ["one"]),
        (HEAD + "yield Violation(advice='one' if subject else f'two {subject}s')", ["one", "two {}s"]),
        (HEAD + "yield Violation(advice=f\"{'one' if subject else 'two'} of {subject}\")", ["one of {}", "two of {}"]),
        (HEAD + "yield Violation(advice='one' + (' more' if subject else ''))", ["one", "one more"]),
        (HEAD + "said = 'one'\n    if x:\n        said = 'two'\n    yield Violation(advice=said)", ["one", "two"]),
        ("_ONE = 'one'\n" + HEAD + "yield Violation(advice=_ONE)", ["one"]),
        (WHY + HEAD + "yield Violation(advice=why())", ["one", "two"]),
        ("RULES = {'a.b': ('What it says.', 'its source', 'one')}", ["one"]),
    ],
)  # fmt: skip
def test_an_advice_is_found_in_whatever_form_a_rule_has_it(source: str, texts: list[str]) -> None:
    assert [each.text for each in advices_in(source)] == texts


@pytest.mark.parametrize("advice", ["subject", "subject.why", "why(subject)", "unknown", "'one'.upper()"])
def test_an_advice_that_the_source_does_not_tell_is_refused(advice: str) -> None:
    with pytest.raises(TypeError, match="which advices can"):
        advices_in(HEAD + f"yield Violation(advice={advice})")


def test_a_new_advice_is_not_said_of_any_firmware() -> None:
    (one,) = advices_in(HEAD + "yield Violation(advice=f'turn it off {subject} and on again')")
    assert not any(one.matches(said) for said in said_of_firmware())
