"""The STM32H745 platform: its map, and each register that its scripts model (RM0399)."""

from __future__ import annotations

import pytest
from support.script_host import ScriptHost

from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.platform import load_platform

CM7, CM4 = "cpu_cm7", "cpu_cm4"
PLATFORM = load_platform("stm32h745")


@pytest.fixture
def host() -> ScriptHost:
    return ScriptHost()


def device(name: str, host: ScriptHost) -> ScriptDevice:
    found = next(each for each in PLATFORM.peripherals if each.name == name)
    assert found.script is not None
    assert found.script_name is not None
    assert found.size is not None
    return ScriptDevice(
        found.script,
        found.script_name,
        found.size,
        host,
        cores=[core.name for core in PLATFORM.cores],
        nvics=[core.nvic for core in PLATFORM.cores],
    )


@pytest.fixture
def hsem(host):
    return device("hsem", host)


# the map (RM0399 2.3)


@pytest.mark.parametrize(
    ("name", "size", "cm7", "cm4"),
    [
        ("flash", 0x200000, [0x08000000], [0x08000000]),
        ("itcm", 0x10000, [0x00000000], []),
        ("dtcm", 0x20000, [0x20000000], []),
        ("axi_sram", 0x80000, [0x24000000], [0x24000000]),
        ("sram1", 0x20000, [0x30000000], [0x30000000, 0x10000000]),
        ("sram2", 0x20000, [0x30020000], [0x30020000, 0x10020000]),
        ("sram3", 0x8000, [0x30040000], [0x30040000, 0x10040000]),
        ("sram4", 0x10000, [0x38000000], [0x38000000]),
        ("backup_sram", 0x1000, [0x38800000], [0x38800000]),
    ],
)
def test_a_memory_is_where_each_core_sees_it(name, size, cm7, cm4):
    region = next(each for each in PLATFORM.regions if each.name == name)
    assert region.size == size
    assert [each.start for each in region.extents(CM7)] == cm7
    assert [each.start for each in region.extents(CM4)] == cm4


def test_flash_is_erased_and_a_store_does_not_change_it():
    flash = next(each for each in PLATFORM.regions if each.name == "flash")
    assert (flash.fill, flash.writable) == (0xFF, False)


def test_cores_boot_from_their_banks_with_150_interrupts():
    assert [(c.name, c.model, c.boot_address, c.interrupts, c.held, c.mips) for c in PLATFORM.cores] == [
        (CM7, "cortex-m7", 0x08000000, 150, False, 100),
        (CM4, "cortex-m4f", 0x08100000, 150, False, 100),
    ]


def test_each_usart_interrupts_both_cores():
    wired = {
        each.name: [(i.target, i.line) for i in each.interrupts]
        for each in PLATFORM.peripherals
        if each.type == "UART.STM32F7_USART"
    }
    lines = {
        "usart1": 37,
        "usart2": 38,
        "usart3": 39,
        "uart4": 52,
        "uart5": 53,
        "usart6": 71,
        "uart7": 82,
        "uart8": 83,
        "lpuart1": 142,
    }
    assert wired == {name: [("nvic_cm7", line), ("nvic_cm4", line)] for name, line in lines.items()}


def test_each_time_base_has_its_interrupts_and_its_width():
    """RM0399 20.1.2, table of vectors; ch. 40 to 44."""
    found = {
        each.name: (each.attributes["initialLimit"], sorted({i.line for i in each.interrupts}))
        for each in PLATFORM.peripherals
        if each.type == "Timers.STM32_Timer"
    }
    narrow = {3: 29, 4: 30, 6: 54, 7: 55, 12: 43, 13: 44, 14: 45, 15: 116, 16: 117, 17: 118}
    assert found == {
        **{f"tim{n}": (0xFFFF, [line]) for n, line in narrow.items()},
        **{f"tim{n}": (0xFFFFFFFF, [line]) for n, line in ((2, 28), (5, 50))},
        "tim1": (0xFFFF, [25, 27]),
        "tim8": (0xFFFF, [46]),
    }


def test_roles_consoles_and_mailbox_are_named():
    assert PLATFORM.roles == {"main": CM7, "remote": CM4}
    assert PLATFORM.consoles == {CM7: "usart3", CM4: "usart2"}
    assert [(x.core, x.interrupt, x.pending, x.signalled) for x in PLATFORM.mailboxes[0].lines] == [
        (CM7, 125, 0x10C, 0x108),
        (CM4, 126, 0x11C, 0x118),
    ]


def test_nothing_in_the_description_is_left_without_a_meaning():
    assert PLATFORM.notes == ()


