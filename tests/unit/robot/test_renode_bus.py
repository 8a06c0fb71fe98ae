"""What a running Renode says of its machine: texts of a Renode 1.16.1 with an exported stm32h745, shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.formats.elf import Image, Segment, SegmentFlag
from orchestrator.platform.model import Region, Registration
from orchestrator.robot.renode_bus import RenodeBus, RenodeMemory, bus_of

LISTING = """Available peripherals:

  sysbus (SystemBus)
  │   
  ├── art (PythonPeripheral)
  │       <0x40024400, 0x400247FF>
  │       
  ├── cpu_cm4 (CortexM)
  │       Slot: 1
  │       
  ├── cpu_cm7 (CortexM)
  │       Slot: 0
  │       
  ├── itcm (MappedMemory)
  │       <0x00000000, 0x0000FFFF> for core [CPU: stm32h745.cpu_cm7[0]]
  │       
  ├── nvic_cm4 (NVIC)
  │       <0xE000E000, 0xE000EFFF> for core [CPU: stm32h745.cpu_cm4[1]]
  │       
  ├── sram3 (MappedMemory)
  │       <0x30040000, 0x30047FFF>
  │       <0x10040000, 0x10047FFF> for core [CPU: stm32h745.cpu_cm4[1]]
  │       
  └── usart6 (STM32F7_USART)
          <0x40011400, 0x400117FF>
          
"""  # noqa: W291, W293  # as Renode prints it
SRAM3 = Region(
    "sram3",
    0x8000,
    (Registration(0x3004_0000, None, 0x8000), Registration(0x1004_0000, "cpu_cm4", 0x8000)),
)
ITCM = Region("itcm", 0x1_0000, (Registration(0, "cpu_cm7", 0x1_0000),))
# 20 bytes, ten in a line, as the monitor prints them
BYTES = """[
0x01, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 
0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x20, 0x00, 0x00, 0x00, 
]"""  # noqa: W291


def test_cores_come_in_the_order_of_their_slots_and_memory_with_who_sees_it():
    assert bus_of(LISTING) == RenodeBus(("cpu_cm7", "cpu_cm4"), (ITCM, SRAM3))


def test_colours_change_nothing():
    assert bus_of(LISTING.replace("sram3", "\x1b[33msram3\x1b[0m")) == bus_of(LISTING)


def test_a_machine_and_a_core_may_have_any_name():
    odd = LISTING.replace("stm32h745.cpu_cm4[1]", "my board v1.2.cpu_cm4[1]")
    assert bus_of(odd) == bus_of(LISTING)


def test_a_part_of_memory_that_is_seen_elsewhere_is_a_region_of_its_own():
    listing = LISTING.replace("<0x10040000, 0x10047FFF>", "<0x10040000, 0x10040FFF>")
    part = Region("sram3_1000", 0x1000, (Registration(0x1004_0000, "cpu_cm4", 0x1000),))
    assert bus_of(listing).regions == (ITCM, Region("sram3", 0x8000, SRAM3.registrations[:1]), part)


def image(address: int) -> Image:
    code = Segment(0, 0, address, address, bytes(0x100), 0x100, SegmentFlag.EXECUTE | SegmentFlag.READ)
    return Image(Path("x.elf"), "x.elf", address, (code,), (), (), b"", ())


class Monitor:
    """Answers as a paused machine would."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, command: str) -> str:
        self.asked.append(command)
        return self.answers[command.split(maxsplit=1)[0].rpartition(".")[2]]


MAIN, REMOTE = 0x0800_0000, 0x0810_0000
IMAGES = {"main": MAIN, "remote": REMOTE}


def roles(cores: tuple[str, ...], pcs: dict[str, int], **given: str) -> dict[str, str]:
    monitor = Monitor(**{core: f"{pc:#x}" for core, pc in pcs.items()})
    images = {role: image(address) for role, address in IMAGES.items()}
    return RenodeBus(cores, ()).roles(images, given, monitor)


def test_a_core_has_the_role_of_the_image_that_it_executes():
    assert roles(("a", "b"), {"a": REMOTE + 8, "b": MAIN + 8}) == {"main": "b", "remote": "a"}


def test_a_core_that_executes_neither_has_what_is_left():
    assert roles(("a", "b"), {"a": 0x1FF0_0000, "b": MAIN + 8}) == {"main": "b", "remote": "a"}


def test_two_cores_that_execute_neither_come_in_order():
    assert roles(("a", "b"), {"a": 0xEFFF_FFFE, "b": 0xEFFF_FFFE}) == {"main": "a", "remote": "b"}


def test_a_core_that_is_named_is_taken():
    assert roles(("a", "b"), {"a": MAIN, "b": REMOTE}, main="sysbus.b") == {"main": "b", "remote": "a"}


def test_of_three_cores_those_that_run_the_images_are_the_pair():
    pcs = {"a": 0x1FF0_0000, "b": REMOTE, "c": MAIN}
    assert roles(("a", "b", "c"), pcs) == {"main": "c", "remote": "b"}


def test_cores_that_cannot_be_told_apart_are_to_be_named():
    with pytest.raises(UsageError, match="main_core= and remote_core=, found a, b, c"):
        roles(("a", "b", "c"), {"a": 0, "b": 0, "c": 0})


def test_a_core_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match=r"expected a \| b, found sysbus.c"):
        roles(("a", "b"), {"a": MAIN, "b": REMOTE}, main="sysbus.c")


def memory(size: int = 20) -> tuple[RenodeMemory, Monitor]:
    monitor = Monitor(sysbus=BYTES)
    region = Region("ram", size, (Registration(0x3004_0000, "cpu", size),))
    return RenodeMemory("cpu", [region], monitor), monitor


def test_memory_is_read_once_as_the_core_sees_it():
    ram, monitor = memory()
    assert ram.read(0x3004_0004, 1) == b"\x03"
    assert ram.read(0x3004_000C, 8) == bytes.fromhex("0000ffff20000000")
    assert monitor.asked == ["sysbus ReadBytes 0x30040000 20 true sysbus.cpu"]


@pytest.mark.parametrize("extent", [Extent(0x3003_FFFF, 2), Extent(0x3004_0010, 8), Extent(0, 1)], ids=str)
def test_what_the_core_does_not_see_is_not_read(extent):
    ram, monitor = memory()
    with pytest.raises(TranslationError, match="no memory"):
        ram.read(extent.start, extent.size)
    assert monitor.asked == []


def test_an_answer_that_is_not_the_bytes_is_named():
    ram, _ = memory(size=24)
    with pytest.raises(TranslationError, match="not read by Renode: expected 24"):
        ram.read(0x3004_0000, 4)


def test_nothing_is_written():
    ram, _ = memory()
    with pytest.raises(TranslationError, match="only read here"):
        ram.write(0x3004_0000, b"x")


def test_the_machine_is_a_platform_whose_cores_boot_where_their_images_say():
    bus = bus_of(LISTING)
    platform = bus.platform("board", {"main": "cpu_cm7", "remote": "cpu_cm4"}, {})
    assert platform.path == Path("board")
    assert platform.aliases("cpu_cm7", 0x3004_0010) == (
        ("cpu_cm7", 0x3004_0010),
        ("cpu_cm4", 0x3004_0010),
        ("cpu_cm4", 0x1004_0010),
    )
