"""Frames each second through a vhost-user queue that DPDK's testpmd drives: our device in Python, and DPDK's own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.host import Network
from orchestrator.vhost_user import Server

__all__ = ["missing", "of_dpdk", "of_ours"]

_SECONDS = 5.0


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
