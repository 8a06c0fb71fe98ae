"""Messages through virtqueues: between two sides in Python, and echoed by an emulated remote under the Python host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.board import Board
from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.virtqueue import BufferMemory, PackedDevice, PackedDriver, Segment, SplitDevice, SplitDriver

__all__ = ["SIZES", "echo", "passing"]

SIZES = (2, 16, 128, 1024)
_BUFFERS = 0x20000
_MESSAGE = bytes(64)


def passing(num: int, *, packed: bool = False) -> Callable[[int], None]:
    """A queue of ``num`` entries, kept half full; the call passes so many messages of 64 bytes through it."""
    memory = BufferMemory("bench", 0, bytearray(_BUFFERS + 0x1000))
    driver: SplitDriver | PackedDriver
    device: SplitDevice | PackedDevice
    if packed:
        places = PackedLayout.contiguous(0, num)
        driver, device = PackedDriver(memory, places), PackedDevice(memory, places)
    else:
        layout = RingLayout.legacy(0, num, 64)
        driver, device = SplitDriver(memory, layout), SplitDevice(memory, layout)
    driver.reset()
    buffer = [Segment(_BUFFERS, len(_MESSAGE))]
    for _ in range(num // 2 - 1):
        driver.offer(buffer)

    def run(messages: int) -> None:
        for _ in range(messages):
            memory.write(_BUFFERS, _MESSAGE)
            driver.offer(buffer)
            driver.should_notify()
            chain = device.take()
            assert chain is not None
            chain.read()
            device.give_back(chain)
            device.should_notify()
            driver.pop()

    return run


def echo(remote: Path, messages: int, window: int) -> Callable[[], None]:
    """A booted remote; the call has it echo so many messages, of which so many are under way at a time."""
    board = Board(remote=remote)
    endpoint = board.host.endpoint("rptwin-echo")

    def run() -> None:
        for _ in range(window):
            endpoint.send(_MESSAGE)
        for sent in range(messages):
            endpoint.receive()
            if sent + window < messages:
                endpoint.send(_MESSAGE)

    return run
