"""Memory that was read and not watched: which rules are applied, what moved, and memory that holds anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench import DA, Bench, Script
from orchestrator.base.memory import BytesMemory
from orchestrator.checks import reading
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.reading import Indices, Look, Subject, judge_look, not_applied
from orchestrator.formats.locator import TableLocation
from orchestrator.observe.declared import DeclaredTable
from orchestrator.observe.views import Views

RULES = {each.id for each in catalogue()}
LISTS = ("_NEED_A_RUN", "_NEED_IMAGES", "_NEED_ALL_MEMORY", "_NEED_CONFIG", "_NEED_REST")


def subject(data: bytes, address: int = DA) -> Subject:
    memory = BytesMemory("dump", address, data)
    views = Views.of({"main": memory, "remote": memory})
    return Subject(views, DeclaredTable(TableLocation("remote", address, "given")), {})


def shared() -> bytearray:
    bench = Bench(Script())
    bench.run()
    return bytearray(bench.store.bytes["shared"])


def test_every_rule_that_is_left_out_is_one_of_the_catalogue() -> None:
    named = {rule for name in LISTS for rule in getattr(reading, name)}
    assert named <= RULES
    for prefix in (*reading._OF_A_RUN, *reading._OF_IMAGES):
        assert any(each.startswith(prefix) for each in RULES)


def test_a_rule_is_applied_or_left_out_with_a_reason() -> None:
    left_out = not_applied(subject(bytes(16)), at_rest=True)
    assert "ring.used-ahead" not in left_out
    assert "ring.layout-disagreement" not in left_out
    assert "ring.layout-disagreement" in not_applied(subject(bytes(16)), at_rest=False)


@given(st.binary(min_size=16, max_size=600))
def test_any_memory_comes_to_a_verdict(data: bytes) -> None:
    given_ = subject(b"\1\0\0\0\1\0\0\0" + data, 0x1000)
    verdict = judge_look(given_, Look.at(given_), still_ns=1_000_000_000)
    assert verdict.exit_code == 1 or verdict.live.vdevs
    assert verdict.to_json()["headline"] == verdict.headline


HEALTHY = shared()
EDITS = st.lists(st.tuples(st.integers(0, 0x2000), st.integers(0, 255)), min_size=1, max_size=12)


@given(EDITS)
def test_a_working_board_with_any_bytes_changed_comes_to_a_verdict(edits: list[tuple[int, int]]) -> None:
    data = bytearray(HEALTHY)
    for at, value in edits:
        data[at] = value
    given_ = subject(data)
    look = Look.at(given_)
    verdict = judge_look(given_, look, still_ns=1_000_000_000)
    assert verdict.to_json()["exit_code"] in (0, 1)
    assert all(count > 0 for count in look.waiting().values())
    assert look.moved_since(look) == {path: Indices(0, 0) for path in look.indices}


def test_what_moved_is_the_difference_of_the_indices_across_their_end() -> None:
    data = shared()
    first = subject(data)
    before = Look.at(first)
    (path, layout) = next((ring.path, ring.layout) for ring in before.live.rings)
    assert layout is not None
    at = layout.used_idx_at - DA
    now = int.from_bytes(data[at : at + 2], "little")
    data[at : at + 2] = ((now - 2) % (1 << 16)).to_bytes(2, "little")
    later = subject(data)
    assert Look.at(later).moved_since(before)[path] == Indices(0, 0xFFFE)
    assert before.moved_since(Look.at(later))[path] == Indices(0, 2)


def test_a_healthy_board_passes_and_one_that_is_not_ready_is_not_up() -> None:
    data = shared()
    verdict = judge_look(subject(data), Look.at(subject(data)), still_ns=1_000_000_000)
    assert (verdict.exit_code, verdict.headline.startswith("RPTUN ")) == (0, True)
    status = next(vdev.entry for vdev in Look.at(subject(data)).live.vdevs)
    data[status.at.address - DA + 24] = 3  # fw_rsc_vdev.status behind its type: DRIVER_OK is missing
    verdict = judge_look(subject(data), Look.at(subject(data)))
    assert verdict.headline == "RPTUN is not up"
    assert [each.finding.rule for each in verdict.causes] == ["vdev.driver-ok-not-reached"]
