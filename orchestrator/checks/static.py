"""Checks without a board: of images that have not run yet, and of memory that was dumped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.base.errors import RingError
from orchestrator.base.memory import Memory
from orchestrator.base.roles import REMOTE, ROLES
from orchestrator.checks.catalogue import apply_rules
from orchestrator.checks.causes import relate
from orchestrator.checks.finding import Finding, Severity, Stage
from orchestrator.checks.sources import with_sources
from orchestrator.checks.state import State
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import TableLocation, TableLocator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import Profile
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import DeclaredTable, choose_profile, find_declared
from orchestrator.observe.given import GivenVring
from orchestrator.observe.live import LiveView, read_live
from orchestrator.observe.run import Run
from orchestrator.observe.traffic import Actor, MessageLog
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform

__all__ = ["check_live", "check_static", "look_at"]


def check_static(
    images: Mapping[str, Image],
    platform: Platform | None = None,
    profile: Profile | None = None,
    locator: TableLocator | None = None,
    *,
    maps: tuple[AddressRange, ...] = (),
    vector_tables: Mapping[str, int] | None = None,
    vrings: tuple[GivenVring, ...] = (),
) -> tuple[Finding, ...]:
    """What can be said of images by role, one or both, before anything runs.

    One image alone may do without a table, as the other one can have it: that is a note then, unless it is the remote's
    and the host Linux, which takes the table from nowhere else.
    """
    declared = find_declared(images, locator, vrings)
    nothing = {role: _Nothing(platform.core(role).name) for role in ROLES} if platform else {}
    views = Views.of(nothing, platform, maps) if platform else None
    state = State(
        profile=profile or choose_profile(declared.scan)[0],
        images=images,
        declared=declared,
        platform=platform,
        views=views,
        vector_tables=vector_tables or {},
    )
    findings = apply_rules(state, [Stage.STATIC])
    if len(images) == 1 and not (state.profile is Profile.LINUX and REMOTE in images):
        findings = tuple(_as_note(each) if each.rule == "table.missing" else each for each in findings)
    return with_sources(relate(findings), images, platform)


def _as_note(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.NOTE, advice="the table may be in the other core's image")


class _Nothing:
    """The memory of a core that has none yet: only where memory will be matters."""

    def __init__(self, view: str) -> None:
        self.view = view

    def read(self, address: int, size: int) -> bytes:
        del size
        raise RingError("nothing runs", rule="ring.unreadable", where=f"{self.view} at {address:#010x}")

    def write(self, address: int, data: bytes) -> None:
        self.read(address, len(data))


def check_live(
    memories: Mapping[str, Memory],
    table: TableLocation | int,
    *,
    platform: Platform | None = None,
    images: Mapping[str, Image] | None = None,
    profile: Profile | None = None,
    maps: tuple[AddressRange, ...] = (),
    release: NuttxRelease | None = None,
) -> tuple[Finding, ...]:
    """What can be said of memory at one moment, by role: a dump, or a board that somebody else runs.

    ``table`` is an address of the remote's view. What went through the rings before is not known, only what is in
    them now.
    """
    views = Views.of(memories, platform, maps)
    location = table if isinstance(table, TableLocation) else TableLocation(REMOTE, table, f"address {table:#010x}")
    declared = find_declared(images) if images else DeclaredTable(None)
    declared = DeclaredTable(location, None, declared.scan, declared.data)
    live, run = look_at(views, declared, release)
    state = State(
        profile=profile or choose_profile(declared.scan or live.scan)[0],
        images=images or {},
        declared=declared,
        platform=platform,
        views=views,
        live=live,
        run=run,
    )
    return relate(apply_rules(state))


def look_at(views: Views, declared: DeclaredTable, release: NuttxRelease | None = None) -> tuple[LiveView, Run]:
    """The table and all that it leads to, and what is in its rings, as of a run that has no past."""
    live = read_live(views, declared, release=release)
    run = Run({})
    for vdev in live.vdevs:
        log = run.traffic.messages.setdefault(vdev.path, MessageLog(vdev.sides)) if vdev.is_rpmsg else None
        for ring in vdev.rings:
            queue = ring.open(views)
            if queue is not None:
                try:
                    run.traffic.adopt(queue)
                except RingError:
                    continue
                run.traffic.sync(queue, views, Actor(0, ""), vdev.sides, log, features=vdev.features)
    return live, run
