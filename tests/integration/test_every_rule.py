"""Each rule that `rptwin checks` lists fires between two images: firmware breaks it, and no call into the library."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
import replay
import test_rules as broken
from replay import Told
from support.field_bugs import BUGS
from support.golden_texts import GoldenTexts, findings_as_text
from test_coherence import CACHED
from test_order import RULES as ORDER
from test_reported_faults import FAULTS
from test_variants import FAULTY

import bench
from bench import DA, FLASH, MAIN_RAM, PA, Bench, Piece, Script, make_elf
from orchestrator.board import Board
from orchestrator.checks import Finding
from orchestrator.checks.catalogue import catalogue

Findings = tuple[Finding, ...]
Golden = Callable[[str], GoldenTexts]

REPORTED = {each.rule for each in FAULTS.values()} | {each.rule for each in BUGS}
VARIANTS = {rule for each in (*FAULTY.values(), *CACHED.values()) for rule in each.causes}
# By a test of its own, whose file is named, since what breaks it is no pair of images alone.
ELSEWHERE = {
    "core.fault-handled": "test_at_run_time.py",
    "core.lockup": "test_python_core.py",
    "core.reset-unnoticed": "test_injected_faults.py",
    "core.resets": "test_bad_input.py",
    "notification.not-cleared": "test_python_core.py",
    **dict.fromkeys(ORDER, "test_order.py"),
    "run.until-not-met": "test_cli.py",
}
# The features of a vdev in a resource table are its bits 0 to 31; IN_ORDER is bit 35: queues of the library have it.
NOT_BETWEEN_IMAGES = {"ring.avail-out-of-order", "ring.used-out-of-order"}
SCRIPTS = set(broken.CASES) - REPORTED - VARIANTS - set(ELSEWHERE) - NOT_BETWEEN_IMAGES


def let_firmware_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of the benches are done by firmware, and images of theirs are booted."""

    def run(**changes: object) -> object:
        return Told(replace(Script(), **changes)).run()  # type: ignore[arg-type]  # a field each

    def boot(images: object, _platform: object, profile: object = None) -> Findings:
        return replay.boot(images, profile).findings  # type: ignore[arg-type]  # as check_static has them

    for module in (bench, broken):
        monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(broken, "Bench", Told)
    monkeypatch.setattr(broken, "check_static", boot)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    let_firmware_do_it(monkeypatch)


def stores_to_flash() -> Findings:
    return Told(Script(after=lambda told: told.main.write(FLASH + 0x8000, b"\1\2\3\4"))).run().findings


def sends_blank_buffers() -> Findings:
    """Again and again the driver makes a buffer of zeros available, and the device returns it."""

    def blank(told: Bench) -> None:
        driver, device = told.sides[0].rings[1], told.devices[0].rings[1]
        told.write(told.driver, told.sides[0].buffers[0], bytes(16))
        driver.desc(0, told.sides[0].buffers[0] - PA + DA, 16)
        for _ in range(2_100):
            driver.offer(0)
            device.give_back(device.offered() or 0)
            driver.given_back()
        told.ring(told.driver)

    return Told(Script(after=blank)).run().findings


def reads_the_table_elsewhere() -> Findings:
    """By a map of addresses that is another one than the chip's."""
    told_ = Told(Script())
    Bench.run(told_)
    return replay.boot(told_.told_images(), maps=[f"{PA + 0x1_0000:#x}:{DA:#x}:0x8000"]).findings


def waits_for_a_register() -> Findings:
    """Main reads the semaphores' interrupt register, which nobody sets a bit of, for ever."""
    loop = struct.pack("<4H", 0x4801, 0x6801, 0xE7FD, 0xBF00) + struct.pack("<I", 0x4000_4800 + 0x1C)
    main = [Piece(FLASH, struct.pack("<II", MAIN_RAM + 0x1000, FLASH + 0x41), section=".isr_vector"),
            Piece(FLASH + 0x40, loop, section=".text")]  # fmt: skip
    images = {"main": make_elf("main.elf", main), "remote": Told(Script()).images["remote"]}
    return replay.boot(images).findings


def never_lets_the_remote_go(pair: Callable[..., object]) -> Findings:
    """On a chip whose main core has to."""
    main = [Piece(0, struct.pack("<II", 0x2000_1000, 0x41), section=".isr_vector"),
            Piece(0x40, b"\x30\xbf\xfd\xe7", section=".text")]  # fmt: skip
    path = replay.folder() / "sleeps.elf"
    path.write_bytes(make_elf("sleeps.elf", main).data)
    with Board("nrf5340", main=path, remote=pair("demo", "nrf5340").remote) as board:  # type: ignore[attr-defined]
        board.run(timeout="100 ms")
        return board.verdict().findings


OWN: dict[str, Callable[[], Findings]] = {
    "core.guest-error": stores_to_flash,
    "core.polling": waits_for_a_register,
    "message.blank": sends_blank_buffers,
    "table.views-differ": reads_the_table_elsewhere,
}
NEEDS_FIRMWARE = {"core.never-started": never_lets_the_remote_go}
# Cores of the small images of these scripts do nothing at all, which is said as well.
IDLE = {"elf.images-overlap", "vector.stack-misaligned"}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("rule", sorted(SCRIPTS - set(OWN) - set(NEEDS_FIRMWARE)))
def test_firmware_that_does_what_breaks_a_rule_has_that_rule_as_its_only_cause(rule: str, golden_texts: Golden) -> None:
    found = broken.CASES[rule]()
    assert set(broken.roots(found)) - ({"core.silent"} if rule in IDLE else set()) == {rule}
    golden_texts("every-rule").compare(rule, findings_as_text(found))


@pytest.mark.parametrize("rule", sorted(OWN))
def test_firmware_of_its_own_breaks_a_rule(rule: str, golden_texts: Golden) -> None:
    found = OWN[rule]()
    assert set(broken.roots(found)) == {rule}
    golden_texts("every-rule").compare(rule, findings_as_text(found))


@pytest.mark.parametrize("rule", sorted(NEEDS_FIRMWARE))
def test_a_pair_with_our_firmware_breaks_a_rule(rule: str, pair: Callable[..., object], golden_texts: Golden) -> None:
    found = NEEDS_FIRMWARE[rule](pair)
    assert set(broken.roots(found)) == {rule}
    golden_texts("every-rule").compare(rule, findings_as_text(found))


def test_what_is_said_is_known_of_every_rule(golden_texts: Golden) -> None:
    golden_texts("every-rule").is_of(SCRIPTS | set(OWN) | set(NEEDS_FIRMWARE))


def test_every_rule_is_broken_by_images_or_says_why_not() -> None:
    listed = {each.id for each in catalogue()}
    tested = SCRIPTS | set(OWN) | set(NEEDS_FIRMWARE) | REPORTED | VARIANTS | set(ELSEWHERE)
    assert listed - tested == NOT_BETWEEN_IMAGES
    assert tested <= listed


def test_the_script_that_breaks_nothing_is_silent_when_firmware_does_it() -> None:
    verdict = Told(Script()).run()
    assert (verdict.up, verdict.exit_code, verdict.findings) == (True, 0, ())
