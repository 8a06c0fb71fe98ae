"""The entries of a resource table: their structures, and the names and constants of their fields.

Sources: Linux ``include/linux/rsc_table.h``; OpenAMP ``remoteproc.h``; NuttX ``rptun.h``. All little-endian, packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum, IntFlag, StrEnum

from orchestrator.base.dataclass import dataclass
from orchestrator.formats.layout import Structure, layout

__all__ = [
    "ANY",
    "FW_RSC_CARVEOUT",
    "FW_RSC_DEVMEM",
    "FW_RSC_FW_CHKSUM",
    "FW_RSC_RPROC_MEM",
    "FW_RSC_TRACE",
    "FW_RSC_VDEV",
    "FW_RSC_VENDOR_END",
    "FW_RSC_VENDOR_START",
    "VIRTIO_CONFIG_S_ACKNOWLEDGE",
    "VIRTIO_CONFIG_S_DRIVER",
    "VIRTIO_CONFIG_S_DRIVER_OK",
    "VIRTIO_CONFIG_S_FAILED",
    "VIRTIO_CONFIG_S_FEATURES_OK",
    "VIRTIO_CONFIG_S_NEEDS_RESET",
    "VIRTIO_ID_RPMSG",
    "Carveout",
    "Checksum",
    "CommandCode",
    "CommandWord",
    "Custom",
    "CustomHead",
    "Devmem",
    "Entry",
    "Feature",
    "ImxVendor",
    "Profile",
    "RprocMem",
    "TableHeader",
    "Trace",
    "TypeWord",
    "Unknown",
    "Vdev",
    "VdevHeader",
    "VdevRole",
    "Vendor",
    "VendorHead",
    "Vring",
    "feature_names",
    "status_names",
]

ANY = 0xFFFFFFFF  # FW_RSC_ADDR_ANY, FW_RSC_NOTIFY_ID_ANY: the host chooses

FW_RSC_CARVEOUT = 0
FW_RSC_DEVMEM = 1
FW_RSC_TRACE = 2
FW_RSC_VDEV = 3
FW_RSC_RPROC_MEM = 4  # OpenAMP 2017.04 to 2018.10
FW_RSC_FW_CHKSUM = 5  # OpenAMP 2017.04 to 2018.10; TI's Linux: an entry of its own
FW_RSC_VENDOR_START = 128
FW_RSC_VENDOR_END = 512

VIRTIO_ID_RPMSG = 7
VIRTIO_CONFIG_S_ACKNOWLEDGE = 1
VIRTIO_CONFIG_S_DRIVER = 2
VIRTIO_CONFIG_S_DRIVER_OK = 4
VIRTIO_CONFIG_S_FEATURES_OK = 8
VIRTIO_CONFIG_S_NEEDS_RESET = 0x40
VIRTIO_CONFIG_S_FAILED = 0x80


class Profile(StrEnum):
    """Whose rules a table is meant for."""

    LINUX = "linux"
    OPENAMP = "openamp"
    NUTTX = "nuttx"
    COMMON = "common"  # nobody's in particular: what each of them demands

    @property
    def host(self) -> Profile:
        """Whose way a played host has: OpenAMP's, the most tolerant, where nothing tells whose the table is."""
        return Profile.OPENAMP if self is Profile.COMMON else self


class Feature(IntFlag):
    """Feature bits of an RPMsg vdev (device bits 0 to 4) and of its rings (virtio 1.3, 6)."""

    NS = 1 << 0
    ACK = 1 << 1  # 1 to 4: NuttX
    BUFSZ = 1 << 2
    CPUNAME = 1 << 3
    BUFADDR = 1 << 4
    INDIRECT_DESC = 1 << 28
    EVENT_IDX = 1 << 29
    MUST_NOTIFY = 1 << 30  # NuttX
    VERSION_1 = 1 << 32
    ACCESS_PLATFORM = 1 << 33
    RING_PACKED = 1 << 34
    IN_ORDER = 1 << 35


def feature_names(features: int) -> tuple[str, ...]:
    """Names of the set bits, lowest first; ``bit 17`` for one without a name."""
    known = {int(feature): feature.name for feature in Feature}
    bits = [1 << bit for bit in range(features.bit_length()) if features >> bit & 1]
    return tuple(known.get(bit) or f"bit {bit.bit_length() - 1}" for bit in bits)


