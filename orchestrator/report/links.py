"""Where a source that a rule names can be read: issues and pull requests of public projects, as addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["links_of"]

_PROJECTS = {
    "buildroot-external-st": "bootlin/buildroot-external-st",
    "libmetal": "OpenAMP/libmetal",
    "linux-xlnx": "Xilinx/linux-xlnx",
    "meta-openamp": "OpenAMP/meta-openamp",
    "modm": "modm-io/modm",
    "nuttx": "apache/nuttx",
    "open-amp": "OpenAMP/open-amp",
    "openamp-system-reference": "OpenAMP/openamp-system-reference",
    "rpmsg-lite": "nxp-mcuxpresso/rpmsg-lite",
    "zephyr": "zephyrproject-rtos/zephyr",
}
_NAMED = re.compile(rf"\b(?P<project>{'|'.join(_PROJECTS)}) (?P<numbers>(?:PR )?\d+(?:, (?:PR )?\d+)*)\b", re.ASCII)


def links_of(text: str) -> tuple[str, ...]:
    """The address of each issue that a text names, as ``zephyr 86494, 90668`` or ``open-amp PR 320``; once each."""
    return tuple(dict.fromkeys(_addresses(text)))


def _addresses(text: str) -> Iterator[str]:
    for found in _NAMED.finditer(text):
        for number in found["numbers"].split(", "):
            kind = "pull" if number.startswith("PR ") else "issues"
            yield f"https://github.com/{_PROJECTS[found['project']]}/{kind}/{number.removeprefix('PR ')}"