# HSEM (RM0399 ch. 11)

LOCKED_CM7, LOCKED_CM4 = 0x80000300, 0x80000100


def test_reading_rlr_locks_for_the_reading_core_and_returns_the_lock(hsem):
    """RM0399 ch. 11, HSEM_RLRx."""
    assert hsem.read(0x80 + 4 * 7, 4, CM4) == LOCKED_CM4
    assert hsem.read(0x80 + 4 * 7, 4, CM7) == LOCKED_CM4
    assert hsem.read(4 * 7, 4, CM7) == LOCKED_CM4


def test_the_host_looks_at_rlr_without_locking(hsem):
    assert hsem.read(0x80, 4, None) == 0
    assert hsem.read(0x00, 4, None) == 0


def test_two_step_lock_takes_the_first_writer_only(hsem):
    """RM0399 ch. 11, HSEM_Rx."""
    hsem.write(0, 4, 0x80000305, CM7)
    hsem.write(0, 4, 0x80000109, CM4)
    assert hsem.read(0, 4, CM4) == 0x80000305


@pytest.mark.parametrize(("core", "foreign"), [(CM7, 0x80000100), (CM4, 0x80000300), (CM7, 0x80000000)])
def test_a_lock_with_the_core_id_of_another_core_is_refused(hsem, core, foreign):
    hsem.write(0, 4, foreign, core)
    assert hsem.read(0, 4, core) == 0


@pytest.mark.parametrize(("core", "value"), [(CM4, 0x300), (CM4, 0x100), (CM7, 0x301), (CM7, 0x100), (None, 0x300)])
def test_only_the_owner_with_its_process_id_frees(hsem, host, core, value):
    hsem.read(0x80, 4, CM7)
    hsem.write(0, 4, value, core)
    assert hsem.read(0, 4, CM7) == LOCKED_CM7
    assert hsem.read(0x108, 4, CM7) == 0
    assert host.lines == []


@pytest.mark.parametrize(("nvic", "woken"), [("nvic_cm4", [CM4]), ("nvic_cm7", [])])
def test_a_freed_semaphore_wakes_the_core_that_is_in_cstop(hsem, host, nvic, woken):
    """RM0399 ch. 21: the interrupts of HSEM are EXTI lines 77 and 78, direct, unmasked from reset."""
    host.deeply_asleep.add(nvic)
    hsem.write(0x110, 4, 1, CM4)
    hsem.read(0x80, 4, CM7)
    hsem.write(0, 4, 0x300, CM7)
    assert host.events == woken


def test_the_host_is_no_bus_master_and_cannot_lock(hsem):
    hsem.write(0, 4, LOCKED_CM7, None)
    assert hsem.read(0, 4, None) == 0


def test_freeing_sets_the_status_of_every_core_and_the_line_of_those_that_enabled_it(hsem, host):
    """RM0399 ch. 11, HSEM_CnIER, CnISR, CnMISR."""
    hsem.write(0x110, 4, 1 << 3, CM4)
    hsem.read(0x80 + 12, 4, CM7)
    hsem.write(12, 4, 0x300, CM7)
    assert [hsem.read(offset, 4, CM4) for offset in (0x108, 0x10C, 0x118, 0x11C)] == [8, 0, 8, 8]
    assert host.lines == [("nvic_cm4", 126, True)]


def test_freeing_what_is_free_signals_nothing(hsem, host):
    hsem.write(0x100, 4, 0xFFFFFFFF, CM7)
    hsem.write(0, 4, 0x300, CM7)
    assert hsem.read(0x108, 4, CM7) == 0
    assert host.lines == []


def test_lines_move_only_when_their_level_changes(hsem, host):
    hsem.write(0x100, 4, 0b11, CM7)
    for n in (0, 1, 0):
        hsem.read(0x80 + 4 * n, 4, CM4)
        hsem.write(4 * n, 4, 0x100, CM4)
    hsem.write(0x104, 4, 0b01, CM7)
    assert host.lines == [("nvic_cm7", 125, True)]
    hsem.write(0x104, 4, 0b10, CM7)
    hsem.write(0x104, 4, 0b10, CM7)
    assert host.lines == [("nvic_cm7", 125, True), ("nvic_cm7", 125, False)]


def test_enabling_a_signalled_channel_raises_the_line_and_disabling_lowers_it(hsem, host):
    hsem.read(0x80, 4, CM7)
    hsem.write(0, 4, 0x300, CM7)
    hsem.write(0x110, 4, 1, CM4)
    hsem.write(0x110, 4, 0, CM4)
    assert host.lines == [("nvic_cm4", 126, True), ("nvic_cm4", 126, False)]


