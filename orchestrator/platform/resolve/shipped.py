"""Where the platforms are that come with rptwin."""

from __future__ import annotations

from pathlib import Path

__all__ = ["platforms_folder"]


def platforms_folder() -> Path:
    """Inside the package when installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[2]
    packaged = package / "platforms"
    return packaged if packaged.is_dir() else package.parent / "platforms"
