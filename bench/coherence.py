"""What a model of the data cache costs in CPU time: the same runs with and without it, in turn."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench.rates import SLEEP_PROGRAM, image_of
from orchestrator.board import Board
from orchestrator.engines.contract import CoherenceMode, EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.platform import load_platform

__all__ = ["costs"]

# A word of 16 KB of AXI SRAM after the other is read, changed and written; the cache is on, by the default map.
_MEMORY = """
    .thumb_func
reset: ldr r0, =0xE000ED14
    ldr r1, =0x70200
    str r1, [r0]            @ CCR: DC, IC
    dsb
1:  ldr r0, =0x24000000
    mov r2, #4096
2:  ldr r1, [r0]
    add r1, #1
    str r1, [r0], #4
    subs r2, #1
    bne 2b
    b 1b
"""
_RUN_NS = 100_000_000
_ROUNDS = 5


def _memory_bound(mode: CoherenceMode | None) -> float:
    board = UnicornEngine(load_platform("stm32h745"), EngineOptions(coherence=mode))
    for core, flash, text in (("cpu_cm7", 0x0800_0000, _MEMORY), ("cpu_cm4", 0x0810_0000, SLEEP_PROGRAM)):
        board.load(core, image_of(text, flash), flash)
    board.run(1_000_000)
    begin = time.process_time()
    board.run(_RUN_NS)
    took = time.process_time() - begin
    board.close()
    return took


def _pings(pair: Path, mode: CoherenceMode | None) -> float:
    with Board(main=pair / "main.elf", remote=pair / "remote.elf", coherence=mode) as board:
        board.run()
        begin = time.process_time()
        board.consoles["main"].write(b"ping 1000 64\n")
        board.run_for("1 s")
        return time.process_time() - begin


def costs(firmware: Path) -> dict[str, float]:
    """By what was run: how many times as long it takes with the model; medians of rounds in turn."""
    runs = {
        "the demo's pings": lambda mode: _pings(firmware / "demo", mode),
        "the cached pair's pings, with maintenance": lambda mode: _pings(firmware / "cached", mode),
        "a memory-bound loop": _memory_bound,
    }
    found = {}
    for what, run in runs.items():
        for mode in CoherenceMode:
            rounds = [run(mode) / run(None) for _ in range(_ROUNDS)]
            found[f"--coherence {mode.value}: {what}"] = statistics.median(rounds)
    return found