def test_the_key_frees_all_semaphores_of_one_core(hsem):
    """RM0399 ch. 11, HSEM_CR and HSEM_KEYR."""
    hsem.write(0x144, 4, 0x5A5A0000, CM7)
    for n, core in ((0, CM4), (1, CM7), (2, CM4)):
        hsem.read(0x80 + 4 * n, 4, core)
    hsem.write(0x140, 4, 0x11110100, CM7)
    assert hsem.read(0, 4, CM7) == LOCKED_CM4
    hsem.write(0x140, 4, 0x5A5A0100, CM7)
    assert [hsem.read(4 * n, 4, CM7) for n in range(3)] == [0, LOCKED_CM7, 0]
    assert hsem.read(0x118, 4, CM7) == 0b101
    assert hsem.read(0x144, 4, CM7) == 0x5A5A0000


@pytest.mark.parametrize("offset", [0x120, 0x148, 0x3FC])
def test_an_offset_without_a_register_is_reported(hsem, host, offset):
    assert hsem.read(offset, 4, CM7) == 0
    hsem.write(offset, 4, 1, CM7)
    assert host.touched == [
        (offset, f"unmodelled read at 0x{offset:X}"),
        (offset, f"unmodelled write at 0x{offset:X}"),
    ]


def test_a_narrow_access_is_reported_and_locks_nothing(hsem, host):
    hsem.read(0x80, 1, CM7)
    hsem.write(0x00, 2, 0x300, CM7)
    assert [text for _, text in host.touched] == [
        "unmodelled read of 1 bytes at 0x80",
        "unmodelled write of 2 bytes at 0x0",
    ]
    assert hsem.read(0, 4, CM7) == 0


def test_a_snapshot_in_mid_lock_is_restored_with_lines_and_functions(hsem, host):
    hsem.write(0x110, 4, 1, CM4)
    hsem.read(0x80, 4, CM7)
    state = hsem.snapshot()
    hsem.write(0, 4, 0x300, CM7)
    hsem.write(0x114, 4, 1, CM4)
    hsem.restore(state)
    host.lines.clear()
    assert hsem.read(0, 4, CM4) == LOCKED_CM7
    hsem.write(0, 4, 0x300, CM7)
    assert host.lines == [("nvic_cm4", 126, True)]
    hsem.restore(state)
    assert hsem.read(0x118, 4, CM4) == 0


# registers: name, offset, value after reset, bits that a write changes

