"""Which finding follows from which: one broken line is one cause, two independent ones are two.

Each declaration says what a kind of finding can follow from, and how close the two must be. The first declaration
that fits decides, so the most direct cause stands first.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from orchestrator.base.dataclass import dataclass
from orchestrator.checks.finding import Finding, Severity

__all__ = ["FOLLOWS", "Cause", "Follows", "Scope", "causes_of", "relate"]


_SYMPTOMS = ("run.until-not-met",)  # nothing follows from them


class Scope(enum.StrEnum):
    """How close a cause must be to what follows from it."""

    ANYWHERE = "anywhere"
    CORE = "core"  # the same core
    OTHER_CORE = "other core"
    VDEV = "vdev"  # the same vdev; what is about the whole table is about each
    RING = "ring"  # the same vring
    ADDRESS = "address"  # the same bytes


@dataclass(frozen=True, slots=True)
class Follows:
    """``effect`` follows from any of ``causes`` (rule names, ``*`` as in file names) within a scope."""

    effect: str
    causes: tuple[str, ...]
    scope: Scope


_IMAGE = ("elf.*", "vector.missing", "vector.stack-in-use", "vector.stack-outside-memory", "vector.reset-*")
_DEAD = ("core.fault", "core.lockup", "core.resets", "core.never-started", "core.silent", "core.stack-overflow")
_STOPPED = (*_DEAD, "core.polling", "core.stuck", "core.spins", "core.never-returned", "core.lock-held",
            "notification.not-cleared")  # fmt: skip
_TABLE = (
    "table.missing", "table.not-loaded", "table.one-core-only", "table.not-copied", "table.absent",
    "table.views-differ", "table.version", "table.truncated", "table.outside-memory", "table.too-many-entries",
    "table.offset-*", "table.entries-overlap", "table.no-vdev", "table.second-copy",
)  # fmt: skip
_FORM = ("table.entries-overlap", "table.offset-*", "table.truncated")  # an entry is read from where it is not
_FIELD = ("vring.num-*", "vring.align-*")
_VDEV = ("vdev.rpmsg-vrings", "vdev.too-many-vrings", "vdev.no-carveout", "vdev.features-without-config",
         "vdev.config-size", "carveout.*")  # fmt: skip
_PLACE = ("vring.outside-*", "vring.one-core-only", "vring.untranslated", "vring.overlap", "vring.part-misaligned",
          "vring.memory-in-use", "table.address-past-end")  # fmt: skip
_ADDRESS = ("buffer.unreachable-*", "buffer.untranslated", "buffer.outside-carveout", "buffer.overlap*",
            "buffer.memory-in-use")  # fmt: skip
_IN_USE = ("vring.memory-in-use", "carveout.memory-in-use", "buffer.memory-in-use")
_CACHE = ("cache.stale-read", "cache.write-stayed", "cache.invalidate-destroyed", "cache.write-back-overwrites")

FOLLOWS: tuple[Follows, ...] = (
    Follows("run.until-not-met", ("*",), Scope.ANYWHERE),
    # a core that cannot start, or dies
    Follows("core.*", _IMAGE, Scope.CORE),
    Follows("core.*", ("core.stack-overflow",), Scope.CORE),
    Follows("core.lockup", ("core.fault",), Scope.CORE),
    Follows("core.resets", ("core.fault",), Scope.CORE),
    Follows("core.guest-error", ("core.fault", "core.lockup"), Scope.CORE),
    Follows("core.fault", ("buffer.unreachable-*", "vring.outside-*", "vring.one-core-only", "carveout.outside-memory"),
            Scope.ADDRESS),
    Follows("core.guest-error", ("buffer.*", "vring.*", "carveout.*"), Scope.ADDRESS),
    Follows("core.stack-overflow", ("vector.stack-in-use",), Scope.CORE),
    Follows("core.*", _IN_USE, Scope.CORE),
    Follows("vring.memory-in-use", ("vring.overlap",), Scope.RING),
    Follows("vring.memory-in-use", ("carveout.memory-in-use", "vring.untranslated", *_FIELD), Scope.VDEV),
    Follows("buffer.memory-in-use", ("carveout.memory-in-use", "vring.memory-in-use"), Scope.VDEV),
    Follows("vring.outside-*", ("table.address-past-end",), Scope.RING),
    Follows("carveout.outside-memory", ("table.address-past-end",), Scope.VDEV),
    Follows("trace.outside-memory", ("table.address-past-end",), Scope.ANYWHERE),
    Follows("core.never-started", _STOPPED, Scope.ANYWHERE),
    Follows("core.silent", ("core.polling",), Scope.CORE),
    Follows("core.silent", ("core.fault", "core.lockup", "core.resets", "core.never-started", "core.polling",
                            "core.stuck", "core.silent"), Scope.ANYWHERE),
    Follows("core.stuck", ("core.polling",), Scope.ANYWHERE),
    Follows("core.silent", _TABLE, Scope.OTHER_CORE),
    Follows("core.stuck", (*_IMAGE, *_DEAD), Scope.ANYWHERE),
    Follows("core.stuck", (*_TABLE, *_FIELD), Scope.ANYWHERE),
    # a table that never gets where it belongs
    Follows("table.not-copied", ("table.not-loaded", "table.one-core-only"), Scope.ANYWHERE),
    Follows("table.not-copied", (*_IMAGE, *_STOPPED), Scope.CORE),
    Follows("table.absent", (*_IMAGE, *_STOPPED), Scope.ANYWHERE),
    Follows("table.reserved", _TABLE, Scope.ANYWHERE),  # a broken table does not tell whose rules it was made for
    Follows("table.entry-reserved", _FORM, Scope.ANYWHERE),
    Follows("table.unknown-type", _FORM, Scope.ANYWHERE),
    Follows("table.orphan-entry", _TABLE, Scope.ANYWHERE),
    Follows("table.misaligned", _FORM, Scope.ANYWHERE),
    Follows("carveout.*", _FORM, Scope.ANYWHERE),
    Follows("vdev.no-carveout", (*_FORM, "table.unknown-type"), Scope.ANYWHERE),
    Follows("trace.*", _FORM, Scope.ANYWHERE),
    Follows("table.no-vdev", ("table.unknown-type", "table.entries-overlap"), Scope.ANYWHERE),
    # a bring-up that stops
    Follows("vring.unresolved", (*_FIELD, *_VDEV), Scope.RING),
    Follows("vring.unresolved", (*_IMAGE, *_STOPPED), Scope.ANYWHERE),
    Follows("vring.unresolved", _TABLE, Scope.ANYWHERE),
    Follows("vring.unresolved", (*_FIELD, *_VDEV, *_PLACE), Scope.VDEV),
    Follows("vring.unresolved", (*_FIELD, *_VDEV, *_PLACE), Scope.ANYWHERE),
    Follows("vdev.failed", (*_FIELD, *_VDEV, *_PLACE, "vring.unresolved"), Scope.VDEV),
    Follows("vdev.failed", ("table.second-copy", "vring.unresolved"), Scope.ANYWHERE),
    Follows("vdev.failed", (*_IMAGE, *_STOPPED), Scope.ANYWHERE),
    Follows("vdev.failed", _TABLE, Scope.ANYWHERE),
    Follows("vdev.driver-ok-not-reached", (*_IMAGE, *_STOPPED), Scope.ANYWHERE),
    Follows("vdev.driver-ok-not-reached", _TABLE, Scope.ANYWHERE),
    Follows("vdev.driver-ok-not-reached", ("vdev.status-writer",), Scope.VDEV),
    Follows("vdev.driver-ok-not-reached", (*_FIELD, *_VDEV, *_PLACE, "vring.unresolved", "vdev.failed"), Scope.VDEV),
    Follows("vdev.driver-ok-not-reached", (*_FIELD, *_VDEV, *_PLACE, "vring.unresolved"), Scope.ANYWHERE),
    Follows("vdev.driver-ok-not-reached", ("vdev.failed", "vdev.driver-ok-not-reached"), Scope.ANYWHERE),
    # a ring in the wrong place
    Follows("vring.part-misaligned", _FIELD, Scope.RING),
    Follows("vring.outside-memory", (*_FIELD, "vring.outside-carveout"), Scope.RING),
    Follows("vring.one-core-only", (*_FIELD, "vring.outside-carveout"), Scope.RING),
    Follows("vring.one-core-only", ("carveout.outside-memory",), Scope.VDEV),
    Follows("vring.outside-carveout", (*_FIELD, "vring.untranslated"), Scope.RING),
    Follows("vring.outside-carveout", ("carveout.outside-memory",), Scope.VDEV),
    Follows("vring.untranslated", ("vring.untranslated",), Scope.VDEV),
    Follows("vring.overlap", (*_FIELD, "vring.outside-carveout"), Scope.RING),
    Follows("vring.overlap", ("carveout.overlap", "vring.outside-carveout", "vring.num-*"), Scope.VDEV),
    Follows("vdev.notifyid-collision", ("vring.notifyid-*",), Scope.VDEV),
    # what goes through the rings
    *(Follows(each, ("core.deadlock",), Scope.ANYWHERE) for each in (
        "core.spins", "core.never-returned", "core.lock-held", "buffer.not-*", "notification.*", "ring.layout-*",
        "endpoint.*", "traffic.none")),
    Follows("notification.in-vain", ("vring.elsewhere", "ring.layout-disagreement"), Scope.VDEV),
    Follows("ring.readable-after-writable", ("ring.direction",), Scope.RING),
    Follows("ring.used-length", ("vdev.buffer-size",), Scope.VDEV),
    Follows("message.malformed", ("vdev.buffer-size",), Scope.VDEV),
    Follows("ring.a*", ("ring.used-*",), Scope.RING),
    Follows("ring.head-in-use", ("ring.used-*",), Scope.RING),
    Follows("ring.used-[nt]*", ("ring.used-ahead",), Scope.RING),
    Follows("ring.layout-disagreement", (*_FIELD, *_PLACE, "ring.wrong-writer", "message.malformed"), Scope.RING),
    Follows("ring.layout-disagreement", _STOPPED, Scope.CORE),
    Follows("ring.layout-disagreement", (*_PLACE, *_ADDRESS), Scope.VDEV),
    Follows("ring.*", (*_FIELD, *_PLACE, "ring.wrong-writer", "ring.layout-disagreement"), Scope.RING),
    Follows("ring.*", ("vring.overlap", "vring.outside-*", "buffer.overlaps-ring", "carveout.overlap"), Scope.VDEV),
    Follows("buffer.unreachable-*", ("carveout.outside-memory", "vring.untranslated"), Scope.VDEV),
    Follows("buffer.untranslated", ("vring.untranslated", "buffer.untranslated"), Scope.VDEV),
    Follows("buffer.outside-carveout", ("vring.outside-carveout", "vring.overlap", "carveout.outside-memory",
            "buffer.outside-carveout"), Scope.VDEV),
    Follows("buffer.outside-carveout", ("ring.*", *_FIELD), Scope.RING),
    Follows("buffer.overlap*", ("vring.outside-carveout", "vring.overlap", "carveout.overlap", "buffer.overlap*",
            "ring.layout-disagreement"), Scope.VDEV),
    Follows("buffer.overlap*", ("ring.*", *_FIELD), Scope.RING),
    Follows("buffer.not-returned", (*_FIELD, *_PLACE, *_ADDRESS, "ring.*", "message.malformed"), Scope.RING),
    Follows("buffer.not-returned", _STOPPED, Scope.ANYWHERE),
    Follows("buffer.not-returned", (*_PLACE, "ring.*", *_ADDRESS), Scope.VDEV),
    Follows("buffer.not-returned", ("notification.*", "buffer.not-offered-again"), Scope.VDEV),
    Follows("vdev.buffer-size", ("ring.*", "vring.overlap"), Scope.VDEV),
    Follows("message.*", (*_FIELD, *_PLACE, *_ADDRESS, "ring.*", "message.malformed", "carveout.overlap"), Scope.VDEV),
    Follows("buffer.not-offered-again", (*_FIELD, *_PLACE, *_ADDRESS, "ring.*", "message.malformed"), Scope.VDEV),
    Follows("buffer.not-offered-again", ("notification.*",), Scope.VDEV),
    Follows("buffer.not-offered-again", _STOPPED, Scope.ANYWHERE),
    Follows("endpoint.silent", (*_FIELD, *_PLACE, *_ADDRESS, "ring.*", "buffer.*", "message.malformed"), Scope.VDEV),
    Follows("endpoint.*", ("notification.*", "endpoint.ns-not-negotiated"), Scope.VDEV),
    Follows("endpoint.*", _STOPPED, Scope.ANYWHERE),
    Follows("endpoint.never-announced", ("vring.*", "vdev.*", "carveout.*", "ring.*", "buffer.*", "message.*"),
            Scope.VDEV),
    Follows("endpoint.never-announced", ("core.*", "table.*", "elf.*"), Scope.ANYWHERE),
    Follows("vdev.driver-ok-unseen", ("vring.*", "vdev.*", "carveout.*", "ring.*", "buffer.*", "message.*"),
            Scope.VDEV),
    Follows("vdev.driver-ok-unseen", ("core.*", "table.*", "elf.*", "notification.*"), Scope.ANYWHERE),
    Follows("ring.wrong-writer", ("ring.index-back",), Scope.RING),
    Follows("buffer.*", ("vring.elsewhere", "vdev.notifyid-misplaced", "vdev.status-writer"), Scope.VDEV),
    Follows("buffer.not-*", ("buffer.written-while-offered", "buffer.used-after-return"), Scope.VDEV),
    Follows("message.*", ("buffer.written-while-offered", "buffer.used-after-return", "ring.index-back"), Scope.VDEV),
    Follows("endpoint.*", ("vring.elsewhere", "ring.*", "vdev.status-writer"), Scope.VDEV),
    Follows("notification.*", ("vring.elsewhere", "vdev.notifyid-misplaced", "vdev.status-writer"), Scope.VDEV),
    # who tells whom
    Follows("notification.*", _STOPPED, Scope.ANYWHERE),
    Follows("notification.in-vain", ("notification.in-vain",), Scope.VDEV),
    Follows("notification.*", (*_FIELD, *_PLACE, *_ADDRESS, "ring.*", "message.malformed"), Scope.RING),
    Follows("notification.*", ("vring.untranslated", "vring.outside-*", "vring.one-core-only", "ring.*",
            "buffer.unreachable-*", "buffer.not-offered-again"), Scope.VDEV),
    Follows("notification.[!i]*", ("buffer.not-returned",), Scope.VDEV),
    # what a data cache does to it
    Follows("cache.unmaintained", _CACHE, Scope.CORE),
    *(Follows(each, _CACHE, Scope.ANYWHERE) for each in (
        "vdev.*", "vring.unresolved", "core.*", "ring.*", "buffer.*", "message.*", "endpoint.*", "notification.*")),
    Follows("traffic.none", ("*",), Scope.RING),
    Follows("traffic.none", ("*",), Scope.VDEV),
    Follows("traffic.none", ("*",), Scope.ANYWHERE),
)  # fmt: skip


_SUBJECT = re.compile(r"(vdev|carveout)\[(\d+)\](?:\.vring\[(\d+)\])?(?:\..*)?")


@dataclass(frozen=True, slots=True)
class _About:
    """What a subject lies in: a vdev, or the vdev that RPTUN pairs a carveout with, and one of its vrings."""

    vdev: int | None = None  # None: it is about the whole table, or a core
    ring: int | None = None

    @classmethod
    def of(cls, finding: Finding) -> _About:
        found = _SUBJECT.fullmatch(finding.subject)
        if found is None:
            return cls()
        return cls(int(found[2]), int(found[3]) if found[3] is not None and found[1] == "vdev" else None)


def _is_near(effect: Finding, cause: Finding, scope: Scope) -> bool:
    if scope is Scope.CORE:
        return bool(effect.core) and effect.core == cause.core
    if scope is Scope.OTHER_CORE:
        return effect.core != cause.core
    mine, theirs = _About.of(effect), _About.of(cause)
    if scope is Scope.RING:
        return mine.ring is not None and mine == theirs
    if scope is Scope.VDEV:
        return theirs.vdev is not None and mine.vdev in (None, theirs.vdev)
    if scope is Scope.ADDRESS:
        return any(one.overlaps(other) for one in effect.touches for other in cause.touches)
    return True


def _candidates(effect: Finding, findings: Sequence[Finding], declared: Follows) -> Iterable[int]:
    for index, cause in enumerate(findings):
        if (
            cause is not effect
            and cause.rule not in _SYMPTOMS
            and cause.severity is not Severity.NOTE
            and (cause.severity is Severity.ERROR or effect.severity is not Severity.ERROR)
            and any(fnmatchcase(cause.rule, pattern) for pattern in declared.causes)
            and _is_near(effect, cause, declared.scope)
        ):
            yield index


def _leads_back(parents: dict[int, int], start: int, to: int) -> bool:
    at: int | None = start
    while at is not None:
        if at == to:
            return True
        at = parents.get(at)
    return False


def relate(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The same findings in the same order, each linked to the one that it follows from, if any; never in a circle."""
    parents: dict[int, int] = {}
    for index, effect in enumerate(findings):
        chosen = next(
            (
                cause
                for declared in FOLLOWS
                if fnmatchcase(effect.rule, declared.effect)
                for cause in _candidates(effect, findings, declared)
                if not _leads_back(parents, cause, index)
            ),
            None,
        )
        if chosen is not None:
            parents[index] = chosen
    linked: dict[int, Finding] = {}

    def link(index: int) -> Finding:
        if index not in linked:
            parent = parents.get(index)
            linked[index] = replace(findings[index], because_of=None if parent is None else link(parent))
        return linked[index]

    return tuple(link(index) for index in range(len(findings)))


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding that nothing else explains, and everything that follows from it."""

    finding: Finding
    consequences: tuple[Finding, ...]


def causes_of(findings: Sequence[Finding]) -> Iterator[Cause]:
    """Findings by their root: errors before warnings before notes, otherwise in the order given."""
    order = list(Severity)
    roots = sorted((f for f in findings if f.because_of is None), key=lambda f: order.index(f.severity))
    for root in roots:
        yield Cause(root, tuple(f for f in findings if f.because_of is not None and f.root == root))
