"""How a conversation with QEMU ends that should not; the engine says what it means."""

from __future__ import annotations

__all__ = ["ClosedError", "SilentError"]


class ClosedError(Exception):
    """The other end is gone."""


class SilentError(Exception):
    """The other end said nothing for too long."""