BANK = [
    ("RSR", 0x00, 0x00FE0000, 0),
    ("AHB3ENR", 0x04, 0, 0xF0015131),
    ("AHB1ENR", 0x08, 0, 0x1E03C023),
    ("AHB2ENR", 0x0C, 0, 0xE0000271),
    ("AHB4ENR", 0x10, 0, 0x132807FF),
    ("APB3ENR", 0x14, 0, 0x00000048),
    ("APB1LENR", 0x18, 0, 0xE8FFCBFF),
    ("APB1HENR", 0x1C, 0, 0x00000136),
    ("APB2ENR", 0x20, 0, 0x31D73033),
    ("APB4ENR", 0x24, 0, 0x0021DEAA),
    ("AHB3LPENR", 0x2C, 0xF0015131, 0xF0015131),
    ("AHB1LPENR", 0x30, 0x1E03C023, 0x1E03C023),
    ("AHB2LPENR", 0x34, 0xE0000271, 0xE0000271),
    ("AHB4LPENR", 0x38, 0x312807FF, 0x312807FF),
    ("APB3LPENR", 0x3C, 0x00000048, 0x00000048),
    ("APB1LLPENR", 0x40, 0xE8FFCBFF, 0xE8FFCBFF),
    ("APB1HLPENR", 0x44, 0x00000136, 0x00000136),
    ("APB2LPENR", 0x48, 0x31D73033, 0x31D73033),
    ("APB4LPENR", 0x4C, 0x0021DEAA, 0x0021DEAA),
]
RCC = [  # RM0399 ch. 9
    ("HSICFGR", 0x04, 0x40000000, 0x7F000000),
    ("CRRCR", 0x08, 0, 0),
    ("CSICFGR", 0x0C, 0x20000000, 0x3F000000),
    ("D1CFGR", 0x18, 0, 0x00000F7F),
    ("D2CFGR", 0x1C, 0, 0x00000770),
    ("D3CFGR", 0x20, 0, 0x00000070),
    ("PLLCKSELR", 0x28, 0x02020200, 0x03F3F3F3),
    ("PLLCFGR", 0x2C, 0x01FF0000, 0x01FF0FFF),
    *((f"PLL{n}DIVR", 0x28 + 8 * n, 0x01010280, 0x7F7FFFFF) for n in (1, 2, 3)),
    *((f"PLL{n}FRACR", 0x2C + 8 * n, 0, 0x0000FFF8) for n in (1, 2, 3)),
    ("D1CCIPR", 0x4C, 0, 0x30010133),
    ("D2CCIP1R", 0x50, 0, 0xB13771C7),
    ("D2CCIP2R", 0x54, 0, 0x70F0333F),
    ("D3CCIPR", 0x58, 0, 0x77E3FF07),
    ("CIER", 0x60, 0, 0x000003FF),
    ("CIFR", 0x64, 0, 0),
    ("CICR", 0x68, 0, 0),
    ("AHB3RSTR", 0x7C, 0, 0x80015031),
    ("AHB1RSTR", 0x80, 0, 0x0A00C023),
    ("AHB2RSTR", 0x84, 0, 0x00000271),
    ("AHB4RSTR", 0x88, 0, 0x032807FF),
    ("APB3RSTR", 0x8C, 0, 0x00000008),
    ("APB1LRSTR", 0x90, 0, 0xE8FFC3FF),
    ("APB1HRSTR", 0x94, 0, 0x00000136),
    ("APB2RSTR", 0x98, 0, 0x31D73033),
    ("APB4RSTR", 0x9C, 0, 0x0020DEAA),
    ("GCR", 0xA0, 0, 0x0000000F),
    ("D3AMR", 0xA8, 0, 0x3129DEA9),
    *((f"C{n}_{name}", 0xD0 + 0x60 * n + at, *rest) for n in (1, 2) for name, at, *rest in BANK if at),
]
PWR = [  # RM0399 ch. 7
    ("CR1", 0x00, 0xF000C000, 0x0007C3F1),
    ("CSR1", 0x04, 0x00006000, 0),
    ("CR3", 0x0C, 0x04010006, 0x0300033F),
    ("CPUCR", 0x10, 0, 0x00000C07),
    ("CPU2CR", 0x14, 0, 0x00000C07),
    ("D3CR", 0x18, 0x00006000, 0x0000C000),
    ("WKUPCR", 0x20, 0, 0),
    ("WKUPFR", 0x24, 0, 0),
    ("WKUPEPR", 0x28, 0, 0x0FFF3F3F),
]
FLASH = [  # RM0399 ch. 4
    ("ACR", 0x000, 0x37, 0x37),
    ("CR1", 0x00C, 0x31, 0),
    ("SR1", 0x010, 0, 0),
    ("CCR1", 0x014, 0, 0),
    ("BOOT7_CUR", 0x040, 0x1FF00800, 0),
    ("BOOT4_CUR", 0x048, 0x10000810, 0),
    ("ACR", 0x100, 0x37, 0x37),
    ("CR2", 0x10C, 0x31, 0),
    ("SR2", 0x110, 0, 0),
    ("CCR2", 0x114, 0, 0),
]
SYSCFG = [  # RM0399 ch. 13
    ("PMCR", 0x04, 0, 0x0FE003FF),
    *((f"EXTICR{n}", 4 + 4 * n, 0, 0xFFFF) for n in (1, 2, 3, 4)),
    ("CFGR", 0x18, 0, 0xFECD),
    ("CCCR", 0x28, 0, 0xFF),
    ("PWRCR", 0x2C, 0, 1),
    ("UR1", 0x304, 0x00010001, 0x00010001),
    ("UR2", 0x308, 0x08000000, 0),
    ("UR3", 0x30C, 0x08101FF0, 0),
    ("UR4", 0x310, 0x00001000, 0),
]
DBGMCU = [  # RM0399, debug infrastructure
    ("IDC", 0x00, 0x20036450, 0),
    ("CR", 0x04, 0, 0x107001BF),
    ("APB3FZ1", 0x34, 0, 0x40),
    ("APB3FZ2", 0x38, 0, 0x40),
    ("APB1LFZ1", 0x3C, 0, 0x00E00BFF),
    ("APB1LFZ2", 0x40, 0, 0x00E00BFF),
    ("APB2FZ1", 0x4C, 0, 0x20070003),
    ("APB2FZ2", 0x50, 0, 0x20070003),
    ("APB4FZ1", 0x54, 0, 0x000D1E80),
    ("APB4FZ2", 0x58, 0, 0x000D1E80),
]
EXTI = [  # RM0399 ch. 21
    ("RTSR1", 0x00, 0, 0x003FFFFF),
    ("FTSR1", 0x04, 0, 0x003FFFFF),
    ("SWIER1", 0x08, 0, 0),
    ("D3PMR1", 0x0C, 0, 0x0238FFFF),
    ("D3PCR1L", 0x10, 0, 0xFFFFFFFF),
    ("D3PCR1H", 0x14, 0, 0x000C0FC0),
    ("RTSR2", 0x20, 0, 0x000A0000),
    ("FTSR2", 0x24, 0, 0x000A0000),
    ("SWIER2", 0x28, 0, 0),
    ("D3PMR2", 0x2C, 0, 0x003F020C),
    ("D3PCR2L", 0x30, 0, 0x000C00F0),
    ("D3PCR2H", 0x34, 0, 0x00000FFF),
    ("RTSR3", 0x40, 0, 0x00740000),
    ("FTSR3", 0x44, 0, 0x00740000),
    ("SWIER3", 0x48, 0, 0),
    ("D3PMR3", 0x4C, 0, 0x01000000),
    ("D3PCR3H", 0x54, 0, 0x000C0000),
    *(
        (f"C{n}{name}", 0x40 + 0x40 * n + at, *rest)
        for n in (1, 2)
        for name, at, *rest in (
            ("IMR1", 0x00, 0xFFC00000, 0xFFFFFFFF),
            ("EMR1", 0x04, 0, 0xFFFFFFFF),
            ("PR1", 0x08, 0, 0),
            ("IMR2", 0x10, 0xFFF5FFFF, 0xFFFFDFFF),
            ("EMR2", 0x14, 0, 0xFFFFDFFF),
            ("PR2", 0x18, 0, 0),
            ("IMR3", 0x20, 0x018BFFFF, 0x01FFFFFF),
            ("EMR3", 0x24, 0, 0x01FFFFFF),
            ("PR3", 0x28, 0, 0),
        )
    ),
]
PINS = {"A": (0xABFFFFFF, 0x0C000000, 0x64000000), "B": (0xFFFFFEBF, 0x000000C0, 0x00000100)}
GPIO = [  # RM0399 ch. 12
    (f"GPIO{port}_{name}", 0x400 * index + at, reset, mask)
    for index, port in enumerate("ABCDEFGHIJK")
    for pins in [PINS.get(port, (0xFFFFFFFF, 0, 0))]
    for name, at, reset, mask in (
        ("MODER", 0x00, pins[0], 0xFFFFFFFF),
        ("OTYPER", 0x04, 0, 0xFFFF),
        ("OSPEEDR", 0x08, pins[1], 0xFFFFFFFF),
        ("PUPDR", 0x0C, pins[2], 0xFFFFFFFF),
        ("IDR", 0x10, 0, 0),
        ("ODR", 0x14, 0, 0xFFFF),
        ("LCKR", 0x1C, 0, 0x1FFFF),
        ("AFRL", 0x20, 0, 0xFFFFFFFF),
        ("AFRH", 0x24, 0, 0xFFFFFFFF),
    )
]
ART = [("CTR", 0x00, 0x4, 0x000FFF01)]  # RM0399 ch. 6
TABLES = {
    "rcc": RCC,
    "pwr": PWR,
    "flash_registers": FLASH,
    "syscfg": SYSCFG,
    "dbgmcu": DBGMCU,
    "exti": EXTI,
    "gpio": GPIO,
    "art": ART,
}
REGISTERS = [pytest.param(name, *row[1:], id=f"{name}.{row[0]}") for name, table in TABLES.items() for row in table]


