"""The self-test of a Renode: on an engine that tells all, and on one that is deaf to one thing after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import Engine, EngineOptions
from orchestrator.engines.registry import create_engine
from orchestrator.engines.renode.discovery import discover
from orchestrator.engines.renode.selftest import self_test
from orchestrator.events import Changed, Event, ExceptionTaken, UnmodelledAccess
from orchestrator.platform import Platform


def deaf(*kinds: type) -> Callable[[Platform, EngineOptions], Engine]:
    """An engine that tells nothing of these kinds."""

    def create(platform: Platform, options: EngineOptions) -> Engine:
        engine: Any = create_engine("unicorn", platform, options)
        subscribe = engine.subscribe

        def filtered(listener: Callable[[Event], None]) -> None:
            subscribe(lambda event: None if isinstance(event.detail, kinds) else listener(event))

        engine.subscribe = filtered
        return engine

    return create


def test_an_engine_that_tells_all_misses_nothing() -> None:
    assert self_test(deaf()) == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Changed, "no store is told: its hooks of memory are other ones"),
        (ExceptionTaken, "no interrupt is told: its hooks of exceptions are other ones"),
        (UnmodelledAccess, "no line of its log is understood: its log is another one"),
    ],
)
def test_what_is_not_told_is_named(kind: type, says: str) -> None:
    assert self_test(deaf(kind)) == [says]


def test_a_core_that_does_not_execute_is_named() -> None:
    def create(platform: Platform, options: EngineOptions) -> Engine:
        engine: Any = create_engine("unicorn", platform, options)
        engine.hold("cpu")
        return engine

    assert self_test(create) == ["its core does not execute: a program has not stored 42, there is 0"]


@pytest.mark.renode
def test_the_renode_of_this_machine_passes() -> None:
    try:
        discover()
    except EngineError as missing:
        pytest.skip(str(missing))
    assert self_test() == []
