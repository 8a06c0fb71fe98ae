"""One broken line is one cause, two independent ones are two, whatever follows from them."""

from __future__ import annotations

from fnmatch import filter as matching

from bench import (
    CARVEOUT,
    CARVEOUT_SIZE,
    DA,
    FLASH,
    MAIN,
    MAIN_RAM,
    PA,
    REMOTE,
    Bench,
    Script,
    causes,
    code,
    default_entries,
    rules,
    run,
)
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.causes import FOLLOWS, relate
from orchestrator.checks.finding import Finding, Severity, Stage
from orchestrator.events import CoreState, Fault, Frame
from orchestrator.formats.resource_table import Table


def crash(core: str, address: int | None = 0x7000_0000) -> Fault:
    return Fault(
        "BusFault", ("PRECISERR",), address, FLASH + 0x10, "main", "reads it", True, {}, (Frame(FLASH + 0x10, "main"),)
    )


def finding(rule: str, subject: str = "", core: str = "", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(rule, severity, Stage.LIVE, (), "this", "that", "do", subject, "source", core)


def align3(table: Table) -> bytes:
    return table.patched("vdev[0].vring[1].align", 3)


def test_a_field_that_makes_main_give_up_is_the_cause_of_everything_after_it() -> None:
    verdict = run(patch=lambda table: table.patched("vdev[0].vring[1].num", 6), gives_up=True)
    assert causes(verdict) == ["vring.num-not-power-of-two"]
    assert {"vring.unresolved", "vdev.driver-ok-not-reached"} <= set(rules(verdict.causes[0].consequences))
    assert not verdict.up
    assert verdict.exit_code == 1


def test_an_align_of_three_and_a_wrong_channel_are_two_causes() -> None:
    assert causes(run(patch=align3, driver_channel=5)) == ["vring.align-not-power-of-two", "notification.missing"]


def test_a_duplicate_notify_id_and_a_ring_past_its_carveout_are_two_causes() -> None:
    verdict = run(
        patch=lambda table: table.patched("vdev[0].vring[1].notifyid", 0),
        ring_at=lambda i, pa: PA + CARVEOUT + CARVEOUT_SIZE - 64 if i else pa,
    )
    assert sorted(causes(verdict)) == ["vring.notifyid-not-unique", "vring.outside-carveout"]


def test_two_cores_that_crash_are_two_causes() -> None:
    def both(bench: Bench) -> None:
        bench.emit(MAIN, crash(MAIN))
        bench.emit(REMOTE, crash(REMOTE))

    assert causes(run(main_alive=False, after=both)) == ["core.fault", "core.fault"]


def test_a_crash_explains_the_rings_that_were_never_set_up() -> None:
    verdict = run(main_alive=False, after=lambda bench: bench.emit(MAIN, crash(MAIN)))
    assert causes(verdict) == ["core.fault"]
    assert "vring.unresolved" in rules(verdict.causes[0].consequences)


def test_a_table_that_is_not_copied_and_a_crash_of_the_other_core_are_two_causes() -> None:
    verdict = run(copies_table=False, after=lambda bench: bench.emit(MAIN, crash(MAIN)))
    assert sorted(causes(verdict)) == ["core.fault", "table.not-copied"]


def test_a_remote_that_dies_before_its_table_is_there_is_the_cause_of_the_missing_table() -> None:
    verdict = run(remote_alive=False, after=lambda bench: bench.emit(REMOTE, crash(REMOTE)))
    assert causes(verdict) == ["core.fault"]
    assert "table.not-copied" in rules(verdict.causes[0].consequences)


def test_two_silent_cores_are_one_cause_when_one_waits_for_the_other() -> None:
    states = {MAIN: CoreState.RUNNING, REMOTE: CoreState.RUNNING}
    bench = Bench(Script(remote_alive=False, main_alive=False, states=states))
    verdict = bench.run()
    assert causes(verdict) == ["core.silent"]
    assert verdict.causes[0].finding.core == "remote"


def test_a_fault_at_a_buffer_that_the_core_cannot_reach_follows_from_the_descriptor() -> None:
    verdict = run(
        buffer_da=lambda pa: pa - PA + MAIN_RAM,
        after=lambda bench: bench.emit(REMOTE, crash(REMOTE, MAIN_RAM + 0x11E0 + 4)),
    )
    assert causes(verdict) == ["buffer.unreachable-by-device"]


def test_a_bad_vector_table_is_the_cause_of_the_fault_and_of_what_follows() -> None:
    verdict = run(
        main_code=code(FLASH, 0x6000_0000), main_alive=False, after=lambda bench: bench.emit(MAIN, crash(MAIN))
    )
    assert causes(verdict) == ["vector.stack-outside-memory"]


def test_each_of_two_vdevs_has_causes_of_its_own() -> None:
    def two(table: Table) -> bytes:
        data = bytearray(table.encode())
        for vdev in table.vdevs:
            at = vdev.at.address - table.address + 28 + 20 + 4
            data[at : at + 4] = (3).to_bytes(4, "little")
        return bytes(data)

    verdict = run(entries=default_entries(2), patch=two)
    assert [c.finding.subject for c in verdict.causes] == ["vdev[0].vring[1].align", "vdev[1].vring[1].align"]
    assert run(entries=default_entries(2)).findings == ()


def test_wrong_align_of_the_remote_is_seen_in_memory_and_named() -> None:
    verdict = run(device_align=64)
    assert causes(verdict) == ["ring.layout-disagreement"]
    assert "align 64" in verdict.causes[0].finding.actual


def test_wrong_align_of_main_is_told_from_where_it_cut_the_next_ring() -> None:
    verdict = run(driver_align=64)
    assert causes(verdict) == ["ring.layout-disagreement"]
    assert "align 64" in verdict.causes[0].finding.detail[0]


def test_a_wrong_channel_names_the_channel_that_nobody_listens_to() -> None:
    for changes, target in (({"driver_channel": 5}, REMOTE), ({"device_channel": 6}, MAIN)):
        verdict = run(**changes)
        assert causes(verdict) == ["notification.missing"]
        assert f"hsem channel {next(iter(changes.values()))}" in verdict.causes[0].finding.actual
        assert target in verdict.causes[0].finding.actual


def test_a_finding_never_follows_from_itself_in_a_circle() -> None:
    every = [finding(each.id, "vdev[0].vring[0]", "main") for each in catalogue()]
    for each in relate([*every, *every]):
        assert each.root.because_of is None


def test_a_warning_does_not_excuse_an_error() -> None:
    weak = finding("vring.overlap", "vdev[0].vring[0]", severity=Severity.WARNING)
    linked = relate([finding("vring.part-misaligned", "vdev[0].vring[0]"), weak])
    assert all(each.because_of is None for each in linked)


def test_every_declaration_names_rules_that_there_are() -> None:
    names = [each.id for each in catalogue()]
    for each in FOLLOWS:
        for pattern in (each.effect, *each.causes):
            assert matching(names, pattern), pattern


def test_a_vring_with_an_address_of_its_own_needs_no_carveout() -> None:
    def fixed(table: Table) -> bytes:
        data = bytearray(table.encode())
        at = table.vdevs[0].at.address - table.address + 28
        data[at : at + 4] = (DA + 0x800).to_bytes(4, "little")
        data[at + 20 : at + 24] = (DA + 0xA00).to_bytes(4, "little")
        return bytes(data)

    assert run(patch=fixed).findings == ()