@pytest.mark.parametrize(("name", "offset", "reset", "mask"), REGISTERS)
def test_a_register_has_its_reset_value_and_takes_what_is_writable(host, name, offset, reset, mask):
    it = device(name, host)
    assert it.read(offset, 4, CM7) == reset
    it.write(offset, 4, 0xFFFFFFFF, CM7)
    assert it.read(offset, 4, CM7) == reset | mask
    it.reset()
    assert it.read(offset, 4, CM7) == reset


@pytest.mark.parametrize("name", TABLES)
def test_every_register_that_a_script_declares_is_in_the_tables_above_or_tested_by_itself(host, name):
    it = device(name, host)
    it.read(0, 4, CM7)
    special = {
        "rcc": {0x00, 0x10, 0x70, 0x74, 0x130, 0x190},
        "pwr": {0x08},
        "syscfg": {0x20},
        "gpio": {0x400 * port + 0x18 for port in range(11)},
    }
    mirrors = {"flash_registers": {0x100}}
    listed = {row[1] for row in TABLES[name]} | special.get(name, set())
    assert set(it.snapshot().names["REGISTERS"]) == listed - mirrors.get(name, set())


@pytest.mark.parametrize("name", TABLES)
def test_an_offset_that_no_script_declares_is_reported_with_its_offset(host, name):
    it = device(name, host)
    it.read(0x3FC, 4, CM4)
    it.write(0x3FC, 2, 1, CM4)
    assert [offset for offset, _ in host.touched] == [0x3FC, 0x3FC]


