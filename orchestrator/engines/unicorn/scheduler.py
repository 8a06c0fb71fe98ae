"""Turns of virtual time: in each quantum every core runs its share, in the order of the platform description.

When nobody can do anything, time jumps to the next thing that happens.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from orchestrator.base.durations import format_duration
from orchestrator.engines.contract import Stop, StopReason
from orchestrator.engines.unicorn.assisted import AssistedCore
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.cpu.processor import NEVER
from orchestrator.engines.unicorn.cpu.signals import Released
from orchestrator.engines.unicorn.hosted import HostedCore
from orchestrator.engines.unicorn.native_turns import NativeTurns
from orchestrator.engines.unicorn.recurrence import RARE, Recurrence
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.engines.unicorn.watches import Watches
from orchestrator.engines.unicorn.wiring import Wiring
from orchestrator.events import Accessed, Changed, Fenced, Note

__all__ = ["Scheduler"]

_MOST_SKEW_NS = 1_000_000  # start skew of a core when a seed is given


class Scheduler:
    """Runs the cores of a board."""

    def __init__(self, wiring: Wiring, watches: Watches, turn: Turn, seed: int, *, skips: bool = True) -> None:
        self._wiring = wiring
        self._cores = wiring.cores
        self._hosted = wiring.hosted
        self._assisted = wiring.assisted
        self._watches = watches
        self._turn = turn
        self._seed = seed
        self._stop_asked = False
        self._recurrence = Recurrence(wiring, turn) if skips else None
        self._native = NativeTurns(self._cores, watches, turn)
        if self._recurrence is not None:
            self._native.most_work = self._recurrence.most_work
        # A turn in which little is executed may be one of a board that repeats itself.
        self._is_long = turn.quantum_ns * self._cores[0].mips // 1000 > RARE * len(self._cores)
        self._has_skipped = False
        self.started = False

    def power_on(self) -> None:
        """Let the cores that are not held begin at their vector tables, once."""
        if self.started:
            return
        self.started = True
        self._wiring.look_at_gates()
        skew = random.Random(self._seed)
        for core in self._cores:
            if core.held:
                continue
            if not self._seed:
                core.resets.start()
                continue
            core.held = True
            core.post(core.timeline.count_at(skew.randrange(_MOST_SKEW_NS)), Released())

    def restart(self) -> None:
        """The board is where it was once: what was said since is said again."""
        self.started, self._has_skipped = True, False
        if self._recurrence is not None:
            self._recurrence.restart()

    def stop(self) -> None:
        """End the run at the next quantum boundary."""
        self._stop_asked = True

    def run(self, timeout_ns: int, is_met: Callable[[], bool] | None, *, by_memory: bool = False) -> Stop:
        """Ends at the first quantum boundary at or after the timeout, so that pieces of a run equal the whole.
        ``by_memory``: what a core stores may be enough to meet the condition.
        """
        turn = self._turn
        end = -(-(turn.time_ns + timeout_ns) // turn.quantum_ns)
        self._stop_asked = repeats = False
        in_python = is_met is not None  # the first turn: the condition may be met as things are
        while turn.quantum < end:
            if in_python or not self._may_be_native():
                self._run_quantum()
            else:
                self._run_quanta(end - turn.quantum)
            in_python = by_memory
            if self._stop_asked:
                return Stop(StopReason.REQUESTED, turn.time_ns)
            if is_met is not None and is_met():
                return Stop(StopReason.CONDITION, turn.time_ns)
            period = self._recurrence.period() if self._recurrence is not None and self._may_skip() else 0
            if period:
                repeats = True
                self._skip(period, end)
            if any(core.ran and not core.idle for core in self._cores):
                continue
            if self._is_dead():
                return Stop(StopReason.DEAD, turn.time_ns)
            if all(core.idle for core in self._cores):
                self._jump(end)
        return Stop(StopReason.TIMEOUT, turn.time_ns, repeats)

    def _may_skip(self) -> bool:
        """Not where something may come that is in no state: who assists a core may do anything at any time, and a fault
        waits for a notification that is still to be counted.
        """
        injections = self._wiring.injections
        return not self._assisted and (injections is None or not injections.waits)

    def _skip(self, period: int, end: int) -> None:
        """The board does the same for ever: most of that passes at once."""
        assert self._recurrence is not None
        begun_ns, what = self._turn.time_ns, self._recurrence.what()
        if self._recurrence.skip(period, end) and not self._has_skipped:
            self._has_skipped = True
            every = format_duration(period * self._turn.quantum_ns)
            text = f"the board repeats itself exactly every {every}, from {begun_ns / 1e6:.3f} ms on at the latest"
            said = f" ({what})" if what else ""
            self._wiring.say("", begun_ns, Note(f"{text}{said}: most rounds were not executed one by one"))

    def _is_dead(self) -> bool:
        """Every core is held or locked up, and nothing will change that."""
        return (
            all(core.held or core.locked_up for core in self._cores)
            and not any(core.timeline.next_count < NEVER for core in self._cores)
            and len(self._hosted) < len(self._cores)
            and not any(each.has_plans() for each in self._hosted.values())
            and not any(each.has_plans() for each in self._assisted.values())
        )

    def _may_be_native(self) -> bool:
        """Whether nobody plays a core or helps it, and no cache is modelled."""
        return (
            self._is_long
            and not (self._hosted or self._assisted)
            and self._wiring.coherence is None
            and self._native.may_run()
        )

    def _run_quanta(self, most: int) -> None:
        """At least one quantum, and more while nobody but the cores has anything to do."""
        native = self._native
        work = sum(core.work for core in self._cores) if self._recurrence is not None else 0
        try:
            native.pass_quanta(most)
            if native.quiet_work is not None and self._recurrence is not None:
                self._recurrence.quiet_turns(work + native.quiet_work)
            if native.index >= 0:
                boundary = self._turn.time_ns
                for index, core in enumerate(self._cores[native.index :], native.index):
                    self._advance(index, boundary * core.mips // 1000, begun=index == native.index)
        finally:
            self._turn.core = None

    def _run_quantum(self) -> None:
        """Each core its share, in order."""
        self._turn.quantum += 1
        boundary = self._turn.time_ns
        for core in self._cores:
            core.begin_turn()
        try:
            for index, core in enumerate(self._cores):
                self._advance(index, boundary * core.mips // 1000)
            for assisted in self._assisted.values():
                if assisted.is_due(boundary):
                    self._let_assist(assisted, boundary)
        finally:
            self._turn.core = None

    def _advance(self, index: int, end: int, *, begun: bool = False) -> None:
        """One core to an instruction count of this quantum; native code may have ``begun`` with it.

        When it reaches one behind it, it pauses until that one has come as far: who sees what a core stores after it
        rang has been rung.
        """
        core, turn = self._cores[index], self._turn
        native = core.native
        while begun or native.executed < end:
            turn.core = core
            if begun:
                self._native.finish(end)
                begun = False
            else:
                core.run_to(end)
            hosted = self._hosted.get(core.name) if self._hosted else None
            acted = core.ran if hosted is None else self._let_play(hosted)
            if acted and (core.access_log.any() or core.order_log.any()):
                self._tell_accesses(core)
            if self._wiring.coherence is not None:
                self._wiring.tell_incoherence()
            if acted and self._watches:
                for name in self._watches.changed():
                    self._wiring.emit(core, Changed(name))
            if native.executed < end:
                for behind, other in enumerate(self._cores[index + 1 :], index + 1):
                    if other.name not in self._hosted:
                        self._advance(
                            behind, min(other.timeline.count_at(core.time_ns), turn.time_ns * other.mips // 1000)
                        )

    def _tell_accesses(self, core: Core) -> None:
        barriers, records = core.order_log.take(), core.access_log.take()
        if barriers:
            self._wiring.emit(core, Fenced(barriers))
        if records:
            self._wiring.emit(core, Accessed(records))

    def _let_play(self, hosted: HostedCore) -> bool:
        """A hosted core's turn, if it is due; whether it was."""
        time_ns = self._turn.time_ns
        rung = self._wiring.rung(hosted.core)
        if not hosted.is_due(time_ns, interrupted=bool(rung)):
            return False
        for interrupt in rung:
            self._wiring.interrupt_taken(hosted.core, interrupt)
        hosted.turn(time_ns)
        return True

    def _let_assist(self, assisted: AssistedCore, time_ns: int) -> None:
        """An assistant's turn, at the end of its core's: what changes in it, the core has changed."""
        core = self._turn.core = assisted.core
        assisted.turn(time_ns)
        for name in self._watches.changed():
            self._wiring.emit(core, Changed(name))

    def _jump(self, end: int) -> None:
        """Nobody can do anything: go on in the quantum in which something happens."""
        quantum_ns, quantum = self._turn.quantum_ns, end
        for core in self._cores:
            if core.timeline.next_count < NEVER:
                quantum = min(quantum, core.timeline.next_count * 1000 // core.mips // quantum_ns)
        for hosted in self._hosted.values():
            if hosted.is_due(0, interrupted=bool(self._wiring.rung(hosted.core))):
                return
            if hosted.at_ns is not None and not hosted.held:
                quantum = min(quantum, max(self._turn.quantum, -(-hosted.at_ns // quantum_ns) - 1))
        for assisted in self._assisted.values():
            if assisted.asked:
                return
            if assisted.at_ns is not None:
                quantum = min(quantum, max(self._turn.quantum, -(-assisted.at_ns // quantum_ns) - 1))
        if quantum > self._turn.quantum:
            self._turn.quantum = quantum
            for core in self._cores:
                core.run_to(quantum * quantum_ns * core.mips // 1000)
