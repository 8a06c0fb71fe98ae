"""`--fault`: what the healthy demo survives, what it does not and what is then said, on every board."""

from __future__ import annotations

import json

import pytest

from orchestrator.base.errors import CapabilityError, UsageError
from orchestrator.board import Board
from orchestrator.platform import load_platform

BOARDS = ("stm32h745", "nrf5340", "mps2_an521")
# What RPTUN promises to survive: its sides meet in memory, and a notification only says that it is worth looking.
SURVIVED = (
    "late:remote:1:1ms",
    "late:main:1:5ms",
    "late:main:3:200us",
    "doubled:remote:1:1us",
    "doubled:main:2:50us",
    "doubled:main:3:1ms",
    "hold:main:100us:5ms",
    "hold:remote:100us:5ms",
    "slow:main:10",
    "slow:remote:10",
)


def judged(images, platform, *faults, **options):
    with Board(platform, main=images.main, remote=images.remote, faults=faults, **options) as board:
        board.run(timeout="1 s")
        return board.verdict(), {name: console.output for name, console in board.consoles.items()}


@pytest.mark.parametrize("platform", BOARDS)
def test_the_healthy_demo_survives_what_comes_late_or_twice_or_slowly(pair, platform):
    images = pair("demo", platform)
    for fault in SURVIVED:
        verdict, consoles = judged(images, platform, fault)
        assert (fault, verdict.up, verdict.findings) == (fault, True, ())
        assert any(b"10 pings: 10 good, 0 bad, 0 lost" in said for said in consoles.values()), fault
        assert [each.fault for each in verdict.run.injected] == [] if fault.startswith("slow") else [fault]


@pytest.mark.parametrize("platform", BOARDS)
def test_a_reset_remote_is_set_up_anew_by_the_demo(pair, platform):
    verdict, consoles = judged(pair("demo", platform), platform, "reset:remote:20ms")
    assert verdict.up
    assert not verdict.findings
    assert any(said.count(b"10 pings: 10 good") == 2 for said in consoles.values())


@pytest.mark.parametrize("platform", BOARDS)
def test_a_reset_main_that_nobody_tells_the_remote_of_is_found(pair, platform):
    verdict, _ = judged(pair("demo", platform), platform, "reset:main:20ms")
    causes = {cause.finding.rule for cause in verdict.causes}
    assert "core.reset-unnoticed" in causes
    assert "the other core must be told of the reset, and write 0 to the vdev's status" in {
        each.advice for each in verdict.findings
    }
    assert verdict.exit_code == 1


@pytest.mark.parametrize("platform", BOARDS)
def test_a_lost_notification_that_nothing_follows_leaves_a_ring_unserved(pair, platform):
    """The first one to the remote says that the driver is ready: nobody rings again."""
    verdict, _ = judged(pair("demo", platform), platform, "lost:remote:1")
    assert verdict.exit_code == 1
    (injected,) = verdict.run.injected
    assert "notification 1 to" in injected.what
    assert "is lost" in injected.what
    core = load_platform(platform).core("remote").name
    assert core in injected.what


@pytest.mark.parametrize("platform", BOARDS)
def test_a_lost_notification_is_as_if_nobody_had_rung(pair, platform):
    """The demo pings again after a while: what was lost is seen then, and nothing of it is said twice."""
    verdict, _ = judged(pair("demo", platform), platform, "lost:remote:3")
    sent = sum(count for channel, count in verdict.run.ledger.sent.items() if channel.target == "remote")
    taken = sum(count for channel, count in verdict.run.ledger.taken.items() if channel.target == "remote")
    assert sent == taken + 1


def test_a_flipped_bit_of_the_table_is_found(pair):
    """Bit 0 of its version, before main has looked."""
    verdict, _ = judged(pair("demo"), "stm32h745", "flip:0x30040000.1:40us")
    assert verdict.exit_code == 1
    assert any(each.rule.startswith("table.") for each in verdict.findings)


def test_a_flipped_bit_of_a_ring_is_found_and_is_no_cores_doing(pair):
    """The address of a descriptor, after it has been made available."""
    with Board(main=pair("demo").main, remote=pair("demo").remote) as board:
        board.run()
        ring = board.vrings[0]
        at = ring.span.seen_by("main").start
    verdict, _ = judged(pair("demo"), "stm32h745", f"flip:{at + 3:#x}.6:185us")
    assert verdict.exit_code == 1
    assert "writer" not in "".join(each.rule for each in verdict.findings)


def test_the_same_seed_draws_the_same_fault_and_the_run_repeats(pair, rptwin, tmp_path):
    images, texts = pair("demo"), []
    for name in "ab":
        file = tmp_path / f"{name}.json"
        rptwin("run", "-q", images.main, images.remote, "--fault", "any", "--fault-seed", 5, "--json", file)
        texts.append(json.loads(file.read_text()) | {"wall_clock": None})
    assert texts[0] == texts[1]
    (fault,) = texts[0]["parameters"]["faults"]
    again = tmp_path / "exact.json"
    rptwin("run", "-q", images.main, images.remote, "--fault", fault, "--json", again)
    assert json.loads(again.read_text())["verdict"] == texts[0]["verdict"]


def test_what_happened_stands_under_the_verdict_and_in_json(pair, rptwin, tmp_path):
    images, file = pair("demo"), tmp_path / "r.json"
    result = rptwin(
        "run", images.main, images.remote, "--fault", "lost:main:3", "--fault", "reset:remote:900s", "--json", file,
        "--timeout", "200 ms",
    )  # fmt: skip
    assert "ms: notification 3 to cpu_cm7 (hsem channel 1) is lost (lost:main:3)" in result.stdout
    assert "never came to it: reset:remote:900s" in result.stdout
    report = json.loads(file.read_text())
    assert [each["fault"] for each in report["verdict"]["injected"]] == ["lost:main:3"]
    assert report["parameters"]["faults"] == ["lost:main:3", "reset:remote:900s"]


def test_what_is_to_come_later_is_waited_for(pair):
    verdict, _ = judged(pair("demo"), "stm32h745", "reset:remote:300ms")
    assert [each.time_ns for each in verdict.run.injected] == [300_000_000]
    assert verdict.time_ns > 300_000_000


def test_a_board_goes_on_from_a_snapshot_as_it_would_have(pair):
    images, faults = pair("demo"), ("late:main:4:1ms", "lost:remote:6")
    with Board(main=images.main, remote=images.remote, faults=faults) as board:
        board.run_for("250 us")
        taken = board.snapshot()
        ends = []
        for _ in range(2):
            board.run(timeout="100 ms")
            ends.append((board.verdict().to_json(), board.consoles["main"].output))
            board.restore(taken)
    assert ends[0] == ends[1]
    assert len(ends[0][0]["injected"]) == 2


def test_other_engines_refuse_by_name(pair):
    images = pair("demo")
    with pytest.raises(CapabilityError, match="engine unicorn-remote: injects no faults"):
        judged(images, "stm32h745", "slow:main:2", engine="unicorn-remote")


def test_what_this_board_does_not_have_is_refused(pair):
    images = pair("demo")
    with pytest.raises(UsageError, match="no memory here"):
        judged(images, "stm32h745", "flip:0xc0000000.0:1ms")
    with pytest.raises(UsageError, match="Python plays this core"):
        Board(remote=images.remote, faults=("reset:main:1ms",))
