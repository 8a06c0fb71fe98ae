"""What the observer makes of a run: milestones, traffic, notifications, in bounded memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.golden_texts import GoldenTexts, verdict_as_text

from bench import (
    BUFFER,
    CARVEOUT,
    CARVEOUT_SIZE,
    DA,
    FLASH,
    MAIN,
    PA,
    REMOTE,
    SIZE,
    TURN_NS,
    Bench,
    Script,
    default_entries,
    message,
    run,
)
from orchestrator.base.errors import TranslationError
from orchestrator.base.memory import Extent
from orchestrator.base.roles import ROLES, Side
from orchestrator.checks.verdict import judge
from orchestrator.events import (
    SYSTEM_RESET,
    Access,
    Accessed,
    Changed,
    CoreState,
    Event,
    ExceptionTaken,
    Fault,
    Frame,
    Lockup,
    Note,
    NotificationSent,
    NotificationTaken,
    StateChanged,
    UnmodelledAccess,
)
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import ANY, Carveout, CommandCode, Vdev
from orchestrator.formats.resource_table import build_table
from orchestrator.observe.observer import ObserveOptions, Observer
from orchestrator.observe.run import Cut
from orchestrator.observe.traffic import HISTORY


def test_the_steps_of_the_bring_up_are_noted_with_core_and_time() -> None:
    verdict = run()
    names = [each.name for each in verdict.milestones]
    order = ["released", "table present as main sees it", "vdev[0].vring[0] resolved", "vdev[0] DRIVER_OK",
             "vdev[0].vring[0] first buffer available", "vdev[0].vring[0] first buffer used",
             "vdev[0] name service: create echo at 1024", "vdev[0].vring[1] first buffer used"]  # fmt: skip
    assert sorted(order, key=names.index) == order
    by_name = {each.name: each for each in verdict.milestones}
    assert by_name["vdev[0].vring[0] resolved"].core == "main"
    assert by_name["vdev[0].vring[0] first buffer used"].core == "remote"
    assert by_name["vdev[0] DRIVER_OK"].time_ns == 3 * TURN_NS // 2  # main's second turn, where it rings


def test_a_vring_has_its_address_in_both_views() -> None:
    bench = Bench(Script())
    verdict = bench.run()
    ring = verdict.live.rings[0]
    assert ring.span is not None
    assert (ring.span.pa, ring.span.da) == (PA + CARVEOUT, DA + CARVEOUT)
    assert ring.carveout is not None
    assert ring.was_dynamic


def test_a_carveout_that_is_named_after_a_vring_is_that_vrings_and_no_other() -> None:
    """Linux's names, in whatever order they stand; RPTUN's carveouts are by index."""
    vdevs = [each for each in default_entries(2) if isinstance(each, Vdev)]
    places = [(1, 1), (0, 1), (1, 0)]
    named = [
        Carveout(da=DA + CARVEOUT + 0x800 * n, len=0x800, name=b"vdev%dvring%d" % at) for n, at in enumerate(places)
    ]
    live = run(entries=[*vdevs, *named], starts_rings=False).live
    found = {ring.path: ring.carveout and ring.carveout.entry.at.path for ring in live.rings}
    assert found == {
        "vdev[0].vring[0]": None,
        "vdev[0].vring[1]": "carveout[1]",
        "vdev[1].vring[0]": "carveout[2]",
        "vdev[1].vring[1]": "carveout[0]",
    }


def test_a_table_that_firmware_makes_at_run_time_where_it_was_named_comes_up() -> None:
    verdict = run(table_at_run_time=True, locator=parse_locator(f"remote:{DA:#x}"))
    assert (verdict.up, verdict.exit_code, verdict.findings) == (True, 0, ())
    assert verdict.milestones[2].name == "table present as main sees it"


@pytest.mark.parametrize(("da", "was_dynamic"), [(ANY, True), (DA + CARVEOUT, False)], ids=["by the host", "by itself"])
def test_of_a_table_at_run_time_its_first_sight_says_who_places_a_vring(da: int, was_dynamic: bool) -> None:
    """An address that stands there from the beginning is the firmware's own, whatever happens to it later."""
    live = run(table_at_run_time=True, locator=parse_locator(f"remote:{DA:#x}"), entries=default_entries(da=da)).live
    assert [ring.was_dynamic for ring in live.rings] == [was_dynamic] * 2


