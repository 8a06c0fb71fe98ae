"""Whole boards: mutated and random images boot, are judged without an internal error, and twice the same."""

from __future__ import annotations

import functools
import json
import random
import struct
from pathlib import Path

from fuzz.target import BrokenError
from orchestrator.board import Board, BoardOptions
from orchestrator.formats.elf import load_elf

__all__ = ["Images"]

_GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "demo-unicorn"
_LONGEST = "2 ms"
_WALL = "20 s"


class Images:
    """The bytes of both loaded images of the demo, some of them changed; code, vectors and table alike."""

    name = "images"

    def make(self, chance: random.Random) -> bytes:
        out = []
        for role in ("main", "remote"):
            data = bytearray((_GOLDEN / f"{role}.elf").read_bytes())
            spans = [(each.offset, len(each.data)) for each in load_elf(_GOLDEN / f"{role}.elf").segments]
            for _ in range(chance.choice((0, 1, 2, 8, 64))):
                offset, size = chance.choice(spans)
                at = offset + chance.randrange(size)
                if chance.random() < 0.5:
                    data[at] ^= 1 << chance.randrange(8)
                else:
                    run = min(chance.randint(1, 64), offset + size - at)
                    data[at : at + run] = chance.randbytes(run)
            out.append(bytes(data))
        return struct.pack("<I", len(out[0])) + b"".join(out)

    def check(self, data: bytes) -> None:
        size = struct.unpack_from("<I", data)[0]
        files = {"main": data[4 : 4 + size], "remote": data[4 + size :]}
        first, second = (self._run(files) for _ in range(2))
        if first != second:
            raise BrokenError(f"two runs differ: {first[:200]} and {second[:200]}")

    def _run(self, files: dict[str, bytes]) -> str:
        folder = _folder()
        for role, content in files.items():
            (folder / f"{role}.elf").write_bytes(content)
        options = BoardOptions(
            main=str(folder / "main.elf"), remote=str(folder / "remote.elf"), wall_time=_WALL, vtor={}
        )
        with Board("stm32h745", options) as board:
            end = board.run(timeout=_LONGEST)
            verdict = board.verdict()
            findings = [finding.to_json() for finding in verdict.findings]
            return json.dumps([str(end), verdict.exit_code, findings, board.time_ns])


@functools.cache
def _folder() -> Path:
    import atexit  # noqa: PLC0415  # for this alone
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="rptwin-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
