"""A vdev of an emulated board worked by another process: devices of ours, DPDK's testpmd, QEMU's storage daemon.

Each program of others is a Debian package; where it is missing, the test says so. What is counted is counted on both
sides.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Pair
from support.vhost import Descriptors, serving

from orchestrator.base.errors import CapabilityError, UsageError, VhostUserError
from orchestrator.board import Board, EndReason
from orchestrator.cli import main
from orchestrator.host import Block, Network, Switch
from orchestrator.vhost_user import BridgeOptions, IfLost, Server

pytestmark = pytest.mark.xdist_group("vhost")  # polling peers want a processor of their own

MERGES = 1 << 15  # MRG_RXBUF: the header that VERSION_1 has
SECTOR = 512

Pairs = Callable[..., Pair]


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vh") as folder:
        yield Path(folder) / "s"


@pytest.fixture
def two_processors() -> Iterator[None]:
    """This process on one, as a peer that polls takes the other."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("needs two processors: the peer polls on one")
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def swapping() -> Network:
    """Sends each frame back with its addresses exchanged, as testpmd's macswap does."""
    device = Network()
    device.features |= MERGES
    device.on_frame = lambda frame: frame[6:12] + frame[:6] + frame[12:]
    return device


@contextlib.contextmanager
def bridged(pair: Pair, options: BridgeOptions) -> Iterator[Board]:
    with Board(main=pair.main, remote=pair.remote, shares_memory=True) as board:
        board.hand_out(options)
        yield board


def console(board: Board) -> str:
    return board.consoles["remote"].output.decode()


# --- devices of ours


@pytest.mark.parametrize("waits", [True, False], ids=["time waits", "time goes on"])
def test_frames_of_the_emulated_core_come_back_from_another_process_and_nothing_is_found(
    firmware: Pairs, path: Path, waits: bool
) -> None:
    device = swapping()
    with serving(path, device) as server, bridged(firmware("net"), BridgeOptions(1, str(path), waits=waits)) as board:
        board.run(until="remote:bad", timeout="10 s")
        assert "net: 100 frames sent, 100 came back, 0 bad" in console(board)
        verdict = board.verdict()
        assert (verdict.exit_code, verdict.findings) == (0, ())
        assert len(device.sent) == 100
        rings = {each["ring"]: each for each in verdict.to_json()["traffic"]}
        assert rings["vdev[1].vring[1]"]["used"] == 100  # the judge sees these queues like any other
        with pytest.raises(UsageError, match="no snapshot of a board of which another process works a vdev"):
            board.snapshot()
        notes = [each["what"] for each in verdict.to_json()["notes"]]
        assert notes == [f"vdev[1] is worked by another process ({path}): a run with it does not repeat"]
    assert server.faults == []


def test_sectors_of_a_disk_in_another_process_are_read_and_written(firmware: Pairs, path: Path) -> None:
    data = random.Random(1).randbytes(40 * SECTOR)
    disk = bytearray(data)
    with serving(path, Block(disk)) as server, bridged(firmware("block"), BridgeOptions(1, str(path))) as board:
        board.run(until="remote:copied", timeout="10 s")
        assert "block: 16 sectors copied, 0 bad" in console(board)
        assert board.verdict().findings == ()
    assert disk[: 20 * SECTOR] == data[: 20 * SECTOR]
    assert disk[20 * SECTOR : 36 * SECTOR] == bytes(byte ^ 0xFF for byte in data[: 16 * SECTOR])
    assert server.faults == []


class Dying(Network):
    """Its process goes away after some frames."""

    def __init__(self, server: Callable[[], Server]) -> None:
        super().__init__()
        self.features |= MERGES
        self.on_frame = self._answer
        self._server = server

    def _answer(self, frame: bytes) -> bytes:
        if len(self.sent) == 10:
            self._server().stop()
        return frame[6:12] + frame[:6] + frame[12:]


@pytest.mark.parametrize("ends", [True, False], ids=["the run ends", "the board goes on"])
def test_a_peer_that_dies_in_the_middle_is_said_and_the_board_does_as_asked(
    firmware: Pairs, path: Path, ends: bool
) -> None:
    before = Descriptors()
    servers: list[Server] = []
    with (
        serving(path, Dying(lambda: servers[0])) as server,
        bridged(firmware("net"), BridgeOptions(1, str(path), if_lost=IfLost.END if ends else IfLost.GO_ON)) as board,
    ):
        servers.append(server)
        end = board.run(until="remote:bad", timeout="50 ms")
        (bridge,) = board.bridges
        assert isinstance(bridge.failure, VhostUserError)
        assert bridge.failure.rule == "vhost.peer-gone"
        assert end.reason is (EndReason.INTERRUPTED if ends else EndReason.TIMEOUT)
    assert before.left == (0, 0)


