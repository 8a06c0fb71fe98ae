"""`--coherence`: pairs whose main keeps shared memory in its data cache, with maintenance and without some of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from support.golden_texts import findings_as_text

from orchestrator.base.errors import CapabilityError, EngineError, UsageError
from orchestrator.board import Board

HEALTHY = ("cached", "demo", "two-vdevs", "static")


@dataclass(frozen=True)
class Unmaintained:
    """What is said of a pair by ``report``, what follows from it by ``real``, and words that name both accesses."""

    causes: set[str]
    words: tuple[str, ...]
    consequences: frozenset[str] = frozenset()
    real_causes: set[str] | None = None  # None: the same
    exit_code: int = 1


CACHED = {
    "cached-no-clean": Unmaintained(
        {"cache.write-stayed", "cache.invalidate-destroyed"},
        ("vdev[0].vring[0].avail.idx", "vq_driver_add", "vq_device_peek", "SCB_CleanDCache_by_Addr"),
        frozenset({"vdev.driver-ok-not-reached", "vring.unresolved"}),
        {"cache.invalidate-destroyed"},
    ),
    "cached-no-invalidate": Unmaintained(
        {"cache.stale-read"},
        ("vdev[0].vring[0].used.idx", "vq_driver_reclaim", "vq_device_return", "SCB_InvalidateDCache_by_Addr"),
        frozenset({"traffic.none"}),
    ),
    "cached-early": Unmaintained(
        {"cache.invalidated-early"},
        ("a buffer of vdev[0].vring[0]", "cache_invalidate", "rpmsg_write", "rpmsg_deliver"),
        exit_code=0,
    ),
    "cached-neighbour": Unmaintained(
        {"cache.invalidate-destroyed", "cache.write-back-overwrites"},
        (
            "carveout[0]+0x1ec",
            "a buffer of vdev[0].vring[0]",
            "cached_driver_reclaim",
            "give each side whole lines of 32 bytes",
        ),
    ),
    "cached-stale-code": Unmaintained(
        {"cache.stale-code"}, ("0x24000000", "executed by main", "cached_driver_init", "SCB_InvalidateICache()")
    ),
    "cached-shared-line": Unmaintained(
        {"cache.invalidate-destroyed"},
        ("vdev[0].vring[0].avail.idx", "vq_driver_add", "cache_invalidate", "vq_device_peek"),
        frozenset({"buffer.not-offered-again", "buffer.not-returned", "endpoint.silent"}),
    ),
}


def verdict_of(images, coherence, **options):
    with Board(main=images.main, remote=images.remote, coherence=coherence, **options) as board:
        board.run(timeout="300 ms")
        return board.verdict()


@pytest.mark.parametrize("coherence", ["report", "real"])
@pytest.mark.parametrize("variant", HEALTHY)
def test_a_pair_that_maintains_its_cache_or_has_none_on_shared_memory_is_silent(pair, variant, coherence):
    verdict = verdict_of(pair(variant), coherence)
    assert verdict.up
    assert verdict.findings == ()


@pytest.mark.parametrize("options", [{"quantum_ns": 1_000}, {"quantum_ns": 7_000}, {"seed": 5}, {"seed": 77}], ids=str)
@pytest.mark.parametrize("coherence", ["report", "real"])
def test_it_stays_silent_whatever_the_schedule(pair, coherence, options):
    verdict = verdict_of(pair("cached"), coherence, **options)
    assert verdict.up
    assert verdict.findings == ()


@pytest.mark.parametrize("variant", CACHED)
def test_each_fault_is_found_with_both_accesses(pair, variant, golden_texts):
    expected = CACHED[variant]
    verdict = verdict_of(pair(variant), "report")
    assert verdict.up  # memory stays coherent
    assert {cause.finding.rule for cause in verdict.causes} == expected.causes
    assert verdict.exit_code == expected.exit_code
    said = findings_as_text(verdict.findings)
    assert [word for word in expected.words if word not in said] == []
    golden_texts("coherence-report").compare(variant, said)


@pytest.mark.parametrize("variant", CACHED)
def test_on_what_the_core_really_sees_the_cause_is_named_before_what_follows(pair, variant, golden_texts):
    expected = CACHED[variant]
    verdict = verdict_of(pair(variant), "real")
    assert {cause.finding.rule for cause in verdict.causes} == (expected.real_causes or expected.causes)
    followed = {each.rule for cause in verdict.causes for each in cause.consequences}
    assert followed - {"cache.unmaintained"} == expected.consequences
    golden_texts("coherence-real").compare(variant, findings_as_text(verdict.findings))


@pytest.mark.parametrize("which", ["report", "real"])
def test_what_is_said_is_known_of_every_cached_pair(which, golden_texts):
    golden_texts(f"coherence-{which}").is_of(CACHED)


@pytest.mark.parametrize("variant", CACHED)
def test_without_the_option_memory_is_coherent_and_no_access_is_named(pair, variant):
    verdict = verdict_of(pair(variant), None)
    assert verdict.up
    assert {each.rule for each in verdict.findings} <= {"cache.unmaintained"}


def test_a_run_on_real_caches_repeats(pair, rptwin, tmp_path):
    images = pair("cached-shared-line")
    documents = []
    for name in ("first.json", "second.json"):
        options = ("--quiet", "--coherence", "real", "--seed", "3", "--timeout", "200 ms", "--json", tmp_path / name)
        assert rptwin("run", *options, images.main, images.remote).exit_code == 1
        document = json.loads((tmp_path / name).read_text().replace(name, "*.json"))
        document.pop("wall_clock")
        documents.append(document)
    assert documents[0] == documents[1]
    assert documents[0]["parameters"]["coherence"] == "real"


def test_a_run_goes_on_from_a_snapshot_as_it_did(pair):
    images = pair("cached-shared-line")
    with Board(main=images.main, remote=images.remote, coherence="real") as board:
        board.run_for("230 us")
        saved = board.snapshot()
        board.run_for("100 ms")
        first = findings_as_text(board.verdict().findings)
        board.restore(saved)
        board.run_for("100 ms")
        assert findings_as_text(board.verdict().findings) == first
    assert "cache.invalidate-destroyed" in first


def test_settings_of_a_file_turn_it_on(pair, rptwin, tmp_path):
    images = pair("cached-no-invalidate")
    (tmp_path / "rptwin.toml").write_text('coherence = "report"\n')
    result = rptwin("run", "--quiet", images.main, images.remote)
    assert "cache.stale-read" in result.stdout
    assert result.exit_code == 1


def test_another_word_is_refused(pair, rptwin):
    images = pair("cached")
    result = rptwin("run", "--coherence", "full", images.main, images.remote)
    assert result.exit_code == 2
    assert "coherence: bad value: expected report | real, found 'full'" in result.stderr
    with pytest.raises(UsageError, match="coherence"):
        Board(main=images.main, remote=images.remote, coherence="full")


@pytest.mark.parametrize("engine", ["renode", "qemu"])
def test_other_engines_refuse_it_by_name(pair, engine):
    images = pair("cached")
    with pytest.raises(CapabilityError, match=f"engine {engine}: no model of data caches"):
        Board(main=images.main, remote=images.remote, engine=engine, coherence="report")


def test_a_chip_without_a_data_cache_refuses_it(pair):
    images = pair("demo", "nrf5340")
    with pytest.raises(EngineError, match="no core of this chip has a data cache"):
        Board("nrf5340", main=images.main, remote=images.remote, coherence="report")