@pytest.mark.parametrize(
    ("room", "watched"), [(0x400, 0x200), (0x200, 0x200), (0x1FF, 0x100), (0x50, 0x40), (0x10, 0x10)]
)
def test_a_table_whose_size_nobody_knows_is_watched_as_far_as_there_is_memory(room: int, watched: int) -> None:
    bench = Bench(Script(table_at_run_time=True, locator=parse_locator(f"remote:{DA + SIZE - room:#x}")))
    assert bench.watches["table"] == (MAIN, Extent(PA + SIZE - room, watched))


def test_a_table_without_entries_fills_the_last_16_bytes_of_memory() -> None:
    at = DA + SIZE - 16
    verdict = run(
        entries=[], table_at_run_time=True, locator=parse_locator(f"remote:{at:#x}"), table_run=at, starts_rings=False
    )
    assert verdict.live.table is not None
    assert verdict.live.table.size == 16


def test_a_core_is_released_when_it_first_runs_and_slept_when_it_last_fell_asleep() -> None:
    bench = Bench(Script())
    core = bench.observer.run.cores["remote"]
    for time_ns, state in enumerate(
        [CoreState.HELD, CoreState.RUNNING, CoreState.SLEEPING, CoreState.RUNNING, CoreState.SLEEPING, CoreState.HELD]
    ):
        bench.observer.on_event(Event(time_ns, REMOTE, StateChanged(state, f"{time_ns}")))
        if state is CoreState.HELD and not time_ns:
            assert (core.released_ns, core.slept) == (None, False)
    assert (core.released_ns, core.slept, core.slept_ns) == (1, True, 4)
    assert (core.state, core.why, core.acted_ns) == (CoreState.HELD, "5", 5)
    released = bench.observer.run.milestone("released")
    assert released is not None
    assert (released.time_ns, released.core, released.detail) == (1, "remote", "1")


def test_of_resets_all_are_counted_and_the_last_is_kept_of_which_it_is_known_where_it_was_asked_for() -> None:
    bench = Bench(Script())
    frames = [(Frame(FLASH + at, f"at{at}"),) for at in (0, 2)]
    for time_ns, backtrace in enumerate([(), frames[0], frames[1], ()]):
        reset = StateChanged(CoreState.RUNNING, f"{SYSTEM_RESET} by itself", backtrace)
        bench.observer.on_event(Event(time_ns, REMOTE, reset))
    core = bench.observer.run.cores["remote"]
    assert (core.resets, bench.observer.run.cores["main"].resets) == (4, 0)
    assert core.last_reset is not None
    assert (core.last_reset[0], core.last_reset[1].backtrace) == (2, frames[1])


def test_a_table_is_watched_to_its_last_byte_once_it_is_there() -> None:
    bench = Bench(Script(table_at_run_time=True, locator=parse_locator(f"remote:{DA:#x}")))
    assert bench.watches["table"] == (MAIN, Extent(PA, 512))
    bench.run()
    assert bench.watches["table"] == (MAIN, Extent(PA, bench.table().size))


def test_a_status_that_is_there_when_the_table_is_first_seen_counts_as_reached() -> None:
    bench = Bench(Script())
    table = build_table(default_entries(), address=DA)
    status = table.field("vdev[0].status")
    assert status is not None
    at = status.at.address - DA
    bench.turn(REMOTE, lambda: bench.remote.write(DA, table.encode()[:at] + b"\7" + table.encode()[at + 1 :]))
    steps = ["vdev[0] ACKNOWLEDGE", "vdev[0] DRIVER", "vdev[0] DRIVER_OK"]
    assert [each.name for each in bench.observer.run.milestones if each.name in steps] == steps


@pytest.mark.parametrize(("vdevs", "rings"), [(32, 64), (33, 64), (40, 64)])
def test_of_all_vrings_the_first_64_are_followed(vdevs: int, rings: int) -> None:
    entries = [each for each in default_entries(vdevs) if isinstance(each, Vdev)]
    live = run(entries=entries, starts_rings=False).live
    assert (len(live.vdevs), len(live.rings)) == (vdevs, rings)
    assert live.rings[-1].path == "vdev[31].vring[1]"


