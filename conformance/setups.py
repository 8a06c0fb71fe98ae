"""RPTUN set-ups by chance, each on the Unicorn engine and on QEMU, their recordings compared.

In: a number. Out: a valid set-up (queue sizes, alignments, dynamic or static rings, buffer sizes, message lengths, the
quantum, which role drives), made by writing into the table of one pair of images; a number always gives the same one.
``python -m conformance.setups --count 2000`` runs many on every processor, ``--seed N --count 1`` one again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import struct
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.base.errors import EngineError, RptwinError
from orchestrator.base.roles import MAIN, REMOTE, ROLES, other_role
from orchestrator.board import Board
from orchestrator.formats.elf import load_elf
from orchestrator.formats.resource_entry import VdevRole
from orchestrator.platform import load_platform
from orchestrator.recording import Recorder, Recording, first_difference, record

__all__ = ["ENGINES", "Setup", "difference", "setup_of", "with_setup"]

PLATFORM = "mps2_an521"
ENGINES = ("unicorn", "qemu")
ROOT = Path(__file__).resolve().parents[1]
PAIR = ROOT / "firmware" / "build" / PLATFORM / "demo"

# firmware/boards/mps2_an521/memory_map.h and firmware/common/resource_table.h
STATIC_RINGS = (0x2820_0800, 0x2820_0A00)
STATIC_ROOM = 0x200
ANY = 0xFFFF_FFFF
CARVEOUT_SIZE = 0x7000
TABLE = struct.Struct("<4I3I")  # header and offsets of trace, vdev and carveout
VDEV, VRING, CONFIG = 28, 20, 68  # bytes of the vdev, of each vring; where the buffer sizes are
VDEV_ROLE = 26  # offset of vdev.reserved[0]: the side that main plays
CARVEOUT_LEN = 12
HEADER = 16  # of a message


@dataclass(frozen=True, slots=True)
class Setup:
    """Vring 0 carries to the driver, vring 1 from it; sizes in bytes."""

    entries: tuple[int, int]
    align: int
    static: bool
    buffers: tuple[int, int]
    lengths: tuple[int, ...]  # of messages that the driver is told to send
    quantum_ns: int
    driver: str = MAIN  # role

    def __str__(self) -> str:
        rings = "static" if self.static else "dynamic"
        return (
            f"{self.entries[0]} and {self.entries[1]} entries, align {self.align}, {rings} rings, "
            f"buffers of {self.buffers[0]} and {self.buffers[1]}, messages of {self.lengths}, "
            f"quantum {self.quantum_ns} ns, {self.driver} drives"
        )


def ring_size(entries: int, align: int) -> int:
    """Bytes of a split ring in one piece (virtio 1.3, 2.7.2)."""
    used = -(-(18 * entries + 6) // align) * align
    return used + 8 * entries + 6


def setup_of(seed: int) -> Setup:
    """The set-up of this number; it fits into the memory that the pair has."""
    choose = random.Random(seed)
    while True:
        entries = (choose.choice((2, 4, 8, 16)), choose.choice((2, 4, 8, 16)))
        align = choose.choice((4, 8, 16, 32, 64, 128, 256))
        static = choose.random() < 0.4
        buffers = (choose.choice((512, 528, 640, 768)), choose.choice((512, 528, 640, 768)))
        lengths = tuple(choose.randrange(1, min(buffers) - HEADER + 1) for _ in range(choose.randrange(1, 4)))
        setup = Setup(
            entries, align, static, buffers, lengths, choose.choice((5_000, 20_000, 100_000)), ROLES[seed % 4 == 3]
        )
        rings = [ring_size(each, align) for each in entries]
        slack = 2 * (align + HEADER) + HEADER * sum(entries)
        total = sum(rings) + slack + sum(count * size for count, size in zip(entries, buffers, strict=True))
        if total <= CARVEOUT_SIZE and (not static or max(rings) <= STATIC_ROOM):
            return setup


def with_setup(image: bytes, table: bytes, setup: Setup) -> bytes:
    """The device's image with another table; ``table`` is the one that it has."""
    changed = bytearray(table)
    _, _, _, _, _, vdev, carveout = TABLE.unpack_from(table)
    for index, entries in enumerate(setup.entries):
        da = STATIC_RINGS[index] if setup.static else ANY
        struct.pack_into("<3I", changed, vdev + VDEV + index * VRING, da, setup.align, entries)
    to_main, to_remote = setup.buffers
    struct.pack_into("<2I", changed, vdev + CONFIG, to_remote, to_main)
    struct.pack_into("<I", changed, carveout + CARVEOUT_LEN, CARVEOUT_SIZE)
    changed[vdev + VDEV_ROLE] = VdevRole.DRIVER if setup.driver == MAIN else VdevRole.DEVICE
    if image.count(table) != 1:
        raise EngineError("the table is not once in the image", where="remote.elf", found=image.count(table))
    return image.replace(table, bytes(changed))


def _table_of(image: Path) -> bytes:
    elf = load_elf(image)
    segment = next(each for each in elf.segments if each.data[:4] == b"\1\0\0\0" and len(each.data) > TABLE.size)
    return bytes(segment.data)


def _recorded(driver: Path, device: Path, setup: Setup, engine: str) -> Recording:
    platform = load_platform(PLATFORM)
    main, remote = driver, device
    if setup.driver == REMOTE:  # the same cores and firmware by the other names
        platform = replace(platform, roles={role: platform.roles[other_role(role)] for role in ROLES})
        main, remote = device, driver
    with Board(platform, main=main, remote=remote, engine=engine, quantum_ns=setup.quantum_ns) as board:
        recorder = Recorder(board)
        board.run(timeout="1 s")
        for length in setup.lengths:
            board.consoles[setup.driver].write(b"ping 2 %d\r" % length)
            board.run(rf"{setup.driver}~2 pings: .* lost", timeout="1 s")
        board.run(timeout="1 s")
        return record(board, recorder, {"setup": str(setup)})


def difference(seed: int, folder: Path) -> str | None:
    """What the engines differ in; None when they agree."""
    setup = setup_of(seed)
    remote = folder / "remote.elf"
    built = PAIR / "remote.elf"
    remote.write_bytes(with_setup(built.read_bytes(), _table_of(built), setup))
    own, other = (_recorded(PAIR / "main.elf", remote, setup, engine) for engine in ENGINES)
    return first_difference(own, other, ENGINES)


def _outcome(seed: int) -> tuple[int, str | None, str | None]:
    """The number, what differs, and what stopped it."""
    try:
        with tempfile.TemporaryDirectory(prefix="rptwin-") as folder:
            return seed, difference(seed, Path(folder)), None
    except RptwinError as error:
        return seed, None, str(error)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: all alike; 1: differences; 2: could not run."""
    parser = argparse.ArgumentParser(prog="python -m conformance.setups", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first number")
    parser.add_argument("--count", type=int, default=200, help="how many from there on")
    chosen = parser.parse_args(arguments)
    different = 0
    with multiprocessing.Pool(os.cpu_count()) as workers:
        for seed, found, error in workers.imap(_outcome, range(chosen.seed, chosen.seed + chosen.count)):
            if error is not None:
                print(f"seed {seed}: {error}", file=sys.stderr)
                return 2
            if found is not None:
                different += 1
                print(f"seed {seed}: {setup_of(seed)}\n  {found}")
    print(f"set-ups: {chosen.count - different} equal, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
