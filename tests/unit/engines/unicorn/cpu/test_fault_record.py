"""What a fault leaves in the registers of the SCB, and of which faults a backtrace is taken."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.engines.common.cortex_m import BUS_FAULT
from orchestrator.engines.unicorn.cpu.fault_cause import FaultCause
from orchestrator.engines.unicorn.cpu.fault_record import FaultRecord


def record(scs: object = None) -> FaultRecord:
    return FaultRecord(SimpleNamespace(), scs, SimpleNamespace())  # type: ignore[arg-type]  # what the test reaches


def test_of_each_instruction_two_faults_have_a_backtrace_and_of_64_instructions() -> None:
    found = record()
    assert [found._is_traced(0x100) for _ in range(3)] == [True, True, False]
    assert all(found._is_traced(0x200 + 2 * each) for each in range(63))
    assert not found._is_traced(0x300)
    assert found._is_traced(0x200)
    assert not found._is_traced(0x200)
    assert len(found.traced) == 64


@pytest.mark.parametrize(
    ("status", "address", "cfsr", "bfar", "mmfar"),
    [
        (("PRECISERR", "BFARVALID"), 0x7000_0000, 0x8200, 0x7000_0000, 2),
        (("DACCVIOL", "MMARVALID"), 0x7000_0000, 0x82, 1, 0x7000_0000),
        (("IBUSERR",), 0x7000_0000, 0x100, 1, 2),
        (("PRECISERR", "BFARVALID"), None, 0x8200, 1, 2),
        (("FORCED",), None, 0, 1, 2),
    ],
)
def test_status_bits_add_up_and_an_address_goes_where_it_is_valid(
    status: tuple[str, ...], address: int | None, cfsr: int, bfar: int, mmfar: int
) -> None:
    scs = SimpleNamespace(cfsr=1 << 25, bfar=1, mmfar=2)
    record(scs).record(FaultCause(BUS_FAULT, status, "reads", address))
    assert (scs.cfsr, scs.bfar, scs.mmfar) == (cfsr | 1 << 25, bfar, mmfar)
