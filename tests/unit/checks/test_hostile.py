"""Whatever bytes stand in memory: findings or an RptwinError, never anything else, and never for ever."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import DA, MAIN, PA, PLATFORM, REMOTE, Bench, CoreMemory, Script, Store, rules
from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import BytesMemory
from orchestrator.checks.catalogue import render_catalogue
from orchestrator.checks.rule import MAX_FINDINGS_PER_RULE
from orchestrator.checks.static import check_live, check_static
from orchestrator.events import Changed, Event

HOSTILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

words = st.sampled_from([0, 1, 2, 3, 5, 7, 16, 64, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, DA, PA, DA + 0x7FFC])
edits = st.lists(st.tuples(st.integers(0, 79), words), max_size=8)


def edited(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    out = bytearray(data)
    for word, value in changes:
        if 4 * word + 4 <= len(out):
            struct.pack_into("<I", out, 4 * word, value)
    return bytes(out)


@HOSTILE
@given(edits, edits)
def test_an_edited_table_gives_findings_and_ends(image: list[tuple[int, int]], later: list[tuple[int, int]]) -> None:
    bench = Bench(Script(patch=lambda table: edited(table.encode(), image), starts_rings=False))
    verdict = bench.run()
    bench.remote.write(DA, edited(bench.table_bytes, later))
    bench.observer.on_event(Event(bench.time_ns, MAIN, Changed("table")))
    bench.observer.finish(bench.time_ns, "quiet")
    names = rules(verdict.findings)
    assert all(names.count(name) <= MAX_FINDINGS_PER_RULE for name in names)
    verdict.to_json()


@HOSTILE
@given(st.lists(st.tuples(st.integers(0, 0x7FF), st.binary(min_size=1, max_size=24), st.booleans()), max_size=20))
def test_rings_full_of_anything_give_findings_and_end(writes: list[tuple[int, bytes, bool]]) -> None:
    bench = Bench(Script())
    bench.run()
    for offset, data, by_main in writes:
        core = MAIN if by_main else REMOTE
        bench.turn(core, lambda o=offset, d=data: bench.main.write(PA + 0x1000 + o, d))  # type: ignore[misc]
    bench.observer.finish(bench.time_ns, "quiet")
    for ring in bench.observer.run.traffic.rings.values():
        assert len(ring.outstanding) <= 8
        assert len(ring.faults) <= 16


@HOSTILE
@given(st.binary(max_size=400))
def test_a_dump_of_anything_gives_findings(data: bytes) -> None:
    memory = BytesMemory("dump", 0x1000, data.ljust(16, b"\1"))
    try:
        check_live({"main": memory, "remote": memory}, 0x1000)
    except RptwinError:
        return


def test_a_dump_of_a_healthy_board_passes_and_its_ring_is_followed() -> None:
    bench = Bench(Script())
    bench.run()
    dumped = {"main": CoreMemory(Store(), MAIN), "remote": CoreMemory(Store(), REMOTE)}
    for each in dumped.values():
        each._store.bytes["shared"][:] = bench.store.bytes["shared"]
    found = check_live(dumped, DA, platform=PLATFORM)
    assert [each for each in rules(found) if each != "traffic.none"] == []


def test_a_dump_with_one_bad_field_has_one_cause() -> None:
    bench = Bench(Script())
    bench.run()
    table = bench.table()
    bench.remote.write(DA, table.patched("vdev[0].vring[0].align", 24))
    found = check_live({"main": bench.main, "remote": bench.remote}, DA, platform=PLATFORM)
    assert [each.rule for each in found if each.is_cause] == ["vring.align-not-power-of-two"]


def test_a_single_flat_dump_needs_no_platform() -> None:
    bench = Bench(Script())
    bench.run()
    memory = BytesMemory("dump", DA, bytes(bench.store.bytes["shared"]))
    found = check_live({"main": memory, "remote": memory}, DA)
    assert [each.rule for each in found if each.is_cause] == []


def test_one_image_alone_may_have_no_table() -> None:
    bench = Bench(Script())
    assert [each.severity.value for each in check_static({"main": bench.images["main"]}, PLATFORM)] == ["note"]
    assert check_static({"remote": bench.images["remote"]}, PLATFORM) == ()
    assert check_static({"remote": bench.images["remote"]}) == ()


def test_a_thousand_bad_vrings_are_reported_a_few_times() -> None:
    bench = Bench(Script(patch=lambda table: table.patched("vdev[0].num_of_vrings", 255), starts_rings=False))
    assert len(bench.run().findings) < 100


def test_the_catalogue_page_is_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "check-catalogue.md"
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    rules_alone = "".join(line for line in lines if not line.startswith("- Example: "))  # those: make lint
    assert rules_alone == render_catalogue(), "make docs"
