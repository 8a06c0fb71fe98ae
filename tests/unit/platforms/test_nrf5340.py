"""The nRF5340 platform: its map, and each register that its scripts model (nRF5340 PS, the chapter named)."""

from __future__ import annotations

import pytest
from support.script_host import ScriptHost

from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.platform import load_platform

APP, NET = "cpu_app", "cpu_net"
PLATFORM = load_platform("nrf5340")
WORD = 0xFFFF_FFFF


@pytest.fixture
def host() -> ScriptHost:
    return ScriptHost(refuses=("log", "set_event", "set_vector_table", "is_in_deep_sleep"))


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
def ipc(host):
    return device("ipc", host)


@pytest.fixture
def clock(host):
    return device("clock_power_reset", host)


# the map (PS, Memory)


@pytest.mark.parametrize(
    ("name", "size", "app", "net"),
    [
        ("flash_app", 0x100000, [0x00000000], []),
        ("flash_net", 0x40000, [], [0x01000000]),
        ("ram_app", 0x80000, [0x20000000], [0x20000000]),
        ("ram_net", 0x10000, [], [0x21000000]),
        ("cache_ram", 0x2000, [0x00F00000], []),
    ],
)
def test_a_memory_is_where_each_core_sees_it(name, size, app, net):
    region = next(each for each in PLATFORM.regions if each.name == name)
    assert region.size == size
    assert [each.start for each in region.extents(APP)] == app
    assert [each.start for each in region.extents(NET)] == net


def test_nothing_is_at_address_0_of_the_network_core():
    """A null pointer is a fault there."""
    assert PLATFORM.region_at(NET, 0) is None


def test_flash_is_erased_and_a_store_does_not_change_it():
    flash = [each for each in PLATFORM.regions if each.name.startswith("flash")]
    assert [(each.fill, each.writable) for each in flash] == [(0xFF, False)] * 2


def test_the_network_core_is_held_and_has_no_floating_point_unit():
    """PS, CPU; PS, Interrupts: 69 and 30 lines, 3 bits of priority."""
    assert [(c.name, c.model, c.boot_address, c.interrupts, c.held, c.fpu) for c in PLATFORM.cores] == [
        (APP, "cortex-m33", 0x00000000, 69, False, True),
        (NET, "cortex-m33", 0x01000000, 30, True, False),
    ]
    nvics = [each for each in PLATFORM.peripherals if each.type == "IRQControllers.NVIC"]
    assert [each.attributes["priorityMask"] for each in nvics] == [0xE0, 0xE0]


@pytest.mark.parametrize(
    ("name", "app", "net", "line"),
    [
        ("uart0_app", [0x50008000, 0x40008000], [], ("nvic_app", 8)),
        ("uart1_app", [0x50009000, 0x40009000], [], ("nvic_app", 9)),
        ("uart0_net", [], [0x41013000], ("nvic_net", 19)),
        ("rtc0_app", [0x50014000, 0x40014000], [], ("nvic_app", 20)),
        ("rtc1_app", [0x50015000, 0x40015000], [], ("nvic_app", 21)),
        ("rtc0_net", [], [0x41011000], ("nvic_net", 17)),
        ("rtc1_net", [], [0x41016000], ("nvic_net", 22)),
        ("timer0_app", [0x5000F000, 0x4000F000], [], ("nvic_app", 15)),
        ("timer1_app", [0x50010000, 0x40010000], [], ("nvic_app", 16)),
        ("timer2_app", [0x50011000, 0x40011000], [], ("nvic_app", 17)),
        ("timer0_net", [], [0x4100C000], ("nvic_net", 12)),
        ("timer1_net", [], [0x41018000], ("nvic_net", 24)),
        ("timer2_net", [], [0x41019000], ("nvic_net", 25)),
        ("ipc", [0x5002A000, 0x4002A000], [0x41012000], None),
        ("mutex", [0x50030000, 0x40030000], [0x50030000, 0x40030000], None),
        ("clock_power_reset", [0x50005000, 0x40005000], [0x41005000], None),
        ("spu", [0x50003000], [], None),
        ("cache", [0x50001000], [], None),
        ("dcnf_fpu", [0x50000000, 0x40000000], [], None),
        ("dcnf_net", [], [0x41000000], None),
        ("oscillators_regulators", [0x50004000, 0x40004000], [], None),
        ("vreqctrl", [], [0x41004000], None),
        ("ctrlap_app", [0x50006000, 0x40006000], [], None),
        ("ctrlap_net", [], [0x41006000], None),
        ("nvmc_app", [0x50039000, 0x40039000], [], None),
        ("nvmc_net", [], [0x41080000], None),
        ("gpio_app", [0x50842000, 0x40842000], [], None),
        ("gpio_net", [], [0x418C0000], None),
        ("ficr_uicr_app", [0x00FF0000], [], None),
        ("ficr_uicr_net", [], [0x01FF0000], None),
        ("dppic_app", [0x50017000, 0x40017000], [], None),
        ("dppic_net", [], [0x4100F000], None),
        ("gpiote0_app", [0x5000D000], [], None),
        ("gpiote1_app", [0x4002F000], [], None),
        ("gpiote_net", [], [0x4100A000], None),
        ("rng_net", [], [0x41009000], None),
        ("usbd", [0x50036000, 0x40036000], [], None),
        ("usbreg", [0x50037000, 0x40037000], [], None),
    ],
)
def test_a_peripheral_is_at_its_secure_address_and_at_the_mirror_for_its_core(name, app, net, line):
    """PS, Memory, Instantiation (both cores); PS, Interrupts."""
    found = next(each for each in PLATFORM.peripherals if each.name == name)
    assert [at.address for at in found.registrations if at.seen_by(APP)] == app
    assert [at.address for at in found.registrations if at.seen_by(NET)] == net
    assert [(each.target, each.line) for each in found.interrupts] == ([line] if line else [])


