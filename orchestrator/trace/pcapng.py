"""The RPMsg messages of a trace as a capture (draft-ietf-opsawg-pcapng), an interface for each vdev.

A packet has link type USER0 and begins with :class:`PacketHeader`; then come ``struct rpmsg_hdr`` and the payload, as
they stood in the buffer but for the two fields that nobody uses. ``rpmsg.lua`` beside this file dissects it.
"""

from __future__ import annotations

import io
from pathlib import Path

from orchestrator.base.errors import UsageError
from orchestrator.formats.layout import Structure, layout
from orchestrator.formats.rpmsg import RpmsgHeader
from orchestrator.trace.model import MessageTrace, PairTrace, Trace

__all__ = ["DISSECTOR", "LINK_TYPE", "PacketHeader", "refuse_without_pcapng", "to_pcapng"]

DISSECTOR = Path(__file__).with_name("rpmsg.lua")
LINK_TYPE = 147  # LINKTYPE_USER0
VERSION = 1

_FROM_DRIVER, _TO_MAIN, _SEEN = 1, 2, 4
_NANOSECONDS = 9  # if_tsresol
_INBOUND, _OUTBOUND = 1, 2  # epb_flags, as main has it


@layout("<4B2HQ")
class PacketHeader(Structure):
    """What precedes the RPMsg header, little-endian."""

    version: int
    vdev: int
    queue: int  # vring of the vdev
    flags: int  # 1: the driver sends, 2: to main, 4: it was seen
    head: int  # of the chain of descriptors
    pair: int  # of the board, from 0
    seen_ns: int  # after the time stamp of the packet


def refuse_without_pcapng(where: str) -> None:
    """:class:`UsageError` where python-pcapng is missing."""
    try:
        import pcapng  # noqa: F401, PLC0415  # an extra that only captures need
    except ImportError:
        raise UsageError("python-pcapng is not installed", where=where, advice="pip install rptwin[pcapng]") from None


def to_pcapng(trace: Trace) -> bytes:
    """The file; packets by time."""
    from pcapng import FileWriter, blocks  # noqa: PLC0415

    section = blocks.SectionHeader(options={"shb_userappl": f"rptwin, {trace.platform} on {trace.engine}"})
    file = io.BytesIO()
    writer = FileWriter(file, section)
    interfaces = {}
    packets = []
    for number, pair in enumerate(trace.pairs):
        prefix = f"{pair.name}." if pair.name else ""
        for vdev in sorted({shape.vdev for shape in pair.shapes} | {_place(each)[0] for each in pair.messages}):
            options = {
                "if_name": f"{prefix}vdev[{vdev}]",
                "if_description": _who(pair, vdev),
                "if_tsresol": bytes([_NANOSECONDS]),
            }
            interface = section.new_member(blocks.InterfaceDescription, link_type=LINK_TYPE, options=options)
            writer.write_block(interface)
            interfaces[number, vdev] = interface.interface_id
        packets += [(each.sent_ns, number, each) for each in pair.messages]
    for time_ns, number, each in sorted(packets, key=lambda packet: packet[:2]):
        to_main = each.receiver == trace.pairs[number].cores.get("main")
        head, data = _head(each, number, to_main=to_main), each.payload
        packet = section.new_member(
            blocks.EnhancedPacket,
            interface_id=interfaces[number, _place(each)[0]],
            timestamp_high=time_ns >> 32,
            timestamp_low=time_ns & 0xFFFF_FFFF,
            packet_len=len(head) + each.length,
            packet_data=head + data,
            options={"epb_flags": _INBOUND if to_main else _OUTBOUND},
        )
        writer.write_block(packet)
    return file.getvalue()


def _who(pair: PairTrace, vdev: int) -> str:
    """``driver cpu_cm7, device cpu_cm4``."""
    found = next((shape for shape in pair.shapes if shape.vdev == vdev), None)
    return "RPMsg" if found is None else f"driver {found.driver}, device {found.device}"


def _place(each: MessageTrace) -> tuple[int, int]:
    """Numbers of the vdev and of its vring, from ``vdev[0].vring[1]``."""
    vdev, _, ring = each.ring.partition(".")
    return int(vdev.removeprefix("vdev[").removesuffix("]")), int(ring.removeprefix("vring[").removesuffix("]"))


def _head(each: MessageTrace, pair: int, *, to_main: bool) -> bytes:
    vdev, queue = _place(each)
    seen = each.seen_ns is not None
    flags = each.from_driver * _FROM_DRIVER | to_main * _TO_MAIN | seen * _SEEN
    delay = max(0, each.seen_ns - each.sent_ns) if each.seen_ns is not None else 0
    header = PacketHeader(VERSION, vdev & 0xFF, queue & 0xFF, flags, each.head, pair, delay)
    return header.pack() + RpmsgHeader(each.src, each.dst, 0, each.length, 0).pack()
