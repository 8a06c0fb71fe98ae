"""Device and Strongly-ordered memory by the default map and the MPU (DDI0403E B3.5, DDI0553B B8)."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.common.memory_protection import device_v7, device_v8

DEFAULT = (Extent(0x4000_0000, 0x2000_0000), Extent(0xA000_0000, 0x6000_0000))
SHARED = 0x3004_0000


def region_v7(tex: int, c: int, b: int, size: int = 16) -> tuple[int, int]:
    return SHARED, tex << 19 | c << 17 | b << 16 | 3 << 24 | (size - 1) << 1 | 1


def test_without_an_mpu_the_default_map_says():
    assert device_v7((), enabled=False, background=False) == DEFAULT
    assert device_v8((), (0, 0), enabled=False, background=False) == DEFAULT


def test_with_an_mpu_and_no_background_there_is_none():
    assert device_v7((), enabled=True, background=False) == ()


@pytest.mark.parametrize(
    ("tex", "c", "b", "is_device"),
    [
        (0, 0, 0, True),  # Strongly-ordered
        (0, 0, 1, True),  # Device, Shareable
        (0, 1, 0, False),
        (0, 1, 1, False),
        (1, 0, 0, False),  # Normal, not cached: what a shared region is best
        (1, 1, 1, False),
        (2, 0, 0, True),  # Device, not Shareable
        (5, 0, 1, False),
    ],
)
def test_attributes_of_a_region_decide(tex, c, b, is_device):
    found = device_v7((region_v7(tex, c, b),), enabled=True, background=True)
    assert (Extent(SHARED, 0x1_0000) in found) is is_device
    assert DEFAULT[0] in found


def test_a_region_that_is_off_decides_nothing():
    base, attributes = region_v7(0, 0, 0)
    assert device_v7(((base, attributes & ~1),), enabled=True, background=True) == DEFAULT


@pytest.mark.parametrize(("attribute", "is_device"), [(0x00, True), (0x04, True), (0x0C, True), (0x44, False)])
@pytest.mark.parametrize("index", [0, 3, 4, 7])
def test_of_armv8_an_attribute_without_its_upper_bits_is_device_memory(attribute, is_device, index):
    words = [0xFFFF_FFFF, 0xFFFF_FFFF]
    shift = 8 * (index % 4)
    words[index // 4] = words[index // 4] & ~(0xFF << shift) | attribute << shift
    region = (SHARED, (SHARED + 0xFFE0) | index << 1 | 1)
    found = device_v8((region,), tuple(words), enabled=True, background=True)
    assert (Extent(SHARED, 0x1_0000) in found) is is_device
