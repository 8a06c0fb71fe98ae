"""Exceptions that native code takes come, return and are told as those that Python takes.

Random programs full of exceptions run with and without: every event, register, byte and instruction count is compared,
in pieces of a run that end anywhere, and what decides which exception is next.
"""

from __future__ import annotations

import random

import pytest

from orchestrator.engines.unicorn.cpu.exceptions import ExceptionUnit
from orchestrator.engines.unicorn.cpu.mpu import Mpu
from orchestrator.engines.unicorn.wiring import Wiring
from orchestrator.events import ExceptionTaken, Note

US = 1_000

_PROGRAM = """
reset: poke SYST_CSR + 4, {reload}
    poke SYST_CSR, {systick}
    poke NVIC_IPR, {priorities[0]}
    poke NVIC_IPR + 4, {priorities[1]}
    poke SHPR2, {priorities[2]}
    poke SHPR3, {priorities[3]}
    poke AIRCR, {aircr}
    poke SHCSR, 7 << 16
    poke CCR, {ccr}
    poke NVIC_ISER, {enabled}
    fpu_on
{mpu}
    ldr r0, =psp_top
    msr psp, r0
    mov r0, #{control}
    msr control, r0
    isb
    mov r6, #0
    mov r7, #0
again:
{main}
    add r6, #1
    ldr r0, =out
    str r6, [r0]
    str r7, [r0, #4]
    b again
    .ltorg
{handlers}
usage_fault: b skips
bus_fault: b skips
mem_manage: b skips
hard_fault: b skips
skips: tst lr, #4
    ite eq
    mrseq r0, msp
    mrsne r0, psp
    ldr r1, [r0, #24]       @ over the instruction that faults, and behind an SVC that does
    ldrh r2, [r1, #-2]
    lsr r2, #8
    cmp r2, #0xDF
    beq 1f
    ldrh r2, [r1]
    lsr r2, #11
    cmp r2, #0x1D
    ite hs
    addhs r1, #4
    addlo r1, #2
1:  str r1, [r0, #24]
    ldr r2, [r0, #28]       @ not in an IT block any more
    bic r2, #0x06000000
    bic r2, #0xFC00
    str r2, [r0, #28]
    mrs r2, control
    bic r2, #1
    msr control, r2
    ldr r0, =out + 8
    ldr r2, [r0]
    add r2, #1
    str r2, [r0]
    bx lr
sv_call: mrs r0, control
    bic r0, #1
    msr control, r0
    isb
{supervisor}
    .ltorg
"""

_UNMASK = "mov r0, #0\n msr basepri, r0\n cpsie i\n cpsie f\n "
# A region on top of the background, MPU_RBAR and MPU_RASR; without HFNMIENA (2) it is off at negative priorities.
_MPU = """    ldr r1, ={region[0]}
    bic r1, #0x3F
    orr r1, #0x10
    ldr r0, =0xE000ED9C
    str r1, [r0]
    poke 0xE000EDA0, {region[1]:#x}
    poke 0xE000ED94, {control}
    dsb
    isb"""
