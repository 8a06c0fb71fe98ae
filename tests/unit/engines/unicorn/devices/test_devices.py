"""Devices on the bench: fake lines and clocks, no core."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.device_host import DeviceHost

from orchestrator.engines.unicorn.devices.arm.dwt import Dwt
from orchestrator.engines.unicorn.devices.device import Device, reads, register, registers, writes, written
from orchestrator.engines.unicorn.devices.stm32.usart import Stm32Usart
from orchestrator.engines.unicorn.devices.uart import UartConsole

CR1, CR2, CR3, ISR, ICR, RDR, TDR, RQR, BRR = 0x00, 0x04, 0x08, 0x1C, 0x20, 0x24, 0x28, 0x18, 0x0C
UE, RE, TE, RXNEIE, TCIE, TXEIE = 1, 4, 8, 0x20, 0x40, 0x80
RXNE, TC, TXE = 0x20, 0x40, 0x80


class UsartBench:
    """A USART with what came out of it and each change of its line."""

    def __init__(self) -> None:
        self.host = DeviceHost()
        self.levels: list[bool] = []
        self.sent = bytearray()
        self.usart = Stm32Usart(self.host, self.levels.append, self.sent.append)

    def get(self, offset: int) -> int:
        return self.usart.read(offset, 4, "cpu")

    def put(self, offset: int, value: int) -> None:
        self.usart.write(offset, 4, value, "cpu")


@pytest.fixture
def bench() -> UsartBench:
    return UsartBench()


def test_a_usart_is_empty_and_off_after_reset(bench):
    """RM0399 51.8: USART_ISR resets to TXE and TC."""
    assert bench.get(ISR) == TXE | TC
    assert [bench.get(offset) for offset in (0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x24, 0x2C)] == [0] * 8


def test_a_received_byte_is_shown_when_the_one_before_has_been_read(bench):
    bench.put(CR1, UE | RE)
    bench.usart.receive(b"ab")
    assert bench.get(ISR) & RXNE
    assert bench.get(RDR) == ord("a")
    assert bench.get(ISR) & RXNE
    assert bench.get(RDR) == ord("b")
    assert not bench.get(ISR) & RXNE
    assert bench.get(RDR) == 0


def test_bytes_wait_on_the_cable_until_the_receiver_is_on(bench):
    bench.usart.receive(b"a")
    assert not bench.get(ISR) & RXNE
    assert bench.get(RDR) == 0
    bench.put(CR1, UE | RE)
    assert bench.get(RDR) == ord("a")


def test_a_host_looks_without_taking(bench):
    bench.put(CR1, UE | RE)
    bench.usart.receive(b"a")
    assert [bench.usart.read(RDR, 4, None) for _ in range(2)] == [ord("a")] * 2
    assert bench.get(RDR) == ord("a")


def test_a_hundred_kilobytes_pasted_at_once_arrive_whole_and_in_order(bench):
    text = bytes((index * 7 + index // 251) & 0xFF for index in range(100_000))
    bench.put(CR1, UE | RE | RXNEIE)
    bench.usart.receive(text)
    received = bytearray()
    while bench.levels[-1]:
        received.append(bench.get(RDR))
    assert received == text
    assert bench.levels == [True, False]


def test_the_line_moves_only_on_a_change_of_level(bench):
    bench.put(CR1, UE | RE | RXNEIE)
    bench.usart.receive(b"a")
    bench.usart.receive(b"b")
    bench.put(CR1, UE | RE | RXNEIE)
    bench.get(RDR)
    bench.get(RDR)
    assert bench.levels == [True, False]


@pytest.mark.parametrize(("enable", "level"), [(TXEIE, True), (TCIE, True), (RXNEIE, False), (0, False)])
def test_each_enable_passes_its_own_condition(bench, enable, level):
    bench.put(CR1, UE | RE | TE | enable)
    assert (bench.levels or [False])[-1] is level


def test_nothing_interrupts_while_the_usart_is_off(bench):
    bench.put(CR1, RE | TE | TXEIE | TCIE | RXNEIE)
    bench.usart.receive(b"a")
    assert bench.levels == []


def test_transmission_takes_no_time_and_completes(bench):
    bench.put(CR1, UE | TE)
    bench.put(ICR, TC)
    assert not bench.get(ISR) & TC
    for byte in b"hi":
        bench.put(TDR, byte)
    assert bench.sent == b"hi"
    assert bench.get(ISR) & (TC | TXE) == TC | TXE


def test_nothing_is_sent_while_the_transmitter_is_off(bench):
    bench.put(CR1, UE)
    bench.put(TDR, 1)
    bench.put(CR1, TE)
    bench.put(TDR, 2)
    assert bench.sent == b""


def test_a_flush_request_drops_the_byte_that_is_shown(bench):
    bench.put(CR1, UE | RE)
    bench.usart.receive(b"ab")
    bench.put(RQR, 8)
    assert bench.get(RDR) == ord("b")


def test_enables_are_acknowledged(bench):
    bench.put(CR1, UE | RE | TE)
    assert bench.get(ISR) >> 21 & 3 == 3
    bench.put(CR1, RE | TE)
    assert bench.get(ISR) >> 21 & 3 == 0


def test_a_register_that_no_usart_has_is_unmodelled_for_a_core_and_not_for_the_host(bench):
    bench.get(0x30)
    bench.put(0x34, 1)
    bench.usart.read(0x30, 4, None)
    assert bench.host.touched == [0x30, 0x34]


def test_narrow_reads_see_their_part_of_a_register(bench):
    bench.put(CR1, UE | RE | TE)
    assert bench.usart.read(ISR + 2, 1, "cpu") == 0x60


FIFOEN, TXFEIE, RXFFIE, IDLEIE, RTOIE = 1 << 29, 1 << 30, 1 << 31, 1 << 4, 1 << 26
TXFE, RXFF, RXFT, TXFT, IDLE, RTOF = 1 << 23, 1 << 24, 1 << 26, 1 << 27, 1 << 4, 1 << 11


def test_the_fifo_flags_are_there_in_fifo_mode_only(bench):
    """RM0399 51.8.9 and 51.8.10: USART_ISR with FIFO mode on and off."""
    bench.put(CR1, UE | RE | TE)
    bench.usart.receive(bytes(16))
    assert bench.get(ISR) & (TXFE | RXFF | RXFT | TXFT) == 0
    bench.put(CR1, UE | RE | TE | FIFOEN)
    assert bench.get(ISR) & (TXFE | RXFF | RXFT | TXFT) == TXFE | RXFF | RXFT | TXFT


@pytest.mark.parametrize(("config", "bytes_"), [(0, 2), (1, 4), (2, 8), (3, 12), (4, 14), (5, 16)])
def test_the_receive_threshold_counts_bytes_of_sixteen(bench, config, bytes_):
    """RM0399 51.8.4, RXFTCFG: an eighth, a quarter, a half, three quarters, seven eighths, all of the FIFO."""
    bench.put(CR1, UE | RE | FIFOEN)
    bench.put(CR3, config << 25 | 1 << 28)
    bench.usart.receive(bytes(bytes_ - 1))
    assert (bench.get(ISR) & RXFT, bench.levels) == (0, [])
    bench.usart.receive(b"x")
    assert (bench.get(ISR) & RXFT, bench.levels) == (RXFT, [True])
    bench.get(RDR)
    assert bench.levels == [True, False]


@pytest.mark.parametrize(("enable", "level"), [(TXFEIE, True), (RXFFIE, False)])
def test_fifo_interrupts_are_passed_in_fifo_mode_only(bench, enable, level):
    bench.put(CR1, UE | RE | TE | enable)
    assert bench.levels == []
    bench.put(CR1, UE | RE | TE | enable | FIFOEN)
    assert bench.levels == [True] * level


def test_a_full_receive_fifo_interrupts(bench):
    bench.put(CR1, UE | RE | RXFFIE | FIFOEN)
    bench.usart.receive(bytes(15))
    assert bench.levels == []
    bench.usart.receive(b"x")
    assert bench.levels == [True]


def test_the_line_is_idle_when_all_that_came_has_been_read(bench):
    """RM0399 51.8.10, IDLE; cleared by IDLECF."""
    bench.put(CR1, UE | RE | IDLEIE)
    bench.usart.receive(b"ab")
    bench.get(RDR)
    assert (bench.get(ISR) & IDLE, bench.levels) == (0, [])
    bench.get(RDR)
    assert (bench.get(ISR) & IDLE, bench.levels) == (IDLE, [True])
    bench.put(ICR, IDLE)
    assert (bench.get(ISR) & IDLE, bench.levels) == (0, [True, False])


@pytest.mark.parametrize(("control", "flag"), [(1 << 23, RTOF), (0, 0)])
def test_the_receiver_times_out_where_that_is_enabled(bench, control, flag):
    """RM0399 51.8.10, RTOF; RTOEN of CR2."""
    bench.put(CR1, UE | RE | RTOIE)
    bench.put(CR2, control)
    bench.usart.receive(b"a")
    bench.get(RDR)
    assert (bench.get(ISR) & RTOF, bench.levels) == (flag, [True] * bool(flag))


def test_reset_lowers_the_line_and_keeps_what_waits(bench):
    bench.put(CR1, UE | RE | RXNEIE)
    bench.usart.receive(b"a")
    bench.usart.reset()
    assert bench.levels == [True, False]
    bench.put(CR1, UE | RE)
    assert bench.get(RDR) == ord("a")


def test_a_restored_usart_has_what_it_had(bench):
    bench.put(CR1, UE | RE)
    bench.put(BRR, 0x1234)
    bench.usart.receive(b"abc")
    saved = bench.usart.snapshot()
    bench.get(RDR)
    bench.put(BRR, 1)
    for _ in range(2):
        bench.usart.restore(saved)
        assert bench.get(BRR) == 0x1234
        assert bytes(bench.get(RDR) for _ in range(3)) == b"abc"


def test_a_console_keeps_all_output_and_settles_before_input():
    order = []
    console = UartConsole("usart", lambda: order.append("settled"))
    console.connect(order.append)
    for byte in b"xy":
        console.transmit(byte)
    console.write(b"in")
    assert console.output == b"xy"
    assert order == ["settled", b"in"]
    saved = console.save()
    console.transmit(0)
    console.load(saved)
    assert console.output == b"xy"


# --- DWT


class CycleClock:
    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        return self.now


def test_the_cycle_counter_counts_while_it_is_enabled():
    """DDI0403E C1.8.7, C1.8.8."""
    clock = CycleClock()
    dwt = Dwt(DeviceHost(), clock)
    assert dwt.read(0, 4, "cpu") >> 28 == 4  # comparators
    clock.now += 50
    assert dwt.read(4, 4, "cpu") == 0
    dwt.write(0, 4, 1, "cpu")
    clock.now += 70
    assert dwt.read(4, 4, "cpu") == 70
    dwt.write(4, 4, 5, "cpu")
    clock.now += 1
    assert dwt.read(4, 4, "cpu") == 6
    dwt.write(0, 4, 0, "cpu")
    clock.now += 100
    assert dwt.read(4, 4, "cpu") == 6
    dwt.write(0, 4, 1, "cpu")
    clock.now += 1
    assert dwt.read(4, 4, "cpu") == 7


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_the_cycle_counter_wraps_at_32_bits(start, wait):
    clock = CycleClock()
    dwt = Dwt(DeviceHost(), clock)
    dwt.write(0, 4, 1, "cpu")
    dwt.write(4, 4, start, "cpu")
    clock.now += wait
    assert dwt.read(4, 4, "cpu") == (start + wait) & 0xFFFFFFFF


def test_the_dwt_is_never_locked():
    dwt = Dwt(DeviceHost(), CycleClock())
    dwt.write(0xFB0, 4, 0xC5ACCE55, "cpu")
    assert dwt.read(0xFB4, 4, "cpu") == 0


def test_a_comparator_is_storage_and_one_that_is_told_to_match_is_unmodelled():
    """DDI0403E C1.8.14 to C1.8.16; RTOSes clear them when they start."""
    host = DeviceHost()
    dwt = Dwt(host, CycleClock())
    for offset, value in ((0x30, 0x38000000), (0x34, 4), (0x38, 0)):
        dwt.write(offset, 4, value, "cpu")
        assert dwt.read(offset, 4, "cpu") == value
    assert host.touched == []
    dwt.write(0x38, 4, 6, "cpu")
    assert host.touched == [0x38]


# --- the base of devices


def test_two_handlers_of_one_register_are_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match=r"Twice: .* and .* both serve reads at 0x004"):

        class Twice(Device):
            @reads(4)
            def one(self) -> int:
                return 1

            @reads(4)
            def other(self) -> int:
                return 2


def test_a_declared_register_keeps_the_bits_that_it_has_and_is_in_a_snapshot():
    class Kept(Device):
        one: int = register(4, mask=0xF0, reset=0x10)
        fixed: int = register(8, reset=7, writable=False)
        row: list[int] = registers(0x10, 2, mask="width")
        width = 0xFF

        def __init__(self, host: DeviceHost) -> None:
            super().__init__(host)
            self.clear_registers()
            self.effects: list[int] = []

        @written(4)
        @written(0x14)
        def see(self) -> None:
            self.effects.append(self.one)

    host = DeviceHost()
    kept = Kept(host)
    assert [kept.read(offset, 4, "cpu") for offset in (4, 8, 0x10, 0x14)] == [0x10, 7, 0, 0]
    for offset in (4, 8, 0x10, 0x14):
        kept.write(offset, 4, 0x1A5 + offset, "cpu")
    assert [kept.read(offset, 4, "cpu") for offset in (4, 8, 0x10, 0x14)] == [0xA0, 7, 0xB5, 0xB9]
    assert (kept.effects, host.touched) == ([0xA0, 0xA0], [8])
    before = kept.snapshot()
    kept.clear_registers()
    assert (kept.one, kept.row) == (0x10, [0, 0])
    kept.restore(before)
    assert (kept.one, kept.row) == (0xA0, [0xB5, 0xB9])
    assert Kept(host).row == [0, 0]


def test_snapshots_of_a_device_in_which_nothing_changed_are_one():
    class Kept(Device):
        one: int = register(4)
        row: list[int] = registers(8, 2)
        state = ("seen",)

        def __init__(self, host: DeviceHost) -> None:
            super().__init__(host)
            self.clear_registers()
            self.seen = [0]

    kept = Kept(DeviceHost())
    first = kept.snapshot()
    assert kept.snapshot() is first
    kept.seen.append(1)
    second = kept.snapshot()
    kept.write(8, 4, 7, "cpu")
    assert first != second != kept.snapshot()
    for state, seen in ((first, [0]), (second, [0, 1])):
        kept.restore(state)
        assert (kept.seen, kept.row) == (seen, [0, 0])
        assert kept.snapshot() is state
        kept.seen.append(2)  # of its own, not of the snapshot's


def test_a_register_that_is_declared_twice_is_refused():
    with pytest.raises(TypeError, match=r"Twice: .* and .* both serve reads at 0x008"):

        class Twice(Device):
            row: list[int] = registers(4, 2)

            @reads(8)
            def other(self) -> int:
                return 2


def test_an_effect_of_a_register_that_nobody_declared_is_refused():
    with pytest.raises(TypeError, match="Lost: see follows writes of 0x004, where no register is declared"):

        class Lost(Device):
            @written(4)
            def see(self) -> None: ...


def test_one_register_may_have_a_reader_and_a_writer_and_a_handler_two_registers():
    class Pair(Device):
        state = ("kept",)

        def __init__(self) -> None:
            super().__init__(DeviceHost())
            self.kept = 7

        @reads(0)
        @reads(8)
        def get(self) -> int:
            return self.kept

        @writes(0)
        def put(self, value: int) -> None:
            self.kept = value

        def reset(self) -> None:
            self.kept = 0

    device = Pair()
    device.write(0, 4, 9, "cpu")
    assert (device.read(0, 4, "cpu"), device.read(8, 4, "cpu")) == (9, 9)
    device.write(8, 4, 1, "cpu")
    assert device._host.touched == [8]
