"""Races that no default run shows are found, each with a schedule that shows it again; a healthy pair has none."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from orchestrator.base.errors import EngineError
from orchestrator.board import Board
from orchestrator.board.schedule import Schedule, load_schedule
from orchestrator.checks.finding import Severity
from orchestrator.cli import main
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.explore import Bounds, explore
from orchestrator.explore.explorer import _Explorer

# What is wrong by chance only: the cause, and how many schedules it takes at most.
RACES = {
    "sleeps-over-by-chance": ("vdev.driver-ok-unseen vdev[0].status", 40),  # B30
    "listens-late-by-chance": ("notification.before-listening vdev[0].vring[0]", 40),
    "clears-ready-by-chance": ("vring.unresolved table", 20),  # B29
    "name-missed-by-chance": ("RPTUN came up, and nothing went from main through vdev[0]", 40),  # B27
}


def opener(images):
    return lambda schedule: Board("stm32h745", main=images.main, remote=images.remote, schedule=schedule)


def causes(verdict):
    return [
        f"{each.finding.rule} {each.finding.subject}"
        for each in verdict.causes
        if each.finding.severity is not Severity.NOTE
    ]


@pytest.mark.parametrize("name", RACES)
def test_a_race_is_found_and_its_schedule_shows_it_again(patched, name):
    expected, count = RACES[name]
    images = patched(name, "demo", "stm32h745")
    found = explore(opener(images), Bounds(count=count, wall_s=600, jobs=2))
    assert (found.base.exit_code, found.base.verdict) == (0, "RPTUN is up")
    assert expected in [verdict for verdict, _count, _outcome in found.verdicts()]
    (shortest,) = (outcome for verdict, _count, outcome in found.verdicts() if verdict == expected)
    with opener(images)(shortest.schedule) as board:
        board.run()
        verdict = board.verdict()
    assert (verdict.exit_code, verdict.headline) == (shortest.exit_code, shortest.headline)
    assert tuple(causes(verdict)) == tuple(f"{rule} {subject}" for rule, subject in shortest.causes)


def test_a_healthy_pair_has_one_verdict(firmware):
    found = explore(opener(firmware("demo")), Bounds(count=60, wall_s=600, jobs=2))
    assert [verdict for verdict, _count, _outcome in found.verdicts()] == ["RPTUN is up"]
    assert (len(found.tried), found.is_whole, found.shortest) == (60, False, None)


def test_what_is_tried_does_not_depend_on_how_many_do_it(patched):
    images = patched("listens-late-by-chance", "demo", "stm32h745")
    one, three = (explore(opener(images), Bounds(count=30, wall_s=600, jobs=jobs)) for jobs in (1, 3))
    assert one.tried[:18] == three.tried[:18]
    assert one.verdicts()[0] == three.verdicts()[0]


@pytest.mark.parametrize("name", ["sleeps-over-by-chance", "listens-late-by-chance"])
def test_copies_of_one_board_come_to_what_boards_of_their_own_do(patched, monkeypatch, name):
    images = patched(name, "demo", "stm32h745")
    bounds = Bounds(count=40, wall_s=600, jobs=1)
    copies = explore(opener(images), bounds)
    monkeypatch.setattr(_Explorer, "_prepare", lambda *_: None)
    own = explore(opener(images), bounds)
    assert copies.tried == own.tried
    assert any(each.schedule.delays and each.course != copies.base.course for each in copies.tried)


def test_a_board_that_has_rehearsed_does_what_it_would_have_done(firmware):
    images, seen = firmware("demo"), []
    for rehearses in (False, True):
        with opener(images)(Schedule()) as board:
            events = []
            if rehearses:
                board.rehearse(3_000_000)
                assert (board.time_ns, board.restored, board.live.table) == (0, 0, None)
            board.subscribe(events.append)
            board.run()
            run, verdict = board.observer.run, board.verdict()
            rings = [each.to_json() for each in run.traffic.rings.values()]
            seen.append((events, board.end, verdict.headline, verdict.findings, run.milestones, rings, run.history))
    assert seen[0] == seen[1]


def test_a_board_on_which_python_plays_does_not_rehearse(firmware):
    with Board("stm32h745", remote=firmware("demo").remote) as board:
        board.rehearse(3_000_000)
        board.run()
        assert board.is_up()


def test_a_pair_that_is_broken_as_it_is_is_not_explored(firmware):
    found = explore(opener(firmware("leak")), Bounds(count=100, jobs=1))
    assert (len(found.tried), found.shortest) == (1, found.base)


def test_time_that_is_up_ends_it(firmware):
    found = explore(opener(firmware("demo")), Bounds(count=10_000, wall_s=0.01, jobs=1))
    assert (len(found.tried), found.is_whole) == (1, False)


def test_a_process_that_dies_is_an_error_and_no_schedule_less(firmware, monkeypatch):
    """As one does that finds no room for its memory."""
    images = firmware("demo")

    def dies(_engine):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(UnicornEngine, "part", dies)
    with pytest.raises(EngineError, match="processes that ran a board died"):
        explore(opener(images), Bounds(count=100, wall_s=600, jobs=2))


def test_what_was_tried_before_an_interrupt_is_kept(firmware):
    def interrupt(tried, _seconds):
        if tried == 4:
            raise KeyboardInterrupt

    found = explore(opener(firmware("demo")), Bounds(count=100, jobs=1), progress=interrupt)
    assert (len(found.tried), found.is_whole, found.is_interrupted) == (4, False, True)


def run(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="rptwin")


def test_the_command_reports_the_schedule_that_matters_and_saves_it(patched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = patched("sleeps-over-by-chance", "demo", "stm32h745")
    pair = images.main, images.remote
    done = run("explore", "-q", "--count", 40, "-j", 2, "--save", "race.json", "--json", "out.json", *pair)
    assert done.exit_code == 1, done.output
    assert "40 schedules in" in done.stdout
    assert "vdev.driver-ok-unseen  vdev[0].status" in done.stdout
    assert "race.json: that schedule" in done.stdout
    said = json.loads((tmp_path / "out.json").read_text())
    assert "vdev.driver-ok-unseen" in [each["rule"] for each in said["verdict"]["findings"]]
    assert load_schedule("race.json").delays
    again = run("run", "-q", "--schedule", "race.json", *pair)
    assert (again.exit_code, "vdev.driver-ok-unseen" in again.stdout) == (1, True)
    assert run("run", "-q", *pair).exit_code == 0


def test_a_schedule_of_other_images_is_said(patched, firmware, tmp_path):
    schedule = tmp_path / "s.json"
    schedule.write_text(Schedule(images={"main": "0" * 64}).to_json())
    pair = firmware("demo")
    done = run("run", "-q", "--schedule", schedule, pair.main, pair.remote)
    assert done.exit_code == 0
    assert "found with another image of main: its moments may be others" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--count", "0"), "--count"),
        (("--for", "soon"), "--for: not a duration"),
        (("--for", "0 s"), "--for: bad value: expected more than zero"),
        (("--delay", "1"), "--delay: not a duration"),
        (("--jobs", "0"), "--jobs"),
        (("--save", "{main}"), "would be written over a file that is in use already"),
    ],
)
def test_what_makes_no_sense_is_refused(firmware, arguments, text):
    pair = firmware("demo")
    done = run("explore", *(each.format(main=pair.main) for each in arguments), pair.main, pair.remote)
    assert done.exit_code == 2
    assert text in done.stderr


@pytest.mark.parametrize("other", [("--quantum", "1us"), ("--seed", "3")])
def test_a_schedule_and_what_it_says_itself_contradict_each_other(firmware, tmp_path, other):
    schedule = tmp_path / "s.json"
    schedule.write_text(Schedule().to_json())
    pair = firmware("demo")
    done = run("run", "--schedule", schedule, *other, pair.main, pair.remote)
    assert (done.exit_code, "contradict each other" in done.stderr) == (2, True)
