"""The contract on Renode, with a fake in Renode's place that does in each quantum what a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.engines import create_engine
from orchestrator.engines.contract import Capability, ConsoleText, EngineOptions, MemoryEquals, StopReason
from orchestrator.engines.renode.board import RenodeBoard
from orchestrator.errors import CapabilityError, EngineError, TranslationError, UsageError
from orchestrator.events import (
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
from orchestrator.memory import Extent
from orchestrator.platform import Platform, load_platform

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
SRAM, ALIAS = 0x3004_0000, 0x1004_0000
QUANTUM = 20_000
HSEM = 0x5802_6400
ICSR = 0xE000_ED04


class FakeRenode:
    """Memory by region, device words by address, and a script: what happens in which quantum."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.time_ns = 0
        self.memory = {region.name: bytearray(region.size) for region in platform.regions}
        self.words: dict[tuple[str, int], int] = {}
        self.halted = {core.name: core.held for core in platform.cores}
        self.pcs = {core.name: 0x0800_0100 for core in platform.cores}
        self.script: dict[int, list[Callable[[], None]]] = {}
        self.hooks: dict[tuple[int, int], list[Callable[[str, int, int, int], None]]] = {}
        self.outputs: dict[str, Callable[[int], None]] = {}
        self.exceptions: dict[str, Callable[[], None]] = {}
        self.sleeps: dict[str, Callable[[bool], None]] = {}
        self.fed = b""
        self.lines: list[str] = []
        self.steps: list[int] = []
        self.calls: list[tuple[object, ...]] = []

    # what firmware does

    def at(self, quantum: int, *acts: Callable[[], None]) -> None:
        self.script.setdefault(quantum, []).extend(acts)

    def store(self, core: str, address: int, value: int, size: int = 4) -> None:
        for hook in self.hooks.get((address, size), []):
            hook(core, address, size, value)
        place = self.platform.region_at(core, address)
        if place is not None:
            self.memory[place[0].name][place[1] : place[1] + size] = value.to_bytes(size, "little")

    def device(self, core: str, address: int, value: int, effects: Mapping[tuple[str, int], int]) -> None:
        for hook in self.hooks.get((address, 4), []):
            hook(core, address, 4, value)
        self.words |= effects

    def exception(self, core: str, number: int) -> None:
        self.words[core, ICSR] = number
        self.exceptions[core]()

    # what the board asks

    def run(self, duration_ns: int) -> None:
        self.steps.append(duration_ns // QUANTUM)
        for _ in range(duration_ns // QUANTUM):
            for act in self.script.pop(self.time_ns // QUANTUM, []):
                act()
            self.time_ns += QUANTUM

    def read(self, core: str, address: int, size: int) -> bytes:
        place = self.platform.region_at(core, address)
        assert place is not None, "a block of registers would be read byte by byte"
        return bytes(self.memory[place[0].name][place[1] : place[1] + size])

    def word(self, core: str, address: int) -> int:
        return self.words.get((core, address), 0)

    def write(self, core: str, address: int, data: bytes) -> None:
        for offset, byte in enumerate(data):
            self.store(core, address + offset, byte, 1)

    def load(self, core: str, elf: Path) -> None:
        self.calls.append(("load", core, elf.read_bytes()[:4]))

    def set_vector_table(self, core: str, address: int) -> None:
        self.calls.append(("vectors", core, address))

    def is_halted(self, core: str) -> bool:
        return self.halted[core]

    def set_halted(self, core: str, halted: bool) -> None:
        self.halted[core] = halted

    def reset(self, core: str, nvic: str) -> None:
        self.calls.append(("reset", core, nvic))
        self.halted[core] = True

    def pc(self, core: str) -> int:
        return self.pcs[core]

    def registers(self, core: str) -> Mapping[str, int]:
        return {"R0": 7, "SP": 0x2000_0000, "LR": 0, "PC": self.pcs[core], "CPSR": 0x0100_0000}

    def instructions(self, core: str) -> int:
        return self.time_ns // 10

    def on_output(self, uart: str, receive: Callable[[int], None]) -> None:
        self.outputs[uart] = receive

    def feed(self, uart: str, data: bytes) -> None:
        self.fed += data

    def command(self, text: str) -> str:
        self.calls.append(("command", text))
        self.store(MAIN, SRAM, 7)
        return "0x00000007"

    def on_store(self, address: int, size: int, seen: Callable[[str, int, int, int], None]) -> None:
        self.hooks.setdefault((address, size), []).append(seen)

    def on_exception(self, core: str, taken: Callable[[], None]) -> None:
        self.exceptions[core] = taken

    def on_sleep(self, core: str, changed: Callable[[bool], None]) -> None:
        self.sleeps[core] = changed

    def on_reset(self, happened: Callable[[], None]) -> None:
        self.machine_reset = happened

    def log_lines(self) -> Sequence[str]:
        lines, self.lines = self.lines, []
        return lines


class Rig:
    def __init__(self, platform: Platform) -> None:
        self.renode = FakeRenode(platform)
        self.board = RenodeBoard(platform, EngineOptions(), lambda *_: self.renode)
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


def test_what_happened_in_one_long_step_is_told_turn_by_turn_with_memory_as_it_was(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    seen: list[tuple[int, str, int]] = []

    def look(event: Event) -> None:
        value = int.from_bytes(rig.board.memory(REMOTE).read(ALIAS + 4, 4), "little")
        seen.append((event.time_ns // QUANTUM, event.core, value))

    rig.board.subscribe(look)
    rig.board.run(2_000_000)
    assert rig.renode.steps[-1] > 10
    first = rig.board.time_ns // QUANTUM + 20
    rig.renode.at(first, lambda: rig.renode.store(MAIN, SRAM + 4, 1))
    rig.renode.at(first, lambda: rig.renode.store(REMOTE, ALIAS + 4, 2))
    rig.renode.at(first + 1, lambda: rig.renode.store(MAIN, SRAM + 4, 3), lambda: rig.renode.store(MAIN, SRAM + 4, 4))
    rig.board.run(1_000_000)
    assert seen == [(first + 1, MAIN, 1), (first + 1, REMOTE, 2), (first + 2, MAIN, 4)]


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


def test_a_large_extent_is_watched_without_a_hook_for_each_byte(rig: Rig) -> None:
    hooks = len(rig.renode.hooks)
    rig.board.watch("carveout", MAIN, Extent(SRAM, 0x8000))
    assert len(rig.renode.hooks) == hooks
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM + 0x100, 1))
    rig.board.run(100_000)
    assert rig.events == [Event(3 * QUANTUM, "", Changed("carveout"))]


def test_a_watch_that_ended_is_silent(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 16))
    rig.board.unwatch("here")
    rig.renode.at(1, lambda: rig.renode.store(MAIN, SRAM, 1))
    rig.board.run(100_000)
    assert rig.events == []
    with pytest.raises(EngineError, match="what is to be watched"):
        rig.board.watch("nowhere", MAIN, Extent(ALIAS, 4))


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
    assert {event.time_ns for event in rig.events} == {2 * QUANTUM}


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
    rig.renode.at(1, lambda: rig.renode.exception(MAIN, 5))
    rig.board.run(100_000)
    (event,) = rig.of(Fault)
    assert event.detail.name == "BusFault"
    assert event.detail.status == ("PRECISERR", "BFARVALID")
    assert event.detail.address == 0x7000_0000


def test_a_lockup_is_told_once_and_two_of_them_end_the_run(rig: Rig) -> None:
    rig.renode.pcs = dict.fromkeys(rig.renode.pcs, 0xEFFF_FFFE)
    stop = rig.board.run(10_000_000)
    assert (stop.reason, len(rig.of(Lockup))) == (StopReason.DEAD, 2)
    assert rig.board.state(MAIN) is CoreState.LOCKED_UP


def test_a_core_that_falls_asleep_says_so(rig: Rig) -> None:
    rig.renode.at(1, lambda: rig.renode.sleeps[REMOTE](True))
    rig.board.run(100_000)
    assert rig.events == [Event(2 * QUANTUM, REMOTE, StateChanged(CoreState.SLEEPING, "WFI"))]
    assert rig.board.state(REMOTE) is CoreState.SLEEPING


# The log


def test_an_access_in_the_log_is_an_unmodelled_one_with_core_and_pc(rig: Rig) -> None:
    rig.renode.lines = [
        "[WARNING] sysbus: [cpu_cm4: 0x8100152] (tag: 'FMC') WriteWord to non existing peripheral at "
        "0x52004000, value 0x1.",
        "[WARNING] nvic_cm7: Unhandled write to offset 0xF5C (DCIMVAC), value 0x30040ED0.",
        "[WARNING] rcc: unmodelled read at 0x3FC",
        "[WARNING] rcc: odd",
        "[WARNING] LPTIM2: unmodelled write at 0x2C",
        "[WARNING] tag_40000400: unmodelled read at 0x24",
    ]
    rig.board.run(20_000)
    first, second, third, fourth, *windows = [(event.core, event.detail) for event in rig.events]
    assert first[0] == REMOTE
    assert (first[1].pc, first[1].address, first[1].value) == (0x0810_0152, 0x5200_4000, 1)
    assert second[0] == MAIN
    assert second[1].address == 0xE000_EF5C
    assert isinstance(third[1], UnmodelledAccess)
    assert third[1].address == 0x5802_47FC
    assert fourth[1] == Note("rcc: odd")
    assert [detail.address for _, detail in windows] == [0x5800_242C, 0x4000_0424]


def test_an_abort_that_comes_back_is_an_error_that_names_the_core(rig: Rig) -> None:
    rig.renode.lines = ["[ERROR] cpu_cm7: CPU abort [PC=0x70000000]: Trying to execute code outside RAM or ROM."]
    with pytest.raises(EngineError, match="PC 0x70000000: Renode has given up cpu_cm7: found Trying to execute"):
        rig.board.run(20_000)


def test_what_renode_cannot_see_is_said_as_not_checked(platform: Platform) -> None:
    board = RenodeBoard(platform, EngineOptions(), lambda *_: FakeRenode(platform))
    events: list[Event] = []
    board.subscribe(events.append)
    texts = [event.detail.text for event in events if isinstance(event.detail, Note)]
    assert all(text.startswith("not checked on renode: ") for text in texts)
    assert any("core.guest-error" in text for text in texts)


# Runs


def test_a_step_grows_while_nothing_happens_and_is_one_quantum_again_when_something_does(rig: Rig) -> None:
    rig.board.watch("here", MAIN, Extent(SRAM, 4))
    rig.renode.at(40, lambda: rig.renode.store(MAIN, SRAM, 1))
    rig.board.run(4_000_000)
    assert rig.renode.steps[:6] == [1, 2, 4, 8, 16, 32]
    assert rig.renode.steps[6:9] == [1, 2, 4]
    assert max(rig.renode.steps) <= 50
    assert sum(rig.renode.steps) == 200


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
    rig.board.run(100_000)
    assert [(event.core, event.detail) for event in rig.events] == [
        (REMOTE, StateChanged(CoreState.RUNNING, "released by firmware"))
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
        RenodeBoard(platform, EngineOptions(quantum_ns=1_500), lambda *_: FakeRenode(platform))


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
    assert engine.run(100_000).time_ns == 100_000
    engine.close()
