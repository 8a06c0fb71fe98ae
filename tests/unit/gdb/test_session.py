"""One client's commands, against a target that only remembers: replies as the protocol has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import DebugReason, DebugStop, Watchpoint
from orchestrator.events import CoreState
from orchestrator.formats.gdb_packets import PacketReader, frame
from orchestrator.gdb.session import Mode, Session

RAM = 0x2000_0000
SIZE = 0x100


class FakeTarget:
    """256 bytes of memory and a few registers."""

    time_ns = 1_500_000

    def __init__(self) -> None:
        self.ram = bytearray(range(SIZE))
        self.registers = {"R0": 1, "SP": RAM, "PC": 0x0800_0100, "D0": 1 << 63, "FPSCR": 0}
        self.breakpoints: frozenset[int] = frozenset()
        self.watchpoints: tuple[Watchpoint, ...] = ()
        self.is_stepping = False
        self.is_attached = True

    def state(self, core):
        return CoreState.HELD

    def debug(self, core, on_stop):
        self.is_attached = on_stop is not None

    def set_breakpoints(self, core, addresses):
        self.breakpoints = addresses

    def set_watchpoints(self, core, watchpoints):
        self.watchpoints = watchpoints

    def step(self, core, *, wanted):
        self.is_stepping = wanted

    def debug_registers(self, core):
        return self.registers

    def write_register(self, core, name, value):
        if name not in self.registers:
            raise UsageError("no such register")
        self.registers[name] = value

    def peek(self, core, address, size):
        if not RAM <= address <= address + size <= RAM + SIZE:
            raise TranslationError("nothing answers")
        return bytes(self.ram[address - RAM : address - RAM + size])

    def poke(self, core, address, data):
        self.peek(core, address, len(data))
        self.ram[address - RAM : address - RAM + len(data)] = data


class Client:
    """What gdb would see."""

    def __init__(self) -> None:
        self.target = FakeTarget()
        self.sent = bytearray()
        self.kills = 0
        self.session = Session(self.target, "cpu", self.sent.extend, self._kill)

    def _kill(self) -> None:
        self.kills += 1

    def ask(self, content: bytes) -> bytes | None:
        """The reply, if there is one."""
        self.sent.clear()
        self.session.receive(frame(content))
        return self.heard()

    def heard(self) -> bytes | None:
        packets = [each for each in PacketReader().feed(bytes(self.sent)) if isinstance(each, bytes)]
        return packets[-1] if packets else None


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        (b"?", b"T05thread:1;"),
        (b"qC", b"QC1"),
        (b"qAttached", b"1"),
        (b"vCont?", b"vCont;c;C;s;S"),
        (b"vMustReplyEmpty", b""),
        (b"qUnheardOf", b""),
        (b"m20000000,4", b"00010203"),
        (b"m200000fe,4", b"E0e"),
        (b"m20000000", b"E16"),
        (b"m,", b"E16"),
        (b"mffffffff20000000,4", b"E16"),
        (b"p0", b"01000000"),
        (b"p3", b"0000000000000080"),
        (b"p5", b"E16"),
        (b"p", b"E16"),
        (b"P0", b"E16"),
        (b"P0=1", b"E16"),
        (b"G00", b"E16"),
        (b"Z9,0,0", b""),
        (b"Z0", b"E16"),
        (b"Z", b"E16"),
        (b"M20000000,2:00", b"E16"),
        (b"X20000000,1:ab", b"E16"),
        (b"vCont;x", b"E16"),
        (b"qRcmd,7", b"E16"),
        (b"qXfer:features:read:other.xml:0,100", b"E16"),
        (b"g", b"0100000000000020000100080000000000000080" + b"0" * 8),
    ],
)
def test_a_packet_has_its_reply(client, packet, reply):
    assert client.ask(packet) == reply


def test_memory_and_registers_are_written(client):
    assert client.ask(b"M20000000,2:aabb") == b"OK"
    assert client.ask(b"X20000002,2:}\x03#".replace(b"#", b"\x04")) == b"OK"
    assert client.target.ram[:4] == b"\xaa\xbb\x23\x04"
    assert client.ask(b"P0=78563412") == b"OK"
    assert client.target.registers["R0"] == 0x1234_5678


def test_the_description_comes_in_pieces(client):
    whole, reply = b"", b"m"
    while reply.startswith(b"m"):
        reply = client.ask(b"qXfer:features:read:target.xml:%x,40" % len(whole))
        whole += reply[1:]
    assert whole.count(b"<reg ") == 5
    assert whole.endswith(b"</target>\n")
    assert b'<feature name="org.gnu.gdb.arm.m-profile">' in whole


def test_break_and_watchpoints_come_and_go(client):
    assert client.ask(b"Z0,8000100,2") == client.ask(b"Z1,8000200,2") == b"OK"
    assert client.target.breakpoints == {0x0800_0100, 0x0800_0200}
    assert client.ask(b"z0,8000100,2") == b"OK"
    assert client.target.breakpoints == {0x0800_0200}
    assert client.ask(b"Z3,20000004,4") == b"OK"
    assert client.target.watchpoints == (Watchpoint(Extent(RAM + 4, 4), reads=True, writes=False),)
    assert client.ask(b"z3,20000004,4") == b"OK"
    assert client.target.watchpoints == ()


@pytest.mark.parametrize(("kind", "word", "writes"), [(2, b"watch", True), (3, b"rwatch", False), (4, b"awatch", True)])
def test_at_a_watchpoint_the_pc_is_that_of_the_access_until_the_step_that_gdb_makes(client, kind, word, writes):
    client.ask(b"Z%d,20000004,4" % kind)
    client.ask(b"vCont;c")
    client.session.stopped(DebugStop("cpu", DebugReason.WATCHPOINT, 10, (0x0800_00FE, RAM + 6, writes)))
    assert client.heard() == b"T05" + word + b":20000006;thread:1;"
    assert client.ask(b"p2") == b"fe000008"
    assert client.ask(b"vCont;s") == b"T05thread:1;"
    assert not client.target.is_stepping
    assert client.ask(b"p2") == b"00010008"


def test_going_on_from_a_watchpoint_without_a_step_goes_on(client):
    client.session.stopped(DebugStop("cpu", DebugReason.WATCHPOINT, 10, (0x0800_00FE, RAM, True)))
    assert client.ask(b"c") is None
    assert client.session.mode is Mode.RUNNING


def test_ctrl_c_stops_a_step_that_does_not_end(client):
    client.ask(b"s")
    assert client.target.is_stepping
    client.session.receive(b"\x03")
    assert client.heard() == b"T02thread:1;"
    assert not client.target.is_stepping
    assert client.ask(b"?") == b"T02thread:1;"


def test_a_core_that_locks_up_is_said_once(client):
    client.ask(b"c")
    client.session.locked_up()
    assert client.heard() == b"T06thread:1;"
    client.ask(b"c")
    client.session.locked_up()
    assert client.session.mode is Mode.RUNNING


def test_the_end_of_the_run_is_said_to_who_waits_for_it(client):
    client.ask(b"c")
    client.session.ended(1)
    assert client.heard() == b"W01"


def test_leaving_takes_everything_back_and_only_kill_ends_the_run(client):
    assert client.ask(b"D") == b"OK"
    assert client.session.is_over
    assert (client.target.is_attached, client.kills) == (False, 0)
    other = Client()
    assert other.ask(b"vKill;1") == b"OK"
    assert (other.target.is_attached, other.kills) == (False, 1)


def test_acknowledgements_end_when_the_client_says_so(client):
    assert client.ask(b"qC") == b"QC1"
    assert client.sent.startswith(b"+")
    assert client.ask(b"QStartNoAckMode") == b"OK"
    client.ask(b"qC")
    assert client.sent == frame(b"QC1")


def test_a_damaged_packet_is_asked_for_again_and_a_damaged_reply_is_sent_again(client):
    client.session.receive(b"$qC#00")
    assert client.sent == b"-"
    client.ask(b"qC")
    client.session.receive(b"-")
    assert client.sent.count(frame(b"QC1")) == 2


def test_commands_of_the_monitor(client):
    def monitor(text: bytes) -> bytes:
        return bytes.fromhex(client.ask(b"qRcmd," + text.hex().encode()).decode())

    assert monitor(b"time") == b"1.500000 ms\n"
    assert monitor(b"state") == b"cpu: held\n"
    assert monitor(b"reset").startswith(b"unknown command: reset\nmonitor time: ")
    assert monitor(b"help").startswith(b"monitor time: ")
    assert bytes.fromhex(client.ask(b"qThreadExtraInfo,1").decode()) == b"cpu, held"


@given(st.one_of(st.binary(max_size=60), st.from_regex(rb"[?cCDgGHkmMpPsSTXzZqQv][0-9a-f,:;=]{0,30}", fullmatch=True)))
def test_no_packet_makes_a_session_fail(content: bytes):
    client = Client()
    client.session.receive(frame(content))
    client.session.receive(content)
