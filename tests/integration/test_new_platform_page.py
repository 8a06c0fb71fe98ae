"""docs/new-platform.md, followed as it stands there: its commands in order, its edits from the folder it ends with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from orchestrator.engines.unicorn.devices.registry import MODELLED
from orchestrator.platform import load_platform

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "new-platform.md"
FINISHED = PAGE.with_suffix("")
SKELETON = ROOT / "platforms" / "skeleton"
PORTABLE = "/* --- any Cortex-M"


def blocks(*kinds: str) -> list[str]:
    """The page's blocks of code of these kinds."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in fences if kind in kinds]


def commands() -> list[list[str]]:
    """The commands of each block of the page."""
    return [[line.removeprefix("$ ") for line in text.splitlines()] for text in blocks("console")]


def shell(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_page_ends_where_it_says(tmp_path: Path) -> None:
    (tmp_path / "firmware").symlink_to(ROOT / "firmware")
    first, rebuild, lint, smoke, demo = commands()
    said = [shell(command, tmp_path) for command in first + rebuild]
    assert "main: the mailbox rings both ways" in said[1]
    assert "RPTUN came up, and nothing went through vdev[0]: 2 notes" in said[1]

    shutil.copytree(FINISHED, tmp_path / "lpc55s69", copy_function=shutil.copyfile, dirs_exist_ok=True)
    assert "2 peripheral scripts, 0 problems" in shell(lint[0], tmp_path)
    said = [shell(command, tmp_path) for command in smoke]
    assert "main: the mailbox rings both ways" in said[1]
    assert "released" in said[1]
    assert "Unmodelled" not in said[1]
    assert "RPTUN came up, and nothing went through vdev[0]: 2 notes" in said[1]
    ours, theirs = (
        load_platform(tmp_path / each) for each in ("lpc55s69/lpc55s69.repl", "lpc55s69/renode/lpc55s69.repl")
    )
    assert {each.name for each in theirs.peripherals} >= {each.name for each in ours.peripherals}

    said = [shell(command, tmp_path) for command in demo]
    assert "10 pings: 10 good, 0 bad, 0 lost" in said[1]
    assert "Unmodelled" not in said[1]
    assert "RPTUN is up: no findings" in said[1]
    assert "10 good, 0 bad, 0 lost" in said[2]
    shell("printf 'ping 3 64\\n' | rptwin console " + demo[1].removeprefix("rptwin run "), tmp_path)
    (tmp_path / "rptwin.toml").write_text('platform = "lpc55s69/lpc55s69.repl"\n')
    wrong = demo[1].replace("/demo/", "/wrong-channel/").replace("--platform lpc55s69/lpc55s69.repl", "--quiet --trust")
    text = shell(f"{wrong}; test $? -eq 1", tmp_path)
    assert "mailbox channel 5 to be cleared by cpu1" in text
    assert "Run ended: a core takes one notification again and again" in text


def test_the_smoke_firmware_differs_from_the_skeletons_in_what_is_the_chips() -> None:
    ours, theirs = ((each / "smoke" / "smoke.c").read_text() for each in (FINISHED, SKELETON))
    assert ours != theirs
    assert ours[ours.index(PORTABLE) :] == theirs[theirs.index(PORTABLE) :]


def unindented(text: str) -> str:
    return re.sub(r"^ +", "", text, flags=re.MULTILINE)


def test_what_the_page_shows_stands_in_its_files() -> None:
    files = "".join(unindented(path.read_text()) for path in FINISHED.rglob("*.*") if "__pycache__" not in path.parts)
    shown = blocks("", "toml", "python")
    assert len(shown) == 5
    assert [text for text in shown if unindented(text) not in files] == []


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text())
    assert len(links) > 10
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_the_chip_of_the_page_still_wants_a_model_of_its_own() -> None:
    assert {each.type for each in load_platform(FINISHED / "lpc55s69.repl").peripherals} - MODELLED == {
        "IRQControllers.NVIC",
        "UART.LPC_USART",
    }
