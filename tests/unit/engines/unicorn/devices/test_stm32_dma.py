"""DMA streams on the bench, with a USART and a piece of memory (RM0399 ch. 15)."""

from __future__ import annotations

import pytest
from support.device_host import DeviceHost

from orchestrator.engines.unicorn.devices.stm32.dma import Stm32Dma
from orchestrator.engines.unicorn.devices.stm32.usart import Stm32Usart

LISR, HISR, LIFCR, HIFCR = 0x00, 0x04, 0x08, 0x0C
EN, TEIE, HTIE, TCIE, TO, M2M, CIRC, PINC, MINC = 1, 4, 8, 16, 1 << 6, 2 << 6, 1 << 8, 1 << 9, 1 << 10
TE, HT, TC = 1 << 3, 1 << 4, 1 << 5
USART = 0x4000_4800
RDR, TDR = USART + 0x24, USART + 0x28


class Memory:
    def __init__(self) -> None:
        self.bytes = bytearray(0x1000)

    def read(self, address: int, size: int) -> bytes | None:
        return bytes(self.bytes[address : address + size]) if address + size <= len(self.bytes) else None

    def write(self, address: int, data: bytes) -> bool:
        if address + len(data) > len(self.bytes):
            return False
        self.bytes[address : address + len(data)] = data
        return True


class DmaBench:
    def __init__(self) -> None:
        self.host, self.memory, self.sent = DeviceHost(), Memory(), bytearray()
        self.levels: list[tuple[int, bool]] = []
        self.usart = Stm32Usart(self.host, lambda level: None, self.sent.append)
        self.usart.write(0x00, 4, 0x0D, "cpu")
        lines = [lambda level, stream=stream: self.levels.append((stream, level)) for stream in range(8)]
        self.dma = Stm32Dma(self.host, self.memory, lambda a: self.usart if a in (RDR, TDR) else None, lines)

    def requests(self, bits: int) -> None:
        self.usart.write(0x08, 4, bits, "cpu")

    def start(self, stream: int, control: int, *, par: int, m0ar: int = 0x100, count: int = 8) -> None:
        at = 0x10 + 0x18 * stream
        for offset, value in ((4, count), (8, par), (12, m0ar), (0, control | EN)):
            self.dma.write(at + offset, 4, value, "cpu")

    def get(self, offset: int) -> int:
        return self.dma.read(offset, 4, "cpu")

    def stream(self, stream: int, register: int) -> int:
        return self.get(0x10 + 0x18 * stream + register)


@pytest.fixture
def bench() -> DmaBench:
    return DmaBench()


def test_a_text_is_sent_when_the_usart_asks_for_it(bench):
    bench.memory.write(0x100, b"hello, w")
    bench.start(1, TO | MINC | TCIE, par=TDR)
    assert bench.sent == b""
    bench.requests(0x80)
    assert bench.sent == b"hello, w"
    assert (bench.stream(1, 0) & EN, bench.stream(1, 4), bench.get(LISR)) == (0, 0, (HT | TC) << 6)
    assert bench.levels == [(1, True)]
    bench.dma.write(LIFCR, 4, TC << 6, "cpu")
    assert bench.levels == [(1, True), (1, False)]


def test_what_comes_in_is_put_into_memory(bench):
    bench.requests(0x40)
    bench.start(5, MINC | HTIE | TCIE, par=RDR)
    bench.usart.receive(b"abc")
    assert (bench.memory.read(0x100, 4), bench.stream(5, 4), bench.get(HISR)) == (b"abc\0", 5, 0)
    bench.usart.receive(b"defghij")
    assert (bench.memory.read(0x100, 9), bench.stream(5, 4)) == (b"abcdefgh\0", 0)
    assert bench.get(HISR) == (HT | TC) << 6
    assert bench.usart.read(0x24, 1, "cpu") == ord("i")


def test_a_circular_buffer_waits_for_the_firmware_so_nothing_is_lost(bench):
    """Interrupts at half and end, as HAL and NuttX use it: each half is read when its flag is seen."""
    text = bytes(range(256)) * 40 + b"tail"
    bench.requests(0x40)
    bench.start(0, MINC | CIRC | HTIE | TCIE, par=RDR, count=64)
    bench.usart.receive(text)
    taken, place = bytearray(), 0
    while flags := bench.get(LISR):
        end = 32 if flags & HT else 64
        taken += bench.memory.read(0x100 + place, end - place) or b""
        place = end % 64
        bench.dma.write(LIFCR, 4, flags, "cpu")
    taken += bench.memory.read(0x100 + place, 64 - bench.stream(0, 4) - place) or b""
    assert taken == text


def test_memory_is_copied_at_once(bench):
    bench.memory.write(0x200, b"0123456789abcdef")
    bench.start(3, M2M | PINC | MINC | 2 << 11 | 2 << 13, par=0x200, count=4)
    assert bench.memory.read(0x100, 16) == b"0123456789abcdef"
    assert bench.get(LISR) == (HT | TC) << 22


@pytest.mark.parametrize(("direction", "par"), [(0, RDR), (TO, TDR), (M2M, 0x200)])
def test_memory_that_cannot_be_reached_is_a_transfer_error(bench, direction, par):
    bench.requests(0xC0)
    bench.start(2, direction | MINC | TEIE, par=par, m0ar=0x2000_0000)
    bench.usart.receive(b"abc")
    assert bench.get(LISR) == TE << 16
    assert bench.levels == [(2, True)]
    assert bench.stream(2, 0) & EN == 0


def test_another_peripheral_is_said_to_be_unmodelled(bench):
    bench.start(4, MINC, par=0x4001_300C)
    assert bench.host.touched == [0x10 + 0x18 * 4]


def test_registers_of_a_stream_that_runs_are_write_protected(bench):
    """RM0399 15.5.6, NDTR."""
    bench.start(6, MINC, par=RDR)
    bench.dma.write(0x10 + 0x18 * 6 + 4, 4, 99, "cpu")
    assert bench.stream(6, 4) == 8


def test_a_reset_lowers_the_lines(bench):
    bench.requests(0x80)
    bench.start(1, TO | MINC | TCIE, par=TDR)
    bench.dma.reset()
    assert bench.levels == [(1, True), (1, False)]