_REGIONS = (
    ("0x20000000", 0x0300_0019),  # 8 KB of RAM for everybody
    ("psp_top - 960", 0x1000_000B),  # 64 bytes for nobody
    ("psp_top - 64", 0x1000_0009),  # 32 bytes, where a frame may be
    ("0x20000000", 0x1600_0017),  # 4 KB that nobody writes
)
# Its address, with VALID and a number, in r1, and its attributes in r2, or on an M33 its last address.
_REGION = "ldr r1, ={base}\n bic r1, #0x3F\n orr r1, #0x10 | ({n} & 7)\n ldr r2, ={attributes}\n ldr r0, =0xE000ED9C\n "
# What a main program does; {w}: a random word of a few bits, {n}: a small number, {l}: a number of its own.
_MAIN = (
    *["poke NVIC_ISPR, {w}"] * 4,
    *["poke ICSR, {icsr}"] * 4,
    *[_UNMASK + "svc {n}"] * 4,
    "svc {n}",
    *["mov r0, #{n}\n{l}: subs r0, #1\n eor r7, r0\n bne {l}b"] * 3,
    *["cpsid i", "cpsie i"] * 2,
    *["mov r0, #{priority}\n msr basepri, r0"] * 2,
    *["mov r0, #0\n msr basepri, r0", "cpsie f", "cpsie i"],
    "mov r0, #{priority}\n msr basepri_max, r0",
    "cpsid f",
    "poke 0xE000ED94, {mpu}",
    "poke 0xE000ED94, 0\n dsb\n" + _REGION + "str r1, [r0]\n str r2, [r0, #4]\n poke 0xE000ED94, 5\n isb",
    _REGION + "str r1, [r0]\n str r2, [r0, #4]",
    _REGION + "str r1, [r0, #8]\n str r2, [r0, #12]\n ldr r1, [r0, #8]\n ldr r2, [r0, #-4]\n eor r7, r1\n add r7, r2",
    _REGION + "strd r1, r2, [r0, #16]",
    _REGION + "stm r0, {{r1, r2}}",
    _REGION + "str r2, [r0, #4]\n strb r1, [r0]",
    _REGION + "tst r6, #{n}\n itt eq\n streq r1, [r0]\n addeq r7, #1\n ldr r3, =out\n ldr r3, [r3]\n str r2, [r0, #4]",
    "poke 0xE000ED98, {n}\n poke 0xE000EDA0, 0\n dsb\n isb",
    "poke 0xE000ED98, {n} & 7\n ldr r0, =0xE000ED98\n ldr r0, [r0]\n add r7, r0",
    "poke NVIC_ICPR, {w}",
    "poke NVIC_ICER, {w}",
    "poke NVIC_ISER, 0xFF",
    "poke NVIC_ISER, {w}",
    "poke STIR, {n} & 7",
    "poke NVIC_IPR, {priorities}",
    "poke SHPR3, {priorities}",
    "poke CCR, {ccr}",
    "poke SCR, {scr}\n nop\n nop\n poke SCR, 0",
    "poke SYST_CSR + 8, 0",
    "poke SYST_CSR + 4, {reload}",
    "poke SYST_CSR, {counting}\n nop\n poke SYST_CSR, 7",
    "poke SYST_CSR + 4, 0\n poke SYST_CSR + 8, {n}\n nop\n poke SYST_CSR + 4, {reload}\n poke SYST_CSR + 8, 0",
    "ldr r0, =SYST_CSR\n{l}: ldr r1, [r0]\n lsrs r1, #17\n bcc {l}b\n ldr r1, [r0]\n eor r7, r1",
    "ldr r0, =SYST_CSR\n ldrb r1, [r0, #2]\n ldrh r2, [r0, #8]\n add r7, r1\n eor r7, r2",
    "ldr r0, =SYST_CSR\n ldrd r1, r2, [r0, #4]\n add r7, r1\n eor r7, r2",
    "ldr r0, =SYST_CSR + 4\n mov r1, #{reload}\n mov r2, #{n}\n stm r0, {{r1, r2}}",
    "ldr r0, =SYST_CSR\n mov r1, #{reload}\n tst r6, #{n}\n ite ne\n strne r1, [r0, #4]\n ldreq r1, [r0]\n add r7, r1",
    _UNMASK + "wfi",
    _UNMASK + "wfe",
    "sev",
    _UNMASK + "cpsid i\n wfi\n cpsie i",
    "ldr r1, =out + 12\n ldrex r0, [r1]\n add r0, #1\n poke NVIC_ISPR, {w}, r2, r3\n strex r2, r0, [r1]\n add r7, r2",
    "ldr r0, =NVIC_ISPR\n mov r1, #{w}\n tst r6, #{n}\n itt eq\n streq r1, [r0]\n addeq r7, #1",
    "ldr r0, =ICSR\n ldr r1, =PENDSVSET\n tst r6, #{n}\n itte ne\n addne r7, #3\n strne r1, [r0]\n addeq r7, #1",
    "ldr r0, =NVIC_ISPR\n mov r1, #{w}\n strb r1, [r0]",
    "ldr r0, =NVIC_ISPR\n mov r1, #{w}\n mov r2, #{n}\n strd r1, r2, [r0]",
    "ldr r0, =NVIC_ISPR\n mov r1, #{w}\n str r1, [r0], #4\n eor r7, r0",
    "ldr r0, =NVIC_ISPR\n mov r1, #{w}\n mov r2, #{n}\n stm r0, {{r1, r2}}",
    "vmov s0, r7\n vcvt.f32.u32 s1, s0\n vadd.f32 s2, s2, s1\n vmov r0, s2\n eor r7, r0",
    "sub sp, #4\n svc {n}\n add sp, #4",
    "sub sp, #4\n poke NVIC_ISPR, {w}\n nop\n add sp, #4",
    "mrs r0, xpsr\n ldr r1, =ICSR\n ldr r1, [r1]\n eor r7, r0\n add r7, r1",
    "ldr r0, =SYST_CSR\n ldr r1, [r0]\n ldr r0, [r0, #8]\n add r7, r0\n eor r7, r1",
    "ldr r0, =NVIC_IABR\n ldr r0, [r0]\n eor r7, r0, lsl #3",
    "ldr r0, =USART\n ldr r0, [r0, #0x1C]\n add r7, r0",
    "udf #{n}",
    "mov r0, #2\n msr control, r0\n isb",
    "mov r0, #0\n msr control, r0\n isb",
    "mov r0, #{n}\n orr r0, #1\n and r0, #3\n msr control, r0\n isb\n add r7, #1\n svc {n}",
)
_HANDLED = (
    *["ldr r0, =out + 16\n ldr r1, [r0]\n add r1, #1\n str r1, [r0]"] * 6,
    *["poke ICSR, {icsr}"] * 3,
    *["poke NVIC_ISPR, {w}"] * 2,
    "mrs r0, ipsr\n ldr r1, =out + 20\n ldr r2, [r1]\n eor r2, r0\n ror r2, #3\n str r2, [r1]",
    "ldr r0, =ICSR\n ldr r0, [r0]\n ldr r1, =out + 24\n ldr r2, [r1]\n add r2, r0\n str r2, [r1]",
    "poke NVIC_ICPR, {w}",
    "poke 0xE000ED98, {n} & 3\n poke 0xE000EDA0, {attributes}",
    _REGION + "str r1, [r0]\n str r2, [r0, #4]",
    "vadd.f32 s2, s2, s2",
    "cpsie i",
    "cpsid i\n nop\n cpsie i",
    "cpsie f",
    "mov r0, #0\n msr basepri, r0",
    "mov r0, #{n}\n{l}: subs r0, #1\n bne {l}b",
    "ldr r1, =out + 12\n ldrex r0, [r1]\n add r0, #1\n strex r2, r0, [r1]",
    "ldr r0, =USART\n ldr r0, [r0, #0x1C]",
    "ldr r0, =SYST_CSR\n ldr r1, [r0]\n ldr r0, [r0, #8]\n ldr r2, =out + 28\n stm r2, {{r0, r1}}",
    "poke SYST_CSR + 4, {reload}\n poke SYST_CSR + 8, 0",
    "clrex",
    "poke SCR, 0",
    "udf #{n}",
)


