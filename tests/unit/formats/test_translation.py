from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.formats.translation import AddressEnvironment, AddressRange, Translated
from orchestrator.platform.model import Core, Platform, Region, Registration


def core(name, index):
    return Core(name, "cortex-m7", f"nvic_{index}", index, 0x08000000, 100, False)


def platform():
    """SRAM3 as both cores see it, with the second core's alias; a memory of one core alone; one without an alias."""
    return Platform(
        name="two",
        path=Path("two.repl"),
        cores=(core("cpu_cm7", 0), core("cpu_cm4", 1)),
        regions=(
            Region("dtcm", 0x20000, (Registration(0x20000000, "cpu_cm7"),)),
            Region("sram3", 0x8000, (Registration(0x30040000), Registration(0x10040000, "cpu_cm4"))),
            Region("sram4", 0x10000, (Registration(0x38000000),)),
        ),
        peripherals=(),
        roles={"main": "cpu_cm7", "remote": "cpu_cm4"},
        consoles={},
    )


@pytest.fixture
def environment():
    return AddressEnvironment.from_platform(platform(), "main", "remote")


def test_each_alias_of_the_remote_leads_to_the_same_memory_of_main(environment):
    assert environment.da_to_pa(0x10040010, 16) == Translated(0x30040010, 16)
    assert environment.da_to_pa(0x30040010, 16) == Translated(0x30040010, 16)
    assert environment.da_to_pa(0x38000000, 16) == Translated(0x38000000, 16)
    assert environment.pa_to_da(0x30040010, 16) == Translated(0x30040010, 16)


def test_memory_of_one_core_alone_cannot_be_translated(environment):
    with pytest.raises(
        TranslationError, match=r"pa 0x20000000: not in memory that both cores reach: expected inside 0x30040000\.\."
    ):
        environment.pa_to_da(0x20000000)
    with pytest.raises(TranslationError, match="da 0x50000000"):
        environment.da_to_pa(0x50000000)


def test_the_length_is_clamped_at_the_end_of_the_region(environment):
    assert environment.da_to_pa(0x10047FF0, 64) == Translated(0x30047FF0, 16)
    with pytest.raises(
        TranslationError, match="da 0x10047ff0: runs past the end of its region: expected 64 bytes, found 16 bytes"
    ):
        environment.whole_da_to_pa(0x10047FF0, 64)
    assert environment.whole_pa_to_da(0x30047FF0, 16) == 0x30047FF0
    with pytest.raises(TranslationError):
        environment.da_to_pa(0x10048000)


def test_given_ranges_are_asked_before_those_of_the_platform(environment):
    given_ranges = AddressEnvironment.given([AddressRange.parse("0x30040000:0x10040000:0x8000")])
    both = given_ranges.then(environment)
    assert both.pa_to_da(0x30040000).address == 0x10040000
    assert both.pa_to_da(0x38000000).address == 0x38000000
    assert (both.pa_to_da(0x30040010), both.da_to_pa(0x10040010)) == (
        Translated(0x10040010, 1),
        Translated(0x30040010, 1),
    )


def test_one_device_address_with_two_meanings_is_refused_and_an_alias_is_not():
    first = AddressRange.parse("0x30040000:0x10040000:0x8000")
    with pytest.raises(UsageError, match="overlap and mean different memory") as caught:
        AddressEnvironment.given([first, AddressRange.parse("0x38000000:0x10047ffc:0x100")])
    assert "0x38000000:0x10047ffc:0x100" in str(caught.value)
    assert "0x30040000:0x10040000:0x8000" in str(caught.value)
    AddressEnvironment.given([first, AddressRange.parse("0x30040000:0x30040000:0x8000")])
    AddressEnvironment.given([first, AddressRange.parse("0x30048000:0x10048000:0x8000")])
    AddressEnvironment.given([first, AddressRange.parse("0x30044000:0x10044000:0x8000")])  # says the same


@pytest.mark.parametrize(
    "text", ["", "1:2", "1:2:3:4", "0x:1:1", "a:b:c", "-1:0:1", "1:1:0", "0xffffffff:0:2", "0:0x100000000:1", " 1:1:1"]
)
def test_what_is_no_range_is_a_usage_error_that_repeats_it(text):
    with pytest.raises(UsageError) as caught:
        AddressRange.parse(text)
    assert f"found {text}" in str(caught.value)


def test_ranges_are_decimal_or_hexadecimal():
    assert AddressRange.parse("0x10:32:0X30") == AddressRange(16, 32, 48, "0x10:32:0X30")
    assert AddressRange.parse("010:0:1").pa == 10


@given(st.integers(0, 2**31), st.integers(0, 2**31), st.integers(1, 2**20), st.data())
def test_there_and_back_is_the_same_address(pa, da, size, data):
    environment = AddressEnvironment.given([AddressRange(pa, da, size)])
    offset = data.draw(st.integers(0, size - 1))
    wanted = data.draw(st.integers(1, 2 * size))
    there = environment.pa_to_da(pa + offset, wanted)
    assert there == Translated(da + offset, min(wanted, size - offset))
    assert environment.da_to_pa(*there) == Translated(pa + offset, there.size)
