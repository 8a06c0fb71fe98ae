"""Code that is counted by blocks, and turns that pass in native code, do what instruction by instruction would be done.

Random programs run with and without: every event, register, byte and instruction count is compared, in pieces of a run
that end anywhere.
"""

from __future__ import annotations

import random

import pytest

from conformance.sequences import Sequence, generate
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Watchpoint
from orchestrator.engines.unicorn.cpu.signals import Released
from orchestrator.engines.unicorn.native_turns import NativeTurns

US = 1_000

# Each sequence of its table in turn, round and round; SysTick and the sequences' own interrupts come in between.
_PROGRAM = """
reset: poke SYST_CSR + 4, {reload}
    poke SYST_CSR, 7
    poke NVIC_ISER, 0xF
    poke NVIC_IPR, 0x40FF8000
    poke 0xE000EF34, {fpccr}
    fpu_on
    bl fetch
    ldr r0, =SHCSR
    ldr r1, =7 << 16
    str r1, [r0]
again: ldr r4, =TABLE
1:  ldr r5, [r4], #4
    cmp r5, #0
    beq again
    mov r6, #{rounds}
2:  push {{r4, r5, r6, lr}}
    mov lr, r5
    ldr r0, ={r0}
    ldr r1, ={r1}
    ldr r2, ={r2}
    ldr r3, =0xFFFFFFFF
    ldr r7, =AREA
    ldr r8, =STIR
    and r9, r6, #3
    blx lr
    cpsie i
    bl visits
    pop {{r4, r5, r6, lr}}
    subs r6, #1
    bne 2b
    b 1b
    .ltorg

@ Plain memory most of the time, and now and then what only looks so to the code.
visits: push {{r4, lr}}
    ldr r4, =VISIT
    ldr r0, [r4]
    add r0, #1
    str r0, [r4]
    ldr r1, =AREA
    mov r2, #0x41
    tst r0, #{mask}
    it eq
    ldreq r1, ={rare}
    bl touch
    ldr r1, =AREA
    tst r0, #{mask} << 1
    it eq
    addeq r1, #{skew}
    bl pairs
    bl floats
    bl kinds
    mov r0, r2
    bl returns
    lsr r0, #8
    bl returns
    pop {{r4, pc}}
touch: add r3, r2, #1
    str r2, [r1]
    eor r3, r3, r2
    ldr r2, [r1, #4]
    add r3, r2
    str r3, [r4, #4]
    bx lr
kinds: push {{r5, r6, lr}}   @ r1 is plain memory or not, r4 is
{kinds}
    mov r0, #0
    msr basepri, r0
    msr primask, r0
    pop {{r5, r6, pc}}
    .ltorg
returns: and r0, #0x7F
    cmp r0, #80
    itt lo
    addlo r3, #1
    bxlo lr
    cmp r0, #100
    ittte hi
    addhi r3, #3
    lsrhi r3, #1
    movhi r0, #1
    movls r0, #2
    ands r1, r3, #3
    it eq
    addeq r3, #2
    it ne
    bxne lr
    nop
    bx lr
pairs: ldrd r2, r3, [r1]
    adds r2, r3
    itte cs
    movcs r3, r2
    addcs r3, #1
    movcc r3, #7
    strd r3, r2, [r1, #8]
    bx lr
floats: vmov s0, r0
    vcvt.f32.u32 s0, s0
    vadd.f32 s1, s1, s0
    vstr s1, [r4, #8]
    bx lr

@ Copies the second half of the sequences to memory that can be written, and changes one of them while it is known.
fetch: ldr r0, =IN_FLASH
    ldr r1, =IN_RAM
    ldr r2, =IN_FLASH_END
1:  ldr r3, [r0], #4
    str r3, [r1], #4
    cmp r0, r2
    blo 1b
    dsb
    isb
    bx lr

sv_call: log 1
    bx lr
sys_tick: ldr r0, =TICKS
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    tst r1, #15
    bne 1f
    ldr r2, =IN_RAM         @ the first instruction of code that has run: MOVS r0, #tick
    and r3, r1, #0xFF
    orr r3, #0x2000
    strh r3, [r2]
1:  bx lr
irq0: b counts
irq1: b counts
irq2: b counts
irq3: b counts
counts: ldr r0, =TICKS
    ldr r1, [r0, #4]
    add r1, #1
    str r1, [r0, #4]
    ldr r2, =AREA
    ldm r2, {{r1, r3}}
    bx lr
bus_fault: b skips
usage_fault: b skips
hard_fault: b skips
skips: ldr r1, [sp, #24]    @ over the instruction that faults
    ldrh r2, [r1]
    lsr r2, #11
    cmp r2, #0x1D
    ite hs
    addhs r1, #4
    addlo r1, #2
    str r1, [sp, #24]
    ldr r2, [sp, #28]       @ not in an IT block any more
    bic r2, #0x06000000
    bic r2, #0xFC00
    str r2, [sp, #28]
    bx lr
    .ltorg
    .align 2
TABLE: {table}
    .word 0
    .align 2
{in_flash_only}
    .align 2
IN_FLASH: {in_flash}
    .align 2
IN_FLASH_END:
    .bss
    .align 3
TICKS: .skip 8
VISIT: .skip 32
    .align 5
AREA: .skip 256
    .align 2
IN_RAM: .skip 4096
    .text
"""
_SUM = " ldr r3, [r4, #16]\n add r5, r3, r5\n str r5, [r4, #16]\n eor r2, r5"
# Of code that is counted by blocks; {n}: a small number, {l}: a number of its own, {m}: of priority.
_KINDS = (
    *["str r2, [r1]", "ldr r2, [r1]"] * 3,
    *["mrs r5, primask\n cpsid i\n ldr r0, [r4, #4]\n add r0, #{n}\n str r0, [r4, #4]\n msr primask, r5"] * 3,
    *["mrs r5, basepri\n mov r0, #{m}\n msr basepri, r0\n str r9, [r8]\n add r2, #1\n msr basepri, r5"] * 2,
    "mov r0, #{m}\n msr basepri_max, r0",
    *["cpsid i\n str r9, [r8]\n eor r2, r9", "cpsie i\n add r2, #{n}", "cpsid i", "cpsie i"],
    "cpsid i\n str r9, [r8]\n cpsie i\n ldm r1, {{r0, r3}}",
    "cpsid i\n str r9, [r8]\n cpsie i\n vmov s4, r2\n vcvt.f32.s32 s4, s4",
    "mrs r0, {special}\n eor r2, r0",
    "mrs r0, {special}\n str r0, [r4, #12]",
    *["dmb", "dsb", "isb", "nop.w", "clrex", "nop", "sev", "yield", "svc {n}"],
    *["{l}: ldrex r0, [r4, #4]\n add r0, #1\n strex r5, r0, [r4, #4]\n cmp r5, #0\n bne {l}b\n dmb"] * 2,
    "ldrex r0, [r4, #4]\n str r2, [r1]\n strex r5, r0, [r4, #4]\n" + _SUM,
    "str r2, [r1]\n ldrex r0, [r4]\n clrex\n strex r5, r2, [r4]\n" + _SUM,
    "ldrexb r0, [r1]\n add r0, r2\n strexb r5, r0, [r1]\n" + _SUM,
    "ldrexh r0, [r4]\n strexh r5, r0, [r1]\n" + _SUM,
    "ldr r0, =IN_RAM\n ldrex r3, [r0]\n strex r5, r3, [r0]\n" + _SUM,
    "ldr r0, =TICKS\n ldrex r3, [r0]\n str r9, [r8]\n strex r5, r3, [r0]\n" + _SUM,
    "str r2, [r1]\n cpsid i\n add r2, #1\n cpsie i",
    "str r2, [r1]\n mov r0, #{m}\n msr basepri, r0",
    "tst r2, #{n}\n it ne\n strne r2, [r1]\n cpsid i\n add r2, #1\n cpsie i",
    "str r2, [r1]\n svc {n}",
    "str r2, [r1]\n vmrs r0, fpscr\n eor r0, #0x400000\n vmsr fpscr, r0",
    "vcmp.f32 s0, s1\n vmrs apsr_nzcv, fpscr\n itee gt\n addgt r2, #3\n suble r2, #1\n eorle r2, r0",
    "ldrd r0, r5, [r4]\n add r2, r5",
    "ldr r0, ={l}f\n mov r5, r0\n ldrd r0, r3, [r1]\n eor r2, r3\n{l}: nop",
    "mov r5, r1\n ldrd r5, r3, [r5]\n add r2, r3",
    "and r0, r2, #3\n tbb [pc, r0]\n{l}: .byte 2, 3, 2, 4\n adds r2, #1\n adds r2, #2\n eor r2, #{n}",
    "and r0, r2, #1\n tbh [pc, r0, lsl #1]\n{l}: .hword 2, 3\n adds r2, #1\n adds r2, #2",
    "mrs r0, psp\n add r0, r1\n msr psp, r0",
    "mrs r0, psp\n bic r0, #3\n msr psp, r0",
    "mrs r0, msp\n add r0, #{n}\n bic r0, #3\n mrs r5, msp\n cpsid i\n msr msp, r0\n msr msp, r5\n cpsie i",
    "msr apsr_nzcvq, r2\n adc r2, r2\n it mi\n addmi r2, #1",
    "lsrs r0, r2, #1\n it cs\n eorcs r0, #0xA1\n lsrs r0, #1\n it cs\n eorcs r0, #0xA1\n"
    " lsrs r0, #2\n itt cc\n eorcc r0, #0x5\n addcc r2, r0\n eor r2, r0\n ldm r4, {{r0, r3}}\n add r2, r3",
    "str r2, [r4, #4]\n ldr r0, [r4, #4]\n add r2, r0",
)
_SPECIALS = ("xpsr", "ipsr", "apsr", "primask", "basepri", "faultmask", "control", "msp", "psp")
_RARE = ("USART", "NOWHERE", "0x08000000", "SYST_CSR + 4", "AREA + 1", "IN_RAM", "0xFFFFFFF8", "PULLER")


