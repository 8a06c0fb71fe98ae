"""``rptwin run --watch``: runs again when what it was made from changes, and ends by Ctrl-C with the last exit code."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

LIMIT_S = 120


class Watching:
    """A ``rptwin run --watch`` in a process group of its own, as a shell starts one."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "run", "--quiet", "--watch", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, wanted: str) -> str:
        """What is said up to a line with this."""
        said = ""
        while wanted not in said:
            said += self._lines.get(timeout=LIMIT_S)
        return said

    def end(self, number: signal.Signals) -> int:
        os.killpg(self.process.pid, number)  # a terminal's Ctrl-C is for all of them
        return self.process.wait(timeout=LIMIT_S)


@pytest.fixture
def watch(pair, tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    for role in ("main", "remote"):
        shutil.copyfile(getattr(pair("demo"), role), tmp_path / f"{role}.elf")
    started: list[Watching] = []

    def begin(*arguments: str) -> Watching:
        started.append(Watching(tmp_path, *arguments))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()


def test_an_image_that_changes_is_run_again_once_it_is_whole(watch, pair, tmp_path: Path) -> None:
    watching = watch("main.elf", "remote.elf")
    said = watching.until("waiting for a change")
    assert re.search(r"─── \d\d:\d\d:\d\d  run 1: the first ─", said)
    assert "RPTUN is up: no findings" in said
    assert "run 1: exit code 0" in said
    whole = (tmp_path / "remote.elf").read_bytes()
    with (tmp_path / "remote.elf").open("wb") as file:  # as a linker does
        for part in (whole[:1000], whole[1000:50_000], whole[50_000:]):
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
            threading.Event().wait(0.4)
    said = watching.until("waiting for a change")
    assert "run 2: remote.elf changed" in said
    assert "RPTUN is up" in said  # and no word of half a file
    (tmp_path / "remote.elf").write_bytes(b"\x7fELF, but no more")
    said = watching.until("waiting for a change")
    assert "run 3: exit code 2" in said
    assert watching.end(signal.SIGINT) == 2


def test_settings_that_change_are_read_again(watch, tmp_path: Path) -> None:
    config = tmp_path / "rptwin.toml"
    config.write_text('main = "main.elf"\nremote = "remote.elf"\n')
    watching = watch()
    watching.until("run 1: exit code 0")
    config.write_text('main = "main.elf"\nremote = "remote.elf"\ntable = "main:0x30000000"\ntimeout = "100 ms"\n')
    assert "run 2: rptwin.toml changed" in watching.until("run 2: exit code 1")
    config.write_text("nonsense")
    assert "not TOML" in watching.until("run 3: exit code 2")
    config.write_text('main = "main.elf"\nremote = "remote.elf"\n')
    watching.until("run 4: exit code 0")
    assert watching.end(signal.SIGTERM) == 0


def test_an_image_that_is_not_there_yet_is_waited_for(watch, tmp_path: Path) -> None:
    hidden = (tmp_path / "remote.elf").rename(tmp_path / "hidden")
    watching = watch("main.elf", "remote.elf")
    assert "No such file or directory" in watching.until("run 1: exit code 2")
    hidden.rename(tmp_path / "remote.elf")
    watching.until("run 2: exit code 0")
    assert watching.end(signal.SIGINT) == 0


def test_an_interrupt_in_a_run_ends_both_with_its_exit_code(watch) -> None:
    watching = watch("--until", "main:never said", "--timeout", "1000000 s", "main.elf", "remote.elf")
    watching.until("run 1: the first")
    threading.Event().wait(2)
    assert watching.end(signal.SIGINT) == 2


def test_a_file_of_pairs_is_watched_with_all_that_it_names(watch, tmp_path: Path) -> None:
    (tmp_path / "pairs.toml").write_text('[[pair]]\nname = "one"\nmain = "main.elf"\nremote = "remote.elf"\n')
    watching = watch("--pairs", "pairs.toml", "-j", "1")
    watching.until("run 1: exit code 0")
    os.utime(tmp_path / "main.elf")
    assert "run 2: main.elf changed" in watching.until("run 2: exit code 0")
    assert watching.end(signal.SIGINT) == 0
