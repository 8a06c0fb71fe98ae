"""Python plays one core, this project's firmware the other: the same bring-up as of the pair, and the same verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Pair

from orchestrator.base.errors import CapabilityError, HostError, RptwinError, UsageError
from orchestrator.board import Board
from orchestrator.config import DEFAULT_PLATFORM
from orchestrator.engines.registry import create_engine
from orchestrator.events import Event
from orchestrator.formats.resource_entry import CommandCode
from orchestrator.host import HostState
from orchestrator.platform import load_platform

ROOT = Path(__file__).resolve().parents[2]

TABLE = "remote:0x10040000"
AN521 = "mps2_an521"

Pairs = Callable[[str], Pair]


@pytest.mark.parametrize("variant", ["demo", "static", "two-vdevs", "silent", "sram", "other"])
def test_a_lone_remote_comes_up_under_the_host_and_nothing_is_found(pair: Pairs, variant: str) -> None:
    with Board(remote=pair(variant).remote) as board:
        board.run()
        verdict = board.verdict()
        assert (verdict.up, [str(each) for each in verdict.findings if each.is_cause]) == (True, [])
        endpoint = board.host.endpoint(board.host.names[0])
        endpoint.send(b"hello")
        assert endpoint.receive() == b"hello"


def test_another_chips_mailbox_is_worked_as_its_platform_says(firmware: Callable[..., Pair]) -> None:
    pair = firmware("demo", "nrf5340")
    with Board("nrf5340", remote=pair.remote) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        endpoint.send(b"over the IPC")
        assert endpoint.receive() == b"over the IPC"
        board.run()
        assert board.verdict().exit_code == 0


def test_a_mailbox_without_enables_is_rung_on_the_channel_that_is_given(firmware: Callable[..., Pair]) -> None:
    pair = firmware("demo", AN521)
    with Board(AN521, remote=pair.remote, notify={"mhu0": 0}) as board:
        for round_ in (b"over the MHU", b"again"):
            endpoint = board.host.endpoint("rptwin-echo")
            endpoint.send(round_)
            assert endpoint.receive() == round_
            board.host.restart()
        board.run()
        assert board.verdict().exit_code == 0
    with Board(AN521, main=pair.main, table="remote:0x28200000", notify={"mhu0": 1}) as board:
        board.run()
        assert (board.verdict().exit_code, board.python_remote.is_up) == (0, True)
        assert b"10 pings: 10 good, 0 bad, 0 lost" in board.consoles["main"].output


def test_what_firmware_rings_on_one_mailbox_is_heard_though_python_rings_another(pair: Pairs) -> None:
    """The variant's remote listens to MHU1 and rings MHU0."""
    with Board(AN521, remote=pair("other", AN521).remote, notify={"mhu1": 0}) as board:
        endpoint = board.host.endpoint("loopback-a")
        endpoint.send(b"both")
        assert endpoint.receive() == b"both"
        board.run()
        assert board.verdict().exit_code == 0
        channels = board.verdict().to_json()["notifications"]["channels"]
        assert {(each["target"], each["mailbox"], each["channel"]) for each in channels} == {
            ("main", "mhu0", 1),
            ("remote", "mhu1", 0),
        }


def test_a_channel_that_the_firmware_never_clears_is_a_finding_and_the_end_of_what_waits(
    firmware: Callable[..., Pair],
) -> None:
    remote = firmware("demo", AN521).remote
    with Board(AN521, remote=remote, notify={"mhu0": 1}) as board:
        board.run()
        (cause,) = (each for each in board.verdict().findings if each.is_cause)
        assert cause.rule == "notification.not-cleared"
        assert cause.advice == "clear what is pending: main rings another channel, or the handler clears none"
    with (
        Board(AN521, remote=remote, notify={"vdev[0].vring[0]": 3}) as board,
        pytest.raises(HostError, match="cpu1: the run leads nowhere: a core takes one notification again and again"),
    ):
        board.host.endpoint("rptwin-echo")


