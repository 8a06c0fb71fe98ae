"""Random sequences of instructions on this engine and on QEMU: the conformance suite's, with other seeds."""

from __future__ import annotations

import random
import struct

from conformance.compare import compare_sequences
from conformance.images import CORE_TYPES, build, missing_tools
from fuzz.target import BrokenError

__all__ = ["Instructions"]

_AT_ONCE = 32


class Instructions:
    """A core type and the seed of 32 sequences."""

    name = "instructions"

    def __init__(self) -> None:
        self._is_built = False

    def make(self, chance: random.Random) -> bytes:
        return struct.pack("<BI", chance.randrange(len(CORE_TYPES)), chance.getrandbits(32))

    def check(self, data: bytes) -> None:
        number, seed = struct.unpack("<BI", data)
        if not self._is_built:
            build()
            self._is_built = True
        core = list(CORE_TYPES.values())[number]
        different = compare_sequences(core, seed, _AT_ONCE)
        if different:
            raise BrokenError("\n".join([f"{core.title} {different[0].name}", *different[0].difference()]))

    @staticmethod
    def obstacle() -> str | None:
        """Why it cannot run here."""
        return missing_tools()
