"""The front-end: hands memory and vrings to a back-end that listens, and hears and tells it by eventfds.

The order of requests is the one that librte_vhost and libvhost-user both accept: owner, features, memory, and for each
vring its size, base, addresses, call and kick, then its enable.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Sequence

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import VhostUserError
from orchestrator.formats.resource_entry import Feature
from orchestrator.vhost_user.channel import Channel, checked_path, close_all
from orchestrator.vhost_user.messages import (
    CONFIG_MAX,
    FEATURE_PROTOCOL_FEATURES,
    NO_DESCRIPTOR,
    REGIONS_MAX,
    VERSION,
    ConfigHead,
    HeaderFlag,
    Message,
    ProtocolFeature,
    RegionEntry,
    Request,
    VringAddress,
    VringState,
    config_payload,
    decode_config,
    decode_u64,
    regions_payload,
    u64_payload,
)

__all__ = ["Frontend", "FrontendVring", "SharedRegion", "version_1_is_harmless"]

_ONE = (1).to_bytes(8, "little")
_PROTOCOL = ProtocolFeature.REPLY_ACK | ProtocolFeature.CONFIG | ProtocolFeature.STATUS | ProtocolFeature.MTU
_DRIVER_OK = 0xF  # ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK


@dataclass(frozen=True, slots=True)
class SharedRegion:
    """A piece of memory to hand out; the descriptor stays the caller's."""

    entry: RegionEntry
    descriptor: int