class _Chance:
    """Random text for one program."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._label = 0
        self.choice, self.randrange = self._random.choice, self._random.randrange

    def word(self) -> int:
        return sum(1 << self.randrange(8) for _ in range(self.randrange(1, 3))) & 0xFF or 1

    def priorities(self) -> int:
        return sum(self.choice((0, 0x20, 0x40, 0x40, 0x80, 0xC0, 0xF0)) << 8 * index for index in range(4))

    def icsr(self) -> int:
        bits = self.choice(((28,), (28,), (28,), (26,), (28, 26), (27,), (25,), (28, 27), (31,)))
        return sum(1 << bit for bit in bits)

    def filled(self, template: str) -> str:
        self._label += 1
        return "    " + template.format(
            w=self.word(),
            n=self.randrange(1, 12),
            l=self._label,
            icsr=self.icsr(),
            priority=self.choice((0x10, 0x20, 0x40, 0x80, 0xC0)),
            priorities=self.priorities(),
            ccr=self.choice((0x200, 0x200, 0, 0x201, 1)),
            scr=self.choice((2, 16, 18, 0)),
            reload=self.choice((60, 97, 250, 999)),
            counting=self.choice((0, 1, 2, 3, 5, 6)),
            mpu=self.choice((0, 5, 7)),
            base=self.choice(_REGIONS)[0],
            attributes=self.choice((*(hex(region[1]) for region in _REGIONS), 0, "psp_top - 31", "0x200000FF")),
        )

    def lines(self, templates: tuple[str, ...], count: int) -> str:
        pieces = [self.filled(self.choice(templates)) for _ in range(count)]
        groups = ("\n".join(pieces[at : at + 12]) for at in range(0, max(count, 1), 12))
        return "\n    b 8f\n    .ltorg\n8:\n".join(groups)  # literals are to be near

    def handler(self, name: str) -> str:
        body = "    poke SCR, 0\n" * (name == "sys_tick") + self.lines(_HANDLED, self.randrange(3))
        if self.randrange(3):
            return f"{name}:\n{body}\n    bx lr"
        return f"{name}: push {{r4, lr}}\n{body}\n    pop {{r4, pc}}"


# Of an M33.
_LIMITS = """    @ M33
    ldr r0, =psp_top - {psp}
    msr psplim, r0
    ldr r0, =stack_top - {msp}
    msr msplim, r0
