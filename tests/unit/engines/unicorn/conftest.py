"""One assembler for all, and boards that are closed after each test."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Protocol

import pytest
from support.thumb_board import Assembler, Machine, board_platform

CORES = ["cpu_a", "cpu_b"]


class Boot(Protocol):
    """Load programs without running them: ``boot(program)`` on one core, ``other`` on the other."""

    def __call__(
        self,
        program: str,
        *,
        core: str = "cpu_a",
        other: str | None = None,
        board: str = "pair",
        quantum_ns: int = 20_000,
        skip_idle_loops: bool = False,
        count_blocks: bool = True,
        native_exceptions: bool = True,
        listens: bool = True,
    ) -> Machine: ...


@pytest.fixture(scope="session")
def assembler(tmp_path_factory: pytest.TempPathFactory) -> Assembler:
    return Assembler(tmp_path_factory.mktemp("thumb"))


platform = cache(board_platform)


@pytest.fixture
def boot(assembler: Assembler) -> Iterator[Boot]:
    machines: list[Machine] = []

    def boot(
        program: str,
        *,
        core: str = "cpu_a",
        other: str | None = None,
        board: str = "pair",
        quantum_ns: int = 20_000,
        skip_idle_loops: bool = False,
        count_blocks: bool = True,
        native_exceptions: bool = True,
        listens: bool = True,
    ) -> Machine:
        images = {core: assembler.image(program, 0)}
        if other is not None:
            images[CORES[1 - CORES.index(core)]] = assembler.image(other, 1)
        machine = Machine(
            platform(board),
            images,
            core,
            quantum_ns,
            skip_idle_loops=skip_idle_loops,
            count_blocks=count_blocks,
            native_exceptions=native_exceptions,
            listens=listens,
        )
        machines.append(machine)
        return machine

    yield boot
    for machine in machines:
        machine.engine.close()


@pytest.fixture(params=CORES, ids=["m7", "m4"])
def core(request: pytest.FixtureRequest) -> str:
    """A test that asks for it runs on each core."""
    name: str = request.param
    return name
