"""Watched memory made again from stores, on the memory of a real platform that a test writes by hand."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.common.store_replay import Happening, Store, Turns
from orchestrator.events import Changed, Event, NotificationSent
from orchestrator.platform import load_platform

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
SRAM, ALIAS = 0x3004_0000, 0x1004_0000
END = 20_000


class Rig:
    def __init__(self) -> None:
        self.memory = bytearray(0x8000)
        self.turns = Turns(load_platform("stm32h745"), self.read)

    def read(self, core: str, extent: Extent) -> bytes:
        offset = extent.start - (SRAM if extent.start >= SRAM else ALIAS)
        return bytes(self.memory[offset : offset + extent.size])

    def stored(self, core: str, offset: int, value: int, size: int = 4) -> Happening:
        """A store that has been told and has landed since."""
        self.memory[offset : offset + size] = value.to_bytes(size, "little")
        return Happening(END, core, Store((SRAM if core == MAIN else ALIAS) + offset, size, value))

    def rang(self, target: str, at_ns: int, *, rising: bool = True) -> Happening:
        return Happening(END, MAIN, NotificationSent("hsem", target, 0, 126, rising), at_ns)

    def told(self, *happenings: Happening) -> list[tuple[int, str, str, bytes]]:
        """Events, each with the watched bytes as they read at it."""
        return [
            (event.time_ns, event.core, event.kind, self.turns.read(MAIN, Extent(SRAM, 4)))
            for event in self.turns.told(happenings)
        ]


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.turns.watch("here", MAIN, Extent(SRAM, 4))
    return rig


def test_a_ring_of_another_core_parts_a_turn_and_has_its_own_moment(rig: Rig) -> None:
    first = rig.stored(MAIN, 0, 1)
    second = rig.stored(MAIN, 0, 2)
    assert rig.told(first, rig.rang(REMOTE, 5_000), second) == [
        (5_000, MAIN, "notification-sent", bytes([1, 0, 0, 0])),
        (5_000, MAIN, "changed", bytes([1, 0, 0, 0])),
        (END, MAIN, "changed", bytes([2, 0, 0, 0])),
    ]


@pytest.mark.parametrize(("target", "rising"), [(MAIN, True), (REMOTE, False)])
def test_a_ring_that_interrupts_nobody_else_parts_no_turn(rig: Rig, target: str, rising: bool) -> None:
    first = rig.stored(MAIN, 0, 1)
    second = rig.stored(MAIN, 0, 2)
    told = rig.told(first, rig.rang(target, 5_000, rising=rising), second)
    assert [kind for _, _, kind, _ in told] == ["notification-sent", "changed"]


def test_what_is_not_told_of_is_read_live_at_every_event(rig: Rig) -> None:
    rig.turns.watch("buffer", MAIN, Extent(SRAM + 0x100, 4), told=False)
    rig.memory[0x100] = 7
    seen = [rig.turns.read(MAIN, Extent(SRAM + 0x100, 1)) for _ in rig.turns.told([rig.stored(MAIN, 0, 1)])]
    assert seen == [b"\x07"]
    assert list(rig.turns.unexplained(END)) == [Event(END, "", Changed("buffer"))]


def test_what_the_host_writes_at_an_event_leaves_the_rest_as_it_stood(rig: Rig) -> None:
    first = rig.stored(MAIN, 0, 0x11)
    second = rig.stored(REMOTE, 0, 0x22)
    seen = []
    for _event in rig.turns.told([first, second]):
        if not seen:
            rig.memory[3] = 0xFF
            rig.turns.host_wrote(MAIN, Extent(SRAM + 3, 1))
        seen.append(rig.turns.read(MAIN, Extent(SRAM, 4)))
    assert seen == [bytes([0x11, 0, 0, 0xFF]), bytes([0x22, 0, 0, 0])]
