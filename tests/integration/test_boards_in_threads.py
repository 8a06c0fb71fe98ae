"""Boards of one process do not know of each other: at the same time in threads they do what they do one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.board import Board

Told = dict[str, object]

# Variant, chip, and what is typed.
PAIRS = {
    "healthy": ("demo", "stm32h745", b"ping 20 64\n"),
    "other chip": ("demo", "nrf5340", b"ping 20 32\n"),
    "third chip": ("demo", "mps2_an521", b"ping 20 16\r"),
    "crashes": ("crash-remote", "stm32h745", b""),
    "wrong": ("wrong-channel", "nrf5340", b""),
}


@pytest.fixture
def tell(pair) -> Callable[[str], Told]:
    """Boot a pair, type, go back to a snapshot and on again: all that was seen."""

    def tell(name: str) -> Told:
        variant, chip, typed = PAIRS[name]
        images = pair(variant, chip)
        events = []
        with Board(chip, main=images.main, remote=images.remote) as board:
            board.subscribe(events.append)
            board.run(timeout="1 s")
            snapshot = board.snapshot()
            rounds = []
            for _ in range(2):
                board.consoles["main"].write(typed)
                board.run_for("20 ms")
                rounds.append((board.engine.time_ns, board.verdict().to_json()))
                board.restore(snapshot)
            return {
                "events": [each.to_json() for each in events],
                "rounds": rounds,
                "verdict": board.verdict().to_json(),
                "consoles": {each: console.output for each, console in board.engine.consoles.items()},
                "memory": [
                    board.memory(core.name).read(extent.start, extent.size)
                    for core in board.platform.cores
                    for region in board.platform.regions
                    if region.writable
                    for extent in region.extents(core.name)[:1]
                ],
            }

    return tell


@pytest.mark.parametrize(
    "names", [("healthy", "other chip"), ("healthy", "healthy"), ("third chip", "crashes", "wrong")]
)
def test_boards_in_threads_do_what_they_do_alone(tell, names):
    alone = [tell(name) for name in names]
    start = threading.Barrier(len(names))

    def at_once(name: str) -> list[Told]:
        start.wait(60)
        return [tell(name) for _ in range(2)]

    with ThreadPoolExecutor(len(names)) as pool:
        together = list(pool.map(at_once, names))
    for name, expected, told in zip(names, alone, together, strict=True):
        for each in told:
            for what, value in expected.items():
                assert each[what] == value, (name, what)


def test_a_board_is_handed_from_thread_to_thread(tell, pair):
    """Made here, run there, looked at here again."""
    images = pair("demo")
    expected = tell("healthy")
    with Board(main=images.main, remote=images.remote) as board, ThreadPoolExecutor(1) as pool:
        pool.submit(board.run, timeout="1 s").result(60)
        assert board.verdict().to_json() == expected["verdict"]