_STATUS = {
    VIRTIO_CONFIG_S_ACKNOWLEDGE: "ACKNOWLEDGE",
    VIRTIO_CONFIG_S_DRIVER: "DRIVER",
    VIRTIO_CONFIG_S_DRIVER_OK: "DRIVER_OK",
    VIRTIO_CONFIG_S_FEATURES_OK: "FEATURES_OK",
    VIRTIO_CONFIG_S_NEEDS_RESET: "NEEDS_RESET",
    VIRTIO_CONFIG_S_FAILED: "FAILED",
}


def status_names(status: int) -> tuple[str, ...]:
    """Names of the set bits of a device status, lowest first; ``bit 5`` for one without a name."""
    return tuple(_STATUS.get(1 << bit, f"bit {bit}") for bit in range(8) if status >> bit & 1)


class CommandCode(IntEnum):
    """What a RPTUN command word asks for, in its upper half."""

    NONE = 0
    READY = 1
    PANIC = 2
    RESET = 3
    STOP = 4
    ACK = 0xFFFF


@dataclass(frozen=True, slots=True)
class CommandWord:
    """``header.reserved[0]`` (of the master) or ``[1]`` (of the slave) as RPTUN uses it at run time."""

    word: int

    @property
    def code(self) -> CommandCode | None:
        """None when RPTUN has no such command."""
        try:
            return CommandCode(self.word >> 16)
        except ValueError:
            return None

    @property
    def argument(self) -> int:
        """The lower half."""
        return self.word & 0xFFFF

    def __str__(self) -> str:
        code = self.code
        name = f"command {self.word >> 16:#x}" if code is None else code.name
        return f"{name} {self.argument:#x}" if self.argument else name


class VdevRole(IntEnum):
    """``vdev.reserved[0]`` as RPTUN uses it: the side of the virtqueues that the table's reader plays."""

    DRIVER = 0
    DEVICE = 1


@layout("<2I2I")
class TableHeader(Structure):
    """What stands in front of the offsets (struct resource_table)."""

    ver: int
    num: int
    reserved: tuple[int, int] = (0, 0)


def _text(name: bytes) -> str:
    return name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


@layout("<6I32s")
class Carveout(Structure):
    """Memory that the host provides (struct fw_rsc_carveout)."""

    type: int = FW_RSC_CARVEOUT
    da: int = 0  # ANY: the host chooses; RPTUN: may be an offset into the shared block
    pa: int = 0
    len: int = 0  # bytes
    flags: int = 0
    reserved: int = 0
    name: bytes = b""

    @property
    def text(self) -> str:
        """The name up to its first NUL."""
        return _text(self.name)


@layout("<6I32s")
class Devmem(Structure):
    """Memory or registers to map through an IOMMU (struct fw_rsc_devmem)."""

    type: int = FW_RSC_DEVMEM
    da: int = 0
    pa: int = 0
    len: int = 0  # bytes
    flags: int = 0
    reserved: int = 0
    name: bytes = b""

    @property
    def text(self) -> str:
        """The name up to its first NUL."""
        return _text(self.name)


@layout("<4I32s")
class Trace(Structure):
    """A buffer that the remote logs to (struct fw_rsc_trace)."""

    type: int = FW_RSC_TRACE
    da: int = 0
    len: int = 0  # bytes
    reserved: int = 0
    name: bytes = b""

    @property
    def text(self) -> str:
        """The name up to its first NUL."""
        return _text(self.name)


@layout("<6I2B2B")
class VdevHeader(Structure):
    """A virtio device, up to its vrings (struct fw_rsc_vdev)."""

    type: int = FW_RSC_VDEV
    id: int = 0  # virtio device id
    notifyid: int = 0
    dfeatures: int = 0
    gfeatures: int = 0
    config_len: int = 0  # bytes
    status: int = 0
    num_of_vrings: int = 0
    reserved: tuple[int, int] = (0, 0)


