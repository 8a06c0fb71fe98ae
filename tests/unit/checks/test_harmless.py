"""What looks like a broken rule and is none, beside what breaks it: one fact apart from each other."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from bench import (
    CARVEOUT,
    DA,
    FLASH,
    HSEM,
    MAIN,
    PA,
    REMOTE,
    REMOTE_RAM,
    SIZE,
    TRACE,
    Bench,
    code,
    default_entries,
    message,
    run,
)
from orchestrator.checks.finding import Finding
from orchestrator.events import CoreState, ExceptionTaken, Fault, Poll, StateChanged, Waiting
from orchestrator.formats.resource_entry import (
    ANY,
    Carveout,
    Devmem,
    Entry,
    Profile,
    Trace,
    Vdev,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import build_table

Findings = tuple[Finding, ...]


def has(findings: Findings, rule: str) -> bool:
    return rule in {each.rule for each in findings}


def field_at(bench: Bench, path: str) -> int:
    found = bench.table().field(path)
    assert found is not None
    return found.at.address


def rings_of(*rings: Vring) -> list[Entry]:
    return [replace(e, vrings=rings, head=replace(e.head, num_of_vrings=len(rings))) if isinstance(e, Vdev) else e
            for e in default_entries()]  # fmt: skip


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("by", "before", "after", "is_found"),
    [
        ("device", 7, 1, True),
        ("device", 7, 0, False),
        ("device", 7, 7, False),
        ("device", 7, 0x47, False),
        ("device", 7, 0x43, True),
        ("device", 0, 1, False),
        ("driver", 7, 1, False),
    ],
    ids=["device", "begins anew", "stores it again", "asks for a reset", "asks and changes", "first", "driver"],
)
def test_a_device_may_ask_for_a_reset_and_begin_anew(by: str, before: int, after: int, is_found: bool) -> None:
    def store(bench: Bench) -> None:
        core = bench.device if by == "device" else bench.driver
        bench.access(core, field_at(bench, "vdev[0].status"), 1, before=before, value=after)

    assert has(run(after=store).findings, "vdev.status-writer") is is_found


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("by", "before", "after", "notifyid", "is_found"),
    [
        ("driver", 4, 3, ANY, True),
        ("driver", 4, 4, ANY, False),
        ("device", 4, 3, ANY, False),
        ("driver", 4, 3, 1, False),
    ],
    ids=["chosen", "stored again", "by the device", "nothing to choose"],
)
def test_only_an_id_that_was_to_be_chosen_is_misplaced(
    by: str, before: int, after: int, notifyid: int, is_found: bool
) -> None:
    def store(bench: Bench) -> None:
        core = bench.device if by == "device" else bench.driver
        bench.access(core, field_at(bench, "vdev[0].notifyid"), 4, before=before, value=after)

    entries = rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 16, 8, notifyid))
    assert has(run(entries=entries, after=store).findings, "vdev.notifyid-misplaced") is is_found


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("index", ["used", "avail"])
@pytest.mark.parametrize(("before", "after", "lost"), [(4, 1, 3), (1, 4, 0), (0xFFFF, 1, 0), (1, 0xFFFF, 2), (4, 4, 0)])
def test_an_index_goes_forward_round_and_round(index: str, before: int, after: int, lost: int) -> None:
    def store(bench: Bench) -> None:
        ring = bench.sides[0].rings[0]
        at = ring.used + 2 if index == "used" else ring.avail + 2
        bench.access(bench.device if index == "used" else bench.driver, at, 2, before=before, value=after)

    found = [each for each in run(after=store).findings if each.rule == "ring.index-back"]
    assert len(found) == bool(lost)
    for each in found:
        what = "returned" if index == "used" else "made available"
        assert f"{lost} buffers that were {what} are lost" in each.actual
        assert each.at[0].path == f"vdev[0].vring[0].{index}.idx"


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("sizes", "features", "is_found"),
    [
        ((512, 512), 5, False),
        ((511, 511), 5, True),
        ((513, 513), 5, True),
        ((0, 0), 5, False),
        ((ANY, ANY), 5, False),
        ((256, 256), 1, False),
    ],
    ids=["of this size", "one less", "one more", "not said", "any", "not negotiated"],
)
def test_buffers_have_the_size_that_was_negotiated(sizes: tuple[int, int], features: int, is_found: bool) -> None:
    config = struct.pack("<II", *sizes) + bytes(56)
    entries = [
        replace(e, config=config, head=replace(e.head, dfeatures=features)) if isinstance(e, Vdev) else e
        for e in default_entries()
    ]
    assert has(run(entries=entries).findings, "vdev.buffer-size") is is_found


@pytest.mark.parametrize(("driver_is", "sizes"), [("main", (1, 512)), ("remote", (512, 1))])
def test_of_both_sizes_the_one_towards_the_driver_counts(driver_is: str, sizes: tuple[int, int]) -> None:
    for pair, is_found in ((sizes, False), (sizes[::-1], True)):
        config = struct.pack("<II", *pair) + bytes(56)
        entries = [replace(e, config=config) if isinstance(e, Vdev) else e for e in default_entries()]
        assert has(run(entries=entries, driver=driver_is).findings, "vdev.buffer-size") is is_found


ORPHANS: dict[str, tuple[Entry, bool]] = {
    "trace": (Trace(da=DA + TRACE, len=4, name=b"log"), True),
    "trace without length": (Trace(da=DA + TRACE, len=0, name=b"log"), False),
    "trace with a reserved word": (Trace(da=DA + TRACE, len=4, reserved=1, name=b"log"), False),
    "trace without a name": (Trace(da=DA + TRACE, len=4, name=b"\x01"), False),
    "trace with a name of a letter": (Trace(da=DA + TRACE, len=4, name=b"l"), False),
    "trace with a name of two": (Trace(da=DA + TRACE, len=4, name=b"lo"), True),
    "trace with a name up to the end": (Trace(da=DA + TRACE, len=4, name=b"l" * 32), False),
    "carveout": (Carveout(da=DA, len=4, name=b"pool"), True),
    "carveout without length": (Carveout(da=DA, len=0, name=b"pool"), False),
    "carveout with a reserved word": (Carveout(da=DA, len=4, reserved=1, name=b"pool"), False),
    "devmem": (Devmem(da=DA, len=4, name=b"regs"), True),
    "vdev": (Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 8, 0)]), True),
    "vdev of the last id": (Vdev.of(VdevHeader(id=63), [Vring(ANY, 16, 8, 0)]), True),
    "vdev of an id that there is not": (Vdev.of(VdevHeader(id=64), [Vring(ANY, 16, 8, 0)]), False),
    "vdev without an id": (Vdev.of(VdevHeader(id=0), [Vring(ANY, 16, 8, 0)]), False),
    "vdev of 8 vrings": (Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 8, 0)] * 8), True),
    "vdev of 9 vrings": (Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 8, 0)] * 9), False),
    "vdev of 3 entries": (Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 3, 0)]), False),
    "vdev of an odd align": (Vdev.of(VdevHeader(id=7), [Vring(ANY, 3, 8, 0)]), False),
    "vdev of no entries": (Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 0, 0)]), False),
}


@pytest.mark.parametrize("name", ORPHANS)
def test_bytes_behind_the_table_are_an_entry_if_all_of_their_fields_make_sense(name: str) -> None:
    entry, is_found = ORPHANS[name]
    whole = build_table([*default_entries(), entry])
    findings = run(entries=[*default_entries(), entry], patch=lambda _: whole.patched("header.num", 3)).findings
    found = [each for each in findings if each.rule == "table.orphan-entry"]
    assert bool(found) is is_found
    for each in found:
        assert f"a {name.split(maxsplit=1)[0]} that nobody reads" in each.actual


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({"ping_to": 2000, "answers": 0}, True),
        ({"ping_to": 1023, "answers": 0}, False),
        ({"ping_to": 1024}, False),
        ({"ping_to": 2000, "answers": 0, "accepts": 4}, False),
    ],
    ids=["dynamic", "fixed", "announced", "no name service"],
)
def test_only_a_dynamic_address_has_to_be_announced(changes: dict[str, object], is_found: bool) -> None:
    assert has(run(**changes).findings, "message.unknown-destination") is is_found


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("source", "answers", "is_found"), [(1024, 0, True), (1023, 0, False), (1025, 0, False), (1024, 3, False)]
)
def test_an_endpoint_that_answers_at_all_lives_where_it_says(source: int, answers: int, is_found: bool) -> None:
    payload = b"echo".ljust(32, b"\0") + struct.pack("<II", 1025, 0)
    found = run(announcement=message(source, 53, payload), ping_to=1025, answers=answers).findings
    assert has(found, "endpoint.other-address") is is_found


@pytest.mark.parametrize(
    ("peripheral", "is_found"), [("clocks", True), ("", False), ("uart_main", False), ("uart_remote", False)]
)
def test_a_core_that_has_done_something_may_poll_memory_and_any_console(peripheral: str, is_found: bool) -> None:
    poll = Poll(0x5000_0010, 4, 0x85, peripheral or None)
    found = run(
        main_alive=False,
        states={MAIN: CoreState.RUNNING},
        waiting={MAIN: Waiting(FLASH + 0x40, "wait", (poll,))},
        after=lambda bench: bench.emit(MAIN, ExceptionTaken(15, "SysTick", FLASH + 0x40)),
    ).findings
    assert has(found, "core.polling") is is_found


def locked(value: int, offset: int, core: str, acted_ago: int = 60_000_000, peripheral: str = "hsem") -> Findings:
    poll = Poll(HSEM + offset, 4, value, peripheral)
    waiting = {core: Waiting(FLASH + 0x40, "signal", (poll,))}
    return run(states={core: CoreState.RUNNING}, waiting=waiting, rest_ns=acted_ago).findings


@pytest.mark.parametrize("core", [MAIN, REMOTE])
@pytest.mark.parametrize(
    ("offset", "channel"), [(0x80, 0), (0x84, 1), (0xFC, 31), (0x100, None), (0x7C, None), (0x82, None)]
)
def test_a_lock_is_a_register_of_its_channel_and_no_other(core: str, offset: int, channel: int | None) -> None:
    number = 0x100 if core == MAIN else 0x300  # of the other core
    found = [each for each in locked(0x8000_0000 | number, offset, core) if each.rule == "core.lock-held"]
    assert [each.expected for each in found] == ([] if channel is None else [f"hsem {channel} to be free"])
    for each in found:
        assert f"which {REMOTE if core == MAIN else MAIN} holds" in each.actual


@pytest.mark.parametrize(("rest_ns", "is_found"), [(9_999_999, False), (10_000_000, True)])
def test_a_lock_is_waited_for_after_10_ms_without_a_sign_of_life(rest_ns: int, is_found: bool) -> None:
    poll = Poll(HSEM + 0x84, 4, 0x8000_0100, "hsem")
    found = run(
        states={MAIN: CoreState.RUNNING},
        waiting={MAIN: Waiting(FLASH + 0x40, "signal", (poll,))},
        after=lambda bench: bench.emit(MAIN, ExceptionTaken(15, "SysTick", FLASH + 0x40)),
        rest_ns=rest_ns,
    ).findings
    assert has(found, "core.lock-held") is is_found


def test_a_lock_whose_holder_nobody_knows_is_taken() -> None:
    (found,) = (each for each in locked(0x8000_0700, 0x84, MAIN) if each.rule == "core.lock-held")
    assert "which is taken" in found.actual
    assert not has(locked(0x8000_0300, 0x84, MAIN, peripheral="clocks"), "core.lock-held")


@pytest.mark.parametrize(
    ("released", "is_found"), [(None, True), (5, False)], ids=["never let go", "has run, and was held again"]
)
def test_a_core_that_was_let_go_once_has_started(released: int | None, is_found: bool) -> None:
    def hold(bench: Bench) -> None:
        bench.observer.run.cores["remote"].released_ns = released

    found = run(remote_alive=False, states={REMOTE: CoreState.HELD}, after=hold).findings
    assert has(found, "core.never-started") is is_found


@pytest.mark.parametrize(
    ("align", "num", "is_found"),
    [(16, 8, False), (4, 8, False), (2, 8, True), (1, 8, True), (2, 2, True), (2, 1, False), (1, 1, False)],
)
def test_an_align_is_too_small_where_the_used_ring_falls_between_words(align: int, num: int, is_found: bool) -> None:
    """Descriptors and available ring take 18 num + 6 bytes: 24 for one entry."""
    found = run(entries=rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, align, num, 1)), gives_up=True).findings
    assert has(found, "vring.align-too-small") is is_found


@pytest.mark.parametrize(
    ("profile", "da", "is_found"),
    [(Profile.NUTTX, ANY, True), (Profile.NUTTX, 0, True), (Profile.NUTTX, DA + 0x4000, False)],
)
def test_a_vring_with_an_address_needs_no_carveout(profile: Profile, da: int, is_found: bool) -> None:
    entries = [e for e in rings_of(Vring(DA + 0x4800, 16, 8, 0), Vring(da, 16, 8, 1)) if not isinstance(e, Carveout)]
    assert has(run(entries=entries, profile=profile, gives_up=True).findings, "vdev.no-carveout") is is_found


@pytest.mark.parametrize("dead", ["main", "remote"])
def test_a_reset_that_firmware_did_not_ask_for_is_none(dead: str) -> None:
    core = MAIN if dead == "main" else REMOTE

    def start(bench: Bench) -> None:
        for _ in range(4):
            bench.emit(core, StateChanged(CoreState.RUNNING, "released by the other core"))

    assert not has(run(after=start).findings, "core.resets")


def test_a_stack_may_begin_where_a_vring_ends_and_end_where_another_begins() -> None:
    at = DA + 0x6000
    for distance, is_found in ((0, False), (-1, True)):
        entries = rings_of(Vring(DA + CARVEOUT, 16, 8, 0), Vring(at, 16, 8, 1))
        found = run(
            entries=entries, remote_code=code(FLASH + 0x10_0000, at - distance), profile=Profile.OPENAMP, gives_up=True
        ).findings
        assert has(found, "vring.memory-in-use") is is_found


@pytest.mark.parametrize(("da", "is_found"), [(DA + TRACE, False), (REMOTE_RAM + 0x100, True)])
def test_memory_of_the_remote_alone_is_none_for_a_trace_buffer(da: int, is_found: bool) -> None:
    entries = [replace(e, da=da, len=0x10) if isinstance(e, Trace) else e for e in default_entries()]
    assert has(run(entries=entries).findings, "trace.outside-memory") is is_found


@pytest.mark.parametrize(("end", "is_found"), [(PA + SIZE, False), (PA + SIZE + 1, True)])
def test_main_and_the_remote_need_all_of_a_trace_buffer(end: int, is_found: bool) -> None:
    entries = [replace(e, da=end - 0x10 - PA + DA, len=0x10) if isinstance(e, Trace) else e for e in default_entries()]
    assert has(run(entries=entries).findings, "trace.outside-memory") is is_found


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("distance", [-34, 32])
def test_a_device_that_looks_elsewhere_is_told_how_far_from_there(distance: int) -> None:
    def look(bench: Bench) -> None:
        index = bench.sides[0].rings[1].avail + 2
        bench.access(bench.device, index + 64, 2)
        for _ in range(3):
            bench.access(bench.device, index + distance, 2)

    findings = run(device_returns=False, after=look, tells_looks=False).findings
    (found,) = (each for each in findings if each.rule == "vring.elsewhere")
    assert f"{distance:+d} bytes from there, 3 times" in found.actual


@pytest.mark.parametrize(("count", "more"), [(1, ""), (2, ", and 1 more"), (3, ", and 2 more")])
def test_of_several_faults_the_first_is_told_and_the_others_are_counted(count: int, more: str) -> None:
    def fault(bench: Bench) -> None:
        for i in range(count):
            pc = FLASH + 0x100 + 4 * i
            bench.emit(MAIN, Fault("BusFault", ("PRECISERR",), None, pc, "main", "reads nothing", True, {}, ()))

    (found,) = (each for each in run(main_alive=False, after=fault).findings if each.rule == "core.fault")
    assert found.actual.endswith(f"reads nothing{more}")


@pytest.mark.parametrize("is_known", [True, False])
def test_where_main_is_while_the_remote_is_stuck_is_said_if_it_is_known(is_known: bool) -> None:
    def forget(bench: Bench) -> None:
        finish = bench.observer.finish
        bench.observer.finish = lambda at, why, states, traces, *rest, **named: finish(  # type: ignore[method-assign]
            at, why, states, traces if is_known else {REMOTE: traces[REMOTE]}, *rest, **named
        )

    found = run(
        remote_rings=False,
        starts_rings=False,
        states={REMOTE: CoreState.RUNNING, MAIN: CoreState.SLEEPING},
        after=forget,
    ).findings
    (stuck,) = (each for each in found if each.rule == "core.stuck")
    assert any(each.startswith("main is") for each in stuck.detail) is is_known
