"""Draws a virtqueue as it stands in the shared memory of a live run: descriptors, both rings, and whose each chain is.

The run boots the remote image of the golden recording under the Python host, which repeats to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from orchestrator.board import Board
from orchestrator.formats.virtqueue import SplitRing

__all__ = ["PICTURES"]

REMOTE = Path(__file__).resolve().parents[1] / "tests" / "golden" / "demo-unicorn" / "remote.elf"
ROW, TOP = 22, 74
COLUMNS = {"descriptor table": 16, "available ring": 420, "used ring": 570}
COLOURS = {"driver": "#dbeafe", "device": "#fde68a", "back": "#bbf7d0"}
LEGEND = (("driver", "with the driver"), ("device", "with the device"), ("back", "given back, not yet taken"))


def _text(x: int, y: int, text: str, *, size: int = 12, weight: str = "normal") -> str:
    style = f'font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x}" y="{y}" font-family="monospace" {style} fill="#111827">{escape(text)}</text>'


def _cell(x: int, y: int, width: int, fill: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{ROW - 2}" fill="{fill}" stroke="#6b7280" rx="2"/>'


def _owners(ring: SplitRing, taken: int) -> dict[int, str]:
    """Each descriptor's owner: from the free-running indices, and how far the driver has taken used elements."""
    num = ring.layout.num
    owners = dict.fromkeys(range(num), "driver")
    for index in range(max(0, ring.avail_idx - num), ring.avail_idx):
        owners[ring.avail_ring(index)] = "device"
    for index in range(max(0, ring.used_idx - num), ring.used_idx):
        head = ring.used_ring(index).id
        since = [i for i in range(max(0, ring.avail_idx - num), ring.avail_idx) if ring.avail_ring(i) == head]
        if index >= taken:
            owners[head] = "back"
        elif not since or since[-1] <= index:
            owners[head] = "driver"
    return owners


def _rows(ring: SplitRing, owners: dict[int, str]) -> Iterator[str]:
    for i in range(ring.layout.num):
        y = TOP + ROW * i
        desc, used = ring.desc(i), ring.used_ring(i)
        way = "device writes" if desc.is_writable else "device reads" if desc.addr else "unused"
        yield _cell(COLUMNS["descriptor table"], y, 384, COLOURS[owners[i]])
        yield _text(24, y + 15, f"{i}  addr {desc.addr:#010x}  len {desc.len:4}  {way}")
        yield _cell(COLUMNS["available ring"], y, 130, "#f3f4f6")
        yield _text(COLUMNS["available ring"] + 8, y + 15, f"[{i}] = {ring.avail_ring(i)}")
        yield _cell(COLUMNS["used ring"], y, 190, "#f3f4f6")
        yield _text(COLUMNS["used ring"] + 8, y + 15, f"[{i}] = id {used.id}, len {used.len}")


def draw(ring: SplitRing, title: str, taken: int) -> str:
    """One queue as SVG; ``taken`` is the driver's own count of used elements that it has seen."""
    foot = TOP + ROW * ring.layout.num + 18
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {foot + 54}" width="780" height="{foot + 54}">',
        f'<rect width="780" height="{foot + 54}" fill="#ffffff"/>',
        _text(16, 26, title, size=15, weight="bold"),
        *(_text(x, TOP - 12, name, weight="bold") for name, x in COLUMNS.items()),
        *_rows(ring, _owners(ring, taken)),
        _text(COLUMNS["available ring"], foot, f"avail.idx = {ring.avail_idx}", weight="bold"),
        _text(COLUMNS["used ring"], foot, f"used.idx = {ring.used_idx}, driver at {taken}", weight="bold"),
    ]
    for index, (owner, words) in enumerate(LEGEND):
        x = 16 + 250 * index
        lines += [_cell(x, foot + 18, 20, COLOURS[owner]), _text(x + 28, foot + 33, words)]
    return "\n".join([*lines, "</svg>"]) + "\n"


@cache
def _drawn() -> dict[str, str]:
    """Three moments of one run: rings offered, a message under way, its answer."""
    pictures = {}
    with Board(remote=REMOTE) as board:
        endpoint = board.host.endpoint("rptwin-echo")
        board.run_for("1 ms")
        to_main, to_remote = (ring.open(board.observer.views) for ring in board.vrings)
        assert to_main is not None
        assert to_remote is not None
        when = f"{board.time_ns / 1e6:.2f} ms"
        title = f"vring 0, remote to main, at {when}: empty buffers wait with the remote"
        pictures["offered"] = draw(to_main, title, to_main.used_idx)
        endpoint.send(b"hello")
        board.run_for("20 us")
        title = f"vring 1, main to remote, {board.time_ns / 1e6:.2f} ms: a message is published"
        pictures["published"] = draw(to_remote, title, 0)
        taken = to_main.used_idx
        board.run_for("20 us")
        title = f"vring 0, remote to main, {board.time_ns / 1e6:.2f} ms: the answer is in a used buffer"
        pictures["used"] = draw(to_main, title, taken)
        assert endpoint.receive() == b"hello"
    return pictures


PICTURES = {name: (lambda name=name: _drawn()[name]) for name in ("offered", "published", "used")}
