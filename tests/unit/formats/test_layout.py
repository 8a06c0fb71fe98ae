import struct
import subprocess
from pathlib import Path

import pytest
import ziglang

from orchestrator.formats import nuttx_config, packed_virtqueue, resource_entry, rpmsg, virtqueue
from orchestrator.formats.layout import Structure, layout


@layout("<I2H4s")
class Sample(Structure):
    word: int
    halves: tuple[int, int]
    text: bytes


def test_fields_take_items_in_order_and_a_tuple_takes_as_many_as_it_has():
    sample = Sample.unpack_from(bytes.fromhex("ff 04030201 0605 0807 61626300"), 1)
    assert sample == Sample(0x01020304, (0x0506, 0x0708), b"abc\0")
    assert sample.pack() == bytes.fromhex("04030201 0605 0807 61626300")


def test_offsets_are_known_by_field_and_by_array_item():
    assert Sample.size == 12
    assert [Sample.offset_of(path) for path in ("word", "halves", "halves[0]", "halves[1]", "text")] == [0, 4, 4, 6, 8]
    with pytest.raises(KeyError, match="Sample has no field other"):
        Sample.offset_of("other")


def test_a_structure_is_frozen_and_slotted():
    @layout("<I")
    class Word(Structure):
        word: int

    with pytest.raises(AttributeError):
        Word(1).word = 4  # type: ignore[misc]
    assert not hasattr(Word(1), "__dict__")


def test_a_format_that_does_not_match_the_fields_is_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match="2 values, but layout '<3I' has 3"):

        @layout("<3I")
        class Wrong(Structure):
            first: int
            second: int


def test_a_value_too_large_for_its_field_is_not_cut():
    with pytest.raises(struct.error):
        Sample(1 << 32, (0, 0), b"").pack()


# The C declarations, from the documents: the compiler says where each field lies.
DECLARATIONS = """
#include <stddef.h>
#include <stdint.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
#define PACKED __attribute__((packed))
struct TableHeader { u32 ver, num, reserved[2]; } PACKED;
struct Carveout { u32 type, da, pa, len, flags, reserved; u8 name[32]; } PACKED;
struct Devmem { u32 type, da, pa, len, flags, reserved; u8 name[32]; } PACKED;
struct Trace { u32 type, da, len, reserved; u8 name[32]; } PACKED;
struct Vring { u32 da, align, num, notifyid, pa; } PACKED;
struct VdevHeader { u32 type, id, notifyid, dfeatures, gfeatures, config_len;
    u8 status, num_of_vrings, reserved[2]; } PACKED;
struct RprocMem { u32 type, da, pa, len, reserved; } PACKED;
struct Checksum { u32 type; u8 algo[16]; u8 chksum[64]; } PACKED;
struct VendorHead { u32 type, len; } PACKED;
struct ImxVendor { u32 type, len, magic, version, features; } PACKED;
struct ConfigV9_0 { u32 buf_size; } PACKED;
struct ConfigV9_1 { u32 txbuf_size, rxbuf_size, reserved[14]; } PACKED;
struct ConfigV11 { u32 h2r_buf_size, r2h_buf_size, reserved[14]; } PACKED;
struct ConfigV12_13 { u32 h2r_buf_size, r2h_buf_size;
    char host_cpuname[8], remote_cpuname[8]; u32 reserved[10]; } PACKED;
struct ConfigV13 { u32 h2r_buf_size, r2h_buf_size;
    u64 h2r_buf_addr, r2h_buf_addr; char host_cpuname[8], remote_cpuname[8]; u32 reserved[6]; } PACKED;
struct RpmsgHeader { u32 src, dst, reserved; u16 len, flags; } PACKED;
struct NameServiceMessage { char name[32]; u32 addr, flags; } PACKED;
struct Descriptor { u64 addr; u32 len; u16 flags, next; };
struct UsedElement { u32 id, len; };
struct RingFlags { u16 flags, idx; };
struct PackedDescriptor { u64 addr; u32 len; u16 id, flags; };
struct EventSuppression { u16 desc, flags; };
"""
STRUCTURES = [
    resource_entry.TableHeader,
    resource_entry.Carveout,
    resource_entry.Devmem,
    resource_entry.Trace,
    resource_entry.Vring,
    resource_entry.VdevHeader,
    resource_entry.RprocMem,
    resource_entry.Checksum,
    resource_entry.VendorHead,
    resource_entry.ImxVendor,
    *nuttx_config.CONFIG_LAYOUTS.values(),
    rpmsg.RpmsgHeader,
    rpmsg.NameServiceMessage,
    virtqueue.Descriptor,
    virtqueue.UsedElement,
    virtqueue.RingFlags,
    packed_virtqueue.PackedDescriptor,
    packed_virtqueue.EventSuppression,
]


def test_the_c_compiler_agrees_on_every_size_and_offset(tools):
    lines = [DECLARATIONS]
    for each in STRUCTURES:
        lines.append(f'_Static_assert(sizeof(struct {each.__name__}) == {each.size}, "{each.__name__}");')
        lines += [
            f'_Static_assert(offsetof(struct {each.__name__}, {leaf.path}) == {leaf.offset}, "{leaf.path}");'
            for leaf in each.leaves
        ]
    assert sum(line.count("offsetof") for line in lines) > 100
    source: Path = tools.folder / "layouts.c"
    source.write_text("\n".join(lines) + "\n")
    tools.compile(source)


