import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import TableError
from orchestrator.formats.nuttx_config import ConfigV9_1, NuttxRelease, decode_nuttx_config
from orchestrator.formats.resource_entry import Feature, Trace, Vdev, VdevHeader, Vring
from orchestrator.formats.resource_table import build_table, decode_table_bytes

V13 = struct.pack("<IIQQ8s8s24x", 512, 256, 0x10042000, 0x10043000, b"main", b"remote")


def test_13_0_is_recognised_by_its_buffer_addresses():
    config = decode_nuttx_config(V13, None, Feature.BUFSZ | Feature.CPUNAME | Feature.BUFADDR)
    assert (config.release, config.is_ambiguous) == (NuttxRelease.V13_0, False)
    assert (config.h2r_buf_size, config.r2h_buf_size) == (512, 256)
    assert (config.h2r_buf_addr, config.r2h_buf_addr) == (0x10042000, 0x10043000)
    assert (config.host_cpuname, config.remote_cpuname) == ("main", "remote")


@pytest.mark.parametrize(
    ("data", "release"),
    [
        (struct.pack("<II8s8s40x", 512, 256, b"cm7", b"cm4"), NuttxRelease.V12_13),
        (struct.pack("<II8s8s40x", 512, 256, b"", b"longname"), NuttxRelease.V12_13),
        (struct.pack("<IIQQ8s8s24x", 512, 256, 0, 0, b"main", b""), NuttxRelease.V13_0),
        (V13, NuttxRelease.V13_0),
    ],
    ids=["12.13", "12.13, one name of full length", "13.0, one name", "13.0, places that nobody accepted"],
)
def test_names_tell_the_release_by_where_they_stand(data, release):
    config = decode_nuttx_config(data, None, Feature.CPUNAME)
    assert (config.release, config.is_ambiguous) == (release, False)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<II56x", 512, 256),
        struct.pack("<II8s8s8s8s24x", 512, 256, b"a", b"b", b"c", b"d"),
        struct.pack("<II8s8s40x", 512, 256, b"\x01", b"\xff"),
        struct.pack("<II8s8s40x", 512, 256, b"a\0b", b""),
    ],
    ids=["no names", "names in both places", "no text", "text behind the end of a name"],
)
def test_what_no_name_decides_stays_open_and_the_reading_says_so(data):
    config = decode_nuttx_config(data, None, Feature.CPUNAME)
    assert config.release is NuttxRelease.V13_0
    assert config.candidates == (NuttxRelease.V12_13, NuttxRelease.V13_0)


@pytest.mark.parametrize(("byte", "is_name"), [(0x20, False), (0x21, True), (0x7E, True), (0x7F, False)])
def test_a_name_is_made_of_characters_that_one_sees(byte, is_name):
    config = decode_nuttx_config(struct.pack("<II8s8s40x", 512, 256, bytes((byte,)), b""), None, Feature.CPUNAME)
    assert config.release is (NuttxRelease.V12_13 if is_name else NuttxRelease.V13_0)
    assert config.is_ambiguous is not is_name


@pytest.mark.parametrize(("size", "release"), [(63, NuttxRelease.V9_0), (64, NuttxRelease.V11_0)])
def test_from_9_1_on_the_block_has_64_bytes(size, release):
    assert decode_nuttx_config(V13[:size], None, 0).candidates == (release,)


def test_a_given_release_decides():
    data = struct.pack("<II8s8s40x", 512, 256, b"main", b"longname")
    config = decode_nuttx_config(data, NuttxRelease.V12_13, Feature.CPUNAME)
    assert (config.host_cpuname, config.remote_cpuname, config.is_ambiguous) == ("main", "longname", False)
    assert config.h2r_buf_addr is None


def test_sizes_alone_stand_at_the_same_place_in_every_release():
    config = decode_nuttx_config(V13, None, Feature.BUFSZ)
    assert (config.h2r_buf_size, config.r2h_buf_size, config.is_ambiguous) == (512, 256, False)
    assert config.host_cpuname is None
    old = decode_nuttx_config(V13, NuttxRelease.V9_1, Feature.BUFSZ)
    assert isinstance(old.block, ConfigV9_1)
    assert (old.block.txbuf_size, old.block.rxbuf_size, old.h2r_buf_size) == (512, 256, None)


def test_9_0_has_one_word_behind_the_vrings_of_a_vdev_without_config_space():
    table = build_table([Vdev.of(VdevHeader(id=7), [Vring(0, 16, 8), Vring(0, 16, 8)]), Trace()], align=8)
    vdev = table.vdevs[0]
    data = bytearray(table.encode())
    end = vdev.at.address + vdev.value.config_offset
    table = decode_table_bytes(bytes(data[:end]) + (1024).to_bytes(4, "little") + bytes(data[end + 4 :]))
    behind = table.after_vrings(table.vdevs[0], 4)
    assert (behind.at.address, behind.at.path) == (end, "vdev[0].config")
    config = decode_nuttx_config(behind.value, None, 0)
    assert (config.release, config.block.buf_size) == (NuttxRelease.V9_0, 1024)


def test_a_block_too_short_for_the_release_is_a_table_error():
    with pytest.raises(TableError, match=r"NuttX 13\.0: expected 64 bytes, found 63 bytes") as caught:
        decode_nuttx_config(V13[:63], NuttxRelease.V13_0, 0)
    assert caught.value.rule == "table.config-size"


@given(st.binary(max_size=80), st.sampled_from([None, *NuttxRelease]), st.integers(0, 63))
def test_any_block_decodes_to_something_that_encodes_alike_or_raises_a_table_error(data, release, features):
    try:
        config = decode_nuttx_config(data, release, features)
    except TableError:
        return
    assert data.startswith(config.block.pack())