# ID of each peripheral of both cores (PS, Memory, Instantiation); its registers are at ID * 0x1000 in its domain
APP_IDS = [0, *range(4, 7), *range(8, 13), *range(14, 18), 20, 21, *range(23, 37), 38, 40, 42, 43, 45]
APP_IDS += [48, 51, 52, 54, 55, 57, 129]
NET_IDS = [0, 4, 5, 6, *range(8, 21), 22, 24, *range(25, 30), 128, 129]


@pytest.mark.parametrize(
    ("core", "base", "ids"),
    [
        (APP, 0x5000_0000, [*APP_IDS, 1, 3, 13]),  # CACHE, SPU and GPIOTE0 are secure
        (APP, 0x4000_0000, [*APP_IDS, 47]),
        (NET, 0x4100_0000, NET_IDS),
    ],
)
def test_every_peripheral_of_the_chip_has_a_model_or_is_said_to_have_none(core, base, ids):
    """PS, Memory, Instantiation: a model that is missing is an unmodelled access, never a bus fault."""
    models = {at.address for each in PLATFORM.peripherals for at in each.registrations if at.seen_by(core)}
    tags = {extent.start for _, extent, _ in PLATFORM.tags}
    expected = {base + number * 0x1000 for number in ids}
    assert expected - (models | tags) == set()
    assert models & tags == set()


@pytest.mark.parametrize(
    ("address", "name"),
    [(0x00F0_8000, "CACHEINFO"), (0xE004_2000, "CTI"), (0xE008_0000, "TAD"), (0xE00F_F000, "ROM_TABLE")],
)
def test_what_has_no_id_is_said_to_have_no_model_too(address, name):
    """PS, Memory; PS, Debug and trace."""
    assert [each for each, extent, _ in PLATFORM.tags if address in extent] == [name]


def test_roles_consoles_and_mailbox_are_named():
    assert PLATFORM.roles == {"main": APP, "remote": NET}
    assert PLATFORM.consoles == {APP: "uart0_app", NET: "uart0_net"}
    lines = PLATFORM.mailboxes[0].lines
    assert [(x.core, x.interrupt, x.pending, x.signalled, x.events) for x in lines] == [
        (APP, 42, 0x30C, None, tuple(range(0x100, 0x140, 4))),
        (NET, 18, 0x30C, None, tuple(range(0x100, 0x140, 4))),
    ]


def test_nothing_in_the_description_is_left_without_a_meaning():
    assert PLATFORM.notes == ()


# IPC (PS, IPC)

SEND, SUBSCRIBE, EVENT, PUBLISH = 0x000, 0x080, 0x100, 0x180
INTEN, INTENSET, INTENCLR, INTPEND, SEND_CNF, RECEIVE_CNF, GPMEM = 0x300, 0x304, 0x308, 0x30C, 0x510, 0x590, 0x610


def test_a_task_signals_its_channels_to_the_events_that_receive_them(ipc, host):
    """PS, IPC, IPC and PPI connections: SEND_CNF, RECEIVE_CNF."""
    ipc.write(SEND_CNF + 4 * 3, 4, 0b0110, APP)
    ipc.write(RECEIVE_CNF + 4 * 7, 4, 0b0100, NET)
    ipc.write(RECEIVE_CNF + 4 * 8, 4, 0b1001, NET)
    ipc.write(SEND + 4 * 3, 4, 1, APP)
    assert [ipc.read(EVENT + 4 * n, 4, NET) for n in range(16)] == [1 if n == 7 else 0 for n in range(16)]
    assert [ipc.read(EVENT + 4 * n, 4, APP) for n in range(16)] == [0] * 16
    assert host.lines == []


