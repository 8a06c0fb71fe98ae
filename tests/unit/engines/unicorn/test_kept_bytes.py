"""Bytes that a UART sends and native code keeps: on the console each has the place, the time and the moment it had.

Random programs print, and change what their UART does, on two boards: on one of them each byte comes to Python at once.
"""

from __future__ import annotations

import random

import pytest
from support.thumb_board import Machine

from orchestrator.engines.contract import ConsoleText, StopReason

US = 1_000

_PRINTS = """
reset: poke SYST_CSR + 4, {reload}
    poke SYST_CSR, 7
    poke NVIC_ISER + 4, {enabled}
    ldr r4, =USART
    mov r5, #0xD
    str r5, [r4]
    ldr r7, ={seed}
    mov r6, #0
again: ldr r0, =1664525
    mul r7, r0
    ldr r0, =1013904223
    add r7, r0
    lsr r0, r7, #27
    cmp r0, #{other}
    blo other
    and r0, #7
    mov r3, #{many}
    cmp r0, #1
    ite eq
    moveq r2, #10
    addne r2, r0, #0x60
2:  ldr r1, [r4, #0x1C]     @ ISR
    add r6, r1
    tst r1, #0x80
    beq 2b
    {store} r2, [r4, #0x28] @ TDR
    subs r3, #1
    bne 2b
    b again
other: lsl r0, r0, #2
    add pc, r0
    nop
    b.w clears
    b.w toggles
    b.w receives
    b.w waits
    b.w sleeps
    b.w again
clears: mov r0, #0x40
    str r0, [r4, #0x20]     @ TC, which the next byte sets
    b again
toggles: ldr r0, [r4]
    eor r0, r0, #{bit}
    str r0, [r4]
    orr r0, #8
    lsr r1, r7, #20
    tst r1, #1
    it eq
    streq r0, [r4]
    b again
receives: ldrb r0, [r4, #0x24]
    add r6, r0
    b again
waits: lsr r0, r7, #15
    and r0, #0xFF
    add r0, #1
1:  subs r0, #1
    bne 1b
    b again
sleeps: wfi
    b again
sys_tick: ldr r0, =TICKS
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    bx lr
irq39: ldr r0, =USART
    mov r1, #0xD
    str r1, [r0]
    bx lr
    .ltorg
    .bss
TICKS: .skip 4
    .text
"""


def _program(chance: random.Random) -> str:
    return _PRINTS.format(
        reload=chance.choice((397, 1999, 7000)),
        enabled=chance.choice((0, 0x80)),
        seed=chance.getrandbits(32),
        other=chance.choice((0, 2, 5)),
        many=chance.choice((1, 3, 40)),
        store=chance.choice(("str", "strb", "strh")),
        bit=chance.choice(("0x40", "8", "1", "0x80")),
    )


def _state(machine: Machine) -> object:
    engine = machine.engine
    cores = [(core.now, dict(engine.registers(core.name)), core.work) for core in engine.wiring.cores]
    console = engine.consoles["usart"]
    return engine.time_ns, cores, machine.events, console.output, console.line_starts, engine.wiring.memory.save()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("listens", [True, False])
def test_bytes_that_native_code_keeps_are_said_as_ever(boot, seed, listens):
    chance = random.Random(f"bytes {seed}")
    quantum_ns = chance.choice((20_000, 7_130, 2_500))
    texts = [_program(chance) for _core in range(2)]
    quick, slow = both = [
        boot(
            texts[0],
            other=texts[1] if seed % 2 else None,
            quantum_ns=quantum_ns,
            skip_idle_loops=True,
            count_blocks=blocks,
            listens=listens,
        )
        for blocks in (True, False)
    ]
    kept: list[object] = []
    for _piece in range(10):
        until = None
        if chance.random() < 0.5:
            letters = "".join(chance.choice("abcdefg\n") for _ in range(chance.randrange(1, 3)))
            until = ConsoleText("usart", letters + chance.choice(("", "$")), regex=True)
        piece = chance.randrange(1, 200) * US
        assert quick.engine.run(piece, until) == slow.engine.run(piece, until)
        assert _state(quick) == _state(slow)
        act, typed = chance.randrange(4), bytes(chance.randrange(256) for _ in range(3))
        if act == 0:
            for each in both:
                each.engine.consoles["usart"].write(typed)
        elif act == 1:
            kept = [each.engine.snapshot() for each in both]
        elif act == 2 and kept:
            for each, state in zip(both, kept, strict=True):
                each.engine.restore(state)
                del each.events[:]
    assert len(slow.engine.consoles["usart"].output) > 50


_PRINTS_MUCH = """
reset: ldr r4, =USART
    mov r5, #0xD
    str r5, [r4]
    mov r2, #0x61
1:  str r2, [r4, #0x28]
    str r2, [r4, #0x28]
    str r2, [r4, #0x28]
    b 1b
"""


def test_more_bytes_than_there_is_room_for_come_too(boot):
    quick, slow = (boot(_PRINTS_MUCH, quantum_ns=200_000, count_blocks=blocks) for blocks in (True, False))
    for each in (quick, slow):
        each.run_us(1000)
    assert _state(quick) == _state(slow)
    assert quick.core.bus.count < slow.core.bus.count / 100


def test_a_run_ends_where_the_text_has_come(boot):
    text = _PRINTS_MUCH.replace(
        "    mov r2, #0x61\n", "    mov r2, #0x61\n    ldr r0, =12345\n2: subs r0, #1\n    bne 2b\n"
    )
    quick, slow = (boot(text, count_blocks=blocks) for blocks in (True, False))
    stops = [each.engine.run(10_000_000, ConsoleText("usart", "aaaa")) for each in (quick, slow)]
    assert stops[0] == stops[1]
    assert stops[0].reason is StopReason.CONDITION
