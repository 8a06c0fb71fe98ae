"""gdb on the board of a test: pytest and Robot Framework wait for it at power-on, and then go on with their test."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

GDB = "gdb-multiarch"
pytestmark = pytest.mark.needs_command(GDB, GDB)
TEST = """
def test_firmware(rptwin_board):
    board = rptwin_board(main={main!r}, remote={remote!r})
    board.run(until="up")
    assert board.memory("main").read(0x20000000, 4)
"""
SUITE = """
*** Settings ***
Library    orchestrator.robot.RptwinLibrary    html=False

*** Test Cases ***
Firmware
    Start Board    stm32h745    {main}    {remote}
    ${{ports}}=    Serve Gdb    0
    Run Until The End
    Rptun Should Be Up
    Should Be Equal As Integers    ${{ports}}[cpu_cm7]    ${{ports}}[cpu_cm7]
"""


def debugged(command: list[str], folder: Path, image: Path) -> tuple[int, str, str]:
    """Exit code and output of a test, and what gdb said that came to main, stopped in it, and left."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        said = ""
        while "gdb: remote" not in said and (line := process.stdout.readline()):
            said += line
        port = re.search(r"gdb: main \(cpu_cm7\): target remote localhost:(\d+)", said)
        assert port is not None, said
        orders = [f"target remote localhost:{port[1]}", "break align_up", "continue", "backtrace 1", "detach"]
        gdb = subprocess.run(
            [GDB, "-nx", "-batch", *(part for order in orders for part in ("-ex", order)), str(image)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        rest, _ = process.communicate(timeout=60)
        return process.returncode, said + rest, gdb.stdout + gdb.stderr
    finally:
        process.kill()


def test_pytest_waits_for_a_gdb_and_goes_on_with_the_test(pair, tmp_path):
    images = pair("demo")
    (tmp_path / "test_it.py").write_text(TEST.format(main=str(images.main), remote=str(images.remote)))
    options = ["-p", "no:cacheprovider", "--rptwin-gdb", "0", "test_it.py"]
    code, said, gdb = debugged(["pytest", *options], tmp_path, images.main)
    assert "1 passed" in said
    assert code == 0
    assert "align_up (align=16" in gdb


def test_robot_waits_for_a_gdb_and_goes_on_with_the_test(pair, tmp_path):
    images = pair("demo")
    (tmp_path / "it.robot").write_text(SUITE.format(main=images.main, remote=images.remote))
    code, said, gdb = debugged(["robot", "--output", "NONE", "--log", "NONE", "it.robot"], tmp_path, images.main)
    assert "1 test, 1 passed" in said
    assert code == 0
    assert "align_up (align=16" in gdb


def test_a_port_that_is_taken_fails_the_test_in_a_line(pair, tmp_path):
    images = pair("demo")
    (tmp_path / "test_it.py").write_text(TEST.format(main=str(images.main), remote=str(images.remote)))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
        done = subprocess.run(
            [*command, "--rptwin-gdb", str(taken.getsockname()[1])],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "no board: --gdb: port" in done.stdout
