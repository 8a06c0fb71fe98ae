"""A core that Python plays, on a real Renode: what comes of it is what comes of it on Unicorn."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.board import Board
from orchestrator.engines.renode.discovery import discover

pytestmark = [pytest.mark.renode, pytest.mark.xdist_group("renode")]


@pytest.fixture(autouse=True, scope="module")
def a_renode() -> None:
    try:
        discover()
    except EngineError as missing:
        pytest.skip(str(missing))


def outcome(board: Board) -> dict[str, object]:
    """What may not depend on the engine."""
    verdict = board.verdict()
    return {
        "up": verdict.up,
        "findings": [finding.rule for finding in verdict.findings],
        "messages": [(each.sender, each.src, each.dst, each.length) for each in board.messages],
        "consoles": {name: bytes(console.output) for name, console in board.consoles.items()},
    }


@pytest.mark.parametrize("platform", ["stm32h745", "nrf5340", "mps2_an521"])
def test_a_lone_remote_is_brought_up_talked_to_and_restarted(firmware: Callable[..., object], platform: str) -> None:
    def talk(engine: str) -> dict[str, object]:
        notify = {"mhu0": 0} if platform == "mps2_an521" else {}  # this mailbox does not show who listens
        with Board(platform, remote=firmware("demo", platform).remote, engine=engine, notify=notify) as board:
            board.host.start()
            endpoint = board.host.endpoint("rptwin-echo")
            answers = []
            for size in (1, 64, 496):
                endpoint.send(bytes(size))
                answers.append(endpoint.receive())
            board.host.restart()
            again = board.host.endpoint("rptwin-echo")
            again.send(b"again")
            return {"answers": answers, "again": again.receive(), **outcome(board)}

    assert talk("renode") == talk("unicorn")


def test_a_lone_main_finds_a_remote_in_python(firmware: Callable[..., object]) -> None:
    def run(engine: str) -> dict[str, object]:
        with Board(main=firmware("demo").main, table="remote:0x10040000", engine=engine) as board:
            return {"end": board.run().reason, **outcome(board)}

    assert run("renode") == run("unicorn")


def test_a_remote_that_was_rung_when_it_died_hears_of_it_when_it_lives_again(firmware: Callable[..., object]) -> None:
    """The mailbox's line stays high over the reset of its core, which says nothing of it a second time."""
    with Board(remote=firmware("demo").remote, engine="renode") as board:
        board.host.start()
        board.host.crash()
        board.host.recover()
        endpoint = board.host.endpoint("rptwin-echo")
        endpoint.send(b"back")
        assert endpoint.receive() == b"back"
