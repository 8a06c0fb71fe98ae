"""Keywords that start a board, let its time pass, and look at its cores and memory."""

from __future__ import annotations

from collections.abc import Callable

from robot.api import SkipExecution, logger
from robot.api.deco import keyword

from orchestrator.base.errors import EngineError, UsageError
from orchestrator.board import Board, BoardOptions, BoardSnapshot, End, EndReason
from orchestrator.board.from_settings import board_options
from orchestrator.board.schedule import load_schedule
from orchestrator.engines.contract import Capability
from orchestrator.engines.qemu.process import find_qemu
from orchestrator.engines.registry import ENGINES
from orchestrator.engines.renode.discovery import discover
from orchestrator.events import CoreState
from orchestrator.gdb import serve_gdb
from orchestrator.pairs import load_pairs
from orchestrator.report.attachment import followed
from orchestrator.report.traces import Traces
from orchestrator.robot.suite import Suite, duration_text

__all__ = ["BoardKeywords"]


class BoardKeywords(Suite):
    """Start, run, look."""

    @keyword
    def start_board(
        self,
        platform: str,
        main: str | None = None,
        remote: str | None = None,
        *,
        engine: str = "unicorn",
        profile: str = "auto",
        table: str | None = None,
        vrings: list[str] | None = None,
        memory: list[str] | None = None,
        vtor: dict[str, int] | None = None,
        maps: list[str] | None = None,
        nuttx_config: str | None = None,
        notify: dict[str, int] | None = None,
        seed: int = 0,
        schedule: str | None = None,
        coherence: str | None = None,
        order: bool = False,
        faults: list[str] | None = None,
        fault_seed: int = 0,
        svd: str | None = None,
        wall_time: float | str = "600 s",
    ) -> None:
        """Puts a board of this platform at power-on, with the firmware of both cores loaded.

        ``platform`` is a name from ``rptwin platforms`` or a ``.repl`` file; ``main`` and ``remote`` are ELF files.
        The core of one that is left out is played in Python: `Start Remote`, `Send Message`; a Python remote wants
        ``table=remote:0xADDRESS``.
        The options are those of ``rptwin run``, ``schedule`` is a file of ``rptwin explore``, ``faults`` are
        as ``--fault`` has them; ``wall_time`` is what each keyword that runs may take. A board that was running before
        is given up. No time passes yet.
        """
        self._close()
        options = BoardOptions(
            main=main,
            remote=remote,
            engine=engine,
            profile=profile,
            table=table,
            vrings=vrings or (),
            memory=memory or (),
            vtor=vtor or {},
            maps=maps or (),
            nuttx_config=nuttx_config,
            notify=notify or {},
            seed=seed,
            schedule=None if schedule is None else load_schedule(schedule),
            coherence=coherence,
            order=order,
            faults=faults or (),
            fault_seed=fault_seed,
            svd=svd,
            wall_time=wall_time,
        )
        self._open = Board(platform, options)
        if self._writes_pages:
            self._collector = followed(self._open)

    @keyword
    def trace_board(self, **files: str) -> None:
        """Writes what goes on from here on to files for other tools, when the board is given up.

        Each is named as the option of ``rptwin run``: ``perfetto=run.pftrace``, ``vcd=run.vcd``, ``pcapng=run.pcapng``,
        ``folded=run.folded``, ``lcov=run.info``. Best used right after `Start Board`. Of a board that goes back to a
        state (`Requires`), what is told begins there.
        """
        self._traces = Traces(files, self._board())

    @keyword
    def start_pair(self, file: str, name: str) -> None:
        """Puts the board of one pair of a file at power-on, with the settings that stand there.

        ``file`` is one of ``rptwin run --pairs``; ``name`` is a pair of it, with what its matrix adds: ``demo seed=1``.
        """
        pairs = {each.name: each.settings for each in load_pairs(file)}
        if name not in pairs:
            raise UsageError("no such pair", where=file, expected=" | ".join(pairs), found=name)
        self._close()
        self._open = Board(pairs[name].platform, board_options(pairs[name]))

    @keyword
    def get_pairs(self, file: str) -> list[str]:
        """The names of the pairs of a file, in its order."""
        return [each.name for each in load_pairs(file)]

    @keyword
    def serve_gdb(self, port: int = 3333) -> dict[str, int]:
        """Serves gdb on the cores of the board, and waits until one has come and let the board go.

        ``port`` is the first core's, those after it the others'; 0: any free ones. Returned are the ports by core.
        Best used right after `Start Board`; then every keyword that runs goes at the pace of who debugs.
        """
        server = serve_gdb(self._board(), port, logger.console)
        self._debuggers.append(server)
        server.wait_for_client()
        return server.ports

    @keyword
    def skip_without_engine(self, engine: str) -> None:
        """Skips the test, or in a suite's setup all of its tests, when this machine lacks the engine; says why."""
        if engine not in ENGINES:
            raise UsageError("no such engine", expected=" | ".join(ENGINES), found=engine)
        finders: dict[str, Callable[[], object]] = {
            "renode": discover,
            "qemu": find_qemu,
        }  # the others come with rptwin
        try:
            if engine in finders:
                finders[engine]()
        except EngineError as missing:
            raise SkipExecution(str(missing)) from None

    @keyword
    def skip_without_capability(self, capability: str) -> None:
        """Skips the test when the engine has no ``snapshot``, ``watch``, ``faults``, ``monitor`` or ``play``."""
        engine = self._board().engine
        if Capability(capability) not in engine.capabilities:
            raise SkipExecution(f"not checked on {engine.name}: it has no {capability}")

    @keyword
    def stop_board(self) -> None:
        """Gives the board up. The end of the suite does so too."""
        self._close()

    @keyword
    def run_for(self, duration: float | str) -> None:
        """Lets this much virtual time pass: ``2`` (seconds), ``50 ms``."""
        end = self._board().run_for(duration_text(duration, "duration"))
        if end.reason.is_cut:
            raise AssertionError(f"{duration} have not passed: {self._how_it_stands(end)}")

    @keyword
    def run_until(self, condition: str, timeout: float | str = "5 s") -> None:
        """Lets time pass until a condition is met, and fails if it is not within the timeout.

        The condition is written as for ``rptwin run --until``: ``up``, ``CONSOLE:TEXT``, ``CONSOLE~REGEX`` or
        ``CORE@0xADDRESS[&MASK]=VALUE``.
        """
        end = self._board().run(until=condition, timeout=duration_text(timeout))
        if end.reason is not EndReason.CONDITION:
            raise AssertionError(f"{condition!r} was not met: {self._how_it_stands(end)}")

    @keyword
    def run_until_up(self, timeout: float | str = "5 s") -> None:
        """Lets time pass until every vdev is at DRIVER_OK and every vring is resolved, and fails with the findings."""
        end = self._board().run(until="up", timeout=duration_text(timeout))
        if end.reason is not EndReason.CONDITION:
            raise AssertionError(f"RPTUN did not come up: {self._how_it_stands(end)}")

    @keyword
    def run_until_quiet(self, timeout: float | str = "5 s") -> None:
        """Lets time pass until RPTUN is up and shared memory has been quiet for 50 ms, and fails with the findings."""
        end = self._board().run(timeout=duration_text(timeout))
        if end.reason is not EndReason.QUIET:
            raise AssertionError(f"the bring-up did not come to rest: {self._how_it_stands(end)}")

    @keyword
    def run_until_the_end(self, timeout: float | str = "5 s") -> str:
        """Lets time pass as ``rptwin run`` does, accepts any end of its own, and returns which it was."""
        end = self._board().run(timeout=duration_text(timeout))
        if end.reason.is_cut:
            raise AssertionError(f"the run was ended: {self._how_it_stands(end)}")
        return str(end)

    @keyword
    def get_virtual_time(self) -> float:
        """Returns the virtual seconds since power-on."""
        return self._board().time_s

    @keyword
    def take_snapshot(self) -> BoardSnapshot:
        """Returns the whole board as it is now, for `Restore Snapshot`."""
        return self._board().snapshot()

    @keyword
    def restore_snapshot(self, snapshot: object) -> None:
        """Takes the board back to a snapshot of it."""
        assert isinstance(snapshot, BoardSnapshot), "expected what `Take Snapshot` returned"
        self._board().restore(snapshot)

    @keyword
    def read_word(self, core: str, address: int) -> int:
        """Returns the 32-bit word at an address as a core (role or name) sees it."""
        return int.from_bytes(self._board().memory(core).read(address, 4), "little")

    @keyword
    def write_word(self, core: str, address: int, value: int) -> None:
        """Stores a 32-bit word at an address as a core sees it, as a debugger would."""
        self._board().memory(core).write(address, value.to_bytes(4, "little"))

    @keyword
    def core_should_be(self, core: str, state: str) -> None:
        """Fails unless a core (role or name) is ``running``, ``sleeping``, ``held`` or ``locked up``."""
        board = self._board()
        wanted = CoreState(state.lower())
        found = board.engine.state(board.platform.core(core).name)
        if found is not wanted:
            raise AssertionError(f"{core} is {found}, not {wanted}, at {self._where(core)}")

    @keyword
    def core_should_not_have_faulted(self, core: str) -> None:
        """Fails with the fault's address, cause and backtrace if a core (role or name) took a fault that no handler
        served.
        """
        board = self._board()
        run = board.observer.run.cores[board.platform.role_of(board.platform.core(core).name)]
        fatal = run.fatal_faults(board.time_ns)
        if fatal:
            time_ns, fault = fatal[0].time_ns, fatal[0].fault
            trace = " <- ".join(frame.symbol or f"{frame.pc:#010x}" for frame in fault.backtrace)
            raise AssertionError(f"{core} took {fault.name} at {time_ns / 1e6:.3f} ms: {fault.what}; {trace}")

    def _where(self, core: str) -> str:
        board = self._board()
        frames = board.engine.backtrace(board.platform.core(core).name)
        return " <- ".join(frame.symbol or f"{frame.pc:#010x}" for frame in frames) or "an unknown place"

    def _how_it_stands(self, end: End) -> str:
        return f"{end}\n{self._plain(self._board().findings)}"
