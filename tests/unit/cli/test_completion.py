"""Completion in a real bash: commands, options, and values of those that have some."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.cli.completion import SHELLS

LIMIT_S = 60


def complete(folder: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    script = 'eval "$(rptwin completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rptwin_completion rptwin; '
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script, "bash", "rptwin", *words],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        (("ju",), {"judge"}, {"run"}),
        (("run", "--wat"), {"--watch"}, {"--wall-time"}),
        (("run", "--platform", "s"), {"stm32h745"}, {"nrf5340"}),
        (("run", "--engine", ""), {"unicorn", "qemu", "renode"}, {"unicorn-remote"}),
        (("run", "--profile", "n"), {"nuttx"}, {"linux"}),
        (("run", "--coherence", ""), {"report", "real"}, set()),
        (("run", "--until", ""), {"up", "main:", "remote:", "usart3:"}, {"main"}),
        (("run", "--platform", "mps2_an521", "--uart", "uart"), {"uart0=pty", "uart0=tcp:"}, {"usart3=pty"}),
        (("checks", "ring.h"), {"ring.head-in-use"}, {"ring.direction"}),
        (("export-renode", "nrf"), {"nrf5340"}, set()),
        (("completion", ""), set(SHELLS), set()),
        (("run", "--platform", "nobody.repl", "--until", ""), set(), {"up"}),
    ],
)
def test_bash_offers_what_can_stand_there(tmp_path: Path, words, offered: set[str], not_offered: set[str]) -> None:
    found = complete(tmp_path, *words)
    assert offered <= found
    assert not found & not_offered


@pytest.mark.parametrize(
    "line", ["rptwin run ma", "rptwin run --json ma", "rptwin judge --debugfs ma", "rptwin run --pl"]
)
def test_a_person_at_a_terminal_has_files_and_options_completed(tmp_path: Path, line: str) -> None:
    (tmp_path / "main-of-mine.elf").touch()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execvpe(
            "bash",
            ["bash", "--norc", "--noprofile", "-i"],
            os.environ | {"PATH": path, "PS1": "ready> ", "TERM": "dumb"},
        )
    try:
        os.write(terminal, b'eval "$(rptwin completion bash)"; echo com""plete\n')
        said(terminal, "complete\r\n")
        os.write(terminal, f"{line}\t".encode())
        said(terminal, "main-of-mine.elf" if line.endswith("ma") else "rptwin run --platform")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def said(terminal: int, wanted: str) -> None:
    text = ""
    while wanted not in text:
        assert select.select([terminal], [], [], LIMIT_S)[0], text
        text += os.read(terminal, 4096).decode("utf-8", "replace")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_RPTWIN_COMPLETE" in result.stdout


def test_another_shell_is_refused() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "'tcsh' is not one of" in result.stderr
