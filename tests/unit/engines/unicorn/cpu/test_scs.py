"""Registers of the System Control Space, each by its section of DDI0403E, with no emulator."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn.cpu import nvic
from orchestrator.engines.unicorn.cpu.features import features_of
from orchestrator.engines.unicorn.cpu.nvic import ExceptionState
from orchestrator.engines.unicorn.cpu.scs import SystemControlSpace

ISER, ICER, ISPR, ICPR, IABR, IPR = 0x100, 0x180, 0x200, 0x280, 0x300, 0x400
ICSR, VTOR, AIRCR, SCR, CCR, SHPR1, SHCSR, CFSR, HFSR = 0xD04, 0xD08, 0xD0C, 0xD10, 0xD14, 0xD18, 0xD24, 0xD28, 0xD2C


class Port:
    """A core that remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.now = 0
        self.exception = 0

    def systick_now(self) -> int:
        return self.now

    def reconsider(self) -> None:
        self.calls.append("reconsider")

    def floating_point_changed(self) -> None:
        self.calls.append("fp")

    def caching_changed(self) -> None:
        self.calls.append("caching")

    def protection_changed(self) -> None:
        self.calls.append("protection")

    def reset_requested(self) -> None:
        self.calls.append("reset")

    def note(self, text: str) -> None:
        self.calls.append(text)

    def unmodelled(self, offset: int, size: int, value: int | None) -> None:
        self.calls.append((offset, size, value))

    def traps_changed(self) -> None:
        self.calls.append("traps")

    def active_exception(self) -> int:
        return self.exception


class ScsBench:
    """A System Control Space with its exceptions and its port."""

    def __init__(self, model: str) -> None:
        self.port = Port()
        self.exceptions = ExceptionState(40, 0xF0)
        self.scs = SystemControlSpace(self.port, self.exceptions, features_of(model), None)

    def get(self, offset: int, size: int = 4) -> int:
        return self.scs.read(offset, size)

    def put(self, offset: int, value: int, size: int = 4) -> None:
        self.scs.write(offset, size, value)


@pytest.fixture
def m7() -> ScsBench:
    return ScsBench("cortex-m7")


@pytest.fixture
def m4() -> ScsBench:
    return ScsBench("cortex-m4f")


@pytest.mark.parametrize(
    ("offset", "value", "section"),
    [
        (0x004, 1, "B3.4.3 ICTR: two words of interrupts"),
        (0x010, 0, "B3.3.3 SYST_CSR"),
        (0x014, 0, "B3.3.4 SYST_RVR"),
        (0x018, 0, "B3.3.5 SYST_CVR"),
        (0x01C, 0, "B3.3.6 SYST_CALIB"),
        (ICSR, 1 << 11, "B3.2.4 ICSR"),
        (AIRCR, 0xFA050000, "B3.2.6 AIRCR"),
        (SCR, 0, "B3.2.7 SCR"),
        (SHCSR, 0, "B3.2.13 SHCSR"),
        (CFSR, 0, "B3.2.15 CFSR"),
        (HFSR, 0, "B3.2.16 HFSR"),
        (0xD88, 0, "B3.2.20 CPACR"),
        (0xF34, 0xC0000000, "B3.2.21 FPCCR: automatic and lazy"),
    ],
)
def test_reset_values(m4, offset, value, section):
    assert m4.get(offset) == value, section
    assert m4.port.calls == []


@pytest.mark.parametrize(
    ("model", "ccr", "mpu", "cpuid"),
    [("cortex-m4f", 0x200, 8, 0x410FC241), ("cortex-m7", 0x40200, 16, 0x411FC271)],
)
def test_what_tells_the_models_apart(model, ccr, mpu, cpuid):
    """B3.2.3 CPUID, B3.2.8 CCR, B3.5.4 MPU_TYPE; 100166 and DDI0489F."""
    bench = ScsBench(model)
    assert (bench.get(0xD00), bench.get(CCR), bench.get(0xD90) >> 8) == (cpuid, ccr, mpu)


def test_enable_registers_set_and_clear_the_same_bits(m4):
    """B3.4.4 ISER, B3.4.5 ICER."""
    m4.put(ISER, 0b1110)
    m4.put(ICER, 0b0100)
    assert m4.get(ISER) == m4.get(ICER) == 0b1010
    m4.put(ISER + 4, 0xFFFFFFFF)
    assert m4.get(ISER + 4) == 0xFF


