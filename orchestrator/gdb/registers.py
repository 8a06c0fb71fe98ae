"""The registers of an M-profile core as gdb numbers them, and the description that tells it so.

Features and names as in "ARM Features" of the appendix "Target Descriptions" of Debugging with GDB. PRIMASK and what
follows it are in a feature of our own: gdb shows what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.dataclass import dataclass

__all__ = ["Register", "describe", "registers_of"]


@dataclass(frozen=True, slots=True)
class Register:
    """One register: our name and gdb's, its width in bits, its type in a description, and its feature."""

    name: str
    gdb_name: str
    bits: int
    type: str
    feature: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.bits // 8

    def to_hex(self, value: int) -> str:
        """As gdb transfers it: the target's byte order."""
        return value.to_bytes(self.size, "little").hex()


_CORE, _FP, _SYSTEM = "org.gnu.gdb.arm.m-profile", "org.gnu.gdb.arm.vfp", "org.gnu.gdb.arm.m-system"
_MASKS = "org.rptwin.arm.m-masks"
_KNOWN = (
    *(Register(f"R{number}", f"r{number}", 32, "int", _CORE) for number in range(13)),
    Register("SP", "sp", 32, "data_ptr", _CORE),
    Register("LR", "lr", 32, "int", _CORE),
    Register("PC", "pc", 32, "code_ptr", _CORE),
    Register("XPSR", "xpsr", 32, "int", _CORE),
    *(Register(f"D{number}", f"d{number}", 64, "ieee_double", _FP) for number in range(16)),
    Register("FPSCR", "fpscr", 32, "int", _FP),
    Register("MSP", "msp", 32, "data_ptr", _SYSTEM),
    Register("PSP", "psp", 32, "data_ptr", _SYSTEM),
    *(Register(name, name.lower(), 32, "int", _MASKS) for name in ("PRIMASK", "BASEPRI", "FAULTMASK", "CONTROL")),
)


def registers_of(values: Mapping[str, int]) -> tuple[Register, ...]:
    """Those that a core has, in gdb's order."""
    return tuple(each for each in _KNOWN if each.name in values)


def describe(registers: tuple[Register, ...]) -> str:
    """``target.xml`` (Target Descriptions, "Target Description Format")."""
    features = dict.fromkeys(each.feature for each in registers)
    lines = ['<?xml version="1.0"?>', '<!DOCTYPE target SYSTEM "gdb-target.dtd">', '<target version="1.0">']
    lines.append("<architecture>arm</architecture>")
    for feature in features:
        lines.append(f'<feature name="{feature}">')
        for number, each in enumerate(registers):
            if each.feature == feature:
                lines.append(
                    f'<reg name="{each.gdb_name}" bitsize="{each.bits}" type="{each.type}" regnum="{number}"/>'
                )
        lines.append("</feature>")
    return "\n".join([*lines, "</target>", ""])
