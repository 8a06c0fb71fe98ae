"""The contract on Renode, with a fake in Renode's place that does in each quantum what a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import CapabilityError, EngineError, TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Capability, ConsoleText, EngineOptions, MemoryEquals, Stop, StopReason
from orchestrator.engines.registry import create_engine
from orchestrator.engines.renode.board import RenodeBoard
from orchestrator.engines.renode.log import LogLine
from orchestrator.events import (
    Access,
    Accessed,
    Changed,
    CoreState,
    Event,
    ExceptionTaken,
    Fault,
    Lockup,
    Note,
    NotificationIgnored,
    NotificationSent,
    NotificationTaken,
    StateChanged,
    UnmodelledAccess,
)
from orchestrator.formats.elf import load_elf
from orchestrator.platform import Platform, load_platform

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
SRAM, ALIAS = 0x3004_0000, 0x1004_0000
QUANTUM = 20_000
HSEM = 0x5802_6400
ICSR = 0xE000_ED04


class FakeRenode:
    """Memory by region, device words by address, and a script: what happens in which quantum, in the cores' order.

    A core that acts in a quantum for the first time gets the turn, and what waits for that is called.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.time_ns = 0
        self.memory = {region.name: bytearray(region.size) for region in platform.regions}
        self.words: dict[tuple[str, int], int] = {}
        self.halted = {core.name: core.held for core in platform.cores}
        self.pcs = {core.name: 0x0800_0100 for core in platform.cores}
        self.script: dict[int, list[Callable[[], None]]] = {}
        self.hooks: dict[str, tuple[Extent, Callable[[str, int, int, int], None]]] = {}
        self.pages: dict[str, set[int]] = {core.name: set() for core in platform.cores}
        self.most_pages = 1024
        self.loads: dict[str, tuple[Extent, Callable[[int, int, int], None] | None]] = {}
        self.outputs: dict[str, Callable[[int], None]] = {}
        self.exceptions: dict[str, Callable[[], None]] = {}
        self.raises: dict[str, Callable[[int], None]] = {}
        self.sleeps: dict[str, Callable[[bool], None]] = {}
        self.answers: dict[str, Callable[[int], int | None]] = {}
        self.fed = b""
        self.quanta = self.looks = 0
        self.calls: list[tuple[object, ...]] = []
        self.turn = ""  # who has it
        self.spent_ns = 0  # of it
        self.ends: list[tuple[int, Callable[[], None]]] = []
        self.turns: dict[str, list[Callable[[], None]]] = {core.name: [] for core in platform.cores}
        self.ending = True
        self.dead = False
        self.effects: dict[tuple[str, int], int] = {}  # of a word that a player stores

    # what firmware does

    def at(self, quantum: int, *acts: Callable[[], None]) -> None:
        self.script.setdefault(quantum, []).extend(acts)

    def gets_turn(self, core: str) -> None:
        if core and core != self.turn and not self.ending:
            self.turn, self.spent_ns = core, 0
            acts, self.turns[core] = self.turns[core], []
            for act in acts:
                act()

    def executes(self, core: str, duration_ns: int) -> None:
        self.gets_turn(core)
        self.spent_ns += duration_ns

    def store(self, core: str, address: int, value: int, size: int = 4) -> None:
        self.gets_turn(core)
        place = self.platform.region_at(core, address)
        assert place is not None
        region, offset = place
        watched, hook = self.hooks.get(region.name, (Extent(0, 0), None))
        if hook is not None and offset in watched and address & ~0x3FF in self.pages[core]:
            hook(core, offset, size, value)
        self.memory[region.name][offset : offset + size] = value.to_bytes(size, "little")

    def load_word(self, core: str, address: int) -> None:
        self.gets_turn(core)
        place = self.platform.region_at(core, address)
        assert place is not None
        region, offset = place
        watched, hook = self.loads.get(region.name, (Extent(0, 0), None))
        if hook is not None and offset in watched:
            hook(offset, 4, int.from_bytes(self.memory[region.name][offset : offset + 4], "little"))

    def device(self, core: str, address: int, value: int, effects: Mapping[tuple[str, int], int]) -> None:
        self.gets_turn(core)
        self.hooks["hsem"][1](core, address - HSEM, 4, value)
        self.words |= effects

    def exception(self, core: str, number: int, kind: int | None = None) -> None:
        self.gets_turn(core)
        if kind is not None:
            self.raises[core](kind)
        self.words[core, ICSR] = number << 12
        self.exceptions[core]()

    def says(self, core: str, line: LogLine) -> None:
        self.gets_turn(core)
        self.log(line)

    def gives_up(self, core: str, why: str) -> None:
        self.gets_turn(core)
        self.log(LogLine(core, f"CPU abort [PC=0x70000000]: {why}", core, 0x7000_0000))
        self.dead = True
        self.aborts(core)

    # what the board asks

    def moment_ns(self, core: str) -> int:
        assert core == self.turn, "Renode knows it on the core's own thread only"
        return self.time_ns + self.spent_ns

    def run(self, duration_ns: int) -> None:
        end, self.ending = self.time_ns + duration_ns, False
        while self.time_ns < end and not self.ending and not self.dead:
            for act in self.script.pop(self.time_ns // QUANTUM, []):
                act()
            if self.dead:
                return
            self.time_ns += QUANTUM
            self.quanta += 1
            self.turn = ""
            due = [act for time_ns, act in self.ends if time_ns <= self.time_ns]
            self.ends = [each for each in self.ends if each[0] > self.time_ns]
            for act in due:
                act()
        self.ending = True

    def end(self) -> None:
        self.ending = True

    def at_quantum_end(self, act: Callable[[], None], time_ns: int = 0) -> None:
        self.ends.append((time_ns, act))

    def at_turn(self, core: str, act: Callable[[], None]) -> None:
        self.turns[core].append(act)

    def read(self, core: str, address: int, size: int) -> bytes:
        place = self.platform.region_at(core, address)
        assert place is not None, "a block of registers would be read byte by byte"
        return bytes(self.memory[place[0].name][place[1] : place[1] + size])

    def word(self, core: str, address: int) -> int:
        return self.words.get((core, address), 0)

    def write(self, core: str, address: int, data: bytes) -> None:
        assert not self.turn or self.turn == core or self.ending
        for offset, byte in enumerate(data):
            self.store(core, address + offset, byte, 1)

    def store_word(self, core: str, address: int, value: int) -> None:
        self.calls.append(("word", core, address, value))
        self.hooks["hsem"][1](core, address - HSEM, 4, value)
        self.words |= self.effects

    def load(self, core: str, elf: Path) -> None:
        self.calls.append(("load", core, elf.read_bytes()[:4]))

    def set_vector_table(self, core: str, address: int) -> None:
        self.calls.append(("vectors", core, address))

    def is_halted(self, core: str) -> bool:
        self.looks += core == MAIN
        return self.halted[core]

    def set_halted(self, core: str, halted: bool) -> None:
        self.halted[core] = halted

    def reset(self, core: str, nvic: str, driven: Sequence[int]) -> None:
        self.calls.append(("reset", core, nvic, *driven))
        self.halted[core] = True

    def pc(self, core: str) -> int:
        return self.pcs[core]

    def registers(self, core: str) -> Mapping[str, int]:
        return {"R0": 7, "SP": 0x2000_1000, "LR": 0, "PC": self.pcs[core], "CPSR": 0x0100_0000}

    def cycles(self, core: str) -> int:
        return self.time_ns // 10

    def on_output(self, uart: str, receive: Callable[[int], None]) -> None:
        self.outputs[uart] = receive

    def feed(self, uart: str, data: bytes) -> None:
        self.fed += data

    def command(self, text: str) -> str:
        self.calls.append(("command", text))
        self.store(MAIN, SRAM, 7)
        return "0x00000007"

    def on_store(self, peripheral: str, first: int, size: int, seen: Callable[[str, int, int, int], None]) -> None:
        self.hooks[peripheral] = Extent(first, size), seen

    def acting(self) -> str:
        return self.turn

    def on_load(self, region: str, first: int, size: int, seen: Callable[[int, int, int], None] | None) -> None:
        self.loads[region] = Extent(first, size), seen

    def answer(self, peripheral: str, first: int, size: int, value: Callable[[int], int | None]) -> None:
        self.answers[peripheral] = value

    def through_bus(self, extents: Sequence[tuple[str, Extent]]) -> bool:
        pages = [(core, page) for core, each in extents for page in range(each.start & ~0x3FF, each.end, 0x400)]
        if len(pages) > self.most_pages:
            return False
        for core, page in pages:
            self.pages[core].add(page)
        return True

    def on_exception(self, core: str, raised: Callable[[int], None], taken: Callable[[], None]) -> None:
        self.exceptions[core], self.raises[core] = taken, raised

    def on_sleep(self, core: str, changed: Callable[[bool], None]) -> None:
        self.sleeps[core] = changed

    def on_reset(self, happened: Callable[[], None]) -> None:
        self.machine_reset = happened

    def on_abort(self, happened: Callable[[str], None]) -> None:
        self.aborts = happened

    def on_log(self, said: Callable[[LogLine], None]) -> None:
        self.log = said


class Rig:
    def __init__(self, platform: Platform) -> None:
        self.renode = FakeRenode(platform)
        self.board = RenodeBoard(platform, EngineOptions(), begin=lambda *_: self.renode)
        self.events: list[Event] = []
        self.board.subscribe(self.events.append)
        self.events.clear()

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event.detail, kind)]


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("stm32h745")