def test_a_table_that_cannot_be_read_for_a_while_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Script())
    bench.run()
    live = bench.observer.live

    def read(address: int, size: int) -> bytes:
        raise TranslationError("no memory", where=f"{address:#010x}")

    with monkeypatch.context() as patched:
        for memory in (bench.main, bench.remote):
            patched.setattr(memory, "read", read)
        bench.emit(MAIN, Changed("table"))
    assert bench.observer.live is live
    bench.turn(MAIN, lambda: bench.poke("vdev[0].status", 3))
    assert bench.observer.live.vdevs[0].status == 3


def test_a_fault_and_a_lockup_are_steps_of_a_run() -> None:
    bench = Bench(Script())
    what = "reads 0x70000000, where this chip has nothing"
    bench.emit(MAIN, Fault("BusFault", ("PRECISERR",), 0x7000_0000, FLASH, None, what, False, {}, ()))
    bench.emit(REMOTE, Lockup(FLASH, None, "a fault in HardFault", {}, ()))
    bench.emit(REMOTE, Lockup(FLASH, None, "once more", {}, ()))
    assert [(each.core, each.name, each.detail) for each in bench.observer.run.milestones] == [
        ("main", "fault", what),
        ("remote", "lockup", "a fault in HardFault"),
    ]
    assert bench.observer.run.cores["remote"].state is CoreState.LOCKED_UP


def test_a_table_that_was_named_where_no_core_has_memory_is_told_of_once() -> None:
    locator = parse_locator("remote:0x60000000")
    (found,) = run(table_at_run_time=True, copies_table=False, starts_rings=False, locator=locator).findings
    assert found.rule == "table.one-core-only"
    assert found.actual == "cpu_main and cpu_remote cannot reach 0x60000000..0x60000010"


def test_messages_are_conserved_from_offer_to_use() -> None:
    verdict = run(pings=5)
    pool, sent = (verdict.run.traffic.rings[f"vdev[0].vring[{i}]"] for i in range(2))
    assert (pool.posted, pool.used, len(pool.outstanding)) == (8 + 6, 6, 8)
    assert pool.reclaimed == 6
    assert (sent.posted, sent.used, len(sent.outstanding)) == (5, 5, 0)
    log = verdict.run.traffic.messages["vdev[0]"]
    assert (log.sent[Side.DRIVER], log.sent[Side.DEVICE]) == (5, 6)
    assert [each.name for each in log.endpoints.endpoints] == ["echo"]


def test_each_buffer_has_size_owner_and_history() -> None:
    verdict = run()
    buffers = verdict.run.traffic.buffers
    first = buffers[min(buffers)]
    assert (first.span.size, first.writable, first.owner) == (BUFFER, True, "device")
    assert [use.owner for use in first.history] == ["device", "driver", "device"]


def test_what_no_ring_and_no_buffer_took_is_never_used() -> None:
    verdict = run()
    total = sum(gap.size for _, gap in verdict.never_used)
    assert verdict.never_used[-1][1].pa is not None
    assert 0 < total < CARVEOUT_SIZE
    last = verdict.never_used[-1][1]
    assert last.da is not None
    assert last.da + last.size == DA + CARVEOUT + CARVEOUT_SIZE


def test_notifications_are_counted_by_core_and_channel_and_learned_where_a_turn_tells() -> None:
    ledger = run().run.ledger
    assert ledger.sent_to("remote") == ledger.taken_by("remote") == 4
    assert ledger.serves("vdev[0].vring[0]", "main") == 1
    assert ledger.serves("vdev[0].vring[1]", "remote") is None  # always together with vring 0: not guessed


def test_a_channel_that_was_given_is_the_one_that_counts() -> None:
    bench = Bench(Script())
    bench.observer.options = ObserveOptions(notify={"vdev[0].vring[0]": 1})
    queues = bench.run().to_json()["notifications"]["queues"]  # type: ignore[index]  # plain JSON
    assert {each["how"] for each in queues if each["ring"] == "vdev[0].vring[0]"} == {"given"}