def test_pend_registers_set_and_clear_the_same_bits(m4):
    """B3.4.6 ISPR, B3.4.7 ICPR."""
    m4.put(ISPR, 0b1110)
    m4.put(ICPR, 0b0100)
    assert m4.get(ISPR) == m4.get(ICPR) == 0b1010


def test_active_bits_are_read_only(m4):
    """B3.4.8 IABR."""
    m4.exceptions.enter(17)
    m4.put(IABR, 0xFFFFFFFF)
    assert m4.get(IABR) == 2


def test_priorities_are_bytes_with_the_implemented_bits(m4):
    """B3.4.9 IPR: byte, halfword and word accesses."""
    m4.put(IPR + 1, 0xFF, 1)
    m4.put(IPR + 2, 0x1234, 2)
    assert m4.get(IPR) == 0x1030F000
    assert (m4.get(IPR + 1, 1), m4.get(IPR + 2, 2)) == (0xF0, 0x1030)


def test_priorities_of_system_handlers(m4):
    """B3.2.10 to B3.2.12 SHPR1 to SHPR3."""
    m4.put(SHPR1, 0x11223344)
    m4.put(0xD1C, 0x55000000)
    m4.put(0xD20, 0x66770088)
    priority = m4.exceptions.priority
    assert [priority[n] for n in (nvic.MEM_MANAGE, nvic.BUS_FAULT, nvic.USAGE_FAULT)] == [0x40, 0x30, 0x20]
    assert [priority[n] for n in (nvic.SV_CALL, nvic.DEBUG_MONITOR, nvic.PEND_SV, nvic.SYS_TICK)] == [
        0x50,
        0x80,
        0x70,
        0x60,
    ]


@pytest.mark.parametrize("offset", [ISER, ICER, ISPR, ICPR, IPR, ICSR, AIRCR, SHPR1, SHCSR, 0xF00])
def test_whatever_may_interrupt_is_reconsidered_before_the_next_instruction(m4, offset):
    m4.put(offset, 0x05FA0000 if offset == AIRCR else 1)
    assert "reconsider" in m4.port.calls


def test_stir_pends_an_interrupt_that_exists(m4):
    """B3.2.26 STIR."""
    m4.put(0xF00, 39)
    m4.put(0xF00, 40)
    assert m4.exceptions.pending == 1 << 16 + 39


def test_icsr_pends_and_unpends_system_exceptions(m4):
    """B3.2.4."""
    m4.put(ICSR, 1 << 31 | 1 << 28 | 1 << 26)
    assert m4.get(ICSR) == 1 << 31 | 1 << 28 | 1 << 26 | nvic.NMI << 12 | 1 << 11
    m4.put(ICSR, 1 << 27 | 1 << 25)
    assert m4.exceptions.pending == 1 << nvic.NMI


def test_icsr_tells_what_is_active_and_what_pends(m4):
    m4.exceptions.enter(nvic.PEND_SV)
    m4.exceptions.enter(20)
    m4.port.exception = 20
    m4.put(ISER, 4)
    m4.put(ISPR, 4)
    assert m4.get(ICSR) == 1 << 22 | 18 << 12 | 20
    m4.exceptions.leave(nvic.PEND_SV)
    assert m4.get(ICSR) & 1 << 11


def test_vtor_is_aligned(m4):
    """B3.2.5."""
    m4.put(VTOR, 0x0801_23FF)
    assert m4.get(VTOR) == 0x0801_2380


def test_aircr_wants_its_key(m4):
    """B3.2.6."""
    m4.put(AIRCR, 0x0000_0704)
    assert (m4.get(AIRCR), m4.port.calls) == (0xFA05_0000, [])
    m4.put(AIRCR, 0x05FA_0500)
    assert m4.get(AIRCR) == 0xFA05_0500
    assert "reset" not in m4.port.calls
    m4.put(AIRCR, 0x05FA_0004)
    assert "reset" in m4.port.calls


def test_scr_keeps_its_three_bits(m4):
    """B3.2.7; the fourth and the second of Armv8-M are kept too."""
    m4.put(SCR, 0xFFFFFFFF)
    assert m4.get(SCR) & 0x16 == 0x16


def test_stkalign_is_fixed_on_the_m7_and_caches_can_be_enabled(m7, m4):
    """B3.2.8; DDI0489F 3.3."""
    m7.put(CCR, 0x30000)
    m4.put(CCR, 0x30000)
    assert (m7.get(CCR), m4.get(CCR)) == (0x30200, 0)


