"""IT blocks whose accesses are asked about: the code behind them begins in no IT block (DDI0403E A7.3.2)."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Watchpoint

# The access is the first of a block of three, so that what follows would be held for its second and third.
BEHIND = """
    mov r6, #0
    cmp r6, #0
    itee eq
    {access}
    addne r6, #16
    addne r6, #16
    b behind
    .align 8
behind:
    add r6, r6, #1
    add r6, r6, #1
    add r6, r6, #1
    keep r6, 0
    b done
"""
MPU_ON = """
    poke 0xE000ED94, 5
    dsb
    isb
"""


@pytest.mark.parametrize("core", ["cpu_a", "cpu_b"])
@pytest.mark.parametrize("access", ["streq r6, [r4]", "ldreq r5, [r4]", "stmeq r4!, {r5, r6}", "ldreq r5, [r4], #4"])
def test_behind_the_first_access_to_a_page_under_an_mpu(boot, core, access):
    machine = boot(f"reset:{MPU_ON} ldr r4, =0x20004000\n" + BEHIND.format(access=access), core=core).finish()
    assert machine.out(0) == 3


def test_behind_a_store_to_a_page_that_the_core_executes(boot):
    call = "ldr r4, =0x20004000\n ldr r0, =0x4770\n str r0, [r4]\n add r1, r4, #1\n blx r1\n"
    machine = boot(f"reset: {call}" + BEHIND.format(access="streq r6, [r4, #8]")).finish()
    assert machine.out(0) == 3


def test_behind_an_access_that_a_debugger_watches(boot):
    machine = boot("reset: ldr r4, =0x20004000\n" + BEHIND.format(access="streq r6, [r4]"))
    machine.engine.debug(machine.core.name, lambda _stop: None)
    watched = Watchpoint(Extent(0x2000_4000, 4), reads=False, writes=True)
    machine.engine.set_watchpoints(machine.core.name, (watched,))
    machine.finish()
    assert machine.out(0) == 3