def _label(number: int) -> str:
    return f"seq{number}"


def _text(label: str, sequence: Sequence) -> str:
    return f"{label}: .hword {', '.join(hex(half) for half in sequence.code)}\n"


def _kinds(chance: random.Random) -> str:
    groups = []
    for group in range(chance.randrange(1, 4)):
        lines = [
            "    "
            + chance.choice(_KINDS).format(
                n=chance.randrange(1, 12),
                l=10 * group + number,
                m=chance.choice((0x40, 0x80, 0xC0)),
                special=chance.choice(_SPECIALS),
            )
            for number in range(chance.randrange(1, 8))
        ]
        groups.append("\n".join(lines))
    return "\n    b 99f\n    .ltorg\n99:\n".join(groups)


def program(seed: str) -> str:
    """A random one."""
    chance = random.Random(seed)
    sequences = generate(chance.randrange(1 << 30), 8)
    halves = sequences[:4], sequences[4:]
    words = [f"{_label(number)}" for number in range(4)]
    offset = 0
    for each in halves[1]:
        words.append(f"IN_RAM + {offset + 1}")
        offset += 2 * len(each.code)
    chance.shuffle(words)
    return _PROGRAM.format(
        reload=chance.choice((97, 400, 1999, 7000)),
        fpccr=chance.choice(("0xC0000000", "0", "0x80000000")),
        rounds=chance.randrange(20, 90),
        r0=chance.getrandbits(32),
        r1=chance.getrandbits(5),
        r2=chance.getrandbits(32),
        mask=chance.choice((1, 3, 31, 63)),
        rare=chance.choice(_RARE),
        skew=chance.choice((1, 2, 4)),
        kinds=_kinds(random.Random(f"kinds of {seed}")),
        table="\n".join(f"    .word {word}" for word in words),
        in_flash_only="".join(_text(_label(number), each) for number, each in enumerate(halves[0])),
        in_flash="".join(_text(_label(number), each) for number, each in enumerate(halves[1], 4)),
    )


