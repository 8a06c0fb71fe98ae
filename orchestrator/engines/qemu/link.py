"""QEMU for one board: its process, the connections to it, and what its silence or death means."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from orchestrator.base.errors import EngineError
from orchestrator.engines.common.child import EngineDiedError
from orchestrator.engines.qemu.control import Control
from orchestrator.engines.qemu.errors import ClosedError, SilentError
from orchestrator.engines.qemu.gdb import GdbClient
from orchestrator.engines.qemu.machines import Machine
from orchestrator.engines.qemu.process import QemuProcess, find_qemu
from orchestrator.engines.qemu.qmp import QmpClient

__all__ = ["Link"]

_NEVER = 1 << 62  # ns


class Link:
    """A machine that stands still at power-on; EngineError with QEMU's own words when it does not come up.

    A core runs ``turn`` instructions before the other; each takes ``1 << shift`` ns.
    """

    gdb: GdbClient
    qmp: QmpClient

    def __init__(self, machine: Machine, shift: int, turn: int) -> None:
        self.process = QemuProcess(find_qemu(), machine, shift, turn=turn)
        self.time_ns = 0  # virtual, when the machine last stood still
        self.death: EngineError | None = None  # what everything that needs QEMU raises from then on
        self.at_death: list[Callable[[], None]] = []  # called while its files and sockets are still there
        self._last_lines: list[str] = []  # of QEMU's log, when it had ended
        try:
            self.gdb = GdbClient(self.process.socket("gdb"), len(machine.cores))
            self.qmp = QmpClient(self.process.socket("qmp"))
        except (ClosedError, SilentError):
            self.process.wait_for_end()
            words = " | ".join(self.process.last_words()) or "no word"
            how = self.process.how_it_ended()
            self.process.close()
            raise EngineError(f"QEMU {how}", where="engine qemu", found=words) from None
        except BaseException:
            self.process.close()
            raise

    @property
    def control(self) -> Control:
        """What the plugin shares."""
        return self.process.control

    @property
    def is_dead(self) -> bool:
        """QEMU has ended, or the engine was closed."""
        return self.death is not None

    @contextlib.contextmanager
    def talking(self, doing: str) -> Iterator[None]:
        """The conversation inside may find that QEMU is gone: EngineDiedError."""
        if self.death is not None:
            raise self.death.with_traceback(None)
        try:
            yield
        except ClosedError:
            self.process.wait_for_end()
            raise self._dies(f"QEMU {self.process.how_it_ended()} ({doing})") from None
        except SilentError:
            raise self._dies(f"QEMU does not answer ({doing})") from None

    def _dies(self, what: str) -> EngineError:
        if self.death is None:
            words = self.process.last_words()
            where = f"engine qemu (process {self.process.pid})"
            self.death = EngineDiedError(what, where=where, time_ns=self.time_ns, log=words)
            self._last_lines = self.process.log_lines()
            for each in self.at_death:
                each()
            self.process.close()
        return self.death

    def reset(self) -> None:
        """Every core and device begins anew."""
        self.qmp.execute("system_reset")
        self.qmp.wait_for("RESET")  # QMP answers the command before the machine is reset
        self.qmp.events.clear()

    def was_reset(self) -> bool:
        """Whether firmware has had the machine reset since the last look."""
        self.qmp.look()
        seen = any(each.get("event") == "RESET" for each in self.qmp.events)
        self.qmp.events.clear()
        return seen

    def step_over(self, core: int, address: int) -> None:
        """A core executes the one instruction at which it stands, in spite of the breakpoint there."""
        self.gdb.remove_breakpoint(address)
        self.control.set_deadline(_NEVER)
        self.gdb.step(core)
        self.gdb.insert_breakpoint(address)

    def log_lines(self) -> list[str]:
        """Whole lines of QEMU's log since the last call; after its end the last ones, at each call."""
        return self._last_lines if self.is_dead else self.process.log_lines()

    def close(self) -> None:
        """End QEMU."""
        if self.death is None:
            self.death = EngineError("the engine was closed", where="engine qemu")
        self.process.close()