"""


def program(seed: str, *, limits: bool = False) -> str:
    """A random one; ``limits``: for an M33, with an end of each stack."""
    chance = _Chance(seed)
    text = _LIMITS.format(psp=chance.choice((32, 128, 512)), msp=chance.choice((104, 256, 1024))) if limits else ""
    names = ("nmi", "pend_sv", "sys_tick", *(f"irq{number}" for number in range(8)))
    return _PROGRAM.format(
        reload=chance.choice((40, 97, 400, 1999, 7000)),
        systick=7,
        priorities=[chance.priorities() for _ in range(4)],
        aircr=0x05FA_0000 | chance.randrange(8) << 8,
        ccr=chance.choice((0x200, 0x201, 0)),
        enabled=chance.choice((0xFF, 0x7F, chance.word())),
        control=chance.choice((0, 2)),
        mpu=text + chance.choice(("", _MPU)).format(region=chance.choice(_REGIONS), control=chance.choice((5, 5, 7))),
        main=chance.lines(_MAIN, chance.randrange(4, 40)),
        handlers="\n    .ltorg\n".join(map(chance.handler, names)),
        supervisor=chance.lines(_HANDLED, chance.randrange(3)) + "\n    bx lr",
    )


def _state(machine) -> object:
    engine = machine.engine
    cores = [
        (
            core.now,
            dict(engine.registers(core.name)),
            bytes(core.exceptions.bytes),
            list(core.taken.items()),
            core.recurring_state(),
        )
        for core in engine.wiring.cores
    ]
    activities = [engine.activity(core.name) for core in engine.platform.cores]
    return engine.time_ns, cores, engine.wiring.memory.save(), machine.events, activities


def _go_back(machine, piece: int) -> None:
    """To the present moment, from one further on."""
    saved, told = machine.engine.snapshot(), len(machine.events)
    machine.engine.run(piece)
    machine.engine.restore(saved)
    del machine.events[told:]


def _note_sleeps(machine) -> list[object]:
    """The last sleep as who listens finds it when an exception comes, as a trace does."""
    found: list[object] = []

    def listen(event):
        if isinstance(event.detail, ExceptionTaken):
            found.append((event, machine.engine.activity(event.core).sleep))

    machine.engine.subscribe(listen)
    return found


@pytest.fixture
def taken_in_python(monkeypatch):
    """How many exceptions of a machine were, chained ones apart."""
    counted: dict[int, int] = {}
    original = ExceptionUnit.take

    def take(self, number, return_address):
        counted[id(self)] = counted.get(id(self), 0) + 1
        original(self, number, return_address)

    monkeypatch.setattr(ExceptionUnit, "take", take)
    return lambda machine: sum(counted.get(id(core._unit), 0) for core in machine.engine.wiring.cores)


_SIMPLE = """
reset: poke NVIC_ISER, 3
    poke NVIC_IPR, 0x4080
    poke SHPR3, 0xF0 << 16
    poke CCR, 0x200
    ldr r0, =psp_top
    msr psp, r0
    mov r0, #2
    msr control, r0
    isb
    poke NVIC_ISPR, 1
    svc 0
    b done
