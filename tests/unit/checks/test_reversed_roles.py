"""A vdev that the remote drives: it moves the available index, and main the used one."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import BytesMemory
from orchestrator.base.roles import Sides
from orchestrator.formats.virtqueue import RingLayout, SplitRing
from orchestrator.observe.traffic import Actor, Traffic
from orchestrator.observe.views import Views
from orchestrator.virtqueue import Segment, SplitDevice, SplitDriver


@pytest.mark.parametrize(("driver", "faults"), [("remote", set()), ("main", {"ring.wrong-writer"})])
def test_each_index_belongs_to_the_role_that_the_table_gives(driver: str, faults: set[str]) -> None:
    memory = BytesMemory("shared", 0x1000, bytearray(0x1000))
    layout = RingLayout.legacy(0x1000, 4, 16)
    ring, views, traffic = SplitRing(memory, layout, name="r"), Views.of({"main": memory, "remote": memory}), Traffic()
    queue, device = SplitDriver(memory, layout), SplitDevice(memory, layout)
    queue.offer([Segment(0x1800, 64)])
    assert traffic.sync(ring, views, Actor(1, "remote"), Sides(driver)) == (1, 0)
    chain = device.take()
    assert chain is not None
    device.give_back(chain)
    assert traffic.sync(ring, views, Actor(2, "main"), Sides(driver)) == (0, 1)
    assert set(traffic.ring("r").faults) == faults
