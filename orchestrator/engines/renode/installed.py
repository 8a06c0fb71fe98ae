"""How a Renode can be installed, and which one was tried; shared by who looks for it and by who loads it."""

from __future__ import annotations

import enum

__all__ = ["TRIED", "Kind"]

TRIED = "1.16.1"  # the release of Renode with which the engine was tried


class Kind(enum.Enum):
    """How Renode is installed: the variable of pyrenode3 and the key of the settings that name it."""

    PACKAGE = ("PYRENODE_PKG", "package")
    BINARY = ("PYRENODE_BIN", "binary")
    BUILD = ("PYRENODE_BUILD_DIR", "build-dir")

    @property
    def variable(self) -> str:
        """Of the environment."""
        return self.value[0]

    @property
    def key(self) -> str:
        """In ``[renode]``."""
        return self.value[1]
