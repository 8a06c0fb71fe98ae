"""``rptwin run --uart``: programs that know serial lines hold the other end of a console, by pty or TCP."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

LIMIT_S = 60
WHERE = re.compile(r"uart: (?P<name>[\w.]+) \((?P<uart>[\w.]+)\): (?P<where>\S+)")


class Run:
    """A ``rptwin run`` whose UARTs wait for somebody; ``where`` is by console."""

    def __init__(self, images, folder: Path, *arguments: str) -> None:
        self.report = folder / "out.json"
        command = [
            sys.executable,
            "-m",
            "orchestrator",
            "run",
            "--json",
            str(self.report),
            "--timeout",
            "20 s",
            *arguments,
        ]
        self.process = subprocess.Popen(
            [*command, str(images.main), str(images.remote)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.where: dict[str, str] = {}
        for _ in range(arguments.count("--uart")):
            found = WHERE.match(self.process.stderr.readline())
            assert found is not None, self.process.stderr.read()
            self.where[found["name"]] = found["where"]

    def port(self, name: str) -> int:
        return int(self.where[name].rpartition(":")[2])

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out + err

    @property
    def json(self) -> dict:
        return json.loads(self.report.read_text())


@pytest.fixture
def start(pair, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def begin(*arguments: str, variant: str = "demo") -> Run:
        started.append(Run(pair(variant), tmp_path, *arguments))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.communicate()


def says(line: serial.SerialBase, wanted: bytes) -> bytes:
    """What comes until this has."""
    line.timeout = LIMIT_S
    return line.read_until(wanted)


@pytest.mark.parametrize(
    ("option", "url"),
    [("main=pty", "{where}"), ("main=tcp:0", "socket://{where}"), ("main=tcp:127.0.0.1:0", "socket://{where}")],
)
def test_pyserial_talks_to_the_firmware(start, option: str, url: str) -> None:
    run = start("--uart", option)
    with serial.serial_for_url(url.format(where=run.where["main"]), baudrate=115200) as line:
        assert b"Cortex-M7" in says(line, b"DRIVER_OK")
        line.write(b"ping 3 64\r")
        assert b"3 good" in (said := says(line, b"3 good")), said
    code, text = run.end()
    assert code == 0, text
    notes = [each["what"] for each in run.json["verdict"]["notes"]]
    assert notes == ["other programs hold the UART of main: a run with them does not repeat"]
    assert "ping 3 64" in run.json["consoles"]["main"]


def test_both_consoles_at_once_each_with_its_own(start) -> None:
    run = start("--uart", "main=pty", "--uart", "remote=tcp:0")
    with serial.Serial(run.where["main"]) as main, serial.serial_for_url(f"socket://{run.where['remote']}") as remote:
        assert b"Cortex-M7" in says(main, b"DRIVER_OK")
        assert b"Cortex-M4" in says(remote, b"\n")
        remote.write(b"help\r")
        assert b"help" in says(remote, b"status")
    assert run.end()[0] == 0


def test_virtual_time_goes_no_faster_than_this_computers_while_somebody_is_there(start) -> None:
    run = start("--uart", "main=pty")
    with serial.Serial(run.where["main"]) as main:
        says(main, b"DRIVER_OK")
        time.sleep(1.5)
        assert run.process.poll() is None  # it was quiet for long, and does not end
    code, text = run.end()
    assert code == 0, text
    assert run.json["end"]["time_ns"] > 1_400_000_000


def test_a_peer_may_leave_and_another_come(start) -> None:
    run = start("--uart", "main=tcp:0", "--uart", "remote=tcp:0")
    with socket.create_connection(("localhost", run.port("remote"))):
        with serial.serial_for_url(f"socket://{run.where['main']}") as main:
            says(main, b"DRIVER_OK")
        with serial.serial_for_url(f"socket://{run.where['main']}") as main:
            main.write(b"ping 1 8\r")
            assert b"1 good" in says(main, b"1 good")
    assert run.end()[0] == 0


def test_a_peer_that_is_reset_harms_nothing(start) -> None:
    run = start("--uart", "main=tcp:0")
    peer = socket.create_connection(("localhost", run.port("main")))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close resets
    peer.send(b"ping 3 8\r")
    peer.close()
    assert run.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_nobody_has_come_ends_it_with_a_report(start, number: signal.Signals) -> None:
    run = start("--uart", "main=pty")
    run.process.send_signal(number)
    code, text = run.end()
    assert code == 2
    assert "interrupted" in text
    assert run.json["exit_code"] == 2


@pytest.mark.needs_command("picocom", "picocom")
def test_a_terminal_program_talks_to_the_firmware(start) -> None:
    run = start("--uart", "main=pty")
    script = "sleep 2; printf 'ping 2 16\\r'; sleep 2"
    command = f"({script}) | picocom --quiet --exit-after 3000 --noreset {run.where['main']}"
    said = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert "2 good" in said.stdout, said.stdout + said.stderr
    assert run.end()[0] == 0


@pytest.mark.needs_command("socat", "socat")
def test_socat_joins_a_port_and_a_pty(start, tmp_path: Path) -> None:
    run = start("--uart", "main=tcp:0")
    link = tmp_path / "ttyRPTWIN"
    socat = subprocess.Popen(["socat", f"pty,raw,echo=0,link={link}", f"tcp:localhost:{run.port('main')}"])
    try:
        deadline = time.monotonic() + LIMIT_S
        while not link.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with serial.Serial(os.path.realpath(link)) as line:
            assert b"DRIVER_OK" in says(line, b"DRIVER_OK")
    finally:
        socat.terminate()
        socat.wait()
    assert run.end()[0] == 0


@pytest.mark.parametrize(
    ("options", "says_"),
    [
        (["main"], "not a UART for others"),
        (["main=usb"], "expected NAME=pty"),
        (["main=tcp:65536"], "not a UART"),
        (["main=tcp:"], "not a UART"),
        (["=pty"], "not a UART"),
        (["nobody=pty"], "no such console"),
        (["main=pty", "usart3=pty"], "a UART twice"),
        (["main=tcp:192.0.2.1:0"], "cannot listen"),
        (["main=tcp:no.such.host.invalid:0"], "cannot listen"),
    ],
)
def test_what_cannot_be_is_one_line(rptwin, pair, options: list[str], says_: str) -> None:
    images = pair("demo")
    arguments = [each for option in options for each in ("--uart", option)]
    result = rptwin("run", *arguments, images.main, images.remote)
    assert result.exit_code == 2
    assert says_ in result.stderr
    assert len(result.stderr.splitlines()) <= 2


def test_a_port_that_is_taken_is_named(rptwin, pair) -> None:
    images = pair("demo")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = rptwin("run", "--uart", f"main=tcp:{port}", images.main, images.remote)
    assert (result.exit_code, f"--uart main=tcp:127.0.0.1:{port}: cannot listen" in result.stderr) == (2, True)
