"""The local monitor and exceptions (DDI0403E A3.4, B2.3.1)."""

from __future__ import annotations

import pytest


def test_the_local_monitor_is_cleared_by_an_exception(boot, core):
    machine = boot(
        """
reset:
    ldr r0, =out + 16
    mov r1, #5
    ldrex r2, [r0]
    strex r4, r1, [r0]
    ldrex r2, [r0]
    svc 0
    strex r5, r1, [r0]
    keep r4, 0
    keep r5, 1
    b done
sv_call:
    bx lr
""",
        core=core,
    ).finish()
    assert machine.outs(2) == [0, 1]


@pytest.mark.parametrize("width", ["", "b", "h"])
def test_an_exception_clears_the_monitor_of_a_load_acquire_exclusive_too(boot, width):
    """DDI0553B B6.4: LDAEX sets the local monitor as LDREX does."""
    machine = boot(
        f"""
reset: @ M33
    ldr r0, =out + 16
    mov r1, #5
    ldaex{width} r2, [r0]
    stlex{width} r4, r1, [r0]
    ldaex{width} r2, [r0]
    svc 0
    stlex{width} r5, r1, [r0]
    keep r4, 0
    keep r5, 1
    b done
sv_call:
    bx lr
""",
        board="single",
    ).finish()
    assert machine.outs(2) == [0, 1]


def test_exclusive_access_inside_a_handler_does_not_disturb_its_own(boot, core):
    machine = boot(
        """
reset:
    svc 0
    b done
sv_call:
    ldr r0, =out + 16
    ldrex r2, [r0]
    mov r1, #5
    strex r5, r1, [r0]
    keep r5, 0
    bx lr
""",
        core=core,
    ).finish()
    assert (machine.out(0), machine.out(4)) == (0, 5)
