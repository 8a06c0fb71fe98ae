"""Keywords of Renode that are not about UARTs; names, arguments and what they mean are Renode's."""
# ruff: noqa: N803  # arguments are named as Renode's

from __future__ import annotations

from typing import Literal

from robot.api.deco import keyword

from orchestrator.base.errors import CapabilityError
from orchestrator.engines.contract import Capability, Monitored
from orchestrator.robot.suite import Suite

__all__ = ["RenodeKeywords"]

_NUMBERED = (*(f"R{number}" for number in range(13)), "SP", "LR", "PC")


class RenodeKeywords(Suite):
    """The emulation as a whole, its cores' registers, and Renode's monitor."""

    @keyword
    def reset_emulation(self) -> None:
        """Gives the board up, with its testers and all that was provided; nothing happens when there is none."""
        self._close()

    @keyword
    def start_emulation(self) -> None:
        """Does nothing: time passes while a keyword waits. Suites of Renode's say it."""

    @keyword
    def execute_command(self, command: str | list[str], machine: str | None = None) -> str:
        """Passes a command to Renode's monitor and returns what it prints; words of a list are joined by spaces.

        Only the renode engine has a monitor: on another one this fails and says so.
        """
        self._only_machine(machine)
        engine = self._board().engine
        text = command if isinstance(command, str) else " ".join(command)
        if Capability.MONITOR not in engine.capabilities or not isinstance(engine, Monitored):
            raise CapabilityError(
                "no monitor", where=f"engine {engine.name}", found=text, advice="only the renode engine has Renode's"
            )
        return engine.execute(text)

    @keyword
    def pc_should_be_equal(self, value: int, machine: str | None = None, cpuName: str | None = None) -> None:
        """Fails unless a core (role or name) is at this address."""
        self.register_should_be_equal("PC", value, machine, cpuName)

    @keyword
    def register_should_be_equal(
        self,
        register: int | str,
        value: int,
        machine: str | None = None,
        cpuName: str | None = None,
        message: str | None = None,
    ) -> None:
        """Fails, after ``message``, unless a register of a core (role or name) has this value.

        Registers are 0 to 15, or ``R0`` to ``R12``, ``SP``, ``LR``, ``PC``, ``XPSR``, ``MSP``, ``PSP``, ``PRIMASK``,
        ``BASEPRI``, ``FAULTMASK`` and ``CONTROL``.
        """
        self._only_machine(machine)
        board = self._board()
        if cpuName is None:
            raise AssertionError(f"which core? give cpuName: {' | '.join(board.platform.roles)}")
        registers = board.engine.registers(board.platform.core(cpuName).name)
        name = str(register).upper()
        if isinstance(register, int) and register in range(len(_NUMBERED)):
            name = _NUMBERED[register]
        if name not in registers:
            raise AssertionError(f"no register {register}; there are {', '.join(registers)}")
        if registers[name] != value:
            prefix = f"{message}: " if message else ""
            raise AssertionError(f"{prefix}{name} of {cpuName} is {registers[name]:#x}, not {value:#x}")

    @keyword
    def provides(self, state: str, type: Literal["Serialization"] = "Serialization") -> None:  # noqa: A002
        """Keeps the board as it is now under a name, for `Requires` in the same suite."""
        self._states[state] = self._board().snapshot()

    @keyword
    def requires(self, state: str) -> None:
        """Takes the board back to what `Provides` kept under this name."""
        board = self._board()
        if state not in self._states:
            raise AssertionError(f"no test has provided {state!r}; provided: {', '.join(self._states) or 'nothing'}")
        board.restore(self._states[state])

    @staticmethod
    def _only_machine(machine: str | None) -> None:
        if machine is not None:
            raise AssertionError("machine is not supported by rptwin: a board is one machine")
