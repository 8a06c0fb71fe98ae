"""README and pages of docs: every command runs as it stands there, and prints what stands beneath it.

``pytest -n0 --write-golden tests/integration/test_pages.py`` writes what they print into the pages.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import click
import pytest
from support import pages

from orchestrator.board import Board
from orchestrator.cli.root import main as cli
from orchestrator.config import load_config, settings_from

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

# What needs more than a folder with two images, and the test that does it.
ELSEWHERE = {
    "make ": ".ci/run",
    "rptwin run --gdb": "tests/integration/test_gdb.py",
    "rptwin run --pairs pairs.toml -j 4": "tests/integration/test_many_pairs.py",
    "rptwin run main.bin": "tests/integration/test_bare_images.py",
    "rptwin run --svd": "tests/integration/test_svd.py",
    'eval "$(rptwin completion bash)"': "tests/unit/cli/test_completion.py",
    "rptwin run --watch": "tests/integration/test_watching.py",
    "rptwin run --uart": "tests/integration/test_uarts.py",
    "picocom": "tests/integration/test_uarts.py",
    "python -m serial.tools.miniterm": "tests/integration/test_uarts.py",
    "rptwin judge --gdb": "tests/integration/test_judge.py",
    "rptwin judge --debugfs": "tests/integration/test_judge.py",
    "head -c 100K": "tests/integration/test_vhost_user.py",
    "qemu-storage-daemon": "tests/integration/test_vhost_user.py",
    ".venv/bin/rptwin bridge": "tests/integration/test_vhost_user.py",
    "rptwin bridge": "tests/integration/test_vhost_user.py",
    "dpdk-testpmd": "tests/integration/test_vhost_user.py",
    "gdb-multiarch": "tests/integration/test_gdb.py",
    "rptwin doctor": "tests/unit/cli/test_doctor.py",
    ". .venv/bin/activate": ".ci/run",
}


class Pair(Protocol):
    main: Path
    remote: Path


def is_run_elsewhere(line: str) -> bool:
    return any(line.startswith(each) for each in ELSEWHERE)


# Each page, and the platform whose demo pair is main.elf and remote.elf there; docs/new-platform.md has its own test.
PAGES = {
    "README.md": "stm32h745",
    "docs/gdb.md": "stm32h745",
    "docs/html-report.md": "stm32h745",
    "docs/judging-a-board.md": "stm32h745",
    "docs/many-pairs.md": "stm32h745",
    "docs/playing-a-core.md": "mps2_an521",
    "docs/serial-lines.md": "stm32h745",
    "docs/traces.md": "stm32h745",
    "docs/vhost-user.md": "stm32h745",
}
TOOLS = {"tshark": "tshark", "genhtml": "lcov"}  # that a command may need, and the package of each


def tools_of(line: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.needs_command(tool, package) for tool, package in TOOLS.items() if tool in line]


COMMANDS = [
    pytest.param(page, each, id=f"{page}: {each.line}", marks=tools_of(each.line))
    for page in PAGES
    for each in pages.commands((ROOT / page).read_text(encoding="utf-8"))
    if not is_run_elsewhere(each.line)
]


@pytest.fixture
def folder(pair: Callable[..., Pair], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A checkout's ``firmware/``, and the demo pair as one's own."""
    given = getattr(request.node, "callspec", None)
    demo = pair("demo", PAGES[given.params["page"]] if given is not None else "stm32h745")
    (tmp_path / "firmware").symlink_to(ROOT / "firmware")
    for name in ("main", "remote"):
        shutil.copyfile(getattr(demo, name), tmp_path / f"{name}.elf")
    if given is not None:
        for text in pages.blocks((ROOT / given.params["page"]).read_text(encoding="utf-8"), "toml"):
            (tmp_path / "pairs.toml").write_text(text)
    if given is not None and "shared.bin" in given.params["command"].line:
        with Board("stm32h745", main=demo.main, remote=demo.remote) as board:
            board.run()
            (tmp_path / "shared.bin").write_bytes(board.engine.memory("cpu_cm7").read(0x3004_0000, 0x8000))
    return tmp_path


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_a_page_prints_what_stands_there(
    page: str, command: pages.Command, folder: Path, pytestconfig: pytest.Config
) -> None:
    printed = pages.run(command.line, folder)
    if not command.output:
        return
    if pytestconfig.getoption("--write-golden") and not pages.matches(command.output, printed):
        file = ROOT / page
        file.write_text(pages.with_output(file.read_text(encoding="utf-8"), command, printed), encoding="utf-8")
        return
    assert pages.matches(command.output, printed), printed


