"""The tests of the engine contract once more, on the Unicorn engine behind the protocol."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.isolated.engine import IsolatedUnicorn
from orchestrator.formats.elf import Image
from orchestrator.platform import Platform

ENGINE_TESTS = Path(__file__).parents[1] / "contract"

# These look inside the Unicorn engine itself.
INSIDE = ("test_a_core_with_a_vector_table_in_no_memory_locks_up",)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"isolated_{name}", ENGINE_TESTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


support = load("conftest")
for _module in ("test_engine_contract", "test_accesses", "test_activity"):
    for _name, _test in vars(load(_module)).items():
        if _name.startswith("test_") and _name not in INSIDE:
            globals()[_name] = _test

platform = support.platform
assembler = support.assembler


@pytest.fixture
def board(platform: Platform, assembler: object) -> Iterator[Callable[..., object]]:
    rigs = []

    def make(
        main: str | Image = support.IDLE,
        remote: str | Image = support.IDLE,
        *,
        quantum_ns: int = support.QUANTUM_NS,
        seed: int = 0,
    ) -> object:
        engine = IsolatedUnicorn(platform, EngineOptions(quantum_ns, seed))
        rig = support.Rig(engine)
        rigs.append(rig)
        for core, program in ((support.MAIN, main), (support.REMOTE, remote)):
            image = assembler.program(core, program) if isinstance(program, str) else program
            engine.load(core, image, image.vector_table)
        return rig

    yield make
    for rig in rigs:
        rig.engine.close()
