"""WFI, WFE, SEV and what ends a sleep (DDI0403E B1.5.17 to B1.5.19)."""

from __future__ import annotations

import pytest

from orchestrator.engines.unicorn.cpu.signals import LineChanged
from orchestrator.events import CoreState

WIDE = {"wfi": ".inst.w 0xF3AF8003", "wfe": ".inst.w 0xF3AF8002"}


@pytest.mark.parametrize(
    "hint", ["wfi", "wfe", *WIDE.values(), "cmp r0, r0\n it eq\n wfieq", "cmp r0, r0\n it eq\n wfeeq"]
)
def test_a_hint_puts_the_core_to_sleep_until_an_interrupt(boot, core, hint):
    machine = boot(
        f"""
reset:
    poke NVIC_ISER, 1
    {hint}
    log 2
    b done
irq0:
    poke PULLER, 0
    log 1
    bx lr
""",
        core=core,
    )
    machine.run_us(100)
    assert machine.engine.state(core) == CoreState.SLEEPING
    assert machine.trace == []
    machine.core.post(machine.core.now + 7, LineChanged(0, True))
    machine.core.post(machine.core.now + 8, LineChanged(0, False))
    assert machine.finish().trace == [1, 2]


def test_wfi_under_primask_wakes_without_taking_the_interrupt(boot, core):
    """cpsid i; wfi; cpsie i: the common idle idiom."""
    machine = boot(
        """
reset:
    poke NVIC_ISER, 1
    cpsid i
    wfi
    log 1
    cpsie i
    log 3
    b done
irq0:
    log 2
    bx lr
""",
        core=core,
    ).run_us(50)
    assert machine.engine.state(core) == CoreState.SLEEPING
    machine.core.post(machine.core.now + 7, LineChanged(0, True))
    machine.core.post(machine.core.now + 8, LineChanged(0, False))
    assert machine.finish().trace == [1, 2, 3]


def test_wfi_with_an_interrupt_pending_under_primask_does_not_sleep(boot, core):
    machine = boot(
        "reset: cpsid i\n poke NVIC_ISER, 1\n poke NVIC_ISPR, 1\n wfi\n log 1\n cpsie i\n b done\nirq0: log 2\n bx lr",
        core=core,
    )
    assert machine.finish().trace == [1, 2]


@pytest.mark.parametrize(
    ("why", "before"),
    [
        ("it is disabled", "poke NVIC_ICER, 1"),
        ("BASEPRI masks it", "mov r0, #0x10\n msr basepri, r0"),
        ("FAULTMASK masks it", "cpsid f"),
    ],
)
def test_wfi_sleeps_on_when_an_interrupt_pends_that_could_not_preempt(boot, core, why, before):
    machine = boot(f"reset: poke NVIC_ISER, 1\n poke NVIC_IPR, 0x80\n {before}\n wfi\n b unexpected", core=core)
    machine.run_us(50)
    machine.core.post(machine.core.now + 7, LineChanged(0, True))
    machine.run_us(50)
    assert machine.engine.state(core) == CoreState.SLEEPING, why


def test_wfe_is_not_woken_by_what_primask_masks(boot, core):
    machine = boot("reset: poke NVIC_ISER, 1\n cpsid i\n wfe\n b unexpected", core=core).run_us(50)
    machine.core.post(machine.core.now + 7, LineChanged(0, True))
    machine.run_us(50)
    assert machine.engine.state(core) == CoreState.SLEEPING


@pytest.mark.parametrize("enabled", [0, 1])
def test_with_sevonpend_anything_that_pends_ends_wfe(boot, core, enabled):
    machine = boot(f"reset: poke SCR, 16\n poke NVIC_ISER, {enabled}\n cpsid i\n wfe\n log 1\n b done", core=core)
    machine.run_us(50)
    assert machine.engine.state(core) == CoreState.SLEEPING
    machine.core.post(machine.core.now + 7, LineChanged(0, True))
    assert machine.finish().trace == [1]


