"""What MPU registers grant, against a model that looks at one address at a time as the manuals' pseudocode does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.memory import Extent
from orchestrator.engines.common.memory_protection import EXECUTE, READ, WRITE
from orchestrator.engines.unicorn.cpu.mpu import Mpu

CTRL, RNR, RBAR, RASR, RLAR = 0xD94, 0xD98, 0xD9C, 0xDA0, 0xDA0
RW, RO = READ | WRITE, READ


def default_map(address: int) -> int:
    """DDI0403E table B3-1."""
    return RW if 0x4000_0000 <= address < 0x6000_0000 or address >= 0xA000_0000 else RW | EXECUTE


def without_region(control: int, address: int, *, privileged: bool) -> int:
    return default_map(address) if privileged and control & 4 else 0


def granted_v7(control: int, regions: list[tuple[int, int]], address: int, *, privileged: bool) -> int:
    """DDI0403E B3.5.3, ValidateAddress()."""
    if 0xE000_0000 <= address < 0xE010_0000 or not control & 1:
        return default_map(address)
    result = without_region(control, address, privileged=privileged)
    for rbar, rasr in regions:
        bits = (rasr >> 1 & 31) + 1
        if not rasr & 1 or address >> bits != rbar >> bits:
            continue
        if bits >= 8 and rasr >> 8 >> (address >> bits - 3 & 7) & 1:
            continue
        access = rasr >> 24 & 7
        if privileged:
            result = {0: 0, 1: RW, 2: RW, 3: RW, 4: 0, 5: RO, 6: RO, 7: RO}[access]
        else:
            result = {0: 0, 1: 0, 2: RO, 3: RW, 4: 0, 5: 0, 6: RO, 7: RO}[access]
        if result & READ and not rasr >> 28 & 1:
            result |= EXECUTE
    return result & ~EXECUTE if address >= 0xE000_0000 else result


def granted_v8(control: int, regions: list[tuple[int, int]], address: int, *, privileged: bool) -> int:
    """DDI0553, MPUCheck()."""
    if 0xE000_0000 <= address < 0xE010_0000 or not control & 1:
        return default_map(address)
    hits = [(rbar, rlar) for rbar, rlar in regions if rlar & 1 and rbar & ~31 <= address <= rlar | 31]
    if len(hits) > 1:
        return 0
    if not hits:
        return without_region(control, address, privileged=privileged)
    rbar = hits[0][0]
    access = rbar >> 1 & 3
    result = (RO if access & 2 else RW) if privileged or access & 1 else 0
    if result and not rbar & 1 and address < 0xE000_0000:
        result |= EXECUTE
    return result


bases = st.sampled_from([0, 0x0800_0000, 0x2000_0000, 0x2000_0400, 0x4000_0000, 0xE000_0000, 0xE010_0000, 0xFFFF_F000])
controls = st.integers(0, 7)
v7_regions = st.lists(
    st.builds(
        lambda base, near, bits, access, srd, xn, on: (
            (base + near * 32) & ~((1 << bits) - 1),
            xn << 28 | access << 24 | srd << 8 | (bits - 1) << 1 | on,
        ),
        bases,
        st.integers(0, 64),
        st.one_of(st.integers(5, 12), st.integers(5, 32)),
        st.integers(0, 7),
        st.one_of(st.just(0), st.integers(0, 255)),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
    max_size=8,
)
v8_regions = st.lists(
    st.builds(
        lambda base, near, length, low, on: (base + near * 32 | low, (base + (near + length) * 32) & 0xFFFF_FFE0 | on),
        bases,
        st.integers(0, 64),
        st.integers(-1, 64),
        st.integers(0, 7),
        st.integers(0, 1),
    ),
    max_size=8,
)


def mpu_with(control: int, regions: list[tuple[int, int]], *, armv8: bool) -> Mpu:
    """Programmed through its registers."""
    mpu = Mpu(16, armv8=armv8, changed=lambda: None)
    registers = mpu.registers()
    for number, (first, second) in enumerate(regions):
        registers[RNR][1](number)
        registers[RBAR][1](first & ~0x10 if not armv8 else first)
        registers[RASR][1](second)
    registers[CTRL][1](control)
    return mpu


@pytest.mark.parametrize("armv8", [False, True], ids=["v7", "v8"])
@given(data=st.data())
def test_what_is_granted_is_what_the_pseudocode_grants(armv8, data):
    control = data.draw(controls)
    regions = data.draw(v8_regions if armv8 else v7_regions)
    privileged = data.draw(st.booleans())
    model = granted_v8 if armv8 else granted_v7
    protection = mpu_with(control, regions, armv8=armv8).map(negative_priority=False)
    near = [first & ~31 for first, _second in regions] + [second & ~31 for _first, second in regions if armv8]
    address = data.draw(st.one_of(bases, st.sampled_from(near or [0]), st.integers(0, 0xFFFF_FFFF)))
    address = (address + data.draw(st.integers(-40, 2100))) & 0xFFFF_FFFF
    size = data.draw(st.sampled_from([1, 2, 4, 8, 40, 1024]))
    bytes_of = [model(control, regions, (address + i) & 0xFFFF_FFFF, privileged=privileged) for i in range(size)]
    expected = READ | WRITE | EXECUTE
    for each in bytes_of:
        expected &= each
    assert protection.granted_at(address, size, privileged=privileged) == expected
    for wanted in (READ, WRITE, EXECUTE):
        refused = [(address + i) & 0xFFFF_FFFF for i, each in enumerate(bytes_of) if not each & wanted]
        first = refused[0] if refused else None
        assert protection.first_denied(address, size, wanted, privileged=privileged) == first
        if first is not None:
            assert protection.why(first, wanted, privileged=privileged)


FULL_ACCESS, SHARED_RAM = 3 << 24, 0x3004_0000


@pytest.mark.parametrize(
    ("tex", "c", "b", "s", "cached"),
    [
        (0, 0, 0, 0, False),  # Strongly-ordered
        (0, 0, 1, 0, False),  # Device
        (0, 1, 0, 0, True),  # write-through
        (0, 1, 1, 0, True),  # write-back
        (1, 0, 0, 0, False),  # non-cacheable
        (1, 1, 1, 0, True),  # write and read allocate
        (2, 0, 0, 0, False),  # Device
        (4, 0, 0, 0, False),  # by inner and outer policy: the inner one is not cached
        (6, 0, 1, 0, True),
        (4, 1, 0, 0, True),
        (1, 1, 1, 1, False),  # Shareable
        (0, 1, 0, 1, False),
    ],
)
def test_what_a_region_lets_a_cache_keep(tex, c, b, s, cached):
    """DDI0403E tables B3-13 and B3-14; Shareable memory is not cached on a Cortex-M7."""
    rasr = FULL_ACCESS | tex << 19 | s << 18 | c << 17 | b << 16 | 14 << 1 | 1  # 32 KB
    found = mpu_with(5, [(SHARED_RAM, rasr)], armv8=False).cacheable()
    assert any(SHARED_RAM in each for each in found) == cached
    assert any(SHARED_RAM + 0x7FFF in each for each in found) == cached
    assert any(SHARED_RAM + 0x8000 in each for each in found)  # the default map
    assert any(SHARED_RAM - 1 in each for each in found)


def test_the_region_of_the_highest_number_decides_what_is_cached():
    uncached, cached = (FULL_ACCESS | bits | 14 << 1 | 1 for bits in (1 << 19, 3 << 16))
    both = [(SHARED_RAM, uncached), (SHARED_RAM, cached)]
    assert any(SHARED_RAM in each for each in mpu_with(5, both, armv8=False).cacheable())
    assert not any(SHARED_RAM in each for each in mpu_with(5, both[::-1], armv8=False).cacheable())


def test_without_a_default_map_only_regions_are_cached():
    cached = FULL_ACCESS | 3 << 16 | 14 << 1 | 1
    assert mpu_with(1, [(SHARED_RAM, cached)], armv8=False).cacheable() == (Extent(SHARED_RAM, 0x8000),)


def test_an_mpu_that_is_off_leaves_the_default_map():
    uncached = FULL_ACCESS | 1 << 19 | 14 << 1 | 1
    assert any(SHARED_RAM in each for each in mpu_with(4, [(SHARED_RAM, uncached)], armv8=False).cacheable())


@given(control=controls, negative=st.booleans())
def test_when_the_mpu_is_in_force(control, negative):
    """B3.5.4: HFNMIENA decides where the execution priority is negative."""
    mpu = mpu_with(control, [], armv8=False)
    assert mpu.protects(negative_priority=negative) == bool(control & 1 and (not negative or control & 2))


@given(regions=v7_regions, control=controls)
def test_a_saved_mpu_grants_the_same_when_it_is_restored(regions, control):
    mpu = mpu_with(control, regions, armv8=False)
    other = Mpu(16, armv8=False, changed=lambda: None)
    other.restore(mpu.save())
    assert other.map(negative_priority=False) == mpu.map(negative_priority=False)
    assert other.save() == mpu.save()


def test_armv8_aliases_reach_the_regions_beside_the_selected_one():
    """DDI0553 MPU_RBAR_An: region RNR[7:2]:n."""
    registers = Mpu(8, armv8=True, changed=lambda: None).registers()
    registers[RNR][1](4)
    for alias in range(4):
        registers[RBAR + 8 * alias][1](0x2000_0000 + 0x100 * alias)
        registers[RLAR + 8 * alias][1](0x2000_00E1 + 0x100 * alias)
    for number in range(4):
        registers[RNR][1](4 + number)
        assert (registers[RBAR][0](), registers[RLAR][0]()) == (
            0x2000_0000 + 0x100 * number,
            0x2000_00E1 + 0x100 * number,
        )


@pytest.mark.parametrize("armv8", [False, True])
def test_a_region_that_is_not_there_is_neither_selected_nor_written(armv8):
    mpu = Mpu(8, armv8=armv8, changed=lambda: None)
    registers = mpu.registers()
    registers[RNR][1](8)
    if not armv8:
        registers[RBAR][1](0x2000_001F)  # VALID, region 15
    assert (mpu.number, mpu.regions) == (0, ((0, 0),) * 8)


def test_only_what_changes_something_is_told():
    calls: list[None] = []
    registers = Mpu(8, armv8=False, changed=lambda: calls.append(None)).registers()
    registers[RBAR][1](0x2000_0000)
    registers[RASR][1](1)
    assert len(calls) == 0  # it is not enabled
    registers[CTRL][1](5)
    registers[CTRL][1](5)
    registers[RASR][1](1)
    assert len(calls) == 1
    registers[RASR][1](0)
    assert len(calls) == 2


def test_a_core_without_mpu_cannot_enable_it():
    mpu = Mpu(0, armv8=False, changed=lambda: None)
    registers = mpu.registers()
    for offset in (CTRL, RNR, RBAR, RASR):
        registers[offset][1](0xFFFF_FFFF)
    assert [registers[offset][0]() for offset in (0xD90, CTRL, RNR, RBAR, RASR)] == [0] * 5


def test_an_armv8_overlap_names_both_regions():
    """DDI0553: an address in several regions faults."""
    regions = [(0x2000_0002, 0x2000_0FE1), (0x2000_0802, 0x2000_0FE1)]
    protection = mpu_with(5, regions, armv8=True).map(negative_priority=False)
    assert protection.granted_at(0x2000_07FC, 4, privileged=True) == RW | EXECUTE
    assert protection.granted_at(0x2000_0800, 4, privileged=True) == 0
    assert protection.why(0x2000_0800, READ, privileged=True) == "where MPU regions 0 and 1 overlap"
