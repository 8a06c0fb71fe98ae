"""Faults that are put into a module: which there are, and that each is in the text that is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mutation.__main__ import PARTS, _module, _path, _paths
from mutation.child import Done
from mutation.mutants import mutants, mutated
from mutation.reach import Reach

ROOT = Path(__file__).resolve().parents[3]
HEAP = ROOT / "orchestrator" / "virtqueue" / "heap.py"
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
        assert all((ROOT / each.removeprefix("--ignore=")).exists() for each in part.tests)


DECIDING = """\
@rule("a.rule", stage=1)
def judge(each, least=2):
    def inner():
        return each
    if 0 < each.size <= least:
        yield inner()


@cached_property
def once(self):
    return self.size + 1
"""


@pytest.mark.parametrize(
    ("what", "there"),
    [
        ("Lt -> LtE", "0 <= each.size <= least"),
        ("LtE -> Lt (comparison 2)", "0 < each.size < least"),
        ("nothing yielded", "def judge(each, least=2):\n    return"),
    ],
)
def test_each_comparison_of_a_chain_and_a_generators_silence_are_faults(what: str, there: str) -> None:
    found = next(each for each in mutants("some", DECIDING) if each.what == what)
    assert there in ast.unparse(mutated(DECIDING, found.number))
    assert (found.is_condition, found.rule) == (True, "a.rule")


def test_a_fault_knows_its_function_as_code_objects_do() -> None:
    """What is computed once, by the loader or by who asks first, is of no function."""
    found = {(each.line, each.what): each for each in mutants("some", DECIDING)}
    functions = {at: each.function for at, each in found.items()}
    assert functions[2, "2 -> 3"] == 0
    assert functions[4, "None returned"] == 3
    assert functions[5, "0 -> 1"] == 1
    assert functions[11, "1 -> 2"] == 0
    assert not found[5, "0 -> 1"].is_condition
    assert found[11, "1 -> 2"].rule == ""


def test_of_the_tests_that_reach_a_function_quick_ones_that_go_where_few_go_come_first() -> None:
    path = "/some.py"
    lines = {
        "common": [[path, 1, 1], [path, 1, 2]],
        "rare": [[path, 1, 1], [path, 1, 2], [path, 1, 3]],
        "slow": [[path, 1, 1], [path, 1, 4]],
        "else": [[path, 9, 9]],
        "elsewhere": [["/other.py", 1, 1]],
    }
    seconds = {"slow": 9.0, "elsewhere": 0.5}
    reach = Reach.of({test: {"seconds": seconds.get(test, 1.0), "lines": found} for test, found in lines.items()})
    assert reach.tests(Path(path), 1) == ["rare", "common", "slow"]
    assert reach.tests(Path(path), 0) == ["common", "rare", "else", "slow", "elsewhere"]
    assert reach.tests(Path(path), 5) == []


def test_a_module_is_found_again_by_its_name() -> None:
    for part in PARTS:
        for path in _paths(part):
            assert _path(_module(path)) == path


_RUN = """\
import sys
from pathlib import Path
from mutation.child import Tests, ended, started
from mutation.mutants import mutants
folder, path = Path(sys.argv[1]), Path(sys.argv[2])
files = ["tests/unit/virtqueue/test_heap.py"]
tests = Tests(files, folder)
for each in mutants("orchestrator.virtqueue.heap", path.read_text()):
    if each.what in sys.argv[3:]:
        chosen = dict.fromkeys(tests.reach.tests(path, each.function), 600.0)
        loaded = ended(started(folder / "output", files, each, chosen), folder / "output")
        exchanged = 0
        if each.function:
            tests.begin(each, chosen, folder / "other")
            exchanged = tests.end(folder / "other").code
        print(each.what, bool(each.function), len(chosen) > 0, loaded.code, exchanged)
tests.close()
"""


def test_a_fault_is_in_the_code_that_tests_run_whether_it_is_loaded_or_exchanged(tmp_path: Path) -> None:
    """Noticed both ways, or neither; what comes true as the module is loaded cannot be exchanged."""
    whats = ("Add -> Sub", "64 -> 65", "0 -> 1")
    command = [sys.executable, "-c", _RUN, str(tmp_path), str(HEAP), *whats]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.rsplit(maxsplit=4) for line in done.stdout.splitlines()]
    assert {what for what, *_ in found} == set(whats)
    for what, is_in_function, is_reached, loaded, exchanged in found:
        assert is_reached == "True"
        if what == "Add -> Sub":
            assert loaded == "1"
        if is_in_function == "True":
            assert exchanged == loaded
    assert {is_in_function for _, is_in_function, *_ in found} == {"True", "False"}


def test_a_test_that_takes_too_long_has_noticed() -> None:
    """As faulthandler says it, on a line of its own."""
    assert Done(1, "..\nTimeout (0:00:20)!\nThread 0x1 (most recent call first):").was_out_of_time
    assert not Done(1, "E   AssertionError: 'Timeout (0:00:20)!'").was_out_of_time
