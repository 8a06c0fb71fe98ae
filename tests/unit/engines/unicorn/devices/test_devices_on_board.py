"""Device accesses from instructions: each happens once, at its PC, with the next instruction seeing its effect."""

from __future__ import annotations

import pytest

from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.platform import load_platform

ACCESSES = {
    "ldr": ("ldr r1, [r0, #8]", 1),
    "with write-back": ("ldr r1, [r0, #8]!", 1),
    "ldrb": ("ldrb r1, [r0, #8]", 1),
    "in a conditional block": ("cmp r0, r0\n it eq\n ldreq r1, [r0, #8]", 1),
    "to the program counter's neighbour": ("ldr lr, [r0, #8]", 1),
}


@pytest.mark.parametrize("kind", ACCESSES)
def test_a_read_with_a_side_effect_happens_once(boot, core, kind):
    access, count = ACCESSES[kind]
    machine = boot(
        f"reset: ldr r0, =PULLER\n {access}\n ldr r0, =PULLER\n ldr r4, [r0, #8]\n keep r4, 0\n b done", core=core
    )
    assert machine.finish().out() == count + 1


def test_ldm_reads_each_register_once(boot, core):
    machine = boot(
        "reset: ldr r0, =PULLER + 8\n ldm r0, {r4, r5}\n keep r4, 0\n keep r5, 1\n ldr r4, [r0]\n keep r4, 2\n b done",
        core=core,
    ).finish()
    assert machine.outs(3) == [1, 0, 2]


@pytest.mark.parametrize("store", ["str r1, [r0, #12]", "strd r2, r1, [r0, #8]", "add r0, #12\n stm r0!, {r1}"])
def test_a_store_happens_once(boot, core, store):
    program = f"reset: ldr r0, =PULLER\n mov r1, #5\n mov r2, #0\n {store}\n keep_at PULLER + 12, 0\n b done"
    assert boot(program, core=core).finish().out() == 5


def test_an_unmodelled_access_names_its_instruction_in_mid_block(boot, core):
    """Registers that the device does not have, in one straight run of instructions."""
    machine = boot(
        """
reset:
    ldr r0, =PULLER
    nop
    mov r1, #0x77
at_read:
    ldr r2, [r0, #0x20]
    nop
    nop
at_write:
    strh r1, [r0, #0x26]
    nop
    b done
""",
        core=core,
    ).finish()
    read, write = machine.unmodelled
    assert (read.pc, read.symbol, read.address, read.size, read.value) == (
        machine.symbol("at_read"),
        "at_read",
        0x50000020,
        4,
        None,
    )
    assert (write.pc, write.symbol, write.address, write.size, write.value) == (
        machine.symbol("at_write"),
        "at_write",
        0x50000026,
        2,
        0x77,
    )
    assert read.peripheral == write.peripheral == "puller"
    assert machine.taken == []


def test_an_unmodelled_register_of_the_system_space_is_named_too(boot, core):
    machine = boot(
        "reset: nop\n ldr r0, =0xE000EFD0\n nop\n\nat: ldr r1, [r0]\n keep r1, 0\n b done", core=core
    ).finish()
    (access,) = machine.unmodelled
    assert (access.pc, access.address) == (machine.symbol("at"), 0xE000EFD0)


def test_an_unmodelled_access_is_exact_inside_a_conditional_block(boot):
    machine = boot(
        "reset: ldr r0, =PULLER\n cmp r0, r0\n itt eq\n addeq r1, #1\n\nat: ldreq r2, [r0, #0x20]\n b done"
    ).finish()
    assert machine.unmodelled[0].pc == machine.symbol("at")


def test_two_devices_in_one_page_are_told_apart(boot, core):
    machine = boot(
        "reset: poke PULLER + 12, 3\n poke PULLER + 0x20C, 4\n"
        "keep_at PULLER + 12, 0\n keep_at PULLER + 0x20C, 1\n b done",
        core=core,
    ).finish()
    assert machine.outs(2) == [3, 4]


def test_a_device_interrupts_the_other_core(boot):
    receiver = "reset: poke NVIC_ISER, 2\n1: wfi\n b 1b\nirq1: log 1\n keep_at PULLER, 0\n bx lr"
    machine = boot("reset: poke PULLER + 4, 2\n poke PULLER + 4, 0\n b done", other=receiver).run_us(100)
    log = machine.engine.memory("cpu_b").read(machine.symbol("cursor", "cpu_b"), 5)
    assert log == b"\x01\0\0\0\x01"


def test_a_usart_hands_over_each_received_byte_once(boot, core):
    text = bytes(range(32, 127)) * 3
    machine = boot(
        """
reset:
    poke USART, 5
    ldr r0, =USART
    ldr r5, =out
    ldr r6, =285
1:  ldr r1, [r0, #0x1C]
    tst r1, #0x20
    beq 1b
    ldr r1, [r0, #0x24]
    strb r1, [r5], #1
    subs r6, #1
    bne 1b
    b done
""",
        core=core,
    )
    machine.run_us(40)
    machine.engine.consoles["usart"].write(text)
    machine.finish(1000)
    assert machine.engine.memory(core).read(machine.symbol("out"), 256) == text[:256]


def test_a_usart_interrupt_driven_echo_returns_what_was_pasted(boot, core):
    text = bytes(33 + n % 90 for n in range(5_000))
    machine = boot(
        """
reset:
    poke NVIC_ISER + 4, 1 << 7
    poke USART, 0x2D
1:  wfi
    b 1b
irq39:
    ldr r0, =USART
    ldr r1, [r0, #0x24]
    str r1, [r0, #0x28]
    bx lr
""",
        core=core,
    ).run_us(20)
    machine.engine.consoles["usart"].write(text)
    machine.run_us(2_000)
    assert machine.engine.consoles["usart"].output == text


def test_a_device_that_fails_ends_the_run_with_its_error(boot):
    machine = boot("reset: poke PULLER, 0x100000000 - 1\n b done")
    device = machine.engine.wiring.devices["puller"]
    original = device.write
    device.write = lambda *_: (_ for _ in ()).throw(ZeroDivisionError("as ordered"))
    with pytest.raises(ZeroDivisionError, match="as ordered"):
        machine.run_us(20)
    device.write = original
    machine.run_us(20)


def test_a_script_is_told_the_address_at_which_a_core_asks(tmp_path):
    """A device at two addresses: each access names its own, one from the host too."""
    (tmp_path / "chip.repl").write_text(
        'cpu: CPU.CortexM @ sysbus\n    cpuType: "cortex-m4f"\n    nvic: nvic\n\n'
        "nvic: IRQControllers.NVIC @ sysbus 0xE000E000\n    -> cpu@0\n\n"
        "where: Python.PythonPeripheral @ { sysbus 0x40000000; sysbus 0x50000000 }\n    size: 0x100\n"
        "    script: '''request.Value = request.Absolute\n'''\n"
    )
    engine = UnicornEngine(load_platform(tmp_path / "chip.repl"), EngineOptions())
    seen = [int.from_bytes(engine.peek("cpu", address, 4), "little") for address in (0x4000_0004, 0x5000_0008)]
    assert seen == [0x4000_0004, 0x5000_0008]
