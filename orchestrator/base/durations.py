"""Virtual time in nanoseconds, and durations as people type them."""

from __future__ import annotations

import re
from decimal import Decimal

from orchestrator.base.errors import UsageError

__all__ = ["DEFAULT_QUANTUM_NS", "DURATION_WORDS", "Duration", "format_duration", "parse_duration"]

DEFAULT_QUANTUM_NS = 20_000  # that a core runs before the next has its turn; at 100 us a pair of an nRF5340 missed a
# status and slept for a second
DURATION_WORDS = 'a number and a unit (ns, us, ms, s, min), as "50 ms" or "1.5s"'

Duration = str | int | float
"""``"50 ms"`` or seconds; what :func:`parse_duration` takes."""

_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ns|us|µs|ms|s|min)", re.ASCII)
_LONGEST_NS = 1 << 63


def parse_duration(value: Duration, where: str = "duration") -> int:
    """Nanoseconds of ``"50 ms"``, ``"1.5s"``, ``"20us"``; a number without a unit is seconds.

    Text always needs its unit. Raises :class:`UsageError` that names what is accepted.
    """
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise UsageError("not a duration", where=where, expected=DURATION_WORDS, found=repr(value))
        exact = Decimal(match[1]) * _UNITS_NS[match[2]]
    elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST_NS:
        raise UsageError("not a duration", where=where, expected=DURATION_WORDS, found=repr(value))
    else:
        exact = (Decimal(value) * _UNITS_NS["s"]).to_integral_value()
    if exact != exact.to_integral_value():
        raise UsageError("finer than a nanosecond", where=where, found=repr(value))
    if exact >= _LONGEST_NS:
        raise UsageError("too long", where=where, expected="less than 292 years", found=repr(value))
    return int(exact)


def format_duration(time_ns: int) -> str:
    """The shortest exact text that :func:`parse_duration` reads back: ``"5 s"``, ``"20 us"``, ``"1.25 ms"``."""
    unit = next((unit for unit in ("s", "ms", "us") if time_ns >= _UNITS_NS[unit]), "ns")
    whole, rest = divmod(time_ns, _UNITS_NS[unit])
    digits = len(str(_UNITS_NS[unit])) - 1
    fraction = f"{rest:0{digits}d}".rstrip("0") if rest else ""
    return f"{whole}.{fraction} {unit}" if fraction else f"{whole} {unit}"
