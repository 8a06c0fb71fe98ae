"""RPMsg from one side: messages over a pair of virtqueues, the name service, and endpoints as Python objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import Duration
from orchestrator.base.errors import HostError, RptwinError, UsageError
from orchestrator.base.memory import Extent, Memory
from orchestrator.formats.rpmsg import (
    ADDRESS_FIRST_DYNAMIC,
    ADDRESS_NAME_SERVICE,
    Message,
    NameServiceFlag,
    NameServiceMessage,
    RpmsgHeader,
    decode_message,
)
from orchestrator.virtqueue import Heap, Segment, SplitDevice, SplitDriver

__all__ = ["Buffers", "DeviceTransport", "DriverTransport", "Endpoint", "Link", "Transport", "Waiter"]

MAX_KEPT = 65_536  # messages that an endpoint keeps for somebody to fetch; the oldest go first

Waiter = Callable[[Callable[[], bool], Duration], bool]
"""Runs the board until something is so, for at most this much virtual time; whether it became so."""


class Transport(Protocol):
    """Buffers of messages, in both directions."""

    max_payload: int  # bytes, of a message that is sent

    def transmit(self, data: bytes) -> bool:
        """Send a message whole; False when no buffer is free."""
        ...

    def receive(self) -> bytes | None:
        """The next message that came, its buffer given back; None when there is none."""
        ...

    def want_buffers(self, wanted: bool) -> None:
        """Whether the other side is to tell when a buffer to send in is free again."""
        ...

    def rings_to_ring(self) -> tuple[int, ...]:
        """Indices of the vrings whose other side wants to hear of what was done since the last call."""
        ...

    def close(self) -> None:
        """Give back all memory."""
        ...


@dataclass(frozen=True, slots=True)
class Buffers:
    """Of one direction: bytes of each, and where they lie one after the other, unless they come from the heap."""

    size: int
    at: int | None = None


class DriverTransport:
    """The driver's side: it owns the buffers of both directions, which it takes from the vdev's heap.

    :class:`HostError` when the heap has no room for them, or when they lie in no memory. ``receive`` is vring 0,
    ``send`` vring 1.
    """

    def __init__(
        self,
        memory: Memory,
        heap: Heap,
        receive: SplitDriver,
        send: SplitDriver,
        receive_buffers: Buffers,
        send_buffers: Buffers,
    ) -> None:
        self._memory = memory
        self._heap = heap
        self._receive = receive
        self._send = send
        self._receive_size = receive_buffers.size
        self.max_payload = send_buffers.size - RpmsgHeader.size
        self._buffers: list[int] = []  # of the heap
        for address in self._addresses(receive, receive_buffers):
            self._offer(address)
        self._idle = self._addresses(send, send_buffers)
        send.want_notifications(False)  # what comes back is collected at the next send

    def _addresses(self, queue: SplitDriver, buffers: Buffers) -> list[int]:
        count, size, start = queue.layout.num, buffers.size, buffers.at
        if start is None:
            return [self._allocate(size, f"{queue.name} buffer") for _ in range(count)]
        try:
            self._memory.read(start, count * size)
        except RptwinError as error:
            self.close()
            found = f"{Extent(start, count * size)}, {error.what}"
            raise HostError("no memory where the buffers are to lie", where=queue.name, found=found) from None
        return [start + number * size for number in range(count)]

    def _allocate(self, size: int, label: str) -> int:
        address = self._heap.allocate(size, label)
        if address is None:
            self.close()
            raise HostError(
                "no room for buffers",
                where=label,
                expected=f"{size} bytes each",
                found=f"a heap with {self._heap.report()}",
                advice="enlarge the vdev's carveout, or use fewer or smaller buffers",
            )
        self._buffers.append(address)
        return address

    def _offer(self, address: int) -> None:
        self._receive.offer([Segment(address, self._receive_size, is_writable=True)], address)

    def transmit(self, data: bytes) -> bool:
        while (back := self._send.pop()) is not None:
            assert isinstance(back.token, int)
            self._idle.append(back.token)
        if not self._idle:
            return False
        address = self._idle[-1]
        self._memory.write(address, data)
        if not self._send.offer([Segment(address, len(data))], address):
            return False
        self._idle.pop()
        return True

    def receive(self) -> bytes | None:
        back = self._receive.pop()
        if back is None:
            return None
        assert isinstance(back.token, int)
        # Some devices report the whole buffer as used: the message's own header says how long it is.
        data = self._memory.read(back.token, min(back.length, self._receive_size))
        self._offer(back.token)
        return data

    def rings_to_ring(self) -> tuple[int, ...]:
        asked = (self._receive.should_notify(), self._send.should_notify())
        return tuple(index for index, wanted in enumerate(asked) if wanted)

    def want_buffers(self, wanted: bool) -> None:
        self._send.want_notifications(wanted)

    def close(self) -> None:
        for address in self._buffers:
            self._heap.free(address)
        self._buffers.clear()


class DeviceTransport:
    """The device's side: it fills the driver's buffers. ``send`` is vring 0, ``receive`` vring 1."""

    def __init__(self, send: SplitDevice, receive: SplitDevice, send_size: int) -> None:
        self._send = send
        self._receive = receive
        self.max_payload = send_size - RpmsgHeader.size
        send.want_notifications(False)  # only while a message waits for a buffer

    def transmit(self, data: bytes) -> bool:
        chain = self._send.take()
        if chain is None:
            return False
        self._send.give_back(chain, chain.write(data))
        return True

    def receive(self) -> bytes | None:
        chain = self._receive.take()
        if chain is None:
            return None
        data = chain.read()
        self._receive.give_back(chain)
        return data

    def want_buffers(self, wanted: bool) -> None:
        self._send.want_notifications(wanted)

    def rings_to_ring(self) -> tuple[int, ...]:
        asked = (self._send.should_notify(), self._receive.should_notify())
        return tuple(index for index, wanted in enumerate(asked) if wanted)

    def close(self) -> None:
        """The memory is the driver's."""


