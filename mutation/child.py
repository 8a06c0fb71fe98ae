"""pytest in a child process, with one fault in rptwin or none.

A child is a copy of this process, which has loaded all that tests need but rptwin: it begins to test at once.
Hypothesis takes the same examples in every run and looks for no smaller one.
"""

from __future__ import annotations

import faulthandler
import importlib.abc
import importlib.machinery
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn

import elftools.elf.elffile  # noqa: F401  # every child needs it
import hypothesis.stateful  # noqa: F401  # likewise
import pytest
import unicorn  # noqa: F401  # likewise
from hypothesis import Phase, settings

from mutation.mutants import Mutant, mutated
from mutation.reach import PACKAGE, Recorder

__all__ = ["Done", "ended", "started"]

ROOT = PACKAGE.parent
_OUT_OF_TIME = "Timeout ("  # faulthandler's first words


@dataclass(frozen=True, slots=True)
class Done:
    """How a child ended: pytest's exit code and what it printed."""

    code: int
    text: str

    @property
    def was_out_of_time(self) -> bool:
        """A test took longer than it may."""
        return any(line.startswith(_OUT_OF_TIME) for line in self.text.splitlines())


class _Loader(importlib.machinery.SourceFileLoader):
    number = 0

    def get_code(self, fullname: str) -> CodeType:
        """Never from a compiled file, and never into one."""
        path = self.get_filename(fullname)
        return compile(mutated(self.get_data(path).decode(), self.number), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = loader = _Loader(fullname, spec.origin)
        loader.number = self._mutant.number
        return spec


class _Chosen:
    """Tests by node id, in this order, each with the seconds that it may take: the first that takes longer ends all."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        self._limits = limits
        self._errors = os.fdopen(os.dup(2), "w")  # pytest takes the other one

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {test: n for n, test in enumerate(self._limits)}
        items[:] = sorted((each for each in items if each.nodeid in order), key=lambda each: order[each.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        faulthandler.dump_traceback_later(self._limits[item.nodeid], exit=True, file=self._errors)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()


class _Reaching:
    """Records what each test reaches; what a fixture of many tests does counts for each that asks for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recorder = Recorder()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        with self._recorder.test(item.nodeid, tuple(getattr(item, "fixturenames", ()))):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        with self._recorder.fixture(fixturedef.argname):
            return (yield)

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps(self._recorder.result()), encoding="utf-8")


def started(output: Path, tests: Sequence[str], mutant: Mutant | None, limits: Mapping[str, float] | Path) -> int:
    """The process id of a child that runs test files or folders until a test fails.

    ``limits`` names the tests of these and gives each its seconds; a path: all run, and there goes what they reach.
    ``output`` takes what it prints.
    """

    def run() -> int:
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutation", derandomize=True, database=None, deadline=None, phases=phases)
        settings.load_profile("mutation")
        if mutant is not None:
            if mutant.module in sys.modules:
                raise RuntimeError(f"{mutant.module} is loaded already: its fault would not be there")
            sys.meta_path.insert(0, _Finder(mutant))
        # Asserts are plain, or pytest would load rptwin before the finder sees it: it rewrites who brings a plugin.
        plugin = _Reaching(limits) if isinstance(limits, Path) else _Chosen(limits)
        options = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
        return int(pytest.main([*options, *tests], plugins=[plugin]))

    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _in_child(run, output)
    return child


def _in_child(run: Callable[[], int], output: Path) -> NoReturn:
    code = int(pytest.ExitCode.INTERNAL_ERROR)
    try:
        os.chdir(ROOT)
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(written, 1)
        os.dup2(written, 2)
        code = run()
        sys.stdout.flush()
    except BaseException:  # whatever it is, this copy of the parent ends here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child: int, output: Path) -> Done:
    """Waits for a child."""
    _, status = os.waitpid(child, 0)
    return Done(os.waitstatus_to_exitcode(status), output.read_text(encoding="utf-8", errors="replace"))
