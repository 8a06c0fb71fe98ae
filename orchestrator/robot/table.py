"""Keywords for the resource table in shared memory, its vdevs and its vrings."""

from __future__ import annotations

from robot.api.deco import keyword

from orchestrator.observe.live import LiveRing
from orchestrator.robot.suite import Suite

__all__ = ["TableKeywords"]


class TableKeywords(Suite):
    """Table, vdev, vring."""

    @keyword
    def resource_table_should_be_in_memory(self) -> None:
        """Fails unless the table that the firmware promises stands in shared memory."""
        live = self._board().live
        if live.table is None or not live.is_as_declared:
            raise AssertionError(f"not the table of the firmware: {self._table_seen()}")

    @keyword
    def both_cores_should_see_the_same_table(self) -> None:
        """Fails unless main and remote can read the table, each at its own address, and read the same bytes."""
        self.resource_table_should_be_in_memory()
        seen = self._board().live.others
        if len(seen) != 2:
            raise AssertionError(
                f"only {' and '.join(seen) or 'no core'} can read the table at {self._board().live.span}"
            )
        main, remote = seen["main"], seen["remote"]
        if main != remote:
            at = next(i for i, (a, b) in enumerate(zip(main, remote, strict=True)) if a != b)
            raise AssertionError(f"byte {at} of the table is {main[at]:#04x} for main and {remote[at]:#04x} for remote")

    @keyword
    def get_table_field(self, path: str) -> int:
        """Returns a field of the table in memory by its path: ``vdev[0].vring[1].align``."""
        table = self._board().table
        if table is None:
            raise AssertionError(self._table_seen())
        return table.field(path).value

    @keyword
    def table_field_should_be(self, path: str, expected: int) -> None:
        """Fails unless a field of the table in memory has this value."""
        found = self.get_table_field(path)
        if found != expected:
            raise AssertionError(f"{path} is {found} ({found:#x}), not {expected} ({expected:#x})")

    @keyword("Vdev Should Be At DRIVER_OK")
    def vdev_should_be_at_driver_ok(self, vdev: int = 0) -> None:
        """Fails unless the driver has set DRIVER_OK in the status of this vdev (virtio 1.3, 2.1)."""
        found = self._vdev(vdev)
        if not found.is_driver_ok:
            raise AssertionError(f"{found.path}.status is {found.status:#04x}: DRIVER_OK (0x04) is not set")

    @keyword
    def vring_should_be_resolved(self, vdev: int = 0, vring: int = 0) -> None:
        """Fails unless a vring has an address, and both cores have memory for all of it."""
        ring = self._ring(vdev, vring)
        if not ring.is_resolved:
            where = str(ring.span) if ring.span else f"da {ring.entry.da:#010x}"
            raise AssertionError(f"{ring.path} is not resolved: {where}")

    @keyword
    def every_vring_should_be_resolved(self) -> None:
        """`Vring Should Be Resolved`, for every vring of every vdev; a table without vrings fails."""
        for ring in self._all_rings():
            self.vring_should_be_resolved(ring.vdev, ring.index)

    @keyword
    def vring_should_be_inside_its_carveout(self, vdev: int = 0, vring: int = 0) -> None:
        """Fails unless a vring lies wholly inside the carveout of its vdev."""
        self.vring_should_be_resolved(vdev, vring)
        ring = self._ring(vdev, vring)
        carveout = ring.carveout
        if carveout is None or carveout.span is None:
            raise AssertionError(f"{ring.path} has no carveout with an address")
        if ring.span is None or not carveout.span.contains(ring.span):
            raise AssertionError(
                f"{ring.path} at {ring.span} is not inside {carveout.entry.at.path} at {carveout.span}"
            )

    @keyword
    def every_vring_should_be_inside_its_carveout(self) -> None:
        """`Vring Should Be Inside Its Carveout`, for every vring of every vdev."""
        for ring in self._all_rings():
            self.vring_should_be_inside_its_carveout(ring.vdev, ring.index)

    @keyword
    def get_vring_address(self, core: str, vdev: int = 0, vring: int = 0) -> int:
        """Returns where a vring begins, as a core (role or name) addresses it."""
        self.vring_should_be_resolved(vdev, vring)
        ring, platform = self._ring(vdev, vring), self._board().platform
        extent = ring.span.seen_by(platform.role_of(platform.core(core).name)) if ring.span else None
        assert extent is not None, f"{ring.path} is resolved, so {core} sees it"
        return extent.start

    def _all_rings(self) -> tuple[LiveRing, ...]:
        rings = self._board().vrings
        if not rings:
            raise AssertionError(f"there is no vring: {self._table_seen()}")
        return rings
