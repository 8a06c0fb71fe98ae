"""Schedules as files: what is written is read again, and what is none is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import CapabilityError, UsageError
from orchestrator.board import Board
from orchestrator.board.schedule import Delay, Schedule, load_schedule, parse_schedule, write_schedule
from orchestrator.platform import load_platform

names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
schedules = st.builds(
    Schedule,
    quantum_ns=st.integers(1, 10**9),
    mips=st.dictionaries(names, st.integers(1, 1000), max_size=2),
    delays=st.lists(
        st.builds(Delay, names, st.integers(0, 2**60), st.integers(1, 10**12), st.text(max_size=20)), max_size=3
    ).map(tuple),
    images=st.dictionaries(st.sampled_from(["main", "remote"]), names, max_size=2),
)


@given(schedules)
def test_what_is_written_is_read_again(schedule):
    assert parse_schedule(schedule.to_json(), "x") == schedule


def test_a_file_is_what_was_written(tmp_path):
    schedule = Schedule(5_000, {"cpu_cm4": 100}, (Delay("cpu_cm7", 12, 300, "it sleeps"),), {"main": "00"})
    write_schedule(schedule, tmp_path / "s.json")
    assert load_schedule(tmp_path / "s.json") == schedule


GOOD = {"format": "rptwin schedule", "version": 1}
DELAY = {"core": "cpu_cm7", "cycle": 1, "for": "1 us"}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], 'expected "format": "rptwin schedule"'),
        ({"format": "rptwin recording"}, 'expected "format": "rptwin schedule"'),
        (GOOD | {"version": 2}, "a schedule of another version: expected 1, found 2"),
        (GOOD | {"delay": []}, "expected format | version | quantum | mips | delays | images, found 'delay'"),
        (GOOD | {"quantum": 5}, "x: quantum: not a schedule: expected text, found 5"),
        (GOOD | {"quantum": "0 us"}, "x: quantum: not a schedule: expected more than zero"),
        (
            GOOD | {"mips": {"cpu_cm7": 0}},
            "x: mips.cpu_cm7: not a schedule: expected a whole number, 1 to 100000, found 0",
        ),
        (GOOD | {"mips": {"cpu_cm7": True}}, "x: mips.cpu_cm7"),
        (GOOD | {"delays": {}}, "x: delays: not a schedule: expected a list of at most 1000"),
        (GOOD | {"delays": [DELAY] * 1001}, "expected a list of at most 1000"),
        (GOOD | {"delays": [3]}, "x: delays[0]: not a schedule: expected an object, found 3"),
        (GOOD | {"delays": [DELAY | {"cycle": -1}]}, "x: delays[0].cycle"),
        (GOOD | {"delays": [DELAY | {"for": "soon"}]}, "x: delays[0].for: not a duration"),
        (GOOD | {"delays": [{"for": "1 us"}]}, "x: delays[0].core: not a schedule: expected text, found None"),
        (GOOD | {"images": {"other": "0"}}, "x: images: not a schedule: expected main | remote, found 'other'"),
    ],
)
def test_what_is_no_schedule_is_named_with_its_place(values, text):
    with pytest.raises(UsageError) as caught:
        parse_schedule(json.dumps(values), "x")
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000])
def test_text_that_is_no_json_is_one_error(text):
    with pytest.raises(UsageError):
        parse_schedule(text, "x")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        load_schedule(tmp_path / "none.json")


def test_a_core_that_the_chip_does_not_have_is_refused():
    with pytest.raises(UsageError, match=r"no such core: expected cpu_cm7 \| cpu_cm4, found cpu9"):
        Schedule(delays=(Delay("cpu9", 0, 1),)).platform(load_platform("stm32h745"))


def test_an_engine_that_decides_by_itself_is_refused(firmware):
    pair = firmware("demo", "mps2_an521")
    with pytest.raises(CapabilityError, match="engine qemu: no schedules; the unicorn engine has them"):
        Board("mps2_an521", main=pair.main, remote=pair.remote, engine="qemu", schedule=Schedule())


def test_a_clock_of_a_schedule_is_the_cores(firmware):
    pair = firmware("demo")
    with Board(main=pair.main, remote=pair.remote, schedule=Schedule(mips={"cpu_cm4": 20})) as board:
        board.run("up")
        assert board.engine.instructions("cpu_cm4") == 20 * board.time_ns // 1000


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Schedule(), "as without a schedule"),
        (Schedule(5_000), "quantum 5 us"),
        (Schedule(mips={"a": 3}), "a runs 3 million instructions a second"),
        (Schedule(delays=(Delay("a", 0, 1_000),)), "a stands still for 1 us at power-on"),
        (Schedule(delays=(Delay("a", 7, 1_000),)), "a stands still for 1 us at cycle 7"),
        (Schedule(delays=(Delay("a", 7, 1_000, "it sleeps"),)), "a stands still for 1 us before it sleeps"),
    ],
)
def test_a_schedule_says_what_it_changes(schedule, text):
    assert str(schedule) == text