def test_a_look_from_the_host_at_what_is_not_modelled_leaves_no_trace(host):
    device("rcc", host).read(0x3FC, 4, None)
    assert host.touched == []
    assert host.logged == []


def test_a_byte_access_changes_and_reads_its_byte_only(host):
    it = device("rcc", host)
    it.write(0x4D, 1, 0xFF, CM7)
    assert it.read(0x4C, 4, CM7) == 0x00000100
    assert it.read(0x4D, 1, CM7) == 0x01
    assert it.read(0x4E, 2, CM7) == 0


@pytest.mark.parametrize(
    ("enable", "ready"), [(0, 2), (7, 8), (12, 13), (16, 17), (24, 25), (26, 27), (28, 29)], ids=str
)
def test_a_clock_is_ready_while_it_is_enabled(host, enable, ready):
    """RM0399 ch. 9, RCC_CR."""
    it = device("rcc", host)
    it.write(0, 4, 1 << enable, CM7)
    assert it.read(0, 4, CM7) == 0x0000C020 | 1 << enable | 1 << ready
    it.write(0, 4, 0, CM7)
    assert it.read(0, 4, CM7) == 0x0000C020


def test_the_internal_oscillator_runs_and_both_domains_are_ready_after_reset(host):
    """RM0399 ch. 9, RCC_CR: HSION, HSIRDY, HSIDIVF, D1CKRDY, D2CKRDY."""
    assert device("rcc", host).read(0, 4, CM7) == 0x0000C025


@pytest.mark.parametrize("source", range(4))
def test_the_clock_switch_is_reported_as_done(host, source):
    """RM0399 ch. 9, RCC_CFGR: SWS follows SW."""
    it = device("rcc", host)
    it.write(0x10, 4, 0xFFFCFFC0 | source, CM7)
    assert it.read(0x10, 4, CM7) == 0xFFFCFFC0 | source << 3 | source


@pytest.mark.parametrize(("offset", "others"), [(0x70, 0x0000833C), (0x74, 0)])
def test_a_low_speed_oscillator_is_ready_while_it_is_enabled(host, offset, others):
    """RM0399 ch. 9, RCC_BDCR and RCC_CSR."""
    it = device("rcc", host)
    assert it.read(offset, 4, CM7) == 0
    it.write(offset, 4, 0xFFFEFFFF, CM7)
    assert it.read(offset, 4, CM7) == others | 3
    it.write(offset, 4, 0, CM7)
    assert it.read(offset, 4, CM7) == 0


def test_the_d2_domain_is_stopped_while_its_core_is_in_cstop(host):
    """RM0399 9.7.1, D2CKRDY; 7.7.4, DStop."""
    rcc = device("rcc", host)
    host.deeply_asleep.add("nvic_cm4")
    assert rcc.read(0x000, 4, CM7) >> 14 & 3 == 0b01
    host.deeply_asleep.clear()
    rcc.forget_answers()
    assert rcc.read(0x000, 4, CM7) >> 14 & 3 == 0b11


@pytest.mark.parametrize("offset", [0x0D8, 0x0DC, 0x0E8, 0x0EC, 0x0F0])
def test_a_peripheral_that_the_cortex_m7_has_enabled_keeps_the_d2_domain_running(host, offset):
    """RM0399 7.7.4: a domain in which the other core has allocated a peripheral stays in DRun."""
    rcc = device("rcc", host)
    rcc.write(offset, 4, 0xFFFFFFFF, CM7)
    host.deeply_asleep.add("nvic_cm4")
    assert rcc.read(0x000, 4, CM7) >> 15 & 1 == 1


def test_resetting_the_backup_domain_clears_its_register(host):
    """RM0399 ch. 9, RCC_BDCR, BDRST."""
    it = device("rcc", host)
    it.write(0x70, 4, 0x8301, CM7)
    it.write(0x70, 4, 0x18301, CM7)
    it.write(0x70, 4, 0, CM7)
    assert it.read(0x70, 4, CM7) == 0


