"""RPMsg: the header of each message, the name service, and who is reachable under which address.

Sources: Linux ``drivers/rpmsg/rpmsg_internal.h`` and ``rpmsg_ns.h``; OpenAMP ``rpmsg_internal.h``; NuttX's
acknowledged announcements.
"""

from __future__ import annotations

from dataclasses import field, replace
from enum import IntEnum
from functools import lru_cache

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RpmsgError
from orchestrator.formats.layout import Structure, layout

__all__ = [
    "ADDRESS_FIRST_DYNAMIC",
    "ADDRESS_NAME_SERVICE",
    "MAX_ENDPOINTS",
    "Endpoint",
    "EndpointChange",
    "EndpointTracker",
    "Message",
    "NameServiceFlag",
    "NameServiceMessage",
    "RpmsgHeader",
    "decode_message",
]

ADDRESS_NAME_SERVICE = 53
ADDRESS_FIRST_DYNAMIC = 1024
MAX_ENDPOINTS = 4096  # announced at one time; more is a firmware that lost count, and would fill this process


class NameServiceFlag(IntEnum):
    """The ``flags`` word of a name-service message, an enumeration despite its name."""

    CREATE = 0
    DESTROY = 1
    ACK = 2  # NuttX: the receiver of a CREATE has bound its own endpoint


@layout("<3I2H")
class RpmsgHeader(Structure):
    """What precedes each payload (struct rpmsg_hdr)."""

    src: int
    dst: int
    reserved: int
    len: int  # bytes of payload
    flags: int


@layout("<32s2I")
class NameServiceMessage(Structure):
    """An endpoint's announcement (struct rpmsg_ns_msg), the payload of a message to address 53."""

    name: bytes
    addr: int
    flags: int

    @property
    def text(self) -> str:
        """The name up to its first NUL, or all 32 bytes where there is none; odd bytes as ``\\xNN``."""
        return self.name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    @property
    def is_terminated(self) -> bool:
        """False: the name fills its 32 bytes, or runs into what follows in a careless reader."""
        return b"\0" in self.name

    @property
    def kind(self) -> NameServiceFlag:
        """:class:`RpmsgError` when the flags are none that Linux, OpenAMP or NuttX sends."""
        try:
            return NameServiceFlag(self.flags)
        except ValueError:
            raise RpmsgError(
                "unknown name-service flags",
                rule="rpmsg.ns-flags",
                where=f"endpoint {self.text!r}",
                expected="0 create, 1 destroy or 2 ack",
                found=f"{self.flags:#x}",
            ) from None


@dataclass(frozen=True, slots=True)
class Message:
    """One RPMsg message; ``payload`` has the length that the header says."""

    header: RpmsgHeader
    payload: bytes

    def name_service(self) -> NameServiceMessage | None:
        """The announcement in it; None for any other message, :class:`RpmsgError` for one of the wrong size."""
        if self.header.dst != ADDRESS_NAME_SERVICE:
            return None
        if len(self.payload) != NameServiceMessage.size:
            raise RpmsgError(
                "name-service message of the wrong size",
                rule="rpmsg.ns-size",
                where=f"message from {self.header.src} to {self.header.dst}",
                expected=f"{NameServiceMessage.size} bytes",
                found=f"{len(self.payload)} bytes",
            )
        return NameServiceMessage.unpack_from(self.payload)


@lru_cache(maxsize=1024)
def _header(data: bytes) -> RpmsgHeader:
    """A header by its bytes: two endpoints send the same few again and again."""
    return RpmsgHeader.unpack_from(data)


def decode_message(data: bytes, *, where: str | None = None) -> Message:
    """The message at the start of a buffer; the header's ``len`` counts, not how much of the buffer was reported used.

    :class:`RpmsgError` ``rpmsg.truncated`` or ``rpmsg.length``; ``where`` names the buffer in it.
    """
    if len(data) < RpmsgHeader.size:
        raise RpmsgError(
            "too short for an RPMsg header",
            rule="rpmsg.truncated",
            where=where,
            expected=f"at least {RpmsgHeader.size} bytes",
            found=f"{len(data)} bytes",
        )
    header = _header(bytes(data[: RpmsgHeader.size]))
    room = len(data) - RpmsgHeader.size
    if header.len > room:
        raise RpmsgError(
            "message is longer than its buffer",
            rule="rpmsg.length",
            where=where,
            expected=f"len <= {room}",
            found=header.len,
        )
    return Message(header, bytes(data[RpmsgHeader.size : RpmsgHeader.size + header.len]))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A name that one side announced."""

    side: str  # who announced it
    name: str
    address: int
    acknowledged: bool = False  # the other side confirmed its binding (NuttX)


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What one name-service message did; ``before`` is the endpoint that it replaced, destroyed or acknowledged."""

    kind: NameServiceFlag
    after: Endpoint | None
    before: Endpoint | None

    @property
    def is_unexpected(self) -> bool:
        """A destruction or an acknowledgement of what nobody had announced, or an announcement made twice."""
        return (self.before is None) is not (self.kind is NameServiceFlag.CREATE)


@dataclass(slots=True)
class EndpointTracker:
    """Names to addresses, per side, as the name service told them; sides are any two distinct names."""

    sides: tuple[str, str]
    _live: dict[tuple[str, str], Endpoint] = field(default_factory=dict)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those that exist now, in the order of their announcement."""
        return tuple(self._live.values())

    def find(self, side: str, name: str) -> Endpoint | None:
        """A side's endpoint by name."""
        return self._live.get((side, name))

    def at(self, side: str, address: int) -> Endpoint | None:
        """The endpoint of a side at an address; the latest where several claim it."""
        return next((e for e in reversed(self._live.values()) if e.side == side and e.address == address), None)

    def observe(self, sender: str, message: Message) -> EndpointChange | None:
        """Learn from a message that one side sent; None when it is no name-service message.

        :class:`RpmsgError` for a malformed one, and ``rpmsg.too-many-endpoints``.
        """
        notice = message.name_service()
        if notice is None:
            return None
        kind = notice.kind
        if kind is NameServiceFlag.CREATE:
            return self._create(sender, notice)
        if kind is NameServiceFlag.DESTROY:
            return EndpointChange(kind, None, self._live.pop((sender, notice.text), None))
        return self._acknowledge(sender, notice)

    def _create(self, sender: str, notice: NameServiceMessage) -> EndpointChange:
        before = self._live.pop((sender, notice.text), None)
        after = self._keep(Endpoint(sender, notice.text, notice.addr))
        return EndpointChange(NameServiceFlag.CREATE, after, before)

    def _acknowledge(self, sender: str, notice: NameServiceMessage) -> EndpointChange:
        """The acknowledgement carries the address of the endpoint that its sender bound."""
        peer = self.sides[1] if sender == self.sides[0] else self.sides[0]
        before = self._live.get((peer, notice.text))
        if before is None:
            return EndpointChange(NameServiceFlag.ACK, None, None)
        if (sender, notice.text) not in self._live:
            self._keep(Endpoint(sender, notice.text, notice.addr))
        return EndpointChange(NameServiceFlag.ACK, self._keep(replace(before, acknowledged=True)), before)

    def _keep(self, endpoint: Endpoint) -> Endpoint:
        key = endpoint.side, endpoint.name
        if key not in self._live and len(self._live) >= MAX_ENDPOINTS:
            raise RpmsgError(
                "too many endpoints announced",
                rule="rpmsg.too-many-endpoints",
                where=f"{endpoint.side}: {endpoint.name!r}",
                expected=f"at most {MAX_ENDPOINTS}",
            )
        self._live[key] = endpoint
        return endpoint