def test_the_line_is_high_while_an_enabled_event_is_set(ipc, host):
    """PS, IPC, INTENSET and EVENTS_RECEIVE; NVIC 18 of the network core, 42 of the application core."""
    for core in (APP, NET):
        ipc.write(SEND_CNF, 4, 1, core)
        ipc.write(RECEIVE_CNF, 4, 1, core)
    ipc.write(INTENSET, 4, 1, NET)
    ipc.write(SEND, 4, 1, APP)
    ipc.write(SEND, 4, 1, APP)
    assert host.lines == [("nvic_net", 18, True)]
    assert (ipc.read(INTPEND, 4, NET), ipc.read(INTPEND, 4, APP)) == (1, 0)
    ipc.write(EVENT, 4, 0, NET)
    ipc.write(INTENSET, 4, 1, APP)
    assert host.lines[1:] == [("nvic_net", 18, False), ("nvic_app", 42, True)]
    ipc.write(INTENCLR, 4, 1, APP)
    assert host.lines[3:] == [("nvic_app", 42, False)]


def test_inten_is_set_cleared_and_written(ipc):
    """PS, IPC, INTEN, INTENSET, INTENCLR."""
    ipc.write(INTEN, 4, 0xF0F0, NET)
    ipc.write(INTENSET, 4, 0xF000F, NET)
    ipc.write(INTENCLR, 4, 0x80, NET)
    assert [ipc.read(offset, 4, NET) for offset in (INTEN, INTENSET, INTENCLR)] == [0xF07F] * 3
    assert ipc.read(INTEN, 4, APP) == 0


@pytest.mark.parametrize("core", [APP, NET])
@pytest.mark.parametrize(("offset", "writable"), [(SEND_CNF, 0xFFFF), (RECEIVE_CNF + 60, 0xFFFF), (GPMEM + 4, WORD)])
def test_each_core_has_a_bank_of_its_own(ipc, core, offset, writable):
    """PS, IPC, Registers."""
    other = NET if core == APP else APP
    assert ipc.read(offset, 4, core) == 0
    ipc.write(offset, 4, WORD, core)
    assert (ipc.read(offset, 4, core), ipc.read(offset, 4, other)) == (writable, 0)


def test_a_connection_by_dppi_is_kept_and_reported(ipc, host):
    ipc.write(SUBSCRIBE + 8, 4, 0x8000_0001, APP)
    ipc.write(PUBLISH, 4, 2, APP)
    assert (ipc.read(SUBSCRIBE + 8, 4, APP), ipc.read(PUBLISH, 4, APP)) == (0x8000_0001, 2)
    assert host.touched == [(SUBSCRIBE + 8, "unmodelled write at 0x88: DPPI")]


@pytest.mark.parametrize("offset", [0x040, 0x140, 0x200, 0x310, 0x550, 0x618])
def test_an_offset_without_a_register_is_reported(ipc, host, offset):
    assert ipc.read(offset, 4, APP) == 0
    ipc.write(offset, 4, 1, APP)
    assert [at for at, _ in host.touched] == [offset, offset]


# CLOCK, POWER, RESET (PS, the chapters of these names)


@pytest.mark.parametrize(
    ("task", "event", "run", "stat", "running"),
    [
        (0x000, 0x100, 0x408, 0x40C, 0x10001),  # HFCLK from the crystal
        (0x008, 0x104, 0x414, 0x418, 0x10001),  # LFCLK from LFRC
        (0x018, 0x120, 0x450, 0x454, 0x10000),  # HFCLKAUDIO
        (0x020, 0x124, 0x458, 0x45C, 0x10001),  # HFCLK192M
    ],
)
def test_a_clock_starts_at_once_and_stops(clock, task, event, run, stat, running):
    """PS, CLOCK, Registers."""
    assert [clock.read(offset, 4, APP) for offset in (event, run, stat)] == [0, 0, 0]
    clock.write(task, 4, 1, APP)
    assert [clock.read(offset, 4, APP) for offset in (event, run, stat)] == [1, 1, running]
    clock.write(task + 4, 4, 1, APP)
    clock.write(event, 4, 0, APP)
    assert [clock.read(offset, 4, APP) for offset in (event, run, stat)] == [0, 0, 0]