def test_a_run_ten_times_as_long_keeps_no_more() -> None:
    short, long = (run(pings=n).run for n in (40, 400))
    assert (short.traffic.rings["vdev[0].vring[1]"].used, long.traffic.rings["vdev[0].vring[1]"].used) == (40, 400)
    for each in (short, long):
        log = each.traffic.messages["vdev[0]"]
        assert (len(log.first), len(log.last)) == (HISTORY, HISTORY)
        assert len(each.traffic.buffers) <= 16
    assert len(short.milestones) == len(long.milestones)


def test_activity_is_the_last_write_or_notification() -> None:
    bench = Bench(Script())
    verdict = bench.run()
    assert bench.observer.last_activity_ns == verdict.time_ns - bench.script.rest_ns
    assert bench.observer.is_up()


@pytest.mark.parametrize(("cut", "posted"), [(Cut.BY_NOBODY, 4), (Cut.BY_CALLER, 4), (Cut.BY_ENGINE, 3)])
def test_memory_is_looked_at_once_more_at_the_end_unless_the_engine_failed(cut: Cut, posted: int) -> None:
    """What was written outside of any core's turn is nobody's."""
    found = run(after=lambda bench: bench.sides[0].rings[1].offer(5), cut=cut).run.traffic.ring("vdev[0].vring[1]")
    assert found.posted == posted
    assert found.last_posted is not None
    assert found.last_posted.role == ("" if posted == 4 else "main")


def test_the_same_run_gives_the_same_json() -> None:
    first, second = (json.dumps(run().to_json()) for _ in range(2))
    assert first == second


def test_the_observer_goes_back_to_a_snapshot() -> None:
    bench = Bench(Script())
    bench.run()
    taken = bench.observer.snapshot()
    before = json.dumps(bench.observer.run.traffic.rings["vdev[0].vring[0]"].to_json())
    memory = {name: bytes(data) for name, data in bench.store.bytes.items()}
    bench.turn(MAIN, lambda: bench.sides[0].rings[1].offer(3))
    for name, data in memory.items():
        bench.store.bytes[name][:] = data
    bench.observer.restore(taken)
    assert json.dumps(bench.observer.run.traffic.rings["vdev[0].vring[0]"].to_json()) == before
    assert bench.observer.run.traffic.rings["vdev[0].vring[1]"].posted == 3


def test_rings_that_are_set_up_anew_are_counted_and_no_fault() -> None:
    def again(bench: Bench) -> None:
        def clear() -> None:
            for ring in bench.sides[0].rings:
                ring.clear()

        bench.turn(MAIN, clear)

    verdict = run(after=again)
    assert verdict.run.traffic.rings["vdev[0].vring[0]"].restarts == 1
    assert not [each for each in verdict.findings if each.rule.startswith("ring.")]


def test_indices_go_round_at_65536_without_a_fault() -> None:
    bench = Bench(Script())
    bench.run()
    traffic = bench.observer.run.traffic.rings["vdev[0].vring[1]"]
    driver, device = bench.sides[0].rings[1], bench.devices[0].rings[1]
    driver.posted = device.posted = device.seen = 65534
    traffic.avail_idx = traffic.used_idx = 65534
    for ring, at in ((driver, driver.avail), (device, device.used)):
        ring.half(at + 2, 65534)
    for head in range(4):
        bench.turn(MAIN, lambda head=head: driver.offer(head))  # type: ignore[misc]  # a default binds it
        bench.turn(REMOTE, lambda head=head: device.give_back(head))  # type: ignore[misc]  # likewise
    traffic = bench.observer.run.traffic.rings["vdev[0].vring[1]"]
    assert (traffic.faults, traffic.restarts, traffic.used) == ({}, 0, 3 + 4)


def test_rubbish_in_a_ring_before_driver_ok_is_forgiven() -> None:
    def rubbish(bench: Bench) -> None:
        bench.main.write(PA + CARVEOUT, b"\xa7" * 0x400)

    assert run(before_rings=rubbish).findings == ()


