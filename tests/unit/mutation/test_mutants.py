"""Faults that are put into a module: which there are, and that each is in the text that is run."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mutation.__main__ import PARTS, _paths
from mutation.mutants import mutants, mutated
from mutation.plugin import VARIABLE

ROOT = Path(__file__).resolve().parents[3]
TEXT = '''\
"""Of no result."""
from __future__ import annotations
__all__ = ["size"]
LIMIT: int = 7


def size(count: int = 3) -> int:
    """Nor this."""
    if count < 4 and not done():
        raise ValueError(f"{count + 1} is too few")
    assert count != 5
    tell(count)
    return count * 2
'''


@pytest.mark.parametrize(
    ("what", "line", "there"),
    [
        ("Lt -> LtE", 9, "count <= 4 and"),
        ("And -> Or", 9, "count < 4 or not done()"),
        ("not left out", 9, "count < 4 and done()"),
        ("4 -> 5", 9, "count < 5 and"),
        ("statement left out", 12, "assert count != 5\n    pass\n"),
        ("Mult -> Add", 13, "return count + 2"),
        ("2 -> 3", 13, "return count * 3"),
        ("None returned", 13, "return None"),
        ("3 -> 4", 7, "count: int=4"),
    ],
)
def test_a_fault_is_in_the_text_that_is_run(what: str, line: int, there: str) -> None:
    found = next(each for each in mutants("some", TEXT) if each.what == what)
    assert found.line == line
    assert there in ast.unparse(mutated(TEXT, found.number))


def test_what_no_result_depends_on_is_left_alone() -> None:
    assert {each.line for each in mutants("some", TEXT)} == {7, 9, 12, 13}


def test_each_fault_is_one_change() -> None:
    whole = ast.unparse(ast.parse(TEXT))
    texts = [ast.unparse(mutated(TEXT, each.number)) for each in mutants("some", TEXT)]
    assert len(set(texts)) == len(texts)
    assert whole not in texts


def test_every_part_has_modules_and_tests() -> None:
    for part in PARTS:
        assert _paths(part)
        assert all((ROOT / each).exists() for each in part.tests)


def test_the_plugin_puts_the_fault_into_the_module_that_tests_import() -> None:
    module = importlib.import_module("orchestrator.virtqueue.heap")
    assert module.__file__ is not None
    number = next(
        each.number for each in mutants(module.__name__, Path(module.__file__).read_text()) if "Add -> Sub" in each.what
    )
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "mutation.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "no:xdist", "tests/unit/virtqueue/test_heap.py"],
        cwd=ROOT,
        env=os.environ | {VARIABLE: f"{module.__name__}:{number}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
