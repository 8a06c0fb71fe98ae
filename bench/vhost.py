"""Frames each second over vhost-user, with DPDK's testpmd as the driver, as the device, or as both."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.board import Board
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host import Network
from orchestrator.vhost_user import BridgeOptions, Frontend, RegionEntry, Server, SharedRegion
from orchestrator.vhost_user.messages import VringAddress
from orchestrator.virtqueue import BufferMemory, Negotiated, Segment, SplitDriver

__all__ = ["missing", "of_board", "of_dpdk", "of_ours", "round_trips"]

_SECONDS = 5.0
_FRAMES = 10_000
_HEADER = 12  # bytes, of VERSION_1
_MEMORY = 0x10000


def missing() -> str | None:
    """Why nothing can be measured here."""
    if shutil.which("dpdk-testpmd") is None:
        return "needs dpdk-testpmd: sudo apt-get install dpdk-dev"
    return "needs two processors" if len(os.sched_getaffinity(0)) < 2 else None


def of_ours() -> float:
    """An echo in Python that polls, on processor 0; testpmd's driver polls on processor 1."""
    frames = 0

    def answer(frame: bytes) -> bytes:
        nonlocal frames
        frames += 1
        return frame

    device = Network()
    device.on_frame = answer
    before = os.sched_getaffinity(0)
    with _path() as path, Server(str(path), device, polls=True) as server:
        thread = threading.Thread(target=server.run)
        os.sched_setaffinity(0, {0})
        thread.start()
        try:
            with _testpmd(_driver(path), "io", 1, "--tx-first"):
                while not frames:
                    time.sleep(0.01)
                begin, at = frames, time.perf_counter()
                time.sleep(_SECONDS)
                return (frames - begin) / (time.perf_counter() - at)
        finally:
            server.stop()
            thread.join()
            os.sched_setaffinity(0, before)


def of_dpdk() -> float:
    """DPDK's own device, which polls on processor 0, in the place of ours."""
    with _path() as path, _testpmd(f"net_vhost0,iface={path},queues=1", "io", 0):
        while not path.is_socket():
            time.sleep(0.01)
        with _testpmd(_driver(path), "io", 1, "--tx-first") as driver:
            begin = time.perf_counter()
            time.sleep(2 * _SECONDS)  # its start included: what it does not forward, it does not count
            took = time.perf_counter() - begin
            output, _ = driver.communicate(timeout=60)
    return int(re.findall(r"RX-total: (\d+)", output)[-1]) / took


def of_board(main: Path, remote: Path, *, waits: bool) -> float:
    """Frames that the emulated remote has back from testpmd, eight under way, on the other processor."""
    with _device() as path, _on_processor_0(), Board(main=main, remote=remote, shares_memory=True) as board:
        board.hand_out(BridgeOptions(1, str(path), waits=waits))
        board.run(until="remote:bad", timeout="100 s")
        board.consoles["remote"].write(f"again {_FRAMES}\n".encode())
        begin = time.perf_counter()
        board.run(until="remote:bad", timeout="1000 s")
        return _FRAMES / (time.perf_counter() - begin)


def round_trips() -> float:
    """Of one frame at a time, from a driver of ours to testpmd and back, both polling."""
    file = os.memfd_create("bench")
    os.ftruncate(file, _MEMORY)
    with _device() as path, _on_processor_0(), mmap.mmap(file, _MEMORY) as memory:
        view = memoryview(memory)
        guest = BufferMemory("guest", 0, view)
        frontend = Frontend.connect(str(path))
        frontend.begin()
        frontend.accept(Feature.VERSION_1)
        frontend.share([SharedRegion(RegionEntry(0, _MEMORY, 0, 0), file)])
        rings = []
        for index in range(2):
            layout = RingLayout.legacy(0x1000 * index, 8, 16)
            ring = SplitDriver(guest, layout, Negotiated.of(Feature.VERSION_1))
            ring.reset()
            frontend.start_vring(8, VringAddress(index, 0, layout.desc, layout.used, layout.avail, 0), polled=True)
            rings.append(ring)
        frontend.enable()
        receive, transmit = rings
        guest.write(0x9000, bytes(_HEADER) + bytes(64))
        count, end = 0, time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            receive.offer([Segment(0x8000, 0x200, is_writable=True)])
            transmit.offer([Segment(0x9000, _HEADER + 64)])
            while receive.pop() is None:
                pass
            while transmit.pop() is None:
                pass
            count += 1
        frontend.close()
        del guest, receive, transmit, rings, ring
        view.release()
    os.close(file)
    return count / _SECONDS


@contextlib.contextmanager
def _device() -> Iterator[Path]:
    """A testpmd that exchanges addresses of frames, on processor 1; the path of its socket."""
    options = ("--no-flush-rx",)
    with _path() as path, _testpmd(f"net_vhost0,iface={path},queues=1", "macswap", 1, *options):
        while not path.is_socket():
            time.sleep(0.01)
        yield path


@contextlib.contextmanager
def _on_processor_0() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _driver(path: Path) -> str:
    return f"net_virtio_user0,path={path},queues=1,queue_size=64"


@contextlib.contextmanager
def _path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vh") as folder:
        yield Path(folder) / "s"


@contextlib.contextmanager
def _testpmd(device: str, mode: str, processor: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """It forwards on this processor of two, and ends when its input does."""
    command = ["dpdk-testpmd", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "-l", "0,1"]
    command += ["--main-lcore", str(1 - processor), "--file-prefix", f"vh{processor}", "--vdev", device, "--"]
    command += [f"--forward-mode={mode}", "--auto-start", "--total-num-mbufs=2048", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()