def test_lfclk_starts_from_the_source_that_is_chosen(clock):
    """PS, CLOCK, LFCLKSRC, LFCLKSRCCOPY, LFCLKSTAT."""
    clock.write(0x518, 4, 2, NET)
    assert clock.read(0x41C, 4, NET) == 1
    clock.write(0x008, 4, 1, NET)
    assert (clock.read(0x41C, 4, NET), clock.read(0x418, 4, NET)) == (2, 0x10002)


def test_calibration_is_done_at_once(clock):
    """PS, CLOCK, TASKS_CAL, EVENTS_DONE."""
    clock.write(0x010, 4, 1, APP)
    assert clock.read(0x11C, 4, APP) == 1


@pytest.mark.parametrize(("core", "nvic"), [(APP, "nvic_app"), (NET, "nvic_net")])
def test_a_started_clock_interrupts_its_own_core_where_that_is_enabled(clock, host, core, nvic):
    """PS, CLOCK, INTENSET, INTPEND."""
    clock.write(0x304, 4, 2, core)
    clock.write(0x000, 4, 1, core)
    assert host.lines == []
    clock.write(0x008, 4, 1, core)
    assert clock.read(0x30C, 4, core) == 2
    clock.write(0x308, 4, 2, core)
    assert host.lines == [(nvic, 5, True), (nvic, 5, False)]


def test_forceoff_holds_and_releases_the_network_core(clock, host):
    """PS, RESET, NETWORK.FORCEOFF: 1 after reset."""
    assert clock.read(0x614, 4, APP) == 1
    clock.write(0x614, 4, 0, APP)
    clock.write(0x614, 4, 1, APP)
    assert host.holds == [(NET, False), (NET, True)]
    clock.write(0x614, 4, 0, APP)
    clock.reset()
    assert clock.read(0x614, 4, APP) == 1


def test_the_network_core_has_no_forceoff(clock, host):
    clock.write(0x614, 4, 0, NET)
    assert host.holds == []
    assert host.touched == [(0x614, "unmodelled write at 0x614")]


def test_the_reasons_of_a_reset_are_cleared_by_one(clock):
    """PS, RESET, RESETREAS: nothing is set after power-on."""
    clock.write(0x400, 4, WORD, APP)
    assert clock.read(0x400, 4, APP) == 0


CLOCK = [  # offset, after reset, bits that a write changes; PS, CLOCK and POWER, Registers
    *((offset, 0, 0x800000FF) for offset in (0x080, 0x084, 0x088, 0x08C, 0x090, 0x0F8, 0x0FC)),
    *((offset, 0, 0x800000FF) for offset in (0x180, 0x184, 0x188, 0x194, 0x198, 0x19C)),
    *((offset, 0, 1) for offset in (0x100, 0x104, 0x108, 0x114, 0x118, 0x11C)),
    *((offset, 0, 0) for offset in (0x408, 0x40C, 0x414, 0x418)),
    (0x41C, 1, 0),
    (0x514, 1, 1),
    (0x518, 1, 3),
    (0x51C, 0, 0xFF),
    (0x520, 0, 0xFF),
    (0x570, 0, 1),
    (0x574, 0, 1),
]
CLOCK_OF_APP = [
    *((offset, 0, 0x800000FF) for offset in (0x098, 0x09C, 0x0A0, 0x0A4, 0x1A0, 0x1A4)),
    *((offset, 0, 1) for offset in (0x120, 0x124)),
    *((offset, 0, 0) for offset in (0x450, 0x454, 0x458, 0x45C)),
    (0x300, 0, 0x3E7),
    (0x558, 1, 3),
    (0x55C, 0x9BAE, 0xFFFF),
    (0x57C, 0, 1),
    (0x580, 1, 1),
    (0x584, 0, 1),
    (0x5B8, 2, 3),
]


@pytest.mark.parametrize(
    ("core", "offset", "after_reset", "writable"),
    [
        *((APP, *each) for each in (*CLOCK, *CLOCK_OF_APP)),
        *((NET, *each) for each in (*CLOCK, (0x300, 0, 0xE7), (0x558, 0, 3))),
    ],
)
def test_a_register_of_the_clock_block_has_its_reset_value_and_bits(clock, core, offset, after_reset, writable):
    assert clock.read(offset, 4, core) == after_reset
    clock.write(offset, 4, 0, core)
    assert clock.read(offset, 4, core) == after_reset & ~writable
    clock.write(offset, 4, WORD, core)
    assert clock.read(offset, 4, core) == after_reset | writable
    clock.reset()
    assert clock.read(offset, 4, core) == after_reset


@pytest.mark.parametrize("offset", [0x120, 0x450, 0x55C, 0x5B8])
def test_audio_and_192_mhz_clocks_are_the_application_core_s_alone(clock, host, offset):
    clock.read(offset, 4, NET)
    assert [at for at, _ in host.touched] == [offset]