@pytest.fixture
def rig(platform: Platform) -> Rig:
    return Rig(platform)


# Watches


@pytest.mark.parametrize(("core", "address", "size"), [(MAIN, SRAM, 4), (REMOTE, ALIAS, 2), (REMOTE, SRAM, 1)])
def test_a_store_through_any_alias_with_any_width_is_a_change_by_the_core_that_did_it(
    rig: Rig, core: str, address: int, size: int
) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    rig.renode.at(3, lambda: rig.renode.store(core, address + 8, 5, size))
    rig.board.run(1_000_000)
    assert rig.events == [Event(4 * QUANTUM, core, Changed("here"))]


def test_what_happened_is_told_turn_by_turn_with_memory_as_each_turn_left_it(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    seen: list[tuple[int, str, int]] = []

    def look(event: Event) -> None:
        value = int.from_bytes(rig.board.memory(REMOTE).read(ALIAS + 4, 4), "little")
        seen.append((event.time_ns // QUANTUM, event.core, value))

    rig.board.subscribe(look)
    rig.renode.at(20, lambda: rig.renode.store(MAIN, SRAM + 4, 1))
    rig.renode.at(20, lambda: rig.renode.store(REMOTE, ALIAS + 4, 2))
    rig.renode.at(21, lambda: rig.renode.store(MAIN, SRAM + 4, 3), lambda: rig.renode.store(MAIN, SRAM + 4, 4))
    rig.board.run(1_000_000)
    assert seen == [(21, MAIN, 1), (21, REMOTE, 2), (22, MAIN, 4)]


def test_memory_that_nobody_watches_is_read_at_its_event(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    seen: list[bytes] = []
    rig.board.subscribe(lambda _: seen.append(rig.board.memory(MAIN).read(SRAM + 0x1000, 1)))
    buffer, index = SRAM + 0x1000, SRAM
    rig.renode.at(1, lambda: rig.renode.store(MAIN, buffer, 0x11, 1), lambda: rig.renode.store(MAIN, index, 1))
    rig.renode.at(2, lambda: rig.renode.store(REMOTE, buffer, 0x22, 1))
    rig.renode.at(3, lambda: rig.renode.store(MAIN, buffer, 0x33, 1), lambda: rig.renode.store(MAIN, index, 2))
    rig.board.run(1_000_000)
    assert seen == [b"\x11", b"\x33"]


def test_what_is_watched_from_an_event_on_misses_no_store_of_the_next_turn(rig: Rig) -> None:
    """A ring that is found in the table: the other core may fill it in the very quantum in which it got its address."""
    rig.board.watch("table", MAIN, Extent(SRAM, 16))

    def find(event: Event) -> None:
        if event.detail == Changed("table"):
            rig.board.watch("ring", MAIN, Extent(SRAM + 0x1000, 16))

    rig.board.subscribe(find)
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM, 1), lambda: rig.renode.store(REMOTE, ALIAS + 0x1000, 2))
    rig.board.run(100_000)
    assert [(event.core, event.detail) for event in rig.events] == [(MAIN, Changed("table")), (REMOTE, Changed("ring"))]


def test_a_store_of_eight_bytes_that_begins_before_what_is_watched_is_seen(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM + 0x104, 4))
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM + 0x100, 5 << 32, 8))
    rig.board.run(100_000)
    assert rig.events == [Event(2 * QUANTUM, MAIN, Changed("here"))]


