"""A console without a guest: its output is what a test puts there, and it keeps what is written to it."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.base.console_output import Fresh, LineStart


@dataclass
class FakeConsole:
    output: bytes = b""
    name: str = ""
    written: bytes = b""

    @property
    def total(self) -> int:
        return len(self.output)

    def since(self, position: int) -> Fresh:
        return Fresh(0, self.output[position:])

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        return ()

    def write(self, data: bytes) -> None:
        self.written += data