# storage: name of the peripheral, offset, after reset, bits that a write changes

REGISTERS = {
    "spu": [  # PS, SPU
        *((offset, 0, 1) for offset in (0x100, 0x104, 0x108)),
        *((offset, 0, 0x800000FF) for offset in (0x180, 0x184, 0x188)),
        (0x400, 1, 0),
        (0x404, 0, 0x1F),
        (0x440, 2, 0x110),
        *((offset, WORD, WORD) for offset in (0x480, 0x4C0, 0x4C8)),
        *((offset, 0, 1) for offset in (0x484, 0x4C4, 0x4CC)),
        *((offset, 0, 0x13F) for offset in (0x500, 0x508, 0x540, 0x548)),
        *((offset, 0, 0x10F) for offset in (0x504, 0x50C, 0x544, 0x54C)),
        *((offset, 0x17, 0x117) for offset in (0x600, 0x6FC, 0x700, 0x7FC)),
        *((offset, 0x12, 0x130) for offset in (0x800, 0xBFC)),
    ],
    "ctrlap_app": [  # PS, CTRL-AP
        *((offset, 0, 0) for offset in (0x400, 0x404, 0x484, 0x600)),
        *((offset, 0, WORD) for offset in (0x480, 0x504, 0x544, 0x54C)),
        *((offset, 0, 1) for offset in (0x500, 0x540, 0x548)),
    ],
    "nvmc_app": [  # PS, NVMC
        (0x400, 1, 0),
        (0x408, 1, 0),
        (0x504, 0, 7),
        (0x51C, 0x0A, 0x7F),
        (0x584, 0, 3),
    ],
    "nvmc_net": [(0x540, 0, 0x101), (0x548, 0, WORD), (0x54C, 0, WORD)],
    "oscillators_regulators": [  # PS, OSCILLATORS, REGULATORS
        (0x428, 0, 0),
        (0x510, 0, 0xF1F),
        (0x5C4, 0, 0x11F),
        (0x6C0, 0, 1),
        (0x6D0, 0, 3),
        (0x704, 0, 1),
        (0x904, 0, 1),
        (0xB00, 0, 1),
        (0xB40, 1, 1),
    ],
    "vreqctrl": [(0x500, 0, 1), (0x508, 0, 0)],  # PS, VREQCTRL
    "dcnf_fpu": [  # PS, DCNF, FPU
        *((offset, 0, 1) for offset in (0x100, 0x104, 0x108, 0x10C, 0x110, 0x114)),
        (0x420, 0, 0),
        (0x440, 0, 1),
        (0x460, 0, 0xFF),
        (0x480, 0, 1),
    ],
    "dcnf_net": [(0x420, 1, 0)],
    "cache": [  # PS, CACHE
        *((base + offset, 0, 0) for base in (0x400, 0x420) for offset in (0, 4, 8, 12)),
        *((offset, 0, 1) for offset in (0x500, 0x50C, 0x514, 0x518, 0x520)),
        *((offset, 0, 0) for offset in (0x504, 0x510, 0x51C)),
    ],
}


@pytest.mark.parametrize(
    ("name", "offset", "after_reset", "writable"),
    [(name, *each) for name, registers in REGISTERS.items() for each in registers],
)
def test_a_register_has_its_reset_value_and_its_bits(host, name, offset, after_reset, writable):
    each = device(name, host)
    assert each.read(offset, 4, APP) == after_reset
    each.write(offset, 4, 0, APP)
    assert each.read(offset, 4, APP) == after_reset & ~writable
    each.write(offset, 4, WORD, APP)
    assert each.read(offset, 4, APP) == after_reset | writable
    each.reset()
    assert each.read(offset, 4, APP) == after_reset
    assert host.touched == []


@pytest.mark.parametrize("name", REGISTERS)
def test_a_hole_in_a_block_is_reported(host, name):
    each = device(name, host)
    each.read(0xFFC, 4, APP)
    each.write(0xFFC, 4, 1, APP)
    assert [at for at, _ in host.touched] == [0xFFC, 0xFFC]


def test_the_interrupts_of_the_spu_are_set_and_cleared(host):
    """PS, SPU, INTEN, INTENSET, INTENCLR."""
    spu = device("spu", host)
    spu.write(0x304, 4, 6, APP)
    spu.write(0x308, 4, 2, APP)
    assert [spu.read(offset, 4, APP) for offset in (0x300, 0x304, 0x308)] == [4, 4, 4]