def test_a_command_of_the_monitor_is_the_hosts_doing_and_no_change_by_a_core(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    assert rig.board.execute("sysbus WriteDoubleWord 0x30040000 7") == "0x00000007"
    assert rig.renode.calls[-1] == ("command", "sysbus WriteDoubleWord 0x30040000 7")
    rig.board.run(QUANTUM)
    assert rig.events == []
    assert rig.board.memory(MAIN).read(SRAM, 1) == b"\x07"


def test_a_store_of_what_is_there_is_no_change(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM, 0))
    rig.board.run(100_000)
    assert rig.events == []


def test_a_change_that_no_store_explains_is_nobodys(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))

    def by_a_device() -> None:
        rig.renode.memory["sram3"][3] = 9

    rig.renode.at(1, by_a_device)
    rig.board.run(100_000)
    assert [(event.core, event.detail) for event in rig.events] == [("", Changed("here"))]


def test_what_the_host_stores_is_seen_by_no_watch(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    rig.board.memory(REMOTE).write(ALIAS, b"host")
    rig.board.run(100_000)
    assert rig.events == []
    assert rig.board.memory(MAIN).read(SRAM, 4) == b"host"


def test_what_has_more_pages_than_renode_can_tell_of_is_compared_and_read_live(rig: Rig) -> None:
    rig.renode.most_pages = 8
    rig.board.watch("carveout", MAIN, Extent(SRAM, 0x8000))
    seen: list[bytes] = []
    rig.board.watch("here", MAIN, Extent(SRAM, 4))
    rig.board.subscribe(lambda _: seen.append(rig.board.memory(MAIN).read(SRAM + 0x100, 1)))
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM + 0x100, 1), lambda: rig.renode.store(MAIN, SRAM, 1))
    rig.board.run(100_000)
    assert [(event.core, event.detail) for event in rig.events] == [
        (MAIN, Changed("carveout")),  # by its first page, of which every store is told
        (MAIN, Changed("here")),
        ("", Changed("carveout")),
    ]
    assert seen == [b"\x01"] * 3


def test_a_watch_that_ended_is_silent(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    rig.board.unwatch("here")
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM, 1))
    rig.board.run(100_000)
    assert rig.events == []
    with pytest.raises(EngineError, match="what is to be watched"):
        rig.board.watch("nowhere", MAIN, Extent(ALIAS, 4))


# Who reads and writes


def test_accesses_are_told_before_the_changes_of_their_turn_with_instruction_and_moment(
    rig: Rig,
) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    assert rig.board.observe("here", MAIN, Extent(SRAM, 16)) == {MAIN, REMOTE}
    rig.renode.memory["sram3"][0] = 5
    rig.renode.at(
        1,
        lambda: rig.renode.executes(REMOTE, 1_000),
        *[lambda: rig.renode.load_word(REMOTE, ALIAS)] * 3,
        lambda: rig.renode.executes(REMOTE, 1_000),
        lambda: rig.renode.store(REMOTE, ALIAS, 6),
    )
    rig.board.run(100_000)
    assert [event.kind for event in rig.events] == ["accessed", "changed"]
    accessed = rig.events[0].detail
    assert isinstance(accessed, Accessed)
    pc = rig.renode.pcs[REMOTE]
    assert accessed.accesses == (
        Access(
            21_000,
            21_000,
            pc,
            SRAM,
            4,
            3,  # by the first of its addresses
            False,
            False,
            5,
            None,
        ),
        Access(22_000, 22_000, pc, SRAM, 4, 1, True, False, 6, 5),
    )


def test_ranges_that_touch_are_one_record_where_they_are_to_be_merged(rig: Rig) -> None:
    rig.board.observe("buffer", MAIN, Extent(SRAM, 16), merge=True)
    rig.renode.at(1, *[lambda n=n: rig.renode.store(MAIN, SRAM + 4 * n, n) for n in range(4)])
    rig.board.run(100_000)
    (event,) = rig.events
    assert isinstance(event.detail, Accessed)
    assert [(each.address, each.size, each.times, each.value) for each in event.detail.accesses] == [
        (SRAM, 16, 4, None)
    ]


def test_less_of_a_memory_is_heard_when_what_is_observed_there_becomes_smaller(rig: Rig) -> None:
    rig.board.observe("stack", MAIN, Extent(SRAM + 0x100, 0x800))
    wide = rig.renode.hooks["sram3"][0], rig.renode.loads["sram3"][0]
    rig.board.observe("stack", MAIN, Extent(SRAM + 0x100, 0x10))
    assert wide == (Extent(0xF9, 0x807),) * 2  # from where an access of 8 bytes begins that reaches it
    assert (rig.renode.hooks["sram3"][0], rig.renode.loads["sram3"][0]) == (Extent(0xF9, 0x17),) * 2
    rig.board.watch("table", MAIN, Extent(SRAM + 0x400, 4))
    assert rig.renode.hooks["sram3"][0] == Extent.between(0xF9, 0x404)