def _state(machine) -> object:
    engine = machine.engine
    cores = [(core.now, dict(engine.registers(core.name))) for core in engine.wiring.cores]
    activities = [engine.activity(core.name) for core in engine.platform.cores]
    ordered = [engine.ordered(core.name) for core in engine.platform.cores]
    return engine.time_ns, cores, engine.wiring.memory.save(), machine.events, activities, ordered


def _look_on(machine, seed: int) -> None:
    """Barriers and exclusive loads are counted, of some what is observed comes before and behind them."""
    if seed % 3 == 1:
        for core in machine.engine.wiring.cores:
            core.order_log.start()
    if seed % 6 == 1:
        machine.engine.observe("ticks", machine.name, Extent(machine.symbol("TICKS"), 8))


@pytest.mark.parametrize("seed", range(12))
def test_a_random_program_is_the_same_by_blocks_and_by_instructions(boot, seed):
    chance = random.Random(f"how {seed}")
    quantum_ns = chance.choice((20_000, 20_000, 7_130, 2_500))
    texts = [program(f"{seed} {core}") for core in range(2)]
    quick, slow = (
        boot(texts[0], other=texts[1], quantum_ns=quantum_ns, skip_idle_loops=True, count_blocks=blocks)
        for blocks in (True, False)
    )
    for machine in (quick, slow):
        _look_on(machine, seed)
    for _piece in range(8):
        piece = chance.randrange(1, 160) * US
        assert quick.engine.run(piece) == slow.engine.run(piece)
        assert _state(quick) == _state(slow)
    assert len(quick.events) > 100
    assert quick.core.native.fast
    assert not slow.core.native.fast