@pytest.mark.parametrize(
    ("lock_at", "lock", "kept_at"), [(0x440, 0x100, 0x440), (0x600, 0x100, 0x600), (0x4C4, 1, 0x4C0)]
)
def test_what_is_locked_in_the_spu_stays_until_reset(host, lock_at, lock, kept_at):
    """PS, SPU: LOCK."""
    spu = device("spu", host)
    spu.write(lock_at, 4, lock, APP)
    locked = spu.read(kept_at, 4, APP)
    spu.write(kept_at, 4, locked ^ 0x10, APP)
    assert spu.read(kept_at, 4, APP) == locked
    spu.reset()
    before = spu.read(kept_at, 4, APP)
    spu.write(kept_at, 4, before ^ 0x10, APP)
    assert spu.read(kept_at, 4, APP) != before


def test_a_voltage_request_is_granted(host):
    """PS, VREQCTRL, VREGRADIO.VREQHREADY."""
    each = device("vreqctrl", host)
    each.write(0x500, 4, 1, NET)
    assert each.read(0x508, 4, NET) == 1
    each.write(0x500, 4, 0, NET)
    assert each.read(0x508, 4, NET) == 0


def test_an_erased_cache_says_so_until_that_is_cleared(host):
    """PS, CACHE, ERASE, ERASESTATUS."""
    each = device("cache", host)
    each.write(0x508, 4, 1, APP)
    assert each.read(0x51C, 4, APP) == 1
    each.write(0x51C, 4, 1, APP)
    assert each.read(0x51C, 4, APP) == 0


def test_flash_is_not_erased_and_the_chip_not_switched_off_but_reported(host):
    """PS, NVMC, ERASEALL; PS, REGULATORS, SYSTEMOFF."""
    device("nvmc_app", host).write(0x50C, 4, 1, APP)
    device("oscillators_regulators", host).write(0x500, 4, 1, APP)
    assert host.touched == [(0x50C, "unmodelled write at 0x50C"), (0x500, "unmodelled write at 0x500")]


# MUTEX (PS, MUTEX)


def test_a_mutex_is_taken_by_who_reads_0_and_given_back_by_writing_0(host):
    mutex = device("mutex", host)
    assert mutex.read(0x404, 4, APP) == 0
    assert (mutex.read(0x404, 4, NET), mutex.read(0x400, 4, NET)) == (1, 0)
    mutex.write(0x404, 4, 1, APP)
    assert mutex.read(0x404, 4, NET) == 1
    mutex.write(0x404, 4, 0, APP)
    assert mutex.read(0x404, 4, None) == 0  # the host looks and takes nothing
    assert mutex.read(0x404, 4, NET) == 0
    mutex.read(0x440, 4, NET)
    mutex.write(0x440, 4, 0, NET)
    assert [at for at, _ in host.touched] == [0x440, 0x440]


# GPIO (PS, GPIO)


@pytest.mark.parametrize("port", [0x500, 0x800])
def test_pins_are_driven_and_read_back_where_the_input_is_connected(host, port):
    """PS, GPIO, Registers: PIN_CNF is 2 after reset, an input that is not connected."""
    gpio = device("gpio_app", host)
    assert [gpio.read(port + 0x200 + 4 * n, 4, APP) for n in (0, 31)] == [2, 2]
    gpio.write(port + 0x200, 4, 1, APP)  # output, input buffer connected
    gpio.write(port + 0x018, 4, 0b10, APP)  # output, not connected
    gpio.write(port + 0x008, 4, 0b111, APP)
    gpio.write(port + 0x00C, 4, 0b100, APP)
    assert [gpio.read(port + offset, 4, APP) for offset in (0x004, 0x010, 0x014)] == [0b011, 0b001, 0b011]
    gpio.write(port + 0x01C, 4, 0b1, APP)
    assert gpio.read(port + 0x018, 4, APP) == 0b10
    gpio.write(port + 0x200, 4, WORD, APP)
    assert gpio.read(port + 0x200, 4, APP) == 0x70030F0F


@pytest.mark.parametrize("port", [0x500, 0x800])
@pytest.mark.parametrize(("offset", "writable"), [(0x004, WORD), (0x014, WORD), (0x020, 0), (0x024, 1), (0x028, 1)])
def test_a_register_of_a_port_keeps_its_bits(host, port, offset, writable):
    gpio = device("gpio_net", host)
    assert gpio.read(port + offset, 4, NET) == 0
    gpio.write(port + offset, 4, WORD, NET)
    assert gpio.read(port + offset, 4, NET) == writable
    other = 0x1300 - 0x600 - port
    assert gpio.read(other + offset, 4, NET) == 0


