"""Traces as options of the command line: written whatever the verdict, whole or not at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner, Result
from pcapng import FileScanner
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema
from vcd.reader import tokenize

from orchestrator.cli import main

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = ("--perfetto", "a.pftrace", "--vcd", "a.vcd", "--pcapng", "a.pcapng", "--folded", "a.folded", "--lcov",
           "a.info", "--html", "a.html")  # fmt: skip


class Pair(Protocol):
    main: Path
    remote: Path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rptwin(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="rptwin")


def read_all(folder: Path) -> None:
    """Each is one that its reader takes; what a browser makes of the page is tests/integration/test_html_page.py."""
    assert (folder / "a.html").read_text(encoding="utf-8").endswith("</html>\n")
    read = schema.Trace()
    read.ParseFromString((folder / "a.pftrace").read_bytes())
    assert len(read.packet) > 10
    with (folder / "a.vcd").open("rb") as file:
        assert len(list(tokenize(file))) > 10
    with (folder / "a.pcapng").open("rb") as file:
        assert list(FileScanner(file))
    assert re.fullmatch(r"((main|remote);\S+ \d+\n)*", (folder / "a.folded").read_text())
    records = (folder / "a.info").read_text().split("end_of_record\n")
    assert all(record.startswith(("TN:main\nSF:/", "TN:remote\nSF:/")) for record in records[:-1])


@pytest.mark.parametrize(("variant", "code"), [("demo", 0), ("crash-remote", 1)])
def test_traces_are_written_whatever_the_verdict(
    firmware: Callable[..., Pair], tmp_path: Path, variant: str, code: int
) -> None:
    pair = firmware(variant)
    assert rptwin("run", *OPTIONS, pair.main, pair.remote).exit_code == code
    read_all(tmp_path)


def test_the_same_run_writes_the_same_bytes(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    pair, written = firmware("demo"), []
    for _ in range(2):
        rptwin("run", *OPTIONS, pair.main, pair.remote)
        written.append([(tmp_path / name).read_bytes() for name in OPTIONS[1::2]])
    assert written[0] == written[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_traces_of_a_run_that_a_signal_ended_are_written(
    firmware: Callable[..., Pair], tmp_path: Path, number: signal.Signals
) -> None:
    pair = firmware("demo")
    forever = ("-v", "--until", "main:never", "--timeout", "1000000 s")
    command = [sys.executable, "-m", "orchestrator", "run", *forever, *OPTIONS, str(pair.main), str(pair.remote)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert child.stderr is not None
    child.stderr.readline()  # the run is under way
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "Traceback" not in errors
    read_all(tmp_path)


@pytest.mark.parametrize("option", OPTIONS[::2])
def test_a_trace_is_never_written_over_an_input(firmware: Callable[..., Pair], option: str) -> None:
    pair = firmware("demo")
    before = pair.main.read_bytes()
    result = rptwin("run", option, pair.main, pair.main, pair.remote)
    assert result.exit_code == 2
    assert "would be written over a file that is in use already" in result.stderr
    assert pair.main.read_bytes() == before


def test_what_cannot_be_written_is_one_line_and_hinders_no_other(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    pair = firmware("demo")
    result = rptwin("run", "--perfetto", "/dev/full", "--vcd", "none/a.vcd", "--pcapng", "a.pcapng", pair.main,
                    pair.remote)  # fmt: skip
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "rptwin: error: /dev/full: trace (perfetto) not written: No space left on device",
        "rptwin: error: none/a.vcd: trace (vcd) not written: No such file or directory",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["a.pcapng"]


def test_a_ping_leaves_a_capture(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    remote = firmware("demo").remote
    assert rptwin("ping", "--count", "3", "--pcapng", "a.pcapng", "--remote", remote).exit_code == 0
    with (tmp_path / "a.pcapng").open("rb") as file:
        packets = [block for block in FileScanner(file) if hasattr(block, "packet_data")]
    assert len(packets) == 1 + 2 * 3  # the announcement, and to and fro
    result = rptwin("ping", "--pcapng", "/dev/full", "--remote", remote)
    assert result.exit_code == 2
    assert result.stderr == "rptwin: error: /dev/full: trace (pcapng) not written: No space left on device\n"
    result = rptwin("ping", "--pcapng", "-", "--remote", remote)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the standard output is taken; name a file for the trace" in result.stderr


def test_a_recording_has_the_trace_of_its_first_run(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    pair = firmware("demo")
    rptwin("run", "--vcd", "run.vcd", pair.main, pair.remote)
    assert rptwin("record", "--vcd", "a.vcd", "-o", "a.json", pair.main, pair.remote).exit_code == 0
    assert (tmp_path / "a.vcd").read_bytes() == (tmp_path / "run.vcd").read_bytes()
    result = rptwin("record", "--vcd", "a.json", "-o", "a.json", pair.main, pair.remote)
    assert result.exit_code == 2
    assert "would be written over a file that is in use already" in result.stderr


def test_a_trace_can_be_the_standard_output(firmware: Callable[..., Pair]) -> None:
    pair = firmware("demo")
    result = rptwin("run", "--perfetto", "-", pair.main, pair.remote)
    read = schema.Trace()
    read.ParseFromString(result.stdout_bytes)
    assert len(read.packet) > 10
    assert result.stderr.startswith("RPTUN is up")


def test_an_engine_that_cannot_tell_refuses_by_name(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    pair = firmware("demo")
    result = rptwin("run", "--engine", "unicorn-remote", "--folded", "a.folded", pair.main, pair.remote)
    assert result.exit_code == 2
    assert result.stderr == ("rptwin: error: engine unicorn-remote: no samples of stacks; the unicorn engine has it\n")
    assert list(tmp_path.iterdir()) == []


def test_samples_are_as_frequent_as_asked(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    pair, counts = firmware("demo"), []
    for every in ("100 us", "10 us"):
        rptwin("run", "--folded", "a.folded", "--sample-every", every, pair.main, pair.remote)
        lines = (tmp_path / "a.folded").read_text().splitlines()
        counts.append(sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith("main;")))
    assert counts == [507, 5074]  # the run ends at 50.74 ms


def test_a_missing_extra_is_said_before_the_run(firmware: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pcapng", None)
    pair = firmware("demo")
    result = rptwin("run", "--pcapng", "a.pcapng", pair.main, pair.remote)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "python-pcapng is not installed" in result.stderr


def test_a_conversation_is_a_page_too(firmware: Callable[..., Pair], tmp_path: Path) -> None:
    pair = firmware("demo")
    command = [sys.executable, "-m", "orchestrator", "console", "--html", "a.html", str(pair.main), str(pair.remote)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=b"ping 1 8\n", capture_output=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert '"main> ping 1 8"' in (tmp_path / "a.html").read_text(encoding="utf-8").replace("\\u003e", ">")
