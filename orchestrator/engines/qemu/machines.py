"""QEMU's machines that are platforms here, and what QEMU alone needs to know of them."""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError
from orchestrator.platform.model import Platform

__all__ = ["MACHINES", "Machine", "machine_of"]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of QEMU; cores and UARTs are named as in the platform, in QEMU's order."""

    name: str
    cores: tuple[str, ...]
    uarts: tuple[str, ...]  # by QEMU's -serial


MACHINES = {
    "mps2_an521": Machine(
        "mps2-an521",
        cores=("cpu0", "cpu1"),
        uarts=("uart0", "uart1", "uart2", "uart3", "uart4"),
    )
}


def machine_of(platform: Platform) -> Machine:
    """Raises EngineError where QEMU has no such board."""
    if platform.name not in MACHINES:
        raise EngineError(
            "no machine for this platform",
            where="engine qemu",
            expected=" | ".join(MACHINES),
            found=platform.name,
        )
    return MACHINES[platform.name]