@pytest.mark.parametrize("waits", [True, False], ids=["time waits", "time goes on"])
def test_a_peer_that_comes_again_goes_on_with_what_it_has_not_given_back(
    firmware: Pairs, path: Path, waits: bool
) -> None:
    before = Descriptors()
    options = BridgeOptions(1, str(path), waits=waits, if_lost=IfLost.RECONNECT)
    servers: list[Server] = []
    with contextlib.ExitStack() as stack:
        servers.append(stack.enter_context(serving(path, Dying(lambda: servers[0]))))
        board = stack.enter_context(bridged(firmware("net"), options))

        def come_again() -> None:
            while servers[0].session is not None or not servers[0].served:
                time.sleep(0.001)
            servers[0].close()
            servers.append(stack.enter_context(serving(path, swapping())))

        other = threading.Thread(target=come_again)
        other.start()
        board.run(until="remote:bad", timeout="10 s")
        other.join()
        assert "net: 100 frames sent, 100 came back, 0 bad" in console(board)
        assert board.verdict().findings == ()
        (bridge,) = board.bridges
        assert (bridge.reconnections, bridge.failure) == (1, None)
        assert bridge.requests - bridge.answers == 8  # empty buffers
    assert [each.faults for each in servers] == [[], []]
    assert before.left == (0, 0)


def test_a_peer_that_does_not_come_again_is_lost(firmware: Pairs, path: Path) -> None:
    servers: list[Server] = []
    options = BridgeOptions(1, str(path), if_lost=IfLost.RECONNECT, timeout_s=0.2)
    with serving(path, Dying(lambda: servers[0])) as server, bridged(firmware("net"), options) as board:
        servers.append(server)
        server_path = Path(server.path)
        device = server.device
        assert isinstance(device, Network)
        device.on_frame = lambda frame: (server_path.unlink(missing_ok=True), server.stop())[0]  # nobody listens there
        end = board.run(until="remote:bad", timeout="50 ms")
        (bridge,) = board.bridges
        assert isinstance(bridge.failure, VhostUserError)
        assert bridge.failure.rule == "vhost.peer-gone"
        assert end.reason is EndReason.INTERRUPTED


def test_a_bridge_without_eventfds_carries_the_same(firmware: Pairs, path: Path) -> None:
    card = swapping()
    with serving(path, card) as server, bridged(firmware("net"), BridgeOptions(1, str(path), polls=True)) as board:
        board.run(until="remote:bad", timeout="10 s")
        assert "net: 100 frames sent, 100 came back, 0 bad" in console(board)
        assert board.verdict().findings == ()
        vrings = board.bridges[0].frontend.vrings.values()
        assert [(each.kicks, each.calls) for each in vrings] == [(0, 0)] * 2
    assert server.faults == []


def test_many_boards_leave_no_descriptor_and_no_mapping(firmware: Pairs, path: Path) -> None:
    pair = firmware("net")
    with serving(path, swapping()):
        before = Descriptors()
        for _ in range(3):
            with bridged(pair, BridgeOptions(1, str(path))) as board:
                board.run(until="remote:bad", timeout="10 s")
        assert before.left == (0, 0)


def test_what_cannot_be_handed_out_is_refused_before_anything_runs(firmware: Pairs, path: Path) -> None:
    pair = firmware("net")
    with pytest.raises(VhostUserError, match="nobody listens"), bridged(pair, BridgeOptions(1, str(path))):
        pass
    with (
        serving(path, swapping()),
        pytest.raises(UsageError, match=re.escape("no such vdev in the resource table: expected 0..1, found 7")),
        bridged(pair, BridgeOptions(7, str(path))),
    ):
        pass
    with (
        pytest.raises(CapabilityError, match="no memory that other processes can map"),
        Board(main=pair.main, remote=pair.remote, engine="unicorn-remote", shares_memory=True),
    ):
        pass


def test_features_that_the_firmware_accepted_and_the_back_end_lacks_are_not_offered_to_it(
    firmware: Pairs, path: Path
) -> None:
    """Without MRG_RXBUF the header has two bytes less, and both sides know."""
    device = swapping()
    device.features &= ~MERGES
    with serving(path, device), bridged(firmware("net"), BridgeOptions(1, str(path))) as board:
        board.run(until="remote:bad", timeout="10 s")
        assert "net: up, header of 10 bytes" in console(board)
        assert "net: 100 frames sent, 100 came back, 0 bad" in console(board)


