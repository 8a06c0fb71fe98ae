"""The board as a peripheral script sees it, without one: it remembers what a script did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping


class ScriptHost:
    """``held`` says which cores stand at first, ``refuses`` which calls a test does not expect.

    ``calls`` are all in order; each kind has a list of its own as well.
    """

    def __init__(self, held: Mapping[str, bool] | None = None, refuses: Collection[str] = ()) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.lines: list[tuple[str, int, bool]] = []  # NVIC, number, level
        self.events: list[str] = []  # cores
        self.touched: list[tuple[int, str]] = []  # offsets that the script does not model
        self.logged: list[tuple[str, str]] = []  # level, text
        self.held: dict[str, bool] = defaultdict(bool, held or {})
        self.holds: list[tuple[str, bool]] = []
        self.tables: dict[str, int] = {}  # where a core boots
        self.deeply_asleep: set[str] = set()  # NVICs
        self._refuses = refuses

    def _note(self, method: str, *call: object) -> None:
        assert method not in self._refuses, call
        self.calls.append(call)

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None:
        self._note("set_interrupt", "line", nvic, line, level)
        self.lines.append((nvic, line, level))

    def is_held(self, core: str) -> bool:
        return self.held[core]

    def hold(self, core: str, held: bool) -> None:
        self.held[core] = held
        self.holds.append((core, held))

    def is_in_deep_sleep(self, nvic: str) -> bool:
        assert "is_in_deep_sleep" not in self._refuses, nvic
        return nvic in self.deeply_asleep

    def set_event(self, core: str) -> None:
        self._note("set_event", "event", core)
        self.events.append(core)

    def vector_table(self, core: str) -> int:
        return self.tables[core]

    def set_vector_table(self, core: str, address: int) -> None:
        self._note("set_vector_table", "boots", core, address)
        self.tables[core] = address

    def log(self, level: str, text: str) -> None:
        self._note("log", level, text)
        self.logged.append((level, text))

    def unmodelled(self, offset: int, text: str) -> None:
        self._note("unmodelled", "unmodelled", offset, text)
        self.touched.append((offset, text))
