"""Every pair of images that `firmware/` builds, booted, against the verdict that a reviewer would give."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.golden_texts import findings_as_text

from orchestrator.board import Board, EndReason

FIRMWARE = Path(__file__).parents[2] / "firmware"

QEMU = pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
CACHED = {  # what is done about the data cache shows with `--coherence`: test_coherence.py
    "stm32h745": (
        "cached",
        "cached-no-clean",
        "cached-no-invalidate",
        "cached-early",
        "cached-neighbour",
        "cached-shared-line",
        "cached-stale-code",
    )
}
OUTSIDE = ("net", "block")  # a device of theirs is another process: test_vhost_user.py
HEALTHY = ("demo", "static", "two-vdevs", "silent", "sram", "other")


@dataclass(frozen=True)
class Faulty:
    """What is said of a pair with broken lines: each line is one cause."""

    causes: set[str]
    up: bool = False  # RPTUN came up all the same
    static: set[str] | None = None  # what shows in the remote's image already (None: nothing)


FAULTY = {
    "no-rings": Faulty({"vring.unresolved"}),
    "align3": Faulty({"vring.align-not-power-of-two"}, up=True, static={"vring.align-not-power-of-two"}),
    "num6": Faulty({"vring.num-not-power-of-two"}, static={"vring.num-not-power-of-two"}),
    "past-carveout": Faulty({"vring.outside-carveout"}, up=True),
    "used-align": Faulty({"ring.layout-disagreement"}, up=True),
    "wrong-channel": Faulty({"notification.missing"}, up=True),
    "no-copy": Faulty({"table.not-copied"}),
    "duplicate-notifyid": Faulty({"vring.notifyid-not-unique"}, up=True, static={"vring.notifyid-not-unique"}),
    "no-driver-ok": Faulty({"vdev.driver-ok-not-reached"}),
    "leak": Faulty({"buffer.not-returned"}, up=True),
    "bad-desc": Faulty({"buffer.untranslated"}, up=True),
    "dtcm-desc": Faulty({"buffer.unreachable-by-device"}, up=True),
    "crash-main": Faulty({"core.fault"}),
    "crash-remote": Faulty({"core.fault"}),
    "lockup": Faulty({"core.fault"}),
    "dead-remote": Faulty({"core.silent"}),
    "stuck-lock": Faulty({"core.stuck"}),
    "bad-stack": Faulty({"vector.stack-outside-memory"}),
    "even-reset": Faulty({"vector.reset-even"}, static={"vector.reset-even"}),
    "align3-wrong-channel": Faulty(
        {"vring.align-not-power-of-two", "notification.missing"}, up=True, static={"vring.align-not-power-of-two"}
    ),
    "duplicate-notifyid-past-carveout": Faulty(
        {"vring.notifyid-not-unique", "vring.outside-carveout"}, up=True, static={"vring.notifyid-not-unique"}
    ),
}


# What means nothing on a chip: where shared memory has one address, there is nothing to translate; where each core sees
# every memory, none is out of reach; where doorbells have no lock, none can be stuck.
MEANINGLESS = {"stm32h745": (), "nrf5340": ("bad-desc",), "mps2_an521": ("dtcm-desc", "stuck-lock")}
# Its channels have interrupts of their own: the one that main rings by mistake interrupts, and nobody has enabled it.
NOT_TAKEN = ("mps2_an521", {"wrong-channel", "align3-wrong-channel"})
GOOD = [(platform, variant) for platform in MEANINGLESS for variant in HEALTHY]
BAD = [
    (platform, variant) for platform, left_out in MEANINGLESS.items() for variant in FAULTY if variant not in left_out
]


def expected_causes(variant, platform):
    """What a reviewer would say of a pair on a chip."""
    causes = FAULTY[variant].causes if variant in FAULTY else set()
    if platform == NOT_TAKEN[0] and variant in NOT_TAKEN[1]:
        return causes - {"notification.missing"} | {"notification.not-taken"}
    return causes


@pytest.mark.parametrize("platform", MEANINGLESS)
def test_every_variant_that_is_built_has_an_expected_verdict(platform):
    command = ["make", "-s", "--no-print-directory", f"PYTHON={sys.executable}", f"BOARD={platform}", "variants"]
    done = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=True)
    judged = {variant for each, variant in (*GOOD, *BAD) if each == platform}
    assert set(done.stdout.split()) == judged | set(OUTSIDE) | set(CACHED.get(platform, ()))


@pytest.mark.parametrize(("platform", "variant"), GOOD)
def test_a_healthy_pair_comes_up_and_nothing_is_found(pair, platform, variant):
    images = pair(variant, platform)
    with Board(main=images.main, remote=images.remote, platform=platform) as board:
        end = board.run()
        verdict = board.verdict()
        rings = board.vrings
    assert verdict.exit_code == 0
    assert verdict.up
    assert verdict.findings == ()
    assert board.observer.run.unmodelled.total == 0
    assert verdict.no_traffic == ()
    assert end.reason is EndReason.QUIET
    assert len(rings) == (4 if variant == "two-vdevs" else 2)


@pytest.mark.parametrize(("platform", "variant"), BAD)
def test_each_broken_line_is_one_cause(pair, platform, variant, golden_texts):
    """And every word about it is the one that was said before."""
    expected, images = FAULTY[variant], pair(variant, platform)
    with Board(main=images.main, remote=images.remote, platform=platform) as board:
        board.run()
        verdict = board.verdict()
    causes = [cause.finding for cause in verdict.causes]
    assert {finding.rule for finding in causes} == expected_causes(variant, platform)
    assert len(causes) == len(expected.causes)
    assert all(finding.at and finding.expected and finding.actual and finding.advice for finding in causes)
    assert verdict.exit_code == 1
    assert verdict.up == expected.up
    golden_texts(f"variants-{platform}").compare(variant, findings_as_text(verdict.findings))


@pytest.mark.parametrize("platform", MEANINGLESS)
def test_what_is_said_is_known_of_every_broken_pair(platform, golden_texts):
    golden_texts(f"variants-{platform}").is_of(variant for each, variant in BAD if each == platform)


@pytest.mark.parametrize(("platform", "variant"), [*GOOD, *BAD])
def test_inspect_says_what_the_image_of_the_remote_promises(pair, rptwin, tmp_path, platform, variant):
    expected = FAULTY[variant].static if variant in FAULTY else None
    image = pair(variant, platform).remote
    result = rptwin("inspect", image, "--platform", platform, "--json", tmp_path / "out.json")
    findings = json.loads((tmp_path / "out.json").read_text())["findings"]
    assert {finding["rule"] for finding in findings} == (expected or set())
    assert result.exit_code == (1 if expected else 0)
    assert "vdev[0]" in result.stdout
    assert "Memory that the table names" in result.stdout


def test_inspect_says_that_the_main_of_a_pair_has_a_stack_nowhere(pair, rptwin):
    result = rptwin("inspect", pair("bad-stack").main)
    assert result.exit_code == 1
    assert "vector.stack-outside-memory" in result.stdout
    assert "0x70000000" in result.stdout


@pytest.mark.parametrize(
    ("platform", "engine", "variant"),
    [
        *(
            (platform, "unicorn", each)
            for platform in MEANINGLESS
            for each in ("demo", "two-vdevs", "used-align", "lockup")
        ),
        *(pytest.param("mps2_an521", "qemu", each, marks=QEMU) for each in ("used-align", "lockup")),
    ],
)
def test_two_runs_give_the_same_json_apart_from_the_wall_clock(pair, rptwin, tmp_path, platform, engine, variant):
    images = pair(variant, platform)
    documents = []
    for name in ("first.json", "second.json"):
        options = ("--quiet", "--platform", platform, "--engine", engine, "--json", tmp_path / name)
        rptwin("run", *options, images.main, images.remote)
        document = json.loads((tmp_path / name).read_text().replace(name, "*.json"))
        assert set(document.pop("wall_clock")) == {"started", "seconds"}
        documents.append(document)
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    ("platform", "variant", "options"),
    [
        (platform, variant, options)
        for platform, left_out in MEANINGLESS.items()
        for variant in ("demo", "static", "align3", "used-align", "wrong-channel", "crash-remote", "stuck-lock")
        if variant not in left_out
        for options in (
            {"quantum_ns": 1_000},
            {"quantum_ns": 7_000},
            {"quantum_ns": 300_000},
            {"seed": 1},
            {"seed": 20, "quantum_ns": 50_000},
        )
    ],
    ids=str,
)
def test_quantum_and_seed_change_the_timing_and_not_the_verdict(pair, variant, options, platform):
    images = pair(variant, platform)
    with Board(main=images.main, remote=images.remote, platform=platform, **options) as board:
        board.run(timeout="400 ms")
        verdict = board.verdict()
    assert {cause.finding.rule for cause in verdict.causes} == expected_causes(variant, platform)
    assert verdict.up == (FAULTY[variant].up if variant in FAULTY else True)


@QEMU
@pytest.mark.parametrize("quantum_ns", [7_000, 300_000])
@pytest.mark.parametrize("variant", ["used-align", "wrong-channel", "crash-remote"])
def test_the_quantum_does_not_change_the_verdict_on_qemu(pair, variant, quantum_ns):
    images = pair(variant, "mps2_an521")
    with Board("mps2_an521", main=images.main, remote=images.remote, engine="qemu", quantum_ns=quantum_ns) as board:
        board.run(timeout="400 ms")
        verdict = board.verdict()
    assert {cause.finding.rule for cause in verdict.causes} == expected_causes(variant, "mps2_an521")
    assert verdict.up == FAULTY[variant].up


@pytest.mark.parametrize("platform", MEANINGLESS)
def test_a_seed_moves_the_start_of_the_cores(pair, platform):
    images = pair("demo", platform)
    moments = set()
    for seed in range(4):
        with Board(main=images.main, remote=images.remote, platform=platform, seed=seed) as board:
            moments.add(board.run().time_ns)
    assert len(moments) == 4


@pytest.mark.parametrize(
    ("platform", "engine"),
    [*((platform, "unicorn") for platform in MEANINGLESS), pytest.param("mps2_an521", "qemu", marks=QEMU)],
)
def test_printing_has_no_part_in_the_verdict(pair, platform, engine):
    """The silent pair says nothing and is up; the one without rings says all the right lines and is not."""
    texts = {}
    for variant in ("demo", "silent", "no-rings"):
        images = pair(variant, platform)
        with Board(main=images.main, remote=images.remote, platform=platform, engine=engine) as board:
            board.run()
            texts[variant] = board.consoles["main"].output, board.verdict().up
    assert texts["silent"] == (b"", True)
    assert texts["no-rings"][1] is False
    for line in (b"resource table at", b"DRIVER_OK"):
        assert line in texts["demo"][0]
        assert line in texts["no-rings"][0]