def test_what_is_run_elsewhere_is_of_a_page_and_its_file_is_there() -> None:
    lines = [each.line for page in PAGES for each in pages.commands((ROOT / page).read_text(encoding="utf-8"))]
    for beginning, file in ELSEWHERE.items():
        assert any(line.startswith(beginning) for line in lines), beginning
        assert (ROOT / file).exists() or file.startswith(".ci/")


def test_the_settings_file_of_the_readme_is_one(tmp_path: Path) -> None:
    (text,) = pages.blocks(README.read_text(encoding="utf-8"), "toml")
    (tmp_path / "rptwin.toml").write_text(text)
    settings = settings_from({}, load_config(tmp_path / "rptwin.toml"))
    assert settings.main == str(tmp_path / "build/cm7/main.elf")
    assert settings.timeout == 20_000_000_000


def test_the_python_and_the_suite_of_many_pairs_run(folder: Path, pytester: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "many-pairs.md").read_text(encoding="utf-8")
    (text,), (test,), (suite,) = (pages.blocks(page, kind) for kind in ("toml", "python", "robotframework"))
    for name in ("main.elf", "remote.elf"):
        shutil.copyfile(folder / name, pytester.path / name)
    for place in (folder, pytester.path):
        (place / "pairs.toml").write_text(text)
    (folder / "suite.robot").write_text(suite)
    said = pages.run("python -m robot --output NONE --log NONE --report NONE suite.robot", folder)
    assert "3 tests, 3 passed, 0 failed" in said
    pytester.makepyfile(test)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=3)


def test_the_python_of_the_readme_runs(folder: Path, pytester: pytest.Pytester) -> None:
    plugin, library = pages.blocks(README.read_text(encoding="utf-8"), "python")
    (folder / "pasted.py").write_text(library)
    assert pages.run("python pasted.py", folder).startswith("True ")
    for name in ("main.elf", "remote.elf"):
        shutil.copyfile(folder / name, pytester.path / name)
    pytester.makepyfile(plugin)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=1)


def test_the_suite_of_the_readme_runs(folder: Path) -> None:
    (suite,) = pages.blocks(README.read_text(encoding="utf-8"), "robotframework")
    (folder / "suite.robot").write_text(suite)
    assert "1 test, 1 passed, 0 failed" in pages.run(
        "python -m robot --output NONE --log NONE --report NONE suite.robot", folder
    )


@pytest.mark.parametrize(
    ("shown", "printed", "is_shown"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nd\n", True),
        ("a\n...\nd\n", "a\nb\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_three_dots_stand_for_any_lines(shown: str, printed: str, is_shown: bool) -> None:
    assert pages.matches(shown, printed) is is_shown


def test_a_command_ends_where_its_output_begins() -> None:
    text = "```console\n$ one \\\n    --more  # why\nsaid\n$ two\n```\n"
    assert pages.commands(text) == [pages.Command("one     --more", "said\n"), pages.Command("two", "")]


def recipes() -> list[tuple[str, str]]:
    """The commands of rptwin in jobs and containers, by page."""
    found = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        lines = [line for block in pages.blocks(text, "yaml") for line in block.splitlines()]
        runs = [line for line in lines if re.search(r"(run:|^\s+-) rptwin \w", line)]
        found += [(page.name, line[line.index("rptwin ") :]) for line in runs]
    return found


@pytest.mark.parametrize(("page", "line"), recipes())
def test_a_command_of_a_job_has_options_that_there_are(page: str, line: str) -> None:
    _, command, *arguments = shlex.split(line)
    assert isinstance(cli, click.Group)
    found = cli.get_command(click.Context(cli), command)
    assert found is not None, page
    with found.make_context(command, arguments) as context:
        assert context.params


@pytest.mark.parametrize("page", ["docs/gdb.md"])
def test_the_settings_of_an_editor_are_json(page: str) -> None:
    (text,) = pages.blocks((ROOT / page).read_text(encoding="utf-8"), "json")
    names = {each["name"] for each in json.loads(text)["configurations"]}
    assert set(json.loads(text)["compounds"][0]["configurations"]) == names
