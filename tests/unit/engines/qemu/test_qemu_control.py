"""The control page: what the plugin's C struct finds there."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.memory import Extent
from orchestrator.engines.qemu.control import MOST_SPANS, Control, Probe

EXTENTS = st.lists(st.builds(Extent, st.integers(0, 1 << 30), st.integers(1, 4096)), max_size=200)


def spans(page: bytes) -> list[tuple[int, int]]:
    count = struct.unpack_from("<I", page, 48)[0]
    return [struct.unpack_from("<II", page, 56 + 8 * index) for index in range(count)]


def test_times_and_turns_stand_where_the_struct_has_them(tmp_path: Path) -> None:
    control = Control(tmp_path / "page")
    control.set_turns(312, 5)
    control.set_deadline(20_000)
    assert struct.unpack_from("<QQQ", (tmp_path / "page").read_bytes()) == (20_000, 312, 5)


def test_what_the_plugin_writes_is_read(tmp_path: Path) -> None:
    control = Control(tmp_path / "page")
    with (tmp_path / "page").open("r+b") as file:
        file.seek(24)
        file.write(struct.pack("<QQQ", 40_000, 625, 7))
    assert control.now_ns == 40_000
    assert control.executed == (625, 7)


def test_a_probe_is_its_trigger_its_core_and_its_word(tmp_path: Path) -> None:
    control = Control(tmp_path / "page")
    control.set_probes([Probe(Extent(0x5000_3000, 0x1000), 1, 0x5000_3010)])
    page = (tmp_path / "page").read_bytes()
    assert struct.unpack_from("<I", page, 52)[0] == 1
    assert struct.unpack_from("<IIII", page, 568) == (0x5000_3000, 0x5000_4000, 1, 0x5000_3010)


@given(extents=EXTENTS)
def test_every_watched_byte_is_in_a_span_however_many_there_are(
    tmp_path_factory: object, extents: list[Extent]
) -> None:
    path = tmp_path_factory.mktemp("control") / "page"  # type: ignore[attr-defined]
    control = Control(path)
    control.set_spans(extents)
    found = spans(path.read_bytes())
    control.close()
    assert len(found) <= MOST_SPANS
    assert all(any(start <= each.start and each.end <= end for start, end in found) for each in extents)
    assert found == sorted(found)
