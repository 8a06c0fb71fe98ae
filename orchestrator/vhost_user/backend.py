"""The back-end: a virtio device in Python behind the vrings of whatever front-end connects.

:class:`Backend` answers one front-end's requests; :class:`Server` listens, and serves one front-end after the other.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.base.errors import RingError, RptwinError, UsageError, VhostUserError
from orchestrator.formats.resource_entry import VIRTIO_CONFIG_S_DRIVER_OK, Feature
from orchestrator.host.devices import Queue, VirtioDevice
from orchestrator.vhost_user.channel import Channel, checked_path, close_all
from orchestrator.vhost_user.dirty_log import DirtyLog
from orchestrator.vhost_user.memory_table import SLOTS_MAX, MemoryTable
from orchestrator.vhost_user.messages import (
    FEATURE_LOG_ALL,
    FEATURE_PROTOCOL_FEATURES,
    NO_DESCRIPTOR,
    VERSION,
    HeaderFlag,
    LogBase,
    Message,
    ProtocolFeature,
    Request,
    VringAddress,
    VringState,
    config_payload,
    decode_config,
    decode_regions,
    decode_single_region,
    decode_u64,
    u64_payload,
)
from orchestrator.vhost_user.vring import BackendVring

__all__ = ["Backend", "Server"]

_RING_FEATURES = Feature.VERSION_1 | Feature.INDIRECT_DESC | Feature.EVENT_IDX | Feature.RING_PACKED
# Numbers and no flags, whose complement has no unknown bits.
_PROTOCOL_FEATURES = int(
    ProtocolFeature.MQ
    | ProtocolFeature.LOG_SHMFD
    | ProtocolFeature.REPLY_ACK
    | ProtocolFeature.MTU
    | ProtocolFeature.CONFIG
    | ProtocolFeature.CONFIGURE_MEM_SLOTS
    | ProtocolFeature.STATUS
)
_MTU_LEAST, _MTU_MOST = 68, 65535  # bytes (virtio 1.3, 5.1.4.1)
_NUM_MAX = 32768
_WAKES = 4096  # bytes, one for each time that somebody woke the server


class Backend:
    """One front-end's requests, and its vrings at work for ``device``.

    A request that cannot be carried out is answered so where an answer is asked for, and the session goes on as it
    was; else, and after bytes that are no request, :meth:`handle` raises VhostUserError, and :meth:`close` is what is
    left to do. ``faults`` has what the front-end did wrong, each kind once.

    Larger than a class should be: a method for each request of the protocol.
    """

    def __init__(self, channel: Channel, device: VirtioDevice, *, polls: bool = False) -> None:
        self.channel = channel
        self.device = device
        self.memory = MemoryTable()
        self.features = 0
        self.protocol_features = 0
        self.status = 0
        self.mtu: int | None = None
        self.is_owned = False
        self.polls = polls
        self.vrings = [BackendVring(index, self._note) for index in range(device.queue_count)]
        self.faults: dict[str, RptwinError] = {}
        self._is_started = False
        self._queues: list[Queue] = []
        self._log: DirtyLog | None = None
        self._log_events: int | None = None
        self._answers: dict[Request, Callable[[Message], bytes | None]] = {
            Request.GET_FEATURES: lambda _: u64_payload(self.offered),
            Request.SET_FEATURES: self._set_features,
            Request.SET_OWNER: self._set_owner,
            Request.RESET_OWNER: self._reset_owner,
            Request.SET_MEM_TABLE: self._set_memory,
            Request.SET_LOG_BASE: self._set_log_base,
            Request.SET_LOG_FD: self._set_log_events,
            Request.SET_VRING_NUM: self._set_num,
            Request.SET_VRING_ADDR: self._set_address,
            Request.SET_VRING_BASE: self._set_base,
            Request.GET_VRING_BASE: self._get_base,
            Request.SET_VRING_KICK: self._set_kick,
            Request.SET_VRING_CALL: lambda message: self._set_event(message, "_call"),
            Request.SET_VRING_ERR: lambda message: self._set_event(message, "_error"),
            Request.GET_PROTOCOL_FEATURES: lambda _: u64_payload(_PROTOCOL_FEATURES),
            Request.SET_PROTOCOL_FEATURES: self._set_protocol_features,
            Request.GET_QUEUE_NUM: lambda _: u64_payload(len(self.vrings)),
            Request.SET_VRING_ENABLE: self._set_enable,
            Request.NET_SET_MTU: self._set_mtu,
            Request.GET_CONFIG: self._get_config,
            Request.SET_CONFIG: self._set_config,
            Request.GET_MAX_MEM_SLOTS: lambda _: u64_payload(SLOTS_MAX),
            Request.ADD_MEM_REG: self._add_memory,
            Request.REM_MEM_REG: self._remove_memory,
            Request.SET_STATUS: self._set_status,
            Request.GET_STATUS: lambda _: u64_payload(self.status),
        }

    @property
    def offered(self) -> int:
        """Features of the device, of its rings and of the protocol."""
        return int(self.device.features | _RING_FEATURES | FEATURE_PROTOCOL_FEATURES | FEATURE_LOG_ALL)

    # --- requests

    def handle(self, message: Message) -> None:
        """Carry a request out, and answer it where it wants that; its descriptors are taken or closed."""
        asks = message.needs_reply and bool(self.protocol_features & ProtocolFeature.REPLY_ACK)
        try:
            request = message.check()
        except VhostUserError as error:
            close_all(message.descriptors)
            if error.rule != "vhost.request" or not asks:
                raise
            self._note(error)
            self._reply(message, u64_payload(1))
            return
        try:
            answer = self._answers[request](message)
        except RptwinError as error:
            failed = error if isinstance(error, VhostUserError) else _failed(message, error)
            if not asks:
                raise failed from error
            self._note(failed)
            self._reply(message, u64_payload(1))
            return
        finally:
            self._follow()
        if answer is not None:
            self._reply(message, answer)
        elif asks:
            self._reply(message, u64_payload(0))

    def _reply(self, message: Message, payload: bytes) -> None:
        self.channel.send(Message(message.request, VERSION | HeaderFlag.REPLY, payload))

    def _note(self, error: RptwinError) -> None:
        self.faults.setdefault(getattr(error, "rule", type(error).__name__), error)

    def _vring(self, index: int, where: str) -> BackendVring:
        if index >= len(self.vrings):
            raise VhostUserError(
                "no such vring", rule="vhost.vring", where=where, expected=f"0..{len(self.vrings) - 1}", found=index
            )
        return self.vrings[index]

    def _state(self, message: Message) -> tuple[BackendVring, int]:
        state = VringState.unpack_from(message.payload)
        return self._vring(state.index, message.name), state.num

    def _set_owner(self, message: Message) -> None:
        if self.is_owned:
            raise VhostUserError("has an owner already", rule="vhost.owner", where=message.name)
        self.is_owned = True

    def _reset_owner(self, message: Message) -> None:
        del message
        self._reset()

    def _set_features(self, message: Message) -> None:
        features = decode_u64(message.payload)
        if features & ~self.offered:
            raise VhostUserError(
                "features that were not offered",
                rule="vhost.features",
                where=message.name,
                expected=f"of {self.offered:#x}",
                found=f"{features:#x}",
            )
        before, self.features = self.features, features
        self.memory.log = self._log if features & FEATURE_LOG_ALL else None
        if (before ^ features) & ~FEATURE_LOG_ALL:
            self._set_up_again()

    def _set_protocol_features(self, message: Message) -> None:
        wanted = decode_u64(message.payload)
        if wanted & ~_PROTOCOL_FEATURES:
            raise VhostUserError(
                "features that were not offered",
                rule="vhost.features",
                where=message.name,
                expected=f"of {_PROTOCOL_FEATURES:#x}",
                found=f"{wanted:#x}",
            )
        self.protocol_features = wanted

    def _set_memory(self, message: Message) -> None:
        try:
            entries = decode_regions(message.payload)
        except VhostUserError:
            close_all(message.descriptors)
            raise
        if self.memory.replace(entries, message.descriptors):
            self._set_up_again()

    def _add_memory(self, message: Message) -> None:
        self.memory.add(decode_single_region(message.payload), message.descriptors)
        self._set_up_again()

    def _remove_memory(self, message: Message) -> None:
        close_all(message.descriptors)
        self.memory.remove(decode_single_region(message.payload))
        self._set_up_again()

    def _set_up_again(self) -> None:
        """Translate the vrings that are started; those without memory now stand still until they have some."""
        for each in self.vrings:
            if each.is_started:
                try:
                    each.start(self.memory, self.features)
                except RptwinError as error:
                    self._note(error)

    def _set_log_base(self, message: Message) -> bytes:
        try:
            log = DirtyLog(LogBase.unpack_from(message.payload), message.descriptors[0])
        finally:
            close_all(message.descriptors)
        self._close_log()
        self._log = log
        self.memory.log = log if self.features & FEATURE_LOG_ALL else None
        return u64_payload(0)

    def _set_log_events(self, message: Message) -> None:
        close_all(() if self._log_events is None else (self._log_events,))
        self._log_events = message.descriptors[0]

    def _close_log(self) -> None:
        self.memory.log = None
        if self._log is not None:
            self._log.close()
        self._log = None

    def _set_num(self, message: Message) -> None:
        vring, num = self._state(message)
        is_packed = bool(self.features & Feature.RING_PACKED)
        if not 1 <= num <= _NUM_MAX or (num & (num - 1) and not is_packed):
            expected = f"{'1' if is_packed else 'a power of two, 1'} to {_NUM_MAX}"
            raise VhostUserError(
                "queue size",
                rule="vhost.vring-size",
                where=f"{message.name} {vring.name}",
                expected=expected,
                found=num,
            )
        vring.num = num

    def _set_address(self, message: Message) -> None:
        address = VringAddress.unpack_from(message.payload)
        self._vring(address.index, message.name).set_address(address, self.memory, self.features)

    def _set_base(self, message: Message) -> None:
        vring, base = self._state(message)
        vring.base = base

    def _get_base(self, message: Message) -> bytes:
        vring, _num = self._state(message)
        self.serve()  # what was made available before the end is taken
        return VringState(vring.index, vring.stop()).pack()

    def _set_event(self, message: Message, kind: str) -> None:
        value = decode_u64(message.payload)
        try:
            vring = self._vring(value & 0xFF, message.name)
        except VhostUserError:
            close_all(message.descriptors)
            raise
        vring.replace_event(kind, None if value & NO_DESCRIPTOR else message.descriptors[0])

    def _set_kick(self, message: Message) -> None:
        """The ring is started by its kick, or by being told that there will be none."""
        self._set_event(message, "kick")
        vring = self.vrings[decode_u64(message.payload) & 0xFF]
        try:
            if not vring.is_started:
                vring.start(self.memory, self.features)
        except RptwinError:
            vring.replace_event("kick", None)
            raise
        if not self.features & FEATURE_PROTOCOL_FEATURES:
            vring.enabled = True  # a ring of a front-end that does not know ENABLE

    def _set_enable(self, message: Message) -> None:
        vring, num = self._state(message)
        if num not in (0, 1):
            raise VhostUserError("enable", rule="vhost.enable", where=vring.name, expected="0 or 1", found=num)
        if not num:
            self.serve()  # what was made available before is taken
        vring.enabled = bool(num)

    def _set_mtu(self, message: Message) -> None:
        mtu = decode_u64(message.payload)
        if not _MTU_LEAST <= mtu <= _MTU_MOST:
            expected = f"{_MTU_LEAST} to {_MTU_MOST}"
            raise VhostUserError("MTU", rule="vhost.mtu", where=message.name, expected=expected, found=mtu)
        self.mtu = mtu

    def _get_config(self, message: Message) -> bytes:
        head, _zeros = decode_config(message.payload)
        space = self.device.config.ljust(head.offset + head.length, b"\0")
        return config_payload(head.offset, space[head.offset : head.offset + head.length])

    def _set_config(self, message: Message) -> None:
        head, data = decode_config(message.payload)
        if not self.device.write_config(head.offset, data):
            raise VhostUserError(
                "the device has nothing to write there",
                rule="vhost.config",
                where=message.name,
                found=f"{head.length} bytes at {head.offset}",
            )

    def _set_status(self, message: Message) -> None:
        status = decode_u64(message.payload) & 0xFF
        if not status and self.status:
            self._stop_rings()
        self.status = status

    # --- work

    @property
    def is_ready(self) -> bool:
        """Every vring is started and enabled, and the driver is ready where the front-end tells of that."""
        told = self.protocol_features & ProtocolFeature.STATUS and self.features & FEATURE_PROTOCOL_FEATURES
        return (not told or bool(self.status & VIRTIO_CONFIG_S_DRIVER_OK)) and all(
            each.queue is not None and each.enabled for each in self.vrings
        )

    @property
    def is_polled(self) -> bool:
        """No kick says when there is something to serve."""
        return self.is_ready and (self.polls or any(each.kick is None for each in self.vrings))

    def _follow(self) -> None:
        """The device starts, stops, or has other queues than before."""
        queues = [each.queue for each in self.vrings if each.queue is not None]
        if self._is_started and (not self.is_ready or queues != self._queues):
            self._is_started = False
            self.device.stop()
        if self.is_ready and not self._is_started:
            self._is_started, self._queues = True, queues
            self.device.negotiate(self.features)
            self.device.start(queues)
            for each in queues:
                each.want_notifications(not self.polls)

    @property
    def kicks(self) -> list[int]:
        """Descriptors to wait for."""
        return [each.kick for each in self.vrings if each.kick is not None]

    def serve(self) -> bool:
        """Take what is there and give it back, and tell the driver; whether the driver was told of anything."""
        if not self._is_started:
            return False
        try:
            self.device.poll()
            told = self.device.rings_to_ring()
        except RptwinError as error:  # memory that was taken away under a ring
            self._note(error)
            return False
        for index in told:
            self.vrings[index].call()
        return bool(told)

    def _stop_rings(self) -> None:
        for each in self.vrings:
            each.stop()

    def _reset(self) -> None:
        """As the front-end found it."""
        self.is_owned = False
        self.features = self.protocol_features = self.status = 0
        for each in self.vrings:
            each.forget()

    def close(self) -> None:
        """Give back every descriptor and every mapping."""
        self._reset()
        self._follow()
        self._close_log()
        close_all(() if self._log_events is None else (self._log_events,))
        self._log_events = None
        self.memory.close()
        self.channel.close()


def _failed(message: Message, error: RptwinError) -> VhostUserError:
    rule = error.rule if isinstance(error, RingError) else "vhost.request-failed"
    return VhostUserError("cannot be carried out", rule=rule, where=message.name, found=error)


class Server:
    """Listens at a path of its own making, and serves one front-end at a time with the same device.

    ``polls``: look at the rings all the time and ask for no kicks; else sleep until there is one.
    """

    def __init__(self, path: str, device: VirtioDevice, *, polls: bool = False) -> None:
        self.path = checked_path(path)
        self.device = device
        self.polls = polls
        self.session: Backend | None = None
        self.served = 0  # front-ends that came
        self.faults: list[RptwinError] = []
        self._wake_end, self._stop_end = socket.socketpair()
        self._is_stopping = False
        device.wake = self._wake
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(self.path)
            self._socket.listen(1)
        except OSError as error:
            self._close_sockets()
            raise UsageError(f"cannot listen ({error.strerror or error})", where=path) from error

    def stop(self) -> None:
        """End :meth:`run`; from a signal handler or another thread too."""
        self._is_stopping = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # one that stands there already does, and a server that was closed
            self._stop_end.send(b"x", socket.MSG_DONTWAIT)

    def run(self, sessions: int | None = None, timeout_s: float | None = None) -> None:
        """Serve until :meth:`stop`, so many front-ends, or for so long; what they did wrong is in ``faults``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._is_stopping and (sessions is None or sessions > 0):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._socket, self._wake_end], [], [], left)
            if self._wake_end in ready:
                self._wake_end.recv(_WAKES)
            if self._socket in ready:
                connection, _address = self._socket.accept()
                self.served += 1
                self._serve(Backend(Channel(connection, "front-end"), self.device, polls=self.polls), deadline)
                sessions = None if sessions is None else sessions - 1
            elif not ready:
                return

    def _serve(self, session: Backend, deadline: float | None) -> None:
        self.session = session
        try:
            while not self._is_stopping and (deadline is None or time.monotonic() < deadline):
                wait = 0.0 if session.is_polled else 0.5
                connection = session.channel.fileno()
                ready, _, _ = select.select([connection, self._wake_end.fileno(), *session.kicks], [], [], wait)
                if connection in ready:
                    message = session.channel.receive()
                    if message is None:
                        return
                    session.handle(message)
                if self._wake_end.fileno() in ready:
                    self._wake_end.recv(_WAKES)
                for each in session.vrings:
                    if each.kick in ready:
                        each.take_kick()
                session.serve()
        except (RptwinError, OSError) as error:
            self.faults.append(error if isinstance(error, RptwinError) else _lost(error))
        finally:
            self.faults += session.faults.values()
            session.close()
            self.session = None

    def _close_sockets(self) -> None:
        for each in (self._socket, self._wake_end, self._stop_end):
            each.close()

    def close(self) -> None:
        """Listen no more, and take the path away."""
        self._close_sockets()
        with contextlib.suppress(OSError):
            Path(self.path).unlink()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _lost(error: OSError) -> VhostUserError:
    return VhostUserError(f"lost ({error.strerror or os.strerror(error.errno or 0)})", rule="vhost.peer-gone")
