"""The config space of NuttX's RPMsg vdev, in each layout that NuttX has released.

From 9.1 on the block has 64 bytes in every release, so its length does not tell the layout, and its features only
sometimes do. Where they leave two releases open, the one whose place for the cores' names holds names is meant; where
none or both do an option decides, and a reading that had to guess says so.
"""

from __future__ import annotations

from enum import StrEnum

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TableError
from orchestrator.formats.layout import Structure, layout
from orchestrator.formats.resource_entry import Feature

__all__ = [
    "CONFIG_LAYOUTS",
    "ConfigV9_0",
    "ConfigV9_1",
    "ConfigV11",
    "ConfigV12_13",
    "ConfigV13",
    "NuttxConfig",
    "NuttxRelease",
    "decode_nuttx_config",
]


class NuttxRelease(StrEnum):
    """The first release with a layout, oldest first; each holds until the next."""

    V9_0 = "9.0"  # and before
    V9_1 = "9.1"
    V11_0 = "11.0"
    V12_13 = "12.13"
    V13_0 = "13.0"


@layout("<I")
class ConfigV9_0(Structure):  # noqa: N801 - the release's own number
    """Up to 9.0: one word behind the vrings, not counted in ``config_len``."""

    buf_size: int


@layout("<2I14I")
class ConfigV9_1(Structure):  # noqa: N801 - the release's own number
    """9.1 to 10.x."""

    txbuf_size: int
    rxbuf_size: int
    reserved: tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int]


@layout("<2I14I")
class ConfigV11(Structure):
    """11.0 to 12.12."""

    h2r_buf_size: int
    r2h_buf_size: int
    reserved: tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int]


@layout("<2I8s8s10I")
class ConfigV12_13(Structure):  # noqa: N801 - the release's own number
    """12.13."""

    h2r_buf_size: int
    r2h_buf_size: int
    host_cpuname: bytes
    remote_cpuname: bytes
    reserved: tuple[int, int, int, int, int, int, int, int, int, int]


@layout("<2I2Q8s8s6I")
class ConfigV13(Structure):
    """From 13.0 on."""

    h2r_buf_size: int
    r2h_buf_size: int
    h2r_buf_addr: int
    r2h_buf_addr: int
    host_cpuname: bytes
    remote_cpuname: bytes
    reserved: tuple[int, int, int, int, int, int]


CONFIG_LAYOUTS: dict[NuttxRelease, type[Structure]] = {
    NuttxRelease.V9_0: ConfigV9_0,
    NuttxRelease.V9_1: ConfigV9_1,
    NuttxRelease.V11_0: ConfigV11,
    NuttxRelease.V12_13: ConfigV12_13,
    NuttxRelease.V13_0: ConfigV13,
}


@dataclass(frozen=True, slots=True)
class NuttxConfig:
    """A config block as one release lays it out."""

    release: NuttxRelease
    block: Structure
    candidates: tuple[NuttxRelease, ...]  # every release that length, features and names allow, ``release`` included

    @property
    def is_ambiguous(self) -> bool:
        """Whether another candidate has the fields that the features announce at other offsets."""
        return len(self.candidates) > 1

    @property
    def h2r_buf_size(self) -> int | None:
        """Bytes of a buffer from host to remote; None where the release has another name or none for it."""
        return self._number("h2r_buf_size")

    @property
    def r2h_buf_size(self) -> int | None:
        """Bytes of a buffer from remote to host; None where the release has another name or none for it."""
        return self._number("r2h_buf_size")

    @property
    def h2r_buf_addr(self) -> int | None:
        """Address of the buffers from host to remote; None before 13.0."""
        return self._number("h2r_buf_addr")

    @property
    def r2h_buf_addr(self) -> int | None:
        """Address of the buffers from remote to host; None before 13.0."""
        return self._number("r2h_buf_addr")

    @property
    def host_cpuname(self) -> str | None:
        """None before 12.13."""
        return self._text("host_cpuname")

    @property
    def remote_cpuname(self) -> str | None:
        """None before 12.13."""
        return self._text("remote_cpuname")

    def _number(self, name: str) -> int | None:
        value = getattr(self.block, name, None)
        return value if isinstance(value, int) else None

    def _text(self, name: str) -> str | None:
        value = getattr(self.block, name, None)
        return value.split(b"\0", 1)[0].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else None


def _candidates(size: int, features: int) -> tuple[NuttxRelease, ...]:
    """Releases in which a block of this size with these features can be, the newest last."""
    if size < ConfigV9_1.size:
        return (NuttxRelease.V9_0,)
    if features & Feature.BUFADDR:
        return (NuttxRelease.V13_0,)
    if features & Feature.CPUNAME:
        return (NuttxRelease.V12_13, NuttxRelease.V13_0)
    return (NuttxRelease.V11_0,)  # the sizes stand at the same place in every later release


def _is_name(field: bytes) -> bool:
    """Whether a field is empty or holds one word, with nothing behind its NUL."""
    name, _, rest = field.partition(b"\0")
    return not any(rest) and all(0x20 < byte < 0x7F for byte in name)


def _has_names(data: bytes, release: NuttxRelease) -> bool:
    """Whether the places of the cores' names in a release hold names, one of them not empty."""
    block = CONFIG_LAYOUTS[release].unpack_from(data)
    names = [getattr(block, name) for name in ("host_cpuname", "remote_cpuname")]
    return any(map(any, names)) and all(map(_is_name, names))


def decode_nuttx_config(data: bytes, release: NuttxRelease | None, features: int) -> NuttxConfig:
    """The config block at the start of ``data``; with no release given, the newest that the features and names allow.

    ``data`` is the config space, or for 9.0 what stands behind the vrings. :class:`TableError` ``table.config-size``
    when it is too short for the release.
    """
    candidates = (release,) if release is not None else _candidates(len(data), features)
    if len(candidates) > 1:
        candidates = tuple(each for each in candidates if _has_names(data, each)) or candidates
    chosen = candidates[-1]
    block = CONFIG_LAYOUTS[chosen]
    if len(data) < block.size:
        raise TableError(
            f"too short for the config space of NuttX {chosen}",
            rule="table.config-size",
            where="config",
            expected=f"{block.size} bytes",
            found=f"{len(data)} bytes",
        )
    return NuttxConfig(chosen, block.unpack_from(data), candidates)
