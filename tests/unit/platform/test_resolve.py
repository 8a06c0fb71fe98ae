"""What a platform description means, and what is said when it means nothing."""

# ruff: noqa: E501  # whole descriptions and whole messages read better than broken ones

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.base.errors import PlatformError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.platform import (
    Interrupt,
    Platform,
    Registration,
    available_platforms,
    load_platform,
    refuse_without_pair,
)
from orchestrator.platform.model import Connections, Gate, GateKey, MailboxDrive, MailboxStep

CORES = """cpu0: CPU.CortexM @ sysbus
    cpuType: "cortex-m7"
    nvic: nvic0
nvic0: IRQControllers.NVIC @ sysbus new Bus.BusPointRegistration { address: 0xE000E000; cpu: cpu0 }
    -> cpu0@0
cpu1: CPU.CortexM @ sysbus
    cpuType: "cortex-m4f"
    nvic: nvic1
nvic1: IRQControllers.NVIC @ sysbus new Bus.BusPointRegistration { address: 0xE000E000; cpu: cpu1 }
    -> cpu1@0
"""
START = CORES.count("\n") + 1  # the first line after the cores


class PlatformFolder:
    """A folder in which a platform is written and loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, extra: str = "", settings: str | None = None, cores: str = CORES) -> Platform:
        (self.folder / "p.repl").write_text(cores + extra)
        if settings is not None:
            (self.folder / "p.toml").write_text(settings)
        return load_platform(self.folder / "p.repl")

    def failure(self, extra: str = "", settings: str | None = None, cores: str = CORES) -> str:
        with pytest.raises(PlatformError) as caught:
            self.load(extra, settings, cores)
        return str(caught.value)


@pytest.fixture
def bench(tmp_path):
    return PlatformFolder(tmp_path)


def test_packaged_platforms_are_found_by_name():
    assert "stm32h745" in available_platforms()
    assert load_platform("stm32h745").name == "stm32h745"


def test_an_unknown_platform_names_those_there_are():
    with pytest.raises(UsageError, match=r"no such platform: expected .*stm32h745.*, found stm32"):
        load_platform("stm32")


def test_a_description_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(PlatformError, match="cannot be read"):
        load_platform(tmp_path / "none.repl")
    (tmp_path / "b.repl").write_bytes(b"a\xff")
    with pytest.raises(PlatformError, match=r"b\.repl: not UTF-8 text \(byte 1\)"):
        load_platform(tmp_path / "b.repl")


def test_a_core_without_attributes_runs_at_100_mips_from_address_0(bench):
    core = bench.load().core("main")
    assert (core.mips, core.boot_address, core.held, core.interrupts, core.nvic) == (100, 0, False, 496, "nvic0")


def test_a_core_takes_speed_start_and_hold_from_its_attributes(bench):
    text = "cpu1:\n    PerformanceInMips: 200\n    InitVectorTableOffset: 0x1000\n    IsHalted: true\n"
    core = bench.load(text).core("remote")
    assert (core.mips, core.boot_address, core.held) == (200, 0x1000, True)


def test_a_core_takes_speed_and_hold_from_its_init_statements(bench):
    core = bench.load("cpu1:\n    init:\n        PerformanceInMips 125\n        IsHalted true\n").core("cpu1")
    assert (core.mips, core.held) == (125, True)


def test_memory_has_every_address_at_which_a_core_sees_it(bench):
    text = "ram: Memory.MappedMemory @ {\n        sysbus 0x30000000;\n        sysbus new Bus.BusPointRegistration { address: 0x10000000; cpu: cpu1 }\n    }\n    size: 0x1000\n"
    (ram,) = bench.load(text).regions
    assert ram.registrations == (Registration(0x30000000), Registration(0x10000000, "cpu1"))
    assert ram.extents("cpu1") == (Extent(0x30000000, 0x1000), Extent(0x10000000, 0x1000))


def test_ranges_and_range_and_multi_registrations_give_sizes(bench):
    text = (
        "a: X.Y @ sysbus <0x100, +0x10>\n"
        "b: X.Y @ sysbus new Bus.BusRangeRegistration { address: 0x200; size: 0x20 }\n"
        "c: X.Y @ sysbus new Bus.BusRangeRegistration { range: <0x300, 0x330>; cpu: cpu0 }\n"
        'd: X.Y @ sysbus new Bus.BusMultiRegistration { address: 0x400; size: 0x40; region: "r" }\n'
    )
    found = {each.name: each.registrations for each in bench.load(text).peripherals}
    assert found["a"] == (Registration(0x100, None, 0x10),)
    assert found["b"] == (Registration(0x200, None, 0x20),)
    assert found["c"] == (Registration(0x300, "cpu0", 0x30),)
    assert found["d"] == (Registration(0x400, None, 0x40),)


def test_a_peripheral_of_an_unknown_type_is_kept_with_its_type(bench):
    device = bench.load(
        "i2c: I2C.STM32F7_I2C @ sysbus 0x40005400\n    frequency: 1_000\nled: X.Led @ i2c 3\n"
    ).peripherals
    found = {each.name: each for each in device}
    assert found["i2c"].type == "I2C.STM32F7_I2C"
    assert found["i2c"].attributes == {"frequency": 1000}
    assert found["led"].registrations == ()


def test_interrupts_wired_later_replace_those_of_the_same_output(bench):
    text = "u: X.Y @ sysbus 0x100\n    A -> nvic0@1 | nvic1@2\n    [0-1] -> nvic0@[3, 4]\nu:\n    A -> nvic1@9\n    1 -> none\n"
    device = next(each for each in bench.load(text).peripherals if each.name == "u")
    assert device.interrupts == (Interrupt("A", "nvic1", 9), Interrupt("0", "nvic0", 3))


def test_a_later_entry_changes_attributes_and_registration(bench):
    text = "u: X.Y @ sysbus 0x100\n    a: 1\n    b: 2\nu: @ sysbus 0x200\n    b: 3\n"
    device = next(each for each in bench.load(text).peripherals if each.name == "u")
    assert (device.attributes, device.registrations) == ({"a": 1, "b": 3}, (Registration(0x200),))


def test_used_files_come_first_and_may_be_prefixed(bench):
    (bench.folder / "base.repl").write_text(CORES)
    (bench.folder / "part.repl").write_text(
        "local l: X.Y @ none\nu: X.Y @ sysbus 0x100\n    peer: l\nv: X.Y @ none\n    peer: u\n"
    )
    platform = bench.load(cores='using "base.repl"\nusing "./part.repl" prefixed "p_"\np_u:\n    a: 1\n')
    found = {each.name: each for each in platform.peripherals}
    assert [core.name for core in platform.cores] == ["cpu0", "cpu1"]
    assert found["p_u"].attributes == {"peer": "l", "a": 1}
    assert found["p_v"].attributes == {"peer": "p_u"}


def test_files_that_use_each_other_are_refused(bench):
    (bench.folder / "q.repl").write_text('using "p.repl"\n')
    assert bench.failure(cores='using "q.repl"\n') == "q.repl:1:1: p.repl uses itself"
    assert bench.failure(cores='using "no.repl"\n') == "p.repl:1:1: no file no.repl"


def test_tags_are_windows_with_an_inclusive_end(bench):
    text = 'sysbus:\n    init:\n        Tag <0x100, 0x1FF> "A B" 0x7\n        Tag <0x200, +0x10> C\n        SilenceRange <0 1>\n'
    platform = bench.load(text)
    assert platform.tags == (("A B", Extent(0x100, 0x100), 7), ("C", Extent(0x200, 0x10), 0))
    assert platform.notes == (f"p.repl:{START + 4}:9: sysbus: init: SilenceRange <0 1>",)


def test_a_script_is_read_beside_the_description_or_taken_from_it(bench):
    (bench.folder / "s.py").write_text("pass\n")
    text = 'a: Python.PythonPeripheral @ sysbus 0x100\n    size: 0x10\n    filename: "s.py"\n'
    text += "b: Python.PythonPeripheral @ sysbus 0x200\n    size: 0x10\n    script: '''x = 1\n'''\n"
    found = {each.name: each for each in bench.load(text).peripherals}
    assert (found["a"].script, found["a"].script_name, found["a"].size) == ("pass\n", "s.py", 0x10)
    assert (found["b"].script, found["b"].script_name) == ("x = 1\n", "p.repl (b)")


RAM = "ram: Memory.MappedMemory @ sysbus 0x1000\n    size: 0x100\n"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("u: X.Y @ sysbus 0\n    IRQ -> nvic0@496\n", "{1}:5: u: no interrupt 496 at nvic0 (it has 0..495)"),
        ("u: X.Y @ sysbus 0\n    IRQ -> nvic9@1\n", "{1}:12: u: no nvic9 in this platform"),
        ("u: X.Y @ bus 0\n", "{0}:10: u: no bus in this platform"),
        ("u: X.Y @ sysbus 0\n    peer: nobody\n", "{1}:11: u: no nobody in this platform"),
        (
            RAM + "r2: Memory.MappedMemory @ sysbus 0x10FF\n    size: 4\n",
            "{2}:1: r2: 0x000010ff..0x00001103 of cpu0 is taken: found ram at 0x00001000..0x00001100 (p.repl:{0}:1)",
        ),
        ("ram: Memory.MappedMemory @ sysbus 0x1000\n", "{0}:1: ram: memory without a size: expected size: bytes"),
        (
            'ram: Memory.MappedMemory @ sysbus 0x1000\n    size: "big"\n',
            '{1}:5: ram: size: expected an integer, found "big"',
        ),
        (
            "ram: Memory.MappedMemory @ sysbus 0x1000\n    size: true\n",
            "{1}:5: ram: size: expected an integer, found true",
        ),
        ("ram: X.Y @ none\nram: X.Y @ none\n", "{1}:1: ram: declared already: found p.repl:{0}:1"),
        ("ram:\n    x: 1\n", "{0}:1: ram: changed before it is declared: expected name: Type @ ..."),
        ("cpu0:\n", "{0}:1: cpu0: an entry with nothing in it"),
        ("u: X.Y @ none\n    x: 1\n    x: 2\n", "{2}:5: u: x is given twice"),
        (
            "u: X.Y @ sysbus new Bus.Other { address: 1 }\n",
            "{0}:17: u: a registration of a kind not supported: expected Bus.BusPointRegistration | "
            "Bus.BusRangeRegistration | Bus.BusMultiRegistration, found Bus.Other",
        ),
        (
            "u: X.Y @ sysbus new Bus.BusPointRegistration { address: 1; offset: 2 }\n",
            "{0}:60: u: offset of a registration: expected address: | size: | range: | cpu: | region:",
        ),
        (
            "u: X.Y @ sysbus new Bus.BusPointRegistration { cpu: cpu0 }\n",
            "{0}:17: u: a registration without an address",
        ),
        (
            "u: X.Y @ sysbus new Bus.BusPointRegistration { address: 1; cpu: nvic0 }\n",
            "{0}:65: u: nvic0 is no core: found IRQControllers.NVIC",
        ),
        (
            "cpu2: CPU.RiscV32 @ sysbus\n",
            "{0}:1: cpu2: a core of a kind not supported: expected CPU.CortexM, found CPU.RiscV32",
        ),
        ("cpu2: CPU.CortexM @ sysbus\n    nvic: nvic0\n", "{0}:1: cpu2: no cpuType given"),
        ('cpu2: CPU.CortexM @ sysbus\n    cpuType: "x"\n', "{0}:1: cpu2: no nvic given"),
        (
            'cpu2: CPU.CortexM @ sysbus\n    cpuType: "x"\n    nvic: cpu0\n',
            "{2}:11: cpu2: cpu0 is no NVIC: expected IRQControllers.NVIC, found CPU.CortexM",
        ),
        ("cpu0:\n    PerformanceInMips: 0\n", "1:1: cpu0: PerformanceInMips out of range: expected 1..100000, found 0"),
        (
            's: Python.PythonPeripheral @ sysbus 0\n    size: 4\n    filename: "no.py"\n',
            "{2}:15: s: no script no.py",
        ),
        (
            f's: Python.PythonPeripheral @ sysbus 0\n    size: 4\n    filename: "{"a" * 300}.py"\n',
            f"{{2}}:15: s: no script {'a' * 300}.py",
        ),
        (
            "s: Python.PythonPeripheral @ sysbus 0\n    size: 4\n",
            "{0}:1: s: a script is needed: expected filename: or script:",
        ),
        (
            "s: Python.PythonPeripheral @ sysbus 0\n    script: ''''''\n",
            "{0}:1: s: a script without a size: expected size: bytes",
        ),
    ],
)
def test_an_error_names_file_line_and_column(bench, extra, message):
    lines = [str(START + n) for n in range(4)]
    assert bench.failure(extra) == "p.repl:" + message.format(*lines)


def test_a_line_out_of_range_says_how_many_the_platform_has(bench):
    message = bench.failure("u: X.Y @ sysbus 0\n    IRQ -> nvic0@300\n", "[cores.cpu0]\ninterrupts = 150\n")
    assert message == f"p.repl:{START + 1}:5: u: no interrupt 300 at nvic0 (it has 0..149)"


def test_one_address_may_belong_to_each_core_alone(bench):
    text = "".join(
        f"r{n}: Memory.MappedMemory @ sysbus new Bus.BusPointRegistration {{ address: 0; cpu: cpu{n} }}\n    size: 16\n"
        for n in (0, 1)
    )
    assert [len(bench.load(text).regions[n].extents(f"cpu{n}")) for n in (0, 1)] == [1, 1]


def test_a_platform_of_one_core_is_refused_with_those_that_have_a_pair(bench):
    one = bench.load(cores="".join(CORES.splitlines(keepends=True)[:5]))
    with pytest.raises(UsageError) as caught:
        refuse_without_pair(one)
    assert str(caught.value) == (
        "p: one core, and a pair needs two: expected mps2_an521 | nrf5340 | stm32h745 | a description with two CPU.CortexM, found cpu0; `rptwin new-platform` writes one to start from"
    )


def test_a_platform_whose_second_core_has_no_role_is_refused(bench):
    with pytest.raises(UsageError, match="a core for one role, and a pair has two"):
        refuse_without_pair(bench.load(settings='[roles]\nmain = "cpu1"\n'))


def test_a_pair_is_not_refused(bench):
    refuse_without_pair(bench.load())


def test_a_platform_without_a_core_is_refused(bench):
    assert bench.failure(cores="") == "p.repl: a platform without a core: expected name: CPU.CortexM @ sysbus"


DEVICES = (
    RAM
    + "uart: UART.X @ sysbus 0x2000\nbox: Python.PythonPeripheral @ sysbus 0x3000\n    size: 16\n    script: '''pass\n'''\n"
)
SETTINGS = """description = "a bench"

