"""An image on the Unicorn engine: what is tested."""

from __future__ import annotations

from dataclasses import replace

from conformance.images import DEFAULT_QUANTUM_NS, CoreType, Selection
from conformance.transcript import END, HANGS, LOCKS_UP, Program, parse
from orchestrator.engines.contract import ConsoleText, EngineOptions, StopReason
from orchestrator.engines.unicorn.engine import UnicornEngine

__all__ = ["run_on_unicorn"]

_PATIENCE_NS = 10_000_000  # without a word in so much virtual time a program hangs
_PATIENCE_WITH_TWO_NS = 50_000_000  # what the second core says is heard when its job is done


def run_on_unicorn(
    core: CoreType,
    selection: Selection | None = None,
    patience_ns: int | None = None,
    quantum_ns: int = DEFAULT_QUANTUM_NS,
    *,
    native_exceptions: bool = True,
) -> list[Program]:
    """Every program of the image; one that hangs or locks up is said so and the rest goes on."""
    selection = selection or Selection(manual=True)
    if patience_ns is None:
        patience_ns = _PATIENCE_NS if len(core.stems) == 1 else _PATIENCE_WITH_TWO_NS
    programs: list[Program] = []
    first = selection.first
    while True:
        lines = _lines(
            core, replace(selection, first=first), patience_ns, quantum_ns, native_exceptions=native_exceptions
        )
        part = parse(lines)
        programs += part
        if selection.only_one or selection.sequences or END in lines or not part:
            return programs
        first = part[-1].number + 1


def _lines(
    core: CoreType, selection: Selection, patience_ns: int, quantum_ns: int, *, native_exceptions: bool
) -> list[str]:
    platform, image = core.platform(), core.image()
    options = EngineOptions(quantum_ns=quantum_ns, console_size=1 << 28)
    engine = UnicornEngine(platform, options, native_exceptions=native_exceptions)
    try:
        name = platform.cores[0].name
        for each, loaded in zip(platform.cores, core.images(), strict=True):
            engine.load(each.name, loaded, each.boot_address)
        for address, value in selection.words(image).items():
            engine.memory(name).write(address, value.to_bytes(4, "little"))
        if selection.sequences:
            engine.memory(name).write(*selection.blob(image))
        uart = platform.consoles[name]
        console = engine.consoles[uart]
        while True:
            heard = console.total
            stop = engine.run(patience_ns, ConsoleText(uart, END))
            lines = console.output.decode(errors="replace").splitlines()
            if stop.reason == StopReason.CONDITION:
                return lines
            if stop.reason == StopReason.DEAD:
                return [*lines, LOCKS_UP]
            if console.total == heard:
                return [*lines, HANGS]
    finally:
        engine.close()
