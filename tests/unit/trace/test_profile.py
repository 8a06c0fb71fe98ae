"""Folded stacks and coverage of the demo pair, held against what else is known of its run."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pytest

from orchestrator.base.errors import CapabilityError
from orchestrator.board import Board
from orchestrator.events import CoreState, Event, ExceptionTaken
from orchestrator.formats.elf import Image, SourceLine
from orchestrator.report.sources import SourcePaths
from orchestrator.trace import Trace
from orchestrator.trace.profile import Coverage, StackProfile

EVERY = 1_000  # ns


class Pair(Protocol):
    main: Path
    remote: Path


class Profiled(Protocol):
    folded: str
    lcov: str
    counts: dict[str, dict[int, int]]  # by role
    images: dict[str, Image]
    taken: Counter[tuple[str, int]]
    time_ns: int


def named(line: SourceLine) -> str:
    return f"{line.folder}/{line.file}"


@pytest.fixture(scope="module")
def profiled(firmware: Callable[..., Pair]) -> Profiled:
    pair, found = firmware("demo"), type("Profiled", (), {})()
    found.taken = Counter()

    def listen(event: Event) -> None:
        if isinstance(event.detail, ExceptionTaken):
            found.taken[event.core, event.detail.number] += 1

    with Board(main=str(pair.main), remote=str(pair.remote)) as board:
        board.subscribe(listen)
        stacks, coverage = StackProfile(board, EVERY), Coverage(board)
        board.run()
        found.folded, found.lcov = stacks.folded().decode(), coverage.lcov(named).decode()
        found.counts = {role: board.engine.counts(board.platform.core(role).name) for role in board.images}
        found.images, found.time_ns = dict(board.images), board.time_ns
    return found


def stacks(profiled: Profiled) -> dict[tuple[str, ...], int]:
    lines = [line.rpartition(" ") for line in profiled.folded.splitlines()]
    assert lines == sorted(lines)
    return {tuple(stack.split(";")): int(count) for stack, _, count in lines}


@pytest.mark.parametrize(("label", "core"), [("main", "cpu_cm7"), ("remote", "cpu_cm4")])
def test_samples_are_as_many_as_the_time_has_and_sleep_as_much_as_the_core(
    profiled: Profiled, demo: Trace, label: str, core: str
) -> None:
    own = {stack: count for stack, count in stacks(profiled).items() if stack[0] == label}
    assert sum(own.values()) == profiled.time_ns // EVERY
    asleep = sum(count for stack, count in own.items() if stack[-1] == "[sleeping]")
    spans = [span for span in demo.states if span.core == core and span.state is CoreState.SLEEPING]
    assert asleep * EVERY == pytest.approx(sum(each.ended_ns - each.began_ns for each in spans), abs=EVERY * len(spans))


def test_samples_have_their_times(firmware: Callable[..., Pair], demo: Trace) -> None:
    pair = firmware("demo")
    with Board(main=str(pair.main), remote=str(pair.remote)) as board:
        profile = StackProfile(board, EVERY)
        board.run()
        samples = [each for each in profile.samples() if each.core == "cpu_cm4"]
    assert samples[0].time_ns == EVERY
    assert all(one.time_ns + one.number * EVERY == other.time_ns for one, other in pairwise(samples))
    spans = [span for span in demo.states if span.core == "cpu_cm4"]
    for each in samples:
        state = next(span.state for span in spans if span.began_ns <= each.time_ns <= span.ended_ns)
        edges = {edge for span in spans for edge in (span.began_ns, span.ended_ns)}
        if each.time_ns not in edges:
            assert (each.stack[-1] == "[sleeping]") is (state is CoreState.SLEEPING)


def test_a_stack_begins_with_its_core_and_goes_inwards(profiled: Profiled) -> None:
    found = stacks(profiled)
    assert ("main", "main", "ping_new_endpoints", "exchange", "board_sleep", "[sleeping]") in found
    functions = {each.name for image in profiled.images.values() for each in image.every_symbol}
    assert {name for stack in found for name in stack[1:]} <= functions | {"[sleeping]"}


def test_a_handler_ran_as_often_as_its_exception_was_taken(profiled: Profiled) -> None:
    for (core, number), count in profiled.taken.items():
        role = "main" if core == "cpu_cm7" else "remote"
        image = profiled.images[role]
        vector = image.read_load(image.vector_table + 4 * number, 4)
        assert profiled.counts[role][int.from_bytes(vector, "little") & ~1] == count


def test_a_function_ran_as_often_as_there_were_messages(profiled: Profiled) -> None:
    for role, received in (("main", 11), ("remote", 10)):
        entry = profiled.images[role].symbols["rpmsg_deliver"].address
        assert profiled.counts[role][entry] == received


def lines_of(profiled: Profiled) -> dict[tuple[str, str, int], int]:
    """By test, file and line."""
    test = file = ""
    found = {}
    for row in profiled.lcov.splitlines():
        kind, _, rest = row.partition(":")
        if kind == "TN":
            test = rest
        elif kind == "SF":
            file = rest
        elif kind == "DA":
            line, count = rest.split(",")
            found[test, file, int(line)] = int(count)
    return found


def test_the_lines_that_were_executed_are_those_of_the_instructions(profiled: Profiled) -> None:
    lines = lines_of(profiled)
    for role, image in profiled.images.items():
        with_line = [extent for extent, _ in image.code_lines()]  # of some the compiler says that they have none
        executed = [pc for pc in profiled.counts[role] if any(pc in extent for extent in with_line)]
        assert len(executed) > 0.85 * len(profiled.counts[role]) > 500
        sources = [line for pc in executed if (line := image.source_line(pc)) is not None]
        assert len(sources) == len(executed)
        of_instructions = {(role, named(line), line.line) for line in sources}
        assert {key for key, count in lines.items() if key[0] == role and count} == of_instructions


def test_code_that_never_ran_has_its_lines_too(profiled: Profiled) -> None:
    lines = lines_of(profiled)
    image = profiled.images["main"]
    entry = image.symbols["fault_report"].address
    assert entry not in profiled.counts["main"]
    line = image.source_line(entry)
    assert line is not None
    assert lines["main", named(line), line.line] == 0
    assert "FNDA:0,fault_report\n" in profiled.lcov


@pytest.mark.needs_command("genhtml", "lcov")
def test_genhtml_reads_it(profiled: Profiled, tmp_path: Path) -> None:
    paths = SourcePaths.of(profiled.images)
    text = profiled.lcov
    for image in profiled.images.values():
        for source in {piece.source for piece in image.code_lines()}:
            text = text.replace(f"SF:{named(source)}\n", f"SF:{paths.absolute_path_of(source)}\n")
    (tmp_path / "a.info").write_text(text)
    done = subprocess.run(
        ["genhtml", "-o", str(tmp_path / "html"), str(tmp_path / "a.info")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    either: dict[tuple[str, int], int] = {}
    for (_, file, line), count in lines_of(profiled).items():
        either[file, line] = either.get((file, line), 0) + count
    hit = sum(count > 0 for count in either.values())
    assert f"({hit} of {len(either)} lines)" in done.stdout
    assert list((tmp_path / "html").rglob("device.c.gcov.html"))


@pytest.mark.parametrize("made", [StackProfile, Coverage])
def test_another_engine_is_refused(firmware: Callable[..., Pair], made: Callable[[Board], object]) -> None:
    pair = firmware("demo")
    with (
        Board(main=str(pair.main), remote=str(pair.remote), engine="unicorn-remote") as board,
        pytest.raises(CapabilityError, match=r"engine unicorn-remote: no .*; the unicorn engine has it"),
    ):
        made(board)
