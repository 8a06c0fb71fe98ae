"""A gate that refuses nothing: an access while it is shut is said once, and goes on. Here the clock of an HSEM."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.events import GuestError
from orchestrator.platform import load_platform
from orchestrator.platform.model import Gate, GateKey

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
CLOCK = "ldr r0, =0x580244E0\n ldr r1, =0x02000000\n str r1, [r0]\n"  # RCC_AHB4ENR.HSEMEN, of the core that writes it
LOCK = "ldr r0, =0x58026480\n ldr r1, [r0]\n ldr r2, =MARKS\n str r1, [r2]\n ldr r1, [r0, #4]\n"
WAIT = "ldr r2, =1000\n1: subs r2, #1\n bne 1b\n"


@pytest.fixture(scope="module")
def platform():
    """The STM32H745 with a gate of its mailbox (RM0399, RCC), which the platform itself leaves open."""
    bit = 0x0200_0000
    keys = tuple(GateKey(f"RCC_C{core}_AHB4ENR.HSEMEN", "rcc", 0xE0 + 0x60 * core, bit, bit) for core in (1, 2))
    gates = tuple(Gate(core, "hsem", keys, (MAIN, REMOTE), rights="rw", refuses=False) for core in (MAIN, REMOTE))
    return replace(load_platform("stm32h745"), gates=gates)


def errors(rig):
    return [(event.core, event.detail.what) for event in rig.events if isinstance(event.detail, GuestError)]


def test_a_mailbox_without_its_clock_is_said_once_and_serves(board):
    rig = board(LOCK + "b .")
    rig.run_us(100)
    keys = "RCC_C1_AHB4ENR.HSEMEN is 0x0 and RCC_C2_AHB4ENR.HSEMEN is 0x0"
    assert errors(rig) == [(MAIN, f"reads 4 bytes, which the chip does not serve while {keys}")]
    assert rig.word(0x3800_0000, MAIN) == 0x8000_0300


def test_each_core_is_told_for_itself(board):
    rig = board(LOCK + "b .", LOCK + "b .")
    rig.run_us(100)
    assert sorted(core for core, _ in errors(rig)) == [REMOTE, MAIN]


@pytest.mark.parametrize("who", [MAIN, REMOTE])
def test_the_clock_is_on_when_either_core_has_enabled_it(board, who):
    rig = board((CLOCK if who == MAIN else WAIT) + LOCK + "b .", (CLOCK if who == REMOTE else WAIT) + LOCK + "b .")
    rig.run_us(200)
    assert errors(rig) == []


def test_a_clock_that_goes_off_again_is_missed(board):
    rig = board(CLOCK + LOCK + "ldr r0, =0x580244E0\n movs r1, #0\n str r1, [r0]\n" + LOCK + "b .")
    rig.run_us(100)
    assert [core for core, _ in errors(rig)] == [MAIN]


def test_a_clock_that_goes_off_is_missed_by_a_read_that_changed_nothing_before(board):
    """Native code answers such a read again, but not past a gate."""
    off = "ldr r0, =0x580244E0\n movs r1, #0\n str r1, [r0]\n"
    rig = board(CLOCK + LOCK + 3 * "ldr r1, [r0]\n" + off + "ldr r0, =0x58026480\n ldr r1, [r0]\n b .")
    rig.run_us(100)
    assert [core for core, _ in errors(rig)] == [MAIN]


def test_what_was_said_is_said_again_after_a_snapshot_from_before(board):
    rig = board(WAIT + LOCK + "b .")
    rig.run_us(2)
    before = rig.engine.snapshot()
    rig.run_us(100)
    seen = errors(rig)
    assert len(seen) == 1
    rig.engine.restore(before)
    rig.events.clear()
    rig.run_us(100)
    assert errors(rig) == seen