def test_the_command_reports_and_its_exit_code_is_that_of_a_run(
    firmware: Pairs, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = firmware("net")
    command = ["bridge", "--vdev", "1", "--socket", str(path), str(pair.main), str(pair.remote)]
    with serving(path, swapping()), pytest.raises(SystemExit) as ended:
        main([*command, "--until", "remote:bad"])
    said = capsys.readouterr()
    assert ended.value.code == 0
    assert "RPTUN is up: no findings" in said.out
    assert "a run with it does not repeat" in said.out
    assert "200 answers" in said.err
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert "nobody listens" in capsys.readouterr().err


# --- programs of others


@contextlib.contextmanager
def forwarder(device: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """DPDK's packet forwarder, without huge pages and devices of this machine; it ends when its input does."""
    prefix = f"vh{os.getpid()}"
    command = ["dpdk-testpmd", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--file-prefix", prefix]
    command += ["-l", "0,1", "--vdev", device, "--", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def counted(process: subprocess.Popen[str]) -> dict[str, int]:
    """What it received and sent, once it has been told to end."""
    output, _ = process.communicate(timeout=120)
    return {way: int(count) for way, count in re.findall(r"([RT]X)-total: (\d+)", output)}


def appears(path: Path, process: subprocess.Popen[str]) -> bool:
    for _ in range(1200):
        if path.is_socket():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    return False


@pytest.mark.needs_command("dpdk-testpmd", "dpdk-dev")
@pytest.mark.usefixtures("two_processors")
def test_dpdk_swaps_the_addresses_of_the_emulated_cores_frames_and_loses_none(firmware: Pairs, path: Path) -> None:
    options = ("--forward-mode=macswap", "--auto-start", "--no-flush-rx", "--total-num-mbufs=1025")
    with forwarder(f"net_vhost0,iface={path},queues=1", *options) as process:
        assert appears(path, process), process.communicate()[0]
        with bridged(firmware("net"), BridgeOptions(1, str(path))) as board:
            board.run(until="remote:bad", timeout="100 s")
            board.consoles["remote"].write(b"again 9900\n")
            board.run(until="remote:bad", timeout="100 s")
            assert "net: 10000 frames sent, 10000 came back, 0 bad" in console(board)
            assert board.verdict().findings == ()
        assert counted(process)["RX"] == 10_000


@pytest.mark.needs_command("dpdk-testpmd", "dpdk-dev")
@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize("ring", ["", ",packed_vq=1"], ids=["split", "packed"])
@pytest.mark.parametrize("polls", [False, True], ids=["kicks", "polls"])
def test_dpdk_as_front_end_counts_the_frames_that_our_device_counts(path: Path, ring: str, polls: bool) -> None:
    """It comes twice: the second time to the same device, with everything anew."""
    frames = 0

    def answer(frame: bytes) -> bytes:
        nonlocal frames
        frames += 1
        return frame

    device = Network()
    device.on_frame = answer
    options = ("--forward-mode=io", "--auto-start", "--tx-first", "--total-num-mbufs=2048")
    with serving(path, device, polls=polls) as server:
        for _ in range(2):
            begin = frames
            with forwarder(f"net_virtio_user0,path={path},queues=1,queue_size=64{ring}", *options) as process:
                deadline = time.monotonic() + 60
                while frames < begin + 1000 and time.monotonic() < deadline:
                    time.sleep(0.01)
                ours = counted(process)
            assert frames - begin >= 1000
            assert ours["TX"] == frames - begin
            assert ours["TX"] - ours["RX"] <= 64  # under way when it stopped: what the ring holds
    assert (server.served, server.faults) == (2, [])


@pytest.mark.needs_command("dpdk-testpmd", "dpdk-dev")
@pytest.mark.usefixtures("two_processors")
def test_a_switch_joins_firmware_and_testpmd(firmware: Pairs, path: Path) -> None:
    """Frames of the emulated core, its device in Python, by a switch to DPDK, which exchanges their addresses."""
    inside, outside = Network(), Network()
    inside.features |= MERGES
    Switch(inside, outside)
    options = ("--forward-mode=macswap", "--auto-start", "--no-flush-rx", "--total-num-mbufs=2048")
    with Board(remote=firmware("net").remote) as board, serving(path, outside) as server:
        board.host.put_device(1, inside)
        with forwarder(f"net_virtio_user0,path={path},queues=1,queue_size=64", *options) as process:
            deadline = time.monotonic() + 60
            while "bad" not in console(board) and time.monotonic() < deadline:
                board.run(timeout="1 ms")
            theirs = counted(process)
        assert "net: 100 frames sent, 100 came back, 0 bad" in console(board)
    assert (theirs["RX"], theirs["TX"]) == (100, 100)
    assert server.faults == []


@pytest.mark.needs_command("qemu-storage-daemon", "qemu-system-common")
def test_sectors_of_an_image_of_qemus_storage_daemon_are_read_and_written(firmware: Pairs, path: Path) -> None:
    image = path.parent / "disk.img"
    data = random.Random(2).randbytes(200 * SECTOR)
    image.write_bytes(data)
    export = f"type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={path},writable=on"
    command = ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=disk,filename={image}", "--export", export]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert appears(path, process), process.communicate()[0]
        with bridged(firmware("block"), BridgeOptions(1, str(path))) as board:
            board.run(until="remote:copied", timeout="100 s")
            assert "block: up, 200 sectors" in console(board)
            assert "block: 16 sectors copied, 0 bad" in console(board)
            assert board.verdict().findings == ()
    finally:
        process.terminate()
        process.communicate()
    now = image.read_bytes()
    inverted = bytes(byte ^ 0xFF for byte in data[: 16 * SECTOR])
    assert now == data[: 100 * SECTOR] + inverted + data[116 * SECTOR :]


# --- QEMU's machines as front-ends

GUEST = Path(__file__).resolve().parents[1] / "support" / "guest"
GUEST_LAYOUT = """ENTRY(_start)
SECTIONS { . = 0x40010000; .text : { *(.start) *(.text*) *(.rodata*) } .bss : { *(.data*) *(.bss*) }
    /DISCARD/ : { *(.ARM*) } }
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare program for QEMU's Arm "virt" machine."""
    folder = tmp_path_factory.mktemp("guest")
    code, layout, elf = folder / "guest.o", folder / "guest.ld", folder / "guest.elf"
    layout.write_text(GUEST_LAYOUT)
    target = ["-target", "arm-freestanding-eabi", "-mcpu=cortex_a15", "-marm", "-ffreestanding", "-fno-builtin", "-O1"]
    zig = [sys.executable, "-m", "ziglang"]
    subprocess.run([*zig, "cc", *target, "-Wall", "-Werror", "-c", GUEST / "guest.c", "-o", code], check=True)
    subprocess.run([*zig, "ld.lld", "-m", "armelf", "-T", layout, code, "-o", elf], check=True)
    return elf


def booted(guest: Path, path: Path, *device: str) -> str:
    """What a guest with this device, and no other, says."""
    command = ["qemu-system-arm", "-M", "virt,memory-backend=mem", "-cpu", "cortex-a15", "-m", "16M", "-nodefaults"]
    command += ["-object", "memory-backend-memfd,id=mem,size=16M,share=on", "-chardev", f"socket,id=c,path={path}"]
    command += ["-global", "virtio-mmio.force-legacy=false", "-display", "none", "-monitor", "none", "-serial", "stdio"]
    command += ["-semihosting", "-kernel", str(guest), *device]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
def test_frames_of_a_guest_of_qemu_come_back_from_our_card(guest: Path, path: Path) -> None:
    before = Descriptors()
    card = Network()
    card.on_frame = lambda frame: frame[6:12] + frame[:6] + frame[12:]
    with serving(path, card) as server:
        for _ in range(2):  # it comes again
            said = booted(guest, path, "-netdev", "vhost-user,id=n,chardev=c", "-device", "virtio-net-device,netdev=n")
            assert said == "frames good 200\n"
    assert (server.served, server.faults, len(card.sent)) == (2, [], 400)
    assert before.left == (0, 0)


@pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
def test_a_guest_of_qemu_reads_and_writes_our_disk(guest: Path, path: Path) -> None:
    data = random.Random(3).randbytes(128 * SECTOR)
    disk = bytearray(data)
    with serving(path, Block(disk)) as server:
        assert booted(guest, path, "-device", "vhost-user-blk,chardev=c,num-queues=1") == "requests good 32\n"
    assert server.faults == []
    assert disk[: 64 * SECTOR] == data[: 64 * SECTOR]
    assert disk[64 * SECTOR : 80 * SECTOR] == bytes(byte ^ 0xFF for byte in data[: 16 * SECTOR])
    assert disk[80 * SECTOR :] == data[80 * SECTOR :]
