"""A vdev on which nothing moves: an error where firmware could have begun, a remark where nobody was to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import REMOTE, Bench, Script, causes, default_entries, message, rules, run
from orchestrator.checks.finding import Severity
from orchestrator.formats.resource_entry import Carveout, Profile, Vdev


def quiet(**changes: object) -> Script:
    """Comes up without a name service, and nobody says anything."""
    entries = [
        replace(each, head=replace(each.head, **{"dfeatures": 4, **changes})) if isinstance(each, Vdev) else each
        for each in default_entries()
    ]
    return Script(entries=entries, announcement=b"", pings=0)


@pytest.mark.usefixtures("driver")
def test_nothing_between_two_firmwares_is_an_error() -> None:
    assert causes(Bench(quiet()).run()) == ["traffic.none"]


def test_nothing_where_python_drives_is_a_remark(driver: str) -> None:
    bench = Bench(quiet())
    images = bench.observer.images
    bench.observer.images = {role: image for role, image in images.items() if role != driver}
    verdict = bench.run()
    assert verdict.exit_code == 0
    assert {each.severity for each in verdict.findings if each.rule == "traffic.none"} == {Severity.NOTE}
    assert "nothing went through vdev[0]" in verdict.headline


@pytest.mark.usefixtures("driver")
def test_a_console_on_which_nobody_types_is_a_remark() -> None:
    verdict = Bench(quiet(id=3)).run()
    assert (verdict.exit_code, set(rules(verdict.findings))) == (0, {"traffic.none"})


@pytest.mark.usefixtures("driver")
def test_a_dead_vdev_beside_a_busy_one_is_an_error() -> None:
    """The board never rests; the vdev does."""
    entries = default_entries(2)
    dead = next(each for each in entries if isinstance(each, Vdev))
    entries[entries.index(dead)] = replace(dead, head=replace(dead.head, dfeatures=4))

    def go_on(bench: Bench) -> None:
        side = bench.sides[1]
        bench.turn(bench.device, lambda: bench.device_send(bench.devices[1], message(1024, 53, b"\0" * 40)))
        bench.time_ns += 60_000_000
        bench.turn(bench.driver, lambda: bench.driver_poll([side], ping=False))

    verdict = run(entries=entries, announcement=b"", pings=0, after=go_on, rest_ns=1_000_000)
    found = [each for each in verdict.findings if each.rule == "traffic.none"]
    assert {each.subject for each in found if each.severity is Severity.ERROR} == {"vdev[0].vring[0]"}


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("profile", "name", "is_found"), [
    (Profile.NUTTX, b"vdev0buffer", True),
    (Profile.NUTTX, b"pool", True),
    (Profile.LINUX, b"vdev0buffer", False),
    (Profile.OPENAMP, b"pool", False),
    (Profile.LINUX, b"vdev0vring0", True),
])  # fmt: skip
def test_a_ring_outside_a_carveout_is_found_where_the_carveout_was_for_it(
    profile: Profile, name: bytes, is_found: bool
) -> None:
    entries = [replace(each, name=name) if isinstance(each, Carveout) else each for each in default_entries()]
    found = rules(run(entries=entries, profile=profile, ring_at=lambda i, pa: pa + 0x8000).findings)
    assert ("vring.outside-carveout" in found) is is_found


def test_what_rptuns_commands_leave_in_the_header_is_no_matter_to_linux() -> None:
    def ready(bench: Bench) -> None:
        bench.turn(REMOTE, lambda: bench.write(REMOTE, bench.script.table_run + 8, b"\0\0\xff\xff"))

    assert run(after=ready, profile=Profile.LINUX).findings == run(profile=Profile.LINUX).findings