@layout("<5I")
class Vring(Structure):
    """One ring of a vdev entry (struct fw_rsc_vdev_vring)."""

    da: int  # address as the device sees it; 0 or ANY: the host allocates
    align: int  # bytes, of the used ring
    num: int  # entries
    notifyid: int = 0  # chosen by the host when ANY
    pa: int = 0  # zero until the host fills it

    @property
    def is_dynamic(self) -> bool:
        """RPTUN allocates the ring from the vdev's carveout (RPTUN, "Vrings")."""
        return self.da in (0, ANY)


@dataclass(frozen=True, slots=True)
class Vdev:
    """A vdev entry whole: its head, its vrings, its config space."""

    head: VdevHeader
    vrings: tuple[Vring, ...] = ()
    config: bytes = b""

    @classmethod
    def of(cls, head: VdevHeader, vrings: Sequence[Vring], config: bytes = b"") -> Vdev:
        """A vdev whose counts agree with what it holds."""
        return cls(replace(head, num_of_vrings=len(vrings), config_len=len(config)), tuple(vrings), config)

    @property
    def vrings_offset(self) -> int:
        """Offset of the first vring in the entry."""
        return VdevHeader.size

    @property
    def config_offset(self) -> int:
        """Offset of the config space in the entry, where it would stand when there is none."""
        return VdevHeader.size + Vring.size * len(self.vrings)

    def pack(self) -> bytes:
        """The bytes in memory."""
        return self.head.pack() + b"".join(vring.pack() for vring in self.vrings) + self.config


@layout("<5I")
class RprocMem(Structure):
    """Memory, as OpenAMP 2017.04 to 2018.10 described it (struct fw_rsc_rproc_mem)."""

    type: int = FW_RSC_RPROC_MEM
    da: int = 0
    pa: int = 0
    len: int = 0
    reserved: int = 0


@layout("<I16s64s")
class Checksum(Structure):
    """The firmware's checksum, as OpenAMP 2017.04 to 2018.10 described it (struct fw_rsc_fw_chksum)."""

    type: int = FW_RSC_FW_CHKSUM
    algo: bytes = b""
    chksum: bytes = b""


@layout("<5I")
class ImxVendor(Structure):
    """What NXP puts into a vendor entry (struct fw_rsc_imx_dsp)."""

    type: int
    len: int
    magic: int
    version: int
    features: int


@layout("<2I")
class VendorHead(Structure):
    """What each vendor entry starts with (struct fw_rsc_vendor)."""

    type: int
    len: int  # bytes of the entry


@layout("<I")
class TypeWord(Structure):
    """What each entry starts with (struct fw_rsc_hdr)."""

    type: int


@dataclass(frozen=True, slots=True)
class Vendor:
    """An entry of types 128 to 512: ``data`` is whatever stands after type and length."""

    type: int
    len: int  # as the entry says
    data: bytes = b""

    def pack(self) -> bytes:
        """The bytes in memory."""
        return VendorHead(self.type, self.len).pack() + self.data

    @property
    def imx(self) -> ImxVendor | None:
        """The entry read as NXP's; None when it is too short for that."""
        packed = self.pack()
        return ImxVendor.unpack_from(packed) if len(packed) >= ImxVendor.size else None


@layout("<3I")
class CustomHead(Structure):
    """What a custom entry of TI's starts with (struct fw_rsc_custom of its PRU software)."""

    type: int
    sub_type: int
    rsc_size: int  # bytes after this


@dataclass(frozen=True, slots=True)
class Custom:
    """An entry of type 5 as TI's Linux reads it, such as a PRU's interrupt map: sub-type, size, and that many bytes."""

    sub_type: int
    data: bytes = b""

    def pack(self) -> bytes:
        """The bytes in memory."""
        return CustomHead(FW_RSC_FW_CHKSUM, self.sub_type, len(self.data)).pack() + self.data


@dataclass(frozen=True, slots=True)
class Unknown:
    """An entry of a type without a meaning: ``data`` is what stands after the type, up to the next entry."""

    type: int
    data: bytes = b""

    def pack(self) -> bytes:
        """The bytes in memory."""
        return TypeWord(self.type).pack() + self.data


Entry = Carveout | Devmem | Trace | Vdev | RprocMem | Checksum | Custom | Vendor | Unknown
