"""What differs between CPU models."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.cortex_m import CACHES, NO_CACHES, Caches

__all__ = ["Features", "features_of"]


@dataclass(frozen=True, slots=True)
class Features:
    """One model: identification registers of its Technical Reference Manual."""

    cpuid: int
    mvfr: tuple[int, int, int]
    isar: tuple[int, int, int, int, int]
    mpu_regions: int = 8
    armv8: bool = False
    caches: Caches = NO_CACHES


_FEATURES = {
    "cortex-m4": Features(
        0x410FC241, (0, 0, 0), (0x01141110, 0x02111000, 0x21112231, 0x01111110, 0x01310102)
    ),  # 100166, 4.1
    "cortex-m4f": Features(
        0x410FC241, (0x10110021, 0x11000011, 0), (0x01141110, 0x02111000, 0x21112231, 0x01111110, 0x01310102)
    ),
    "cortex-m7": Features(  # DDI0489F, 3.3
        0x411FC271,
        (0x10110221, 0x12000011, 0x00000040),
        (0x01101110, 0x02112000, 0x20232231, 0x01111131, 0x01310132),
        mpu_regions=16,
        caches=CACHES["cortex-m7"],
    ),
    "cortex-m33": Features(
        0x410FD213,
        (0x10110021, 0x11000011, 0x00000040),
        (0x01101110, 0x02212000, 0x20232232, 0x01111131, 0x01310132),
        armv8=True,
    ),  # 100230, 3.1
}


def features_of(model: str, *, fpu: bool = True) -> Features:
    """By Renode's name of the CPU model; without ``fpu`` the chip leaves its floating-point unit out."""
    features = _FEATURES[model]
    return features if fpu else replace(features, mvfr=(0, 0, 0))
