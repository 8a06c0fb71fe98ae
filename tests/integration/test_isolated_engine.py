"""The Unicorn engine behind the protocol, on real firmware: the same verdicts; and a child that dies in mid-run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from orchestrator.board import Board, EndReason
from orchestrator.cli import main
from orchestrator.config import DEFAULT_PLATFORM
from orchestrator.engines.common.child import EngineDiedError
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.isolated.engine import IsolatedEngine, IsolatedUnicorn
from orchestrator.platform import load_platform

pytestmark = pytest.mark.xdist_group("remote")


def seen(pair: object, engine: str, platform: str = DEFAULT_PLATFORM) -> dict[str, object]:
    """All that a report is made of."""
    events = []
    with Board(platform, main=pair.main, remote=pair.remote, engine=engine) as board:
        board.subscribe(events.append)
        end = board.run(timeout="300 ms")
        return {
            "end": end,
            "verdict": board.verdict().to_json(),
            "consoles": {name: bytes(console.output) for name, console in board.consoles.items()},
            "events": events,
            "registers": [board.engine.registers(core.name) for core in board.platform.cores],
            "backtraces": [board.engine.backtrace(core.name) for core in board.platform.cores],
            "waiting": [board.engine.waiting(core.name) for core in board.platform.cores],
            "instructions": [board.engine.instructions(core.name) for core in board.platform.cores],
        }


@pytest.mark.parametrize("variant", ["demo", "crash-main", "leak", "lockup", "wrong-channel", "two-vdevs"])
def test_everything_that_is_seen_through_the_protocol_is_what_the_engine_shows(
    firmware: Callable[[str], object], variant: str
) -> None:
    pair = firmware(variant)
    assert seen(pair, "unicorn-remote") == seen(pair, "unicorn")


@pytest.mark.parametrize("variant", ["demo", "crash-remote", "wrong-channel", "stuck-lock"])
def test_another_chip_is_the_same_through_the_protocol_too(firmware: Callable[..., object], variant: str) -> None:
    pair = firmware(variant, "nrf5340")
    assert seen(pair, "unicorn-remote", "nrf5340") == seen(pair, "unicorn", "nrf5340")


def test_a_remote_that_python_brings_up_is_the_same_through_the_protocol(firmware: Callable[[str], object]) -> None:
    def talk(engine: str) -> dict[str, object]:
        with Board(remote=firmware("demo").remote, engine=engine) as board:
            events = []
            board.subscribe(events.append)
            board.host.start()
            endpoint = board.host.endpoint("rptwin-echo")
            endpoint.send(b"hello")
            answer = endpoint.receive()
            board.host.restart()
            return {"answer": answer, "events": events, "verdict": board.verdict().to_json(), "time": board.time_ns}

    assert talk("unicorn-remote") == talk("unicorn")


def test_a_main_whose_remote_is_python_is_the_same_through_the_protocol(firmware: Callable[[str], object]) -> None:
    def run(engine: str) -> dict[str, object]:
        with Board(main=firmware("demo").main, table="remote:0x10040000", engine=engine) as board:
            events = []
            board.subscribe(events.append)
            end = board.run()
            return {"end": end, "events": events, "verdict": board.verdict().to_json()}

    assert run("unicorn-remote") == run("unicorn")


def test_a_player_that_fails_ends_the_run_with_its_error(firmware: Callable[[str], object]) -> None:
    class Clumsy:
        def turn(self, time_ns: int) -> int | None:
            raise ZeroDivisionError

        def reset(self) -> None:
            pass

    engine = IsolatedUnicorn(load_platform(DEFAULT_PLATFORM), EngineOptions())
    engine.play("cpu_cm7", Clumsy())
    with pytest.raises(ZeroDivisionError):
        engine.run(1_000_000)
    assert engine.run(0).time_ns == engine.time_ns  # the conversation goes on
    engine.close()


def test_a_snapshot_goes_back_to_the_same_board(firmware: Callable[[str], object]) -> None:
    pair = firmware("demo")
    with Board(main=pair.main, remote=pair.remote, engine="unicorn-remote") as board:
        board.run()
        snapshot = board.snapshot()
        before = board.verdict().to_json()
        outputs = {name: bytes(console.output) for name, console in board.consoles.items()}
        board.consoles["main"].write(b"ping 3 64\n")
        board.run_for("20 ms")
        assert {name: console.output for name, console in board.consoles.items()} != outputs
        board.restore(snapshot)
        assert {name: console.output for name, console in board.consoles.items()} == outputs
        board.observer.finish(board.time_ns, EndReason.QUIET.value)
        after = board.verdict().to_json()
    differing = [key for key in before if before[key] != after[key] and key not in ("cores",)]
    assert differing == []


def test_what_was_gathered_before_the_engine_died_is_still_reported(firmware: Callable[[str], object]) -> None:
    pair = firmware("demo")
    with Board(main=pair.main, remote=pair.remote, engine="unicorn-remote") as board:
        board.run()
        messages, findings = len(board.messages), board.findings
        assert isinstance(board.engine, IsolatedEngine)
        os.kill(board.engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDiedError, match="was killed by SIGKILL"):
            board.run_for("1 s")
        assert board.end is not None
        assert board.end.reason is EndReason.FAILED
        assert len(board.messages) == messages > 0
        assert board.is_up()
        assert board.findings == findings
        assert board.consoles["main"].output


def test_the_command_line_reports_and_exits_with_2_when_the_engine_dies(
    firmware: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = firmware("demo")
    run = IsolatedEngine.run

    def run_and_die(engine: IsolatedEngine, timeout_ns: int, until: object = None) -> object:
        if engine.time_ns >= 10_000_000:
            os.kill(engine.pid, signal.SIGKILL)
        return run(engine, timeout_ns, until)

    monkeypatch.setattr(IsolatedEngine, "run", run_and_die)
    result = CliRunner().invoke(main, ["run", "--engine", "unicorn-remote", str(pair.main), str(pair.remote)])
    assert result.exit_code == 2
    assert "engine unicorn-remote (process" in result.stderr
    assert "was killed by SIGKILL" in result.stderr
    assert "Traceback" not in result.output
    assert "traffic 0.2" in result.stdout  # the report on what was seen


def test_ctrl_c_ends_a_run_and_the_board_can_be_looked_at(firmware: Callable[[str], object]) -> None:
    pair = firmware("demo")
    with Board(main=pair.main, remote=pair.remote, engine="unicorn-remote") as board:
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            board.run(until=lambda _: False, timeout="1000 min")
        assert board.end is not None
        assert board.end.reason is EndReason.INTERRUPTED
        assert board.engine.registers("cpu_cm7")["PC"]
