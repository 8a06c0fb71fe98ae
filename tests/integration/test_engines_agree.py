"""One pair on two engines: the same recording and the same causes, whatever executed it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from test_variants import BAD, FAULTY, GOOD, HEALTHY, QEMU

from orchestrator.board import Board
from orchestrator.cli.record import run_to_rest
from orchestrator.config import DEFAULT_PLATFORM, Settings
from orchestrator.recording import Recording, first_difference

pytestmark = pytest.mark.xdist_group("remote")

QEMU_PLATFORM = "mps2_an521"
ENGINE = "unicorn-remote"  # Renode: test_renode_agrees.py


@functools.cache
def judged(main: Path, remote: Path, engine: str, platform: str = DEFAULT_PLATFORM) -> dict[str, object]:
    """What a run of this pair is said to be; not when anything happened."""
    with Board(platform, main=main, remote=remote, engine=engine) as board:
        end = board.run()
        verdict = board.verdict()
        return {
            "end": end.reason,
            "up": verdict.up,
            "exit code": verdict.exit_code,
            "causes": [(cause.finding.rule, cause.finding.subject) for cause in verdict.causes],
            "findings": sorted((each.rule, each.subject, each.expected) for each in verdict.findings),
            "no traffic": verdict.no_traffic,
            "vrings": len(board.vrings),
            "unmodelled": board.observer.run.unmodelled.total,
        }


@functools.cache
def recorded(main: Path, remote: Path, engine: str, platform: str = DEFAULT_PLATFORM) -> Recording:
    return run_to_rest(Settings(main=str(main), remote=str(remote), engine=engine, platform=platform))


@pytest.mark.parametrize("variant", [*HEALTHY, *FAULTY])
def test_a_pair_is_judged_alike_behind_the_protocol(pair, variant):
    images = pair(variant)
    assert judged(images.main, images.remote, ENGINE) == judged(images.main, images.remote, "unicorn")


@pytest.mark.parametrize("variant", [*HEALTHY, "align3", "used-align", "duplicate-notifyid"])
def test_a_pair_that_comes_to_rest_is_recorded_alike_behind_the_protocol(pair, variant):
    images = pair(variant)
    own, other = (recorded(images.main, images.remote, each) for each in ("unicorn", ENGINE))
    assert own.at_rest
    assert first_difference(own, other, ("unicorn", ENGINE)) is None


ON_QEMU = [variant for platform, variant in [*GOOD, *BAD] if platform == QEMU_PLATFORM]


@QEMU
@pytest.mark.parametrize("variant", ON_QEMU)
def test_a_pair_is_judged_alike_on_qemu(pair, variant):
    images = pair(variant, QEMU_PLATFORM)
    own, other = (judged(images.main, images.remote, each, QEMU_PLATFORM) for each in ("unicorn", "qemu"))
    assert other == own


@QEMU
@pytest.mark.parametrize("variant", ON_QEMU)
def test_a_pair_is_recorded_alike_on_qemu(pair, variant):
    images = pair(variant, QEMU_PLATFORM)
    own, other = (recorded(images.main, images.remote, each, QEMU_PLATFORM) for each in ("unicorn", "qemu"))
    assert own.at_rest == other.at_rest
    assert own.compared == other.compared