irq0: poke NVIC_ISPR, 2
    poke ICSR, PENDSVSET
    log 1
    bx lr
irq1: log 2
    bx lr
pend_sv: log 3
    bx lr
sv_call: log 4
    bx lr
"""


def test_exceptions_nested_chained_and_called_need_no_python(boot, core, taken_in_python):
    quick, slow = (boot(_SIMPLE, core=core, native_exceptions=native).finish() for native in (True, False))
    assert quick.trace == slow.trace == [2, 1, 3, 4]
    assert quick.events == slow.events
    assert (taken_in_python(quick), taken_in_python(slow)) == (0, 3)  # a chained one is not counted


_SLEEPS = """
reset: poke SYST_CSR + 4, 99
    poke SYST_CSR, 7
1:  wfi
    b 1b
sys_tick: bx lr
"""


def test_each_sleep_is_found_by_who_is_told_of_the_exception_that_ended_it(boot, core):
    machine = boot(_SLEEPS, core=core)
    found = _note_sleeps(machine)
    machine.run_us(100)
    assert len(found) > 40
    assert all(sleep.woken_ns == event.time_ns for event, sleep in found[2:])


_STORMS = """
reset: poke NVIC_ISER, 1
    poke SYST_CSR + 4, 199
    poke SYST_CSR, 7
1:  poke NVIC_ISPR, 1
    b 1b
irq0: ldr r0, =out
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    bx lr
sys_tick: bx lr
"""


def test_more_exceptions_in_a_turn_than_there_is_room_for_are_told_in_order(boot, core):
    quick, slow = (boot(_STORMS, core=core, quantum_ns=200_000, native_exceptions=native) for native in (True, False))
    for machine in (quick, slow):
        machine.run_us(2_000)
    assert len(quick.events) > 2_000
    assert quick.events == slow.events
    assert quick.out() == slow.out()


def test_an_event_comes_before_those_of_a_device_that_is_touched_after_it(boot, core):
    """Of native code a device knows nothing; who listens does."""
    program = """
reset: poke NVIC_ISER, 1
    poke NVIC_ISPR, 1
    ldr r0, =0xE000EFB0      @ of the System Control Space, without a model
    ldr r0, [r0]
    poke NVIC_ISPR, 1
    b done