def test_what_is_no_register_of_a_port_is_reported(host):
    gpio = device("gpio_app", host)
    for offset in (0x4FC, 0x530, 0x800 + 0x280):
        gpio.read(offset, 4, APP)
        gpio.write(offset, 4, 0, APP)
    assert [at for at, _ in host.touched] == [0x4FC, 0x4FC, 0x530, 0x530, 0xA80, 0xA80]


# DPPIC (PS, DPPI), GPIOTE (PS, GPIOTE)


def test_channels_are_switched_on_and_off_one_by_one_and_in_groups(host):
    """PS, DPPI: CHEN, CHENSET, CHENCLR, CHG, TASKS_CHG."""
    dppic = device("dppic_app", host)
    dppic.write(0x500, 4, 0b0011, APP)
    dppic.write(0x504, 4, 0b0100, APP)
    dppic.write(0x508, 4, 0b0001, APP)
    assert [dppic.read(offset, 4, APP) for offset in (0x500, 0x504, 0x508)] == [0b0110] * 3
    dppic.write(0x814, 4, 0x8000_0010, APP)
    dppic.write(0x028, 4, 1, APP)
    assert (dppic.read(0x814, 4, APP), dppic.read(0x500, 4, APP)) == (0x8000_0010, 0x8000_0016)
    dppic.write(0x02C, 4, 0, APP)
    dppic.write(0x02C, 4, 1, APP)
    assert dppic.read(0x500, 4, APP) == 0b0110
    assert host.touched == []


def test_a_group_that_is_switched_by_an_event_is_reported(host):
    """PS, DPPI, SUBSCRIBE_CHG."""
    dppic = device("dppic_net", host)
    dppic.write(0x084, 4, 0x8000_0003, NET)
    assert dppic.read(0x084, 4, NET) == 0x8000_0003
    dppic.read(0x600, 4, NET)
    assert [at for at, _ in host.touched] == [0x084, 0x600]


def test_what_a_controller_of_connections_connects_belongs_to_its_core():
    names = {each.name: each for each in PLATFORM.peripherals}
    for connections, core in zip(PLATFORM.connections, (APP, NET), strict=True):
        assert connections.enabled == 0x500
        for name in (connections.controller, *connections.peripherals):
            assert all(at.core == core for at in names[name].registrations)


@pytest.mark.parametrize(
    ("offset", "after_reset", "writable"),
    [(0x100, 0, 1), (0x11C, 0, 1), (0x17C, 0, 1), (0x504, 1, 1), (0x510, 0, 0x133F03), (0x52C, 0, 0x133F03)],
)
def test_a_register_of_gpiote_keeps_its_bits(host, offset, after_reset, writable):
    """PS, GPIOTE, Registers."""
    gpiote = device("gpiote_net", host)
    assert gpiote.read(offset, 4, NET) == after_reset
    gpiote.write(offset, 4, WORD, NET)
    assert gpiote.read(offset, 4, NET) == writable


def test_the_interrupts_of_gpiote_are_set_and_cleared_and_a_task_is_reported(host):
    """PS, GPIOTE: INTENSET, INTENCLR; TASKS_OUT, which would move a pin."""
    gpiote = device("gpiote0_app", host)
    gpiote.write(0x304, 4, WORD, APP)
    gpiote.write(0x308, 4, 0x8000_0001, APP)
    assert [gpiote.read(offset, 4, APP) for offset in (0x304, 0x308)] == [0xFE, 0xFE]
    gpiote.write(0x080, 4, 0x8000_0002, APP)
    gpiote.write(0x000, 4, 1, APP)
    assert [at for at, _ in host.touched] == [0x080, 0x000]


# RNG (PS, RNG)


def test_random_values_are_ready_one_after_another_until_stopped(host):
    """PS, RNG: VALRDY interrupts as NVIC 9 of the network core; each value is another one, the same in every run."""
    rng, again = device("rng_net", host), device("rng_net", ScriptHost())
    rng.write(0x304, 4, 1, NET)
    assert (rng.read(0x100, 4, NET), host.lines) == (0, [])
    values = []
    for each in (rng, again):
        each.write(0x000, 4, 1, NET)
        for _ in range(32):
            assert each.read(0x100, 4, NET) == 1
            values.append(each.read(0x508, 4, NET))
            each.write(0x100, 4, 0, NET)
    assert values[:32] == values[32:]
    assert len(set(values)) > 24
    assert max(values) < 256
    assert host.lines == [("nvic_net", 9, True)]
    rng.write(0x004, 4, 1, NET)
    rng.write(0x100, 4, 0, NET)
    assert rng.read(0x100, 4, NET) == 0
    assert host.lines[-1] == ("nvic_net", 9, False)


