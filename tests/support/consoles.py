"""A console without a guest: its output is what a test puts there, and it keeps what is written to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FakeConsole:
    output: bytes = b""
    name: str = ""
    written: bytes = b""

    def write(self, data: bytes) -> None:
        self.written += data
