"""Reads of devices that are answered in native code are what the devices would have said, and leave all as it was.

Random programs run on two boards, on one of which each access of a device comes to Python: every event, register, byte
and instruction count is compared, in pieces of a run between which the host looks, stores and goes back.
"""

from __future__ import annotations

import random

import pytest
from support.thumb_board import HERE, Assembler, Machine

from orchestrator.platform import Platform, load_platform

US = 1_000

# By register: kept; kept, and a line besides; how often it was read; who asks; who sleeps; who is held; not modelled;
# the one that lies next, changed by a read of another size; a log.
_SCRIPT = """
if request.IsInit:
    words = [3, 0]
    reads = [0]

    def own():
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        return 1 if found and cpu == self.GetMachine()['sysbus.cpu_b'] else 0

    def update():
        self.GetMachine()['sysbus.nvic_a'].OnGPIO(2, words[1] & 3 == 3)
        self.GetMachine()['sysbus.nvic_b'].OnGPIO(2, words[1] & 3 == 2)

elif request.IsRead:
    o = request.Offset
    if o in (0, 4):
        v = words[o // 4]
        if request.Length != 4:
            words[0] = words[0] ^ 0x10
        request.Value = v & ((1 << (8 * request.Length)) - 1)
    elif o == 8:
        if request.Length == 4 and own():
            reads[0] += 1
        request.Value = reads[0]
    elif o == 12:
        request.Value = 0xA0 + own()
    elif o == 16:
        request.Value = 1 if self.GetMachine()['sysbus.nvic_b'].InDeepSleep.IsSet else 2
    elif o == 20:
        request.Value = 1 if self.GetMachine()['sysbus.cpu_a'].IsHalted else 2
    elif o == 24:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
    elif o == 28:
        self.WarningLog('read of {0} bytes', request.Length)
        request.Value = 5
elif request.IsWrite:
    o = request.Offset
    if o in (0, 4):
        if words[o // 4] != request.Value:
            words[o // 4] = request.Value
            update()
    elif o == 8:
        reads[0] = 0
"""

_PROGRAM = """
reset: poke SYST_CSR + 4, {reload}
    poke SYST_CSR, 7
    poke SCR, {scr}
    poke NVIC_ISER, {enabled}
    ldr r7, ={seed}
    mov r6, #0
again: ldr r0, =1664525
    mul r7, r0
    ldr r0, =1013904223
    add r7, r0
    lsr r0, r7, #28
    ldr r1, =TABLE
    ldr r1, [r1, r0, lsl #2]
    lsr r0, r7, #24
    and r0, #15
    cmp r0, #{writes}
    bhi 1f
    lsr r2, r7, #12
    str r2, [r1]
    b 3f
1:  cmp r0, #14
    bhi 4f
    lsr r3, r7, #18
    and r3, #{rounds}
    add r3, #1
2:  ldr r2, [r1]
    add r6, r2
    eor r6, r6, r3
    subs r3, #1
    bne 2b
3:  lsr r0, r7, #17
    and r0, #{sleeps}
    cmp r0, #{sleeps}
    it eq
    wfieq
    cmp r0, #1
    bne again
    bl polls
    b again
4:  ldrb r2, [r1]
    ldrh r3, [r1]
    add r6, r2
    eor r6, r6, r3
    b 3b

@ For as long as nobody changes anything: an idle loop that an interrupt, or the other core, ends.
polls: ldr r0, =TICKS
    ldr r4, [r0]
    ldr r1, =0x50000600
    ldr r5, [r1]
5:  ldr r3, [r0]
    cmp r3, r4
    bne 6f
    ldr r2, [r1]
    cmp r2, r5
    beq 5b
6:  add r6, r2
    bx lr

sys_tick: ldr r0, =TICKS
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    ldr r2, =0x50000604
    ldr r3, [r2]
    eor r6, r6, r3
    bx lr
irq2: ldr r0, =0x50000604
    mov r1, #0
    str r1, [r0]
    bx lr
    .ltorg
    .align 2
TABLE: .word 0x50000600, 0x50000604, 0x50000608, 0x5000060C, 0x50000610, 0x50000614, 0x50000618, 0x5000061C
    .word 0x50000600, 0x5000060C, 0x50000A0C, 0x50000610, USART + 0x1C, USART + 0x28, PULLER + 4, USART + 0x1C
    .bss
TICKS: .skip 4
    .text
"""


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """The pair of the other tests, with two of these devices in pages of their own."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "puller.py").write_text((HERE / "boards" / "puller.py").read_text())
    (folder / "answers.py").write_text(_SCRIPT)
    (folder / "others.py").write_text(_SCRIPT.replace("['sysbus.nvic_b'].InDeepSleep.IsSet", "['sysbus.cpu_a'] == 0"))
    more = "".join(
        f"\n{name}: Python.PythonPeripheral @ sysbus {address}\n    size: 0x100\n    initable: true\n"
        f'    filename: "{name}.py"\n'
        for name, address in (("answers", "0x50000600"), ("others", "0x50000A00"))
    )
    (folder / "pair.repl").write_text((HERE / "boards" / "pair.repl").read_text() + more)
    (folder / "pair.toml").write_text((HERE / "boards" / "pair.toml").read_text())
    return load_platform(folder / "pair.repl")


def _program(chance: random.Random) -> str:
    return _PROGRAM.format(
        reload=chance.choice((397, 1999, 7000)),
        scr=chance.choice((0, 4)),
        enabled=chance.choice((0, 4)),
        seed=chance.getrandbits(32),
        writes=chance.choice((0, 0, 2)),
        rounds=chance.choice((1, 15, 63)),
        sleeps=chance.choice((3, 15)),
    )


def _state(machine: Machine) -> object:
    engine = machine.engine
    cores = [(core.now, dict(engine.registers(core.name)), core.work) for core in engine.wiring.cores]
    activities = [engine.activity(core.name) for core in engine.platform.cores]
    said = [console.output for console in engine.consoles.values()]
    starts = [console.line_starts for console in engine.consoles.values()]
    return engine.time_ns, cores, engine.wiring.memory.save(), machine.events, activities, said, starts


def _pair(
    assembler: Assembler, platform: Platform, texts: list[str], quantum_ns: int, *, skips: bool = True
) -> tuple[Machine, Machine]:
    images = {f"cpu_{'ab'[number]}": assembler.image(text, number) for number, text in enumerate(texts)}
    quick, slow = (
        Machine(platform, images, "cpu_a", quantum_ns, skip_idle_loops=skips, count_blocks=blocks)
        for blocks in (True, False)
    )
    return quick, slow


@pytest.mark.parametrize("seed", range(16))
def test_what_is_answered_in_native_code_is_what_the_device_says(assembler, answering, seed):
    chance = random.Random(f"answers {seed}")
    quantum_ns = chance.choice((20_000, 7_130, 2_500))
    quick, slow = both = _pair(assembler, answering, [_program(chance) for _core in range(2)], quantum_ns)
    kept: list[object] | None = None
    for _piece in range(12):
        piece = chance.randrange(1, 120) * US
        assert quick.engine.run(piece) == slow.engine.run(piece)
        assert _state(quick) == _state(slow)
        act = chance.randrange(6)
        at, value, core = (
            0x5000_0600 + 4 * chance.randrange(8),
            chance.getrandbits(32),
            chance.choice(("cpu_a", "cpu_b")),
        )
        if act == 0:
            assert quick.engine.peek(core, at, 4) == slow.engine.peek(core, at, 4)
        elif act == 1:
            for each in both:
                each.engine.poke(core, at, value.to_bytes(4, "little"))
        elif act == 2:
            kept = [each.engine.snapshot() for each in both]
        elif act == 3 and kept:
            for each, state in zip(both, kept, strict=True):
                each.engine.restore(state)
                del each.events[:]
        elif act == 4:
            for each in both:
                each.engine.poke("cpu_b", 0xE000_ED10, bytes((value & 4, 0, 0, 0)))
    assert quick.core.bus.count < slow.core.bus.count / 2
    for each in both:
        each.engine.close()


_LOOKS_AT_SLEEP = """
reset: ldr r1, =0x50000610
    mov r4, #0
    mov r5, #0