_COUNTS = """
reset: poke SYST_CSR + 4, {reload}
    poke SYST_CSR, 7
    ldr r4, =COUNT
1:  add r0, #1
    eor r2, r2, r0, ror #3
    str r2, [r4]
    b 1b
sys_tick: ldr r1, [r4, #4]
    add r1, #1
    str r1, [r4, #4]
    bx lr
    .bss
COUNT: .skip 8
    .text
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_core_that_is_held_and_released_again_is_so_in_native_turns_too(boot, monkeypatch, seed):
    chance = random.Random(f"held {seed}")
    texts = [_COUNTS.format(reload=chance.choice((499, 2999, 19_999))) for _core in range(2)]
    quick, slow = (boot(texts[0], other=texts[1], count_blocks=blocks, listens=False) for blocks in (True, False))
    passed = []
    original = NativeTurns.pass_quanta

    def pass_quanta(self, most):
        quanta = original(self, most)
        if any(core.stands for core in quick.engine.wiring.cores):
            passed.append(quanta)
        return quanta

    monkeypatch.setattr(NativeTurns, "pass_quanta", pass_quanta)
    for _piece in range(6):
        number, late = chance.randrange(2), chance.randrange(9_999)
        pieces = [chance.randrange(1, 160) * US for _ in range(3)]
        for machine in (quick, slow):
            core = machine.engine.wiring.cores[number]
            machine.engine.run(pieces[0])
            core.resets.hold("held")
            machine.engine.run(pieces[1])
            core.post(core.now + late, Released())
            machine.engine.run(pieces[2])
        assert _state(quick) == _state(slow)
    assert sum(passed) > 0


_READS = """
reset: poke SYST_CSR + 4, 0xFFFFFF
    poke SYST_CSR, 5
    ldr r0, =WHERE
    ldr r1, =OTHER
    str r1, [r0]
    mov r2, #0
1:  bl counter
    bl there
    b 1b
counter: ldr r4, =SYST_CSR + 8
    ldr r4, [r4]
    bx lr
there: ldr r4, [r0]
    ldr r4, [r4]
    add r2, r4
    eor r2, r4
    bx lr
    .bss
WHERE: .skip 4
OTHER: .skip 4
WATCHED: .skip 4
    .text
"""


def test_a_block_that_comes_to_a_device_after_a_watchpoint_is_taken_back(boot):
    """While there is one, each instruction is called for, and devices are reached past what takes blocks back."""
    quick, slow = (boot(_READS, count_blocks=blocks) for blocks in (True, False))
    for machine in (quick, slow):
        machine.run_us(300)
        machine.core.debugger.attach(lambda _stop: None)
        debug = machine.core.debugger.core_debug
        debug.set_watchpoints((Watchpoint(Extent(machine.symbol("WATCHED"), 4), reads=False, writes=True),))
        assert not machine.core.native.fast
        machine.run_us(300)
        machine.core.debugger.attach(None)
        machine.run_us(300)
        machine.write(machine.symbol("WHERE"), 0xE000_E018)
        machine.run_us(300)
    assert quick.core.native.fast
    assert _state(quick) == _state(slow)
