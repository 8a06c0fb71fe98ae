"""An image on QEMU's board: the reference."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace

from conformance.images import QEMU, CoreType, Selection
from conformance.transcript import COLD, END, HANGS, Program, parse

__all__ = ["run_on_qemu"]

_PATIENCE_S = 2.0  # without a word


def run_on_qemu(core: CoreType, selection: Selection | None = None) -> list[Program]:
    """Every program that QEMU can show (or those selected); one that ends QEMU is said so and the rest goes on."""
    selection = selection or Selection()
    programs: list[Program] = []
    first = selection.first
    while True:
        lines = list(_lines(core, replace(selection, first=first, yields=True)))
        part = parse(lines)
        if lines[-1:] == [COLD]:
            first = part.pop().number
            programs += part
            continue
        programs += part
        if selection.only_one or selection.sequences or lines[-1:] == [END] or not part:
            return programs
        first = part[-1].number + 1


def _lines(core: CoreType, selection: Selection) -> Iterator[str]:
    command = [
        QEMU,
        "-M",
        core.machine,
        "-kernel",
        str(core.elfs[0]),
        "-icount",
        f"shift={core.icount_shift},sleep=off",
    ]
    command += ["-display", "none", "-monitor", "none", "-serial", "stdio", "-nodefaults"]
    for elf in core.elfs[1:]:
        command += ["-device", f"loader,file={elf}"]
    for address, value in selection.words(core.image()).items():
        command += ["-device", f"loader,addr={address:#x},data={value:#x},data-len=4"]
    with tempfile.NamedTemporaryFile(suffix=".bin") as file, contextlib.ExitStack() as stack:
        if selection.sequences:
            address, data = selection.blob(core.image())
            file.write(data)
            file.flush()
            command += ["-device", f"loader,file={file.name},addr={address:#x},force-raw=on"]
        process = stack.enter_context(_started(command))
        try:
            yield from _until_end(process)
        finally:
            process.kill()


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _until_end(process: subprocess.Popen[bytes]) -> Iterator[str]:
    assert process.stdout is not None
    rest = b""
    heard = time.monotonic()
    while True:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        data = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
        if data:
            heard = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
                if line.decode(errors="replace") in (COLD, END):
                    return
        elif ready:
            assert process.stderr is not None
            words = process.stderr.read().decode(errors="replace").splitlines()
            yield f"-- ends QEMU: {words[0] if words else process.wait()}"
            return
        elif time.monotonic() - heard > _PATIENCE_S:
            yield HANGS
            return
