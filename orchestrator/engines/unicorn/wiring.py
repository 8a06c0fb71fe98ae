"""A board's cores, devices and what runs between them: interrupt lines, events, releases, alarms, resets.

What one core does to another reaches it at the moment it was done, or at the start of its turn where that moment has
passed for it; and before anything that the first one stores afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.contract import Assistant, CoherenceMode, Coming, Player
from orchestrator.engines.unicorn.armed import Armed
from orchestrator.engines.unicorn.assisted import AssistedCore
from orchestrator.engines.unicorn.bus import Device, Foreseen, Slot, Waking
from orchestrator.engines.unicorn.cache.board import Coherence
from orchestrator.engines.unicorn.cache.model import Step
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.cpu.signals import Alarm, EventSent, LineChanged, Released, Signal
from orchestrator.engines.unicorn.gates import GatedDevice, Gates
from orchestrator.engines.unicorn.hosted import HostedCore
from orchestrator.engines.unicorn.injection import Injections
from orchestrator.engines.unicorn.memory import BoardMemory, MemoryView
from orchestrator.engines.unicorn.peripherals import Peripherals
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.events import (
    SYSTEM_RESET,
    CoreState,
    Detail,
    Event,
    Listener,
    Note,
    NotificationIgnored,
    NotificationSent,
    StateChanged,
)
from orchestrator.platform.model import Platform

__all__ = ["Wiring"]

_MOST_TRACED = 8  # resets whose backtrace is taken


class Wiring:
    """The host of every core and every device: implements ``cpu.core.CoreHost`` and ``devices.registry.Board``.

    More methods than most: each is a signal that a core or a device gives, and what they share is who is wired to whom.
    """

    def __init__(
        self,
        platform: Platform,
        turn: Turn,
        *,
        skip_idle_loops: bool,
        count_blocks: bool,
        native_exceptions: bool,
        console_size: int,
        is_shared: bool = False,
    ) -> None:
        self.platform = platform
        self.coherence: Coherence | None = None
        self.injections: Injections | None = None
        self.listeners: list[Listener] = []
        self.memory = BoardMemory(platform, is_shared=is_shared)
        self._turn = turn
        self.cores = [
            self._new_core(
                number,
                skip_idle_loops=skip_idle_loops,
                count_blocks=count_blocks,
                native_exceptions=native_exceptions,
            )
            for number in range(len(platform.cores))
        ]
        self.by_name = {core.name: core for core in self.cores}
        self._by_nvic = {core.model.nvic: core for core in self.cores}
        self.hosted: dict[str, HostedCore] = {}
        self.assisted: dict[str, AssistedCore] = {}
        self.lines: dict[tuple[str, int], bool] = {}  # interrupt inputs that are driven, by NVIC and number
        self.alarms: dict[str, int] = {}  # of devices: when the next one comes
        self._armed: dict[str, Armed] = {}  # devices that have asked for an alarm
        self._reset_reason = ""  # of a reset that a device has asked for
        self._resets = 0  # by firmware
        self.from_outside = 0  # what the host has stored, in times
        self._peripherals = Peripherals(platform, self)
        self.devices: Mapping[str, Device] = self._peripherals.devices
        self.consoles = dict(self._peripherals.consoles)
        self.gates = Gates(platform, self.devices, self._runs_firmware)
        self._gates_see_sleep = not self.gates.registers.isdisjoint(self._peripherals.sleep_watchers)
        self.consoles |= {core.debugger.said.name: core.debugger.said for core in self.cores}
        for console in self.consoles.values():
            console.received.keep(console_size)
            console.received.clock = self._now_ns
        for core in self.cores:
            core.attach(self.memory, list(self._slots_of(core)))
        # As the line's core sees it: a mailbox may show each core registers of its own.
        self.mailboxes = MailboxMonitor(platform, lambda core, name, offset: self.devices[name].read(offset, 4, core))
        for core in self.cores:
            core.announce(self.mailboxes.interrupts(core.name))
        self._peripherals.reset()

    def _now_ns(self) -> int:
        """Virtual time of what is being executed."""
        core = self._turn.core
        return core.time_ns if core is not None else self._turn.time_ns

    # --- who is there

    def _new_core(self, number: int, **how: bool) -> Core:
        model = self.platform.cores[number]
        nvics = {peripheral.name: peripheral for peripheral in self.platform.peripherals}
        nvic = nvics[model.nvic].attributes if model.nvic in nvics else {}
        regions = model.attributes.get("numberOfMPURegions")
        return Core(
            model,
            self,
            interrupts=model.interrupts,
            priority_mask=_integer(nvic.get("priorityMask"), 0xFF),
            systick_hz=_integer(nvic.get("systickFrequency"), model.mips * 1_000_000),
            mpu_regions=regions if isinstance(regions, int) else None,
            **how,
        )

    def _slots_of(self, core: Core) -> Iterator[Slot]:
        """Peripherals behind their gates, and tags."""
        told = {each.peripheral for each in self.platform.mailboxes}  # of each write the board is
        for slot in self._peripherals.slots_of(core.name):
            gated = slot
            for gate in self.gates.of_peripheral(core.name, slot.name):
                say = partial(self._passes_gate, core, slot.extent.start)
                device = GatedDevice(gated.device, self.gates, gate, say)
                gated = replace(gated, device=device, lasting=None, sender=None)
            is_told = slot.name in self.gates.registers or slot.name in told
            yield replace(gated, sender=None) if is_told else gated
        yield from self._peripherals.tag_slots()

    def _runs_firmware(self, name: str) -> bool:
        return name not in self.hosted and bool(self.by_name[name].images)

    def _passes_gate(self, core: Core, base: int, offset: int, what: str) -> bool:
        """A core goes on where the chip would not let it: said, unless this is a trial."""
        if not self._turn.is_trial:
            core.report_error(base + offset, what)
        return not self._turn.is_trial

    def look_at_gates(self) -> None:
        """Registers that open or shut something for a core may have changed."""
        self.gates.look(self.by_name)

    def host_core(self, core: str, player: Player) -> HostedCore:
        """Put a player in a core's place."""
        hosted = self.hosted[core] = HostedCore(self.by_name[core], player, self.device_written, self.by_name)
        if self.coherence is not None:
            each = self.by_name[core]
            number = self.cores.index(each)
            hosted.past_caches = self.coherence.view(each.memory.stored, lambda: Step(number, 0, each.now))
        return hosted

    def assist_core(self, core: str, assistant: Assistant) -> AssistedCore:
        """Put an assistant beside a core's firmware."""
        each = self.by_name[core]
        assisted = self.assisted[core] = AssistedCore(each, assistant, self.device_written, self.by_name, self.settle)
        return assisted

    # --- what is said

    def subscribe(self, listener: Listener) -> None:
        """Tell this one of every event from now on."""
        self.listeners.append(listener)
        for core in self.cores:
            core.keep_untold()

    def emit(self, core: Core, detail: Detail) -> None:
        if self.listeners:
            self.say(core.name, core.time_ns, detail)

    def say(self, core: str, time_ns: int, detail: Detail) -> None:
        """Tell every listener."""
        event = Event(time_ns, core, detail)
        for listener in self.listeners:
            listener(event)

    def device_log(self, peripheral: str, level: str, text: str) -> None:
        """A line of a peripheral script; from a warning on it is worth reading in a report."""
        if not self._turn.is_trial and level in ("warning", "error"):
            core = self._turn.core
            time_ns = core.time_ns if core else self._turn.time_ns
            self.say(core.name if core else "", time_ns, Note(f"{peripheral}: {text}"))

    def unmodelled(self, peripheral: str, text: str) -> None:
        """A device was touched where it has no model; the access under way says the rest."""
        if self._turn.core is not None:
            self._turn.core.report_unmodelled(peripheral, text)

    # --- from one to another

    def reach(self, core: Core, signal: Signal) -> None:
        """Something reaches a core: at once if it is running or nobody is, else at the sender's moment."""
        hosted = self.hosted.get(core.name)
        if hosted is not None:
            if isinstance(signal, Released) and hosted.held:
                hosted.held, hosted.asked = False, True
                self.say(core.name, self._turn.time_ns, StateChanged(CoreState.RUNNING, "released"))
            return  # a player looks at its mailbox itself
        sender, now = self._turn.core, core.now
        if sender is core and isinstance(signal, LineChanged):
            core.set_line(signal.interrupt, signal.level)
            return
        if sender is not None and sender is not core:
            moment = core.timeline.count_at(sender.time_ns)
            if moment > now:
                now = moment
                # Until the core has come as far (Scheduler._advance): else it would see what the sender does next
                # before the signal that came first.
                sender.pause()
        core.post(now, signal)

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None:
        """A device drives an input of a core's NVIC."""
        if not self._turn.is_trial and self.lines.get((nvic, line), False) != level:
            self.lines[(nvic, line)] = level
            self.reach(self._by_nvic[nvic], LineChanged(line, level))

    def set_event(self, name: str) -> None:
        """A device sets a core's event register."""
        if not self._turn.is_trial:
            self.reach(self.by_name[name], EventSent())

    def send_event(self, core: Core) -> None:
        for each in self.cores:
            if each is core:
                each.set_event()
            else:
                self.reach(each, EventSent())

    def hold_core(self, name: str, held: bool, why: str) -> None:
        """A device holds a core, or lets it go."""
        if self._turn.is_trial:
            return
        if not held:
            if self.is_held(name):
                self.reach(self.by_name[name], Released())
        elif name in self.hosted:
            self.hosted[name].held = True
        else:
            self.by_name[name].resets.hold(why)
            self.sleep_may_differ()

    def is_held(self, core: str) -> bool:
        hosted = self.hosted.get(core)
        return self.by_name[core].held if hosted is None else hosted.held

    def is_in_deep_sleep(self, nvic: str) -> bool:
        return self._by_nvic[nvic].in_deep_sleep

    def before_sleep_changes(self, core: Core) -> None:
        self._peripherals.before_sleep_changes()

    def after_sleep_changed(self, core: Core) -> None:
        self.sleep_may_differ()
        if self._gates_see_sleep and core.sleeps_deeply:
            self.look_at_gates()

    def sleep_may_differ(self) -> None:
        """What :meth:`is_in_deep_sleep` tells may be something else than it was."""
        self._peripherals.sleep_changed()

    def vector_table(self, core: str) -> int:
        return self.by_name[core].scs.vtor_reset

    def set_vector_table(self, core: str, address: int) -> None:
        """Where a core boots from its next reset or release on."""
        if not self._turn.is_trial:
            self.by_name[core].scs.vtor_reset = address

    # --- mailboxes

    def device_written(self, core: Core, slot: Slot) -> None:
        if slot.name in self.gates.registers:
            self.look_at_gates()
        if slot.name in self.mailboxes.mailboxes:
            for detail in self.mailboxes.stored(slot.name, core.name):
                if isinstance(detail, NotificationIgnored) and self._runs_firmware(core.name):
                    detail = replace(detail, pc=core.storing_pc)  # noqa: PLW2901  # the same, with who did it
                self.say(core.name, core.time_ns, detail)
                if self.injections is not None and isinstance(detail, NotificationSent):
                    self.injections.sent(core, detail)

    def mailbox_changed(self, core: Core, slot: Slot) -> None:
        """A fault has changed a mailbox in a core's name: nobody is told."""
        for _ in self.mailboxes.stored(slot.name, core.name):
            pass

    def interrupt_taken(self, core: Core, interrupt: int) -> None:
        for taken in self.mailboxes.taken(core.name, interrupt):
            self.emit(core, taken)

    def rung(self, core: Core) -> list[int]:
        """The interrupts by which a mailbox drives a core now."""
        nvic = core.model.nvic
        return [each for each in self.mailboxes.interrupts(core.name) if self.lines.get((nvic, each), False)]

    # --- memory, as devices see it

    def view(self, core: str) -> MemoryView:
        """What is stored, by a core's addresses; what a device stores there, the core does whose turn it is."""
        stored = self.by_name[core].memory.stored
        return stored if self.coherence is None else self.coherence.view(stored, self._device_acts)

    def _device_acts(self) -> Step:
        core = self._turn.core
        time_ns = core.time_ns if core is not None else self._turn.time_ns
        return Step(None, 0, self.cores[0].timeline.count_at(time_ns))

    def model_caches(self, mode: CoherenceMode, seed: int) -> None:
        """Model the cores' data caches from power-on; EngineError where no core has one."""
        self.coherence = Coherence(self.cores, self.memory, mode, seed)

    def tell_incoherence(self) -> None:
        """Say what the caches' models have found."""
        if self.coherence is not None:
            for core, found in self.coherence.take():
                self.say(core.name, found.by.time_ns, found)

    def device_at(self, address: int) -> tuple[Device, int] | None:
        """The device that any core finds at an address, and the offset into it."""
        return self._peripherals.device_at(address)

    def settle(self) -> None:
        """Leave idle loops as if they had been executed, before the host changes something."""
        for core in self.cores:
            core.leave_loop()

    # --- time, as devices count it

    def cycles(self, core: str, frequency_hz: int) -> int:
        """Ticks of a clock since power-on, at the very instruction that this core executes."""
        each = self.by_name[core]
        return each.now * frequency_hz // (each.mips * 1_000_000)

    def ticks(self, frequency_hz: int) -> int:
        """Ticks of a clock since power-on, at the instruction that is executed, or now if none is."""
        if self._turn.core is not None:
            return self.cycles(self._turn.core.name, frequency_hz)
        return self._turn.time_ns * frequency_hz // 1_000_000_000

    def wake_device(self, name: str, tick: int, frequency_hz: int) -> None:
        """Wake a device at a tick of its clock, or at an earlier one for which it has asked."""
        if self._turn.is_trial:
            return
        core = self._turn.core or self.cores[0]
        self._armed.setdefault(name, Armed()).ask(core.time_ns, self._turn.core, frequency_hz)
        count = -(-tick * core.mips * 1_000_000 // frequency_hz)
        time_ns = count * 1000 // core.mips
        asked = self.alarms.get(name)
        if asked is None or time_ns < asked:
            self.alarms[name] = time_ns
            core.timeline.post_alarm(count, Alarm(name))

    def alarm(self, core: Core, name: str, count: int) -> None:
        if self.injections is not None and self.injections.has(name):
            self.injections.happen(core, name)
            return
        if self.alarms.get(name) == count * 1000 // core.mips:
            del self.alarms[name]
        device = self.devices[name]
        assert isinstance(device, Waking)
        device.wake()

    def coming(self, seen_ns: int) -> tuple[Coming, ...]:
        """As :class:`~orchestrator.engines.contract.Foreseeing` says: alarms of devices, and SysTick of cores."""
        now = self._turn.time_ns
        found = [
            Coming("SysTick", core.name, at)
            for core in self.cores
            if (at := core.timeline.systick_ns()) is not None and at - now > seen_ns
        ]
        for name, armed in self._armed.items():
            device = self.devices[name]
            due = device.next_due() if isinstance(device, Foreseen) else None
            at = -1 if due is None else -(-due * 1_000_000_000 // armed.frequency_hz)
            if at > now and not armed.is_renewed(now - seen_ns):
                found.append(Coming(name, armed.core, at))
        return tuple(sorted(found, key=lambda each: (each.time_ns, each.device)))

    def turn_of(self, core: Core) -> AbstractContextManager[None]:
        return self._turn.of(core)

    # --- resets

    def reset_chip(self, peripheral: str, why: str) -> None:
        """A device resets the chip after the instruction that is executed."""
        core = self._turn.core or self.cores[0]
        self._reset_reason = f"{SYSTEM_RESET} by {peripheral}: {why}"
        core.reset_requested()

    def system_reset(self, core: Core) -> None:
        """SYSRESETREQ resets the chip: every core and device; memory keeps its bytes."""
        why = self._reset_reason or f"{SYSTEM_RESET} requested by firmware"
        self._resets += 1
        trace = core.backtrace() if self._resets <= _MOST_TRACED else ()
        self.emit(core, StateChanged(CoreState.RUNNING, why, trace))
        self._reset_reason = ""
        self.lines.clear()
        for each in self.cores:
            each.timeline.release_lines()
        self._peripherals.reset()
        self.look_at_gates()
        for each in self.cores:
            each.resets.reset()
        for hosted in self.hosted.values():
            hosted.reset()
        for each in self.cores:
            if not each.held:
                each.resets.start()

    def close(self) -> None:
        """Give back what the cores and their memory hold."""
        self.listeners.clear()
        if self.coherence is not None:
            self.coherence.close()
        for core in self.cores:
            core.close()
        self.cores.clear()
        self.memory.close()


def _integer(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
