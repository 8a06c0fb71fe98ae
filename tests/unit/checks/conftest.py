"""Rules are judged with either core as the driver."""

from __future__ import annotations

import pytest

import bench


@pytest.fixture(params=["main", "remote"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The role that drives the vdevs of every script of this test that does not say."""
    monkeypatch.setattr(bench, "default_driver", request.param)
    return str(request.param)
