"""``rptwin run --gdb``: a real gdb on both cores, clients that misbehave, and a run that does not notice."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.formats.gdb_packets import PacketReader, frame

GDB = "gdb-multiarch"
LIMIT_S = 120
QUANTUM_MS = 0.02
needs_gdb = pytest.mark.needs_command(GDB, GDB)


class Served:
    """A ``rptwin run --gdb 0`` in a process of its own."""

    def __init__(self, images, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "orchestrator", "run", "--quiet", "--gdb", "0", *options]
        self.images = images
        self.process = subprocess.Popen(
            [*command, str(images.main), str(images.remote)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = [self.process.stderr.readline() for _ in range(2)]
        self.ports = [int(re.fullmatch(r".*localhost:(\d+)\n", line)[1]) for line in lines]

    def end(self, exit_code: int) -> tuple[str, str]:
        """Standard output and error of a run that ends by itself."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == exit_code, err
        return out, err

    def gdb(self, role: str, *commands: str) -> subprocess.Popen[str]:
        image, port = (self.images.main, self.ports[0]) if role == "main" else (self.images.remote, self.ports[1])
        script = ["set confirm off", "set width 0", f"target remote localhost:{port}", *commands]
        arguments = [argument for command in script for argument in ("-ex", command)]
        return subprocess.Popen(
            [GDB, "-nx", "-batch", *arguments, str(image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def said(self, gdb: subprocess.Popen[str]) -> str:
        return gdb.communicate(timeout=LIMIT_S)[0]


@pytest.fixture
def serve(pair, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(*options: str, variant: str = "demo") -> Served:
        served = Served(pair(variant), tmp_path, *options)
        started.append(served)
        return served

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


class Wire:
    """A client that speaks the protocol by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._reader = PacketReader()
        self._packets: list[bytes] = []

    def send(self, content: bytes) -> None:
        self.socket.sendall(frame(content))

    def reply(self) -> bytes:
        while not self._packets:
            data = self.socket.recv(4096)
            assert data, "the server closed the connection"
            self._packets += [each for each in self._reader.feed(data) if isinstance(each, bytes)]
        return self._packets.pop(0)

    def ask(self, content: bytes) -> bytes:
        self.send(content)
        return self.reply()


@needs_gdb
def test_gdb_breaks_walks_the_stack_steps_watches_and_finishes(serve):
    served = serve()
    text = served.said(
        served.gdb(
            "main",
            "break main",
            "continue",
            "backtrace",
            "stepi",
            "watch devices[0].sent",
            "continue",
            "print devices[0].sent",
            "delete",
            "break reply_receive",
            "continue",
            "print length",
            "finish",
            "info threads",
            "print/x $primask",
            "x/1wx 0xE000ED00",
            "delete",
            "detach",
        )
    )
    for line in (
        r"Breakpoint 1, main \(\) at main/main.c:\d+",
        r"#0 +main \(\)",
        r"Hardware watchpoint 2: devices\[0\].sent\n\nOld value = 0\nNew value = 1\ndevice_send \(.*main/rptun.c",
        r"\$1 = 1\n",
        r"Breakpoint 3, reply_receive \(.*length=1\)",
        r"\$2 = 1\n",
        r"Run till exit.*\n.*device_poll|device_poll \(.*rptun.c",
        r"Value returned is \$3 = true",
        r"Thread 1 \(cpu_cm7, running\)",
        r"\$4 = 0x0",
        r"0xe000ed00:\s+0x411fc271",
        r"detached",
    ):
        assert re.search(line, text), f"{line}\n{text}"
    out, _err = served.end(0)
    assert "RPTUN is up: no findings" in out


@needs_gdb
def test_both_cores_are_debugged_at_once_and_stand_still_together(serve, tmp_path):
    served = serve()

    def meet(name: str, other: str) -> str:
        return f"shell touch {tmp_path}/{name}; until [ -e {tmp_path}/{other} ]; do sleep 0.05; done"

    looks = ("monitor time", "shell sleep 0.3", "monitor time")
    main = served.gdb("main", meet("a", "b"), "break main", "continue", *looks, "detach")
    remote = served.gdb("remote", meet("b", "a"), "break main", "continue", "backtrace", "monitor time", "detach")
    main_said, remote_said = served.said(main), served.said(remote)
    assert "Breakpoint 1, main ()" in main_said
    assert re.search(r"Breakpoint 1, main \(\).*\n(.*\n)*#0 +main \(\)", remote_said)
    main_ms = [float(each) for each in re.findall(r"([\d.]+) ms", main_said)]
    (remote_ms,) = [float(each) for each in re.findall(r"([\d.]+) ms", remote_said)]
    assert main_ms[0] == main_ms[1], "the remote, which wants to run, does not"
    assert abs(remote_ms - main_ms[0]) < QUANTUM_MS
    assert "RPTUN is up: no findings" in served.end(0)[0]


@needs_gdb
def test_a_program_that_is_killed_ends_the_run_with_its_report(serve):
    served = serve()
    assert "killed" in served.said(served.gdb("main", "break ping_all", "break main", "continue", "kill"))
    out, _err = served.end(2)
    assert "Run ended: interrupted" in out


@needs_gdb
def test_gdb_hears_how_the_run_ended(serve):
    served = serve("--until", "main:ping")
    assert "exited normally" in served.said(served.gdb("main", "continue"))
    served.end(0)


def test_a_run_with_a_debugger_is_the_run_without_one(serve, rptwin, pair, tmp_path):
    images = pair("demo")
    until = ("--until", "main:ping", "--quiet", "--json")
    assert rptwin("run", *until, tmp_path / "plain.json", images.main, images.remote).exit_code == 0
    served = serve(*until[:2], "--json", "debugged.json")
    wire = Wire(served.ports[0])
    for packet in (b"Z0,80002e8,2", b"Z4,30040000,20"):
        assert wire.ask(packet) == b"OK"
    stops = 0
    while (reply := wire.ask(b"vCont;c")).startswith(b"T05"):
        stops += 1
        assert wire.ask(b"vCont;s").startswith(b"T05")
        wire.ask(b"g")
        wire.ask(b"m30040000,100")
    assert reply == b"W00"
    assert stops > 10
    served.end(0)
    plain, debugged = (json.loads((tmp_path / name).read_text()) for name in ("plain.json", "debugged.json"))
    for report in (plain, debugged):
        del report["wall_clock"]
    assert debugged == plain


def test_a_client_that_vanishes_lets_its_core_run_on(serve):
    served = serve()
    wire = Wire(served.ports[0])
    assert wire.ask(b"Z0,80002e8,2") == b"OK"
    assert wire.ask(b"c").startswith(b"T05")
    wire.socket.close()
    out, err = served.end(0)
    assert "RPTUN is up: no findings" in out
    assert "gdb: the debugger of cpu_cm7 has gone" in err


def test_a_client_that_sends_garbage_is_answered_or_ignored(serve):
    served = serve()
    wire = Wire(served.ports[0])
    wire.socket.sendall(b"GET / HTTP/1.1\r\n\r\n$nonsense#00$" + b"x" * 100_000)
    wire.socket.sendall(b"#00")
    assert wire.ask(b"qC") == b"QC1"
    assert wire.ask(b"D") == b"OK"
    served.end(0)


def test_a_second_client_of_a_core_is_refused_and_the_first_stays(serve):
    served = serve()
    first = Wire(served.ports[0])
    assert first.ask(b"qC") == b"QC1"
    second = socket.create_connection(("127.0.0.1", served.ports[0]), timeout=LIMIT_S)
    with contextlib.suppress(ConnectionResetError):
        assert second.recv(1) == b""
    assert first.ask(b"D") == b"OK"
    assert "gdb: cpu_cm7 has a debugger already; another one was refused" in served.end(0)[1]


def test_the_interrupt_of_a_client_stops_the_board(serve):
    served = serve("--timeout", "60 s")
    wire = Wire(served.ports[1])
    wire.send(b"c")
    wire.socket.sendall(b"\x03")
    assert wire.reply() == b"T02thread:1;"
    assert wire.ask(b"D") == b"OK"
    served.end(0)


def test_ctrl_c_in_the_terminal_of_the_server_ends_it_whether_anybody_is_there_or_not(serve):
    for is_attended in (False, True):
        served = serve()
        if is_attended:
            wire = Wire(served.ports[0])
            assert wire.ask(b"qC") == b"QC1"
        served.process.send_signal(signal.SIGINT)
        assert "Run ended: interrupted" in served.end(2)[0]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", served.ports[0]), timeout=LIMIT_S)


def test_a_core_that_locks_up_stops_for_its_debugger(serve):
    served = serve("--vtor", "main=0x60000000", "--timeout", "100 ms")
    wire = Wire(served.ports[0])
    assert wire.ask(b"c") == b"T06thread:1;"
    assert bytes.fromhex(wire.ask(b"qThreadExtraInfo,1").decode()) == b"cpu_cm7, locked up"
    assert wire.ask(b"D") == b"OK"
    served.end(1)


def refusal(result) -> str:
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1].removeprefix("rptwin: error: ")


def test_a_port_that_is_taken_is_named(rptwin, pair):
    images = pair("demo")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refusal(rptwin("run", "--gdb", port, images.main, images.remote))
    assert message == f"--gdb: port {port} is taken; 0 takes any free one"


@pytest.mark.parametrize(("given", "found"), [("65536", "65536"), ("-1", "-1"), ("65535", "65536")])
def test_a_port_that_does_not_exist_is_refused(rptwin, pair, given, found):
    images = pair("demo")
    message = refusal(rptwin("run", f"--gdb={given}", images.main, images.remote))
    assert message == f"--gdb: no such port: expected 0..65535, found {found}"


def test_an_engine_that_serves_no_debugger_says_so(rptwin, pair):
    images = pair("demo")
    message = refusal(rptwin("run", "--gdb", 0, "--engine", "unicorn-remote", images.main, images.remote))
    assert message == "engine unicorn-remote: no debug; the unicorn engine has it"
