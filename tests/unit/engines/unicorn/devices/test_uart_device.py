"""What a UART says of itself to native code: which registers read the same until when, and which writes only send."""

from __future__ import annotations

import random

import pytest
from support.device_host import DeviceHost

from orchestrator.engines.unicorn.devices.arm.cmsdk_uart import CmsdkUart
from orchestrator.engines.unicorn.devices.stm32.usart import Stm32Usart

CORE = "cpu"


class Rig:
    """A UART with what comes out of it."""

    def __init__(self, kind: str) -> None:
        self.host = DeviceHost()
        self.sent: list[int] = []
        self.levels: list[bool] = []
        if kind == "stm32":
            self.uart = Stm32Usart(self.host, self.levels.append, self.sent.append)
        else:
            self.uart = CmsdkUart(self.host, self.levels.append, self.levels.append, self.sent.append)
        self.uart.reset()

    def seen(self) -> dict[tuple[int, int], int]:
        """All that native code may answer now."""
        offsets = [(offset, size) for offset in range(0x30) for size in (1, 2, 4)]
        return {each: self.uart.read(*each, CORE) for each in offsets if self.uart.stands(*each, CORE)}


def _act(rig: Rig, chance: random.Random, kept: list[object]) -> None:
    uart = rig.uart
    act = chance.randrange(12)
    if act == 0:
        uart.receive(bytes(chance.randrange(1, 4)))
    elif act == 1:
        uart.read(chance.choice((0, 0x24)), 4, CORE)
    elif act == 2:
        kept.append(uart.snapshot())
    elif act == 3 and kept:
        uart.restore(chance.choice(kept))
    elif act == 4:
        uart.reset()
    elif act == 5 and isinstance(uart, Stm32Usart):
        chance.choice((lambda: uart.dma_take(2), lambda: uart.dma_send(b"ab")))()
    elif act < 8:
        uart.write(uart.sends_at, chance.choice((1, 2, 4)), chance.getrandbits(32), CORE)
    else:
        value = chance.choice((0xD, 0x5, 0xF, 0x4D, 0xFF, chance.getrandbits(32)))
        uart.write(chance.choice((0, 8, 0xC, 0x18, 0x20, 0x28)), 4, value, chance.choice((CORE, None)))


@pytest.mark.parametrize("kind", ["stm32", "cmsdk"])
@pytest.mark.parametrize("seed", range(10))
def test_what_stands_does_until_the_version_changes(kind, seed):
    rig, chance = Rig(kind), random.Random(seed)
    kept: list[object] = []
    stood = 0
    for _ in range(400):
        version, seen = rig.uart.version[0], rig.seen()
        _act(rig, chance, kept)
        if rig.uart.version[0] == version:
            stood += 1
            assert rig.seen() == seen
    assert stood > 20


@pytest.mark.parametrize("kind", ["stm32", "cmsdk"])
@pytest.mark.parametrize("seed", range(10))
def test_a_write_that_only_sends_does_nothing_else(kind, seed):
    rig, chance = Rig(kind), random.Random(seed)
    kept: list[object] = []
    sends = 0
    for _ in range(400):
        _act(rig, chance, kept)
        uart = rig.uart
        for offset in range(0x30):
            if uart.sends(offset):
                sends += 1
                before = uart.snapshot(), uart.version[0], [*rig.levels]
                value, size = chance.getrandbits(32), chance.choice((1, 2, 4))
                said = len(rig.sent)
                uart.write(offset, size, value, CORE)
                assert (uart.snapshot(), uart.version[0], rig.levels) == before
                assert rig.sent[said:] == [value & 0xFF]
    assert sends > 20


@pytest.mark.parametrize("kind", ["stm32", "cmsdk"])
def test_what_stands_is_modelled_and_takes_no_byte(kind):
    rig = Rig(kind)
    rig.uart.write(0 if kind == "stm32" else 8, 4, 0xD if kind == "stm32" else 3, CORE)
    rig.uart.receive(b"xy")
    before = rig.uart.snapshot()
    assert rig.seen()
    assert rig.uart.snapshot() == before
    assert not rig.uart.stands(0x100, 4, CORE)