def test_a_place_that_is_polled_is_told_again_when_somebody_has_written_there(rig: Rig) -> None:
    rig.board.observe("here", MAIN, Extent(SRAM, 16))
    rig.renode.at(1, *[lambda: rig.renode.load_word(MAIN, SRAM)] * 3_000)
    rig.renode.at(2, lambda: rig.renode.load_word(MAIN, SRAM))
    rig.renode.at(3, lambda: rig.renode.store(REMOTE, ALIAS, 1))
    rig.renode.at(4, lambda: rig.renode.load_word(MAIN, SRAM))
    rig.board.run(200_000)
    assert [(event.time_ns, event.core) for event in rig.events] == [
        (2 * QUANTUM, MAIN),
        (4 * QUANTUM, REMOTE),
        (5 * QUANTUM, MAIN),
    ]


# Notifications and exceptions


def test_a_mailbox_that_becomes_pending_is_a_notification_by_its_writer_and_is_taken_by_its_target(rig: Rig) -> None:
    pending = {(REMOTE, HSEM + 0x11C): 2, (REMOTE, HSEM + 0x118): 2}
    rig.renode.at(1, lambda: rig.renode.device(MAIN, HSEM + 4, 0, pending), lambda: rig.renode.exception(REMOTE, 142))
    rig.board.run(200_000)
    assert [(event.core, event.detail) for event in rig.events] == [
        (MAIN, NotificationSent("hsem", REMOTE, 1, 126, True)),
        (REMOTE, ExceptionTaken(142, "IRQ 126", 0x0800_0100)),
        (REMOTE, NotificationTaken("hsem", (1,), 126)),
    ]


def test_a_core_that_was_rung_in_a_quantum_goes_on_from_the_moment_of_its_sender(rig: Rig) -> None:
    rung = {(REMOTE, HSEM + 0x11C): 2, (REMOTE, HSEM + 0x118): 2}
    back = {(MAIN, HSEM + 0x10C): 1, (MAIN, HSEM + 0x108): 1}
    rig.renode.at(
        1,
        lambda: rig.renode.executes(MAIN, 5_000),
        lambda: rig.renode.device(MAIN, HSEM + 4, 0, rung),
        lambda: rig.renode.executes(REMOTE, 1_000),
        lambda: rig.renode.exception(REMOTE, 142),
        lambda: rig.renode.executes(REMOTE, 3_000),
        lambda: rig.renode.device(REMOTE, HSEM, 0, back),
    )
    rig.board.run(200_000)
    sent, returned = rig.of(NotificationSent)
    (taken,) = rig.of(NotificationTaken)
    assert (sent.time_ns, taken.time_ns, returned.time_ns) == (25_000, 25_000, 28_000)