irq0: bx lr
"""
    quick, slow = (boot(program, core=core, native_exceptions=native).finish() for native in (True, False))
    kinds = [type(event.detail).__name__ for event in quick.events if event.core == core]
    assert kinds == ["ExceptionTaken", "ExceptionReturn", "UnmodelledAccess", "ExceptionTaken", "ExceptionReturn"]
    assert quick.events == slow.events


_ANNOUNCED = (0, 2, 3, 7)


@pytest.fixture
def announced(monkeypatch):
    """To be called with a machine: its board says where its cores are when some of their interrupts are taken."""

    wanted = []

    def interrupt_taken(wiring, core, interrupt):
        if wiring in wanted and interrupt in _ANNOUNCED:
            where = f"{interrupt} at {core.now}: {core.exceptions.active:#x}, {core.exceptions.pending:#x}"
            wiring.emit(core, Note(f"{where}, {dict(core.registers())}"))

    monkeypatch.setattr(Wiring, "interrupt_taken", interrupt_taken)

    def announce(machine):
        wanted.append(machine.engine.wiring)
        for core in machine.engine.wiring.cores:
            core.announce(_ANNOUNCED)

    return announce


_RINGS = """
reset: poke NVIC_ISER, 15
again: poke NVIC_ISPR, 12
    add r6, #1
    b again
irq2: bx lr
irq3: bx lr
"""


def test_who_is_told_of_an_interrupt_is_told_in_its_moment_and_before_what_comes_next(boot, core, announced):
    quick, slow = (boot(_RINGS, core=core, native_exceptions=native) for native in (True, False))
    for machine in (quick, slow):
        announced(machine)
        machine.run_us(40)
    kinds = [type(event.detail).__name__ for event in quick.events if event.core == core]
    expected = ["ExceptionTaken", "Note", "ExceptionReturn", "ExceptionTaken", "Note", "ExceptionReturn"]
    assert kinds[:6] == expected
    assert quick.events == slow.events


def test_a_failure_of_who_is_told_of_an_interrupt_ends_the_run(boot, core, announced, taken_in_python):
    """Behind the very exception, whoever took it."""
    states = []
    for native in (True, False):
        machine = boot(_RINGS, core=core, native_exceptions=native)
        announced(machine)

        def fail(event):
            if isinstance(event.detail, Note):
                raise LookupError("enough")

        machine.engine.subscribe(fail)
        with pytest.raises(LookupError, match="enough"):
            machine.run_us(40)
        states.append((machine.engine.wiring.by_name[core].now, machine.events))
    assert states[0] == states[1]


_IN_TURN = """
reset: poke 0xE000ED94, 5   @ MPU_CTRL
    poke SHCSR, 1 << 16
    ldr r4, =0xE000ED98     @ MPU_RNR, MPU_RBAR, MPU_RASR
    mov r5, #0