class Endpoint:
    """A named address of this side, bound to one of the other: ``send`` and ``receive`` messages.

    Both may be called between runs; what is sent goes out in this side's next turn. ``on_message`` answers at once, in
    the turn in which a message comes: what it returns is sent back.
    """

    def __init__(
        self,
        link: Link,
        name: str,
        address: int,
        peer: int | None,
        on_message: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.peer = peer  # None: nobody has bound to it yet
        self.on_message = on_message
        self.received = 0  # messages, ever
        self._link = link
        self._inbox: deque[bytes] = deque(maxlen=MAX_KEPT)

    @property
    def max_payload(self) -> int:
        """Bytes of the longest message."""
        return self._link.transport.max_payload

    def send(self, data: bytes) -> None:
        """Queue a message until a buffer is free. UsageError when it is too long or nobody is bound."""
        if self.peer is None:
            raise UsageError("nobody has bound to this endpoint", where=self.name)
        self._link.send(self.address, self.peer, data)

    def receive(self, timeout: Duration = "100 ms") -> bytes:
        """The next message, for which the board runs if it has to; HostError after this much virtual time."""
        if not self._inbox and not self._link.wait(lambda: bool(self._inbox), timeout):
            raise HostError("no message came", where=f"endpoint {self.name}", expected=f"one within {timeout}")
        return self._inbox.popleft()

    @property
    def waiting(self) -> int:
        """Messages that came and were not fetched."""
        return len(self._inbox)

    def take(self, source: int, data: bytes) -> None:
        """A message came."""
        self.received += 1
        if self.peer is None:
            self.peer = source
        if self.on_message is None:
            self._inbox.append(data)
            return
        answer = self.on_message(data)
        if answer is not None:
            self._link.send(self.address, source, answer)


class Link:
    """One RPMsg vdev from one side: its endpoints, the other side's names, and messages on their way out."""

    def __init__(
        self,
        path: str,
        transport: Transport,
        wait: Waiter,
        wake: Callable[[], None],
        *,
        ack: bool,
        cores: tuple[str, str] = ("", ""),
    ) -> None:
        self.path = path
        self.own_core, self.peer_core = cores  # as NuttX names them, where CPUNAME was negotiated
        self.transport = transport
        self.wait = wait
        self.endpoints: dict[int, Endpoint] = {}
        self.names: dict[str, int] = {}  # announced by the other side
        self.sent = self.received = self.dropped = 0
        self.exhausted = 0  # how often a message had to wait for a buffer
        self._is_starved = False
        self._wake = wake
        self._ack = ack
        self._outbox: deque[tuple[int, int, bytes]] = deque()

    @property
    def queued(self) -> int:
        """Messages that wait for a buffer."""
        return len(self._outbox)

    def bind(self, name: str, on_message: Callable[[bytes], bytes | None] | None = None) -> Endpoint:
        """An endpoint of ours for a name that the other side announced."""
        known = next((e for e in self.endpoints.values() if e.name == name and e.peer == self.names[name]), None)
        if known is not None:
            return known
        endpoint = self._new(name, self.names[name], on_message)
        if self._ack:
            self._notify(endpoint, NameServiceFlag.ACK)
        return endpoint

    def announce(self, name: str, on_message: Callable[[bytes], bytes | None] | None = None) -> Endpoint:
        """An endpoint of ours that the other side is told of."""
        if not 1 <= len(name.encode()) <= 31:
            raise UsageError("no name for an endpoint", expected="1 to 31 bytes", found=repr(name))
        endpoint = self._new(name, None, on_message)
        self._notify(endpoint, NameServiceFlag.CREATE)
        return endpoint

    def withdraw(self, endpoint: Endpoint) -> None:
        """Take an announced endpoint away again."""
        self.endpoints.pop(endpoint.address, None)
        self._notify(endpoint, NameServiceFlag.DESTROY)

    def _new(self, name: str, peer: int | None, on_message: Callable[[bytes], bytes | None] | None) -> Endpoint:
        address = next(a for a in range(ADDRESS_FIRST_DYNAMIC, 1 << 32) if a not in self.endpoints)
        endpoint = self.endpoints[address] = Endpoint(self, name, address, peer, on_message)
        return endpoint

    def _notify(self, endpoint: Endpoint, kind: NameServiceFlag) -> None:
        notice = NameServiceMessage(endpoint.name.encode().ljust(32, b"\0"), endpoint.address, kind)
        self.send(endpoint.address, ADDRESS_NAME_SERVICE, notice.pack())

    def send(self, source: int, destination: int, data: bytes) -> None:
        """Queue a message."""
        if len(data) > self.transport.max_payload:
            raise UsageError(
                "the message does not fit a buffer",
                where=self.path,
                expected=f"at most {self.transport.max_payload} bytes",
                found=len(data),
            )
        self._outbox.append((source, destination, bytes(data)))
        self._wake()

    def poll(self) -> tuple[int, ...]:
        """Take what came, send what can go; the vrings that the other side is to be told of."""
        while (data := self.transport.receive()) is not None:
            self._take(data)
        while self._outbox:
            source, destination, payload = self._outbox[0]
            header = RpmsgHeader(source, destination, 0, len(payload), 0)
            if not self._transmit(header.pack() + payload):
                break
            self._outbox.popleft()
            self.sent += 1
        return self.transport.rings_to_ring()

    def _transmit(self, data: bytes) -> bool:
        """Send, or ask to be told of the next free buffer; one may have come free before the request was seen."""
        if self.transport.transmit(data):
            if self._is_starved:
                self._is_starved = False
                self.transport.want_buffers(False)
            return True
        if not self._is_starved:
            self._is_starved = True
            self.exhausted += 1
            self.transport.want_buffers(True)
            return self._transmit(data)
        return False

    def _take(self, data: bytes) -> None:
        self.received += 1
        try:
            message = decode_message(data)
            if message.header.dst == ADDRESS_NAME_SERVICE:
                self._hear(message)
                return
        except RptwinError:
            self.dropped += 1  # the observer says what is wrong with it
            return
        endpoint = self.endpoints.get(message.header.dst)
        if endpoint is None:
            self.dropped += 1
            return
        endpoint.take(message.header.src, message.payload)

    def _hear(self, message: Message) -> None:
        notice = message.name_service()
        assert notice is not None
        kind, name = notice.kind, notice.text
        own = next((each for each in self.endpoints.values() if each.name == name), None)
        if kind is NameServiceFlag.DESTROY:
            self.names.pop(name, None)
            if own is not None:
                own.peer = None
            return
        if kind is NameServiceFlag.CREATE:
            self.names[name] = notice.addr
        if own is not None:
            own.peer = notice.addr