def test_what_a_core_stored_before_it_rang_is_told_at_its_ring_and_the_rest_at_the_end_of_its_turn(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    seen: list[int] = []
    rig.board.subscribe(lambda _: seen.append(rig.board.memory(MAIN).read(SRAM, 1)[0]))
    rig.renode.at(
        1,
        lambda: rig.renode.store(MAIN, SRAM, 1),
        lambda: rig.renode.executes(MAIN, 5_000),
        lambda: rig.renode.device(MAIN, HSEM + 4, 0, {(REMOTE, HSEM + 0x11C): 2, (REMOTE, HSEM + 0x118): 2}),
        lambda: rig.renode.store(MAIN, SRAM, 2),
    )
    rig.board.run(200_000)
    assert [(event.time_ns, event.kind) for event in rig.events] == [
        (25_000, "notification-sent"),
        (25_000, "changed"),
        (40_000, "changed"),
    ]
    assert seen == [1, 1, 2]


def test_a_channel_that_is_not_enabled_is_ignored_and_a_second_one_does_not_rise(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.device(MAIN, HSEM + 4, 0, {(REMOTE, HSEM + 0x118): 4}))
    both = {(REMOTE, HSEM + 0x11C): 1, (REMOTE, HSEM + 0x118): 5}
    rig.renode.at(2, lambda: rig.renode.device(MAIN, HSEM, 0, both))
    more = {(REMOTE, HSEM + 0x11C): 3, (REMOTE, HSEM + 0x118): 7}
    rig.renode.at(3, lambda: rig.renode.device(MAIN, HSEM + 4, 0, more))
    rig.board.run(200_000)
    assert [event.detail for event in rig.events] == [
        NotificationIgnored("hsem", REMOTE, 2),
        NotificationSent("hsem", REMOTE, 0, 126, True),
        NotificationSent("hsem", REMOTE, 1, 126, False),
    ]


def test_a_fault_is_decoded(rig: Rig) -> None:
    rig.renode.words |= {(MAIN, 0xE000_ED28): 0x8200, (MAIN, 0xE000_ED38): 0x7000_0000}
    rig.renode.memory["flash"][0x100:0x102] = (0x681B).to_bytes(2, "little")  # ldr r3, [r3]
    rig.renode.at(1, lambda: rig.renode.exception(MAIN, 5, 21))
    rig.board.run(100_000)
    (event,) = rig.of(Fault)
    assert event.detail.name == "BusFault"
    assert event.detail.status == ("PRECISERR", "BFARVALID")
    assert event.detail.address == 0x7000_0000
    assert event.detail.what == "reads 4 bytes at 0x70000000, where this chip has nothing"
    assert not event.detail.escalated


def test_a_fault_that_is_escalated_has_the_name_of_what_it_was(rig: Rig) -> None:
    rig.renode.words |= {(MAIN, 0xE000_ED28): 0x0001_0000, (MAIN, 0xE000_ED2C): 0x4000_0000}
    rig.renode.memory["flash"][0x100:0x102] = (0xDEFF).to_bytes(2, "little")
    rig.renode.at(1, lambda: rig.renode.exception(MAIN, 3, 1))
    rig.board.run(100_000)
    (event,) = rig.of(Fault)
    assert (event.detail.name, event.detail.status, event.detail.escalated) == ("UsageFault", ("UNDEFINSTR",), True)
    assert event.detail.what == "executes the undefined instruction 0xdeff"


def test_an_interrupt_that_has_gone_away_before_it_is_taken_is_none(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.exception(MAIN, 0))
    rig.board.run(100_000)
    assert rig.events == []


def test_a_lockup_is_told_once_and_two_of_them_end_the_run(rig: Rig) -> None:
    rig.renode.pcs = dict.fromkeys(rig.renode.pcs, 0xEFFF_FFFE)
    stop = rig.board.run(10_000_000)
    assert (stop.reason, len(rig.of(Lockup))) == (StopReason.DEAD, 2)
    assert rig.board.state(MAIN) is CoreState.LOCKED_UP


@pytest.mark.parametrize("code", ["30bf", "20bf", "aff30380", "aff30280"])
def test_a_core_behind_its_wfi_or_wfe_sleeps_before_renode_says_so(rig: Rig, code: str) -> None:
    data = bytes.fromhex(code)
    rig.renode.memory["flash"][0x100 - len(data) : 0x100] = data
    assert rig.board.state(MAIN) is CoreState.SLEEPING
    rig.renode.pcs[MAIN] += 2
    assert rig.board.state(MAIN) is CoreState.RUNNING


def test_a_core_sleeps_while_renode_says_so(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.sleeps[MAIN](True))
    rig.board.run(100_000)
    assert rig.board.state(MAIN) is CoreState.SLEEPING
    rig.renode.at(6, lambda: rig.renode.sleeps[MAIN](False))
    rig.board.run(100_000)
    assert rig.board.state(MAIN) is CoreState.RUNNING


def test_a_core_in_a_branch_to_itself_runs(rig: Rig) -> None:
    rig.renode.memory["flash"][0x100:0x102] = (0xE7FE).to_bytes(2, "little")
    rig.renode.at(1, lambda: rig.renode.sleeps[MAIN](True))
    rig.board.run(100_000)
    assert rig.board.state(MAIN) is CoreState.RUNNING


def test_a_core_that_sleeps_before_a_branch_to_itself_sleeps(rig: Rig) -> None:
    rig.renode.memory["flash"][0xFE:0x102] = bytes.fromhex("30bf fee7")  # wfi; b .
    rig.renode.at(1, lambda: rig.renode.sleeps[MAIN](True))
    rig.board.run(100_000)
    assert rig.board.state(MAIN) is CoreState.SLEEPING


# The log


def test_an_access_in_the_log_is_an_unmodelled_one_by_the_core_that_is_behind_it(rig: Rig) -> None:
    lines = [
        LogLine("sysbus", "[cpu_cm4: 0x8100152] (tag: 'FMC') WriteWord to overriding tag at 0x52004000, value 0x1."),
        LogLine("nvic_cm7", "Unhandled read from offset 0xE10.", MAIN, 0x0800_0200),
        LogLine("rcc_registers", "unmodelled write at 0x3FC", MAIN, 0x0800_0204),  # a script in front of a model
    ]
    rig.renode.at(
        1, lambda: rig.renode.says(REMOTE, lines[0]), *(lambda e=e: rig.renode.says(MAIN, e) for e in lines[1:])
    )
    rig.board.run(100_000)
    first, second, third = [(event.core, event.detail) for event in rig.events]
    assert first[0] == REMOTE
    assert (first[1].pc, first[1].address, first[1].value, first[1].peripheral) == (0x0810_0152, 0x5200_4000, 1, "FMC")
    assert second[0] == MAIN
    assert (second[1].pc, second[1].address, second[1].value) == (0x0800_0200, 0xE000_EE10, None)
    assert third[0] == MAIN
    assert (third[1].pc, third[1].address, third[1].value) == (0x0800_0204, 0x5802_47FC, 0)
    assert third[1].peripheral == "rcc"


def test_an_access_is_said_once_for_each_instruction(rig: Rig) -> None:
    line = LogLine("rcc", "unmodelled read at 0x3FC", MAIN, 0x0800_0200)
    rig.renode.at(1, *[lambda: rig.renode.says(MAIN, line)] * 3)
    rig.board.run(100_000)
    assert len(rig.of(UnmodelledAccess)) == 1


def test_a_core_with_caches_says_how_large_they_are(rig: Rig) -> None:
    assert list(rig.renode.answers) == ["nvic_cm7"]
    read, select = rig.renode.answers["nvic_cm7"], rig.renode.hooks["nvic_cm7"][1]
    assert (read(0xD78), read(0xD7C), read(0xD80)) == (0x0900_0003, 0x8303_C003, 0xF00F_E019)
    select(MAIN, 0xD84, 4, 1)
    assert read(0xD80) == 0xF01F_E009


def test_cache_maintenance_is_no_access_to_nothing_on_a_core_with_caches(rig: Rig) -> None:
    text = "Unhandled write to offset 0xF5C (DCacheInvalidateByMVAToPoCAddress), value 0x30040ED0."
    for core in (MAIN, REMOTE):
        line = LogLine(f"nvic_{core.removeprefix('cpu_')}", text, core, 0x0800_0200)
        rig.renode.at(1, lambda core=core, line=line: rig.renode.says(core, line))
    rig.board.run(100_000)
    assert [event.core for event in rig.of(UnmodelledAccess)] == [REMOTE]


def test_another_warning_is_a_note_of_its_core(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.says(MAIN, LogLine("rcc", "odd", MAIN, 0x0800_0200)))
    rig.board.run(100_000)
    assert [(event.core, event.detail) for event in rig.events] == [(MAIN, Note("rcc: odd"))]


def test_what_renode_says_of_itself_is_no_note(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.says(MAIN, LogLine("", "Thread has been woken up 2 times", MAIN, 0x0800_0200)))
    rig.board.run(100_000)
    assert rig.events == []


def test_what_the_hosts_looking_logs_is_no_cores_doing(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 4))
    rig.board.subscribe(lambda _: rig.renode.log(LogLine("rcc", "unmodelled read at 0x3FC", MAIN, 0x0800_0200)))
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM, 1))
    rig.board.run(100_000)
    assert [event.detail for event in rig.events] == [Changed("here")]