def test_the_c_compiler_would_refuse_a_wrong_offset(tools):
    source: Path = tools.folder / "wrong.c"
    source.write_text(DECLARATIONS + '_Static_assert(offsetof(struct Vring, num) == 4, "num");\n')
    with pytest.raises(subprocess.CalledProcessError) as caught:
        tools.compile(source)
    assert "num" in caught.value.stderr


# What Linux calls them (linux/virtio_ring.h, virtio_config.h, virtio_ids.h), and we.
CONSTANTS = {
    "VRING_DESC_F_NEXT": virtqueue.DescriptorFlag.NEXT,
    "VRING_DESC_F_WRITE": virtqueue.DescriptorFlag.WRITE,
    "VRING_DESC_F_INDIRECT": virtqueue.DescriptorFlag.INDIRECT,
    "1 << VRING_PACKED_DESC_F_AVAIL": packed_virtqueue.PackedFlag.AVAIL,
    "1 << VRING_PACKED_DESC_F_USED": packed_virtqueue.PackedFlag.USED,
    "VRING_DESC_F_NEXT + 0": packed_virtqueue.PackedFlag.NEXT,
    "VRING_DESC_F_WRITE + 0": packed_virtqueue.PackedFlag.WRITE,
    "VRING_DESC_F_INDIRECT + 0": packed_virtqueue.PackedFlag.INDIRECT,
    "VRING_PACKED_EVENT_FLAG_ENABLE": packed_virtqueue.EventFlags.ENABLE,
    "VRING_PACKED_EVENT_FLAG_DISABLE": packed_virtqueue.EventFlags.DISABLE,
    "VRING_PACKED_EVENT_FLAG_DESC": packed_virtqueue.EventFlags.DESC,
    "VIRTIO_CONFIG_S_ACKNOWLEDGE": resource_entry.VIRTIO_CONFIG_S_ACKNOWLEDGE,
    "VIRTIO_CONFIG_S_DRIVER": resource_entry.VIRTIO_CONFIG_S_DRIVER,
    "VIRTIO_CONFIG_S_DRIVER_OK": resource_entry.VIRTIO_CONFIG_S_DRIVER_OK,
    "VIRTIO_CONFIG_S_FEATURES_OK": resource_entry.VIRTIO_CONFIG_S_FEATURES_OK,
    "VIRTIO_CONFIG_S_NEEDS_RESET": resource_entry.VIRTIO_CONFIG_S_NEEDS_RESET,
    "VIRTIO_CONFIG_S_FAILED": resource_entry.VIRTIO_CONFIG_S_FAILED,
    "VIRTIO_ID_RPMSG": resource_entry.VIRTIO_ID_RPMSG,
    "1ull << VIRTIO_RING_F_INDIRECT_DESC": resource_entry.Feature.INDIRECT_DESC,
    "1ull << VIRTIO_RING_F_EVENT_IDX": resource_entry.Feature.EVENT_IDX,
    "1ull << VIRTIO_F_VERSION_1": resource_entry.Feature.VERSION_1,
    "1ull << VIRTIO_F_ACCESS_PLATFORM": resource_entry.Feature.ACCESS_PLATFORM,
    "1ull << VIRTIO_F_RING_PACKED": resource_entry.Feature.RING_PACKED,
    "1ull << VIRTIO_F_IN_ORDER": resource_entry.Feature.IN_ORDER,
}


def test_flags_features_and_statuses_are_those_of_linuxs_headers(tools):
    includes = Path(ziglang.__file__).parent / "lib" / "libc" / "include"
    lines = [f"#include <linux/{name}.h>" for name in ("virtio_ring", "virtio_config", "virtio_ids")]
    lines += [f'_Static_assert(({name}) == {int(value)}ull, "{name}");' for name, value in CONSTANTS.items()]
    source: Path = tools.folder / "constants.c"
    source.write_text("\n".join(lines) + "\n")
    folders = [f"-isystem{includes / name}" for name in ("any-linux-any", "arm-linux-any")]
    tools.compile(source, "-Wno-pointer-to-int-cast", *folders)


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (resource_entry.TableHeader, 16),
        (resource_entry.Carveout, 56),
        (resource_entry.Devmem, 56),
        (resource_entry.Trace, 48),
        (resource_entry.VdevHeader, 28),
        (resource_entry.Vring, 20),
        (resource_entry.RprocMem, 20),
        (resource_entry.Checksum, 84),
        (nuttx_config.ConfigV9_1, 64),
        (nuttx_config.ConfigV11, 64),
        (nuttx_config.ConfigV12_13, 64),
        (nuttx_config.ConfigV13, 64),
        (rpmsg.RpmsgHeader, 16),
        (rpmsg.NameServiceMessage, 40),
        (virtqueue.Descriptor, 16),
    ],
)
def test_sizes_are_those_of_the_documents(structure, size):
    assert structure.size == size