def test_with_sevonpend_what_pended_before_wfe_has_set_the_event(boot, core):
    machine = boot("reset: poke SCR, 16\n poke NVIC_ISPR, 1\n wfe\n log 1\n wfe\n log 2\n b done", core=core)
    machine.run_us(50)
    assert machine.trace == [1]
    assert machine.engine.state(core) == CoreState.SLEEPING


def test_sev_sets_the_own_event_register_once(boot, core):
    machine = boot("reset: sev\n sev\n wfe\n log 1\n wfe\n log 2\n b done", core=core).run_us(50)
    assert machine.trace == [1]
    assert machine.engine.state(core) == CoreState.SLEEPING


@pytest.mark.parametrize("sev", ["sev", ".inst.w 0xF3AF8004"])
def test_sev_wakes_the_other_core(boot, sev):
    sender = f"reset: ldr r0, =5000\n1: subs r0, #1\n bne 1b\n {sev}\n b done"
    machine = boot(sender, other="reset: wfe\n log 1\n wfe\n log 2\n b done", core="cpu_a").run_us(300)
    log = machine.engine.memory("cpu_b").read(machine.symbol("cursor", "cpu_b"), 6)
    assert log == b"\x01\0\0\0\x01\0"
    assert machine.engine.state("cpu_b") == CoreState.SLEEPING


def test_an_event_sent_while_the_other_core_runs_is_kept_for_its_next_wfe(boot):
    late = "reset: ldr r0, =9000\n1: subs r0, #1\n bne 1b\n wfe\n b done"
    boot("reset: ldr r0, =3000\n1: subs r0, #1\n bne 1b\n sev\n b done", other=late).finish(400)


def test_the_entry_and_the_return_of_an_exception_set_the_event_register(boot, core):
    """So wfe behind an interrupt does not sleep (B1.5.6, B1.5.8)."""
    machine = boot("reset: svc 0\n wfe\n log 1\n b done\nsv_call: bx lr", core=core)
    assert machine.finish().trace == [1]
    machine = boot("reset: svc 0\n wfe\n log 1\n wfe\n log 2\n b done\nsv_call: bx lr", core=core).run_us(50)
    assert machine.trace == [1]


def test_the_handler_returns_behind_wfi(boot, core):
    machine = boot(
        "reset: poke NVIC_ISER, 1\n\nat: wfi\n b done\nirq0: ldr r0, [sp, #24]\n keep r0, 0\n bx lr", core=core
    )
    machine.run_us(50)
    machine.core.post(machine.core.now + 7, LineChanged(0, True))
    machine.core.post(machine.core.now + 8, LineChanged(0, False))
    assert machine.finish().out() == machine.symbol("at") + 2


def test_time_goes_on_while_a_core_sleeps(boot, core):
    machine = boot(
        """
reset:
    poke DWT_CTRL, 0x40000001
    poke SYST_CSR + 4, 9999
    poke SYST_CSR + 8, 0
    poke SYST_CSR, 7
    wfi
    keep_at CYCCNT, 0
    b done
sys_tick:
    poke SYST_CSR, 0
    bx lr
""",
        core=core,
    ).finish(1000)
    # at 100 MHz, or 50 MHz where the cycle counter runs at 200
    assert 10_000 < machine.out() / {"cpu_a": 1, "cpu_b": 4}[core] < 10_060


def test_both_cores_asleep_jump_to_the_next_timer(boot):
    start = "reset: poke SYST_CSR + 4, 0xFFFFFF\n poke SYST_CSR + 8, 0\n poke SYST_CSR, 7\n"
    tick = f"{start}1: wfi\n b 1b\nsys_tick: log 1\n bx lr"
    machine = boot(tick, other="reset: wfi\n b unexpected").run_us(1_000_000)
    assert len(machine.trace) == 5  # every 167.8 ms
    assert machine.engine.time_ns == 1_000_000_000


def test_nop_and_yield_are_no_sleep(boot, core):
    hints = "nop\n yield\n nop.w\n .inst.w 0xF3AF8001"
    block = "cmp r0, r0\n itt eq\n yieldeq\n moveq r4, #7"
    machine = boot(f"reset: {hints}\n {block}\n keep r4, 0\n b done", core=core).finish()
    assert machine.out() == 7
    assert machine.taken == []
