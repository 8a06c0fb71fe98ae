"""Exit codes, and what is left behind, when a run ends otherwise than by itself. Real processes, a few tries each."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
AS_A_TERMINAL = (
    "import os, signal, sys\n"
    "for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(each, signal.SIG_DFL)\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'orchestrator', *sys.argv[1:]])\n"
)


@pytest.fixture
def start(tmp_path: Path, firmware: Callable[[str], Any]) -> Callable[..., subprocess.Popen[bytes]]:
    """``rptwin`` on the demo pair, with a temporary folder of its own, in which nothing may be left."""
    (tmp_path / "tmp").mkdir()
    pair = firmware("demo")

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the interpreter would keep modules that no limit let it finish
        given = [str(pair.main), str(pair.remote)] if arguments[0] in ("run", "inspect", "console") else []
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        command = [sys.executable, "-c", AS_A_TERMINAL, *arguments, *given]
        return subprocess.Popen(command, env=environment, cwd=tmp_path, **streams)

    return start


def ended(run: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    output, errors = run.communicate(timeout=120)
    text = (output or b"").decode() + (errors or b"").decode()
    assert "Traceback" not in text
    assert "internal error" not in text
    assert "Exception ignored" not in text
    return run.returncode, (output or b"").decode(), (errors or b"").decode()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", ENDING)
def test_a_console_that_waits_for_a_line_is_ended_by_a_signal_as_by_the_end_of_its_input(
    start: Callable[..., subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    talk = start("console", stdin=subprocess.PIPE)
    assert talk.stdout is not None
    while b"10 good" not in talk.stdout.readline():
        pass
    status, asleep = Path(f"/proc/{talk.pid}/stat"), 0
    while asleep < 10:  # looks in a row: it waits for its input
        time.sleep(0.05)
        asleep = asleep + 1 if status.read_text().rpartition(")")[2].split()[0] == "S" else 0
    talk.send_signal(number)
    assert ended(talk)[0] == 0


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("engine", ["unicorn", "unicorn-remote"])
def test_a_signal_in_a_run_is_exit_code_2_with_the_report(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, number: signal.Signals, engine: str
) -> None:
    """The run would go on for minutes; it is interrupted when its first events have been said."""
    outputs = ("--json", "a.json", "--html", "a.html")
    run = start("run", "-v", "--until", "main:never", "--timeout", "1000 s", "--engine", engine, *outputs)
    assert run.stderr is not None
    run.stderr.readline()
    served = children(run.pid)
    run.send_signal(number)
    code, output, _errors = ended(run)
    assert code == 2
    assert "Run ended: interrupted" in output
    assert json.loads((tmp_path / "a.json").read_text())
    assert '"error":"interrupted"' in (tmp_path / "a.html").read_text()
    assert [pid for pid in served if Path(f"/proc/{pid}").exists()] == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_while_modules_are_imported_is_exit_code_2(
    start: Callable[..., subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    """From 100 ms on, when the interpreter itself is up, whatever is being imported."""
    for tenths in range(4):
        run = start("run", "-q")
        time.sleep(0.3 + 0.1 * tenths)
        run.send_signal(number)
        code, _output, errors = ended(run)
        assert code in (0, 2, -number)  # done already; interrupted; the interpreter was not up on a slow machine
        assert code != 2 or "interrupted" in errors + _output


def test_a_child_that_is_killed_is_exit_code_2_with_the_report(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    for tenths in (0, 2, 5):
        remote = ("--engine", "unicorn-remote", "--html", f"{tenths}.html")
        run = start("run", "-v", "--until", "main:never", "--timeout", "1000 s", *remote)
        assert run.stderr is not None
        run.stderr.readline()
        time.sleep(tenths / 10)
        for pid in children(run.pid):
            os.kill(pid, signal.SIGKILL)
        code, output, errors = ended(run)
        assert code == 2
        assert "was killed by SIGKILL" in errors
        assert "Run ended" in output
        assert "was killed by SIGKILL" in (tmp_path / f"{tenths}.html").read_text()
        assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("command", [["run", "-q"], ["checks"], ["--help"], ["--version"]], ids=lambda each: each[0])
def test_closed_or_full_output_is_exit_code_2_and_said(
    start: Callable[..., subprocess.Popen[bytes]], command: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, errors = ended(start(*command, stdout=full))
        assert (code, "No space left on device" in errors) == (2, True)
    code, _, errors = ended(start(*command, stdout=None, preexec_fn=lambda: os.close(1)))
    assert (code, "Bad file descriptor" in errors) == (2, True)


def test_a_reader_that_goes_away_is_exit_code_2(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    read, write = os.pipe()
    run = start("checks", stdout=write)
    os.close(write)
    os.close(read)
    code, _, errors = ended(run)
    assert (code, errors) == (2, "rptwin: error: standard output: Broken pipe\n")


@pytest.mark.parametrize("how", ["closed", "full"])
def test_without_anywhere_to_complain_the_exit_code_is_the_same(
    start: Callable[..., subprocess.Popen[bytes]], how: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        options: dict[str, Any] = {"stderr": full} if how == "full" else {"preexec_fn": lambda: os.close(2)}
        assert ended(start("run", "-q", **options))[0] == 0
        assert ended(start("compare", "none.json", "none.json", **options))[0] == 2


def test_a_report_that_does_not_fit_leaves_the_one_before(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text("old")
    run = start(
        *("inspect", "--json", "a.json"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    code, output, errors = ended(run)
    assert (code, "Resource table" in output) == (2, True)
    assert "a.json: JSON report not written: File too large" in errors
    assert (tmp_path / "a.json").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["a.json"]


def test_a_signal_that_was_ignored_stays_ignored(
    start: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``nohup rptwin run``: the terminal goes away, the run does not."""
    monkeypatch.setattr(f"{__name__}.AS_A_TERMINAL", AS_A_TERMINAL.replace(", signal.SIGHUP)", ")"))
    run = start("run", "-v", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert run.stderr is not None
    run.stderr.readline()
    run.send_signal(signal.SIGHUP)
    code, output, _errors = ended(run)
    assert (code, "RPTUN is up: no findings" in output) == (0, True)