def test_unmodelled_accesses_are_counted_by_place_and_bounded() -> None:
    bench = Bench(Script())
    for i in range(1000):
        for _ in range(2):
            bench.emit(
                MAIN, UnmodelledAccess(0x0800_0100 + 4 * i, None, 0x5802_4400, 4, None, "rcc", "no such register")
            )
    bench.emit(MAIN, Note("MPU enabled: not enforced"))
    tally = bench.observer.run.unmodelled
    assert tally.total == 2000
    assert set(tally.counts.values()) == {2}
    assert len(tally.counts) == 64
    assert bench.observer.run.notes.counts == {"cpu_main: MPU enabled: not enforced": 1}


def test_a_change_of_the_table_by_the_host_is_attributed_to_nobody() -> None:
    bench = Bench(Script())
    bench.remote.write(DA, bench.table_bytes)
    bench.observer.on_event(Event(10, "", Changed("table")))
    assert bench.observer.run.milestones[0].core == ""


def test_a_table_that_is_no_longer_the_images_is_not_up() -> None:
    bench = Bench(Script())
    assert bench.run().up
    bench.turn(MAIN, lambda: bench.main.write(PA + 4, struct.pack("<I", 2)))  # the last entry, a carveout, is gone
    assert len(bench.observer.live.vdevs) == 1
    assert not bench.observer.is_up()


def test_a_run_without_errors_that_is_not_up_fails() -> None:
    verdict = run()
    assert replace(verdict, up=False).exit_code == 1


def test_a_buffer_may_overlap_one_that_has_come_back() -> None:
    """A heap gives the same bytes out again, cut otherwise."""

    def again(bench: Bench) -> None:
        def offer() -> None:
            ring = bench.sides[0].rings[1]
            ring.desc(6, bench.sides[0].buffers[0] - PA + DA + 8, 20)
            ring.offer(6)
            bench.ring(bench.driver)

        bench.turn(bench.driver, offer)
        bench.turn(bench.device, lambda: bench.devices[0].rings[1].give_back(6))

    bench = Bench(Script(after=again))
    verdict = bench.run()
    address = bench.sides[0].buffers[0] - PA + DA
    assert {address, address + 8} <= verdict.run.traffic.buffers.keys()
    assert verdict.run.traffic.overlaps == []


def test_a_device_that_has_used_everything_ran_dry_until_the_next_offer(driver: str) -> None:
    del driver
    seen: list[tuple[int | None, int | None]] = []

    def starve(bench: Bench) -> None:
        def use_all() -> None:
            device = bench.devices[0].rings[0]
            device.half(device.used, 0)  # it wants to be told of buffers from here on
            for _ in range(8):
                bench.device_send(bench.devices[0], message(1024, 1030, b"x"))
            bench.ring(bench.device)

        def refill() -> None:
            ring = bench.sides[0].rings[0]
            while (head := ring.given_back()) is not None:
                ring.offer(head)

        traffic = bench.observer.run.traffic
        for core, act in ((bench.device, use_all), (bench.driver, refill)):
            bench.turn(core, act)
            ring = traffic.ring("vdev[0].vring[0]")
            seen.append((ring.ran_dry_ns, ring.refilled_ns))

    verdict = run(after=starve)
    (dry, never), (wet, refilled) = seen
    assert (never, wet) == (None, None)
    assert dry is not None
    assert refilled is not None
    assert refilled > dry
    (found,) = (each for each in verdict.findings if each.rule == "notification.missing")
    assert "a device that had none left" in found.detail[0]


def test_a_change_of_what_somebody_else_watches_is_no_activity() -> None:
    """RTT's blocks, and the tables and rings of other pairs, are watched on the same engine."""
    bench = Bench(Script())
    bench.run()
    before = bench.observer.last_activity_ns
    for watch in ("rtt.cpu_main", "second: table"):
        bench.emit(MAIN, Changed(watch))
    assert bench.observer.last_activity_ns == before


def test_what_a_core_of_another_pair_does_counts_where_it_reaches_this_one_only() -> None:
    bench = Bench(Script())
    before = bench.run().run
    cores = {role: (core.acted_ns, core.exceptions) for role, core in before.cores.items()}
    told, taken = before.ledger.sent_to("main"), before.ledger.taken_by("main")
    bench.emit("cpu_third", NotificationSent("hsem", MAIN, 4, 125, rising=True))
    bench.emit("cpu_third", NotificationSent("hsem", "cpu_fourth", 4, 125, rising=True))
    bench.emit("cpu_third", NotificationTaken("hsem", (4,), 125))
    bench.emit("cpu_third", ExceptionTaken(3, "HardFault", 0))
    run = bench.observer.run
    assert (run.ledger.sent_to("main"), run.ledger.taken_by("main")) == (told + 1, taken)
    assert {each.target for each in run.ledger.sent} == {"main", "remote"}
    assert {role: (core.acted_ns, core.exceptions) for role, core in run.cores.items()} == cores