@pytest.mark.parametrize(("core", "own"), [(CM7, 0x130), (CM4, 0x190)])
@pytest.mark.parametrize("row", BANK, ids=lambda row: row[0])
def test_the_common_address_of_an_enable_register_is_the_accessing_cores_own(host, core, own, row):
    """RM0399 ch. 9, RCC_C1_xxxENR and RCC_C2_xxxENR."""
    _, at, reset, mask = row
    it = device("rcc", host)
    it.write(0xD0 + at, 4, 0xFFFFFFFF, core)
    wanted = 0x10000 if at == 0 else reset | mask
    assert it.read(own + at, 4, None) == wanted
    assert it.read(0xD0 + at, 4, core) == wanted
    assert it.read((0x130 + 0x190 - own) + at, 4, None) == reset


@pytest.mark.parametrize("offset", [0x130, 0x190])
def test_reset_flags_stand_until_rmvf_removes_them(host, offset):
    """RM0399 ch. 9, RCC_RSR."""
    it = device("rcc", host)
    it.write(offset, 4, 0, CM7)
    assert it.read(offset, 4, CM7) == 0x00FE0000
    it.write(offset, 4, 0x00010000, CM7)
    assert it.read(offset, 4, CM7) == 0x00010000


@pytest.mark.parametrize(("bit", "core"), [(2, CM7), (3, CM4)])
def test_gcr_releases_a_held_core_once_and_cannot_be_cleared(host, bit, core):
    """RM0399 ch. 9, RCC_GCR, BOOT_C1 and BOOT_C2."""
    it = device("rcc", host)
    it.read(0, 4, CM7)
    host.held[core] = True
    it.write(0xA0, 4, 1 << bit, CM7)
    it.write(0xA0, 4, 1 << bit, CM7)
    assert host.holds == [(core, False)]
    it.write(0xA0, 4, 0, CM7)
    assert it.read(0xA0, 4, CM7) == 1 << bit


@pytest.mark.parametrize("scale", range(4))
def test_voltage_scaling_is_ready_and_reported_as_asked(host, scale):
    """RM0399 ch. 7, PWR_D3CR VOS and VOSRDY, PWR_CSR1 ACTVOS and ACTVOSRDY."""
    it = device("pwr", host)
    it.write(0x18, 4, scale << 14, CM7)
    assert it.read(0x18, 4, CM7) == scale << 14 | 0x2000
    assert it.read(0x04, 4, CM7) == scale << 14 | 0x2000


def test_the_backup_regulator_is_ready_while_it_is_enabled(host):
    """RM0399 ch. 7, PWR_CR2."""
    it = device("pwr", host)
    assert it.read(0x08, 4, CM7) == 0
    it.write(0x08, 4, 0xFFFFFFFF, CM7)
    assert it.read(0x08, 4, CM7) == 0x00010011


def test_both_flash_interfaces_have_one_acr(host):
    """RM0399 ch. 4, FLASH_ACR."""
    it = device("flash_registers", host)
    it.write(0x000, 4, 0x24, CM7)
    assert it.read(0x100, 4, CM4) == 0x24


def test_the_compensation_cell_is_ready_while_it_is_enabled(host):
    """RM0399 ch. 13, SYSCFG_CCCSR."""
    it = device("syscfg", host)
    assert it.read(0x20, 4, CM7) == 0
    it.write(0x20, 4, 0xFFFFFFFF, CM7)
    assert it.read(0x20, 4, CM7) == 0x00010103


def test_a_lock_up_connection_lasts_until_reset(host):
    """RM0399 ch. 13, SYSCFG_CFGR."""
    it = device("syscfg", host)
    it.write(0x18, 4, 0x40, CM7)
    it.write(0x18, 4, 0, CM7)
    assert it.read(0x18, 4, CM7) == 0x40


def test_a_software_event_is_reported_as_unmodelled(host):
    """RM0399 ch. 21, EXTI_SWIER1."""
    device("exti", host).write(0x08, 4, 0x4, CM7)
    assert host.touched == [(0x08, "unmodelled software event, 0x4 at 0x8")]


def test_an_output_pin_reads_what_it_drives_and_bsrr_sets_and_resets(host):
    """RM0399 ch. 12, GPIOx_BSRR (set wins), GPIOx_IDR."""
    it = device("gpio", host)
    base = 0x400
    it.write(base + 0x00, 4, 0b0101, CM7)  # pins 0 and 1 drive
    it.write(base + 0x18, 4, 0x00000007, CM7)
    assert it.read(base + 0x14, 4, CM7) == 0b111
    assert it.read(base + 0x10, 4, CM7) == 0b011
    it.write(base + 0x18, 4, 0x00030001, CM7)
    assert it.read(base + 0x14, 4, CM7) == 0b101
    assert it.read(base + 0x18, 4, CM7) == 0
    assert it.read(0x14, 4, CM7) == 0


