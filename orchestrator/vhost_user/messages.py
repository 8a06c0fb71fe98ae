"""What goes over a vhost-user socket: requests, their payloads and how many descriptors each carries.

Source: QEMU ``docs/interop/vhost-user.rst`` ("Message Specification"). Integers are of the machine's byte order, here
always little-endian. A message is a header and its payload, sent in one piece with its descriptors.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import VhostUserError
from orchestrator.formats.layout import Structure, layout

__all__ = [
    "CONFIG_MAX",
    "DESCRIPTORS_MAX",
    "FEATURE_LOG_ALL",
    "FEATURE_PROTOCOL_FEATURES",
    "NO_DESCRIPTOR",
    "PAYLOAD_MAX",
    "REGIONS_MAX",
    "VERSION",
    "ConfigHead",
    "Header",
    "HeaderFlag",
    "LogBase",
    "Message",
    "ProtocolFeature",
    "RegionEntry",
    "Request",
    "VringAddress",
    "VringState",
    "config_payload",
    "decode_config",
    "decode_header",
    "decode_regions",
    "decode_single_region",
    "decode_u64",
    "encode",
    "region_payload",
    "regions_payload",
    "u64_payload",
]

VERSION = 1
REGIONS_MAX = 8  # of one SET_MEM_TABLE (VHOST_MEMORY_BASELINE_NREGIONS)
DESCRIPTORS_MAX = 8  # of one message
CONFIG_MAX = 256  # bytes of a device's config space (VHOST_USER_MAX_CONFIG_SIZE)
PAYLOAD_MAX = 4096  # bytes; the largest that is defined has 276
NO_DESCRIPTOR = 1 << 8  # of SET_VRING_KICK, _CALL and _ERR: none comes with it

FEATURE_LOG_ALL = 1 << 26  # VHOST_F_LOG_ALL: writes are noted in the dirty log
FEATURE_PROTOCOL_FEATURES = 1 << 30  # VHOST_USER_F_PROTOCOL_FEATURES


class Request(IntEnum):
    """What a front-end asks for (VhostUserRequest); those that rptwin knows."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    NET_SET_MTU = 20
    GET_CONFIG = 24
    SET_CONFIG = 25
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40


class ProtocolFeature(IntFlag):
    """Bits of GET_PROTOCOL_FEATURES."""

    MQ = 1 << 0
    LOG_SHMFD = 1 << 1
    RARP = 1 << 2
    REPLY_ACK = 1 << 3
    MTU = 1 << 4
    CONFIG = 1 << 9
    CONFIGURE_MEM_SLOTS = 1 << 15
    STATUS = 1 << 16


class HeaderFlag(IntFlag):
    """``flags`` of a header; the two lowest bits are the version."""

    REPLY = 1 << 2
    NEED_REPLY = 1 << 3


_VERSION_MASK = 3


@layout("<3I")
class Header(Structure):
    """In front of every message (struct VhostUserHeader)."""

    request: int
    flags: int
    payload_size: int  # bytes that follow

    @property
    def is_reply(self) -> bool:
        """Whether it answers a request."""
        return bool(self.flags & HeaderFlag.REPLY)

    @property
    def needs_reply(self) -> bool:
        """Whether an answer is asked for where the request has none of its own (REPLY_ACK)."""
        return bool(self.flags & HeaderFlag.NEED_REPLY)


@layout("<2I")
class VringState(Structure):
    """A vring and a number (struct vhost_vring_state)."""

    index: int
    num: int


@layout("<2I4Q")
class VringAddress(Structure):
    """Where a vring is (struct vhost_vring_addr): addresses of the front-end's process, that of the log apart."""

    index: int
    flags: int  # bit 0: writes to the used ring are noted in the dirty log
    desc: int
    used: int
    avail: int
    log: int  # the used ring's guest address


@layout("<4Q")
class RegionEntry(Structure):
    """A piece of the front-end's memory (struct VhostUserMemoryRegion)."""

    guest: int  # address as descriptors have it
    length: int  # bytes
    user: int  # address in the front-end's process, as vrings have it
    mmap_offset: int  # of its first byte in the descriptor's file