def test_an_index_that_a_core_of_another_pair_moves_is_its_fault() -> None:
    bench = Bench(Script())
    bench.run()
    ring = bench.sides[0].rings[1]
    ring.half(ring.avail + 2, ring.posted + 1)
    bench.emit("cpu_third", Changed("vdev[0].vring[1]"))
    (found,) = (each for each in judge(bench.observer).findings if each.rule == "ring.wrong-writer")
    assert (found.core, found.actual.partition(" after ")[0]) == ("cpu_third", "written by cpu_third")


def test_console_text_plays_no_part() -> None:
    assert not hasattr(Observer, "console")
    assert run(starts_rings=False).exit_code == 1


def test_a_ring_without_traffic_is_up_and_said_to_have_none() -> None:
    verdict = run(pings=0)
    assert verdict.up
    assert verdict.no_traffic == ("vdev[0].vring[1]",)


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "RPTUN is up"),
        ({"after": None, "entries": default_entries(2)}, "RPTUN is up"),
        ({"pings": 0}, "RPTUN came up, and nothing went from {driver} through vdev[0]"),
        ({"announcement": b""}, "RPTUN came up, and nothing went through vdev[0]"),
        (
            {"announcement": b"", "entries": default_entries(2)},
            "RPTUN came up, and nothing went through vdev[0] and through vdev[1]",
        ),
        ({"transmit_flags": 2}, "RPTUN is up, with errors"),
        ({"sets_driver_ok": False}, "RPTUN did not come up"),
    ],
)
def test_up_is_said_of_what_was_seen_working(driver: str, changes: dict[str, object], headline: str) -> None:
    name = "main" if driver == "main" else "the remote"
    assert run(**changes).headline == headline.format(driver=name)


def test_rings_that_are_set_up_anew_have_been_seen_working() -> None:
    def again(bench: Bench) -> None:
        bench.turn(MAIN, lambda: [ring.clear() for ring in bench.sides[0].rings])

    assert run(after=again).no_traffic == ()


def stop(bench: Bench, status: int = 0, core: str = MAIN, *, acknowledged: bool = True) -> None:
    """The status goes back as at the end of a run; the remote has acknowledged RPTUN's STOP, or has not."""

    def write(path: str, writer: str, data: bytes) -> None:
        field = bench.table().field(path)
        bench.turn(writer, lambda: bench.write(writer, field.at.address, data))

    write("vdev[0].status", core, bytes([status]))
    if acknowledged:
        write("header.reserved[0]", REMOTE, struct.pack("<I", CommandCode.ACK << 16))


@pytest.mark.parametrize(
    ("changes", "is_stopped"),
    [
        ({"after": stop}, True),
        ({"after": lambda bench: stop(bench, 0x40)}, True),
        ({"after": lambda bench: stop(bench, acknowledged=False), "states": {REMOTE: CoreState.HELD}}, True),
        ({"after": lambda bench: stop(bench, acknowledged=False)}, False),
        ({"after": lambda bench: stop(bench, core=REMOTE)}, False),
        ({"after": lambda bench: stop(bench, 3)}, False),
    ],
)
def test_what_main_has_shut_down_in_order_was_up_and_was_stopped(changes: dict[str, object], is_stopped: bool) -> None:
    verdict = run(**changes)
    assert (verdict.up, verdict.stopped, verdict.exit_code) == (False, is_stopped, 0 if is_stopped else 1)
    assert verdict.headline == ("RPTUN was up and was stopped" if is_stopped else "RPTUN did not come up")


def test_what_comes_up_again_after_a_stop_is_up() -> None:
    def again(bench: Bench) -> None:
        stop(bench)
        bench.turn(MAIN, lambda: bench.poke("vdev[0].status", 7))

    assert run(after=again).headline == "RPTUN is up"


