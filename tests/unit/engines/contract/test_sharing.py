"""Memory that another process maps, and an assistant beside a core's firmware."""

from __future__ import annotations

import mmap
import sys

import pytest
from support.vhost import Descriptors

from orchestrator.base.errors import CapabilityError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Capability, EngineOptions, MemoryEquals, StopReason
from orchestrator.engines.registry import create_engine
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.events import Changed, Event
from orchestrator.platform import load_platform

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
MARKS = 0x3800_0000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory files are Linux's")


class Assistant:
    """Does what it is told in its turns, and names the next."""

    def __init__(self, *deeds, every_ns=None):
        self.turns = []
        self.deeds = list(deeds)
        self.every_ns = every_ns

    def turn(self, time_ns):
        self.turns.append(time_ns)
        if self.deeds:
            self.deeds.pop(0)()
        return None if self.every_ns is None else time_ns + self.every_ns


@pytest.fixture
def engine():
    """Both cores held."""
    made = UnicornEngine(load_platform("stm32h745"), EngineOptions(shares_memory=True))
    made.hold(MAIN)
    made.hold(REMOTE)
    yield made
    made.close()


def mapped(engine, core, address):
    """As another process would: by the descriptor, at the piece's offset."""
    piece = next(each for each in engine.shared_memory(core) if address in each.extent)
    memory = mmap.mmap(piece.descriptor, piece.offset + piece.extent.size)
    return memory, piece.offset + address - piece.extent.start


def test_what_one_side_of_a_shared_memory_writes_the_other_reads(engine):
    memory, at = mapped(engine, REMOTE, 0x1004_0010)
    memory[at : at + 4] = b"abcd"
    assert engine.memory(REMOTE).read(0x1004_0010, 4) == b"abcd"
    assert engine.memory(MAIN).read(0x3004_0010, 4) == b"abcd"
    engine.memory(MAIN).write(0x3004_0010, b"ABCD")
    assert memory[at : at + 4] == b"ABCD"
    memory.close()


def test_each_address_of_a_memory_is_a_piece_and_flash_is_none(engine):
    pieces = {each.extent: each.region for each in engine.shared_memory(REMOTE)}
    assert pieces[Extent(0x1004_0000, 0x8000)] == pieces[Extent(0x3004_0000, 0x8000)] == "sram3"
    assert not any(0x0810_0000 in extent for extent in pieces)


def test_a_board_that_was_not_made_for_it_shares_nothing():
    engine = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    assert engine.shared_memory(MAIN) == ()
    engine.close()


def test_an_engine_without_it_says_so():
    with pytest.raises(CapabilityError, match="no memory that other processes can map"):
        create_engine("unicorn-remote", load_platform("stm32h745"), EngineOptions(shares_memory=True))
    assert Capability.SHARE in UnicornEngine.capabilities


def test_an_assistant_has_turns_as_it_plans_them_though_nobody_runs(engine):
    assistant = Assistant(every_ns=1_000_000)
    engine.assist(MAIN, assistant)
    assert engine.run(5_000_000).reason is StopReason.TIMEOUT
    assert assistant.turns == [20_000 + number * 1_000_000 for number in range(5)]


def test_an_assistant_that_is_woken_has_its_turn_in_the_next_quantum(engine):
    assistant = Assistant()
    access = engine.assist(MAIN, assistant)
    engine.run(100_000)
    access.wake()
    engine.run(100_000)
    assert len(assistant.turns) == 2


def test_what_changes_in_an_assistants_turn_the_core_has_changed(engine):
    events: list[Event] = []
    engine.subscribe(events.append)
    engine.watch("marks", REMOTE, Extent(MARKS, 4))
    memory, at = mapped(engine, MAIN, MARKS)
    engine.assist(MAIN, Assistant(lambda: memory.__setitem__(at, 7)))
    engine.run(100_000)
    assert [(each.core, each.detail) for each in events if isinstance(each.detail, Changed)] == [
        (MAIN, Changed("marks"))
    ]
    memory.close()


def test_a_core_is_assisted_once(engine):
    engine.assist(MAIN, Assistant())
    with pytest.raises(UsageError, match="played or assisted already"):
        engine.assist(MAIN, Assistant())


def test_a_core_that_polls_sees_what_another_process_stores(board):
    """Though the loop in which it polls is skipped while nothing changes."""
    rig = board("ldr r0, =MARKS\n1: ldr r1, [r0]\n cmp r1, #0\n beq 1b\n str r1, [r0, #4]\n b .", shares_memory=True)
    memory, at = mapped(rig.engine, MAIN, MARKS)
    rig.engine.assist(MAIN, Assistant(*[lambda: None] * 20, lambda: memory.__setitem__(at, 9), every_ns=20_000))
    met = MemoryEquals(MAIN, MARKS + 4, 4, 9)
    assert rig.engine.run(10_000_000, met).reason is StopReason.CONDITION
    memory.close()


def test_closing_leaves_no_file_and_no_mapping():
    before = Descriptors()
    for _ in range(3):
        UnicornEngine(load_platform("stm32h745"), EngineOptions(shares_memory=True)).close()
    assert before.left == (0, 0)