def test_a_core_that_runs_into_nothing_is_a_fault_and_the_end_of_the_run(rig: Rig) -> None:
    rig.renode.pcs[MAIN] = 0x7000_0000
    rig.renode.at(1, lambda: rig.renode.gives_up(MAIN, "Trying to execute code outside RAM or ROM at 0x70000000."))
    assert rig.board.run(1_000_000).reason is StopReason.DEAD
    (event,) = rig.of(Fault)
    assert (event.core, event.detail.name, event.detail.status) == (MAIN, "BusFault", ("IBUSERR",))
    assert event.detail.what == "executes at 0x70000000, where there is no memory"
    assert rig.board.run(1_000_000).reason is StopReason.DEAD


def test_a_core_that_renode_gives_up_for_another_reason_is_an_error_that_says_it(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.gives_up(MAIN, "Unhandled exception 0x7."))
    with pytest.raises(EngineError, match="PC 0x70000000: Renode has given up cpu_cm7: found Unhandled exception"):
        rig.board.run(100_000)


def test_what_renode_cannot_see_is_said_as_not_checked(platform: Platform) -> None:
    board = RenodeBoard(platform, EngineOptions(), begin=lambda *_: FakeRenode(platform))
    events: list[Event] = []
    board.subscribe(events.append)
    texts = [event.detail.text for event in events if isinstance(event.detail, Note)]
    assert all(text.startswith("not checked on renode: ") for text in texts)
    assert any("core.guest-error" in text for text in texts)


# Runs


def test_a_run_in_which_nothing_happens_is_looked_at_each_millisecond(rig: Rig) -> None:
    rig.board.run(4_000_000)
    assert rig.renode.quanta == 200
    assert rig.renode.looks == 6  # the first quantum's, four, and the last


def test_a_run_ends_with_the_quantum_in_which_it_is_stopped(rig: Rig) -> None:
    rig.renode.at(7, rig.board.stop)
    assert rig.board.run(4_000_000) == Stop(StopReason.REQUESTED, 8 * QUANTUM)


