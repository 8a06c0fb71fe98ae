"""A gdb server's memory: read through servers that work, and through some that are dead, slow or lie."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from orchestrator.attach.gdb import GdbAddress, GdbMemory
from orchestrator.base.errors import AttachError, TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.formats.gdb_packets import PacketReader, Signal, frame

BASE, SIZE = 0x2000_0000, 0x1000
CONTENT = bytes(index * 7 % 256 for index in range(SIZE))
PATIENCE_S = 0.5
LONG_S = 20.0  # no test that waits for a patience takes as long

Answer = Callable[[bytes], bytes]  # of a request: raw bytes to send


def healthy(request: bytes) -> bytes:
    if request.startswith(b"qSupported"):
        return frame(b"PacketSize=200;swbreak+")
    if request == b"?":
        return frame(b"T05thread:01;")
    if request == b"D":
        return frame(b"OK")
    address, length = (int(each, 16) for each in request[1:].split(b","))
    offset = address - BASE
    return frame(CONTENT[offset : offset + length].hex().encode() if 0 <= offset <= SIZE - length else b"E0e")


class Server:
    """Answers as it is told; ``asked`` has the requests."""

    def __init__(self, answer: Answer, greeting: bytes = b"") -> None:
        self.asked: list[bytes] = []
        self._answer, self._greeting = answer, greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = GdbAddress("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        reader = PacketReader()
        try:
            client.sendall(self._greeting)
            while data := client.recv(4096):
                for each in reader.feed(data):
                    if isinstance(each, bytes):
                        self.asked.append(each)
                    if isinstance(each, bytes) or each is Signal.DAMAGED:
                        client.sendall(b"+" + self._answer(self.asked[-1]))
        except (OSError, EOFError):
            return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(answer: Answer = healthy, greeting: bytes = b"") -> Server:
        servers.append(Server(answer, greeting))
        return servers[-1]

    yield start
    for each in servers:
        each.close()


def instead(**answers: bytes) -> Answer:
    """A healthy server, but for the answers to requests that begin with these letters."""

    def answer(request: bytes) -> bytes:
        return next((raw for start, raw in answers.items() if request.startswith(start.encode())), None) or healthy(
            request
        )

    return answer


def read(server: Server, address: int = BASE, size: int = 16) -> bytes:
    with GdbMemory("main", server.address, PATIENCE_S) as memory:
        return memory.read(address, size)


@pytest.mark.parametrize(("offset", "size"), [(0, 1), (3, 5), (60, 8), (0, SIZE), (1000, 2000)])
def test_memory_reads_as_it_is_whatever_the_pieces(serve, offset: int, size: int) -> None:
    assert read(serve(), BASE + offset, size) == CONTENT[offset : offset + size]


def test_leaving_lets_the_core_go_on_and_nothing_was_written(serve) -> None:
    server = serve()
    read(server)
    assert server.asked[-1] == b"D"
    assert {each[:1] for each in server.asked} == {b"q", b"?", b"m", b"D"}


def test_what_was_read_is_not_asked_for_again_until_the_next_look(serve) -> None:
    server = serve()
    memory = GdbMemory("main", server.address, PATIENCE_S)
    for looks in (1, 2):
        with memory:
            assert memory.read(BASE, 8) + memory.read(BASE + 8, 8) == CONTENT[:16]
        assert sum(each[:1] == b"m" for each in server.asked) == looks


def test_where_the_server_has_nothing_the_address_is_named_and_the_rest_can_be_read(serve) -> None:
    with GdbMemory("main", serve().address, PATIENCE_S) as memory:
        with pytest.raises(TranslationError, match=f"main at {BASE + SIZE:#010x}"):
            memory.read(BASE + SIZE - 100, 200)
        assert memory.read(BASE + SIZE - 64, 64) == CONTENT[-64:]


def test_devices_are_not_read_without_a_platform_and_nothing_but_its_memories_with_one(serve) -> None:
    server = serve()
    with GdbMemory("main", server.address, PATIENCE_S) as memory, pytest.raises(TranslationError, match="devices"):
        memory.read(0x4000_4404, 4)
    known = (Extent(BASE, 0x100), Extent(BASE + 0x100, 0x100))
    with GdbMemory("main", server.address, PATIENCE_S, known) as memory:
        assert memory.read(BASE + 0xF8, 16) == CONTENT[0xF8:0x108]
        with pytest.raises(TranslationError, match="0x20000200"):
            memory.read(BASE + 0x1F8, 16)
    assert not any(each.startswith(b"m4") for each in server.asked)


def test_it_is_never_written() -> None:
    with pytest.raises(TranslationError, match="only read"):
        GdbMemory("main", GdbAddress("127.0.0.1", 1), PATIENCE_S).write(BASE, b"x")


def test_repeated_characters_are_expanded(serve) -> None:
    assert read(serve(instead(m=frame(b"0*~0*90"))), size=64) == bytes(64)


def test_what_a_server_says_by_itself_is_passed_over(serve) -> None:
    chatty = frame(b"O48690a") + frame(b"T05thread:01;")
    server = serve(instead(m20000000=chatty + healthy(b"m20000000,40")), greeting=frame(b"T02thread:01;"))
    assert read(server) == CONTENT[:16]


def test_a_damaged_answer_is_asked_for_again(serve) -> None:
    damaged = iter([True])

    def answer(request: bytes) -> bytes:
        whole = healthy(request)
        return whole[:-2] + b"!!" if request[:1] == b"m" and next(damaged, False) else whole

    assert read(serve(answer)) == CONTENT[:16]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"q": b" "}, "does not answer within 0.5 s"),
        ({"m": b" "}, "does not answer within 0.5 s"),
        ({"m": frame(b"zz")}, "no memory in its answer"),
        ({"m": frame(b"0011")}, "no memory in its answer for 0x20000000: expected 64 bytes, found '0011'"),
        ({"m": frame(b"")}, "no memory in its answer"),
        ({"m": b"$00#00"}, "damaged"),
        ({"m": b"$" + b"0" * 100_000}, "d"),
        ({"?": frame(b"OK")}, "is not halted"),
    ],
)
def test_a_server_that_is_silent_or_lies_is_an_error_in_time(serve, answers: dict[str, bytes], says: str) -> None:
    server = serve(instead(**answers))
    begin = time.monotonic()
    with pytest.raises(AttachError) as caught:
        read(server)
    assert str(server.address) in str(caught.value)
    assert says in str(caught.value)
    assert time.monotonic() - begin < LONG_S


def test_chatter_without_end_is_no_answer(serve) -> None:
    def answer(request: bytes) -> bytes:
        time.sleep(0.05)
        return healthy(request) if request[:1] != b"m" else frame(b"O41") * 3

    def forever(request: bytes) -> bytes:
        if request[:1] == b"m":
            raise EOFError
        return healthy(request)

    with pytest.raises(AttachError, match="does not answer"):
        read(serve(answer))
    with pytest.raises(AttachError, match=r"hung up|has gone"):
        read(serve(forever))


def test_after_a_failure_every_read_fails_alike_and_at_once(serve) -> None:
    with GdbMemory("main", serve(instead(m=b" ")).address, PATIENCE_S) as memory:
        for _ in range(100):
            with pytest.raises(AttachError, match="does not answer"):
                memory.read(BASE, 4)


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(AttachError, match=f"127.0.0.1:{port}: cannot connect"):
        GdbMemory("main", GdbAddress("127.0.0.1", port), PATIENCE_S).__enter__()


@pytest.mark.parametrize("text", ["", "3333", "localhost", "localhost:", "localhost:0", "host:99999", "a:b:1", ":1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        GdbAddress.parse(text)


def test_addresses_are_read() -> None:
    assert GdbAddress.parse("board.local:3333") == GdbAddress("board.local", 3333)
    assert GdbAddress.parse("[::1]:1") == GdbAddress("::1", 1)