[roles]
main = "cpu1"
remote = "cpu0"

[cores.cpu0]
boot_address = 0x100
interrupts = 32

[consoles]
main = "uart"

[regions.ram]
writable = false
fill = 0xFF

[mailboxes.box]
lines = [{ core = "main", interrupt = 3, pending = 4, signalled = 8 }, { core = "cpu0", interrupt = 31, pending = 12 }]
"""


def test_settings_add_what_renode_never_sees(bench):
    platform = bench.load(DEVICES, SETTINGS)
    assert platform.description == "a bench"
    assert (platform.core("main").name, platform.core("remote").boot_address) == ("cpu1", 0x100)
    assert platform.core("remote").interrupts == 32
    assert platform.consoles == {"cpu1": "uart"}
    assert (platform.regions[0].writable, platform.regions[0].fill) == (False, 0xFF)
    assert [(each.core, each.interrupt, each.pending, each.signalled) for each in platform.mailboxes[0].lines] == [
        ("cpu1", 3, 4, 8),
        ("cpu0", 31, 12, None),
    ]


def test_a_chip_may_have_further_pairs_of_cores(bench):
    text = SETTINGS + '[pairs.back]\nmain = "cpu0"\nremote = "cpu1"\n'
    platform = bench.load(DEVICES, text)
    other = platform.with_pair("back")
    assert [each.core("main").name for each in (platform, other)] == ["cpu1", "cpu0"]
    assert (other.regions, other.mailboxes) == (platform.regions, platform.mailboxes)
    with pytest.raises(UsageError, match="no such pair of cores: expected back, found third"):
        platform.with_pair("third")


def test_a_line_may_have_an_event_register_for_each_channel(bench):
    """``events``: where no register has a bit for each channel that is signalled."""
    text = SETTINGS.replace("pending = 12", "pending = 12, events = { first = 4, channels = 2 }")
    line = bench.load(DEVICES, text).mailboxes[0].lines[1]
    assert line.events == (4, 8)
    assert line.look({12: 0b10, 4: 1, 8: 0}.__getitem__) == (0b10, 0b01)


def test_a_line_without_either_shows_what_is_pending_as_signalled(bench):
    without, with_signalled = reversed(bench.load(DEVICES, SETTINGS).mailboxes[0].lines)
    assert without.look({12: 6}.__getitem__) == (6, 6)
    assert with_signalled.look({4: 2, 8: 6}.__getitem__) == (2, 6)


def test_a_core_may_have_its_floating_point_unit_left_out(bench):
    assert bench.load(DEVICES, SETTINGS).core("remote").fpu
    assert not bench.load(DEVICES, SETTINGS.replace("interrupts = 32", "fpu = false")).core("remote").fpu


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("description =", "descriptoin =", "p.toml:1: descriptoin: unknown key: expected description | roles | pairs | consoles | "
         "cores | regions | mailboxes | connections | gates | models | renode | external"),
        ('description = "a bench"', 'models = { "UART.Y" = "y.py" }',
         "p.toml:1: models: no peripheral of this type: expected IRQControllers.NVIC | Python.PythonPeripheral | UART.X, found UART.Y"),
        ('description = "a bench"', 'models = { "UART.X" = "x.py" }', "p.toml:1: models: no file x.py for UART.X"),
        ('description = "a bench"', 'models = { "UART.X" = 3 }',
         "p.toml:1: models: wrong value for UART.X: expected a file, found 3"),
        ('"a bench"', "3", "p.toml:1: description: wrong value: expected a string, found 3"),
        ('remote = "cpu0"', 'slave = "cpu0"', "p.toml:5: roles.slave: unknown key: expected main | remote"),
        ('[roles]', '[pairs.second]\nmain = "cpu1"\nremote = "cpu7"\n\n[roles]',
         "p.toml:5: pairs.second.remote: no such core: expected cpu0 | cpu1, found cpu7"),
        ('[roles]', '[pairs.second]\nmain = "cpu1"\nremote = "cpu1"\n\n[roles]',
         "p.toml:3: pairs.second: one core cannot be both: found cpu1"),
        ('[roles]', '[pairs.second]\nmain = "cpu1"\n\n[roles]', "p.toml:8: pairs.second.remote: missing"),
        ('main = "cpu1"', 'main = "cpu7"', "p.toml:4: roles.main: no such core: expected cpu0 | cpu1, found cpu7"),
        ("boot_address = 0x100", "boot = 1", "p.toml:8: cores.cpu0.boot: unknown key: expected boot_address | interrupts | fpu"),
        ("0x100\n", "true\n", "p.toml:8: cores.cpu0.boot_address: wrong value: expected an integer, found True"),
        ("[cores.cpu0]", "[cores.cpu5]", "p.toml:7: cores.cpu5: no such core: expected cpu0 | cpu1, found cpu5"),
        ("interrupts = 32", "interrupts = 500", "p.toml:9: cores.cpu0.interrupts: out of range: expected 0..0x1f0, found 0x1f4"),
        ('main = "uart"', 'main = "ram"', "p.toml:12: consoles.main: no such UART: expected uart, found ram"),
        ('main = "uart"', 'm7 = "uart"', "p.toml:12: consoles.m7: no such core: expected main | remote | cpu0 | cpu1, found m7"),
        ("[regions.ram]", "[regions.rom]", "p.toml:14: regions.rom: no such memory: expected ram, found rom"),
        ("fill = 0xFF", "fill = 256", "p.toml:16: regions.ram.fill: out of range: expected 0..0xff, found 0x100"),
        ("writable = false", 'writable = "no"', "p.toml:15: regions.ram.writable: wrong value: expected true | false, found 'no'"),
        ("[mailboxes.box]", "[mailboxes.bix]", "p.toml:18: mailboxes.bix: no such peripheral: found bix"),
        ("interrupt = 31", "interrupt = 32", "p.toml:19: mailboxes.box.lines: no interrupt 32 at cpu0 (it has 0..31)"),
        ("pending = 12", "pending = 16", "p.toml:19: mailboxes.box.lines: an offset outside the peripheral: expected below 0x10, found 0x10"),
        ("pending = 12", "signalled = 12", "p.toml:19: mailboxes.box.lines[1].pending: missing"),
        ("interrupts = 32", "fpu = 1", "p.toml:9: cores.cpu0.fpu: wrong value: expected true | false, found 1"),
        ("pending = 12", "pending = 12, events = 8", "p.toml:19: mailboxes.box.lines[1].events: not a table: found 8"),
        ("pending = 12", "pending = 12, events = { first = 4 }", "p.toml:18: mailboxes.box.lines[1].events.channels: missing"),
        ("pending = 12", "pending = 12, events = { first = 4, channels = 33 }",
         "p.toml:19: mailboxes.box.lines[1].events.channels: out of range: expected 0..0x20, found 0x21"),
        ("pending = 12", "pending = 12, events = { first = 4, channels = 4 }",
         "p.toml:19: mailboxes.box.lines: an offset outside the peripheral: expected below 0x10, found 0x10"),
        ("signalled = 8", "signalled = 8, events = { first = 4, channels = 1 }",
         "p.toml:19: mailboxes.box.lines[0].events: there is `signalled` already: one of them is enough"),
        ("[roles]", "[roles", "p.toml:3:7: Expected ']' at the end of a table declaration"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_key_and_line(bench, old, new, message):
    assert old in SETTINGS
    assert bench.failure(DEVICES, SETTINGS.replace(old, new, 1)) == message


DRIVE = (
    SETTINGS.split("[mailboxes.box]", maxsplit=1)[0]
    + """
