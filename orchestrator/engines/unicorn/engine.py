"""The default engine: the cores of a platform on Unicorn, in turns of virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.errors import EngineError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.common.conditions import Conditions
from orchestrator.engines.common.cores import core_named
from orchestrator.engines.common.loading import loaded_images, refuse_outside
from orchestrator.engines.contract import (
    Assistant,
    Capability,
    CoherenceMode,
    Coming,
    Condition,
    DebugStop,
    EngineOptions,
    InjectedFault,
    InjectedKind,
    MemoryEquals,
    Ordered,
    Player,
    SharedMemory,
    Stop,
    Watchpoint,
)
from orchestrator.engines.unicorn.assisted import AssistedCore
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.cpu.debug import CoreDebug
from orchestrator.engines.unicorn.cpu.signals import Delayed, Released
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.engines.unicorn.host_access import HostMemory, peek, poke
from orchestrator.engines.unicorn.hosted import HostedCore
from orchestrator.engines.unicorn.injection import Injections
from orchestrator.engines.unicorn.observed import ObservedExtents
from orchestrator.engines.unicorn.scheduler import Scheduler
from orchestrator.engines.unicorn.snapshot import BoardSnapshot, restore_board, take_snapshot
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.engines.unicorn.watches import Watches
from orchestrator.engines.unicorn.wiring import Wiring
from orchestrator.events import (
    RESET,
    Activity,
    Backtrace,
    CoreState,
    DataCache,
    Listener,
    Sleep,
    StateChanged,
    Waiting,
)
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["UnicornEngine"]


class UnicornEngine:
    """One board; implements of :mod:`orchestrator.engines.contract` all but ``Monitored``.

    More methods than most, as the contract is: each hands on to the part that knows.
    """

    name = "unicorn"
    capabilities = frozenset(Capability) - {Capability.MONITOR}

    def __init__(
        self,
        platform: Platform,
        options: EngineOptions,
        *,
        skip_idle_loops: bool = True,
        count_blocks: bool = True,
        native_exceptions: bool = True,
    ) -> None:
        if options.quantum_ns <= 0:
            raise UsageError("a quantum is some virtual time", expected="more than 0 ns", found=options.quantum_ns)
        self.platform = platform
        # A line may leave the cache at any time: what an idle loop reads from it is not as it was.
        skip_idle_loops = skip_idle_loops and options.coherence is not CoherenceMode.REAL
        self._turn = Turn(options.quantum_ns)
        self._watches = Watches()
        self.wiring = Wiring(
            platform,
            self._turn,
            skip_idle_loops=skip_idle_loops,
            count_blocks=count_blocks and options.coherence is None,
            native_exceptions=native_exceptions,
            console_size=options.console_size,
            is_shared=options.shares_memory,
        )
        if options.coherence is not None:
            self.wiring.model_caches(options.coherence, options.seed)
        if options.order:
            for core in self.wiring.cores:
                core.order_log.start()
        self._observed = ObservedExtents(self.wiring.cores)
        # What another process stores, nobody here foresees.
        skips = skip_idle_loops and not options.shares_memory
        self._scheduler = Scheduler(self.wiring, self._watches, self._turn, options.seed, skips=skips)
        self._conditions = Conditions(platform, self.consoles, self._bytes_at)

    def core(self, name: str) -> Core:
        """A core of the board; :class:`UsageError` where there is none of this name."""
        return self.wiring.by_name[core_named(self.platform, name).name]

    def power_on(self) -> None:
        """Let the cores begin at their vector tables, if they have not."""
        self._scheduler.power_on()

    def _powered(self, core: str) -> Core:
        """A core that has begun at its vector table, if it is to."""
        self.power_on()
        return self.core(core)

    # --- the contract: firmware

    def load(self, core: str, image: Image, vector_table: int) -> None:
        target = self.core(core)
        refuse_outside(self.platform, core, image)
        memory = self.memory(core)
        for segment in image.segments:
            if segment.data:
                memory.write(segment.load_address, segment.data)
        target.images[:] = loaded_images(image, target.images)
        target.scs.vtor_reset = target.scs.vtor = vector_table

    def start(self, core: str) -> None:
        each = self.core(core)
        if self._turn.core is None and core not in self.wiring.hosted:
            each.resets.release("started")
        else:  # by a player, in its turn
            self.wiring.reach(each, Released())

    def hold(self, core: str) -> None:
        self.core(core).resets.hold("held")
        self.wiring.sleep_may_differ()
        if core in self.wiring.hosted:
            self.wiring.hosted[core].held = True

    def delay(self, core: str, cycle: int, duration_ns: int) -> None:
        each = self.core(core)
        if core in self.wiring.hosted:
            raise EngineError("it executes no firmware that could be delayed", where=core)
        if cycle < each.now:
            raise EngineError("a cycle that has passed", where=core, expected=f"{each.now} or later", found=cycle)
        each.timeline.post(cycle, Delayed(each.timeline.count_at(duration_ns)))

    def inject(self, fault: InjectedFault, name: str) -> None:
        self.core(fault.core)
        if fault.core in self.wiring.hosted and fault.kind in (InjectedKind.RESET, InjectedKind.HOLD):
            raise UsageError("Python plays this core", where=f"fault {name}", found=fault.core)
        if self.wiring.injections is None:
            self.wiring.injections = Injections(self.wiring, self._flip)
        self.wiring.injections.add(fault, name)

    def _flip(self, core: str, address: int, bit: int) -> None:
        memory = self.memory(core)
        memory.write(address, bytes((memory.read(address, 1)[0] ^ 1 << bit,)))

    def part(self) -> None:
        self.wiring.memory.part()

    def reset(self, core: str) -> None:
        each = self.core(core)
        each.resets.reset()
        if core in self.wiring.hosted:
            self.wiring.hosted[core].reset()
        self.wiring.say(core, self.time_ns, StateChanged(each.state, RESET))
        if not each.held:
            each.resets.start()

    def play(self, core: str, player: Player) -> HostedCore:
        if self._scheduler.started:
            raise UsageError("a core is played from power-on", where=core)
        return self.wiring.host_core(self.core(core).name, player)

    def assist(self, core: str, assistant: Assistant) -> AssistedCore:
        name = self.core(core).name
        if name in self.wiring.hosted or name in self.wiring.assisted:
            raise UsageError("is played or assisted already", where=core)
        return self.wiring.assist_core(name, assistant)

    def shared_memory(self, core: str) -> tuple[SharedMemory, ...]:
        return tuple(
            SharedMemory(mapping.store.region.name, mapping.extent, mapping.store.file, 0)
            for mapping in self.core(core).memory.mappings()
            if mapping.store.file is not None
        )

    # --- the contract: time

    @property
    def time_ns(self) -> int:
        return self._turn.time_ns

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        self.power_on()
        by_memory = isinstance(until, MemoryEquals)
        return self._scheduler.run(timeout_ns, self._conditions.met(until), by_memory=by_memory)

    def stop(self) -> None:
        self._scheduler.stop()

    # --- the contract: looking

    @property
    def consoles(self) -> Mapping[str, UartConsole]:
        return self.wiring.consoles

    def state(self, core: str) -> CoreState:
        hosted = self.wiring.hosted.get(core)
        if hosted is not None:
            return CoreState.HELD if hosted.held else CoreState.SLEEPING
        return self.core(core).state

    def memory(self, core: str) -> HostMemory:
        return HostMemory(self.core(core).memory, self.wiring, self._watches)

    def registers(self, core: str) -> Mapping[str, int]:
        return self.core(core).registers()

    def backtrace(self, core: str) -> Backtrace:
        return () if core in self.wiring.hosted else self.core(core).backtrace()

    def waiting(self, core: str) -> Waiting | None:
        return self.core(core).waiting()

    def coming(self, seen_ns: int) -> tuple[Coming, ...]:
        return self.wiring.coming(seen_ns)

    def activity(self, core: str) -> Activity:
        return self.core(core).activity()

    def last_sleep(self, core: str) -> Sleep | None:
        return self.core(core).last_sleep()

    def data_cache(self, core: str) -> DataCache | None:
        return None if core in self.wiring.hosted else self.core(core).scs.data_cache()

    def ordered(self, core: str) -> Ordered:
        return self.core(core).order_log.counted()

    def device_memory(self, core: str) -> tuple[Extent, ...]:
        return self.core(core).scs.mpu.device_memory()

    def instructions(self, core: str) -> int:
        return 0 if core in self.wiring.hosted else self.core(core).now

    def _bytes_at(self, core: str, extent: Extent) -> Callable[[], memoryview]:
        span = self.core(core).memory.span(extent.start, extent.size)
        assert span is not None
        return lambda: span

    def watch(self, name: str, core: str, extent: Extent) -> None:
        span = self.core(core).memory.stored.span(extent.start, extent.size)
        if span is None:
            raise EngineError("what is to be watched does not lie in one piece of memory", where=core, found=extent)
        self._watches.add(name, span)

    def unwatch(self, name: str) -> None:
        self._watches.remove(name)

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        self._observed.add(name, self.core(core), extent, merge=merge)
        return frozenset(self.wiring.by_name.keys() - self.wiring.hosted.keys())

    def unobserve(self, name: str) -> None:
        self._observed.remove(name)

    def subscribe(self, listener: Listener) -> None:
        self.wiring.subscribe(listener)

    def sample(
        self, core: str, interval_ns: int, on_sample: Callable[[int, CoreState, Backtrace], None]
    ) -> Callable[[], None]:
        each = self.core(core)
        return each.sample(max(1, each.timeline.count_at(interval_ns)), on_sample).take

    def count(self, core: str, extent: Extent) -> None:
        self.core(core).counts.add(extent)

    def counts(self, core: str) -> Mapping[int, int]:
        return dict(self.core(core).counts)

    # --- the contract: a debugger

    def debug(self, core: str, on_stop: Callable[[DebugStop], None] | None) -> None:
        self.core(core).debugger.attach(on_stop)

    def _debug_of(self, core: str) -> CoreDebug:
        debug = self.core(core).debugger.core_debug
        if debug is None:
            raise UsageError("no debugger is attached", where=core)
        return debug

    def set_breakpoints(self, core: str, addresses: frozenset[int]) -> None:
        self._debug_of(core).set_breakpoints(addresses)

    def set_watchpoints(self, core: str, watchpoints: tuple[Watchpoint, ...]) -> None:
        self._debug_of(core).set_watchpoints(watchpoints)

    def step(self, core: str, *, wanted: bool) -> None:
        self.power_on()
        debug = self._debug_of(core)
        debug.step() if wanted else debug.cancel_step()

    def debug_registers(self, core: str) -> Mapping[str, int]:
        return self._powered(core).debugger.registers()

    def write_register(self, core: str, name: str, value: int) -> None:
        if name not in self.debug_registers(core):
            raise UsageError("no such register", where=core, found=name)
        self.core(core).debugger.write_register(name, value)

    def peek(self, core: str, address: int, size: int) -> bytes:
        return peek(self._powered(core), self._turn, address, size)

    def poke(self, core: str, address: int, data: bytes) -> None:
        poke(self._powered(core), self._turn, self.wiring, self._watches, address, data)

    # --- the contract: snapshots

    def snapshot(self) -> BoardSnapshot:
        self._turn.refuse_inside("a snapshot")
        self.power_on()
        return take_snapshot(self, self.wiring, self._turn)

    def restore(self, snapshot: object) -> None:
        if not isinstance(snapshot, BoardSnapshot) or snapshot.owner is not self:
            raise UsageError("a snapshot can be restored only on the board it was taken from")
        self._turn.refuse_inside("a restore")
        restore_board(snapshot, self.wiring, self._turn)
        self._scheduler.restart()
        self._watches.accept()

    def close(self) -> None:
        self._watches.clear()
        self.wiring.close()