def test_a_run_ends_at_its_conditions(rig: Rig) -> None:
    rig.renode.at(1, lambda: [rig.renode.outputs["usart3"](byte) for byte in b"nsh> "] and None)
    assert rig.board.run(1_000_000, ConsoleText("usart3", "nsh>")).reason is StopReason.CONDITION
    assert rig.board.consoles["usart3"].output == b"nsh> "
    assert rig.board.run(100_000, ConsoleText("usart3", "nsh>")).reason is StopReason.TIMEOUT
    rig.renode.at(rig.board.time_ns // QUANTUM, lambda: rig.renode.store(REMOTE, ALIAS, 0x55))
    assert rig.board.run(1_000_000, MemoryEquals(MAIN, SRAM, 1, 5, 0xF)).reason is StopReason.CONDITION
    with pytest.raises(UsageError, match="no such UART"):
        rig.board.run(1, ConsoleText("usart9", ""))
    with pytest.raises(UsageError, match="no memory to wait for"):
        rig.board.run(1, MemoryEquals(MAIN, ALIAS, 4, 0))


def test_a_listener_can_stop_the_run(rig: Rig) -> None:
    rig.board.subscribe(lambda _: rig.board.stop())
    rig.renode.at(1, lambda: rig.renode.exception(MAIN, 15))
    assert rig.board.run(10_000_000).reason is StopReason.REQUESTED


# Hold, start, reset


def test_a_core_that_ran_starts_again_as_after_reset(rig: Rig) -> None:
    rig.board.run(20_000)
    rig.board.hold(MAIN)
    assert rig.renode.halted[MAIN]
    rig.board.hold(MAIN)
    rig.board.start(MAIN)
    assert rig.renode.calls == [("reset", MAIN, "nvic_cm7"), ("vectors", MAIN, 0x0800_0000)]
    assert not rig.renode.halted[MAIN]
    assert [event.detail.state for event in rig.events] == [CoreState.HELD, CoreState.RUNNING]


def test_a_core_that_is_held_before_it_ever_ran_is_only_let_go(rig: Rig) -> None:
    rig.board.hold(MAIN)
    rig.board.start(MAIN)
    assert rig.renode.calls == []


def test_what_firmware_does_with_the_other_core_is_told(rig: Rig) -> None:
    rig.board.hold(REMOTE)
    rig.events.clear()
    rig.renode.at(1, lambda: rig.renode.halted.update({REMOTE: False}))
    rig.renode.at(2, lambda: rig.renode.executes(REMOTE, 1_000))
    rig.board.run(100_000)
    assert [(event.core, event.detail) for event in rig.events] == [
        (REMOTE, StateChanged(CoreState.RUNNING, "released by firmware"))
    ]
    rig.events.clear()
    rig.renode.at(7, lambda: rig.renode.halted.update({REMOTE: True}))
    rig.board.run(1_000_000)
    assert [(event.core, event.detail) for event in rig.events] == [
        (REMOTE, StateChanged(CoreState.HELD, "held by firmware"))
    ]


def test_a_reset_of_the_machine_sets_again_what_was_set_by_hand(rig: Rig) -> None:
    rig.renode.at(1, rig.renode.machine_reset)
    rig.board.run(100_000)
    assert ("vectors", REMOTE, 0x0810_0000) in rig.renode.calls
    assert [event.detail.why for event in rig.events] == ["system reset requested by firmware"]


# Looking


def test_memory_that_a_core_has_not_is_an_error_and_not_zero(rig: Rig) -> None:
    with pytest.raises(TranslationError, match="cpu_cm7 at 0x10040000: no memory"):
        rig.board.memory(MAIN).read(ALIAS, 4)
    with pytest.raises(TranslationError, match="0x30048000"):
        rig.board.memory(MAIN).write(0x3004_7FFE, b"1234")


def test_registers_have_the_contracts_names(rig: Rig) -> None:
    registers = rig.board.registers(MAIN)
    assert (registers["R0"], registers["XPSR"], registers["MSP"]) == (7, 0x0100_0000, 0)
    with pytest.raises(UsageError, match=r"expected cpu_cm7 \| cpu_cm4, found cpu9"):
        rig.board.registers("cpu9")


def test_a_snapshot_is_refused_by_name(rig: Rig) -> None:
    assert Capability.SNAPSHOT not in rig.board.capabilities
    with pytest.raises(CapabilityError, match="engine renode: no snapshot"):
        rig.board.snapshot()


def test_a_quantum_that_renode_cannot_keep_is_refused(platform: Platform) -> None:
    with pytest.raises(UsageError, match="whole microseconds"):
        RenodeBoard(platform, EngineOptions(quantum_ns=1_500), begin=lambda *_: FakeRenode(platform))


# Without Renode, and with it


def test_without_renode_the_engine_says_what_is_missing(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYRENODE_PKG", "PYRENODE_BIN", "PYRENODE_BUILD_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EngineError, match="engine renode: "):
        create_engine("renode", platform)


@pytest.mark.renode
def test_the_platform_comes_up_on_a_real_renode(platform: Platform) -> None:
    try:
        engine = create_engine("renode", platform)
    except EngineError as error:
        pytest.skip(f"no Renode: {error.what}")
    assert engine.memory(MAIN).read(0x3800_0000, 4) == bytes(4)
    assert engine.run(100_000).reason is StopReason.DEAD  # cores without firmware lock up
    engine.close()


# A core that a player plays


class Scribe:
    """Acts in its first turn, as it is told, and notes when it has which."""

    def __init__(self, act: Callable[[Any], int | None]) -> None:
        self.act = act
        self.turns: list[int] = []
        self.resets = 0

    def turn(self, time_ns: int) -> int | None:
        self.turns.append(time_ns // QUANTUM)
        return self.act(self.core) if len(self.turns) == 1 else None

    def reset(self) -> None:
        self.resets += 1


def play(rig: Rig, core: str, act: Callable[[Any], int | None]) -> Scribe:
    scribe = Scribe(act)
    scribe.core = rig.board.play(core, scribe)
    return scribe


def test_a_played_core_stays_halted_and_its_player_acts_at_the_ends_of_quanta(rig: Rig) -> None:
    scribe = play(rig, MAIN, lambda _: 5 * QUANTUM)
    rig.board.run(20 * QUANTUM)
    assert scribe.turns == [1, 5]
    assert rig.renode.halted[MAIN]
    assert rig.board.state(MAIN) is CoreState.SLEEPING
    assert (rig.board.backtrace(MAIN), rig.board.instructions(MAIN)) == ((), 0)


def test_what_a_player_stores_and_rings_is_its_core_s_doing(rig: Rig) -> None:
    def act(core: Any) -> None:
        core.memory.write(SRAM + 4, b"\1\2")
        core.write(HSEM + 4, 7)
        assert core.memory.read(SRAM + 4, 2) == b"\1\2"

    rig.renode.effects = {(REMOTE, HSEM + 0x11C): 2, (REMOTE, HSEM + 0x118): 2}
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    play(rig, MAIN, act)
    rig.board.run(2 * QUANTUM)
    assert ("word", MAIN, HSEM + 4, 7) in rig.renode.calls
    assert rig.events == [
        Event(QUANTUM, MAIN, NotificationSent("hsem", REMOTE, 1, 126, True)),
        Event(QUANTUM, MAIN, Changed("here")),
    ]


def test_a_player_that_is_rung_has_a_turn_at_the_end_of_that_quantum(rig: Rig) -> None:
    scribe = play(rig, MAIN, lambda _: None)
    rig.renode.at(4, lambda: rig.renode.device(REMOTE, HSEM, 0, {(MAIN, HSEM + 0x10C): 1, (MAIN, HSEM + 0x108): 1}))
    rig.board.run(5 * QUANTUM)
    assert scribe.turns == [1, 5]
    assert rig.of(NotificationTaken) == [Event(5 * QUANTUM, MAIN, NotificationTaken("hsem", (0,), 125))]


def test_a_player_asks_for_a_turn_and_looks_as_another_core_does(rig: Rig) -> None:
    rig.renode.words[REMOTE, HSEM + 0x110] = 9
    scribe = play(rig, MAIN, lambda core: None)
    rig.board.run(3 * QUANTUM)
    scribe.core.wake()
    rig.board.run(3 * QUANTUM)
    assert scribe.turns == [1, 4]
    assert scribe.core.peek(REMOTE, HSEM + 0x110) == 9
    with pytest.raises(EngineError, match="cpu_cm7 at 0x10000000: no device here"):
        scribe.core.read(0x1000_0000)


def test_a_player_stands_still_while_its_core_is_held_and_firmware_lets_it_go(rig: Rig) -> None:
    scribe = play(rig, REMOTE, lambda _: None)
    rig.board.hold(REMOTE)
    rig.board.run(3 * QUANTUM)
    assert (scribe.turns, rig.board.state(REMOTE)) == ([], CoreState.HELD)

    def release() -> None:
        rig.renode.halted[REMOTE] = False
        rig.renode.gets_turn(REMOTE)

    rig.renode.at(5, release)
    rig.board.run(5 * QUANTUM)
    assert scribe.turns == [6]
    assert rig.renode.halted[REMOTE]  # the core itself executes nothing
    assert [e.detail.why for e in rig.of(StateChanged) if e.core == REMOTE] == ["released by firmware"]


def test_a_player_loads_and_starts_the_other_core_in_its_turn(rig: Rig, firmware: Callable[[str], Any]) -> None:
    image = load_elf(firmware("demo").remote)

    def act(_: Any) -> None:
        rig.board.hold(REMOTE)
        rig.board.load(REMOTE, image, image.segments[0].load_address)
        rig.board.start(REMOTE)

    play(rig, MAIN, act)
    rig.board.run(QUANTUM)
    (segment, *_) = image.segments
    assert rig.board.memory(REMOTE).read(segment.load_address, len(segment.data)) == segment.data
    assert not [call for call in rig.renode.calls if call[0] == "load"]  # Renode refuses ELF files while it runs
    assert not rig.renode.halted[REMOTE]


def test_a_core_that_a_player_restarts_comes_out_of_reset_when_renode_stands_still(rig: Rig) -> None:
    rig.board.run(2 * QUANTUM)
    running: list[bool] = []
    rig.renode.reset = lambda *_: running.append(not rig.renode.ending)

    def restart() -> None:
        rig.board.hold(REMOTE)
        rig.board.start(REMOTE)

    rig.renode.at(3, lambda: rig.renode.at_quantum_end(restart))
    stop = rig.board.run(10 * QUANTUM)
    assert running == [False]
    assert not rig.renode.halted[REMOTE]
    assert stop.time_ns == 12 * QUANTUM
    assert [e.detail.why for e in rig.of(StateChanged) if e.core == REMOTE][-2:] == ["held", "started"]


def test_a_player_hears_of_resets(rig: Rig) -> None:
    scribe = play(rig, MAIN, lambda _: None)
    rig.board.run(2 * QUANTUM)
    rig.board.reset(MAIN)
    assert scribe.resets == 1
    rig.renode.machine_reset()
    assert scribe.resets == 2
    assert rig.renode.halted[MAIN]
    with pytest.raises(UsageError, match="played from power-on"):
        rig.board.play(REMOTE, scribe)


# Data caches


def test_a_data_cache_is_told_by_the_registers_of_its_core(rig: Rig) -> None:
    nvic = 0xE000_E000
    rig.renode.words |= {(MAIN, nvic + 0xD14): 1 << 16, (MAIN, nvic + 0xD90): 0}
    hook = rig.renode.hooks["nvic_cm7"][1]
    cache = rig.board.data_cache(MAIN)
    assert cache is not None
    assert cache.enabled
    assert cache.keeps(Extent(SRAM, 32))
    hook(MAIN, 0xF68, 4, SRAM)  # DCCMVAC
    cleaned = rig.board.data_cache(MAIN)
    assert cleaned is not None
    assert not cleaned.keeps(Extent(SRAM, 32))
    assert rig.board.data_cache(REMOTE) is None


def test_a_cache_that_is_off_is_not_maintained_and_a_reset_forgets_what_was(rig: Rig) -> None:
    hook = rig.renode.hooks["nvic_cm7"][1]
    hook(MAIN, 0xF68, 4, SRAM)
    rig.renode.words[MAIN, 0xE000_ED14] = 1 << 16
    cache = rig.board.data_cache(MAIN)
    assert cache is not None
    assert cache.maintained == ()
    hook(MAIN, 0xF60, 4, 0)  # DCISW
    rig.board.reset(MAIN)
    again = rig.board.data_cache(MAIN)
    assert again is not None
    assert again.maintained == ()


# Gates


def test_an_access_that_the_chip_refuses_is_a_fault_and_the_end_of_the_run(firmware: Callable[..., Any]) -> None:
    rig = Rig(load_platform("nrf5340"))
    images = firmware("demo", "nrf5340")
    rig.board.load("cpu_app", load_elf(images.main), 0)
    rig.board.load("cpu_net", load_elf(images.remote), 0x0100_0000)
    closed = {("cpu_app", 0x5000_3000 + 0x700 + 4 * index): 0x17 for index in range(64)}
    rig.renode.words |= closed
    rig.events.clear()
    rig.renode.at(1, lambda: rig.renode.store("cpu_net", 0x2007_0000, 1))
    assert rig.board.run(1_000_000).reason is StopReason.DEAD
    fault = rig.of(Fault)[0]
    assert fault.core == "cpu_net"
    assert isinstance(fault.detail, Fault)
    assert fault.detail.address == 0x2007_0000
    assert "refused while SPU.EXTDOMAIN[0].PERM.SECATTR is 0x0" in fault.detail.what
    assert rig.board.run(1_000_000).reason is StopReason.DEAD


def test_an_open_gate_refuses_nothing_and_one_whose_opener_runs_no_firmware_is_open(
    firmware: Callable[..., Any],
) -> None:
    rig = Rig(load_platform("nrf5340"))
    images = firmware("demo", "nrf5340")
    rig.board.load("cpu_net", load_elf(images.remote), 0x0100_0000)
    rig.renode.at(1, lambda: rig.renode.store("cpu_net", 0x2007_0000, 1))
    rig.board.run(1_000_000)
    rig.board.load("cpu_app", load_elf(images.main), 0)
    rig.renode.words |= {("cpu_app", 0x5000_3000 + 0x700 + 4 * 56): 0x07, ("cpu_app", 0x5000_3440): 0x10}
    rig.renode.at(60, lambda: rig.renode.store("cpu_net", 0x2007_0000, 2))
    rig.board.run(1_000_000)
    assert rig.of(Fault) == []


# Polls


def test_what_a_core_reads_each_time_in_a_small_loop_is_what_it_waits_for(rig: Rig) -> None:
    rig.renode.sleeps[MAIN](True)
    rig.board.run(25_000_000)
    _extent, hear = rig.renode.loads["hsem"]
    assert hear is not None
    rig.renode.turn = REMOTE
    for _ in range(64):
        hear(0x84, 4, 0x8000_0101)
    assert rig.renode.loads["hsem"][1] is None, "it is listened to no longer than that"
    waiting = rig.board.waiting(REMOTE)
    assert waiting is not None
    assert [(each.address, each.value, each.peripheral) for each in waiting.polls] == [
        (HSEM + 0x84, 0x8000_0101, "hsem")
    ]
    rig.renode.pcs[REMOTE] += 0x1000
    assert rig.board.waiting(REMOTE) is None


def test_a_core_that_reads_no_device_is_listened_to_for_a_moment_and_then_the_other_one(rig: Rig) -> None:
    rig.board.run(22_000_000)
    first = rig.renode.loads["hsem"][1]
    assert first is not None
    rig.board.run(6_000_000)
    assert rig.renode.loads["hsem"][1] not in (None, first)


def test_what_reads_otherwise_each_time_is_no_wait(rig: Rig) -> None:
    rig.renode.sleeps[MAIN](True)
    rig.board.run(25_000_000)
    hear = rig.renode.loads["hsem"][1]
    assert hear is not None
    rig.renode.turn = REMOTE
    for number in range(64):
        hear(0x84, 4, number)
    assert rig.board.waiting(REMOTE) is None