[mailboxes.box]
lines = [{ core = "cpu1", interrupt = 3, pending = 4 }]

[mailboxes.box.drive.main]
channels = 4
enabled = 8
enable = [{ write = 8 }]
clear = [{ write = 12 }]
ring = [{ read = 0, stride = 4 }, { write = 0, stride = 4, value = 0x300 }]
"""
)


CONNECTIONS = (
    SETTINGS
    + """
[connections.box]
enabled = 8
peripherals = ["uart"]
"""
)


def test_what_a_controller_connects_is_read(bench):
    assert bench.load(DEVICES, CONNECTIONS).connections == (Connections("box", 8, ("uart",)),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[connections.box]", "[connections.bix]", "connections.bix: no such peripheral: found bix"),
        ('["uart"]', '["urat"]', "connections.box: no such peripheral: found urat"),
        ('["uart"]', '["uart", 3]', "connections.box.peripherals: wrong value: expected an array of strings, found ['uart', 3]"),
        ('["uart"]', '["uart", "uart"]', "connections.box: uart is connected by box already"),
        ('peripherals = ["uart"]', "", "connections.box.peripherals: missing"),
        ("enabled = 8", "enabled = 16", "connections.box: an offset outside the peripheral: expected below 0x10, found 0x10"),
        ("enabled = 8", "enable = 8", "connections.box.enable: unknown key: expected enabled | peripherals"),
    ],
)  # fmt: skip
def test_a_wrong_connection_is_named_with_its_key(bench, old, new, message):
    assert old in CONNECTIONS
    assert bench.failure(DEVICES, CONNECTIONS.replace(old, new, 1)).split(": ", 1)[1] == message


GATES = (
    SETTINGS
    + """