class FrontendVring:
    """A vring that was handed out: tells the back-end of it, and hears of it; ``polled``: both look by themselves."""

    def __init__(self, index: int, *, polled: bool = False) -> None:
        self.index = index
        self.polled = polled
        self.kick_event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.call_event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.kicks = 0
        self.calls = 0

    def kick(self) -> None:
        """Tell the back-end that something was made available."""
        if self.polled:
            return
        self.kicks += 1
        with contextlib.suppress(BlockingIOError):  # its counter is full: it has been told
            os.write(self.kick_event, _ONE)

    def take_call(self) -> bool:
        """Whether the back-end has told of something since the last time."""
        try:
            self.calls += int.from_bytes(os.read(self.call_event, 8), "little")
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give back both events."""
        close_all((self.kick_event, self.call_event))


class Frontend:
    """One connected back-end. Every method raises VhostUserError when it refuses, dies or does not answer in time."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.offered = 0
        self.features = 0
        self.protocol_features = 0
        self.vrings: dict[int, FrontendVring] = {}
        self._enabled: set[int] = set()

    @classmethod
    def connect(cls, path: str, timeout_s: float = 10.0) -> Frontend:
        """To whoever listens at a path; UsageError for a path that no socket can have."""
        name = checked_path(path)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(name)
        except OSError as error:
            connection.close()
            raise VhostUserError(
                f"nobody listens ({error.strerror or error})",
                rule="vhost.peer-gone",
                where=path,
                advice="start the back-end first",
            ) from error
        return cls(Channel(connection, path, timeout_s))

    # --- requests

    def ask(self, request: Request, payload: bytes = b"", descriptors: Sequence[int] = ()) -> bytes:
        """Send a request that has an answer, and wait for it; its payload."""
        self.channel.send(Message(request, VERSION, payload, tuple(descriptors)))
        return self._answer(request)

    def tell(self, request: Request, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        """Send a request without an answer of its own; where REPLY_ACK is agreed on, wait until it is carried out."""
        acknowledged = bool(self.protocol_features & ProtocolFeature.REPLY_ACK)
        flags = VERSION | (HeaderFlag.NEED_REPLY if acknowledged else 0)
        self.channel.send(Message(request, flags, payload, tuple(descriptors)))
        if acknowledged:
            code = decode_u64(self._answer(request))
            if code:
                raise VhostUserError(
                    f"refuses {request.name}", rule="vhost.refused", where=self.channel.name, expected=0, found=code
                )

    def _answer(self, request: Request) -> bytes:
        answer = self.channel.receive()
        if answer is None:
            raise VhostUserError(
                f"hangs up at {request.name}",
                rule="vhost.peer-gone",
                where=self.channel.name,
                expected="an answer",
                advice="its own log may say why",
            )
        if answer.request != request or not answer.flags & HeaderFlag.REPLY or answer.descriptors:
            close_all(answer.descriptors)
            raise VhostUserError(
                "another answer than was asked for",
                rule="vhost.answer",
                where=self.channel.name,
                expected=request.name,
                found=answer.name,
            )
        return answer.payload

    def _ask_u64(self, request: Request) -> int:
        payload = self.ask(request)
        if len(payload) != 8:
            raise VhostUserError(
                "answer of a wrong size",
                rule="vhost.payload-size",
                where=f"{self.channel.name}: {request.name}",
                expected="8 bytes",
                found=len(payload),
            )
        return decode_u64(payload)

    # --- the session

    def begin(self) -> None:
        """Own it, learn what it offers, and agree on the protocol."""
        self.tell(Request.SET_OWNER)
        self.offered = self._ask_u64(Request.GET_FEATURES)
        if self.offered & FEATURE_PROTOCOL_FEATURES:
            agreed = self._ask_u64(Request.GET_PROTOCOL_FEATURES) & _PROTOCOL
            self.tell(Request.SET_PROTOCOL_FEATURES, u64_payload(agreed))
            self.protocol_features = agreed

    def accept(self, features: int) -> None:
        """Agree on features of the device; VhostUserError for one that the back-end does not offer."""
        if features & ~self.offered:
            raise VhostUserError(
                "lacks features that the driver has accepted",
                rule="vhost.features",
                where=self.channel.name,
                expected=f"{features:#x}",
                found=f"{self.offered:#x} (it lacks {features & ~self.offered:#x})",
            )
        self.features = features | self.offered & FEATURE_PROTOCOL_FEATURES
        self.tell(Request.SET_FEATURES, u64_payload(self.features))

    def share(self, regions: Sequence[SharedRegion]) -> None:
        """Hand out memory, instead of what was before."""
        if not 1 <= len(regions) <= REGIONS_MAX:
            raise VhostUserError(
                "a wrong number of regions",
                rule="vhost.regions",
                where=Request.SET_MEM_TABLE.name,
                expected=f"1 to {REGIONS_MAX}",
                found=len(regions),
            )
        entries, descriptors = [each.entry for each in regions], [each.descriptor for each in regions]
        self.tell(Request.SET_MEM_TABLE, regions_payload(entries), descriptors)

    def start_vring(self, num: int, address: VringAddress, base: int = 0, *, polled: bool = False) -> FrontendVring:
        """Hand out a vring of ``num`` entries, at its index and addresses; it is served after :meth:`enable`.

        ``polled``: without eventfds, so that the back-end has to look at it all the time, and so has the caller.
        """
        index = address.index
        if index in self.vrings:
            self.vrings.pop(index).close()
        vring = self.vrings[index] = FrontendVring(index, polled=polled)
        self.tell(Request.SET_VRING_NUM, VringState(index, num).pack())
        self.tell(Request.SET_VRING_BASE, VringState(index, base).pack())
        self.tell(Request.SET_VRING_ADDR, address.pack())
        which = u64_payload(index | (NO_DESCRIPTOR if polled else 0))
        self.tell(Request.SET_VRING_CALL, which, () if polled else [vring.call_event])
        self.tell(Request.SET_VRING_KICK, which, () if polled else [vring.kick_event])
        return vring

    def enable(self) -> None:
        """Let the back-end serve every vring that was handed out."""
        if self.features & FEATURE_PROTOCOL_FEATURES:
            for index in self.vrings:
                self.tell(Request.SET_VRING_ENABLE, VringState(index, 1).pack())
                self._enabled.add(index)
        if self.protocol_features & ProtocolFeature.STATUS:
            self.tell(Request.SET_STATUS, u64_payload(_DRIVER_OK))
        for vring in self.vrings.values():
            vring.kick()  # for what was made available before

    def stop_vring(self, index: int) -> int:
        """Take a vring back; where the back-end stood in it."""
        if index in self._enabled:
            self.tell(Request.SET_VRING_ENABLE, VringState(index, 0).pack())
            self._enabled.discard(index)
        payload = self.ask(Request.GET_VRING_BASE, VringState(index, 0).pack())
        self.vrings.pop(index).close()
        if len(payload) != VringState.size:
            raise VhostUserError(
                "answer of a wrong size", rule="vhost.payload-size", where=self.channel.name, found=len(payload)
            )
        return VringState.unpack_from(payload).num

    def stop(self) -> dict[int, int]:
        """Take every vring back; by index, where the back-end stood."""
        return {index: self.stop_vring(index) for index in tuple(self.vrings)}

    def config(self, size: int) -> bytes:
        """The device's config space, as much of it as it has; empty where the back-end does not tell."""
        if not self.protocol_features & ProtocolFeature.CONFIG:
            return b""
        size = min(size, CONFIG_MAX)
        while size:  # libvhost-user refuses the whole where the device has fewer bytes
            answer = self.ask(Request.GET_CONFIG, config_payload(0, bytes(size)))
            if len(answer) > ConfigHead.size:
                return decode_config(answer)[1]
            size //= 2
        return b""

    def is_gone(self) -> bool:
        """Whether the back-end has hung up, or says something that nobody asked for."""
        return bool(select.select([self.channel.fileno()], [], [], 0)[0])

    def close(self) -> None:
        """Hang up, and give back every event."""
        for vring in self.vrings.values():
            vring.close()
        self.vrings.clear()
        self.channel.close()


def version_1_is_harmless(virtio_id: int, features: int) -> bool:
    """Whether a legacy driver's requests mean the same under VERSION_1: not those of a network card with a header of
    10 bytes, which VERSION_1 makes 12 (virtio 1.3, 5.1.6.1).
    """
    merges = bool(features & 1 << 15)  # MRG_RXBUF
    return not features & Feature.VERSION_1 and (virtio_id != 1 or merges)