1:  ldr r2, [r1]
    cmp r2, #1
    ite eq
    addeq r4, #1
    addne r5, #1
    b 1b
"""
_SLEEPS_DEEPLY = """
reset: poke SYST_CSR + 4, 1999
    poke SYST_CSR, 7
    poke SCR, 4
1:  wfi
    mov r0, #500
2:  subs r0, #1
    bne 2b
    b 1b
sys_tick: bx lr
"""


def test_who_looks_at_sleep_sees_it_come_and_go(assembler, answering):
    both = _pair(assembler, answering, [_LOOKS_AT_SLEEP, _SLEEPS_DEEPLY], 20_000, skips=False)
    states = []
    for each in both:
        each.run_us(300)
        each.engine.hold("cpu_b")
        held = each.register
        each.run_us(40)
        assert each.register["R5"] > held["R5"]
        assert each.register["R4"] - held["R4"] < 2
        states.append(_state(each))
        assert min(each.register["R4"], each.register["R5"]) > 1000
        each.engine.close()
    assert states[0] == states[1]


_POLLS = """
reset: ldr r1, =0x50000A00
1:  ldr r2, [r1]
    cmp r2, #9
    bne 1b
    b done
"""
_READS_NOW_AND_THEN = """
reset: ldr r1, =0x50000A00
    mov r5, #0
1:  ldr r0, =20000
2:  eor r6, r6, r2
    subs r0, #1
    bne 2b
    ldr r2, [r1]
    ldr r2, [r1]
    add r5, #1
    cmp r5, #5
    bne 1b
    mov r2, #9
    str r2, [r1]
    b done
"""


def test_a_core_that_reads_what_another_polls_ends_its_loop_as_ever(assembler, answering):
    """Whether a core is in an idle loop is to be seen (``waiting``): a read of its device ends it, changed or not."""
    quick, slow = _pair(assembler, answering, [_POLLS, _READS_NOW_AND_THEN], 20_000)
    waited = []
    for _quantum in range(250):
        for each in (quick, slow):
            each.run_us(20)
        assert quick.engine.waiting("cpu_a") == slow.engine.waiting("cpu_a")
        waited.append(quick.engine.waiting("cpu_a") is not None)
    assert {True, False} == set(waited)
    assert waited != sorted(waited)
    assert _state(quick) == _state(slow)
    assert quick.register["PC"] == quick.symbol("done")
    for each in (quick, slow):
        each.engine.close()