def test_a_used_element_tells_less_than_the_header_of_its_message() -> None:
    """Some devices report the whole buffer as used: the header's length counts."""
    data = struct.pack("<IIIHH", 1024, 1030, 0, 4, 0) + b"pong"

    def whole(bench: Bench) -> None:
        def act() -> None:
            device = bench.devices[0].rings[0]
            head = device.offered()
            assert head is not None
            address = struct.unpack("<Q", bench.remote.read(device.base + 16 * head, 8))[0]
            bench.remote.write(address, data)
            device.give_back(head, BUFFER)
            bench.ring(REMOTE)

        bench.turn(REMOTE, act)
        bench.turn(MAIN, lambda: bench.driver_poll(bench.sides, ping=False))

    verdict = run(after=whole)
    assert verdict.run.traffic.messages["vdev[0]"].last[-1].length == 4
    assert verdict.findings == ()


def test_a_ring_whose_buffers_nobody_used_is_not_answered_yet():
    """RPTUN of NuttX looks for its table again after a second: a quiet board is not over before that."""
    observer = Bench(Script()).observer
    assert observer.is_answered()
    observer.run.reach(1, "main", "vdev[0].vring[1] first buffer available")
    assert not observer.is_answered()
    observer.run.reach(2, "remote", "vdev[0].vring[1] first buffer used")
    assert observer.is_answered()


def test_an_access_counts_by_every_address_that_its_core_has_for_the_place() -> None:
    bench = Bench(Script())
    bench.run()
    table = bench.observer.live.table
    assert table is not None
    status = table.field("vdev[0].status")
    assert status is not None
    offset = status.at.address - PA
    for base in (PA, DA):  # the remote has both; the table's users name one
        bench.access_at(REMOTE, base + offset, 1, before=7, value=1)
    assert [write.by.role for write in bench.observer.run.history.writes["vdev[0].status"]] == ["remote", "remote"]


def test_of_the_writes_to_a_field_the_first_eight_are_kept() -> None:
    bench = Bench(Script())
    bench.run()
    status = bench.table().field("vdev[0].status")
    for value in range(20):
        bench.access(MAIN, status.at.address, 1, before=value, value=value + 1)
    kept = bench.observer.run.history.writes["vdev[0].status"]
    assert [(each.before, each.after) for each in kept] == [(value, value + 1) for value in range(8)]


@pytest.mark.parametrize(("name", "at", "size"), [("status", 1, 4), ("status", 3, 4), ("gfeatures", 4, 8)])
def test_a_field_is_written_by_a_wider_store_around_it(name: str, at: int, size: int) -> None:
    bench = Bench(Script())
    bench.run()
    field = bench.table().field(f"vdev[0].{name}")
    assert field is not None
    before, value = (int.from_bytes(bytes(at) + bytes([each]), "little") for each in (3, 7))
    bench.access(MAIN, field.at.address - at, size, before=before, value=value)
    kept = bench.observer.run.history.writes[f"vdev[0].{name}"]
    assert [(each.before, each.after) for each in kept] == [(3, 7)]


def test_a_chain_that_is_none_leaves_the_others_that_are_offered_with_it(driver: str) -> None:
    """Each buffer is the device's from the store to avail.idx on."""
    bench = Bench(Script())
    bench.run()
    ring, buffer = bench.sides[0].rings[1], bench.sides[0].buffers[0]
    posted = ring.posted
    ring.offer(99)
    ring.offer(0)
    bench.access(bench.driver, ring.avail + 2, 2, before=posted, value=posted + 2)
    bench.access(bench.driver, buffer, 4, before=0, value=1)
    trespass = bench.observer.run.history.trespasses["vdev[0].vring[1]", Side.DRIVER, True]
    assert (trespass.head, trespass.by.role) == (0, driver)


