"""What a fault was, by what tlib raised and what the status registers of a core that faulted before say."""

from __future__ import annotations

import pytest

from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.faults import FaultStatus
from orchestrator.engines.renode.faults import BKPT, SVC, Raised, cause_of

UNDEFINED, BUS_FAULT, NOCP = 1, 21, 17
BOTH = FaultStatus(("PRECISERR", "BFARVALID", "UNDEFINSTR", "FORCED"), 0x7000_0000)


def raised(kind: int, code: str) -> Raised:
    return Raised(kind, 0x0800_0100, bytes.fromhex(code).ljust(4, b"\0"), 0)


def test_of_bits_that_firmware_has_not_cleared_only_those_count_that_were_raised_now() -> None:
    undefined = cause_of(cortex_m.USAGE_FAULT, BOTH, raised(UNDEFINED, "01de"))
    assert (undefined.exception, undefined.status) == (cortex_m.USAGE_FAULT, FaultStatus(("UNDEFINSTR",), None))
    assert undefined.what == "executes the undefined instruction 0xde01"
    bus = cause_of(cortex_m.HARD_FAULT, BOTH, raised(BUS_FAULT, "1b68"))
    assert (bus.exception, bus.status) == (cortex_m.BUS_FAULT, FaultStatus(("PRECISERR", "BFARVALID"), 0x7000_0000))
    assert bus.what == "reads 4 bytes at 0x70000000, where this chip has nothing"


def test_a_fault_that_ends_as_a_hard_fault_was_escalated_and_has_its_own_name() -> None:
    assert cause_of(cortex_m.HARD_FAULT, BOTH, raised(BUS_FAULT, "1b68")).escalated
    assert not cause_of(cortex_m.BUS_FAULT, BOTH, raised(BUS_FAULT, "1b68")).escalated


@pytest.mark.parametrize(
    ("kind", "status", "what"),
    [
        (SVC, "FORCED", "SVC at a priority that SVCall cannot preempt"),
        (BKPT, "DEBUGEVT", "BKPT with no debugger attached"),
    ],
)
def test_what_has_no_status_of_its_own_is_a_hard_fault(kind: int, status: str, what: str) -> None:
    cause = cause_of(cortex_m.HARD_FAULT, BOTH, raised(kind, "01df"))
    assert (cause.exception, cause.status.names, cause.what, cause.escalated) == (
        cortex_m.HARD_FAULT,
        (status,),
        what,
        False,
    )


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("30ee810a", "uses the floating-point unit, which is off (CPACR)"),  # vadd.f32 s0, s1, s2
        ("10ee100f", "uses a coprocessor that is absent or switched off"),  # mrc p15, ...
    ],
)
def test_a_coprocessor_is_told_from_the_floating_point_unit(code: str, what: str) -> None:
    assert cause_of(cortex_m.USAGE_FAULT, FaultStatus(("NOCP",), None), raised(NOCP, code)).what == what


def test_an_exception_that_the_core_did_not_raise_has_all_its_status() -> None:
    cause = cause_of(cortex_m.HARD_FAULT, FaultStatus(("VECTTBL",), None), None)
    assert (cause.exception, cause.status.names, cause.what) == (cortex_m.HARD_FAULT, ("VECTTBL",), "VECTTBL")
