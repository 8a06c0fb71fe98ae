"""Gates: what keeps a core from a memory or a peripheral until firmware opens it."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.platform.model import Gate, Peripheral, Region
from orchestrator.platform.resolve.cores import Named
from orchestrator.platform.settings import PlatformSettings

__all__ = ["gates_of"]


def gates_of(
    regions: tuple[Region, ...], peripherals: tuple[Peripheral, ...], settings: PlatformSettings, named: Named
) -> tuple[Gate, ...]:
    """``[[gates]]``, each of a target that there is and with keys that lie in their peripherals."""
    sizes = {each.name: each.size for each in peripherals}
    memories = {each.name: each for each in regions}
    found = []
    for index, gate in enumerate(settings.gates):
        path = f"gates[{index}]"
        if gate.target not in memories and gate.target not in sizes:
            raise settings.error(f"{path}.target", "no such memory or peripheral", found=gate.target)
        memory = memories.get(gate.target)
        if gate.block is not None and (memory is None or gate.block == 0 or memory.size % gate.block):
            raise settings.error(f"{path}.block", "no part of a memory", found=f"{gate.block:#x}")
        for number, key in enumerate(gate.keys):
            at = f"{path}.keys[{number}]"
            if key.peripheral not in sizes:
                raise settings.error(f"{at}.peripheral", "no such peripheral", found=key.peripheral)
            size = sizes[key.peripheral]
            blocks = memory.size // gate.block if memory is not None and gate.block else 1
            last = key.place(blocks - 1)[0]
            if size is not None and last >= size:
                raise settings.error(
                    f"{at}.offset", "outside the peripheral", expected=f"below {size:#x}", found=f"{last:#x}"
                )
        core = named.core(f"{path}.core", gate.core)
        openers = tuple(named.core(f"{path}.openers", each) for each in gate.openers)
        found.append(replace(gate, core=core, openers=openers))
    return tuple(found)
