"""``rptwin run --watch``: runs again when a file changes that the run was made from; ended by Ctrl-C.

Files are looked at by their time, size and inode a few times a second: they are few, a build writes them when it likes,
and this works on every file system. A change counts once nothing has changed for a moment and each image reads as one.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.base.errors import RptwinError
from orchestrator.base.image_names import image_file
from orchestrator.base.interrupts import ENDING, is_ignored, raised
from orchestrator.config import Settings
from orchestrator.formats.bare_image import load_image
from orchestrator.platform import load_platform

__all__ = ["files_of", "run_whenever"]

_LOOK_S = 0.2  # between two looks
_STILL_S = 0.3  # nothing has changed for so long: the build has ended
_LONGEST_S = 5.0  # after which a file that is still no image is run, for the error that says so
_RULE = "─"
_WIDTH = 80

State = Mapping[Path, tuple[int, int, int] | None]


def files_of(settings: Iterable[Settings], *others: str | Path) -> tuple[Path, ...]:
    """What runs are made from: images, platforms with their scripts, schedules, and files of settings."""
    found: dict[Path, None] = dict.fromkeys(map(Path, others))
    for each in settings:
        paths = [each.main, each.remote, *each.firmware.values(), each.schedule, each.svd]
        found |= dict.fromkeys(image_file(path) for path in paths if path is not None)
        found |= dict.fromkeys(_of_platform(each.platform))
    return tuple(found)


def _of_platform(platform: str) -> Iterator[Path]:
    if not platform.endswith(".repl"):
        return  # it comes with rptwin
    yield from (Path(platform), Path(platform).with_suffix(".toml"))
    with contextlib.suppress(RptwinError):
        yield from load_platform(platform).files


def run_whenever(arguments: Sequence[str], files: Callable[[], Iterable[Path]], say: Callable[[str], None]) -> int:
    """Run this command line of rptwin now and whenever one of its files has changed; the last exit code.

    ``files`` is asked before each run: what a file of settings names may have become another one.
    """
    code, count, why = 0, 1, "the first"
    watched: tuple[Path, ...] = ()
    try:
        while True:
            with contextlib.suppress(RptwinError):  # settings that are wrong: the run says so, and the old files count
                watched = tuple(files())
            before = _state(watched)
            say(_separation(f"run {count}: {why}"))
            code = _run(arguments)
            say(_separation(f"run {count}: exit code {code}; waiting for a change (Ctrl-C ends)"))
            why = _wait(watched, before)
            count += 1
    except _InterruptedRunError as interrupt:
        raised.clear()
        return interrupt.code
    except KeyboardInterrupt:
        raised.clear()  # an end like any other
        return code


def _separation(text: str) -> str:
    head = f"{_RULE * 4} {time.strftime('%H:%M:%S')}  {text} "
    return head + _RULE * max(4, _WIDTH - len(head))


def _run(arguments: Sequence[str]) -> int:
    """In a process of its own: nothing of one run is left in the next. A signal to this one is for that too."""
    process = subprocess.Popen([sys.executable, "-m", "orchestrator", *arguments])
    interrupts: list[int] = []

    def on_interrupt(number: int, _frame: object) -> None:
        interrupts.append(number)
        if number != signal.SIGINT:  # Ctrl-C comes to it by itself
            with contextlib.suppress(OSError):
                process.send_signal(number)

    before = {each: signal.getsignal(each) for each in ENDING if not is_ignored(each)}
    try:
        for each in before:
            signal.signal(each, on_interrupt)
        code = process.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    code = code if code >= 0 else 128 - code
    if interrupts:
        raise _InterruptedRunError(code)
    return code


class _InterruptedRunError(KeyboardInterrupt):
    """A run that was ended from outside; its exit code is the last."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def _state(files: Iterable[Path]) -> State:
    return {file: _stat(file) for file in files}


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _wait(files: Sequence[Path], before: State) -> str:
    """Until something has changed and is whole; which files, in words."""
    while (state := _state(files)) == before:
        time.sleep(_LOOK_S)
    first = since = time.monotonic()
    while (now := time.monotonic()) - since < _STILL_S or (now - first < _LONGEST_S and not _are_whole(files)):
        time.sleep(_LOOK_S / 2)
        fresh = _state(files)
        if fresh != state:
            state, since = fresh, time.monotonic()
    changed = [file.name for file in files if state[file] != before[file]]
    return f"{', '.join(changed)} changed" if changed else "a file was written again"


def _are_whole(files: Iterable[Path]) -> bool:
    """Each is there, and what is to be an image reads as one."""
    for file in files:
        if _stat(file) is None:
            return False
        if file.suffix in (".elf", ".axf", ".out", ".hex", ""):
            try:
                load_image(file)
            except RptwinError:
                return False
    return True