@layout("<2Q")
class LogBase(Structure):
    """The dirty log (struct VhostUserLog)."""

    length: int  # bytes
    mmap_offset: int


@layout("<3I")
class ConfigHead(Structure):
    """In front of bytes of the config space (struct VhostUserConfig)."""

    offset: int
    length: int
    flags: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a request looks like: the sizes of payload that it may have, and how many descriptors."""

    sizes: tuple[int, ...] = (0,)
    least: int = 0
    most: int = 0


_EMPTY = _Shape()
_U64 = _Shape((8,))
_STATE = _Shape((VringState.size,))
_EVENT = _Shape((8,), 0, 1)
_REGION = _Shape((8 + RegionEntry.size,), 1, 1)

_SHAPES: dict[Request, _Shape] = {
    Request.GET_FEATURES: _EMPTY,
    Request.SET_FEATURES: _U64,
    Request.SET_OWNER: _EMPTY,
    Request.RESET_OWNER: _EMPTY,
    Request.SET_MEM_TABLE: _Shape(tuple(8 + RegionEntry.size * count for count in range(REGIONS_MAX + 1)), 0, 8),
    Request.SET_LOG_BASE: _Shape((LogBase.size,), 1, 1),
    Request.SET_LOG_FD: _Shape((0, 8), 1, 1),
    Request.SET_VRING_NUM: _STATE,
    Request.SET_VRING_ADDR: _Shape((VringAddress.size,)),
    Request.SET_VRING_BASE: _STATE,
    Request.GET_VRING_BASE: _STATE,
    Request.SET_VRING_KICK: _EVENT,
    Request.SET_VRING_CALL: _EVENT,
    Request.SET_VRING_ERR: _EVENT,
    Request.GET_PROTOCOL_FEATURES: _EMPTY,
    Request.SET_PROTOCOL_FEATURES: _U64,
    Request.GET_QUEUE_NUM: _EMPTY,
    Request.SET_VRING_ENABLE: _STATE,
    Request.NET_SET_MTU: _U64,
    Request.GET_CONFIG: _Shape(tuple(range(ConfigHead.size, ConfigHead.size + CONFIG_MAX + 1))),
    Request.SET_CONFIG: _Shape(tuple(range(ConfigHead.size, ConfigHead.size + CONFIG_MAX + 1))),
    Request.GET_MAX_MEM_SLOTS: _EMPTY,
    Request.ADD_MEM_REG: _REGION,
    Request.REM_MEM_REG: _Shape((8 + RegionEntry.size,), 0, 1),  # QEMU before 7.0 sends its descriptor along
    Request.SET_STATUS: _U64,
    Request.GET_STATUS: _EMPTY,
}


@dataclass(frozen=True, slots=True)
class Message:
    """A request, or the answer to one, with the descriptors that came along; whoever has it closes them."""

    request: int
    flags: int = VERSION
    payload: bytes = b""
    descriptors: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """As the specification writes it."""
        return name_of(self.request)

    @property
    def needs_reply(self) -> bool:
        """Whether an answer is asked for where the request has none of its own."""
        return bool(self.flags & HeaderFlag.NEED_REPLY)

    def check(self) -> Request:
        """The request, its payload of a size that it may have and its descriptors as many; else VhostUserError."""
        try:
            request = Request(self.request)
        except ValueError:
            raise VhostUserError("unknown request", rule="vhost.request", where=self.name) from None
        shape = _SHAPES[request]
        if len(self.payload) not in shape.sizes:
            expected = str(shape.sizes[0])
            if len(shape.sizes) > 1:
                expected = f"{shape.sizes[0]} to {shape.sizes[-1]}"
            raise VhostUserError(
                "payload of a wrong size",
                rule="vhost.payload-size",
                where=self.name,
                expected=f"{expected} bytes",
                found=len(self.payload),
            )
        self._check_descriptors(request, shape)
        return request

    def _check_descriptors(self, request: Request, shape: _Shape) -> None:
        least, most = shape.least, shape.most
        if request is Request.SET_MEM_TABLE:
            least = most = len(self.payload) // RegionEntry.size
        elif shape is _EVENT:
            least = most = 0 if decode_u64(self.payload) & NO_DESCRIPTOR else 1
        if not least <= len(self.descriptors) <= most:
            raise VhostUserError(
                "a wrong number of descriptors",
                rule="vhost.descriptors",
                where=self.name,
                expected=least if least == most else f"{least} to {most}",
                found=len(self.descriptors),
            )


def name_of(request: int) -> str:
    """``SET_MEM_TABLE``; ``request 99`` for one that has no name here."""
    try:
        return Request(request).name
    except ValueError:
        return f"request {request}"


def encode(message: Message) -> bytes:
    """Header and payload."""
    return Header(message.request, message.flags, len(message.payload)).pack() + message.payload


def decode_header(data: bytes, where: str = "") -> Header:
    """A header, its version ours and its payload no larger than any can be; else VhostUserError."""
    if len(data) != Header.size:
        raise VhostUserError(
            "half a header", rule="vhost.cut-short", where=where, expected=f"{Header.size} bytes", found=len(data)
        )
    header = Header.unpack_from(data)
    where = f"{where}: {name_of(header.request)}" if where else name_of(header.request)
    if header.flags & _VERSION_MASK != VERSION:
        found = header.flags & _VERSION_MASK
        raise VhostUserError("another version", rule="vhost.version", where=where, expected=VERSION, found=found)
    if header.payload_size > PAYLOAD_MAX:
        raise VhostUserError(
            "payload larger than any",
            rule="vhost.payload-size",
            where=where,
            expected=f"at most {PAYLOAD_MAX} bytes",
            found=header.payload_size,
        )
    return header


def u64_payload(value: int) -> bytes:
    """One number."""
    return value.to_bytes(8, "little")


def decode_u64(payload: bytes) -> int:
    """One number; of a payload that was checked."""
    return int.from_bytes(payload[:8], "little")


def regions_payload(regions: Sequence[RegionEntry]) -> bytes:
    """Of SET_MEM_TABLE."""
    return u64_payload(len(regions)) + b"".join(each.pack() for each in regions)


def region_payload(region: RegionEntry) -> bytes:
    """Of ADD_MEM_REG and REM_MEM_REG."""
    return u64_payload(0) + region.pack()


def decode_regions(payload: bytes) -> tuple[RegionEntry, ...]:
    """Of SET_MEM_TABLE; VhostUserError when it says more or fewer than it has."""
    count = int.from_bytes(payload[:4], "little")
    room = (len(payload) - 8) // RegionEntry.size
    if count != room or count > REGIONS_MAX:
        raise VhostUserError(
            "a wrong number of regions",
            rule="vhost.regions",
            where=Request.SET_MEM_TABLE.name,
            expected=f"{room}, as many as follow, at most {REGIONS_MAX}",
            found=count,
        )
    return tuple(RegionEntry.unpack_from(payload, 8 + RegionEntry.size * each) for each in range(count))


def decode_single_region(payload: bytes) -> RegionEntry:
    """Of ADD_MEM_REG and REM_MEM_REG."""
    return RegionEntry.unpack_from(payload, 8)


def config_payload(offset: int, data: bytes, flags: int = 0) -> bytes:
    """Of GET_CONFIG (zeros, as many bytes as are wanted), its answer, and SET_CONFIG."""
    return ConfigHead(offset, len(data), flags).pack() + data


def decode_config(payload: bytes) -> tuple[ConfigHead, bytes]:
    """Where, and the bytes; VhostUserError when it says more or fewer than it has, or lies behind the space's end."""
    head, data = ConfigHead.unpack_from(payload), payload[ConfigHead.size :]
    if head.length != len(data) or head.offset + head.length > CONFIG_MAX:
        raise VhostUserError(
            "config space",
            rule="vhost.config",
            where="CONFIG",
            expected=f"{len(data)} bytes, up to offset {CONFIG_MAX}",
            found=f"{head.length} at {head.offset}",
        )
    return head, data