def test_a_short_stops_the_generator_after_one_value(host):
    """PS, RNG, SHORTS: VALRDY_STOP."""
    rng = device("rng_net", host)
    rng.write(0x200, 4, 1, NET)
    rng.write(0x504, 4, 1, NET)
    rng.write(0x000, 4, 1, NET)
    assert [rng.read(offset, 4, NET) for offset in (0x100, 0x200, 0x504)] == [1, 1, 1]
    rng.write(0x100, 4, 0, NET)
    assert rng.read(0x100, 4, NET) == 0


# USBD, USBREG (PS, the chapters of these names)


def test_usb_is_ready_once_enabled_and_interrupts(host):
    """PS, USBD, USB power-up sequence: EVENTCAUSE.READY, which USBEVENT tells (NVIC 54, bit 22)."""
    usbd = device("usbd", host)
    usbd.write(0x304, 4, 1 << 22, APP)
    usbd.write(0x500, 4, 1, APP)
    assert (usbd.read(0x400, 4, APP), usbd.read(0x158, 4, APP)) == (0x800, 1)
    assert host.lines == [("nvic_app", 54, True)]
    usbd.write(0x400, 4, 0x800, APP)
    usbd.write(0x158, 4, 0, APP)
    usbd.write(0x500, 4, 1, APP)
    assert (usbd.read(0x400, 4, APP), usbd.read(0x158, 4, APP)) == (0, 0)
    assert host.lines[1:] == [("nvic_app", 54, False)]
    usbd.write(0x308, 4, 1 << 22, APP)
    assert [usbd.read(offset, 4, APP) for offset in (0x300, 0x304, 0x308)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("offset", "after_reset", "writable"),
    [
        (0x160, 0, 1),
        (0x1E0, 0, 0x800000FF),
        (0x0DC, 0, 0x800000FF),
        (0x200, 0, 0x1F),
        (0x300, 0, 0x1FFFFFF),
        (0x420, 0, 0),
        (0x460, 0, 0),
        (0x49C, 0, 0),
        (0x4BC, 0, 0x7F),
        (0x4C0, 0x10000, None),
        (0x504, 0, 1),
        (0x50C, 0x100, 0x387),
        (0x510, 1, 0x1FF),
        (0x514, 1, 0x1FF),
        (0x600, 0, WORD),
        (0x690, 0, 0x7F),
        (0x694, 0, 0),
        (0x6A4, 0, 0x3FF),
        (0x7A0, 0, WORD),
        (0x7A8, 0, 0),
    ],
)
def test_a_register_of_usbd_keeps_its_bits(host, offset, after_reset, writable):
    """PS, USBD, Registers; those of the endpoints 20 bytes apart, the isochronous one last."""
    usbd = device("usbd", host)
    assert usbd.read(offset, 4, APP) == after_reset
    usbd.write(offset, 4, WORD, APP)
    assert usbd.read(offset, 4, APP) == (after_reset if writable is None else writable)


def test_a_task_of_usb_and_what_is_no_register_are_reported(host):
    usbd = device("usbd", host)
    usbd.write(0x004, 4, 1, APP)
    usbd.read(0x410, 4, APP)
    usbd.write(0x184, 4, 0x80000001, APP)
    assert [at for at, _ in host.touched] == [0x004, 0x410, 0x184]


def test_no_cable_is_plugged_in(host):
    """PS, USBREG: EVENTS_USBDETECTED, USBREGSTATUS.VBUSDETECT."""
    usbreg = device("usbreg", host)
    usbreg.write(0x304, 4, 7, APP)
    usbreg.write(0x308, 4, 1, APP)
    assert [usbreg.read(offset, 4, APP) for offset in (0x100, 0x400, 0x300, 0x304, 0x308)] == [0, 0, 6, 6, 6]
    usbreg.read(0x500, 4, APP)
    assert (host.lines, [at for at, _ in host.touched]) == ([], [0x500])


# FICR, UICR (PS, the chapters of these names), ITM


@pytest.mark.parametrize("name", ["ficr_uicr_app", "ficr_uicr_net"])
def test_factory_and_user_registers_read_as_erased_flash(host, name):
    each = device(name, host)
    each.write(0x8000, 4, 0, APP)
    assert (each.read(0x8000, 4, APP), each.read(0x204, 2, APP), each.read(0x0, 1, APP)) == (WORD, 0xFFFF, 0xFF)


def test_the_itm_keeps_what_is_written(host):
    each = device("itm_net", host)
    each.write(0xFB0, 4, 0xC5ACCE55, NET)
    assert (each.read(0xFB0, 4, NET), each.read(0xFB4, 4, NET)) == (0xC5ACCE55, 0)
