"""One core's memory as the other one addresses it, where only one of them can be read."""

from __future__ import annotations

from orchestrator.base.errors import TranslationError
from orchestrator.base.memory import Memory
from orchestrator.base.roles import MAIN
from orchestrator.formats.translation import AddressEnvironment

__all__ = ["Translated"]


class Translated:
    """The memory of ``role``, read through that of the other one; an address that no range has is the same in both."""

    def __init__(self, role: str, view: str, other: Memory, environment: AddressEnvironment) -> None:
        self.view = view
        self._role = role
        self._other = other
        self._environment = environment

    def read(self, address: int, size: int) -> bytes:
        """As the other core's memory has it."""
        data, at = b"", address
        while at < address + size:
            there, length = self._in_the_other(at, address + size - at)
            data += self._other.read(there, length)
            at += length
        return data

    def _in_the_other(self, address: int, size: int) -> tuple[int, int]:
        translate = self._environment.da_to_pa if self._role != MAIN else self._environment.pa_to_da
        try:
            return translate(address, size)
        except TranslationError:
            return address, size

    def write(self, address: int, data: bytes) -> None:
        """Never."""
        raise TranslationError(f"{len(data)} bytes not written: the board is only read", where=f"{address:#010x}")