def test_a_lone_main_comes_up_with_the_python_remote(pair: Pairs) -> None:
    with Board(main=pair("demo").main, table=TABLE) as board:
        board.run()
        assert (board.verdict().exit_code, board.python_remote.is_up) == (0, True)
        assert b"10 pings: 10 good, 0 bad, 0 lost" in board.consoles["main"].output


def test_main_bound_to_nothing_gets_an_endpoint_of_the_python_remote(pair: Pairs) -> None:
    with Board(main=pair("demo").main, table=TABLE) as board:
        echo = board.python_remote.endpoint("rptwin-echo")
        board.run()
        assert echo.received == 10


@pytest.mark.parametrize("profile", ["linux", "openamp", "nuttx"])
def test_every_profile_brings_it_up_with_a_status_of_its_own(pair: Pairs, profile: str) -> None:
    with Board(remote=pair("demo").remote, profile=profile) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        endpoint.send(b"x")
        assert endpoint.receive() == b"x"
        assert board.vrings[0].entry.notifyid == 0
        assert board.live.vdevs[0].status == {"linux": 7, "openamp": 4, "nuttx": 7}[profile]


@pytest.mark.parametrize("variant", ["demo", "static"])
@pytest.mark.parametrize("profile", ["linux", "openamp", "nuttx"])
def test_a_stop_by_the_host_is_no_fault_under_any_profile(pair: Pairs, profile: str, variant: str) -> None:
    """Wherever the host has placed what it took back, and whatever words of the table the remote uses."""
    with Board(remote=pair(variant).remote, profile=profile) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        endpoint.send(b"x")
        assert endpoint.receive() == b"x"
        board.host.stop()
        board.run(timeout="20 ms")
        verdict = board.verdict()
        assert (verdict.exit_code, verdict.findings) == (0, ())
        assert verdict.headline == "RPTUN was up and was stopped"
        assert board.host.leaks == ()


def test_more_messages_than_buffers_wait_and_all_arrive_in_order(pair: Pairs) -> None:
    with Board(remote=pair("demo").remote) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        sent = [bytes([i]) * (1 + i) for i in range(60)]
        for each in sent:
            endpoint.send(each)
        assert [endpoint.receive() for _ in sent] == sent
        assert board.host.links[0].exhausted > 0
        assert board.host.links[0].queued == 0


def test_stop_start_and_restart_leave_nothing_allocated(pair: Pairs) -> None:
    with Board(remote=pair("two-vdevs").remote) as board:
        host = board.host
        host.start()
        for _ in range(5):
            for name in ("rptwin-echo", "rptwin-echo-b"):
                endpoint = host.endpoint(name)
                endpoint.send(b"again")
                assert endpoint.receive() == b"again"
            host.stop()
            assert (host.state, host.leaks) == (HostState.OFFLINE, ())
            host.start()
        assert host.starts == 6
        board.run()
        assert board.verdict().exit_code == 0


@pytest.mark.parametrize("profile", ["auto", "nuttx"])
def test_a_stop_in_order_is_no_fault(pair: Pairs, profile: str) -> None:
    with Board(remote=pair("demo").remote, profile=profile) as board:
        board.run()
        board.host.stop()
        verdict = board.verdict()
        assert (verdict.headline, verdict.exit_code) == ("RPTUN was up and was stopped", 0)
        assert (verdict.up, verdict.stopped, verdict.findings) == (False, True, ())
        board.run(timeout="100 ms")
        assert board.verdict().exit_code == 0


def test_the_first_example_of_the_page_works_as_it_stands(pair: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "playing-a-core.md").read_text()
    monkeypatch.chdir(pair("demo").remote.parent)
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], {})


def test_the_remote_acknowledges_the_stop_command(pair: Pairs) -> None:
    with Board(remote=pair("demo").remote) as board:
        board.host.start()
        board.host.command(CommandCode.STOP)
        board.run_for("1 ms")
        assert str(board.host.commands[0]) == "ACK"
        assert "stopped by main" in board.host.trace()