[[gates]]
core = "remote"
target = "ram"
openers = ["main"]
block = 0x40
rights = "w"
refuses = false
keys = [{ name = "BOX.LOCK[n]", peripheral = "box", offset = 8, mask = 3, value = 1, stride = 2, shift = 1 }]
"""
)


def test_what_keeps_a_core_from_a_memory_is_read(bench):
    (gate,) = bench.load(DEVICES, GATES).gates
    key = GateKey("BOX.LOCK[n]", "box", 8, 3, 1, stride=2, shift=1)
    assert gate == Gate("cpu0", "ram", (key,), ("cpu1",), block=0x40, rights="w", refuses=False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('target = "ram"', 'target = "rom"', "gates[0].target: no such memory or peripheral: found rom"),
        ('core = "remote"', 'core = "other"', "gates[0].core: no such core: expected main | remote | cpu0 | cpu1, found other"),
        ('["main"]', '["other"]', "gates[0].openers: no such core: expected main | remote | cpu0 | cpu1, found other"),
        ("block = 0x40", "block = 0x30", "gates[0].block: no part of a memory: found 0x30"),
        ('rights = "w"', 'rights = "wo"', "gates[0].rights: wrong value: expected of r, w and x, found wo"),
        ('peripheral = "box"', 'peripheral = "bix"', "gates[0].keys[0].peripheral: no such peripheral: found bix"),
        ("offset = 8", "offset = 16", "gates[0].keys[0].offset: outside the peripheral: expected below 0x10, found 0x16"),
        ("mask = 3, ", "", "gates[0].keys[0].mask: missing"),
        ("keys = [", "kyes = [", "gates[0].kyes: unknown key: expected core | target | keys | openers | block | rights | refuses"),
    ],
)  # fmt: skip
def test_a_wrong_gate_is_named_with_its_key(bench, old, new, message):
    assert old in GATES
    assert bench.failure(DEVICES, GATES.replace(old, new, 1)).split(": ", 1)[1] == message


def test_the_steps_of_a_core_are_read_in_order(bench):
    (drive,) = bench.load(DEVICES, DRIVE).drives
    assert drive == MailboxDrive(
        "box",
        "cpu1",
        4,
        8,
        (MailboxStep(8, writes=True),),
        (MailboxStep(12, writes=True),),
        (MailboxStep(0, writes=False, stride=4), MailboxStep(0, writes=True, stride=4, value=0x300)),
    )


def test_a_mailbox_may_show_no_enables_or_have_none(bench):
    unseen = DRIVE.replace("enabled = 8\n", "")
    (write_only,) = bench.load(DEVICES, unseen).drives
    (absent,) = bench.load(DEVICES, unseen.replace("enable = [{ write = 8 }]\n", "")).drives
    assert (write_only.enabled, write_only.enable) == (None, (MailboxStep(8, writes=True),))
    assert (absent.enabled, absent.enable) == (None, ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("enabled = 8", "enabled = 16", "an offset outside the peripheral: expected below 0x10, found 0x10"),
        ("enable = [{ write = 8 }]\n", "", "drive.main.enable: missing"),
        ("clear = [{ write = 12 }]\n", "", "drive.main.clear: missing"),
        ("{ write = 12 }", "{ write = 12, read = 12 }", "one access: expected read or write, one of them"),
        ("{ write = 12 }", "{ value = 12 }", "one access: expected read or write, one of them"),
        ("{ write = 12 }", "{ poke = 12 }", "clear[0].poke: unknown key: expected read | write | stride | value"),
        ("drive.main", "drive.cm7", "no such core: expected main | remote | cpu0 | cpu1, found cm7"),
        ("channels = 4", "channels = 33", "drive.main.channels: out of range"),
    ],
)
def test_a_wrong_step_is_named(bench, old, new, message):
    assert old in DRIVE
    assert message in bench.failure(DEVICES, DRIVE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("extra", "settings", "words"),
    [
        ("x: A.B @ sysbus 0x50000000\n    p: " + "[" * 500 + "]" * 500 + "\n", None, "nested deeper than 64 levels"),
        (
            "x: A.B @ sysbus 0x50000000\n    p: " + "new A.B { p: " * 500 + "1" + "}" * 500,
            None,
            "nested deeper than 64",
        ),
        ("x: A.B @ sysbus 0x50000000\n    p: " + "9" * 5000 + "\n", None, "a number of more than 64 characters"),
        ("sysbus:\n    init:\n        Tag <0x25000, +" + "9" * 5000 + '> "x"\n', None, "a tag with a number of more"),
        ("cpu0:\n    init:\n        PerformanceInMips " + "9" * 5000 + "\n", None, "PerformanceInMips out of range"),
        ("cpu0:\n    PerformanceInMips: 0x7fffffffffffffff\n", None, "PerformanceInMips out of range"),
        ("nvic0:\n    systickFrequency: 0\n", None, "nvic0: systickFrequency: expected 1.."),
        ("x: A.B @ sysbus 0x50000000\n    frequency: 0\n", None, "x: frequency: expected 1.."),
        ("", "a = " + "[" * 5000, "p.toml:1: nested too deeply"),
        ("", "[cores.cpu0]\nboot_address = " + "9" * 5000 + "\n", "p.toml:2: a number with too many digits"),
    ],
    ids=["brackets", "inline", "digits", "tag", "statement", "mips", "systick", "frequency", "toml", "toml-digits"],
)
def test_deep_and_huge_text_is_an_error_of_the_platform(bench, extra, settings, words):
    assert words in bench.failure(extra, settings)


def test_numbers_of_a_tag_may_begin_with_zeros(bench):
    platform = bench.load('sysbus:\n    init:\n        Tag <0050000, 0050003> "x" 010\n')
    assert platform.tags == (("x", Extent(50000, 4), 10),)


@pytest.mark.parametrize("file", ["p.repl", "p.toml", "used.repl"])
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "large"])
def test_a_platform_is_made_of_files_of_bounded_size(bench, file, kind):
    bench.load("", "")
    path = bench.folder / file
    path.unlink(missing_ok=True)
    if file == "used.repl":
        (bench.folder / "p.repl").write_text('using "./used.repl"\n' + CORES)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "large":
        path.write_text("/" * ((1 << 20) + 1))
    else:
        path.symlink_to(kind)
    with pytest.raises(PlatformError, match=r"a FIFO|a device|larger than 1 MiB|no file ./used.repl"):
        load_platform(bench.folder / "p.repl")


@pytest.mark.parametrize("name", ["../../../../../../../../etc/passwd", "/etc/passwd", "secret.txt", "./link.repl"])
def test_a_description_uses_descriptions_alone_and_shows_nothing_of_other_files(bench, name):
    (bench.folder / "secret.txt").write_text("root:x:0:0\n")
    (bench.folder / "link.repl").symlink_to(bench.folder / "secret.txt")
    assert bench.failure(cores=f'using "{name}"\n' + CORES) == f"p.repl:1:1: {name} is no description: " + (
        "expected the name of a .repl file"
    )


def test_a_platforms_files_lie_in_its_folder_or_up_to_three_above(tmp_path):
    deep = tmp_path / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    (deep / "p.repl").write_text('using "x.repl"\n' + CORES)
    (tmp_path / "a" / "x.repl").write_text("")
    load_platform(deep / "p.repl")
    (tmp_path / "a" / "x.repl").rename(tmp_path / "x.repl")
    with pytest.raises(PlatformError, match=r"no file x\.repl"):
        load_platform(deep / "p.repl")
    (deep / "p.repl").write_text('using "../../../../x.repl"\n' + CORES)
    with pytest.raises(PlatformError, match=r"x.repl lies outside of the platform's folders: expected below .*a"):
        load_platform(deep / "p.repl")
