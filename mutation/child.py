"""pytest in processes of its own, with one fault in rptwin or none.

Each is a copy of this process, which has loaded all that tests need but rptwin. :class:`Tests` collects the tests of a
part and runs all of them once; for each fault in a function it makes a copy of itself, in which the function has other
code. A fault that comes true as its module is loaded takes a copy of this process, which loads everything
(:func:`started`). Hypothesis takes the same examples in every run and looks for no smaller one.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib.abc
import importlib.machinery
import json
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NoReturn, TextIO

import elftools.elf.elffile  # noqa: F401  # every child needs it
import hypothesis.stateful  # noqa: F401  # likewise
import pytest
import unicorn  # noqa: F401  # likewise
from hypothesis import Phase, settings

from mutation.mutants import Mutant, mutated
from mutation.reach import PACKAGE, Reach, Recorder

__all__ = ["NOT_EXCHANGED", "Done", "Tests", "ended", "started"]

ROOT = PACKAGE.parent
NOT_EXCHANGED = 77  # exit code: the fault needs a process that loads the module with it
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


class _Nothing:
    """In the place of the next test: fixtures of the whole session stay."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session

    def listchain(self) -> list[pytest.Session]:
        return [self._session]


class _Server:
    """Runs all tests once and notes what each reaches; then some of them for each fault that is asked for."""

    def __init__(self, requests: TextIO, replies: TextIO, found: Path) -> None:
        self._requests = requests
        self._replies = replies
        self._found = found
        self._recorder = Recorder()
        self._children: deque[int] = deque()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        """What a fixture of many tests does counts for each that asks for it."""
        if fixturedef.scope == "function" or not self._recorder.is_on:
            return (yield)
        with self._recorder.fixture(fixturedef.argname):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("not everything could be collected")
        after = [*session.items[1:], _Nothing(session)]
        for item, following in zip(session.items, after, strict=True):
            with self._recorder.test(item.nodeid, tuple(getattr(item, "fixturenames", ()))):
                _run(item, following)
            if session.testsfailed:
                return True
        self._found.write_text(json.dumps(self._recorder.result()), encoding="utf-8")
        print("ready", file=self._replies, flush=True)
        items = {item.nodeid: item for item in session.items}
        for line in self._requests:
            request = json.loads(line)
            if request is not None:
                self._begin(session, items, *request)
            else:
                _, status = os.waitpid(self._children.popleft(), 0)
                print(os.waitstatus_to_exitcode(status), file=self._replies, flush=True)
        return True

    def _begin(
        self,
        session: pytest.Session,
        items: Mapping[str, pytest.Item],
        module: str,
        number: int,
        limits: Mapping[str, float],
        output: str,
    ) -> None:
        child = os.fork()
        if child:
            self._children.append(child)
            return
        code = int(pytest.ExitCode.TESTS_FAILED)
        try:
            code = NOT_EXCHANGED
            if _exchange(module, number):
                chosen = [items[each] for each in limits]
                with Path(output).open("w", encoding="utf-8") as file:
                    code = _run_until_one_fails(session, chosen, [*limits.values()], file)
        except BaseException:  # whatever the fault has brought about, it was noticed
            code = int(pytest.ExitCode.TESTS_FAILED)
        finally:
            os._exit(code)


def _run(item: pytest.Item, following: object) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _run_until_one_fails(
    session: pytest.Session, items: Sequence[pytest.Item], limits: Sequence[float], output: TextIO
) -> int:
    for item, following, limit in zip(items, [*items[1:], _Nothing(session)], limits, strict=True):
        faulthandler.dump_traceback_later(limit, exit=True, file=output)
        _run(item, following)
        faulthandler.cancel_dump_traceback_later()
        if session.testsfailed:
            return int(pytest.ExitCode.TESTS_FAILED)
    return int(pytest.ExitCode.OK)


def _exchange(module: str, number: int) -> bool:
    """Give the functions of a loaded module the code that they have with a fault; False where that cannot be."""
    path = sys.modules[module].__file__
    if path is None:
        return False
    new: dict[tuple[str, int], CodeType] = {}

    def collect(code: CodeType) -> None:
        new[code.co_qualname, code.co_firstlineno] = code
        for each in code.co_consts:
            if isinstance(each, CodeType):
                collect(each)

    text = Path(path).read_text(encoding="utf-8")
    collect(compile(mutated(text, number), path, "exec", dont_inherit=True))
    exchanged = False
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename == path:
            code = new.get((each.__code__.co_qualname, each.__code__.co_firstlineno))
            if code is None or code.co_freevars != each.__code__.co_freevars:
                return False
            each.__code__ = code
            exchanged = True
    return exchanged


class Tests:
    """The tests of a part in a process that has collected them and goes on with each fault.

    :class:`SystemExit` where one fails without a fault.
    """

    def __init__(self, tests: Sequence[str], folder: Path) -> None:
        found, output = folder / "reach.json", folder / "tests.txt"
        theirs, requests = os.pipe()
        replies, own = os.pipe()

        def run() -> int:
            os.close(requests)
            with os.fdopen(theirs) as asked, os.fdopen(own, "w") as answered:
                return _pytest(tests, _Server(asked, answered, found))

        self._child = _forked(run, output)
        os.close(theirs)
        os.close(own)
        self._requests, self._replies = os.fdopen(requests, "w"), os.fdopen(replies)
        if self._replies.readline() != "ready\n":
            raise SystemExit(f"{' '.join(tests)}: tests fail without a fault\n{ended(self._child, output).text}")
        self.reach = Reach.of(json.loads(found.read_text(encoding="utf-8")))

    def begin(self, mutant: Mutant, limits: Mapping[str, float], output: Path) -> None:
        """Tests by node id, in this order, each with the seconds that it may take."""
        print(json.dumps((mutant.module, mutant.number, limits, str(output))), file=self._requests, flush=True)

    def end(self, output: Path) -> Done:
        """Of the first that was begun and has not been asked for."""
        print("null", file=self._requests, flush=True)
        code = int(self._replies.readline())
        return Done(code, output.read_text(encoding="utf-8") if output.exists() else "")

    def close(self) -> None:
        """No more faults."""
        self._requests.close()
        os.waitpid(self._child, 0)


def _pytest(tests: Sequence[str], plugin: object) -> int:
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutation", derandomize=True, database=None, deadline=None, phases=phases)
    settings.load_profile("mutation")
    # Asserts are plain, or pytest would load rptwin before the finder sees it: it rewrites who brings a plugin.
    options = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
    return int(pytest.main([*options, *tests], plugins=[plugin]))


def started(output: Path, tests: Sequence[str], mutant: Mutant, limits: Mapping[str, float]) -> int:
    """The process id of a child that loads rptwin with a fault and runs some tests of these files until one fails.

    ``limits`` names them and gives each its seconds; ``output`` takes what is printed.
    """

    def run() -> int:
        if mutant.module in sys.modules:
            raise RuntimeError(f"{mutant.module} is loaded already: its fault would not be there")
        sys.meta_path.insert(0, _Finder(mutant))
        return _pytest(tests, _Chosen(limits))

    return _forked(run, output)


def _forked(run: Callable[[], int], output: Path) -> int:
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