def test_a_crashed_remote_is_recovered(pair: Pairs) -> None:
    with Board(remote=pair("demo").remote) as board:
        board.host.start()
        board.host.crash()
        assert board.host.state is HostState.CRASHED
        with pytest.raises(UsageError, match="not up"):
            board.host.announce("x")
        board.host.recover()
        endpoint = board.host.endpoint("rptwin-echo")
        endpoint.send(b"back")
        assert endpoint.receive() == b"back"
        board.host.stop()
        assert board.host.leaks == ()


def test_a_lockup_of_the_remote_is_a_crash(pair: Pairs) -> None:
    with Board(remote=pair("demo").remote, vtor={"remote": 0x1000_0000}) as board:  # zeros: no code to start
        with pytest.raises(HostError, match="found crashed"):
            board.host.start("100 ms")
        assert board.host.state is HostState.CRASHED
        assert "core.lockup" in [each.rule for each in board.findings]


def test_a_table_that_never_appears_is_an_error_that_says_where_it_should_be(pair: Pairs) -> None:
    with (
        Board(remote=pair("no-copy").remote) as board,
        pytest.raises(RptwinError, match=r"cpu_cm7 at 0x30040000.*not a resource table"),
    ):
        board.host.start()


def test_what_the_host_cannot_start_is_an_error_with_the_reason(pair: Pairs) -> None:
    with Board(remote=pair("align3").remote) as board:
        with pytest.raises(RptwinError, match="power of two, found 3"):
            board.host.start()
        assert board.host.state is HostState.FAILED
        assert board.verdict().exit_code == 1


def test_a_name_that_nobody_announces_is_an_error_that_lists_those_there_are(pair: Pairs) -> None:
    with (
        Board(remote=pair("demo").remote) as board,
        pytest.raises(HostError, match=r"'nothing'.*expected 'rptwin-echo'"),
    ):
        board.host.endpoint("nothing", timeout="10 ms")


def test_a_message_longer_than_a_buffer_is_refused(pair: Pairs) -> None:
    with Board(remote=pair("demo").remote) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        endpoint.send(bytes(496))
        assert endpoint.receive() == bytes(496)
        with pytest.raises(UsageError, match="at most 496 bytes"):
            endpoint.send(bytes(497))


def test_silence_is_an_error_after_virtual_time(pair: Pairs) -> None:
    with Board(remote=pair("demo").remote) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        before = board.time_ns
        with pytest.raises(HostError, match="no message came"):
            endpoint.receive(timeout="10 ms")
        assert board.time_ns - before == 10_000_000


def test_two_runs_are_the_same_event_by_event(pair: Pairs) -> None:
    def events() -> list[str]:
        seen: list[str] = []

        def note(event: Event) -> None:
            seen.append(str(event.to_json()))

        with Board(remote=pair("demo").remote) as board:
            board.subscribe(note)
            endpoint = board.host.endpoint("rptwin-echo")
            for i in range(20):
                endpoint.send(bytes(i))
                endpoint.receive()
            board.run()
        return seen

    assert events() == events()


def test_a_python_core_needs_an_engine_that_plays_and_a_place_for_its_table(pair: Pairs) -> None:
    platform = load_platform(DEFAULT_PLATFORM)
    lacking = create_engine("unicorn", platform)
    lacking.capabilities = frozenset()
    with pytest.raises(CapabilityError, match="engine unicorn: no firmware for main, and no core played in Python"):
        Board(platform, remote=pair("demo").remote, engine=lacking)
    with pytest.raises(UsageError, match="remote:0xADDRESS"):
        Board(main=pair("demo").main)
    with pytest.raises(UsageError, match="neither"):
        Board()
    with pytest.raises(
        UsageError, match=r"neither a queue nor a mailbox: expected vdev\[0\].vring\[1\] \| hsem, found hsme"
    ):
        Board(remote=pair("demo").remote, notify={"hsme": 0})
    with Board(remote=pair("demo").remote) as board:
        with pytest.raises(UsageError, match="snapshot"):
            board.snapshot()
        with pytest.raises(UsageError, match="firmware of its own"):
            _ = board.python_remote
