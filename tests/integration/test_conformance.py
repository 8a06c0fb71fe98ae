"""The conformance suite tested: unbroken it agrees, and each deliberate breakage of the engine is noticed."""

from __future__ import annotations

import pytest

from conformance.breakages import BREAKAGES, Breakage, notices
from conformance.compare import Result, compare, compare_sequences
from conformance.images import CORE_TYPES, build
from conformance.on_qemu import run_on_qemu
from conformance.transcript import Program

pytestmark = [
    pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm"),
    pytest.mark.xdist_group("conformance"),
]

Reference = dict[tuple[str, str], Program]


@pytest.fixture(scope="module")
def reference() -> Reference:
    """What QEMU prints, by core type and case."""
    build()
    cores = sorted({breakage.core for breakage in BREAKAGES})
    return {(core, program.name): program for core in cores for program in run_on_qemu(CORE_TYPES[core])}


@pytest.mark.parametrize("core", CORE_TYPES)
def test_the_engine_as_it_is_differs_nowhere(core: str) -> None:
    build()
    assert [case.difference() for case in compare(CORE_TYPES[core]) if case.result is Result.DIFFERENT] == []


@pytest.mark.parametrize("core", CORE_TYPES)
def test_random_sequences_leave_the_same_registers_memory_and_exceptions(core: str) -> None:
    build()
    assert [case.name for case in compare_sequences(CORE_TYPES[core], seed=2, count=32)] == []


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.what)
def test_a_broken_engine_is_noticed_by_the_case_that_is_named(breakage: Breakage, reference: Reference) -> None:
    expected = reference[breakage.core, breakage.case]
    assert notices(breakage, expected)