def test_what_a_core_writes_after_it_has_looked_in_the_same_turn_counts() -> None:
    bench = Bench(Script())
    bench.run()
    used_idx = bench.sides[0].rings[0].used + 2
    status = bench.table().field("vdev[0].status").at.address
    now = bench.time_ns
    look = Access(now, now, FLASH, used_idx, 2, 1, False, False, 0, 0)
    write = Access(now, now, FLASH, status, 1, 1, True, False, 3, 7)
    bench.emit(MAIN, Accessed.of([look, write]))
    history = bench.observer.run.history
    assert history.looked_ns["vdev[0].vring[0]", Side.DRIVER] == now
    assert [(each.before, each.after) for each in history.writes["vdev[0].status"]] == [(7, 3)]


OFFSETS: dict[str, object] = {
    "buffer_da": lambda pa: pa - PA - CARVEOUT,
    "from_descriptor": lambda offset: offset + DA + CARVEOUT,
}


@pytest.mark.parametrize(("changes", "base"), [({}, DA + CARVEOUT), (OFFSETS, 0)], ids=["addresses", "offsets"])
def test_a_message_is_read_from_a_buffer_that_is_said_to_be_longer_than_memory(
    changes: dict[str, object], base: int
) -> None:
    """As far as a message can go, and by the address that the buffers before it were found at."""

    def send(bench: Bench) -> None:
        at = CARVEOUT_SIZE - 0x200
        bench.main.write(PA + CARVEOUT + at, message(1030, 1024, b"long"))
        ring = bench.sides[0].rings[1]
        ring.desc(5, base + at, 4 * SIZE)
        bench.turn(bench.driver, lambda: ring.offer(5))

    sent = run(after=send, **changes).run.traffic.messages["vdev[0]"]
    assert sent.sent[Side.DRIVER] == 4
    assert (sent.last[-1].src, sent.last[-1].dst, sent.last[-1].length) == (1030, 1024, 4)


def test_a_message_is_read_from_a_buffer_that_is_one_too_many_to_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def send(bench: Bench) -> None:
        at = CARVEOUT_SIZE - 0x200
        bench.main.write(PA + CARVEOUT + at, message(1030, 1024, b"kept"))
        ring = bench.sides[0].rings[1]
        ring.desc(5, DA + CARVEOUT + at, 20)
        monkeypatch.setattr("orchestrator.observe.buffers.MAX_BUFFERS", len(bench.observer.run.traffic.buffers))
        bench.turn(bench.driver, lambda: ring.offer(5))

    traffic = run(after=send).run.traffic
    assert (traffic.buffers_dropped, DA + CARVEOUT + CARVEOUT_SIZE - 0x200 in traffic.buffers) == (1, False)
    last = traffic.messages["vdev[0]"].last[-1]
    assert (last.src, last.dst, last.payload) == (1030, 1024, b"kept")


def test_an_exception_of_a_mailbox_without_channels_counts_for_the_whole_of_it() -> None:
    bench = Bench(Script())
    bench.run()
    for taken in (NotificationTaken("mhu", (), 5), NotificationTaken("mhu", (3, 4), 5)):
        bench.observer.on_event(Event(bench.time_ns, REMOTE, taken))
    ledger = bench.observer.run.ledger
    assert {each.number: count for each, count in ledger.taken.items() if each.mailbox == "mhu"} == {
        None: 1,
        3: 1,
        4: 1,
    }
    assert ledger.last_taken_ns["remote"] == bench.time_ns


RUNS: dict[str, dict[str, object]] = {
    "a ping": {},
    "two vdevs": {"entries": default_entries(vdevs=2), "pings": 2},
    "messages cut into buffers": {"cuts": (8, 20), "pings": 5},
    "indirect descriptors": {"cuts": (12,), "is_indirect": True, "pings": 4},
    "buffers by their offsets": OFFSETS,
    "a device that keeps what it is sent": {"device_returns": False},
    "nobody answers": {"answers": 0, "pings": 12},
    "no driver": {"sets_driver_ok": False},
}


@pytest.mark.parametrize("name", RUNS)
def test_all_that_is_said_of_a_run_is_what_was_said_before(
    name: str, driver: str, golden_texts: Callable[[str], GoldenTexts]
) -> None:
    golden_texts("runs").compare(f"{name}, {driver} drives", verdict_as_text(run(**RUNS[name])))


def test_every_run_has_its_text(golden_texts: Callable[[str], GoldenTexts]) -> None:
    golden_texts("runs").is_of(f"{name}, {driver} drives" for name in RUNS for driver in ROLES)
