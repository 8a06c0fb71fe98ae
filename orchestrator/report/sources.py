"""Lines of source as ``path:line``, which terminals, editors and CI open.

The debug information has a file as the compiler was told it, often relative to a folder of another machine. It is
looked for from the compiler's folder, then from the folder of the image and those above it, where projects keep their
build; a file that is not here is named as the compiler was told it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from orchestrator.base.dataclass import dataclass
from orchestrator.base.files import is_file
from orchestrator.checks.finding import Finding
from orchestrator.formats.elf import Image, SourceLine

__all__ = ["SourcePaths", "frame_texts", "place_texts"]


@dataclass(frozen=True)
class SourcePaths:
    """Where sources may be; ``images`` are the files that were loaded."""

    images: tuple[Path, ...] = ()

    @classmethod
    def of(cls, images: Mapping[str, Image]) -> SourcePaths:
        """For the images of a pair, by role."""
        return cls(tuple(each.path for each in images.values()))

    def path_of(self, line: SourceLine) -> str:
        """The file: relative to the current folder where it lies below, else absolute; as it was told if not here."""
        here = Path.cwd()
        for candidate in self._candidates(line):
            try:
                if candidate.is_file():
                    return str(candidate.relative_to(here)) if candidate.is_relative_to(here) else str(candidate)
            except (OSError, ValueError):  # names that this system does not take
                continue
        return line.file

    def absolute_path_of(self, line: SourceLine) -> str:
        """The same for who opens it from elsewhere; as it was told if it is not here."""
        path = Path(self.path_of(line))
        return str(path.absolute()) if is_file(path) else str(path)

    def text(self, line: SourceLine) -> str:
        """``path:line``."""
        return f"{self.path_of(line)}:{line.line}"

    def texts(self, lines: Sequence[SourceLine]) -> str:
        """The innermost line, and the calls that were inlined: ``a.h:8 (dsb, inlined at b.c:41)``."""
        if not lines:
            return ""
        first, *outer = lines
        where = "".join(f", inlined at {self.text(each)}" for each in outer)
        return self.text(first) + (f" ({first.function}{where})" if outer else "")

    def _candidates(self, line: SourceLine) -> Iterator[Path]:
        told = PurePath(line.folder, line.file)
        if told.is_absolute():
            yield Path(told)
        else:
            for image in self.images:
                for folder in Path(os.path.abspath(image)).parents:  # noqa: PTH100  # links as they were given
                    yield Path(os.path.normpath(folder / told))


def place_texts(finding: Finding, paths: SourcePaths) -> list[str]:
    """Each place behind its line, where there is one: ``remote/main.c:63  cpu_cm4 at 0x081002f8 (main+0x4)``."""
    return [_behind(paths, finding.at_lines, i, str(place)) for i, place in enumerate(finding.at)]


def frame_texts(finding: Finding, paths: SourcePaths) -> list[str]:
    """Each level of the backtrace, innermost first, without the one that is a place of the finding already.

    ``remote/main.c:63  0x081002f8 main+0x4``.
    """
    known = {place.address for place in finding.at}
    return [
        _behind(
            paths,
            finding.backtrace_lines,
            i,
            f"{frame.pc:#010x} {frame.symbol or '?'}{' (guess)' if frame.guess else ''}",
        )
        for i, frame in enumerate(finding.backtrace)
        if i or frame.pc not in known
    ]


def _behind(paths: SourcePaths, every: Sequence[Sequence[SourceLine]], index: int, text: str) -> str:
    lines = every[index] if index < len(every) else ()
    return f"{paths.texts(lines)}  {text}" if lines else text
