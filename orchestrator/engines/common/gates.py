"""What the chip keeps from a core until firmware opens it: the platform's gates, by what their registers say."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.platform.model import Gate, GateKey, Platform

__all__ = ["GateKeys"]


class GateKeys:
    """Every gate of a platform, by its number.

    ``read`` gives a register as it stands, by peripheral and offset; ``runs_firmware`` says of a core whether an image
    executes there.
    """

    def __init__(
        self, platform: Platform, read: Callable[[str, int], int], runs_firmware: Callable[[str], bool]
    ) -> None:
        self.gates = platform.gates
        self.registers = frozenset(key.peripheral for gate in self.gates for key in gate.keys)
        self._read_register = read
        self._runs_firmware = runs_firmware
        self._words: dict[tuple[str, int], int] = {}  # since the last look

    def look_again(self) -> None:
        """Registers may say something else now."""
        self._words.clear()

    def is_in_force(self, number: int) -> bool:
        """A gate that nobody could open stands open."""
        return all(map(self._runs_firmware, self.gates[number].openers))

    def is_open(self, gate: Gate, index: int) -> bool:
        """Of the block of this index."""
        return any(self._read(key, index) == key.value for key in gate.keys)

    def why(self, gate: Gate, index: int) -> str:
        """What keeps the core out, in words."""
        keys = (
            f"{key.name.replace('[n]', f'[{index}]')} is {self._read(key, index) // (key.mask & -key.mask):#x}"
            for key in gate.keys
        )
        return f"{'refused' if gate.refuses else 'which the chip does not serve'} while {' and '.join(keys)}"

    def _read(self, key: GateKey, index: int) -> int:
        offset, shift = key.place(index)
        at = key.peripheral, offset
        value = self._words.get(at)
        if value is None:
            value = self._words[at] = self._read_register(*at)
        return value >> shift & key.mask