@pytest.mark.parametrize(("offset", "size", "value"), [(0x8108, 4, 1), (0xFFFFE, 2, 0xBEEF), (3, 1, 0x7F)])
def test_the_axi_interconnect_reads_back_what_was_written(host, offset, size, value):
    """RM0399 ch. 2, AXI interconnect; the errata sheet has start-up code write 0x51008108."""
    it = device("axi", host)
    assert it.read(offset, size, CM7) == 0
    it.write(offset, size, value, CM7)
    assert it.read(offset, size, CM7) == value
    assert host.touched == []


# ITM (DDI0403E C1.7)


@pytest.mark.parametrize(("control", "enabled", "ready"), [(1, 1 << 5, 1), (0, 1 << 5, 0), (1, 1 << 4, 0)])
def test_a_stimulus_port_is_ready_while_it_and_the_trace_are_on(host, control, enabled, ready):
    itm = device("itm_cm7", host)
    itm.write(0xFB0, 4, 0xC5ACCE55, CM7)
    itm.write(0xE80, 4, control, CM7)
    itm.write(0xE00, 4, enabled, CM7)
    itm.write(4 * 5, 1, ord("x"), CM7)
    assert itm.read(4 * 5, 4, CM7) == ready
    assert host.touched == []


# RNG (RM0399 ch. 34)


def test_random_numbers_are_ready_while_the_generator_is_on_and_differ(host):
    rng = device("rng", host)
    assert (rng.read(0x04, 4, CM7), rng.read(0x08, 4, CM7)) == (0, 0)
    rng.write(0x00, 4, 4, CM7)
    assert rng.read(0x04, 4, CM7) == 1
    numbers = [rng.read(0x08, 4, CM7) for _ in range(1000)]
    assert len(set(numbers)) == 1000
    assert 0 not in numbers


def test_random_numbers_are_the_same_in_every_run_and_a_look_takes_none(host):
    first, second = device("rng", host), device("rng", host)
    for rng in (first, second):
        rng.write(0x00, 4, 4, CM7)
    first.read(0x08, 4, None)
    assert [first.read(0x08, 4, CM7) for _ in range(9)] == [second.read(0x08, 4, CM4) for _ in range(9)]


def test_a_random_number_interrupts_both_cores_while_that_is_enabled(host):
    rng = device("rng", host)
    rng.write(0x00, 4, 0xC, CM7)
    rng.write(0x00, 4, 0x4, CM7)
    assert host.lines == [(nvic, 80, level) for level in (True, False) for nvic in ("nvic_cm7", "nvic_cm4")]


# DMA and DMAMUX (RM0399 ch. 15, 17; vectors 20.1.2)


def test_each_dma_stream_interrupts_both_cores():
    lines = {
        each.name: [
            [i.line for i in each.interrupts if i.output == str(n) and i.target == "nvic_cm4"] for n in range(8)
        ]
        for each in PLATFORM.peripherals
        if each.type == "DMA.STM32DMA"
    }
    assert lines == {
        "dma1": [[n] for n in (*range(11, 18), 47)],
        "dma2": [[n] for n in (*range(56, 61), 68, 69, 70)],
    }


@pytest.mark.parametrize("channel", range(16))
def test_a_multiplexer_channel_is_storage(host, channel):
    mux = device("dmamux1", host)
    mux.write(4 * channel, 4, 0xFFFFFFFF, CM7)
    assert mux.read(4 * channel, 4, CM4) == 0x1FFF037F
    assert host.touched == []


@pytest.mark.parametrize(
    ("address", "name"),
    [(0x6000_0000, "FMC bank 1"), (0x9FFF_FFFF, "QUADSPI"), (0xC000_0000, "FMC SDRAM bank 1"),
     (0xD07F_FFFC, "FMC SDRAM bank 2")],
)  # fmt: skip
def test_where_a_board_may_have_memory_has_a_name(address: int, name: str) -> None:
    (found,) = (each for each, extent in load_platform("stm32h745").external if address in extent)
    assert found.startswith(name)


def test_the_unique_id_and_the_parts_for_a_debugger_are_there() -> None:
    tags = load_platform("stm32h745").tags
    for address, name in ((0x1FF1_E800, "SYSTEM_MEMORY"), (0x5C01_4000, "ETF"), (0x5C01_1000, "SYS_CTI")):
        assert [each for each, extent, _ in tags if address in extent] == [name]