again: mov r0, #2
    ldr r1, =out
    ldr r2, =0x15000009     @ 32 bytes that nobody writes
    str r0, [r4]
    str r1, [r4, #4]
    str r2, [r4, #8]
    str r5, [r1]
    mov r2, #0
    str r2, [r4, #8]
    add r5, #1
    str r5, [r1]
    cmp r5, #100
    bne again
    b done
mem_manage: ldr r0, [sp, #24]
    add r0, #2
    str r0, [sp, #24]
    ldr r0, =out + 32
    ldr r1, [r0]
    add r1, #1
    str r1, [r0]
    bx lr
"""


def test_a_region_that_is_known_is_switched_without_python(boot, core, monkeypatch):
    worked_out: list[Mpu] = []
    original = Mpu.map

    def worked_out_by(self, **how):
        worked_out.append(self)
        return original(self, **how)

    monkeypatch.setattr(Mpu, "map", worked_out_by)
    counts = []
    for native in (True, False):
        machine = boot(_IN_TURN, core=core, native_exceptions=native).finish(1_000)
        assert (machine.out(), machine.read(machine.symbol("out") + 32)) == (100, 100)
        counts.append(len(worked_out))
        worked_out.clear()
    assert counts[0] < 210  # twice for each fault, and once for each setting
    assert counts[1] > 400


_AT_NEGATIVE_PRIORITY = """
reset: poke 0xE000ED94, 5   @ MPU_CTRL, without HFNMIENA
    poke SHCSR, 1 << 16
    mov r5, #0
again: bl refuse
    str r5, [r1]            @ by MemManage
    bl grant
    str r5, [r1]
    udf #0                  @ by HardFault
    str r5, [r1, #4]
    add r5, #1
    cmp r5, #20
    bne again
    b done
refuse: mov r2, #9
    orr r2, #0x15000000
    b 1f
grant: mov r2, #0
1:  ldr r1, =out
    ldr r4, =0xE000ED9C
    str r1, [r4]
    str r2, [r4, #4]
    bx lr
hard_fault: push {r4, lr}
    bl refuse
    str r5, [r1, #8]
    pop {r4, lr}
mem_manage: ldr r0, [sp, #24]
    add r0, #2
    str r0, [sp, #24]
    ldr r0, =out + 32
    ldr r3, [r0]
    add r3, #1
    str r3, [r0]
    bx lr
"""


def test_a_region_that_is_set_in_hardfault_refuses_behind_it(boot, core):
    quick, slow = (boot(_AT_NEGATIVE_PRIORITY, core=core, native_exceptions=native) for native in (True, False))
    for machine in (quick, slow):
        machine.finish(1_000)
        assert machine.outs(3) == [19, 0, 19]
        assert machine.read(machine.symbol("out") + 32) == 3 * 20
    assert quick.events == slow.events


@pytest.mark.parametrize("seed", range(18))
def test_a_random_program_is_the_same_whoever_takes_its_exceptions(boot, taken_in_python, announced, seed):
    chance = random.Random(f"exceptions {seed}")
    quantum_ns = chance.choice((20_000, 20_000, 7_130, 2_500))
    how = {"quantum_ns": quantum_ns, "skip_idle_loops": bool(seed & 1), "listens": seed % 4 != 3}
    if seed % 3 == 2:
        text = program(f"{seed}", limits=True)
        how |= {"board": "single"}
    else:
        text = program(f"{seed} 0")
        how |= {"other": program(f"{seed} 1")}
    quick, slow = (boot(text, native_exceptions=native, **how) for native in (True, False))
    if seed & 2:
        announced(quick)
        announced(slow)
    sleeps = [_note_sleeps(machine) for machine in (quick, slow)] if how["listens"] else [[], []]
    for number in range(8):
        piece = chance.randrange(1, 160) * US
        if number == 4:
            _go_back(quick, piece)
            _go_back(slow, piece)
        assert quick.engine.run(piece) == slow.engine.run(piece)
        assert _state(quick) == _state(slow)
    assert sleeps[0] == sleeps[1]
    assert [core.work for core in quick.engine.wiring.cores] == [core.work for core in slow.engine.wiring.cores]
    assert taken_in_python(quick) <= taken_in_python(slow)


@pytest.mark.parametrize("seed", range(12))
def test_a_random_program_is_the_same_by_blocks_and_by_instructions(boot, seed):
    chance = random.Random(f"blocks {seed}")
    quantum_ns = chance.choice((20_000, 20_000, 7_130, 2_500))
    how = {"quantum_ns": quantum_ns, "skip_idle_loops": bool(seed & 1), "listens": seed % 4 != 3}
    if seed % 3 == 2:
        text = program(f"blocks {seed}", limits=True)
        how |= {"board": "single"}
    else:
        text = program(f"blocks {seed} 0")
        how |= {"other": program(f"blocks {seed} 1")}
    quick, slow = (boot(text, count_blocks=blocks, **how) for blocks in (True, False))
    for _piece in range(6):
        piece = chance.randrange(1, 160) * US
        assert quick.engine.run(piece) == slow.engine.run(piece)
        assert _state(quick) == _state(slow)
    assert quick.core.native.fast
