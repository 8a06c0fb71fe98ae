"""What stands between network cards: a switch, and a capture of what goes by.

Both work with :class:`orchestrator.host.Network` wherever its driver is: firmware on an emulated core, or a front-end
behind a :class:`orchestrator.vhost_user.Server`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.base.errors import UsageError
from orchestrator.host.devices import Network

__all__ = ["Capture", "Switch"]

_ADDRESS = 6  # bytes of an Ethernet address (IEEE 802.3, 3.2.3)
_GROUP = 1  # of the first byte: broadcast and multicast
_LINKTYPE_ETHERNET = 1
_NANOSECONDS = 9  # if_tsresol: a negative power of ten
_INBOUND, _OUTBOUND = 1, 2  # epb_flags, as the driver sees it


class Switch:
    """A learning Ethernet switch (IEEE 802.1D, 7.7 to 7.9); ports may be served by different threads.

    A frame for an address that was seen behind a port goes to that port, any other to all ports but its own.
    """

    def __init__(self, *ports: Network) -> None:
        self._ports: list[Network] = []
        self._behind: dict[bytes, Network] = {}
        self._lock = threading.Lock()
        self.dropped = 0  # frames too short to have addresses
        for port in ports:
            self.plug(port)

    def plug(self, port: Network) -> None:
        """One more port; :class:`UsageError` where somebody else answers its frames."""
        if port.on_frame is not None:
            raise UsageError("this card has somebody who answers its frames", where="switch", expected="a free card")
        with self._lock:
            self._ports.append(port)
        port.on_frame = lambda frame: self._forward(port, frame)

    def _forward(self, source: Network, frame: bytes) -> None:
        if len(frame) < 2 * _ADDRESS:
            self.dropped += 1
            return
        to, sender = frame[:_ADDRESS], frame[_ADDRESS : 2 * _ADDRESS]
        with self._lock:
            if not sender[0] & _GROUP:
                self._behind[sender] = source
            known = None if to[0] & _GROUP else self._behind.get(to)
            ports = [each for each in self._ports if each is not source] if known is None else [known]
        for port in ports:
            if port is not source:
                port.deliver(frame)


class Capture:
    """Frames of network cards as a pcapng file (draft-ietf-opsawg-pcapng), one interface for each card.

    ``clock`` gives ns since the epoch; a board's virtual time makes captures repeat: ``clock=lambda: board.time_ns``.
    Raises UsageError where the file cannot be made or python-pcapng is missing (``pip install rptwin[pcapng]``). What
    was written is whole after each frame; a disk that is full is an OSError of the device's poll.
    """

    def __init__(self, path: Path | str, *, clock: Callable[[], int] = time.time_ns) -> None:
        try:
            from pcapng import FileWriter, blocks  # noqa: PLC0415  # an extra that only captures need
        except ImportError:
            raise UsageError(
                "python-pcapng is not installed", where=str(path), advice="pip install rptwin[pcapng]"
            ) from None
        self._blocks = blocks
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._file = Path(path).open("wb")  # noqa: SIM115  # until close()
        except OSError as error:
            raise UsageError(f"cannot be written ({error.strerror})", where=str(path)) from None
        self._section = blocks.SectionHeader(options={"shb_userappl": "rptwin"})
        self._writer = FileWriter(self._file, self._section)
        self.frames = 0

    def tap(self, card: Network, name: str) -> None:
        """Record what this card's driver sends and receives from now on, under this name."""
        options = {"if_name": name, "if_tsresol": bytes([_NANOSECONDS])}
        with self._lock:
            interface = self._section.new_member(
                self._blocks.InterfaceDescription, link_type=_LINKTYPE_ETHERNET, options=options
            )
            self._writer.write_block(interface)
            self._file.flush()
        card.taps.append(lambda frame, sent: self._record(interface.interface_id, frame, sent=sent))

    def _record(self, interface: int, frame: bytes, *, sent: bool) -> None:
        now = self._clock()
        with self._lock:
            if self._file.closed:
                return
            packet = self._section.new_member(
                self._blocks.EnhancedPacket,
                interface_id=interface,
                timestamp_high=now >> 32,
                timestamp_low=now & 0xFFFF_FFFF,
                packet_len=len(frame),
                packet_data=frame,
                options={"epb_flags": _OUTBOUND if sent else _INBOUND},
            )
            self._writer.write_block(packet)
            self._file.flush()
            self.frames += 1

    def close(self) -> None:
        """No more frames are recorded."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