def test_shcsr_enables_faults_and_shows_what_is_active_and_pending(m4):
    """B3.2.13."""
    m4.put(SHCSR, 7 << 16)
    for number in (nvic.MEM_MANAGE, nvic.BUS_FAULT, nvic.USAGE_FAULT):
        assert m4.exceptions.enabled >> number & 1
    m4.exceptions.enter(nvic.SV_CALL)
    m4.exceptions.pend(nvic.BUS_FAULT)
    assert m4.get(SHCSR) == 7 << 16 | 1 << 14 | 1 << 7


def test_shcsr_can_clear_an_active_bit(m4):
    m4.exceptions.enter(nvic.SV_CALL)
    m4.put(SHCSR, 0)
    assert m4.exceptions.active == 0


def test_fault_status_is_cleared_by_ones_in_any_width(m4):
    """B3.2.15, B3.2.16."""
    m4.scs.cfsr, m4.scs.hfsr = 0x0103_8283, 1 << 31 | 2
    m4.put(CFSR + 1, 0x82, 1)
    assert m4.get(CFSR) == 0x0103_0083
    m4.put(CFSR + 2, 0xFFFF, 2)
    assert m4.get(CFSR) == 0x0000_0083
    m4.put(HFSR, 2)
    assert m4.get(HFSR) == 1 << 31
    assert (m4.get(CFSR, 1), m4.get(CFSR + 1, 1)) == (0x83, 0)


def test_cpacr_tells_when_the_unit_changes(m4):
    """B3.2.20."""
    m4.put(0xD88, 0xF << 20)
    assert (m4.scs.fp_access, m4.port.calls.count("fp")) == (3, 1)
    m4.put(0xD88, 0)
    assert (m4.scs.fp_access, m4.port.calls.count("fp")) == (0, 2)


def test_a_core_without_floating_point_cannot_switch_it_on():
    bench = ScsBench("cortex-m4")
    bench.put(0xD88, 0xF << 20)
    assert not bench.scs.fp_access


@pytest.mark.parametrize(("fpu", "kept"), [(True, 0xC00), (False, 0)])
def test_nsacr_keeps_the_coprocessors_that_there_are(fpu, kept):
    """DDI0553B D1.2, NSACR: start-up code of a Secure image opens the floating-point unit to the other side."""
    port, exceptions = Port(), ExceptionState(40, 0xF0)
    scs = SystemControlSpace(port, exceptions, features_of("cortex-m33", fpu=fpu), None)
    assert scs.read(0xD8C, 4) == 0
    scs.write(0xD8C, 4, 0xFFFF_FFFF)
    assert scs.read(0xD8C, 4) == kept
    assert port.calls == []


def test_nsacr_is_of_cores_with_the_security_extension(m4):
    m4.get(0xD8C)
    assert m4.port.calls == [(0xD8C, 4, None)]


def test_mpu_registers_read_back_and_enabling_reaches_the_core(m4):
    """B3.5; RBAR with VALID selects the region, the aliases reach the same one."""
    m4.put(0xD98, 2)
    m4.put(0xD9C, 0x2000_0000)
    m4.put(0xDA0, 0x0306_0027)
    m4.put(0xD9C, 0x0800_0015)
    assert (m4.get(0xD98), m4.get(0xD9C)) == (5, 0x0800_0005)
    m4.put(0xD98, 2)
    assert (m4.get(0xD9C), m4.get(0xDA0), m4.get(0xDA4)) == (0x2000_0002, 0x0306_0027, 0x2000_0002)
    assert m4.port.calls == []
    m4.put(0xD94, 5)
    assert m4.get(0xD94) == 5
    assert m4.port.calls == ["protection"]


@pytest.mark.parametrize(("offset", "size", "value"), [(0xFD0, 4, None), (0xEF0, 2, 7), (0x02C, 1, None)])
def test_what_is_not_there_is_unmodelled(m4, offset, size, value):
    if value is None:
        assert m4.get(offset, size) == 0
    else:
        m4.put(offset, value, size)
    assert m4.port.calls == [(offset, size, value)]


def test_cache_maintenance_is_accepted_where_there_are_caches(m7, m4):
    """DDI0489F 3.3: there is no cache to maintain."""
    m7.put(0xF50, 0)
    m4.put(0xF50, 0)
    assert (m7.port.calls, m4.port.calls) == ([], [(0xF50, 4, 0)])


CCR_DC = 1 << 16


