"""Renode runs its cores one after the other, a quantum each. What its hooks report of a core is kept here until another
core gets the turn or the quantum ends, and told then, with the board standing still: who hears it sees memory as the
core has left it. While nobody does anything that is watched, nothing is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.common.store_replay import Happening, Store
from orchestrator.engines.renode.access_log import AccessLog
from orchestrator.engines.renode.cores import Cores
from orchestrator.engines.renode.session import Bus
from orchestrator.events import Detail, NotificationSent

__all__ = ["CoreTurns"]


class _Turn:
    """What a core has done since it got the turn, in one quantum."""

    def __init__(self, core: str, end_ns: int) -> None:
        self.core, self.end_ns = core, end_ns
        self.happenings: list[Happening] = []
        self.wrote: tuple[str, int] | None = None  # to which mailbox, and when: what that did was not looked at yet
        self.late_ns = 0  # how much later than its own clock says: it was interrupted at the sender's moment


class CoreTurns:
    """``begins`` is called when a core that was held gets its turn, ``quantum_ends`` at the end of a quantum in which
    somebody did something, ``tell`` with what a core did in its turn. All on whatever thread runs the core.
    """

    def __init__(
        self,
        bus: Bus,
        quantum_ns: int,
        cores: Cores,
        mailboxes: MailboxMonitor,
        *,
        begins: Callable[[str], None],
        quantum_ends: Callable[[], None],
        tell: Callable[[Sequence[Happening]], None],
    ) -> None:
        self.accesses = AccessLog()
        self._bus = bus
        self._quantum_ns = quantum_ns
        self._cores = cores
        self._mailboxes = mailboxes
        self._begins = begins
        self._quantum_ends = quantum_ends
        self._tell = tell
        self._turn: _Turn | None = None
        self._rung_ns: dict[str, int] = {}  # in this quantum, by core
        self._awaited: set[str] = set()  # cores whose next turn is told
        self._end_awaited = False  # of the quantum

    @property
    def time_ns(self) -> int:
        """Where all cores have come to."""
        return self._bus.time_ns

    def acting(self) -> str:
        """Whose turn it is; asked of Renode where nobody has done anything yet."""
        return self._turn.core if self._turn is not None else self._bus.acting()

    def acts(self, core: str) -> _Turn:
        """The turn of this core; what another one did before is told first."""
        turn = self._turn
        if turn is not None and turn.core == core:
            self._settle_mailboxes()
            return turn
        self.end()
        quantum = self._quantum_ns
        self._turn = turn = _Turn(core, (self._bus.time_ns // quantum + 1) * quantum)
        self.await_end()
        for other in self._cores:
            if other.name != core and not other.held:
                self.await_turn(other.name)
        return turn

    def await_end(self) -> None:
        """Of the quantum that is running."""
        if not self._end_awaited:
            self._end_awaited = True
            self._bus.at_quantum_end(self._ends)

    def _ends(self) -> None:
        self._end_awaited = False
        self._quantum_ends()

    def await_turn(self, core: str) -> None:
        if core not in self._awaited:
            self._awaited.add(core)
            self._bus.at_turn(core, lambda: self._gets_turn(core))

    def _gets_turn(self, core: str) -> None:
        self._awaited.discard(core)
        if self._turn is not None and self._turn.core != core:
            self.end()
        if self._cores[core].held or self._cores[core].played is not None:
            self._begins(core)

    def end(self) -> None:
        """Tell what the core did that had the turn."""
        self._settle_mailboxes()
        turn, self._turn = self._turn, None
        if turn is not None:
            self._take_accesses(turn)
            self._tell(turn.happenings)

    def end_quantum(self) -> None:
        """The next one begins with nobody rung."""
        self._end_awaited = False
        self.end()
        self._rung_ns.clear()

    # --- what a core does

    def happens(self, core: str, what: Store | Detail, at_ns: int | None = None) -> None:
        turn = self.acts(core)
        turn.happenings.append(Happening(turn.end_ns, core, what, at_ns))

    def moment(self, core: str) -> int:
        """When this is for the board: a core that was rung in another one's turn goes on from there."""
        turn = self.acts(core)
        return min(self._bus.moment_ns(core) + turn.late_ns, turn.end_ns)

    def stores_to_mailbox(self, mailbox: str, core: str, _offset: int, _size: int, _value: int) -> None:
        """Called before the store; so what the one before has done is seen now."""
        if core:
            turn = self.acts(core)
            turn.wrote = mailbox, self.moment(core)

    def _settle_mailboxes(self) -> None:
        """What the last store to a mailbox has done."""
        turn = self._turn
        if turn is None or turn.wrote is None:
            return
        (mailbox, at_ns), turn.wrote = turn.wrote, None
        self._take_accesses(turn)
        for what in self._mailboxes.stored(mailbox, turn.core):
            turn.happenings.append(Happening(turn.end_ns, turn.core, what, at_ns))
            if isinstance(what, NotificationSent):
                self._rung_ns[what.target] = at_ns

    def is_rung(self, core: str) -> None:
        """It takes what it was rung for: its clock goes on from the sender's moment."""
        turn = self.acts(core)
        turn.late_ns = max(turn.late_ns, self._rung_ns.pop(core, 0) - self._bus.moment_ns(core))

    def _take_accesses(self, turn: _Turn) -> None:
        accessed = self.accesses.take()
        if accessed is not None:
            turn.happenings.append(Happening(turn.end_ns, turn.core, accessed))
