"""UARTE of the nRF5340 with memory, line and cable in the test's hands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.unicorn.devices.nrf.uart import NrfUart

STARTRX, STOPRX, STARTTX, STOPTX, FLUSHRX = 0x000, 0x004, 0x008, 0x00C, 0x02C
RXDRDY, ENDRX, TXDRDY, ENDTX, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED = (
    *(0x108, 0x110, 0x11C, 0x120),
    *(0x144, 0x14C, 0x150, 0x158),
)
SHORTS, INTEN, INTENSET, INTENCLR, ENABLE, RXD, TXD = 0x200, 0x300, 0x304, 0x308, 0x500, 0x518, 0x51C
RXD_PTR, RXD_MAXCNT, RXD_AMOUNT = 0x534, 0x538, 0x53C
TXD_PTR, TXD_MAXCNT, TXD_AMOUNT = 0x544, 0x548, 0x54C
UART, UARTE = 4, 8
RAM = 0x2000_0000


class UartBench:
    def __init__(self) -> None:
        self.ram = bytearray(256)
        self.sent = bytearray()
        self.levels: list[bool] = []
        self.touched: list[tuple[int, str]] = []
        self.logged: list[str] = []
        self.tick = 0
        self.due: int | None = None
        self.uart = NrfUart(self, self.levels.append, self, self.transmit, self)

    def now(self) -> int:
        return self.tick

    def wake_at(self, tick: int) -> None:
        assert tick > self.tick
        self.due = tick if self.due is None else min(self.due, tick)

    def pass_time(self) -> None:
        """Long enough for a byte, or for a buffer, on the line."""
        self.tick += 1 << 20
        if self.due is not None:
            self.due = None
            self.uart.wake()

    def transmit(self, data: bytes) -> None:
        self.sent += data

    def read(self, address: int, size: int) -> bytes | None:
        at = address - RAM
        return bytes(self.ram[at : at + size]) if at >= 0 and at + size <= len(self.ram) else None

    def write(self, address: int, data: bytes) -> bool:
        at = address - RAM
        if not 0 <= at <= len(self.ram) - len(data):
            return False
        self.ram[at : at + len(data)] = data
        return True

    def unmodelled(self, offset: int, text: str) -> None:
        self.touched.append((offset, text))

    def log(self, level: str, text: str) -> None:
        self.logged.append(text)

    def put(self, offset: int, value: int = 1) -> None:
        self.uart.write(offset, 4, value, "core")

    def get(self, offset: int) -> int:
        return self.uart.read(offset, 4, "core")

    def receive_into(self, offset: int, size: int) -> None:
        self.put(RXD_PTR, RAM + offset)
        self.put(RXD_MAXCNT, size)
        self.put(STARTRX)


@pytest.fixture
def bench() -> UartBench:
    bench = UartBench()
    bench.put(ENABLE, UARTE)
    return bench


@pytest.mark.parametrize(
    ("name", "offset", "after_reset", "writable"),
    [
        ("SHORTS", SHORTS, 0, 0x60),
        ("INTEN", INTEN, 0, 0x5A0397),
        ("ENABLE", ENABLE, 0, 0xF),
        ("PSEL.RTS", 0x508, 0xFFFFFFFF, 0x8000003F),
        ("PSEL.TXD", 0x50C, 0xFFFFFFFF, 0x8000003F),
        ("PSEL.CTS", 0x510, 0xFFFFFFFF, 0x8000003F),
        ("PSEL.RXD", 0x514, 0xFFFFFFFF, 0x8000003F),
        ("BAUDRATE", 0x524, 0x04000000, 0xFFFFFFFF),
        ("RXD.PTR", RXD_PTR, 0, 0xFFFFFFFF),
        ("RXD.MAXCNT", RXD_MAXCNT, 0, 0xFFFF),
        ("RXD.AMOUNT", RXD_AMOUNT, 0, None),
        ("TXD.PTR", TXD_PTR, 0, 0xFFFFFFFF),
        ("TXD.MAXCNT", TXD_MAXCNT, 0, 0xFFFF),
        ("TXD.AMOUNT", TXD_AMOUNT, 0, None),
        ("CONFIG", 0x56C, 0, 0x11F),
        ("ERRORSRC", 0x480, 0, 0),
    ],
)
def test_a_register_has_its_reset_value_and_its_bits(name, offset, after_reset, writable):
    """PS, UARTE, Registers."""
    bench = UartBench()
    assert bench.get(offset) == after_reset
    if writable is None:
        return
    for value in (0xFFFF_FFFF, 0):
        bench.put(offset, value)
        assert bench.get(offset) == value & writable
    bench.put(offset, 0xFFFF_FFFF)
    bench.uart.reset()
    assert bench.get(offset) == after_reset


def test_starttx_sends_what_lies_in_ram_and_ends(bench):
    """PS, UARTE, Transmission."""
    bench.ram[16:21] = b"hello"
    bench.put(INTENSET, 1 << 8)
    bench.put(TXD_PTR, RAM + 16)
    bench.put(TXD_MAXCNT, 5)
    bench.put(STARTTX)
    assert bench.sent == b"hello"
    assert bench.get(TXD_AMOUNT) == 5
    assert [bench.get(event) for event in (TXSTARTED, TXDRDY, ENDTX, TXSTOPPED)] == [1, 1, 1, 0]
    bench.put(STOPTX)
    assert bench.get(TXSTOPPED) == 1
    bench.put(ENDTX, 0)
    assert bench.levels == [True, False]


def test_what_is_not_ram_is_not_sent_and_said_so(bench):
    """PS, EasyDMA: it reaches RAM only; the transfer ends all the same."""
    bench.put(TXD_PTR, 0x0000_1000)
    bench.put(TXD_MAXCNT, 4)
    bench.put(STARTTX)
    assert bench.sent == b""
    assert bench.logged == ["EasyDMA reads 4 bytes at 0x00001000, which is not RAM: nothing is sent"]
    assert (bench.get(ENDTX), bench.get(TXD_AMOUNT)) == (1, 0)
    bench.receive_into(-0x1000, 1)
    bench.uart.receive(b"x")
    assert bench.logged[1] == "EasyDMA writes 1 bytes at 0x1ffff000, which is not RAM"


def test_a_full_buffer_ends_and_the_next_bytes_wait_for_a_new_one(bench):
    """PS, UARTE, Reception."""
    bench.put(INTENSET, 1 << 4)
    bench.receive_into(0, 3)
    bench.uart.receive(b"abcde")
    assert bench.ram[:5] == b"abc\0\0"
    assert (bench.get(ENDRX), bench.get(RXD_AMOUNT), bench.levels) == (1, 3, [True])
    bench.put(ENDRX, 0)
    assert bench.levels == [True, False]
    bench.receive_into(8, 3)
    assert bench.ram[8:11] == b"\0\0\0"
    bench.pass_time()
    assert bench.ram[8:11] == b"de\0"
    assert (bench.get(RXDRDY), bench.get(ENDRX)) == (1, 0)


def test_stoprx_ends_what_is_begun_before_it_times_out(bench):
    """PS, UARTE, Reception: ENDRX comes before RXTO, AMOUNT says how much came."""
    bench.receive_into(0, 8)
    bench.uart.receive(b"ab")
    bench.put(STOPRX)
    assert (bench.get(ENDRX), bench.get(RXTO), bench.get(RXD_AMOUNT)) == (1, 1, 2)
    bench.put(ENDRX, 0)
    bench.uart.receive(b"c")
    assert bench.get(ENDRX) == 0
    bench.put(FLUSHRX)
    assert (bench.get(ENDRX), bench.get(RXD_AMOUNT)) == (1, 0)


@pytest.mark.parametrize(("short", "goes_on"), [(1 << 5, True), (1 << 6, False)])
def test_a_short_starts_the_next_buffer_or_stops(bench, short, goes_on):
    """PS, UARTE, SHORTS."""
    bench.put(SHORTS, short)
    bench.receive_into(0, 2)
    bench.put(RXD_PTR, RAM + 32)
    bench.uart.receive(b"abcd")
    bench.put(ENDRX, 0)
    bench.pass_time()
    assert bench.ram[32:34] == (b"cd" if goes_on else b"\0\0")
    assert bench.get(RXTO) == (0 if goes_on else 1)


def test_nothing_is_received_or_sent_while_disabled(bench):
    """PS, UARTE, ENABLE."""
    bench.put(ENABLE, 0)
    bench.receive_into(0, 1)
    bench.put(TXD_MAXCNT, 1)
    bench.put(STARTTX)
    bench.uart.receive(b"x")
    assert (bench.get(ENDRX), bench.get(ENDTX), bench.sent) == (0, 0, b"")


def test_without_dma_rxd_and_txd_move_a_byte_each(bench):
    """nRF52840 PS, UART: RXDRDY is there again while bytes remain."""
    bench.put(ENABLE, UART)
    bench.put(INTENSET, 1 << 2)
    bench.put(STARTRX)
    bench.put(STARTTX)
    bench.put(TXD, ord("t"))
    assert (bench.sent, bench.get(TXDRDY)) == (b"t", 1)
    bench.uart.receive(b"ab")
    assert bench.uart.read(RXD, 4, None) == ord("a")  # the host looks and takes nothing
    got = []
    while bench.get(RXDRDY):
        bench.put(RXDRDY, 0)
        got.append(bench.get(RXD))
        bench.pass_time()
    assert bytes(got) == b"ab"
    assert bench.levels[-1] is False


def test_a_connection_is_kept_and_said_to_be_unmodelled(bench):
    """PS, DPPI."""
    bench.put(0x080, 0x8000_0003)
    bench.put(0x190, 3)
    assert (bench.get(0x080), bench.get(0x190)) == (0x8000_0003, 3)
    assert bench.touched == [(0x080, "register 0x080: a connection by DPPI")]


@pytest.mark.parametrize("offset", [0x010, 0x10C, 0x600])
def test_an_offset_without_a_register_is_reported(bench, offset):
    bench.get(offset)
    bench.put(offset)
    assert [at for at, _ in bench.touched] == [offset, offset]


@given(
    data=st.binary(max_size=200),
    cuts=st.lists(st.integers(1, 40), min_size=1),
    size=st.integers(1, 7),
    restarts=st.booleans(),
)
def test_every_byte_arrives_once_and_in_order_however_it_is_pasted(data, cuts, size, restarts):
    """A driver with one buffer that is restarted by its handler, or by the short with two buffers in turn."""
    bench = UartBench()
    bench.put(ENABLE, UARTE)
    bench.put(SHORTS, 1 << 5 if restarts else 0)
    got = bytearray()
    at = [0, 64]
    bench.receive_into(at[0], size)
    bench.put(RXD_PTR, RAM + at[1])

    def handle() -> None:
        bench.pass_time()
        while bench.get(ENDRX):
            got.extend(bench.ram[at[0] : at[0] + bench.get(RXD_AMOUNT)])
            if restarts:
                at.reverse()
                bench.put(RXD_PTR, RAM + at[1])
                bench.put(ENDRX, 0)
            else:
                bench.put(ENDRX, 0)
                bench.receive_into(at[0], size)
            bench.pass_time()

    rest = data
    for cut in cuts:
        bench.uart.receive(rest[:cut])
        rest = rest[cut:]
        handle()
    bench.uart.receive(rest)
    handle()
    bench.put(STOPRX)
    got.extend(bench.ram[at[0] : at[0] + bench.get(RXD_AMOUNT)])
    assert bytes(got) == data


def test_a_snapshot_keeps_what_waits(bench):
    bench.receive_into(0, 1)
    bench.uart.receive(b"abc")
    state = bench.uart.snapshot()
    bench.put(ENDRX, 0)
    bench.put(STARTRX)
    bench.uart.restore(state)
    bench.put(ENDRX, 0)
    bench.put(STARTRX)
    bench.pass_time()
    assert bench.ram[0] == ord("b")


def test_bytes_come_no_faster_than_the_line_carries_them(bench):
    """PS, UARTE, BAUDRATE: 115,200 baud of 10 bits are 86.8 us a byte, of 16 ticks to a microsecond."""
    bench.put(0x524, 0x01D60000)
    bench.receive_into(0, 4)
    bench.uart.receive(b"abcdef")
    assert bench.ram[:6] == b"abcd\0\0"
    bench.put(ENDRX, 0)
    bench.put(STARTRX)
    assert bench.due == pytest.approx(4 * 86.8 * 16, rel=0.01)


def test_it_is_steady_while_nothing_waits(bench):
    assert bench.uart.is_steady
    bench.uart.receive(b"a")
    assert not bench.uart.is_steady