def test_a_core_without_a_data_cache_says_nothing_of_one(m4):
    assert m4.scs.data_cache() is None


def test_by_the_default_memory_map_code_and_ram_are_cacheable(m7):
    """DDI0403E table B3-1."""
    found = m7.scs.data_cache()
    assert found is not None
    assert (found.enabled, found.maintained) == (False, ())
    assert found.cacheable == (Extent(0, 0x4000_0000), Extent(0x6000_0000, 0x4000_0000))


@pytest.mark.parametrize("offset", [0xF5C, 0xF64, 0xF68, 0xF70], ids=["DCIMVAC", "DCCMVAU", "DCCMVAC", "DCCIMVAC"])
def test_maintenance_by_address_is_kept_while_the_cache_is_on(m7, offset):
    m7.put(offset, 0x3000_0000)
    m7.put(0xD14, CCR_DC)
    m7.put(offset, 0x3004_0420)
    assert m7.scs.data_cache().maintained == (Extent(0x3004_0400, 0x400),)


@pytest.mark.parametrize("offset", [0xF60, 0xF6C, 0xF74], ids=["DCISW", "DCCSW", "DCCISW"])
def test_maintenance_of_sets_and_ways_counts_once_the_cache_is_on(m7, offset):
    """Before that it gives the lines their first state."""
    m7.put(offset, 0x20)
    m7.put(0xD14, CCR_DC)
    assert m7.scs.data_cache().maintained == ()
    m7.put(offset, 0x20)
    assert m7.scs.data_cache().maintained == (Extent(0, 1 << 32),)


def test_maintenance_of_the_instruction_cache_is_none_of_the_data_cache(m7):
    m7.put(0xD14, CCR_DC)
    m7.put(0xF50, 0)
    m7.put(0xF58, 0x3004_0000)
    assert m7.scs.data_cache().maintained == ()


def test_what_was_maintained_is_known_after_save_and_restore_and_forgotten_by_a_reset(m7):
    m7.put(0xD14, CCR_DC)
    m7.put(0xF68, 0x3004_0000)
    saved, seen = m7.scs.save(), m7.scs.data_cache()
    m7.put(0xF68, 0x3004_0800)
    m7.put(0xF60, 0)
    m7.scs.restore(saved)
    assert m7.scs.data_cache() == seen
    m7.put(0xF68, 0x3004_0800)
    m7.scs.restore(saved)
    assert m7.scs.data_cache() == seen
    m7.scs.reset()
    assert m7.scs.data_cache().maintained == ()


def test_systick_registers_reach_the_counter(m4):
    m4.put(0x014, 99)
    m4.put(0x018, 1)
    m4.put(0x010, 7)
    m4.port.now = 30
    assert m4.get(0x018) == 70
    m4.port.now = 100
    assert m4.get(0x010) == 7 | 1 << 16
    assert m4.exceptions.pending == 1 << nvic.SYS_TICK


def test_everything_is_as_it_was_after_save_and_restore(m4):
    m4.put(0xD98, 1)
    m4.put(0xD9C, 0x2000_0000)
    m4.put(VTOR, 0x0801_0000)
    m4.put(0xDFC, 1 << 24)
    saved = m4.scs.save()
    seen = {offset: m4.get(offset) for offset in (VTOR, 0xD9C, 0xDFC, 0x014, SCR)}
    m4.put(0xD9C, 0)
    m4.put(VTOR, 0)
    m4.put(0xDFC, 0)
    m4.put(0x014, 5)
    m4.put(SCR, 4)
    m4.scs.restore(saved)
    assert {offset: m4.get(offset) for offset in seen} == seen


@pytest.mark.parametrize(("bit", "name"), [(3, "UNALIGN_TRP"), (4, "DIV_0_TRP")])
def test_a_trap_that_changes_reaches_the_core(m4, bit, name):
    """B3.2.8."""
    m4.put(CCR, 1 << bit)
    assert m4.get(CCR) == 1 << bit
    m4.put(CCR, 1 << bit)
    assert m4.port.calls.count("traps") == 1


def test_a_priority_register_past_the_last_interrupt_reads_zero_and_ignores_writes(m4):
    """DDI0403E B3.4.9; RTOSes set all that ICTR announces."""
    m4.put(IPR + 40, 0xF0F0F0F0)
    assert m4.get(IPR + 40) == 0
    m4.put(IPR + 64, 0)
    assert m4.port.calls == [(IPR + 64, 4, 0)]
