"""The verdict on a run: up or not, why, and what else was seen. From memory and events only, never from a console."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.base.roles import MAIN, REMOTE, ROLES, Side, the
from orchestrator.checks.catalogue import apply_rules
from orchestrator.checks.causes import Cause, causes_of, relate
from orchestrator.checks.finding import Finding, Severity
from orchestrator.checks.registers import with_registers
from orchestrator.checks.sources import with_sources
from orchestrator.checks.state import State
from orchestrator.formats.resource_entry import Profile, feature_names, status_names
from orchestrator.observe.live import LiveView
from orchestrator.observe.observer import Observer
from orchestrator.observe.order import Orders
from orchestrator.observe.run import Cut, Milestone, Run
from orchestrator.observe.views import Span, Views

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True)
class Verdict:
    """What a run amounts to.

    ``up``: every vdev at DRIVER_OK and every vring resolved in both views; for each ring on which nothing was used,
    ``no_traffic`` says so. ``stopped``: it was, and main has shut it down in order.
    """

    up: bool
    stopped: bool
    ended: str | None  # why the run ended
    time_ns: int
    profile: Profile
    profile_reason: str
    findings: tuple[Finding, ...]
    run: Run
    live: LiveView
    views: Views
    notify: Mapping[str, int]
    knows_rings: bool = True  # False: there was no memory to read them in

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Errors and warnings that nothing explains, errors first, each with what follows from it."""
        return tuple(each for each in causes_of(self.findings) if each.finding.is_cause)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Remarks that follow from nothing."""
        return tuple(f for f in self.findings if f.severity is Severity.NOTE and f.because_of is None)

    @property
    def no_traffic(self) -> tuple[str, ...]:
        """The rings of vdevs at DRIVER_OK through which nothing ever went: they were not seen working."""
        rings = self.run.traffic.rings
        if not self.knows_rings:
            return ()
        return tuple(
            ring.path
            for vdev in self.live.vdevs
            if vdev.is_driver_ok
            for ring in vdev.rings
            if not ((seen := rings.get(ring.path)) and (seen.used or seen.used_before))
        )

    @property
    def headline(self) -> str:
        """Whether RPTUN is up, in words that agree with the exit code; "is up" of what was seen working only."""
        if self.stopped and not self.up:
            return "RPTUN was up and was stopped" + (", with errors" if self.has_errors else "")
        if not self.up and self.run.cut is not Cut.BY_NOBODY:
            return "RPTUN was not up when the run was cut short"
        if not self.up:
            return "RPTUN did not come up" if self.run.cores else "RPTUN is not up"
        unseen = self._not_seen()
        if unseen:
            return f"RPTUN came up, and {unseen}"
        return "RPTUN is up" + (", with errors" if self.has_errors else "")

    def _not_seen(self) -> str:
        """``nothing went through vdev[0]`` of the vdevs of which a part was not seen working; empty where all were."""
        unseen, words = set(self.no_traffic), []
        for vdev in self.live.vdevs:
            rings = [ring.path for ring in vdev.rings if ring.path in unseen]
            if rings and len(rings) == len(vdev.rings):
                words.append(f"through {vdev.path}")
            elif rings and vdev.is_rpmsg:
                sender = Side.DEVICE if rings[0] == vdev.rings[0].path else Side.DRIVER
                words.append(f"from {the(vdev.role_of(sender))} through {vdev.path}")
            elif rings:
                words.append(f"through {' and '.join(rings)}")
        return f"nothing went {' and '.join(words)}" if words else ""

    @property
    def has_errors(self) -> bool:
        """Any finding is an error."""
        return any(each.severity is Severity.ERROR for each in self.findings)

    @property
    def exit_code(self) -> int:
        """0: up, or stopped in order after that, and no error; 1 otherwise."""
        return 0 if (self.up or self.stopped) and not self.has_errors else 1

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        """In the order of their virtual time."""
        return tuple(sorted(self.run.milestones, key=lambda each: each.time_ns))

    @property
    def never_used(self) -> tuple[tuple[str, Span], ...]:
        """The parts of each carveout that neither a ring nor a buffer ever took."""
        found = []
        for carveout in self.live.carveouts:
            if carveout.span is not None:
                found += [(carveout.entry.at.path, gap) for gap in self._gaps(carveout.span)]
        return tuple(found)

    def _gaps(self, carveout: Span) -> list[Span]:
        """What is left of a carveout, named by the same aliases as the carveout itself."""
        role = MAIN if carveout.pa is not None else REMOTE
        whole = carveout.seen_by(role)
        if whole is None:
            return []
        spans = [ring.span for ring in self.live.rings if ring.span is not None]
        spans += [buffer.span for buffer in self.run.traffic.buffers.values()]
        taken = [extent for span in spans if (extent := span.seen_by(role)) is not None]
        return [carveout.part("never used", gap.start - whole.start, gap.size) for gap in whole.gaps(taken)]

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order, the same for the same run."""
        run, traffic = self.run, self.run.traffic
        return {
            "up": self.up,
            "stopped": self.stopped,
            "headline": self.headline,
            "exit_code": self.exit_code,
            "ended": self.ended,
            "time_ns": self.time_ns,
            "profile": self.profile.value,
            "profile_reason": self.profile_reason,
            "findings": [each.to_json() for each in self.findings],
            "causes": [
                {
                    "rule": each.finding.rule,
                    "subject": each.finding.subject,
                    "consequences": [{"rule": f.rule, "subject": f.subject} for f in each.consequences],
                }
                for each in self.causes
            ],
            "no_traffic": list(self.no_traffic),
            "milestones": [each.to_json() for each in self.milestones],
            "cores": {role: self._core(role) for role in ROLES if role in run.cores},
            "table": self._table(),
            "traffic": [traffic.rings[path].to_json() for path in sorted(traffic.rings)],
            "buffers": [buffer.to_json() for _, buffer in sorted(traffic.buffers.items())],
            "never_used": [
                {"carveout": path, "main": gap.pa, "remote": gap.da, "size": gap.size} for path, gap in self.never_used
            ],
            "messages": {
                path: {
                    "sent": {role: log.sent_by(role) for role in ROLES},
                    "payload_bytes": {role: log.payload_of(role) for role in ROLES},
                    "endpoints": [
                        {"side": log.role_of(each), "name": each.name, "address": each.address}
                        for each in log.endpoints.endpoints
                    ],
                    "first": [each.to_json() for each in log.first],
                    "last": [each.to_json() for each in log.last],
                }
                for path, log in sorted(traffic.messages.items())
            },
            "notifications": run.ledger.to_json(self.notify),
            "unmodelled": run.unmodelled.to_json(),
            "notes": run.notes.to_json(),
            **({"barriers": self._barriers(run.orders)} if run.orders is not None else {}),
            **({"injected": [each.to_json() for each in run.injected]} if run.injected else {}),
        }

    @staticmethod
    def _barriers(orders: Orders) -> dict[str, object]:
        return {role: counted._asdict() for role, counted in sorted(orders.counted.items())}

    def _named(self, text: str) -> str:
        registers = self.views.platform.registers if self.views.platform is not None else None
        return text if registers is None else registers.named(text)

    def _core(self, role: str) -> dict[str, object]:
        core = self.run.cores[role]
        return {
            "name": core.name,
            "state": core.state.value if core.state else None,
            "released_ns": core.released_ns,
            "exceptions": core.exceptions,
            "faults": core.fault_count,
            "faults_handled": sum(each.count for each in core.handled_faults(self.run.time_ns)),
            "guest_errors": core.error_count,
            "waits_for": [self._named(each) for each in core.waits_for],
            "backtrace": [{"pc": frame.pc, "symbol": frame.symbol, "guess": frame.guess} for frame in core.backtrace],
        }

    def _table(self) -> dict[str, object] | None:
        live = self.live
        location, table = live.declared.location, live.table
        if table is None or (not live.is_given and (location is None or live.span is None)):
            return None
        span = live.span
        return {
            "how": location.how if location is not None else "no table: vrings that were given or found",
            "main": span.pa if span is not None else None,
            "remote": span.da if span is not None else None,
            "size": span.size if span is not None else 0,
            "entries": [
                {"path": each.at.path, "address": each.at.address, "type": _type_of(each.at.path)}
                for each in table.entries
                if not live.is_given
            ],
            "vdevs": [
                {
                    "path": vdev.path,
                    "id": vdev.entry.value.head.id,
                    "status": vdev.status,
                    "status_names": list(status_names(vdev.status)),
                    "dfeatures": list(feature_names(vdev.entry.value.head.dfeatures)),
                    "gfeatures": list(feature_names(vdev.entry.value.head.gfeatures)),
                    "carveout": vdev.carveout.entry.at.path if vdev.carveout else None,
                    "vrings": [
                        {
                            "path": ring.path,
                            "da": ring.entry.da,
                            "align": ring.entry.align,
                            "num": ring.entry.num,
                            "notifyid": ring.entry.notifyid,
                            "main": ring.span.pa if ring.span else None,
                            "remote": ring.span.da if ring.span else None,
                            "size": ring.span.size if ring.span else None,
                            "layout": ring.layout.formula if ring.layout else None,
                            "dynamic": ring.was_dynamic,
                        }
                        for ring in vdev.rings
                    ],
                }
                for vdev in live.vdevs
            ],
        }


def _type_of(path: str) -> str:
    return path.split("[", maxsplit=1)[0]


def judge(observer: Observer, vector_tables: Mapping[str, int] | None = None) -> Verdict:
    """The verdict on what an observer has seen up to now; ``vector_tables`` by role where they were given."""
    state = State(
        profile=observer.profile,
        images=observer.images,
        declared=observer.declared,
        platform=observer.platform,
        views=observer.views,
        live=observer.live,
        run=observer.run,
        notify=observer.options.notify,
        vector_tables=vector_tables or {},
        is_stopped=observer.is_stopped(),
        turn_ns=observer.options.quantum_ns,
    )
    return Verdict(
        up=observer.is_up(),
        stopped=state.is_stopped,
        ended=observer.run.ended,
        time_ns=observer.run.time_ns,
        profile=observer.profile,
        profile_reason=observer.profile_reason,
        findings=with_registers(
            with_sources(relate(apply_rules(state)), observer.images, observer.platform), observer.platform
        ),
        run=observer.run,
        live=observer.live,
        views=observer.views,
        notify=observer.options.notify,
    )
